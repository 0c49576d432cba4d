"""What a run reports about faults, by cause: how many there were, and the time that replicas spent in their wake."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from sim.engine.autoscaler import CAUSE as SCALING
from sim.engine.cluster import Outcome
from sim.engine.conditions import Condition
from sim.stats.mean import mean_interval
from sim.study.metric import Metric

PREFIX = "faults_"
WAKE = (
    Condition.DOWN, Condition.HUNG, Condition.PAUSED, Condition.DRAINING, Condition.DEGRADED, Condition.SLOW
)  # fmt: skip


def fault_counts(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """Faults of nodes that stood in a replica, and faults of any replica by class as `faults_CLASS`."""
    causes = Counter(strike.cause for outcome in outcomes for strike in outcome.strikes if strike.replica is not None)
    by_cause = {f"{PREFIX}{cause}": count for cause, count in sorted(causes.items())}
    return {"node_faults": sum(outcome.node_faults for outcome in outcomes), **by_cause}


def fault_metrics(option: str, outcomes: Sequence[Outcome]) -> Iterator[Metric]:
    """Replica-seconds in each condition by cause, as `down_CLASS_s`: the mean of the runs, warm-up included.

    Only what happened is there; an autoscaler's draining is no fault.
    """
    seconds: dict[tuple[Condition, str], list[float]] = {}
    for index, outcome in enumerate(outcomes):
        for _, condition, cause, spent_s in outcome.conditions:
            if condition in WAKE and cause != SCALING:
                seconds.setdefault((condition, cause), [0.0] * len(outcomes))[index] += spent_s
    for condition, cause in sorted(seconds, key=lambda key: (WAKE.index(key[0]), key[1])):
        yield Metric.of(option, f"{condition}_{cause}_s", "s", mean_interval(seconds[condition, cause]))
