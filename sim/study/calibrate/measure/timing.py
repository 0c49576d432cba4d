"""Kernels to time, and their times; no device is needed to know either."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Family = Literal["gemm_bf16", "gemm_fp8", "attention_stream", "copy", "launch", "all_reduce"]


@dataclass(frozen=True, slots=True)
class Shape:
    """One kernel to time.

    Attributes
    ----------
    family : what it stands for.
    sizes : rows m, columns n and depth k of a product; sequences, context, KV heads and head size of an attention
        stream; bytes of a copy or an all-reduce; launches of an empty kernel.
    """

    family: Family
    sizes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Timing:
    """One kernel, timed.

    Attributes
    ----------
    shape : what ran.
    seconds : of one run, the median of several.
    """

    shape: Shape
    seconds: float

    @property
    def flops(self) -> float:
        """Floating-point operations of a product; 0 of others."""
        if not self.shape.family.startswith("gemm"):
            return 0.0
        m, n, k = self.shape.sizes
        return 2.0 * m * n * k

    @property
    def bytes(self) -> float:
        """Bytes that must move: operands and result, keys and values, both sides of a copy, one message."""
        family, sizes = self.shape.family, self.shape.sizes
        if family.startswith("gemm"):
            m, n, k = sizes
            return (1.0 if family == "gemm_fp8" else 2.0) * k * (m + n) + 2.0 * m * n
        if family == "attention_stream":
            seqs, context, heads, size = sizes
            return 2.0 * 2.0 * seqs * context * heads * size
        return {"copy": 2.0, "all_reduce": 1.0}.get(family, 0.0) * sizes[0]


MATRICES: Final = ((4096, 4096), (7168, 4096), (6144, 2048), (14336, 4096))
DECODE_ROWS: Final = (8, 32, 128)
PROMPT_ROWS: Final = (2048, 8192)


def shapes(gpus: int, *, fp8: bool) -> list[Shape]:
    """A minute's worth of kernels: thin and thick products, streams through a cache, copies, launches, all-reduces."""
    found = [Shape("copy", (size,)) for size in (1 << 28, 1 << 30)]
    found += [Shape("attention_stream", (seqs, context, 8, 128)) for seqs, context in ((16, 8192), (64, 4096))]
    products: tuple[Family, ...] = ("gemm_bf16", "gemm_fp8") if fp8 else ("gemm_bf16",)
    for precision in products:
        for n, k in MATRICES:
            found += [Shape(precision, (m, n, k)) for m in (*DECODE_ROWS, *PROMPT_ROWS)]
    found.append(Shape("launch", (2000,)))
    if gpus > 1:
        found += [Shape("all_reduce", (size,)) for size in (1 << 20, 1 << 24, 1 << 28)]
    return found
