"""The course of one fault, minute by minute: the same requests with different things happening to the replicas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from sim.engine.recorder import ROW
from sim.faults.transition import Transition
from sim.scenario.scenario import Scenario
from sim.simulation.build import build
from sim.study.annual.counts import BIN_S, Counts, Floats, column
from sim.study.annual.scripted import Script, run_script
from sim.study.annual.stratum import WHOLE
from sim.study.result import TIMELINE
from sim.study.workers import Progress, spread
from sim.units import MINUTE_S

if TYPE_CHECKING:
    import pandas as pd

TAILS: Final = 0.5  # of the patience of clients
PER_MINUTE: Final = MINUTE_S / BIN_S
QUANTILES: Final = (0.5, 0.95)
COLUMNS: Final = ("case", "time_s", "metric", "unit", "value")


@dataclass(frozen=True, slots=True)
class _Course:
    """One run: counts and queue by bin, and (arrival, TTFT) of every completed request."""

    counts: Floats
    waiting: Floats
    arrival_s: Floats
    ttft_s: Floats


def one_fault(
    scenario: Scenario,
    cases: Mapping[str, Sequence[Transition]],
    *,
    before_s: float = 600.0,
    after_s: float = 3000.0,
    replications: int = 5,
    workers: int = 0,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """The course of each case.

    Parameters
    ----------
    cases : by name, what happens, at times since the fault.
    before_s, after_s : shown on either side of it, after the warm-up of the scenario.
    replications : runs of each case, of the same requests for all cases.

    Returns
    -------
    Tidy: case, time_s since the fault (the middle of a bin of half a minute), metric, unit, value. `bad_frac` and TTFT
    belong to the requests that arrived in the bin, over all replications; waiting, retries and failures are means.

    Raises
    ------
    SimError : the load ends before the run does.
    """
    import pandas as pd

    quiet = scenario.with_({"reliability.faults": False, "reliability.inject": []})
    warmup_s = BIN_S * -(-scenario.run.warmup_s // BIN_S)
    fault_s = BIN_S * round((warmup_s + before_s) / BIN_S) + 0.5 * BIN_S  # in the middle of a bin
    tail_s = TAILS * build(quiet).cluster.client.request_timeout_s  # for the last requests shown to end
    scripts = [
        Script(_shifted(transitions, fault_s), warmup_s, fault_s + after_s + tail_s, replication)
        for transitions in cases.values()
        for replication in range(replications)
    ]
    courses = spread(_course, [(quiet, script) for script in scripts], workers=workers, progress=progress)
    rows = []
    for index, (name, transitions) in enumerate(cases.items()):
        mine = courses[index * replications : (index + 1) * replications]
        first = round(warmup_s / BIN_S)
        times = (np.arange(first, round((fault_s + after_s) / BIN_S)) + 0.5) * BIN_S - fault_s
        for metric, unit, values in (*_figures(mine, first, len(times)), _capacity(quiet, transitions, times.tolist())):
            rows += [(name, float(t), metric, unit, float(v)) for t, v in zip(times, values, strict=True)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _shifted(transitions: Sequence[Transition], by_s: float) -> tuple[Transition, ...]:
    return tuple(replace(transition, at_s=transition.at_s + by_s) for transition in transitions)


def _course(task: tuple[Scenario, Script], progress: Progress) -> _Course:
    outcome = run_script(*task, progress, rows=True)
    counts = Counts.of(outcome, 0.0)
    waiting = np.array([sample[TIMELINE.index("waiting") - 1] for sample in outcome.record.timeline])
    table = np.array(outcome.record.rows or np.empty((0, len(ROW))))
    return _Course(counts.values, waiting, table[:, ROW.index("arrival_s")], table[:, ROW.index("ttft_s")])


def _figures(courses: Sequence[_Course], first: int, bins: int) -> Iterator[tuple[str, str, Floats]]:
    values = np.mean([course.counts[first : first + bins] for course in courses], axis=0)
    yield "waiting", "requests", np.mean([course.waiting[first : first + bins] for course in courses], axis=0)
    yield "retries_per_min", "1/min", values[:, column("retries")] * PER_MINUTE
    lost = values[:, column("failed")] + values[:, column("abandoned")]
    yield "failed_per_min", "1/min", lost * PER_MINUTE
    with np.errstate(invalid="ignore"):
        yield "bad_frac", "fraction", values[:, column("bad")] / values[:, column("arrived")]
    arrival_s = np.concatenate([course.arrival_s for course in courses])
    ttft_s = np.concatenate([course.ttft_s for course in courses])
    index = (arrival_s / BIN_S).astype(int) - first
    groups = [ttft_s[index == number] for number in range(bins)]
    for quantile in QUANTILES:
        name = f"ttft_p{round(100 * quantile)}_s"
        yield name, "s", np.array([np.quantile(group, quantile) if len(group) else np.nan for group in groups])


def _capacity(scenario: Scenario, transitions: Sequence[Transition], times: Sequence[float]) -> tuple[str, str, Floats]:
    """Share of the replicas' capacity that is there, as the transitions say."""
    cluster = build(scenario).cluster
    sizes = [cluster.replicas] if cluster.decode is None else [cluster.replicas, cluster.decode.replicas]
    ranks = [cluster.limits.data_parallel_size] * sizes[0]
    if cluster.decode is not None:
        ranks += [cluster.decode.limits.data_parallel_size] * sizes[1]
    abilities = [WHOLE] * sum(sizes)
    left = list(transitions)
    values = []
    for time_s in times:
        while left and left[0].at_s <= time_s:
            step = left.pop(0)
            abilities[step.replica] = abilities[step.replica].after(step)
        gone = [ability.lost_frac(size) for ability, size in zip(abilities, ranks, strict=True)]
        values.append(1.0 - sum(gone) / len(gone))
    return "capacity_frac", "fraction", np.array(values)
