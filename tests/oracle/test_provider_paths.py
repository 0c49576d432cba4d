"""Golden values of API paths, and paths to a service beside their closed forms, by simulation; z below 4.5."""

from __future__ import annotations

from math import expm1, log, sqrt

import numpy as np
import pytest
from pandas.testing import assert_frame_equal

from sim.errors import ScenarioError
from sim.faults import alternating_nodes
from sim.faults.alternating_nodes import AlternatingNodes
from sim.faults.outages import Outages, failover, profile
from sim.faults.phases import Phases
from sim.faults.provider import Provider
from sim.faults.provider_incidents import IncidentLaw
from sim.faults.timeline import Timeline
from sim.oracle.availability import k_of_n, unit_availability
from sim.oracle.failover import any_up_frac, cycle_availability, detection_unavailability
from sim.stats.mean import standard_error
from sim.streams import Streams
from sim.study.provider_catalog import Circumstances, provider
from sim.study.provider_loss import compare_losses, loss_frame
from sim.study.service_paths import Comparison, FailoverPath, compare_paths, node_path, provider_path
from sim.units import HOUR_S

Z = 4.5
YEAR_H = 8760.0
SIGMA = 1.143
GAP_H, DURATION_H = 11.24 * 24.0, 2.66


def z_of(values: object, theory: float) -> float:
    sample = np.asarray(values, dtype=np.float64)
    return float((sample.mean() - theory) / standard_error(sample))


def total(gap_h: float, duration_h: float, sigma: float = SIGMA) -> IncidentLaw:
    """Incidents in which all requests fail."""
    return IncidentLaw(gap_h, 1.9, log(duration_h) - sigma**2 / 2, sigma)


def test_g15_alternating() -> None:
    """G15: start to start 11.24 d, duration 2.66 h: 0.9901393832 over 1,500 years; a tenth longer outages are seen."""
    golden = cycle_availability(GAP_H, DURATION_H)
    assert golden == pytest.approx(0.9901393832, abs=5e-11)
    for duration_h, agrees in ((DURATION_H, True), (1.1 * DURATION_H, False)):
        law = total(GAP_H, duration_h)
        values = [
            profile([law.draw(50 * YEAR_H, Streams(15, index), "a")], 50 * YEAR_H).clear_frac for index in range(30)
        ]
        assert (abs(z_of(values, golden)) < Z) is agrees


def test_g15b_two_apis() -> None:
    """G15b: 0.9982 and 0.9992 with failover at once: 0.99999856; two that share their outages are far from it."""
    golden = any_up_frac(0.9982, 0.9992)
    assert golden == pytest.approx(0.99999856, abs=5e-11)
    laws = [IncidentLaw(gap_h, 2.0, log((1 - up) * gap_h) - 0.5, 1.0) for gap_h, up in ((48.0, 0.9982), (48.0, 0.9992))]
    both = []
    for index in range(40):
        first, second = (
            profile([law.draw(60 * YEAR_H, Streams(16, index), name)], 60 * YEAR_H)
            for law, name in zip(laws, ("a", "b"), strict=True)
        )
        both.append(1 - failover(first, second, 0.0, 0.1).clear_frac)
    assert abs(z_of(both, 1 - golden)) < Z
    same = profile([laws[1].draw(60 * YEAR_H, Streams(16), "a")], 60 * YEAR_H)
    assert 1 - failover(same, same, 0.0, 0.1).clear_frac > 100 * (1 - golden)


def test_g15c_detection() -> None:
    """G15c: 60 s until failover every 5.55 d lose 1.251251251e-4 when the other path is always up; 90 s are seen."""
    golden = detection_unavailability(60.0, 5.55 * 86_400.0)
    assert golden == pytest.approx(1.251251251e-4, abs=5e-14)
    law = total(5.55 * 24.0, 2.57, sigma=0.5)  # no outage is shorter than 60 s
    up = profile([Outages.of("none", [])], 50 * YEAR_H)
    for delay_s, agrees in ((60.0, True), (90.0, False)):
        lost = []
        for index in range(20):
            first = profile([law.draw(50 * YEAR_H, Streams(17, index), "a")], 50 * YEAR_H)
            lost.append(1 - failover(first, up, delay_s / 3600.0, 0.1).clear_frac)
        assert (abs(z_of(lost, golden)) < Z) is agrees


def test_variance_of_gaps_is_that_asked_for() -> None:
    """With thinned weekends as without, the gaps have the coefficient of variation of the law, to a tenth."""
    for factor in (1.0, 0.13):
        law = IncidentLaw(133.2, 2.2, 0.23, 1.165, weekend_factor=factor)
        gaps = np.diff(law.draw(4000 * YEAR_H / 4, Streams(18), "a").start_h)
        assert gaps.std() / gaps.mean() == pytest.approx(2.2, rel=0.1)
    assert expm1(1.165**2) > 1.0


def repair(shares: tuple[float, ...], means_h: tuple[float, ...]) -> Phases:
    return Phases(shares, tuple(mean_h * HOUR_S for mean_h in means_h))


def pool(replicas: int, spares: int, mtbf_h: float = 4800.0, restart_s: float = 348.0) -> AlternatingNodes:
    return AlternatingNodes(replicas, 2, spares, mtbf_h, repair((0.3, 0.5, 0.2), (0.25, 12.0, 120.0)), restart_s)


def fast_api() -> Provider:
    return Provider("api", total(60.0, 3.0))


PAIRS = (FailoverPath("own > api", "own", "api", 300.0), FailoverPath("api > own", "api", "own", 300.0))


def compared(own: AlternatingNodes, replications: int, years: int, seed: int = 21) -> Comparison:
    return compare_paths(
        [node_path("own", own), provider_path("api", fast_api())],
        PAIRS,
        years=years,
        replications=replications,
        seed=seed,
    )


def worst_z(found: Comparison) -> float:
    scores = []
    for one in found.paths:
        assert one.theory_clear is not None
        assert one.clear.value is not None
        assert one.clear.high is not None
        error = (one.clear.high - one.clear.value) / 2.0
        scores.append(abs(one.clear.value - one.theory_clear) / error)
    return max(scores)


@pytest.mark.parametrize(("replicas", "spares"), [(1, 0), (1, 1), (2, 0), (2, 1)])
def test_paths_agree_with_their_closed_forms(replicas: int, spares: int) -> None:
    """Own cluster with faults ten times as often, API, and both orders of failover, over 800 years."""
    assert worst_z(compared(pool(replicas, spares, mtbf_h=480.0), 40, 20)) < Z


@pytest.mark.long
@pytest.mark.parametrize(("replicas", "spares"), [(1, 0), (1, 1), (2, 0), (2, 1)])
def test_paths_agree_at_real_rates(replicas: int, spares: int) -> None:
    """The same at 5 faults per 1,000 node-days over 16,000 years."""
    assert worst_z(compared(pool(replicas, spares), 80, 200)) < Z


def test_a_shared_cause_breaks_the_closed_form() -> None:
    """The negative twin: two services on the same network, whose shocks are not independent, lose far more."""
    calm = Circumstances(rates="base", migration_days=0.0)
    a, b = (provider_path(name, provider(name, calm)) for name in ("openai-api", "anthropic-api"))
    pair = FailoverPath("both", "openai-api", "anthropic-api", 0.0)
    found = compare_paths([a, b], [pair], years=20, replications=20, seed=3).paths[-1]
    assert found.theory_clear is not None
    assert found.clear.high is not None
    assert found.clear.high < found.theory_clear


def test_restarts_take_what_is_left() -> None:
    """One replica of one node with a spare: only restarts, but for double faults; two replicas lose half each time."""
    one = AlternatingNodes(1, 1, 1, 4800.0, repair((1.0,), (1e-6,)), 348.0)
    two = AlternatingNodes(2, 1, 1, 4800.0, repair((1.0,), (1e-6,)), 348.0)
    for own, rate in ((one, 1.0), (two, 2.0)):
        lost, served = [], []
        for index in range(30):
            found = profile(own.outages(20 * YEAR_H, Streams(4, index), "own"), 20 * YEAR_H)
            lost.append(1 - found.clear_frac)
            served.append(1 - found.served_frac)
        assert abs(z_of(lost, rate / 4800.0 * 348.0 / 3600.0)) < Z
        assert abs(z_of(served, 1.0 / 4800.0 * 348.0 / 3600.0)) < Z


def test_spare_capacity_hides_the_loss_of_a_replica() -> None:
    """Two replicas at half load lose nothing while one of them is up."""
    own = AlternatingNodes(2, 2, 0, 4800.0, repair((1.0,), (30.0,)), 0.0, load_frac=0.5)
    assert [own.failing(count) for count in (2, 1, 0)] == [0.0, 0.0, 1.0]
    full = AlternatingNodes(2, 2, 0, 4800.0, repair((1.0,), (30.0,)), 0.0)
    assert [full.failing(count) for count in (2, 1, 0)] == [0.0, 0.5, 1.0]


def test_common_random_numbers_sharpen_the_difference() -> None:
    """The paired interval of two sizes of spares on the same faults is no wider than that of unpaired paths."""
    found = compare_paths(
        [node_path("own", pool(1, 0)), provider_path("api", fast_api())], PAIRS, years=5, replications=60, seed=2
    )
    paired = found.against_first[2]
    assert paired is not None
    assert paired.high is not None
    assert paired.value is not None
    own, both = found.paths[0].served, found.paths[2].served
    half = [(one.high - one.value) * YEAR_H for one in (own, both) if one.high is not None and one.value is not None]
    assert paired.high - paired.value < 1.001 * sqrt(half[0] ** 2 + half[1] ** 2)


def test_no_closed_form_where_it_would_be_wrong() -> None:
    """Outages below the trigger, and delays beyond a restart, are simulated without a closed form beside them."""
    own, api = node_path("own", pool(2, 0)), provider_path("api", provider("openai-api", Circumstances()))
    pairs = [
        FailoverPath("at once", "own", "api", 60.0),
        FailoverPath("late", "own", "api", 600.0),
        FailoverPath("halves do not count", "own", "api", 60.0, trigger_frac=0.5),
        FailoverPath("partial outages do not count", "api", "own", 60.0, trigger_frac=0.3),
    ]
    found = compare_paths([own, api], pairs, years=1, replications=3, seed=1).paths[2:]
    assert [one.theory_clear is None for one in found] == [False, True, True, True]


def test_names_of_paths_are_checked() -> None:
    """A path that is not there, a name used twice, a negative delay, no interval."""
    own = node_path("own", pool(1, 0))
    for paths, pairs, size, key in (
        ([own], [FailoverPath("x", "own", "ap", 1.0)], 2, "is no path"),
        ([own, own], [], 2, "must differ"),
        ([own], [FailoverPath("x", "own", "own", -1.0)], 2, "detection_s"),
        ([own], [], 1, "replications"),
    ):
        with pytest.raises(ScenarioError, match=key):
            compare_paths(paths, pairs, years=1, replications=size, seed=1)


def test_results_do_not_depend_on_the_number_of_workers() -> None:
    """One process and two give the same figures to the last bit."""
    frames = [
        loss_frame(compare_losses(service="claude-ai", repair="managed", years=1, replications=3, seed=4, workers=n))
        for n in (1, 2)
    ]
    assert_frame_equal(*frames)


def test_a_larger_pool_has_the_nodes_of_a_smaller_one() -> None:
    """Under one name each node has its own faults and repairs, whatever the pool: comparisons of sizes are paired."""
    lives = []
    for own in (pool(1, 0), pool(1, 1), pool(2, 1)):
        line = Timeline(own.plan(), Streams(6).part("own"), record=True)
        line.run(20 * YEAR_H * HOUR_S)
        lives.append({(strike.node, strike.at_s) for strike in line.strikes})
    assert lives[0] < lives[1] < lives[2]
    assert len(lives[0]) > 50
    other = Timeline(pool(1, 0).plan(), Streams(6).part("other"), record=True)
    other.run(20 * YEAR_H * HOUR_S)
    assert not lives[0] & {(strike.node, strike.at_s) for strike in other.strikes}


@pytest.mark.parametrize("forgotten", [True, False])
def test_the_start_with_all_nodes_up_is_forgotten(forgotten: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the very first day as many nodes are away as ever; without a warm-up (negative twin) far fewer are."""
    if not forgotten:
        monkeypatch.setattr(alternating_nodes, "WARM_UP", 0.0)
    own = pool(2, 0, mtbf_h=480.0, restart_s=0.0)
    clear = [profile(own.outages(24.0, Streams(8, index), "own"), 24.0).clear_frac for index in range(3000)]
    theory = k_of_n(4, 4, unit_availability(480.0, 0.3 * 0.25 + 0.5 * 12.0 + 0.2 * 120.0))
    assert (abs(z_of(clear, theory)) < Z) is forgotten
