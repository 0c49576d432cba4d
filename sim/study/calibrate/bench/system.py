"""The scenario of a run: the user's cluster under the load that the load generator sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sim.errors import ScenarioError
from sim.scenario.scenario import Scenario
from sim.simulation.memory import misfit
from sim.simulation.roles import roles_of
from sim.study.calibrate.bench.run import INPUT, OUTPUT, SYSTEM_TPUT, BenchRun, UnusableRunError, empirical
from sim.study.validate.point import MeasuredPoint
from sim.study.validate.system import FOREVER_S, System

ENGINE_WORDS = {"sglang": ("sglang", "sgl"), "vllm": ("vllm",), "tensorrt-llm": ("trt", "tensorrt")}
LENGTHS = (INPUT, OUTPUT)


def bench_cluster(scenario: Scenario) -> tuple[Scenario, int]:
    """The cluster that was measured, without its own load, limits and faults; and its GPUs.

    Raises
    ------
    ScenarioError : constants cannot be fitted for it.
    """
    engine, key = scenario.deployment.engine, ""
    if scenario.deployment.disaggregation is not None:
        key, problem = "deployment.disaggregation", "constants are fitted for replicas that do both"
    elif engine.step_times is not None:
        key, problem = "deployment.engine.step_times", "a table of step times leaves no constants to fit"
    if key:
        raise ScenarioError(problem, key=key, file=scenario.file)
    (role,) = roles_of(scenario)
    reason = misfit(role.scenario, role.planned)
    if reason is not None:
        raise ScenarioError(reason.problem, file=scenario.file)
    changes: dict[str, Any] = {
        "router.request_timeout_s": FOREVER_S,
        "reliability.faults": False,
        "reliability.inject": (),
        "run.horizon_s": FOREVER_S,
        "run.warmup_s": 0.0,
        "run.replications": 1,
        "run.record_requests": True,
    }
    return scenario.with_(changes), role.gpus


def bench_system(cluster: Scenario, gpus: int, run: BenchRun, folder: Path, number: int) -> System:
    """A run as the simulator sees it.

    Parameters
    ----------
    folder : for the lengths of a run that states those of every request; `number` keeps runs apart.

    Raises
    ------
    UnusableRunError : it states another system than that of the scenario.
    """
    _refuse_another_system(cluster, gpus, run)
    changes = {"workload": _workload(run, folder / f"{number}.csv"), "run.max_requests": run.requests}
    engine = cluster.deployment.engine.name
    family = (cluster.model.name, cluster.hardware.gpu, engine, "aggregated")
    return System(cluster.with_(changes), gpus, family)


def bench_point(run: BenchRun, gpus: int) -> MeasuredPoint:
    """What was measured, per GPU."""
    figures = {name: value for name, value in run.measured.items() if name != SYSTEM_TPUT}
    if SYSTEM_TPUT in run.measured:
        figures["output_tput_per_gpu"] = run.measured[SYSTEM_TPUT] / gpus
    return MeasuredPoint({"id": run.name}, figures, {})


def _refuse_another_system(cluster: Scenario, gpus: int, run: BenchRun) -> None:
    stated = run.stated
    if "gpus" in stated and float(stated["gpus"]) != gpus:
        raise UnusableRunError(f"the run is of {stated['gpus']} GPUs, the scenario of {gpus}")
    gpu = cluster.hardware.gpu.split("-")[0]
    if "hardware" in stated and not stated["hardware"].lower().startswith(gpu):
        raise UnusableRunError(f"the run is of {stated['hardware']}, the scenario of {cluster.hardware.gpu}")
    engine = cluster.deployment.engine.name
    if "engine" in stated and not any(word in stated["engine"].lower() for word in ENGINE_WORDS[engine]):
        raise UnusableRunError(f"the run is of {stated['engine']}, the scenario of {engine}")


def _workload(run: BenchRun, path: Path) -> dict[str, Any]:
    """Arrivals and lengths; those of every request where they are known and their order matters."""
    if run.concurrency is not None:
        arrivals: dict[str, Any] = {"process": "closed_loop", "concurrency": run.concurrency}
    elif run.burstiness == 1.0:
        arrivals = {"process": "poisson", "rate_rps": run.rate_rps}
    else:
        arrivals = {"process": "gamma", "rate_rps": run.rate_rps, "burstiness": run.burstiness}
    each = run.each
    if each and (run.concurrency is not None or run.starts_s):
        starts_s = run.starts_s if run.concurrency is None else (0.0,) * len(each[INPUT])
        lines = (f"{start!r},{prompt},{output}" for start, prompt, output in zip(starts_s, *each.values(), strict=True))
        path.write_text("arrival_s,input_tokens,output_tokens\n" + "\n".join(lines) + "\n", encoding="utf-8")
        trace = {"path": str(path), "format": "csv", "sort": True}
        return {"trace": trace} if run.concurrency is None else {"trace": trace, "arrivals": arrivals}
    laws = {which: empirical(each[which]) for which in LENGTHS} if each else dict(run.laws)
    return {"arrivals": arrivals, **laws}
