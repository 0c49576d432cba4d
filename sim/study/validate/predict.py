"""One measured point, simulated: from the first request of the harness to its last."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sim.engine.recorder import ROW
from sim.simulation.build import build
from sim.simulation.run import run_built
from sim.steptime.kernel_draw import KernelDraw
from sim.study.validate.phase import phase_figures
from sim.study.validate.system import System
from sim.units import MILLISECOND

Predicted = dict[str, float]

SEED = 1


def predict(
    system: System, progress: Callable[[float], None] | None = None, *, draw: KernelDraw | None = None
) -> Predicted:
    """Every figure that a measured point may state, under the name of its column.

    Latencies are those of all completed requests, the initial burst of a closed loop included, as the harness counts
    them. Throughput is that of the whole run, ramp and drain included, over all GPUs. `draw` moves kernels off their
    fits.
    """
    built = build(system.scenario, draw)
    if system.phase is not None:
        return phase_figures(system.phase, built, system.gpus)
    outcome = run_built(built, SEED, 0, progress)
    rows = np.array(outcome.record.rows or [(0.0,) * len(ROW)])
    column = {name: rows[:, index] for index, name in enumerate(ROW)}
    inputs, outputs = column["input_tokens"], column["output_tokens"]
    ttft_s, e2el_s = column["ttft_s"], column["e2el_s"]
    many = outputs > 1
    tpot_s = (e2el_s[many] - ttft_s[many]) / (outputs[many] - 1)
    gpu_s = outcome.end_s * system.gpus
    figures = {
        "output_tput_per_gpu": float(outputs.sum()) / gpu_s,
        "total_tput_per_gpu": float(inputs.sum() + outputs.sum()) / gpu_s,
        "completed": float(len(rows)),
        "preemptions": float(outcome.record.totals.preemptions),
        "refused": float(outcome.record.totals.refused),
        "queue_p50_ms": float(np.median(column["queue_s"])) / MILLISECOND,
    }
    figures["total_tput_per_gpu_est"] = figures["total_tput_per_gpu"]
    for name, values in (("ttft", ttft_s), ("tpot", tpot_s), ("e2e", e2el_s)):
        if len(values):
            figures[f"{name}_p50_ms"] = float(np.median(values)) / MILLISECOND
            figures[f"{name}_mean_ms"] = float(values.mean()) / MILLISECOND
            figures[f"{name}_p99_ms"] = float(np.quantile(values, 0.99)) / MILLISECOND
    return figures
