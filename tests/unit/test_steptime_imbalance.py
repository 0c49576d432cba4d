"""Load of the hottest expert-parallel GPU."""

from __future__ import annotations

import pytest

from sim.steptime.imbalance import HottestRank, Imbalance, imbalance_of


def test_few_tokens_touch_fewer_experts_under_skew() -> None:
    """32 tokens at EP8 touch 17 to 21 of 32 experts under skew 1.01 (as drawn, and in whole tokens), all when many."""
    skewed = HottestRank(256, 8, 8, 32.0, Imbalance("power_law", 1.01)).load(32)[1]
    uniform = HottestRank(256, 8, 8, 32.0, Imbalance("uniform")).load(512)[1]
    assert 17.0 <= skewed <= 20.9
    assert uniform == pytest.approx(32.0, rel=1e-4)


@pytest.mark.parametrize("law", [Imbalance("uniform"), Imbalance("power_law", 0.8), Imbalance("fixed", 0.0, 1.2)])
@pytest.mark.parametrize(("experts", "chosen", "ranks"), [(256, 8, 16), (8, 2, 8), (8, 2, 1), (384, 8, 48)])
def test_loads_are_possible_and_grow(law: Imbalance, experts: int, chosen: int, ranks: int) -> None:
    """Pairs and touched experts grow with tokens and stay within what a GPU can hold; no tokens, no load."""
    hottest = HottestRank(experts, chosen, ranks, experts / ranks, law)
    loads = [hottest.load(tokens) for tokens in (1, 2, 5, 17, 100, 1001, 30_000)]
    for (pairs, active), tokens in zip(loads, (1, 2, 5, 17, 100, 1001, 30_000), strict=True):
        assert 1 <= active <= min(pairs, experts / ranks) + 1e-9
        assert tokens * chosen / ranks <= pairs * (1 + 1e-9) <= tokens * min(chosen, experts / ranks) * (1 + 1e-6)
    assert loads == sorted(loads)
    assert [active for _, active in loads] == sorted(active for _, active in loads)
    assert hottest.load(0) == (0.0, 0.0)


def test_default_is_the_catalogs_and_says_so() -> None:
    """Without a choice the catalog's law applies and is marked as assumed; a choice is not."""
    default = imbalance_of({"law": None, "alpha": None, "max_over_mean": None})
    assert default.assumed
    assert (default.law, default.alpha) == ("power_law", 0.8)
    assert imbalance_of({"law": "fixed", "max_over_mean": 1.1}) == Imbalance("fixed", 0.0, 1.1)
