"""What a simulated scenario came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from sim.errors import SimError, nearest
from sim.measure.histogram import LogHistogram
from sim.scenario.scenario import Scenario
from sim.simulation.infeasible import Infeasible
from sim.study.assumed import AssumedInput
from sim.study.metric import Metric

if TYPE_CHECKING:
    import pandas as pd

Status = Literal["completed", "over_capacity", "infeasible"]
TIMELINE = ("replication", "time_s", "running", "waiting", "kv_used_frac", "replicas_up")


@dataclass(frozen=True, slots=True)
class CostLine:
    """One line of an option's yearly ledger."""

    option: str
    line: str
    usd_per_year: float
    status: str


@dataclass(frozen=True, slots=True)
class Result:
    """One scenario, simulated; or the reason why it was not.

    Attributes
    ----------
    scenario : as it was run.
    status : `completed`; `over_capacity` when the cluster did not keep up, so that latencies depend on the length of
        the run; `infeasible` when there was nothing to run.
    infeasible : the named reason with the smallest thing that would work; None when completed.
    metrics : every figure, with its interval.
    counts : requests by fate over the whole of all replications, and `measured`.
    warnings : sentences a reader must know.
    assumed_inputs : inputs without a measurement behind them on which the result depends.
    ledger : yearly cost by option and line; the cost figures are its sums.
    replications : tidy values by replication: {metric: one value per replication}.
    histograms : pooled latencies, by name as `ttft_s`.
    timeline : rows of `TIMELINE`.
    requests : one row per completed request where asked for, as {column: values}.
    manifest : scenario hash, versions, seed, wall time, event counts.
    """

    scenario: Scenario
    status: Status
    infeasible: Infeasible | None = None
    metrics: tuple[Metric, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    assumed_inputs: tuple[AssumedInput, ...] = ()
    ledger: tuple[CostLine, ...] = ()
    replications: Mapping[str, Sequence[float]] = field(default_factory=dict)
    histograms: Mapping[str, LogHistogram] = field(default_factory=dict)
    timeline: Sequence[tuple[float, ...]] = ()
    requests: Mapping[str, Sequence[float]] | None = None
    manifest: Mapping[str, Any] = field(default_factory=dict)

    def metric(self, name: str, option: str | None = None) -> Metric:
        """One figure by name, as `ttft_p95_s`; for cost figures also the option, as `rented_on_demand`.

        Raises
        ------
        SimError : there is no such figure.
        """
        for metric in self.metrics:
            if metric.metric == name and option in (None, metric.option):
                return metric
        names = list(dict.fromkeys(metric.metric for metric in self.metrics))
        close = nearest(name, names)
        hint = f"; did you mean {close!r}?" if close else ""
        raise SimError(f"the result has no metric {name!r}{hint}; it has {', '.join(names) or 'none'}")

    def value(self, name: str, option: str | None = None) -> float:
        """Value of one figure; NaN where it cannot be given."""
        value = self.metric(name, option).value
        return float("nan") if value is None else value

    def frame(self) -> pd.DataFrame:
        """All figures, tidy: option, metric, unit, value, low, high, note."""
        import pandas as pd

        return pd.DataFrame([metric.as_dict() for metric in self.metrics], columns=list(Metric.__slots__))

    def timeline_frame(self) -> pd.DataFrame:
        """The cluster's state over time: one row per sample and replication."""
        import pandas as pd

        return pd.DataFrame(list(self.timeline), columns=list(TIMELINE))

    def requests_frame(self) -> pd.DataFrame:
        """One row per completed request.

        Raises
        ------
        SimError : the scenario does not set `run.record_requests`.
        """
        import pandas as pd

        if self.requests is None:
            raise SimError("no request rows were kept: set run.record_requests to true")
        return pd.DataFrame(dict(self.requests))

    def as_dict(self) -> dict[str, Any]:
        """Plain form for JSON."""
        return {
            "scenario": self.scenario.name,
            "status": self.status,
            "infeasible": None if self.infeasible is None else self.infeasible.as_dict(),
            "metrics": [metric.as_dict() for metric in self.metrics],
            "counts": dict(self.counts),
            "warnings": list(self.warnings),
            "assumed_inputs": [item.as_dict() for item in self.assumed_inputs],
            "manifest": dict(self.manifest),
        }
