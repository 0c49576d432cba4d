"""`sim calibrate --measure`: kernels timed here, as rows of a calibration file."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Final

from sim.errors import ScenarioError
from sim.scenario.scenario import Scenario
from sim.simulation.engine import weights_of as scenario_weights
from sim.simulation.engine_constants import constant
from sim.simulation.memory import model_of
from sim.steptime.hardware import Hardware, load_hardware
from sim.steptime.precision import weights_of
from sim.study.calibrate.calibrate import rows_text
from sim.study.calibrate.fit import FittedConstant
from sim.study.calibrate.measure.coefficients import Measured, coefficients, gpu_rows, slowdown
from sim.study.calibrate.measure.device import Device
from sim.study.calibrate.measure.timing import Timing, shapes
from sim.study.workers import Progress

# what drivers call a GPU, and the catalog
GPUS: Final = (
    (r"H100 80GB HBM3|H100 SXM", "h100-sxm-80gb"),
    (r"H200(?! NVL)", "h200-sxm-141gb"),
    (r"A100-SXM4-80GB", "a100-sxm-80gb"),
    (r"H800(?! PCIe)", "h800-sxm-80gb"),
    (r"B200", "b200-sxm-180gb"),
)


@dataclass(frozen=True, slots=True)
class MeasuredMachine:
    """What was found.

    Attributes
    ----------
    gpu : name in the catalog.
    device : name of the driver.
    gpus : how many took part.
    coefficients : of the GPU.
    constants : of the scenario's engine, scaled by what was measured; empty without a scenario.
    """

    gpu: str
    device: str
    gpus: int
    coefficients: tuple[Measured, ...]
    constants: tuple[FittedConstant, ...]

    def text(self, date: str) -> str:
        """Calibration file: constants of the engine first, then what the GPU achieves."""
        source = f"sim calibrate --measure on {self.gpus} x {self.device}"
        stream = StringIO()
        csv.writer(stream, lineterminator="\n").writerows(gpu_rows(self.coefficients, self.gpu, source, date))
        return rows_text(self.constants, source, date) + stream.getvalue()


def measure(scenario: Scenario | None, progress: Progress | None = None) -> MeasuredMachine:
    """Time kernels on this machine.

    Raises
    ------
    MissingPackageError : no PyTorch, or no GPU.
    ScenarioError : the GPU is not in the catalog, or is not that of the scenario.
    """
    device = Device()
    timings = []
    wanted = shapes(device.gpus, fp8=device.fp8)
    for done, shape in enumerate(wanted):
        if progress is not None:
            progress(done / len(wanted))
        timings.append(device.time(shape))
    return summed_up(scenario, timings, device.name, device.gpus)


def summed_up(scenario: Scenario | None, timings: Sequence[Timing], device: str, gpus: int) -> MeasuredMachine:
    """What the times of kernels on a named device say.

    Raises
    ------
    ScenarioError : the GPU is not in the catalog, or is not that of the scenario.
    """
    gpu = catalog_gpu(device)
    hardware = load_hardware(gpu)
    found = coefficients(timings, hardware, gpus)
    constants = () if scenario is None else tuple(_constants(scenario, timings, hardware))
    return MeasuredMachine(gpu, device, gpus, tuple(found), constants)


def catalog_gpu(device: str) -> str:
    """The catalog's name of a device.

    Raises
    ------
    ScenarioError : it has none.
    """
    for pattern, gpu in GPUS:
        if re.search(pattern, device):
            return gpu
    raise ScenarioError("this GPU is not in the catalog", value=device, valid=", ".join(gpu for _, gpu in GPUS))


def _constants(scenario: Scenario, timings: Sequence[Timing], hardware: Hardware) -> list[FittedConstant]:
    """Time factors of attention and projections: the scenario's, times how much slower this machine is."""
    if scenario.hardware.gpu != hardware.gpu:
        raise ScenarioError(
            f"the machine has {hardware.gpu}", key="hardware.gpu", value=scenario.hardware.gpu, file=scenario.file
        )
    weights = weights_of(hardware, scenario_weights(scenario, model_of(scenario)), "linear")
    slower = slowdown(timings, hardware, "gemm_fp8" if weights.precision == "fp8" else "gemm_bf16")
    factors = (
        ("decode_time_factor", slower.decode, slower.decode_range),
        ("prefill_time_factor", slower.prefill, slower.prefill_range),
    )
    engine = scenario.deployment.engine.name
    return [
        FittedConstant(engine, name, *(constant(scenario, name) * factor for factor in (ratio, *over)))
        for name, ratio, over in factors
    ]
