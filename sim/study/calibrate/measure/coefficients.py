"""From seconds of kernels to coefficients: what the GPU achieves, and how that compares with the catalog's kernels.

Pure arithmetic, tested with made-up times. The catalog's kernel families were fitted on other machines; the time of a
kernel here over what its family says of the same shape is how much this machine is slower than those.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final, Literal

import numpy as np

from sim.catalog.tables import HEADER
from sim.errors import MissingPackageError
from sim.steptime.gemm import Gemm
from sim.steptime.hardware import Hardware
from sim.steptime.kernels import kernel
from sim.steptime.precision import Weights
from sim.study.calibrate.measure.timing import DECODE_ROWS, Family, Timing
from sim.units import GB, MICROSECOND

GEMM_KERNELS: Final[dict[str, str]] = {"gemm_bf16": "gemm_bf16_cublas", "gemm_fp8": "gemm_fp8_tensor_sglang"}
"""Families of the catalog that the same library calls were fitted for."""
STREAM_KERNEL: Final = "gqa_decode_flash"


@dataclass(frozen=True, slots=True)
class Measured:
    """One coefficient of this machine.

    Attributes
    ----------
    name, value, unit : as a row of a calibration file.
    low, high : smallest and largest over the kernels that it sums up.
    meaning : in words.
    """

    name: str
    value: float
    unit: str
    low: float
    high: float
    meaning: str


@dataclass(frozen=True, slots=True)
class Slowdown:
    """Time here over the catalog's for the same kernels.

    Attributes
    ----------
    decode, prefill : median ratio for thin and for thick shapes.
    decode_range, prefill_range : 10th and 90th percentile.
    """

    decode: float
    decode_range: tuple[float, float]
    prefill: float
    prefill_range: tuple[float, float]


def coefficients(timings: Sequence[Timing], hardware: Hardware, gpus: int) -> list[Measured]:
    """What the GPU achieves, one row per kernel family that was timed.

    Parameters
    ----------
    gpus : that took part in all-reduces.
    """
    found = []
    for family, precision in (("gemm_bf16", "bf16"), ("gemm_fp8", "fp8")):
        peak = hardware.peak(precision)
        fractions = [timing.flops / timing.seconds / peak for timing in _of(timings, family) if peak]
        if fractions:
            meaning = f"of the dense {precision} peak, the best product; the range is over all shapes"
            found.append(_row(f"{family}_achieved_frac", max(fractions), "frac of peak", fractions, meaning))
    for family, name in (("attention_stream", "attention_stream_achieved_frac"), ("copy", "copy_achieved_frac")):
        fractions = [timing.bytes / timing.seconds / hardware.hbm_bytes_per_s for timing in _of(timings, family)]
        if fractions:
            meaning = "of the catalog's memory bandwidth, the best stream"
            found.append(_row(name, max(fractions), "frac of HBM bandwidth", fractions, meaning))
    copies = [timing.bytes / timing.seconds / GB for timing in _of(timings, "copy")]
    if copies:
        found.append(_row("memory_bandwidth_gb_per_s", max(copies), "GB/s", copies, "reading and writing in a copy"))
    launches = [timing.seconds / MICROSECOND for timing in _of(timings, "launch")]
    if launches:
        found.append(_row("launch_overhead_us", median(launches), "us", launches, "host time of one kernel launch"))
    bus = [2.0 * (gpus - 1) / gpus * timing.bytes / timing.seconds / GB for timing in _of(timings, "all_reduce")]
    if bus:
        meaning = f"bus bandwidth of an all-reduce over {gpus} GPUs, the best message"
        found.append(_row("all_reduce_bus_gb_per_s", max(bus), "GB/s", bus, meaning))
    return found


def slowdown(timings: Sequence[Timing], hardware: Hardware, family: Family) -> Slowdown:
    """How much slower this machine is than the catalog's kernels, in attention and projections.

    Parameters
    ----------
    family : products in the precision of the model's projections.

    Raises
    ------
    MissingPackageError : this GPU cannot multiply in that precision, so nothing was timed.
    """
    products = _of(timings, family)
    if not products:
        raise MissingPackageError(f"no {family.removeprefix('gemm_')} product could be timed on this GPU")
    thin = [_gemm_ratio(timing, hardware) for timing in products if timing.shape.sizes[0] in DECODE_ROWS]
    thick = [_gemm_ratio(timing, hardware) for timing in products if timing.shape.sizes[0] not in DECODE_ROWS]
    efficiency = kernel(STREAM_KERNEL)["cache_efficiency"]
    launch_s = kernel(STREAM_KERNEL)["t0_us"] * MICROSECOND
    streams = [
        timing.seconds / (launch_s + timing.bytes / (hardware.hbm_bytes_per_s * efficiency))
        for timing in _of(timings, "attention_stream")
    ]
    decode = [*thin, *streams]
    return Slowdown(median(decode), _range(decode), median(thick), _range(thick))


def gpu_rows(found: Sequence[Measured], gpu: str, source: str, date: str) -> list[list[str]]:
    """Rows of a calibration file for the GPU; no scenario reads them, people do."""
    rows = []
    for item in found:
        figures = [f"{figure:.4g}" for figure in (item.value, item.low, item.high)]
        rows.append([gpu, item.name, figures[0], item.unit, *figures[1:], source, date, "measured", item.meaning])
    assert all(len(row) == len(HEADER) for row in rows)
    return rows


def _of(timings: Sequence[Timing], family: str) -> list[Timing]:
    return [timing for timing in timings if timing.shape.family == family]


def _gemm_ratio(timing: Timing, hardware: Hardware) -> float:
    """Time of a product over what the catalog's kernels say of it."""
    m, n, k = timing.shape.sizes
    precision: Literal["fp8", "bf16"] = "fp8" if timing.shape.family == "gemm_fp8" else "bf16"
    size = 1.0 if precision == "fp8" else 2.0
    weights = Weights(size, precision, precision, hardware.peak(precision), size)
    family = Gemm(kernel(GEMM_KERNELS[timing.shape.family]), weights, n, k, hardware.hbm_bytes_per_s)
    return timing.seconds / family.cost(m).seconds


def _row(name: str, value: float, unit: str, over: Sequence[float], meaning: str) -> Measured:
    return Measured(name, value, unit, min(over), max(over), meaning)


def _range(ratios: Sequence[float]) -> tuple[float, float]:
    low, high = np.quantile(ratios, (0.1, 0.9))
    return float(low), float(high)
