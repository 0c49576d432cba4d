"""Load of the hottest expert-parallel GPU."""

from __future__ import annotations

import pytest

from sim.steptime.imbalance import HottestRank, Imbalance, hottest_rank, imbalance_of

# Hottest load over mean for 256 experts, top-8, at 256 and 65536 tokens in the group, mean of 200 draws
# (AIConfigurator 0.12.0 collectors). Only EP4 to EP32 are printed to two digits throughout.
TABLE = {
    0.6: {4: (1.12, 1.13), 8: (1.23, 1.27), 16: (1.41, 1.47), 32: (1.71, 1.79)},
    0.8: {4: (1.14, 1.18), 8: (1.28, 1.37), 16: (1.51, 1.67)},
    1.01: {4: (1.17, 1.29), 8: (1.34, 1.62), 16: (1.64, 2.12)},
}
ROUGH = {
    0.6: {64: (2.1, 2.3)},
    0.8: {32: (1.9, 2.1), 64: (2.4, 2.9)},
    1.01: {32: (2.1, 3.0), 64: (2.9, 4.5)},
    1.2: {4: (1.2, 1.5), 8: (1.4, 2.1), 16: (1.8, 3.0), 32: (2.4, 4.8), 64: (3.4, 8.0)},
}


@pytest.mark.parametrize("alpha", TABLE)
def test_power_law_matches_published_loads(alpha: float) -> None:
    """The hottest load follows the collectors' table; 200 draws there leave 1 to 1.6 % of standard error."""
    for ranks, published in TABLE[alpha].items():
        for tokens, ratio in zip((256, 65_536), published, strict=True):
            assert hottest_rank(256, 8, ranks, alpha, tokens)[0] == pytest.approx(ratio, rel=0.03), (ranks, tokens)


@pytest.mark.parametrize("alpha", ROUGH)
def test_power_law_matches_rounded_loads(alpha: float) -> None:
    """Where the table has one digit only, the load agrees to that rounding and 3 %."""
    for ranks, published in ROUGH[alpha].items():
        for tokens, ratio in zip((256, 65_536), published, strict=True):
            assert hottest_rank(256, 8, ranks, alpha, tokens)[0] == pytest.approx(ratio, abs=0.05 + 0.03 * ratio)


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
