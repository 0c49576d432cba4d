"""Four utilisations that are often mixed up, as figures of a result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sim.cost.utilisation import Utilisations
from sim.scenario.scenario import Scenario
from sim.simulation.roles import nodes_in_service
from sim.study.metric import Metric
from sim.study.rates import RATES
from sim.study.window import Window

REASONS = {
    "sm_active_frac": "not modelled: it counts processors that are awake, not work done",
    "delivered_frac": "needs the capacity within the service level, which takes a load curve (scenarios/load_curve.py)",
}


def utilisation_metrics(scenario: Scenario, windows: Sequence[Window]) -> Iterator[Metric]:
    """SM-active, occupied time, delivered over capacity, reserved over purchased; None with its reason."""
    rate = next(rate for rate in RATES if rate.metric == "occupied_frac")
    occupied = Metric.of(scenario.name, "utilisation_occupied_frac", "fraction", rate.estimate(windows))
    nodes = nodes_in_service(scenario)
    reserved = nodes / (nodes + scenario.deployment.spare_nodes)
    reasons = dict(REASONS)
    if occupied.value is None:
        reasons["occupied_time_frac"] = occupied.note
    seen = Utilisations(None, occupied.value, None, reserved, reasons)
    yield _metric(scenario, "sm_active", seen.sm_active_frac, seen.reasons.get("sm_active_frac", ""))
    yield occupied
    yield _metric(scenario, "delivered", seen.delivered_frac, seen.reasons.get("delivered_frac", ""))
    yield _metric(scenario, "reserved", seen.reserved_frac, "")


def _metric(scenario: Scenario, name: str, value: float | None, note: str) -> Metric:
    return Metric(scenario.name, f"utilisation_{name}_frac", "fraction", value, note=note)
