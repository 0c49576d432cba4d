"""From a scenario to its fleet on the clock of days."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sim.faults.phases import exponential
from sim.scenario.reliability import Reliability
from sim.simulation.fault_classes import node_classes
from sim.simulation.fleet_plan import fleet_plan, replicas_by_pool
from sim.simulation.operations import operations
from sim.study.annual.scenario_year import years_of
from sim.units import DAY_S, HOUR_S
from tests.annual_cases import busy


def test_classes_share_the_rate_of_node_faults_less_bad_repairs() -> None:
    """Their rates add up to the total but for faults that come back; twice the total is twice each."""
    once, twice, none = (node_classes(Reliability(node_faults_per_1000_node_days=rate)) for rate in (5.0, 10.0, 0.0))
    leave = sum(kind.rate_per_s for kind in once if kind.leaves) * 1000.0 * DAY_S
    stay = sum(kind.rate_per_s for kind in once if not kind.leaves) * 1000.0 * DAY_S
    assert leave / (1.0 - 0.22) + stay == pytest.approx(5.0)  # an engine that restarts has no repair to go wrong
    assert [kind.rate_per_s for kind in twice] == pytest.approx([2.0 * kind.rate_per_s for kind in once])
    assert sum(kind.rate_per_s for kind in none) == 0.0


def test_repair_is_that_of_the_class_or_that_of_the_scenario() -> None:
    """Node-removing classes wait 25.9 h in the mean; a preset that is named takes the place of all of them."""
    kinds = [kind for kind in node_classes(Reliability()) if kind.repair is not None]
    weights = [kind.rate_per_s for kind in kinds]
    means_h = [kind.repair.mean_s / HOUR_S for kind in kinds if kind.repair is not None]
    assert float(np.average(means_h, weights=weights)) == pytest.approx(25.9, abs=0.1)
    same = exponential(2.2 * HOUR_S)
    assert {kind.repair for kind in node_classes(Reliability(repair="managed"))} == {None, same}
    urgent = fleet_plan(busy({"reliability.repair": "urgent"})).node_classes
    assert [kind.repair.mean_s / HOUR_S for kind in urgent if kind.repair is not None] == pytest.approx([30.075] * 8)


def test_years_have_as_many_events_as_their_rates_say() -> None:
    """Engine crashes per replica and upgrades by their intervals, counted over 400 years."""
    scenario = busy({"deployment.spare_nodes": 1})
    found = years_of(scenario, 400, workers=1)
    crashes = sum(event.cause == "engine_crash" for event in found.events)
    expected = 2 * 400 * 365.0 / 30.0
    assert abs(crashes - expected) < 4.5 * math.sqrt(expected) + 0.01 * expected  # replicas that are down do not crash
    upgrades = sum(event.cause == "engine_upgrade" for event in found.events) / 400
    assert upgrades == pytest.approx(2 * 365.0 * (1 / 30 - 1 / 90), rel=0.05)  # each third meets a driver upgrade
    assert replicas_by_pool(scenario) == found.pools == (2,)
    assert [work.name for work in operations(scenario)] == ["engine_upgrade", "driver_upgrade"]


def test_the_same_years_for_any_number_of_workers() -> None:
    """Bit for bit."""
    assert years_of(busy(), 20, workers=1).realisations == years_of(busy(), 20, workers=2).realisations
