"""The clock of days agrees with closed forms, and a broken one does not."""

from __future__ import annotations

from dataclasses import replace
from math import exp, inf

import numpy as np
import pytest

from sim.faults.fault_class import FaultClass
from sim.faults.fleet_plan import Common, Elastic, FleetPlan, Recovery, Shop, Spares
from sim.faults.operation import Operation, Strategy
from sim.faults.phases import Phases, exponential, lognormal
from sim.faults.timeline import Timeline
from sim.oracle.availability import k_of_n, restart_availability, unit_availability
from sim.oracle.episodes import elastic_capacity
from sim.oracle.repairman import Repairman
from sim.streams import Streams
from sim.units import DAY_S, HOUR_S
from tests.fault_cases import Z, fleet, tallies, z_score

HOURS = 1e5


def test_six_units_with_a_crew_each() -> None:
    """G4: four of six are up 0.9878293776 of the time, and it falls below 0.00141118483 times an hour."""
    found = tallies(fleet(6), HOURS)
    assert abs(z_score(found, lambda tally: tally.at_least_frac(4), 0.9878293776)) < Z
    per_h = [tally.drops[4] / HOURS for tally in found]
    assert abs(z_score(found, lambda tally: tally.drops[4] / HOURS, 0.00141118483)) < Z, per_h


@pytest.mark.parametrize(("crews", "theory"), [(1, 0.9205783170), (2, 0.9804072612)])
def test_few_crews(crews: int, theory: float) -> None:
    """G4b, G4c: one and two crews for six units."""
    found = tallies(fleet(6, crews=crews), HOURS)
    assert abs(z_score(found, lambda tally: tally.at_least_frac(4), theory)) < Z
    wrong = tallies(fleet(6, crews=crews + 1), HOURS)
    assert abs(z_score(wrong, lambda tally: tally.at_least_frac(4), theory)) > Z


def test_number_of_units_under_repair_with_one_crew() -> None:
    """G4b: the whole law of units down, and 0.8451490368 down in the mean."""
    found = tallies(fleet(6, crews=1), HOURS)
    theory = Repairman(6, 240.0 * HOUR_S, 24.0 * HOUR_S, crews=1)
    for down, share in enumerate(theory.probabilities[:5]):
        assert abs(z_score(found, lambda tally, n=down: tally.up_s[6 - n] / tally.horizon_s, float(share))) < Z
    mean = 0.8451490368
    assert abs(z_score(found, lambda tally: sum(s * n for n, s in tally.away_s.items()) / tally.horizon_s, mean)) < Z


def test_laws_do_not_matter_with_a_crew_each() -> None:
    """G4d: Weibull times to failure of shape 0.7 and lognormal repairs give the same as exponential ones."""
    plan = fleet(6, repair=lognormal(24.0 * HOUR_S, 1.2), uptime_shape=0.7)
    found = tallies(plan, HOURS, replications=32)
    assert abs(z_score(found, lambda tally: tally.at_least_frac(4), 0.9878293776)) < Z
    longer = tallies(fleet(6, repair=lognormal(30.0 * HOUR_S, 1.2), uptime_shape=0.7), HOURS, replications=32)
    assert abs(z_score(longer, lambda tally: tally.at_least_frac(4), 0.9878293776)) > Z


def test_a_cold_spare() -> None:
    """G5: four units with a cold spare are all up 0.9406023080 of the time; a hot one fails too, and gives less."""
    found = tallies(fleet(4, spares=1, spares_fail=False), HOURS)
    assert abs(z_score(found, lambda tally: tally.at_least_frac(4), 0.9406023080)) < Z
    hot = tallies(fleet(4, spares=1), HOURS)
    assert abs(z_score(hot, lambda tally: tally.at_least_frac(4), 0.9406023080)) > Z
    a = unit_availability(240.0, 24.0)
    assert abs(z_score(hot, lambda tally: tally.at_least_frac(4), k_of_n(4, 5, a))) < Z


def test_survivors_fail_or_rest() -> None:
    """G2 and G2s: a replica of four nodes, 4,800 h and 12 h, with survivors that go on failing and that rest."""
    powered = fleet(1, 4800.0, exponential(12.0 * HOUR_S), nodes=4)
    found = tallies(powered, 1e6)
    assert abs(z_score(found, lambda tally: tally.at_least_frac(1), 0.9900621889)) < Z
    resting = replace(fleet(1, 40.0, exponential(12.0 * HOUR_S), nodes=4), survivors_fail=False)
    found = tallies(resting, 5e4)
    theory = 1.0 / (1.0 + 4 * 12.0 / 40.0)
    assert abs(z_score(found, lambda tally: tally.at_least_frac(1), theory)) < Z
    assert abs(z_score(found, lambda tally: tally.at_least_frac(1), unit_availability(40.0, 12.0) ** 4)) > Z


def test_detection_and_restart_begin_anew_with_each_fault() -> None:
    """A group on ample spares is up when no fault came within detection and restart."""
    plan = fleet(1, 400.0, exponential(HOUR_S), nodes=4, spares=16, detect_s=2 * HOUR_S, restart_s=8 * HOUR_S)
    theory = restart_availability(4 / (400.0 * HOUR_S), 10 * HOUR_S)
    found = tallies(plan, 1e5)
    assert abs(z_score(found, lambda tally: tally.at_least_frac(1), theory)) < Z


@pytest.mark.parametrize(("restart_s", "theory"), [(348.0, 0.9999194509), (1500.0, 0.9996528983)])
def test_a_hot_spare_leaves_the_restart(restart_s: float, theory: float) -> None:
    """G13: four nodes at 5 faults per 1,000 node-days, a spare always at hand, restarts of 348 s and 1,500 s."""
    plan = fleet(1, 4800.0, exponential(3.6), nodes=4, spares=8, restart_s=restart_s)
    found = tallies(plan, 2e6)
    assert abs(z_score(found, lambda tally: tally.at_least_frac(1), theory)) < Z
    slower = tallies(fleet(1, 4800.0, exponential(3.6), nodes=4, spares=8, restart_s=1.3 * restart_s), 2e6)
    assert abs(z_score(slower, lambda tally: tally.at_least_frac(1), theory)) > Z


def test_without_a_spare_the_repair_counts() -> None:
    """G13: no spare and 24 h of repair, survivors resting: 0.9803147355 with the restart of 348 s."""
    plan = fleet(1, 4800.0, exponential(24.0 * HOUR_S), nodes=4, restart_s=348.0)
    found = tallies(replace(plan, survivors_fail=False), 2e6)
    assert abs(z_score(found, lambda tally: tally.at_least_frac(1), 0.9803147355)) < Z


def elastic_fleet(per_h: float, pauses_h: tuple[float, float], degraded_h: float) -> FleetPlan:
    """One replica of four ranks, on a node each, whose processes die and come back."""
    kind = FaultClass("process", per_h / 4 / HOUR_S)
    elastic = Elastic(1, 4, pause_fail_s=pauses_h[0] * HOUR_S, pause_rejoin_s=pauses_h[1] * HOUR_S)
    recovery = Recovery(0.0, 0.0, ((degraded_h + pauses_h[0]) * HOUR_S,))
    return FleetPlan(nodes=(4,), recovery=recovery, node_classes=(kind,), elastic=elastic)


def test_elastic_capacity() -> None:
    """G13b and G13c: mean capacity with pauses and three quarters of the ranks; full restarts lose far more.

    The closed form has no fault while degraded, so it is met where faults are rare, and approached from below where
    they are not: 0.9950937485 at 8.3 faults in 10,000 h, 0.9770062710 at one in 100 h.
    """
    pauses, rate = (11 / 3600, 8 / 3600), 4 * 5e-3 / 24
    rare = 1e-5
    found = tallies(elastic_fleet(rare, pauses, 24.0), 2e7)
    theory = elastic_capacity(rare, sum(pauses), 24.0, 0.75)
    assert abs(z_score(found, lambda tally: tally.capacity_s / tally.horizon_s, theory)) < Z
    for per_h, times, degraded_h in ((rate, pauses, 24.0), (0.01, (0.02, 0.01), 10.0)):
        plan = elastic_fleet(per_h, times, degraded_h)
        found = tallies(plan, 2e3 / per_h)
        mean = float(np.mean([tally.capacity_s / tally.horizon_s for tally in found]))
        theory = elastic_capacity(per_h, sum(times), degraded_h, 0.75)
        assert theory - 1.5 * (1 - theory) * per_h * degraded_h < mean < theory + 1e-4
        assert not any(tally.drops[1] for tally in found), "an elastic replica does not go down"
        whole = tallies(replace(plan, elastic=None), 2e3 / per_h)
        assert 1.0 - np.mean([tally.capacity_s / tally.horizon_s for tally in whole]) > 2.5 * (1.0 - mean)


def test_pauses_cost_capacity() -> None:
    """Pauses of 0.4 h and 0.3 h around half an hour at three quarters: most of what a fault costs is the pauses."""
    pauses, rate = (0.4, 0.3), 1e-3
    found = tallies(elastic_fleet(rate, pauses, 0.5), 1e6)
    capacity = lambda tally: tally.capacity_s / tally.horizon_s
    assert abs(z_score(found, capacity, elastic_capacity(rate, sum(pauses), 0.5, 0.75))) < Z
    assert abs(z_score(found, capacity, elastic_capacity(rate, 1e-9, 0.5, 0.75))) > Z


def test_a_slow_node_is_slow_on_top_of_what_elasticity_costs() -> None:
    """Steps take 1.3 times those of an elastic replica while a node is slow, and those again afterwards."""
    slow = FaultClass("slow", 1.0 / DAY_S, slow_s=exponential(HOUR_S), pace=1.3)
    plan = replace(elastic_fleet(0.0, (0.01, 0.01), 1.0), node_classes=(slow,))
    assert plan.elastic is not None
    line = Timeline(replace(plan, elastic=replace(plan.elastic, overhead_frac=0.1)), Streams(3), record=True)
    line.run(20 * DAY_S)
    paces = {round(step.value, 9) for step in line.transitions}
    assert paces == {1.1, 1.43}


def test_a_common_shock() -> None:
    """Two nodes with a rack shock every 8,760 h: time with both up and with none, as the chain of three states has it.

    The shock takes both for repairs of their own, unlike G14b, where the rack has one repair; with shocks of single
    nodes at the same rate hardly ever both are down.
    """
    kind = FaultClass("fault", 1.0 / (4800.0 * HOUR_S), exponential(12.0 * HOUR_S))
    shocks = Common(rack_nodes=2, shock_per_s=1.0 / (8760.0 * HOUR_S), shock_nodes=2)
    plan = FleetPlan(nodes=(1, 1), recovery=Recovery(0.0, 0.0, (0.0, 0.0)), node_classes=(kind,), common=shocks)
    found = tallies(plan, 2e6)
    fault, shock, repair = 1 / 4800.0, 1 / 8760.0, 1 / 12.0
    both, _, none = _two_units(fault, shock, repair)
    assert abs(z_score(found, lambda tally: tally.at_least_frac(2), both)) < Z
    assert abs(z_score(found, lambda tally: tally.up_s[0] / tally.horizon_s, none)) < Z
    apart = replace(plan, common=replace(shocks, rack_nodes=1, shock_nodes=1))
    assert abs(z_score(tallies(apart, 2e6), lambda tally: tally.up_s[0] / tally.horizon_s, none)) > Z


def _two_units(fault: float, shock: float, repair: float) -> tuple[float, float, float]:
    """Stationary law of two units with own repairs and a shock that takes both."""
    generator = np.array(
        [
            [-(2 * fault + shock), 2 * fault, shock],
            [repair, -(repair + fault + shock), fault + shock],
            [0.0, 2 * repair, -2 * repair],
        ]
    )
    a = np.vstack([generator.T, np.ones(3)])
    both, one, none = np.linalg.lstsq(a, np.array([0.0, 0.0, 0.0, 1.0]), rcond=None)[0]
    return float(both), float(one), float(none)


def test_a_rolling_upgrade_of_four() -> None:
    """G17: four replicas, 348 s each: 1,392 s in all, three of four up meanwhile, 1,392 replica-seconds lost."""
    upgrade = Operation("upgrade", Strategy.ROLLING, first_s=1000.0, interval_s=inf)
    plan = FleetPlan(nodes=(2,) * 4, recovery=Recovery(10.0, 300.0, (348.0,) * 4), operations=(upgrade,))
    line = Timeline(plan, Streams(1), record=True)
    tally = line.run(5000.0)
    assert tally.up_s[3] == pytest.approx(1392.0)
    assert tally.up_s[4] == pytest.approx(5000.0 - 1392.0)
    assert sum(tally.up_s[:3]) == 0.0
    assert tally.cause_s["upgrade"] == pytest.approx(1392.0)
    assert [(t.at_s, t.replica, t.action.value) for t in line.transitions][:3] == [
        (1000.0, 0, "down"),
        (1348.0, 0, "up"),
        (1348.0, 1, "down"),
    ]


def test_early_life() -> None:
    """G7c: 0.3396361676, 0.7350638795 and 2.1249984400 faults in the first 720, 2,160 and 8,760 h of a node."""
    for hours, theory in ((720.0, 0.3396361676), (2160.0, 0.7350638795), (8760.0, 2.1249984400)):
        plan = fleet(64, 4800.0, exponential(1e-6), early_amplitude=2.0, early_s=720.0 * HOUR_S)
        found = tallies(plan, hours, replications=40)
        assert abs(z_score(found, lambda tally: tally.faults["fault"] / 64, theory)) < Z
        old = tallies(replace(plan, early_amplitude=0.0), hours, replications=40)
        assert abs(z_score(old, lambda tally, t=theory: tally.faults["fault"] / 64, theory)) > Z


def test_frailty() -> None:
    """G16: with a gamma law of shape 0.9256529 and 1.46 faults a node in the mean, 0.4163028612 of nodes have none."""
    hours, rate = 8352.0, 1.46 / 8352.0
    plan = fleet(1, 1.0 / rate, exponential(1e-6), frailty_shape=0.9256529)
    found = tallies(plan, hours, replications=4000)
    spared = np.mean([tally.faults["fault"] == 0 for tally in found])
    assert spared == pytest.approx(0.4163028612, abs=Z * np.sqrt(0.4163 * 0.5837 / 4000))
    assert abs(spared - exp(-1.46)) > Z * np.sqrt(0.4163 * 0.5837 / 4000)


def test_repair_mixtures() -> None:
    """G8c: three phases, mean 30.075 h and squared coefficient of variation 5.52736405, drawn and stated."""
    law = Phases((0.3, 0.5, 0.2), (0.25, 12.0, 120.0))
    assert law.mean_s == pytest.approx(30.075, abs=1e-12)
    assert law.squared_variation == pytest.approx(5.52736405, abs=1e-8)
    draws = iter(np.random.default_rng(3).random(600_000).tolist())
    values = np.array([law.draw(draws) for _ in range(200_000)])
    assert abs(values.mean() - law.mean_s) < Z * values.std() / np.sqrt(values.size)
    long_tail = lognormal(25.02812018, 1.2)
    draws = iter(np.random.default_rng(3).random(200_000).tolist())
    values = np.array([long_tail.draw(draws) for _ in range(200_000)])
    assert np.quantile(values, (0.5, 0.9)) == pytest.approx((12.18249396, 56.70497099), rel=0.02)


def test_bad_repair_keeps_the_mean_rate() -> None:
    """A share of 0.22 of returns fail again: 1 / (1 - 0.22) faults for each that began by itself."""
    shop = Shop(bad_repair=0.22, refail=exponential(0.4 * DAY_S))
    plan = replace(fleet(8, 4800.0 / 0.78, exponential(HOUR_S)), shop=shop)
    found = tallies(plan, 1e5)
    per_node_h = 8 * 1e5 / (1.0 + (1.0 + 0.22 / 0.78) * 1.0 / 4800.0)
    assert abs(z_score(found, lambda tally: tally.faults["fault"] / per_node_h, 1 / 4800.0)) < Z
    assert all(tally.refailed for tally in found)


def test_parts_are_waited_for() -> None:
    """With one part and a lead of ten days, node by node is repaired as parts arrive; with enough parts at once."""
    kind = FaultClass("rma", 1.0 / (100.0 * HOUR_S), exponential(HOUR_S), needs_part=True)
    plan = FleetPlan(nodes=(1,) * 4, recovery=Recovery(0.0, 0.0, (0.0,) * 4), node_classes=(kind,))
    few = replace(plan, shop=Shop(parts=1, part_lead_s=10 * DAY_S))
    many = replace(plan, shop=Shop(parts=50, part_lead_s=10 * DAY_S))
    short, ample = tallies(few, 2e4, 8), tallies(many, 2e4, 8)
    theory = k_of_n(4, 4, unit_availability(100.0, 1.0))
    assert abs(z_score(ample, lambda tally: tally.at_least_frac(4), theory)) < Z
    assert np.mean([t.at_least_frac(4) for t in short]) < 0.2


def test_rented_nodes_bridge_the_repair() -> None:
    """Without a spare of its own a replica waits for its repair, or for a rented node that comes sooner."""
    own = fleet(2, 1000.0, exponential(100.0 * HOUR_S), nodes=2, restart_s=300.0)
    rented = replace(own, spares=Spares(rent_success=0.8, rent_delay_s=900.0))
    waits, bridged = tallies(own, 2e5, 8), tallies(rented, 2e5, 8)
    assert np.mean([t.at_least_frac(2) for t in waits]) < 0.75
    assert np.mean([t.at_least_frac(2) for t in bridged]) > 0.99
    assert all(t.rented and t.rented_s > 0.0 for t in bridged)


def test_a_site_outage_takes_all() -> None:
    """Outages of the site: alternating renewal of the gap and the outage with its restart."""
    site = Common(site_per_s=1.0 / (1000.0 * HOUR_S), site=exponential(20.0 * HOUR_S))
    plan = FleetPlan(nodes=(1, 1), recovery=Recovery(0.0, 0.0, (HOUR_S, HOUR_S)), common=site)
    found = tallies(plan, 2e5)
    # the next outage may come while the replicas restart: exp(-rate x restart) of what is up otherwise
    theory = unit_availability(1000.0, 20.0) * exp(-1.0 / 1000.0)
    assert abs(z_score(found, lambda tally: tally.at_least_frac(2), theory)) < Z
    assert all(sum(tally.up_s[1:2]) == 0.0 for tally in found), "both at once"


def test_hangs_are_noticed_late() -> None:
    """A share of faults that hangs costs the difference of the two detection times."""
    kind = FaultClass("engine", 1.0 / (50.0 * HOUR_S))
    plan = FleetPlan(nodes=(1,), recovery=Recovery(10.0, 600.0, (300.0,)), replica_classes=(kind,))
    hanging = replace(plan, replica_classes=(replace(kind, hang_frac=0.5),))
    crash, hang = tallies(plan, 1e5), tallies(hanging, 1e5)
    up_h = 50.0
    for found, outage_s in ((crash, 310.0), (hang, 310.0 + 0.5 * 590.0)):
        theory = up_h * HOUR_S / (up_h * HOUR_S + outage_s)
        assert abs(z_score(found, lambda tally, t=theory: tally.at_least_frac(1), theory)) < Z


def test_planned_work_waits_for_lost_ranks() -> None:
    """A replica that serves without a node is not stopped for an upgrade, which would last as long as the repair.

    Four ranks on a node each, 20 days of repair and no spare: replica-hours down for upgrades are those of the restarts
    alone; where the upgrade does not wait they are many times more.
    """
    kind = FaultClass("node", 1.0 / (60 * DAY_S), exponential(20 * DAY_S))
    upgrade = Operation("upgrade", Strategy.ROLLING, 5 * DAY_S, 10 * DAY_S)
    plan = FleetPlan(
        nodes=(4,),
        recovery=Recovery(0.0, 0.0, (60.0,)),
        node_classes=(kind,),
        elastic=Elastic(ranks_per_node=1, max_failed_ranks=4, pause_fail_s=0.0, pause_rejoin_s=0.0),
        operations=(upgrade,),
    )
    found = tallies(plan, 2e4)
    taken = sum(tally.planned["upgrade"] for tally in found)
    down_s = sum(tally.cause_s["upgrade"] for tally in found)
    assert taken > 100
    assert down_s == pytest.approx(60.0 * taken, rel=0.02)
    hasty = tallies(replace(plan, operations=(replace(upgrade, wait_for_all=False),)), 2e4)
    assert sum(tally.cause_s["upgrade"] for tally in hasty) > 10.0 * down_s
