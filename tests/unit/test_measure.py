"""From seconds of kernels to coefficients: made-up times with known answers."""

from __future__ import annotations

import csv
import importlib.util
from pathlib import Path

import pytest

import sim
from sim.catalog.tables import HEADER
from sim.errors import MissingPackageError, ScenarioError
from sim.simulation.engine_constants import constant
from sim.steptime.gemm import Gemm
from sim.steptime.hardware import Hardware, load_hardware
from sim.steptime.kernels import kernel
from sim.steptime.precision import Weights
from sim.study.calibrate.measure.coefficients import coefficients, slowdown
from sim.study.calibrate.measure.device import Device, Kernels
from sim.study.calibrate.measure.measure import catalog_gpu, measure, summed_up
from sim.study.calibrate.measure.timing import Shape, Timing, shapes
from sim.units import MICROSECOND

SCENARIOS = Path(__file__).resolve().parents[2] / "scenarios"
H100 = load_hardware("h100-sxm-80gb")
HAS_TORCH = importlib.util.find_spec("torch") is not None


def catalog_s(shape: Shape, hardware: Hardware) -> float:
    """What the catalog's kernels take, or what rounds to known fractions where it has none."""
    if shape.family.startswith("gemm"):
        m, n, k = shape.sizes
        fp8 = shape.family == "gemm_fp8"
        precision, name = ("fp8", "gemm_fp8_tensor_sglang") if fp8 else ("bf16", "gemm_bf16_cublas")
        size = 1.0 if fp8 else 2.0
        weights = Weights(size, precision, precision, hardware.peak(precision), size)  # type: ignore[arg-type]
        return Gemm(kernel(name), weights, n, k, hardware.hbm_bytes_per_s).cost(m).seconds
    if shape.family == "launch":
        return 3e-6
    moved = Timing(shape, 1.0).bytes
    if shape.family == "attention_stream":
        k = kernel("gqa_decode_flash")
        return k["t0_us"] * MICROSECOND + moved / (hardware.hbm_bytes_per_s * k["cache_efficiency"])
    return moved / (0.9 * hardware.hbm_bytes_per_s) if shape.family == "copy" else moved / 200e9


def timings(thin: float = 1.0, thick: float = 1.0, *, gpus: int = 8, fp8: bool = True) -> list[Timing]:
    """Every kernel as the catalog has it, but thin products and streams, and thick ones, slower by a factor."""
    found = []
    for shape in shapes(gpus, fp8=fp8):
        is_thick = shape.family.startswith("gemm") and shape.sizes[0] >= 2048
        factor = thick if is_thick else thin if shape.family not in {"copy", "launch", "all_reduce"} else 1.0
        found.append(Timing(shape, factor * catalog_s(shape, H100)))
    return found


def test_times_of_the_catalog_s_own_kernels_are_no_slower() -> None:
    """Ratios of one for every product and stream."""
    for family in ("gemm_bf16", "gemm_fp8"):
        found = slowdown(timings(), H100, family)  # type: ignore[arg-type]
        assert (found.decode, found.prefill) == pytest.approx((1.0, 1.0))
        assert (*found.decode_range, *found.prefill_range) == pytest.approx((1.0,) * 4)


def test_a_slow_machine_is_as_slow_as_it_is() -> None:
    """Thin shapes by 1.3 and thick ones by 1.1 are told apart."""
    found = slowdown(timings(1.3, 1.1), H100, "gemm_bf16")
    assert (found.decode, found.prefill) == pytest.approx((1.3, 1.1))


def test_what_the_gpu_achieves_is_arithmetic() -> None:
    """Hand-computed: 90 % of the bandwidth in a copy, 3 us a launch, 350 GB/s on the bus of eight, half of the peak."""
    found = {item.name: item for item in coefficients(timings(), H100, 8)}
    assert found["copy_achieved_frac"].value == pytest.approx(0.9)
    assert found["memory_bandwidth_gb_per_s"].value == pytest.approx(0.9 * 3350)
    assert found["launch_overhead_us"].value == pytest.approx(3.0)
    assert found["all_reduce_bus_gb_per_s"].value == pytest.approx(2 * 7 / 8 * 200)
    half = Timing(Shape("gemm_bf16", (8192, 4096, 4096)), 2 * 8192 * 4096 * 4096 / (0.5 * H100.peak_bf16))
    (only,) = coefficients([half], H100, 1)
    assert (only.name, only.value) == ("gemm_bf16_achieved_frac", pytest.approx(0.5))
    assert "gemm_fp8_achieved_frac" in found
    alone = {item.name for item in coefficients(timings(gpus=1, fp8=False), H100, 1)}
    assert not alone & {"gemm_fp8_achieved_frac", "all_reduce_bus_gb_per_s"}


def test_the_file_is_one_that_a_scenario_takes(tmp_path: Path) -> None:
    """Time factors are the scenario's times the slowdown; rows of the GPU stand beside them and disturb nobody."""
    scenario = sim.load(SCENARIOS / "mixtral_8x7b_8xh100.yaml")
    found = summed_up(scenario, timings(1.3, 1.1), "NVIDIA H100 80GB HBM3", 8)
    path = tmp_path / "machine.csv"
    path.write_text(found.text("2026-11"), encoding="utf-8")
    named = scenario.with_({"deployment.engine.calibration": str(path)})
    for name, factor in (("decode_time_factor", 1.3), ("prefill_time_factor", 1.1)):
        assert constant(named, name) == pytest.approx(factor * constant(scenario, name), rel=0.01)
    assert constant(named, "host_overhead_ms") == constant(scenario, "host_overhead_ms")
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert tuple(rows[0]) == HEADER
    assert {row["subject"] for row in rows} == {"sglang", "h100-sxm-80gb"}


def test_without_a_scenario_there_are_no_constants(tmp_path: Path) -> None:
    """And a scenario that names such a file is told so."""
    path = tmp_path / "machine.csv"
    path.write_text(summed_up(None, timings(), "NVIDIA H100 80GB HBM3", 8).text("2026-11"), encoding="utf-8")
    scenario = sim.load(SCENARIOS / "mixtral_8x7b_8xh100.yaml").with_({"deployment.engine.calibration": str(path)})
    with pytest.raises(ScenarioError, match="says nothing about sglang"):
        constant(scenario, "decode_time_factor")


def test_other_machines_are_refused() -> None:
    """A GPU that the catalog does not have, one that is not the scenario's, and FP8 where it has none."""
    assert catalog_gpu("NVIDIA H200") == "h200-sxm-141gb"
    with pytest.raises(ScenarioError, match="not in the catalog"):
        catalog_gpu("NVIDIA H100 PCIe")
    scenario = sim.load(SCENARIOS / "glm52_fp8_16xh100.yaml")
    with pytest.raises(ScenarioError, match="the machine has h200-sxm-141gb"):
        summed_up(scenario, timings(), "NVIDIA H200", 8)
    with pytest.raises(MissingPackageError, match="no fp8 product"):
        summed_up(scenario, timings(fp8=False), "NVIDIA H100 80GB HBM3", 8)


@pytest.mark.skipif(HAS_TORCH, reason="PyTorch is installed here")
def test_without_pytorch_one_sentence_says_so() -> None:
    """The extra is named."""
    with pytest.raises(MissingPackageError, match=r"moe-capacity-sim\[measure\]"):
        measure(None)


@pytest.mark.skipif(not HAS_TORCH, reason="PyTorch is not installed (optional extra measure)")
def test_every_kernel_runs_as_it_is_called() -> None:
    """The calls themselves, small and on the CPU: what they return has the right shape; a GPU is asked for by name."""
    import torch

    kernels = Kernels(torch, "cpu", 1)
    small = {"gemm_bf16": (8, 32, 16), "gemm_fp8": (16, 32, 16), "attention_stream": (2, 64, 4, 16), "copy": (64,)}
    shapes_of = {name: tuple(kernels.of(Shape(name, sizes))().shape) for name, sizes in small.items()}  # type: ignore[arg-type, attr-defined]
    assert shapes_of == {"gemm_bf16": (8, 32), "gemm_fp8": (16, 32), "attention_stream": (2, 4, 1, 16), "copy": (64,)}
    kernels.of(Shape("launch", (3,)))()
    if not torch.cuda.is_available():
        with pytest.raises(MissingPackageError, match="needs an NVIDIA GPU"):
            Device()
