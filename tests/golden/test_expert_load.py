"""Load of the hottest expert-parallel GPU against published tables and measured ratios."""

from __future__ import annotations

import pytest

from sim.llm.layout import Layout
from sim.llm.zoo import load_model
from sim.steptime.build import build_law
from sim.steptime.explain import explain_step
from sim.steptime.imbalance import hottest_rank
from sim.steptime.kernel import KernelStepLaw

# Hottest load over mean for 256 experts, top-8, at 256 and at 65,536 tokens in the group, by skew and EP size: mean of
# 200 draws with the popularity of the AIConfigurator 0.12.0 collectors, as printed.
TABLE = {
    "0.6": {4: ("1.12", "1.13"), 8: ("1.23", "1.27"), 16: ("1.41", "1.47"), 32: ("1.71", "1.79"), 64: ("2.1", "2.3")},
    "0.8": {4: ("1.14", "1.18"), 8: ("1.28", "1.37"), 16: ("1.51", "1.67"), 32: ("1.9", "2.1"), 64: ("2.4", "2.9")},
    "1.01": {4: ("1.17", "1.29"), 8: ("1.34", "1.62"), 16: ("1.64", "2.12"), 32: ("2.1", "3.0"), 64: ("2.9", "4.5")},
    "1.2": {4: ("1.2", "1.5"), 8: ("1.4", "2.1"), 16: ("1.8", "3.0"), 32: ("2.4", "4.8"), 64: ("3.4", "8.0")},
}
CASES = [(alpha, ranks) for alpha, row in TABLE.items() for ranks in row]


def off_frac(found: float, printed: str) -> float:
    """Distance from the nearest number that rounds to the printed one, relative to it."""
    half = 0.5 * 10.0 ** -len(printed.partition(".")[2])
    low, high = float(printed) - half, float(printed) + half
    return max(low / found - 1.0, found / high - 1.0, 0.0)


@pytest.mark.parametrize(("alpha", "ranks"), CASES)
def test_hottest_rank_follows_the_table(alpha: str, ranks: int) -> None:
    """Every skew and EP size agrees within 3 % of the printed figure at both ends of the range of tokens.

    One cell (skew 1.2, EP8, 65,536 tokens) is 3.4 % below the printed 2.1 and 1 % below what rounds to it; 20,000 draws
    give 2.04, and 200 draws there have a standard error of 1.5 %.
    """
    for tokens, printed in zip((256, 65_536), TABLE[alpha][ranks], strict=True):
        found = hottest_rank(256, 8, ranks, float(alpha), tokens)[0]
        assert off_frac(found, printed) <= 0.03, (tokens, printed, found)
        if (alpha, ranks, tokens) != ("1.2", 8, 65_536):
            assert found == pytest.approx(float(printed), rel=0.03), tokens


def deepseek(ranks: int, redundant: int, imbalance: dict[str, object], *, overlap: bool = False) -> KernelStepLaw:
    """DeepSeek-V3 on H100 with experts over all ranks, as in the SGLang large-EP report of May 2025."""
    return build_law(
        load_model("deepseek-v3-r1"),
        Layout(1, 1, ranks, enable_expert_parallel=True, redundant_experts=redundant),
        gpu="h100-sxm-80gb",
        node="auto",
        engine="sglang",
        weights="fp8_block",
        kv_cache_dtype="bf16",
        imbalance=imbalance,
        two_batch_overlap=overlap,
    )


def step_s(law: KernelStepLaw, *, decode_seqs: int = 0, prefill_tokens: int = 0) -> float:
    """Seconds of one step with contexts of 2,050 tokens."""
    lines = explain_step(law, decode_seqs=decode_seqs, context_tokens=2050, prefill_tokens=prefill_tokens)
    return sum(line.seconds for line in lines)


def eplb(alpha: float, drift_half_life_s: float = 0.0) -> dict[str, object]:
    return {"law": "power_law", "alpha": alpha, "eplb": {"drift_half_life_s": drift_half_life_s}}


def test_gain_of_eplb_in_prefill() -> None:
    """Reported: EPLB is worth 1.49x in prefill at EP32 with 32 copies; skews of 0.8 to 1.2 give 1.27 to 2.05.

    Nothing is fitted; the collectors' skew of 1.01 happens to meet the reported figure within 3 %. Perfect balance was
    reported 1.18x faster still. With counts of the same traffic the law leaves 1 %, with popularity that drifts
    (half-life of an hour) 10 %: it does not explain all of what real routing leaves.
    """
    gains = [
        step_s(deepseek(32, 0, {"law": "power_law", "alpha": alpha}), prefill_tokens=8192)
        / step_s(deepseek(32, 32, eplb(alpha)), prefill_tokens=8192)
        for alpha in (0.8, 1.01, 1.2)
    ]
    assert gains == sorted(gains)
    assert gains[0] < 1.49 < gains[2]
    assert gains[1] == pytest.approx(1.49, rel=0.03)
    perfect_s = step_s(deepseek(32, 32, {"law": "uniform"}), prefill_tokens=8192)
    left = [step_s(deepseek(32, 32, eplb(1.01, drift)), prefill_tokens=8192) / perfect_s for drift in (0.0, 3600.0)]
    assert 1.0 < left[0] < 1.03 < left[1] < 1.18


def test_gain_of_eplb_in_decode() -> None:
    """Reported: EPLB is worth 2.54x in decode at EP72 and 256 sequences per GPU; skews of 0.8 to 1.2 give 2.26 to 4.0.

    Nothing is fitted. It is the network: the hottest GPU gets three times the mean over its own link. With the mean
    instead (as kernel tables are measured) the gain would be 1.0 to 1.4.
    """
    gains = [
        step_s(deepseek(72, 32, {"law": "power_law", "alpha": alpha}, overlap=True), decode_seqs=256)
        / step_s(deepseek(72, 32, eplb(alpha), overlap=True), decode_seqs=256)
        for alpha in (0.8, 1.01, 1.2)
    ]
    assert gains == sorted(gains)
    assert gains[0] < 2.54 < gains[1]
    assert gains[1] == pytest.approx(2.92, rel=0.02)


def test_gain_of_two_batch_overlap() -> None:
    """Reported: decode (EP72) 1.255x at 256 sequences per GPU and 0.73x at 32, prefill (EP32) 1.27 to 1.35x.

    Unfitted, the law says 1.31x, 0.85x and 1.44x: real halves also wait for their peers, so the gain leans high by 5 to
    17 %.
    """
    plain, halved = (deepseek(72, 32, eplb(0.8), overlap=on) for on in (False, True))
    decode = step_s(plain, decode_seqs=256) / step_s(halved, decode_seqs=256)
    assert 1.255 < decode < 1.255 * 1.1
    assert 0.73 < step_s(plain, decode_seqs=32) / step_s(halved, decode_seqs=32) < 0.73 * 1.18
    plain, halved = (deepseek(32, 32, eplb(0.8), overlap=on) for on in (False, True))
    prefill = step_s(plain, prefill_tokens=16_384) / step_s(halved, prefill_tokens=16_384)
    assert 1.27 < prefill < 1.35 * 1.1
