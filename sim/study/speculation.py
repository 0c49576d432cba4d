"""What speculative decoding gains or costs by the number of requests at work, and where it breaks even."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, exp, log
from typing import TYPE_CHECKING, Final

from sim.errors import SimError
from sim.scenario.scenario import Scenario
from sim.simulation.build import Built
from sim.simulation.check import check
from sim.stats.mean import mean_interval
from sim.study.metric import Metric
from sim.study.result import Result
from sim.study.simulate import simulate
from sim.study.workers import Progress

if TYPE_CHECKING:
    import pandas as pd

CONCURRENCIES: Final = (1, 4, 16, 64, 128, 256, 512)
WARMUP_RESIDENCES: Final = 3.0
MEASURED_RESIDENCES: Final = 15.0
MEASURED_REQUESTS: Final = 300  # at least, where few are at work
THROUGHPUT: Final = "output_throughput_tokens_per_s"
RUNNING: Final = "running_seqs_mean"
GAIN: Final = "speculation_gain_frac"


@dataclass(frozen=True, slots=True)
class SpeculationPoint:
    """One number of requests at work, without drafts and with them.

    Attributes
    ----------
    gain : output throughput with drafts over that without, less one; paired by replication.
    """

    concurrency: int
    plain: Result
    drafted: Result
    gain: Metric

    @property
    def batch(self) -> float:
        """Mean decoding sequences of one replica without drafts."""
        return self.plain.value(RUNNING)


@dataclass(frozen=True, slots=True)
class SpeculationCurve:
    """Gain of one number of drafts over rising concurrency.

    Attributes
    ----------
    num_speculative_tokens, acceptance_length : what was simulated.
    points : by concurrency, ascending.
    """

    num_speculative_tokens: int
    acceptance_length: float
    points: tuple[SpeculationPoint, ...]

    @property
    def break_even(self) -> tuple[SpeculationPoint | None, SpeculationPoint | None]:
        """(last point at which drafts do not cost throughput, first beyond it at which they do), or None.

        Where the gain changes its sign several times, the last change counts.
        """
        inside: SpeculationPoint | None = None
        outside: SpeculationPoint | None = None
        for point in self.points:
            if (point.gain.value or 0.0) >= 0.0:
                inside, outside = point, None
            elif outside is None:
                outside = point
        return inside, outside

    @property
    def break_even_batch(self) -> float | None:
        """Mean batch of one replica at which the gain is zero, between the two points, on a logarithmic scale."""
        inside, outside = self.break_even
        if inside is None or outside is None:
            return None
        left, right = inside.gain.value or 0.0, outside.gain.value or 0.0
        share = left / (left - right)
        return exp(log(inside.batch) + share * (log(outside.batch) - log(inside.batch)))

    def frame(self) -> pd.DataFrame:
        """Tidy: drafts (0 without), concurrency, status, option, metric, unit, value, low, high, note."""
        import pandas as pd

        frames = []
        for point in self.points:
            for drafts, result in ((0, point.plain), (self.num_speculative_tokens, point.drafted)):
                frame = result.frame()
                if drafts:
                    frame = pd.concat([frame, pd.DataFrame([point.gain.as_dict()])], ignore_index=True)
                frame.insert(0, "status", result.status)
                frame.insert(0, "concurrency", point.concurrency)
                frame.insert(0, "drafts", drafts)
                frames.append(frame)
        return pd.concat(frames, ignore_index=True)


def speculation_curves(
    scenario: Scenario,
    drafts: Sequence[int],
    *,
    concurrencies: Sequence[int] = CONCURRENCIES,
    workers: int = 0,
    progress: Progress | None = None,
) -> tuple[SpeculationCurve, ...]:
    """Simulate a closed loop of rising concurrency without drafts, and with each number of them.

    The load is the scenario's mix of requests, drawn alike for all; nothing fails and nobody gives up. An acceptance
    length that the scenario sets holds for every number of drafts.

    Raises
    ------
    SimError : nothing to compare, requests that a closed loop does not bring, or a scenario that cannot work.
    """
    _check(scenario, drafts, concurrencies)
    variants = {0: _with_drafts(scenario, 0)} | {number: _with_drafts(scenario, number) for number in drafts}
    built = {number: _built(variant) for number, variant in variants.items()}
    ordered = sorted(set(concurrencies))
    runs = [(number, count) for count in ordered for number in variants]
    results: dict[tuple[int, int], Result] = {}
    for done, (number, count) in enumerate(runs):
        share = None if progress is None else _share(progress, done, len(runs))
        closed = _closed(variants[number], built[0], count)
        results[number, count] = simulate(closed, workers=workers, progress=share)
    return tuple(
        SpeculationCurve(
            number,
            float(built[number].planned.speculation.length),
            tuple(_point(count, results[0, count], results[number, count]) for count in ordered),
        )
        for number in drafts
    )


def _share(progress: Progress, done: int, parts: int) -> Progress:
    return lambda share: progress((done + share) / parts)


def _check(scenario: Scenario, drafts: Sequence[int], concurrencies: Sequence[int]) -> None:
    if not drafts or min(drafts) < 1 or len(set(drafts)) < len(drafts):
        raise SimError("a comparison needs numbers of drafts of at least 1, each once")
    if not concurrencies or min(concurrencies) < 1:
        raise SimError("a comparison needs numbers of requests at work of at least 1")
    if scenario.workload.trace is not None or scenario.workload.sessions is not None:
        raise SimError("the comparison runs a closed loop of requests, which a trace or sessions do not bring")


def _with_drafts(scenario: Scenario, number: int) -> Scenario:
    changes: dict[str, object] = {"deployment.engine.num_speculative_tokens": number}
    if not number:
        changes |= {"deployment.engine.acceptance_length": None, "deployment.engine.acceptance_curve": "auto"}
    return scenario.with_(changes)


def _built(scenario: Scenario) -> Built:
    found = check(scenario.with_({"workload.arrivals": {"process": "closed_loop", "concurrency": 1}}))
    if found.built is None or found.infeasible is not None:
        raise SimError(str(found.infeasible))
    return found.built


def _closed(scenario: Scenario, plain: Built, concurrency: int) -> Scenario:
    """The same mix from so many callers, long enough for several generations of requests without drafts."""
    residence_s = _residence_s(plain, concurrency)
    measured = max(MEASURED_RESIDENCES, MEASURED_REQUESTS / concurrency)
    return scenario.with_(
        {
            "workload.arrivals": {"process": "closed_loop", "concurrency": concurrency},
            "router.request_timeout_s": 1e9,
            "reliability": {"faults": False},
            "run.warmup_s": WARMUP_RESIDENCES * residence_s,
            "run.horizon_s": (WARMUP_RESIDENCES + measured) * residence_s,
            "run.max_requests": None,
            "run.record_requests": False,
        }
    )


def _residence_s(plain: Built, concurrency: int) -> float:
    """Decode time of a mean request in a batch of so many, prompts apart; only the length of a run rests on it."""
    law, cluster = plain.law, plain.cluster
    ranks = cluster.limits.data_parallel_size
    seqs = min(cluster.limits.max_num_seqs, ceil(concurrency / (ranks * cluster.replicas)))
    context = round(plain.workload.mean_input_tokens + 0.5 * plain.workload.mean_output_tokens)
    cap = law.attention_cap_tokens
    capped = seqs * min(context, cap) if cap else 0
    step_s = law.mixed_s(seqs, seqs * context, capped, bool(cap) and context >= cap, ())
    return plain.workload.mean_output_tokens * (step_s + law.shared_s(seqs * ranks, seqs, prefill=False))


def _point(concurrency: int, plain: Result, drafted: Result) -> SpeculationPoint:
    pairs = zip(plain.replications[THROUGHPUT], drafted.replications[THROUGHPUT], strict=True)
    estimate = mean_interval([after / before - 1.0 for before, after in pairs])
    gain = Metric(drafted.scenario.name, GAIN, "fraction", estimate.value, estimate.low, estimate.high, estimate.note)
    return SpeculationPoint(concurrency, plain, drafted, gain)
