"""Kernel families of the catalog, and which of them an engine runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from math import inf

from sim.catalog.tables import STATUSES, fact, subject
from sim.errors import CatalogError

TABLE = "kernels"


@dataclass(frozen=True, slots=True)
class Kernel:
    """Coefficients of one kernel family.

    Attributes
    ----------
    name : row subject of the catalog table, e.g. `gemm_fp8_block_deepgemm`.
    status : the weakest status among its coefficients.
    family : kind of kernel, e.g. `gemm`; kernels of one kind are fitted alike, and err alike.
    """

    name: str
    status: str
    values: Mapping[str, float]
    family: str = ""

    def __getitem__(self, parameter: str) -> float:
        """Value of one coefficient, in the unit of its row."""
        return self.values[parameter]


@cache
def kernel(name: str) -> Kernel:
    """One kernel family of the catalog.

    A `norm_power` of `max` reads as infinity.

    Raises
    ------
    CatalogError : unknown name.
    """
    facts = subject(TABLE, name)
    status = max((item.status for item in facts.values()), key=STATUSES.index)
    values = {key: item.value for key, item in facts.items() if not isinstance(item.value, str)}
    if "norm_power" in facts and facts["norm_power"].value == "max":
        values["norm_power"] = inf
    family = str(facts["family"].value) if "family" in facts else ""
    return Kernel(name, status, values, family)


@cache
def engine_kernel(engine: str, purpose: str) -> Kernel:
    """The kernel family that an engine runs for a purpose, e.g. `gemm_fp8` or `dispatch_decode`.

    Raises
    ------
    CatalogError : unknown engine, or it has no kernel for the purpose.
    """
    name = fact("engines", engine, purpose).value
    if not isinstance(name, str):
        raise CatalogError(f"engines: {engine}.{purpose} must name a row of the kernels table, not {name!r}")
    return kernel(name)
