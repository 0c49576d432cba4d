"""`sim availability`: theory where theory holds, and what it prints."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import sim
from sim.errors import ScenarioError
from sim.faults.tally import State
from sim.report.availability_plot import save_availability_plot
from sim.report.availability_text import availability_dict, availability_text, share_of_time
from sim.report.json_text import to_json
from sim.simulation.fault_classes import NODE_CLASSES
from sim.simulation.fleet_plan import fleet_plan
from sim.stats.estimate import Estimate
from sim.stats.mean import standard_error
from sim.study.availability.availability import Availability, availability
from sim.study.availability.closed_forms import closed_form
from sim.study.availability.histories import histories
from sim.study.availability.spares import with_spares
from sim.study.availability.what_ifs import changes_of
from sim.units import HOUR_S, YEAR_S
from tests.fault_cases import Z
from tests.study_cases import QUICK_RESTART, tiny

AT_ONCE = dict.fromkeys(QUICK_RESTART["reliability.restart"], 0.0)
PLAIN: dict[str, Any] = {
    "reliability.node_faults_per_1000_node_days": 5.0,
    "reliability.fault_classes": {
        name: {"rate_per_1000_node_days": 0.0} for name in ("software_crash", "sdc", "thermal")
    },
    "reliability.bad_repair_frac": 0.0,
    "reliability.equal_nodes": True,
    "reliability.engine_crashes_per_replica_month": 0.0,
    "reliability.slow_phases_per_replica_month": 0.0,
    "reliability.detect_s": 0.0,
    "reliability.detect_hang_s": 0.0,
    "reliability.restart": AT_ONCE,
    "operations": {},
}
# replicas, nodes of each, repair, share of time with all of them by number of spare nodes
DECISIONS = (
    (1, 2, "urgent", (0.98759, 0.99988, 1.0)),
    (1, 2, "trace", (0.94687, 0.99786, 0.99992, 1.0)),
    (1, 4, "urgent", (0.97533, 0.99962, 0.99999)),
    (1, 4, "trace", (0.89656, 0.99313, 0.99963, 0.99998)),
    (2, 2, "urgent", (0.97533, 0.99962, 0.99999)),
    (2, 2, "trace", (0.89656, 0.99313, 0.99963, 0.99998)),
    (2, 4, "urgent", (0.95126, 0.99864, 0.99997)),
    (2, 4, "trace", (0.80381, 0.97698, 0.99797, 0.99985)),
    (4, 2, "trace", (0.80381, 0.97698, 0.99797, 0.99985)),
    (4, 4, "urgent", (0.90489, 0.99505, 0.99982)),
    (4, 4, "trace", (0.64611, 0.92451, 0.98823, 0.99853)),
    (8, 4, "urgent", (0.81883, 0.98199, 0.99875)),
    (8, 4, "trace", (0.41746, 0.77721, 0.93706, 0.98584)),
)


def plain(replicas: int, nodes: int, repair: str, more: dict[str, Any] | None = None) -> sim.Scenario:
    """Nodes that fail by one law and are repaired; nothing else happens."""
    layout = {"tensor_parallel_size": 8, "pipeline_parallel_size": nodes}
    changes = {"deployment.replicas": replicas, "deployment.layout": layout, "reliability.repair": repair}
    return tiny(PLAIN | changes | (more or {}))


@pytest.fixture(scope="module")
def usual() -> Availability:
    return availability(tiny({"deployment.replicas": 2}), years=2.0, fleets=40, workers=1)


@pytest.mark.parametrize(("replicas", "nodes", "repair", "table"), DECISIONS)
def test_the_decision_table_by_theory(replicas: int, nodes: int, repair: str, table: tuple[float, ...]) -> None:
    """Published shares of time with all replicas, for each number of hot spares, within 0.0005."""
    plan = fleet_plan(plain(replicas, nodes, repair))
    assert plan.nodes == (nodes,) * replicas
    for spares, expected in enumerate(table):
        found = closed_form(with_spares(plan, spares))
        assert found.all_up_frac == pytest.approx(expected, abs=0.0005)
        assert found.all_up_frac == found.nodes_frac  # nothing to detect or restart
    assert abs(closed_form(with_spares(plan, 0)).nodes_frac - table[1]) > 0.0005  # the table tells spares apart


@pytest.mark.parametrize(
    ("replicas", "nodes", "repair", "table"),
    [row if row[0] * row[1] <= 4 else pytest.param(*row, marks=pytest.mark.long) for row in DECISIONS],
)
def test_the_decision_table_simulated(replicas: int, nodes: int, repair: str, table: tuple[float, ...]) -> None:
    """The simulated share of time agrees with the same table, at every number of spares that it can resolve."""
    counts = [spares for spares, share in enumerate(table) if share < 0.9999]
    found = availability(plain(replicas, nodes, repair), years=40.0, fleets=80, spares=counts, what_if=False)
    for line in found.spares:
        assert line.up_frac.value is not None
        assert line.up_frac.high is not None
        error = (line.up_frac.high - line.up_frac.value) / 1.99
        assert abs(line.up_frac.value - line.theory.nodes_frac) < Z * error, line


def test_one_crew_is_not_what_theory_has() -> None:
    """Where repairs wait for each other, the simulation leaves the closed form by more than the bound."""
    scenario = plain(4, 1, "trace", {"reliability.repair_crews": 1})
    line = availability(scenario, years=40.0, fleets=80, spares=[1], what_if=False).spares[-1]
    assert line.up_frac.value is not None
    assert line.up_frac.high is not None
    assert line.theory.nodes_frac - line.up_frac.value > Z * (line.up_frac.high - line.up_frac.value) / 1.99


@pytest.mark.parametrize("spares", [0, 1])
def test_restarts_and_planned_work_are_in_theory(spares: int) -> None:
    """Detection, hangs, restarts, engine crashes and upgrades: theory to first order within 3 % of the time short."""
    changes = {
        "deployment.replicas": 2,
        "deployment.spare_nodes": spares,
        "reliability.equal_nodes": True,
        "reliability.repair": "managed",
        "reliability.slow_phases_per_replica_month": 0.0,
        "reliability.fault_classes": {name: {"rate_per_1000_node_days": 0.0} for name in ("sdc", "thermal")},
        "operations": {"engine_upgrade": {"interval_days": 20.0}},
    }
    plan = fleet_plan(tiny(changes))
    short = [1.0 - tally.at_least_frac(2) for tally in histories(plan, 20 * YEAR_S, 60, seed=3, workers=1)]
    theory = 1.0 - closed_form(plan).all_up_frac
    assert abs(np.mean(short) - theory) < Z * standard_error(short) + 0.03 * theory
    without = 1.0 - closed_form(replace(plan, operations=())).all_up_frac
    assert abs(np.mean(short) - without) > Z * standard_error(short) + 0.03 * theory


def test_cold_spares_have_the_chain_of_the_repairman() -> None:
    """Cold spares: four nodes with one, exponential repair; hot theory is another number."""
    own = {name: {"rate_per_1000_node_days": 0.0} for name in NODE_CLASSES if name != "gpu_reset"}
    own["gpu_reset"] = {"rate_per_1000_node_days": 100.0, "repair_mean_h": 24.0}
    changes = {
        "reliability.node_faults_per_1000_node_days": None,
        "reliability.repair": None,
        "reliability.fault_classes": own,
        "reliability.spares": {"powered": False, "start_s": 0.0},
    }
    scenario = plain(4, 1, "urgent", changes)
    line = availability(scenario, years=5.0, fleets=60, spares=[1], what_if=False).spares[-1]
    assert line.theory.nodes_frac == pytest.approx(0.9406023080, abs=1e-9)  # 240 h and 24 h: the golden chain
    assert line.theory.law == "repairman, cold spares"
    assert line.up_frac.value is not None
    assert line.up_frac.high is not None
    assert abs(line.up_frac.value - line.theory.nodes_frac) < Z * (line.up_frac.high - line.up_frac.value) / 2.0


def test_without_faults_nothing_is_ever_down() -> None:
    """No faults, no planned work: all the time, exactly."""
    quiet = {"reliability.node_faults_per_1000_node_days": 0.0, "reliability.engine_crashes_per_replica_month": 0.0}
    found = availability(tiny(quiet | {"operations": {}}), years=1.0, fleets=3, what_if=False, workers=1)
    assert [line.up_frac.value for line in found.spares] == [1.0] * 4
    assert found.law[1].value == 1.0
    assert all(line.theory.all_up_frac == 1.0 for line in found.spares)


def test_times_add_up(usual: Availability) -> None:
    """States fill the life of the replicas; causes fill what is down; the law falls."""
    per_year = {state: hours.value or 0.0 for state, hours in usual.states.items()}
    hours = YEAR_S / HOUR_S
    assert sum(per_year.values()) == pytest.approx(2 * hours)
    down = sum(line.down_h.value or 0.0 for line in usual.causes)
    assert down == pytest.approx(2 * hours - per_year[State.UP] - per_year[State.DEGRADED])
    law = [share.value or 0.0 for share in usual.law]
    assert law[0] == pytest.approx(1.0)
    assert law == sorted(law, reverse=True)
    by_name = {metric.metric: metric.value for metric in usual.metrics}
    assert by_name["available_frac"] == law[2]
    assert by_name["short_h_per_year"] == pytest.approx((1.0 - law[2]) * hours)
    assert by_name["dark_h_per_year"] == pytest.approx((1.0 - law[1]) * hours)
    replica_s = by_name["capacity_frac"]
    assert replica_s == pytest.approx((per_year[State.UP]) / (2 * hours))


def test_more_spares_never_take_availability() -> None:
    """The same nodes with one spare more have at least as many replicas up, fleet by fleet on average."""
    plan = fleet_plan(tiny({"deployment.replicas": 3}))
    up = [
        np.mean([tally.at_least_frac(3) for tally in histories(with_spares(plan, count), YEAR_S, 40, 1)])
        for count in range(2)
    ]
    assert 1.0 - up[1] < 0.5 * (1.0 - up[0])  # the first one takes away most of what is short
    means = [
        np.mean([tally.nodes_away_at_most_frac(count) for tally in histories(with_spares(plan, count), YEAR_S, 40, 1)])
        for count in range(4)
    ]
    assert means == sorted(means)


def test_the_same_fleets_for_any_number_of_workers() -> None:
    """Bit for bit, whatever the parts are."""
    plan = fleet_plan(tiny({"deployment.replicas": 2, "deployment.spare_nodes": 1}))
    one, two = (histories(plan, YEAR_S, 7, 5, workers=workers) for workers in (1, 2))
    assert [tally.state_s for tally in one] == [tally.state_s for tally in two]
    assert [tally.faults for tally in one] == [tally.faults for tally in two]


def test_what_ifs_leave_out_what_is_so_already() -> None:
    """A preset that is set, one crew, common causes and rent do not come twice; what is changed does something."""
    first = changes_of(tiny())
    assert "one repair at a time" in first
    chosen = tiny(
        {
            "reliability.repair": "trace",
            "reliability.repair_crews": 1,
            "reliability.common_cause": {},
            "reliability.spares": {"rent": {}},
            "deployment.spare_nodes": 1,
            "operations": {},
        }
    )
    names = set(changes_of(chosen))
    assert not names & {
        "one repair at a time",
        "repair as in the StepFun trace (mean 133 h)",
        "shocks of a rack and outages of the site",
        "nodes rented while a replica waits",
        "no planned work",
    }
    assert {"no shocks, no outages of the site", "cold spares"} <= names
    for scenario in (tiny(), chosen):
        for name, changes in changes_of(scenario).items():
            assert fleet_plan(scenario.with_(changes)) != fleet_plan(scenario), name


def test_more_replicas_needed_than_there_are() -> None:
    """One sentence."""
    with pytest.raises(ScenarioError, match=r"needed.*1 to 1 replicas"):
        availability(tiny(), needed=2)


def test_what_is_printed(usual: Availability) -> None:
    """Headline, spares with theory, causes, on call, what it rests on; JSON has the same."""
    text = availability_text(usual)
    for part in ("All 2 replicas are up", "theory", "gpu_rma", "On call", "What it rests on", "Assumed inputs"):
        assert part in text
    assert max(map(len, text.splitlines())) <= 100
    found = json.loads(to_json(availability_dict(usual)))
    assert [line["spares"] for line in found["spares"]] == [0, 1, 2, 3]
    assert {line["cause"] for line in found["causes"]} >= {*NODE_CLASSES, "engine_crash", "engine_upgrade"}
    assert len(found["assumed"]) > 40
    assert "bad_repair.probability" not in " ".join(item["name"] for item in found["assumed"])  # that is measured


@pytest.mark.parametrize(
    ("estimate", "shown"),
    [
        (Estimate(0.9904513, 0.98945, 0.99145), ("99.05 %", "98.95 to 99.15")),
        (Estimate(0.99923, 0.99921, 0.99925), ("99.923 %", "99.921 to 99.925")),
        (Estimate(0.99999966, 0.999999, 1.0000001), ("99.999966 %", "99.999900 to 100.000000")),
        (Estimate(1.0, 1.0, 1.0), ("100.00 %", "100.00 to 100.00")),
        (Estimate(None, note="why"), ("n/a", "")),
    ],
)
def test_availability_is_shown_by_what_is_missing(estimate: Estimate, shown: tuple[str, str]) -> None:
    """Two digits of the time short, so that 99.92 and 99.93 do not look alike."""
    assert share_of_time(estimate) == shown


def test_the_picture_is_drawn(usual: Availability, tmp_path: Any) -> None:
    """One file, not empty."""
    path = tmp_path / "availability.png"
    save_availability_plot(usual, path)
    assert path.stat().st_size > 10_000
