"""Weight formats of the catalog: how many bits a weight takes, and which weights a format converts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from sim.catalog import tables
from sim.errors import CatalogError
from sim.llm.tensors import Tensor

TABLE = "weight_formats"


@dataclass(frozen=True, slots=True)
class Encoding:
    """How the values of one tensor are stored.

    Attributes
    ----------
    value_bits : bits per value.
    scale_bytes : bytes of one scale; a scale covers `scale_rows` x `scale_columns` values. 0 bytes without scales.
    slice_padding : a slice of an expert is padded to a multiple of this many values; 0 where engines pad nothing, and
        refuse slices that do not hold whole blocks.
    """

    value_bits: int
    scale_bytes: int
    scale_rows: int
    scale_columns: int
    slice_padding: int

    def slice_width(self, width: int, ranks: int) -> int:
        """Width of an expert's slice on each of the GPUs that share it, padding included (2880 over 8 in MXFP4: 384).

        `ranks` divides `width`.
        """
        part = width // ranks
        return -(-part // self.slice_padding) * self.slice_padding if self.slice_padding and ranks > 1 else part

    def tensor_bytes(self, rows: int, columns: int) -> int:
        """Bytes of one tensor, its scales included; a last, partial block has a whole scale."""
        scales = -(-rows // self.scale_rows) * -(-columns // self.scale_columns)
        return -(-rows * columns * self.value_bits // 8) + self.scale_bytes * scales


@dataclass(frozen=True, slots=True)
class WeightFormat:
    """What a weight format does to each kind of tensor.

    Attributes
    ----------
    name : as in the catalog, e.g. `fp8_block`.
    kept : encoding of what no format converts: embedding, head, router, norms, biases.
    linear, routed_experts : encodings in the main model.
    mtp_linear, mtp_routed_experts : encodings in multi-token-prediction layers.
    router_correction_bytes : bytes per score-correction value beside the router.
    """

    name: str
    kept: Encoding
    linear: Encoding
    routed_experts: Encoding
    mtp_linear: Encoding
    mtp_routed_experts: Encoding
    router_correction_bytes: int

    def encoding(self, tensor: Tensor) -> Encoding:
        """Encoding of one tensor."""
        if tensor.role == "linear":
            return self.mtp_linear if tensor.mtp else self.linear
        if tensor.role == "routed":
            return self.mtp_routed_experts if tensor.mtp else self.routed_experts
        return self.kept

    def tensor_bytes(self, tensor: Tensor) -> int:
        """Bytes of all copies of one tensor."""
        if not tensor.is_parameter:
            return self.router_correction_bytes * tensor.elements
        return self.encoding(tensor).tensor_bytes(tensor.rows, tensor.columns) * tensor.count


def format_names() -> tuple[str, ...]:
    """Names of all weight formats."""
    return tuple(tables.table(TABLE))


@cache
def weight_format(name: str) -> WeightFormat:
    """One weight format of the catalog.

    Raises
    ------
    CatalogError : unknown name; the message lists the names and the nearest one.
    """
    facts = tables.subject(TABLE, name)
    roles = {
        role: _encoding(str(facts[role].value))
        for role in ("linear", "routed_experts", "mtp_linear", "mtp_routed_experts")
    }
    correction = int(tables.number(TABLE, name, "router_correction_bytes"))
    return WeightFormat(name=name, kept=_encoding("bf16"), router_correction_bytes=correction, **roles)


def _encoding(name: str) -> Encoding:
    if "value_bits" not in tables.subject(TABLE, name):
        raise CatalogError(f"catalog table {TABLE!r}: {name!r} mixes encodings and is none itself")
    parts = ("value_bits", "scale_bytes", "scale_rows", "scale_columns", "slice_padding")
    return Encoding(*(int(tables.number(TABLE, name, part)) for part in parts))
