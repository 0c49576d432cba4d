"""In which precision a GPU multiplies weights of a format, and how many bytes one of them takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sim.catalog.tables import fact
from sim.llm.formats import Encoding, weight_format
from sim.steptime.hardware import Hardware


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights of one role as kernels see them.

    Attributes
    ----------
    bytes_per_weight : scales included.
    kernels : suffix of the kernel purpose: `bf16`, `fp8`, `fp4`, or `weight_only` (expanded in the kernel, BF16 math).
    precision : precision of the products.
    peak : dense peak in FLOP/s at that precision.
    activation_bytes : bytes of one activation value between the two products of an expert.
    """

    bytes_per_weight: float
    kernels: Literal["bf16", "fp8", "fp4", "weight_only"]
    precision: Literal["bf16", "fp8", "fp4"]
    peak: float
    activation_bytes: float


def weights_of(hardware: Hardware, format_name: str, role: Literal["linear", "routed_experts"]) -> Weights:
    """How a GPU runs the weights of a format.

    A GPU without the wanted precision expands the weights and multiplies in BF16: fewer bytes, no faster math.

    Raises
    ------
    CatalogError : unknown format.
    """
    chosen = weight_format(format_name)
    encoding = chosen.linear if role == "linear" else chosen.routed_experts
    size = _bytes_per_weight(encoding)
    wanted = fact("kernels", f"format_{format_name}", role).value
    if wanted == "fp8" and hardware.peak_fp8:
        return Weights(size, "fp8", "fp8", hardware.peak_fp8, 1.0)
    if wanted == "fp4" and hardware.peak_fp4:
        return Weights(size, "fp4", "fp4", hardware.peak_fp4, 1.0)
    kernels: Literal["bf16", "weight_only"] = "bf16" if encoding.value_bits == 16 else "weight_only"
    return Weights(size, kernels, "bf16", hardware.peak_bf16, 2.0)


def kept_weights(hardware: Hardware) -> Weights:
    """Weights that no format converts: router, head."""
    return Weights(2.0, "bf16", "bf16", hardware.peak_bf16, 2.0)


def _bytes_per_weight(encoding: Encoding) -> float:
    return encoding.value_bits / 8 + encoding.scale_bytes / (encoding.scale_rows * encoding.scale_columns)
