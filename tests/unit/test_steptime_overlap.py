"""Two-batch overlap, dispatch modes, and experts that are spread and sliced."""

from __future__ import annotations

from typing import Any

import pytest

from sim.llm.divisibility import layout_problems
from sim.llm.layout import Layout
from sim.llm.weights import gpu_bytes
from sim.llm.zoo import load_model
from sim.steptime.build import build_law
from sim.steptime.caveats import law_caveats
from sim.steptime.deepep import crossover
from sim.steptime.explain import explain_step
from sim.steptime.kernel import KernelStepLaw
from sim.steptime.overlap import Half, TwoBatchLaw, halves

WIDE = Layout(1, 1, 32, enable_expert_parallel=True)


def law(layout: Layout = WIDE, **changes: Any) -> KernelStepLaw:
    options: dict[str, Any] = {
        "gpu": "h100-sxm-80gb",
        "node": "auto",
        "engine": "sglang",
        "weights": "fp8_block",
        "kv_cache_dtype": "fp8",
        "imbalance": {"law": "uniform"},
    }
    return build_law(load_model("glm-5.2"), layout, **(options | changes))


def test_low_latency_waits_for_the_gpu_that_gets_most() -> None:
    """Exchange beyond its latency is as many times longer as the hottest GPU has pairs; normal mode knows nodes alone.

    Layers in groups of their own weigh by their number.
    """

    def exchange_s(imbalance: dict[str, Any], phase: int, tokens: int) -> float:
        return sum(line.seconds(tokens) for line in law(imbalance=imbalance).parts.network[phase])

    uniform, twice = {"law": "uniform"}, {"law": "fixed", "max_over_mean": 2.0}
    mixed = {"groups": [{"layers_frac": 0.5, **uniform}, {"layers_frac": 0.5, **twice}]}
    latency_s = 2 * exchange_s(uniform, 0, 64) - exchange_s(uniform, 0, 128)
    mean_s = exchange_s(uniform, 0, 128) - latency_s
    assert latency_s > 0.0
    assert exchange_s(twice, 0, 128) == pytest.approx(latency_s + 2.0 * mean_s)
    assert exchange_s(mixed, 0, 128) == pytest.approx(latency_s + 1.5 * mean_s, rel=0.02)
    assert exchange_s(twice, 1, 4096) == exchange_s(uniform, 1, 4096)


def test_batches_are_halved() -> None:
    """Sequences and prompt tokens divide evenly; the chunk in the middle is cut, its rest has the start behind it."""
    first, second = halves(5, ((300, 10), (500, 0)))
    assert first == Half(3, 0.6, ((300, 10), (100, 0)))
    assert second == Half(2, pytest.approx(0.4), ((400, 100),))
    assert halves(1, ())[1].tokens == 0


@pytest.mark.parametrize(
    ("seqs", "context", "new", "prefix"),
    [
        (1, 900, 0, 0),
        (1, 900, 1, 0),
        (20, 900, 0, 0),
        (64, 900, 0, 0),
        (129, 4096, 0, 0),
        (0, 0, 500, 0),
        (0, 0, 3001, 5000),
        (64, 3000, 2048, 100),
    ],
)
def test_breakdown_is_the_step_in_halves(seqs: int, context: int, new: int, prefix: int) -> None:
    """Lane plus shared seconds are the sum of the lines, hidden seconds apart, above and below the threshold."""
    chosen = law(two_batch_overlap=True)
    assert isinstance(chosen, TwoBatchLaw)
    cap, prefills = chosen.attention_cap_tokens, ((new, prefix),) if new else ()
    above, capped = bool(seqs) and context >= cap, seqs * min(context, cap)
    step_s = chosen.mixed_s(seqs, seqs * context, capped, above, prefills)
    if not new:
        c = chosen.decode(seqs)
        lane_s = c.base_s + c.context_s * seqs * context + c.capped_s * capped + (c.above_s if above else 0.0)
        assert lane_s == pytest.approx(step_s, rel=1e-12)
    step_s += chosen.shared_s((seqs + new) * 32, seqs + new, bool(new))
    lines = explain_step(chosen, decode_seqs=seqs, context_tokens=context, prefill_tokens=new, prefix_tokens=prefix)
    assert sum(line.seconds for line in lines) == pytest.approx(step_s, rel=2e-5)
    split = chosen.splits(seqs + new, prefill=bool(new))
    assert any(line.hidden_s > 0 for line in lines) is split
    network = [line for line in lines if line.name in ("dispatch", "combine")]
    whole = sum(chosen.parts.network[bool(new)][i].seconds(-(-(seqs + new) // 2)) for i in (0, 1))
    if split:
        assert sum(line.seconds + line.hidden_s for line in network) == pytest.approx(2 * whole, rel=0.04)


def test_overlap_pays_when_the_network_matters() -> None:
    """Many tokens across nodes gain; in one node the doubled launches cost more than the short transfers hide."""
    for layout, wins in ((WIDE, True), (Layout(1, 1, 8, enable_expert_parallel=True), False)):
        plain, split = (law(layout, two_batch_overlap=on) for on in (False, True))
        seconds = [
            sum(line.seconds for line in explain_step(x, decode_seqs=128, context_tokens=2000)) for x in (plain, split)
        ]
        assert (seconds[1] < seconds[0]) is wins, layout


def test_small_steps_are_not_split() -> None:
    """Up to vLLM's thresholds (32 decoding sequences, 512 tokens with prompts) nothing changes; SGLang halves all."""
    plain, split = law(engine="vllm"), law(engine="vllm", two_batch_overlap=True)
    assert law(two_batch_overlap=True).decode(2) != law().decode(2)
    assert law(two_batch_overlap=True).decode(1) == law().decode(1)
    assert split.decode(32) == plain.decode(32)
    assert split.decode(33) != plain.decode(33)
    assert split.shared_s(1024, 32, prefill=False) == plain.shared_s(1024, 32, prefill=False)
    assert split.shared_s(16_384, 512, prefill=True) == plain.shared_s(16_384, 512, prefill=True)


def test_hidden_time_is_bounded() -> None:
    """No more is hidden than the transfers last, nor in normal mode than the 112 of 132 SMs that go on computing."""
    split = law(two_batch_overlap=True)
    assert isinstance(split, TwoBatchLaw)
    for tokens in (600, 4096, 16_384):
        network_s = sum(2 * line.seconds(tokens // 2) for line in split.parts.network[True])
        hidden_s = split.hidden_s(32 * tokens, tokens, prefill=True)
        assert 0.0 < hidden_s <= 112 / 132 * network_s * (1 + 1e-12)


def test_dispatch_modes_meet_where_their_costs_do() -> None:
    """On two nodes of H100 at hidden 7168 dispatch and combine meet at 87 tokens per GPU by the fitted forms.

    Low latency 42.4 us + 2.07 us per token; normal 163 us + 0.683 us per token.
    """
    spec = load_model("deepseek-v3-r1")
    options: dict[str, Any] = {"gpu": "h100-sxm-80gb", "node": "auto", "engine": "sglang", "weights": "fp8_block"}
    two = build_law(spec, Layout(1, 1, 16, enable_expert_parallel=True), kv_cache_dtype="fp8", imbalance={}, **options)
    meet = crossover(two.inputs)
    assert meet is not None
    assert meet.exchange_tokens == pytest.approx((163 - 42.4) / (2.067 - 0.683), abs=1.5)
    assert meet.layer_tokens is not None
    assert meet.layer_tokens > 2 * meet.exchange_tokens  # contiguous expert kernels start slower
    assert crossover(law(Layout(8)).inputs) is None


def test_dispatch_mode_is_a_choice() -> None:
    """`auto` is low latency without and normal with prompt chunks; a mode holds for both, experts included."""
    auto, low, normal = (law(deepep_mode=mode) for mode in ("auto", "low_latency", "normal"))
    assert auto.parts.experts[0][0].kernel == low.parts.experts[1][0].kernel
    assert auto.parts.network[1][0].kernel == normal.parts.network[0][0].kernel
    for prefill in (False, True):
        same = normal if prefill else low
        assert auto.shared_s(32 * 100, 100, prefill) == same.shared_s(32 * 100, 100, prefill)


def test_low_latency_beyond_its_buffers_is_a_caveat() -> None:
    """128 tokens per GPU fit; 129 do not, unless the engine is told to hold more. Far beyond, normal mode would win."""
    assert not any("buffers" in text for text in law_caveats(law(), decode_seqs=128))
    assert any("exceeds the 128" in text for text in law_caveats(law(), decode_seqs=129))
    assert not any("buffers" in text for text in law_caveats(law(dispatch_limit_tokens=256), decode_seqs=256))
    assert any("normal mode would take less" in text for text in law_caveats(law(), decode_seqs=1000))
    assert any("CUDA graphs" in text for text in law_caveats(law(deepep_mode="normal"), decode_seqs=8))


def test_spread_and_sliced_experts() -> None:
    """EP8 x expert-TP4 on 32 GPUs: each GPU holds 32 quarters of experts, as many bytes as EP32's 8 whole ones."""
    spec = load_model("glm-5.2")
    hybrid = Layout(1, 1, 32, enable_expert_parallel=True, expert_ranks=8)
    assert str(hybrid) == "DP32, EP8 x expert-TP4"
    assert (hybrid.expert_parallel_size, hybrid.expert_tensor_parallel_size) == (8, 4)
    assert not layout_problems(spec, hybrid, weights="fp8_block")
    whole, sliced = (gpu_bytes(spec, layout, "fp8_block")["routed_experts"] for layout in (WIDE, hybrid))
    assert sliced == pytest.approx(whole, rel=1e-12)
    chosen = law(hybrid, imbalance={"law": "power_law", "alpha": 1.01})
    names = [line.name for line in explain_step(chosen, decode_seqs=16, context_tokens=1000)]
    assert "all-gather" in names
    assert "dispatch" not in names
    assert any("sliced" in text for text in law_caveats(chosen))
    grouped = chosen.parts.experts[0][0].cost
    assert grouped(512).bytes > 0
    assert chosen.inputs.spreads_tokens is False


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        (Layout(1, 1, 32, enable_expert_parallel=True, expert_ranks=5), "does not divide the 32"),
        (Layout(1, 1, 32, enable_expert_parallel=True, expert_ranks=1), "whole blocks"),
        (Layout(8, expert_ranks=4), "needs enable_expert_parallel"),
        (Layout(4, 1, 6, enable_expert_parallel=True, expert_ranks=12), "not divisible by expert-parallel size 12"),
    ],
)
def test_hybrids_must_divide(layout: Layout, words: str) -> None:
    """Groups divide the ranks, experts divide the groups, and slices keep whole scale blocks."""
    assert any(words in text for text in layout_problems(load_model("glm-5.2"), layout, weights="fp8_block"))


def test_copies_take_memory_on_every_gpu() -> None:
    """32 redundant experts of 256 on 32 GPUs: nine experts per GPU instead of eight, one eighth more bytes."""
    spec = load_model("glm-5.2")
    spare = Layout(1, 1, 32, enable_expert_parallel=True, redundant_experts=32)
    plain, more = (gpu_bytes(spec, layout, "fp8_block")["routed_experts"] for layout in (WIDE, spare))
    assert more == pytest.approx(plain * 9 / 8, rel=1e-12)
    assert (more - plain) / 75 == pytest.approx(3 * 6144 * 2048 * (1 + 4 / 128**2), rel=1e-9)
