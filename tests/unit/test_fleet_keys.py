"""Every key about nodes, repair and planned work reaches the clock of days; what cannot be is refused."""

from __future__ import annotations

from dataclasses import fields, replace
from math import inf, isinf
from pathlib import Path

import pytest

import sim
from sim.errors import ScenarioError
from sim.faults.fleet_plan import Common, FleetPlan
from sim.faults.operation import Strategy
from sim.simulation.fleet_plan import fleet_plan
from sim.units import DAY_S, HOUR_S, YEAR_S
from tests.study_cases import tiny

WIDE = Path(__file__).parents[2] / "scenarios" / "glm52_elastic_ep_32xh100.yaml"


def of(changes: dict[str, object]) -> FleetPlan:
    return fleet_plan(tiny(changes))


def test_a_class_of_its_own() -> None:
    """Rate, repair, hang and work of one class change, the others keep theirs; the sum is the total then."""
    own = {
        "rate_per_1000_node_days": 3.0,
        "repair_mean_h": 50.0,
        "repair_sigma": 0.0,
        "hang_frac": 0.5,
        "hands_on_h": 7.0,
    }
    before, after = of({}), of({"reliability.fault_classes": {"gpu_rma": own}, "reliability.bad_repair_frac": 0.0})
    kinds = {kind.name: kind for kind in after.node_classes}
    rma = kinds["gpu_rma"]
    assert rma.rate_per_s * 1000.0 * DAY_S == pytest.approx(3.0)
    assert rma.repair is not None
    assert (rma.repair.mean_s, rma.repair.sigma, rma.hang_frac, rma.hands_on_s) == (50 * HOUR_S, 0.0, 0.5, 7 * HOUR_S)
    assert sum(kind.rate_per_s for kind in after.node_classes) * 1000.0 * DAY_S == pytest.approx(4.97 - 0.88 + 3.0)
    swap, usual = kinds["node_swap"], next(kind for kind in before.node_classes if kind.name == "node_swap")
    assert (swap.repair, swap.hang_frac, swap.hands_on_s) == (usual.repair, usual.hang_frac, usual.hands_on_s)


def test_a_class_of_its_own_goes_before_a_preset() -> None:
    """A preset takes the place of all repair laws but of those that the scenario states class by class."""
    plan = of({"reliability.repair": "managed", "reliability.fault_classes": {"net_link": {"repair_mean_h": 5.0}}})
    means = {kind.name: kind.repair.mean_s / HOUR_S for kind in plan.node_classes if kind.repair is not None}
    assert means.pop("net_link") == pytest.approx(5.0)
    assert set(means.values()) == {2.2}


def test_engines_and_detection() -> None:
    """Crashes and slow phases per month, hangs, warming, and compilation after a change of the model."""
    plan = of(
        {
            "reliability.engine_crashes_per_replica_month": 2.0,
            "reliability.slow_phases_per_replica_month": 0.0,
            "reliability.detect_hang_s": 42.0,
            "reliability.warming": {"duration_s": 500.0, "pace": 3.0},
            "reliability.cold_compile_s": 610.0,
        }
    )
    crash, slow = plan.replica_classes
    assert crash.rate_per_s * YEAR_S == pytest.approx(24.0)
    assert slow.rate_per_s == 0.0
    recovery = plan.recovery
    assert (recovery.detect_hang_s, recovery.warm_s, recovery.warm_pace, recovery.cold_s) == (42.0, 500.0, 3.0, 600.0)


def test_differences_between_nodes_are_not_counted_twice() -> None:
    """A gamma law of shape 2.7 beside bad repairs, of 0.93 without them, none for equal nodes."""
    assert of({}).frailty_shape == 2.7
    assert of({"reliability.bad_repair_frac": 0.0}).frailty_shape == 0.93
    assert isinf(of({"reliability.equal_nodes": True}).frailty_shape)


def test_shop_spares_and_rent() -> None:
    """Crews, parts, tests, lemons, cold spares and rent, each with the catalog's figure where it is left out."""
    plan = of(
        {
            "deployment.spare_nodes": 2,
            "reliability.repair_crews": 1,
            "reliability.parts": {"stock": 1},
            "reliability.requalify_s": 600.0,
            "reliability.lemons": {"faults": 5},
            "reliability.spares": {"powered": False, "rent": {"delay_s": 60.0}},
        }
    )
    shop, spares = plan.shop, plan.spares
    assert (shop.crews, shop.parts, shop.part_lead_s, shop.requalify_s) == (1, 1, 4 * DAY_S, 600.0)
    assert (shop.lemon_faults, shop.lemon_window_s, shop.replace_s) == (5, 30 * DAY_S, 4 * DAY_S)
    assert (spares.count, spares.fail, spares.start_s, spares.rent_success, spares.rent_delay_s) == (
        2, False, 900.0, 0.8, 60.0,
    )  # fmt: skip
    rma = next(kind for kind in plan.node_classes if kind.name == "gpu_rma")
    assert rma.needs_part
    assert rma.repair is not None
    assert rma.repair.mean_s == pytest.approx(9.3 * HOUR_S)  # the wait for the part comes on top


def test_early_faults() -> None:
    """Off, or with the amplitude and decay of the catalog."""
    assert of({}).early_amplitude == 0.0
    plan = of({"reliability.early_faults": {"amplitude": 4.0}})
    assert (plan.early_amplitude, plan.early_s) == (4.0, 30 * DAY_S)


@pytest.mark.parametrize(("rack", "shock"), [(4, 4), (8, 2), (2, 4)])
def test_shocks_take_their_share_of_the_faults(rack: int, shock: int) -> None:
    """Single faults and shocks together hit a node as often as single faults did; 5 % of it by shocks."""
    plan = of({"reliability.common_cause": {"rack_nodes": rack, "shock_nodes": shock}})
    alone = sum(kind.rate_per_s for kind in of({}).node_classes if kind.leaves)
    single = sum(kind.rate_per_s for kind in plan.node_classes if kind.leaves)
    shocks = plan.common.shock_per_s * min(rack, shock) / rack
    assert single == pytest.approx(0.95 * alone)
    assert shocks == pytest.approx(0.05 * alone)
    assert (plan.common.site_per_s * YEAR_S, plan.common.site.mean_s) == (pytest.approx(0.2), 3 * HOUR_S)
    assert of({}).common == Common()


def test_all_faults_by_shocks() -> None:
    """A share of one leaves no single faults that take a node."""
    plan = of({"reliability.common_cause": {"share_frac": 1.0}})
    assert sum(kind.rate_per_s for kind in plan.node_classes if kind.leaves) == 0.0
    assert plan.common.shock_per_s > 0.0


def test_elastic_ranks_follow_from_the_copies() -> None:
    """128 copies beside 256 experts on 32 ranks make up for 10; more is refused, and so is a layout without copies."""
    wide = sim.load(WIDE).with_({"deployment.layout.redundant_experts": 128})
    elastic = fleet_plan(wide).elastic
    assert elastic is not None
    assert (elastic.ranks_per_node, elastic.max_failed_ranks, elastic.overhead_frac) == (8, 10, 0.03)
    assert fleet_plan(wide.with_({"reliability.elastic_ep": None})).elastic is None
    with pytest.raises(ScenarioError, match=r"elastic_ep\.max_failed_ranks.*at most 10 of 32"):
        fleet_plan(wide.with_({"reliability.elastic_ep": {"max_failed_ranks": 11}}))
    with pytest.raises(ScenarioError, match=r"reliability\.elastic_ep.*redundant experts"):
        of({"reliability.elastic_ep": {}})


def test_planned_work() -> None:
    """Without the section the catalog's upgrades; an empty one means none; a name of one's own needs an interval."""
    assert [operation.name for operation in of({}).operations] == ["engine_upgrade", "driver_upgrade"]
    assert of({"operations": {}}).operations == ()
    plan = of(
        {
            "operations": {
                "model_change": {"window": {"days": ["sun", "sat"], "from_h": 2.0, "to_h": 6.0}},
                "weight_swap": {},
                "engine_upgrade": {"strategy": "canary", "first_days": 3.0},
                "audit": {"interval_days": 10.0, "work_h": 1.0, "strategy": "blue_green"},
            }
        }
    )
    change, swap, upgrade, audit = plan.operations
    assert change.window is not None
    assert (change.window.days, change.window.from_s, change.cold) == ((5, 6), 2 * HOUR_S, True)
    assert (swap.strategy, swap.pause_s) == (Strategy.IN_PLACE, 14.0)
    assert (upgrade.strategy, upgrade.soak_s, upgrade.first_s) == (Strategy.CANARY, 14_400.0, 3 * DAY_S)
    assert (audit.first_s, audit.work_s, audit.drain_s) == (5 * DAY_S, HOUR_S, 0.0)
    with pytest.raises(ScenarioError, match=r"operations\.audit\.interval_days"):
        of({"operations": {"audit": {}}})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reliability.fault_classes": {"gpu_rm": {}}}, r"did you mean 'gpu_rma'"),
        ({"operations": {"engine_upgrade": {"window": {"from_h": 5.0, "to_h": 2.0}}}}, "must open before it closes"),
        ({"operations": {"engine_upgrade": {"strategy": "big_bang"}}}, "rolling, in_place, blue_green, canary"),
        ({"reliability.common_cause": {"share_frac": 1.5}}, r"reliability\.common_cause\.share_frac"),
        ({"reliability.warming": {"duration_s": 5.0, "pace": 0.5}}, r"reliability\.warming\.pace"),
        ({"operations": {"Upgrade!": {}}}, "operations"),
    ],
)
def test_bad_values_are_named(changes: dict[str, object], message: str) -> None:
    """One sentence with the key and what would be valid."""
    with pytest.raises(ScenarioError, match=message):
        tiny(changes)


def test_every_field_of_the_plan_can_be_set_by_a_scenario() -> None:
    """Of a plan nothing stays at its default but what is no matter of the scenario's fleet."""
    own = {"uptime_shape", "survivors_fail", "injected"}
    changed = fleet_plan(
        sim.load(WIDE).with_(
            {
                "deployment.spare_nodes": 1,
                "reliability.elastic_ep": {},
                "reliability.common_cause": {},
                "reliability.early_faults": {},
                "reliability.repair_crews": 2,
            }
        )
    )
    defaults = FleetPlan(nodes=(1,), recovery=replace(changed.recovery, restart_s=(0.0,)))
    for field in fields(FleetPlan):
        if field.name not in own | {"nodes"}:
            assert getattr(changed, field.name) != getattr(defaults, field.name), field.name
    assert defaults.frailty_shape == inf


def test_a_scenario_without_the_keys_is_as_before() -> None:
    """The resolved scenario names every key, and loads to the same plan again."""
    scenario = tiny()
    again = sim.parse(scenario.resolved())
    assert fleet_plan(again) == fleet_plan(scenario)
