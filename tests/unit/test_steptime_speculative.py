"""The step-time law of speculative decoding: what a verification and a draft cost."""

from __future__ import annotations

import pytest

from sim.errors import ScenarioError
from sim.llm.layout import Layout
from sim.llm.parameters import draft_parameters
from sim.llm.zoo import load_model
from sim.steptime.build import build_law
from sim.steptime.explain import explain_step
from sim.steptime.kernel import KernelStepLaw
from sim.steptime.law import DraftingLaw
from sim.steptime.speculative import SpeculativeStepLaw

GIGA = 1e9


def law(drafts: int, model: str = "glm-5.2", layout: Layout | None = None, **changes: object) -> KernelStepLaw:
    options: dict[str, object] = {
        "gpu": "h200-sxm-141gb",
        "node": "auto",
        "engine": "sglang",
        "weights": "fp8_block",
        "kv_cache_dtype": "bf16",
        "imbalance": {},
    } | changes
    return build_law(load_model(model), layout or Layout(8), num_speculative_tokens=drafts, **options)


LAWS = {
    "sparse latent": law(3),
    "sparse latent, every layer with an indexer": law(3, "deepseek-v3.2"),
    "data-parallel attention": law(2, layout=Layout(1, 1, 8, enable_expert_parallel=True)),
    "latent": law(1, "deepseek-v3-r1", Layout(4, 1, 2)),
    "grouped-query": law(4, "glm-4.5", weights="bf16"),
    "drafts in BF16": law(3, weights="nvfp4"),
}


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize(
    ("seqs", "context", "new", "prefix"),
    [(1, 1, 0, 0), (32, 5000, 0, 0), (0, 0, 3000, 9000), (64, 900, 2048, 4096)],
)
def test_breakdown_adds_up(name: str, seqs: int, context: int, new: int, prefix: int) -> None:
    """Lines of verification and drafts add up to the seconds that the engine asks for."""
    chosen = LAWS[name]
    assert isinstance(chosen, SpeculativeStepLaw)
    assert isinstance(chosen, DraftingLaw)
    lines = explain_step(chosen, decode_seqs=seqs, context_tokens=context, prefill_tokens=new, prefix_tokens=prefix)
    cap, ranks = chosen.attention_cap_tokens, chosen.inputs.layout.data_parallel_size
    capped = seqs * min(context, cap) if cap else 0
    chunks = [(new, prefix)] if new else []
    tokens = seqs * chosen.inputs.queries + new
    above = bool(cap and seqs) and context >= cap
    lane_s = chosen.mixed_s(seqs, seqs * context, capped, above, chunks)
    shared_s = chosen.shared_s(tokens * ranks, tokens, bool(new)) + chosen.drafts_s(seqs * ranks, seqs)
    assert sum(line.seconds for line in lines) == pytest.approx(lane_s + shared_s, rel=1e-9)
    if not new:
        c = chosen.decode(seqs)
        assert c.base_s + c.context_s * seqs * context + c.capped_s * capped + c.above_s * above == pytest.approx(
            lane_s
        )


def test_no_drafts_is_the_plain_law() -> None:
    """Without drafts the very law of plain decoding is built."""
    assert type(law(0)) is KernelStepLaw
    assert law(0).decode(7) == KernelStepLaw(law(0).inputs, law(0).parts).decode(7)


def test_verified_tokens_are_computed_like_more_sequences() -> None:
    """All that counts tokens costs as much for 8 sequences of 4 tokens as for 32 sequences of one."""
    lines = {line.name: line for line in explain_step(law(3), decode_seqs=8, context_tokens=3000)}
    plain = {line.name: line for line in explain_step(law(0), decode_seqs=32, context_tokens=3000)}
    for name, line in plain.items():
        if name not in {"indexer", "host overhead"}:
            assert lines[name].seconds == pytest.approx(line.seconds, rel=1e-12), name
    assert lines["host overhead"].seconds == plain["host overhead"].seconds


def test_the_cache_of_a_sequence_is_read_once_for_all_its_tokens() -> None:
    """Latent attention reads per sequence and scores per token; an indexer likewise."""
    verified, plain = (
        {line.name: line for line in explain_step(chosen, decode_seqs=8, context_tokens=30_000)}
        for chosen in (law(3, "deepseek-v3-r1"), law(0, "deepseek-v3-r1"))
    )
    weights = 4 * verified["attention (MLA)"].bytes - 4 * plain["attention (MLA)"].bytes
    assert weights == 0.0
    assert verified["attention (MLA)"].flops == pytest.approx(4 * plain["attention (MLA)"].flops)
    both = [explain_step(chosen, decode_seqs=8, context_tokens=30_000) for chosen in (law(3), law(0))]
    scans = [next(line for line in lines if line.name == "indexer") for lines in both]
    assert scans[0].bytes == scans[1].bytes
    assert scans[0].flops == pytest.approx(4 * scans[1].flops)


def test_a_draft_costs_the_published_work() -> None:
    """A further draft of GLM-5.2 multiplies 1.533 G weights with its token, attention scores apart."""
    lone = law(2, layout=Layout(1))
    assert isinstance(lone, SpeculativeStepLaw)
    further = lone.further
    work = sum(line.flops for line in further.lane_operations(1, 1)) + sum(
        line.flops for line in further.shared_operations(1, 1, prefill=False)
    )
    work += sum(line.flops for line in further.parts.attention.decode(1))
    expected = 2 * draft_parameters(load_model("glm-5.2"))
    assert expected / GIGA == pytest.approx(3.07, abs=0.005)
    assert work == pytest.approx(expected, rel=2e-3)


def test_drafts_share_the_choice_of_keys_where_layers_do() -> None:
    """GLM-5.2 runs the draft layer's indexer once in a step, DeepSeek-V3.2 once per draft."""
    for model, runs in (("glm-5.2", 1), ("deepseek-v3.2", 3)):
        chosen = law(3, model)
        assert isinstance(chosen, SpeculativeStepLaw)
        counts = [line.count for part in (chosen.first, chosen.further) for line in part.parts.attention.decode(1)]
        assert counts[1] + chosen.num_further * counts[3] == runs


def test_a_published_time_per_token() -> None:
    """One request on 8 H200, 5 drafts, 3.5 tokens per step: 5.13 ms per token published for SGLang, within 5 %."""
    lines = explain_step(law(5), decode_seqs=1, context_tokens=4096)
    assert sum(line.seconds for line in lines) / 3.5 == pytest.approx(5.13e-3, rel=0.05)


@pytest.mark.parametrize(("model", "why"), [("mixtral-8x7b", "no multi-token-prediction layer"), ("kimi-k2", "drafts")])
def test_models_without_a_draft_layer_are_refused(model: str, why: str) -> None:
    """There is nothing to draft with."""
    with pytest.raises(ScenarioError, match=why):
        law(1, model, weights="bf16")
