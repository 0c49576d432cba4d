"""Experts placed by load, popularity that drifts, and routing by chance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sim.errors import ScenarioError
from sim.llm.layout import Layout
from sim.llm.zoo import load_model
from sim.oracle.balls_in_bins import mean_fullest
from sim.steptime.build import build_law
from sim.steptime.eplb import eplb_of
from sim.steptime.explain import explain_step
from sim.steptime.imbalance import HottestRank, imbalance_of
from sim.steptime.kernel import KernelStepLaw
from sim.steptime.layer_groups import layer_groups
from sim.steptime.placement import balanced, in_order
from sim.steptime.popularity import Histogram, Measured, drifted, power_law
from sim.steptime.routing import drawn, load_quantiles, mean_loads

SKEWED: dict[str, Any] = {"law": "power_law", "alpha": 1.01}


def hottest(ranks: int, redundant: int = 0, **law: Any) -> HottestRank:
    return HottestRank(256, 8, ranks, (256 + redundant) / ranks, imbalance_of(law))


def glm(imbalance: dict[str, Any], ranks: int = 32, redundant: int = 32) -> KernelStepLaw:
    """GLM-5.2 with attention and experts over all ranks."""
    return build_law(
        load_model("glm-5.2"),
        Layout(1, 1, ranks, enable_expert_parallel=True, redundant_experts=redundant),
        gpu="h100-sxm-80gb",
        node="auto",
        engine="sglang",
        weights="fp8_block",
        kv_cache_dtype="fp8",
        imbalance=imbalance,
    )


@pytest.mark.parametrize(("ranks", "tokens"), [(16, 2), (8, 8), (16, 8), (32, 64)])
def test_uniform_routing_by_chance_is_balls_in_bins(ranks: int, tokens: int) -> None:
    """The mean over fixed draws agrees with the closed form within its standard error (1 % for 1,000 draws)."""
    found = mean_loads(hottest(ranks, law="uniform", by_chance=True).routing, tokens).over_mean
    assert found * tokens * 8 / ranks == pytest.approx(mean_fullest(tokens * 8, ranks), rel=0.015)
    assert hottest(ranks, law="uniform").load(tokens)[0] < found * tokens * 8 / ranks  # expectations do not fluctuate


def test_hottest_rank_narrows_with_tokens() -> None:
    """Chance matters for few tokens: the p99 of the hottest GPU falls from 2.4x towards 1x of the mean."""
    p99 = [load_quantiles(hottest(16, law="uniform", by_chance=True).routing, n, (0.99,))[0] for n in (8, 256, 65_536)]
    assert p99[0] > 2.0
    assert 1.05 < p99[1] < 1.4
    assert 1.0 < p99[2] < 1.05


def test_placement_of_hand_sized_layer() -> None:
    """Loads 8, 5, 2, 2 with two spare slots on two GPUs: a copy of each hot expert, and 8.5 on each GPU."""
    loads = np.array([[8.0, 5.0, 2.0, 2.0]])
    placed = balanced(loads, ranks=2, slots=6)
    assert placed.copies.tolist() == [[2, 2, 1, 1]]
    shares = loads / loads.sum()
    assert placed.by_rank(placed.slot_shares(shares))[0] == pytest.approx([0.5, 0.5])
    assert placed.by_rank(np.ones((1, 6))).tolist() == [[3.0, 3.0]]
    assert in_order(1, 4, 2).by_rank(shares)[0] == pytest.approx([13 / 17, 4 / 17])


def test_only_missing_experts_are_fetched() -> None:
    """Nothing moves between equal placements; from in-order, a GPU fetches what it did not hold."""
    loads = np.array([[8.0, 1.0, 4.0, 2.0]])
    placed = balanced(loads, ranks=2, slots=4)  # 8 and 1 on one GPU, 4 and 2 on the other
    assert placed.received(placed).tolist() == [[0.0, 0.0]]
    other = balanced(loads[:, [0, 2, 1, 3]], ranks=2, slots=4)
    assert other.received(placed).tolist() == [[1.0, 1.0]]


def test_every_slot_is_used_and_every_expert_lies_somewhere() -> None:
    """For random loads each GPU has as many slots as any other, and no expert is left out."""
    loads = np.random.default_rng(3).pareto(1.0, (20, 64)) + 0.01
    placed = balanced(loads, ranks=8, slots=72)
    assert (placed.by_rank(np.ones((20, 72))) == 9).all()
    assert all(set(row) == set(range(64)) for row in placed.expert.tolist())
    assert (placed.copies.sum(axis=1) == 72).all()
    shares = loads / loads.sum(axis=1, keepdims=True)
    even = placed.by_rank(placed.slot_shares(shares)).max(axis=1)
    assert (even <= in_order(20, 64, 8).by_rank(shares).max(axis=1)).all()


def test_balancing_helps_copies_help_and_drift_undoes_it() -> None:
    """At EP32, skew 1.2 and 16,384 tokens: 4x without, 2.7x packed, 1.04x with copies; drift leads back to no gain."""
    skew: dict[str, Any] = {"law": "power_law", "alpha": 1.2}
    without = hottest(32, **skew).load(16_384)[0]

    def pairs(redundant: int, half_life_s: float) -> float:
        return hottest(32, redundant, **skew, eplb={"drift_half_life_s": half_life_s}).load(16_384)[0]

    packed, copied = pairs(0, 0.0), pairs(32, 0.0)
    assert copied < 0.5 * packed < 0.5 * without
    ordered = [copied, *(pairs(32, half_life) for half_life in (86_400.0, 3600.0, 600.0, 60.0))]
    assert ordered == sorted(ordered)
    assert ordered[-1] == pytest.approx(pairs(32, 1e-3), rel=0.2)  # an hour or none: nothing is left of the counts


def test_drift_keeps_the_law() -> None:
    """However far popularity has drifted, its distribution over experts is the one it was drawn from."""
    rng, law = np.random.default_rng(1), power_law(1.01, 4096)
    scores = law.start(rng, 400, 256)
    for kept in (1.0, 0.5, 0.0):
        later = drifted(scores, kept, rng)
        assert np.sort(law.shares(later), axis=1).mean(axis=0) == pytest.approx(
            np.sort(law.shares(scores), axis=1).mean(axis=0), rel=0.1, abs=1e-4
        )
        assert np.corrcoef(scores.ravel(), later.ravel())[0, 1] == pytest.approx(kept, abs=0.01)


def test_measured_popularity_starts_as_it_was_measured() -> None:
    """Without drift a histogram's shares come back expert by expert; drift exchanges them among experts."""
    histogram = Histogram.of([[5.0, 1.0, 3.0, 0.0], [1.0, 1.0, 2.0, 4.0]])
    law, rng = Measured(histogram), np.random.default_rng(2)
    scores = law.start(rng, 4, 4)
    assert law.shares(scores)[[0, 2]].tolist() == [histogram.shares[0].tolist()] * 2
    assert law.shares(scores)[[1, 3]] == pytest.approx(np.array([[0.125, 0.125, 0.25, 0.5]] * 2))
    later = law.shares(drifted(scores, 0.0, rng))
    assert np.sort(later, axis=1) == pytest.approx(np.sort(law.shares(scores), axis=1))


def test_measured_load_by_hand() -> None:
    """Two layers, two GPUs with two experts each: hottest shares 3/4 and 3/4, so 1.5 times the mean."""
    histogram = Histogram.of([[5.0, 1.0, 1.0, 1.0], [1.0, 1.0, 2.0, 4.0]])
    rank = HottestRank(4, 1, 2, 2.0, imbalance_of({"law": "measured", "histogram": histogram}))
    assert rank.load(1000)[0] == pytest.approx(750.0)
    assert rank.load(1_000_000)[1] == pytest.approx(2.0)


def test_the_law_is_a_pure_function() -> None:
    """Equal laws give equal seconds, whatever was asked before."""
    one, other = (glm(SKEWED | {"eplb": {}}) for _ in range(2))
    other.shared_s(5000, 200, prefill=True)
    for tokens in (32, 1000, 4096):
        assert one.shared_s(tokens, tokens // 32, prefill=False) == other.shared_s(tokens, tokens // 32, prefill=False)


def test_interpolation_over_octaves_is_harmless() -> None:
    """Half-way between the tabled token counts of a balanced law the interpolated load is within 1 % of a drawn one."""
    routing = hottest(32, 32, **SKEWED, eplb={"drift_half_life_s": 3600.0}).routing
    for half in (13, 19, 25):
        loads = drawn(routing, half)
        found = mean_loads(routing, 2.0 ** (half / 2))
        assert found.over_mean == pytest.approx(float(loads.over_mean.mean()), rel=0.01)
        assert found.touched_frac == pytest.approx(float(loads.touched_frac.mean()), rel=0.01)


def test_rebalancing_is_a_line_of_the_step() -> None:
    """The pause is an operation at its share of a step: bytes of moved experts over NVLink and network at 85 %.

    75 layers x received experts x 37.77 MB (3 x 6144 x 2048 FP8 values with scales); 3/4 of it leaves the node.
    """
    law = glm(SKEWED | {"eplb": {"step_interval": 500, "drift_half_life_s": 3600.0}})
    (line,) = (x for x in explain_step(law, decode_seqs=64, context_tokens=4096) if "rebalance" in x.name)
    expert_bytes = 3 * 6144 * 2048 * (1 + 4 / 128**2)
    received = line.network_bytes * 500 / 75 / expert_bytes
    assert 8.0 < received <= 9.0
    link = 0.85 * 50e9, 0.85 * 450e9
    pause_s = 75 * received * expert_bytes * (0.75 / link[0] + 0.25 / link[1])
    assert line.seconds * 500 == pytest.approx(pause_s, rel=1e-9)
    assert line.status == "assumed"
    rare = glm(SKEWED | {"eplb": {"step_interval": 5000, "drift_half_life_s": 0.0}})
    (line,) = (x for x in explain_step(rare, decode_seqs=64, context_tokens=4096) if "rebalance" in x.name)
    assert line.seconds * 5000 == pytest.approx(pause_s, rel=0.2)


def test_layer_groups_add_up() -> None:
    """60 % mild and 40 % skewed layers cost that mixture of the two pure laws; shares round to whole layers."""
    mild, strong = {"law": "power_law", "alpha": 0.6}, {"law": "power_law", "alpha": 1.2}
    mixed = glm({"groups": [{"layers_frac": 0.6} | mild, {"layers_frac": 0.4} | strong]}, redundant=0)
    assert [group.layers for group in mixed.inputs.groups] == [45, 30]

    def experts_s(law: KernelStepLaw) -> float:
        lines = explain_step(law, decode_seqs=0, context_tokens=0, prefill_tokens=2048)
        return sum(line.seconds for line in lines if line.name.startswith("routed experts"))

    pure = [experts_s(glm(law, redundant=0)) for law in (mild, strong)]
    assert experts_s(mixed) == pytest.approx(0.6 * pure[0] + 0.4 * pure[1], rel=1e-12)
    counted = layer_groups({"groups": [{"layers": 5} | mild, {"layers": 70} | strong]}, 75)
    assert [group.layers for group in counted] == [5, 70]
    rounded = layer_groups({"groups": [{"layers_frac": 1 / 3}, {"layers_frac": 1 / 3}, {"layers_frac": 1 / 3}]}, 58)
    assert sorted(group.layers for group in rounded) == [19, 19, 20]
    with pytest.raises(ScenarioError, match="75"):
        layer_groups({"groups": [{"layers": 5}, {"layers": 71}]}, 75)


@pytest.mark.parametrize(
    "law",
    [
        {"law": "fixed", "max_over_mean": 1.2, "eplb": {}},
        {"law": "fixed", "max_over_mean": 1.2, "by_chance": True},
        {"law": "measured"},
        {"law": "uniform", "eplb": {"step_interval": -1}},
    ],
)
def test_laws_that_cannot_be_are_refused(law: dict[str, Any]) -> None:
    """A fixed factor has no popularity to balance or sample; a measured law needs its histogram."""
    with pytest.raises(ScenarioError, match="expert_imbalance"):
        imbalance_of(law)


def test_defaults_of_the_balancer_are_the_catalogs() -> None:
    """Window and interval are vLLM's; the drift is assumed and listed as such."""
    chosen = eplb_of({})
    assert (chosen.window_size, chosen.step_interval) == (1000, 3000)
    assert chosen.assumed == ("drift_half_life_s", "typical_step_ms")
    assert eplb_of({"drift_half_life_s": 0.0}).kept(1e9) == 1.0
    assert eplb_of({"drift_half_life_s": 100.0, "typical_step_ms": 50.0}).kept(2000) == pytest.approx(0.5)
