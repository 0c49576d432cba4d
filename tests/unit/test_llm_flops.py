"""FLOPs: prefill is the sum of its tokens, windows cap, and the indexer pays for the cached prefix."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.catalog import models
from sim.llm.attention import AttentionGroup, attention_groups
from sim.llm.experts import distinct_experts
from sim.llm.flops import decode_flops, draft_flops, prefill_flops
from sim.llm.zoo import load_model


@given(cap=st.integers(0, 60), stride=st.sampled_from([1, 4]), new=st.integers(0, 60), cached=st.integers(0, 60))
def test_sum_of_keys_is_closed_form(cap: int, stride: int, new: int, cached: int) -> None:
    """The closed form equals adding the keys of each token."""
    group = AttentionGroup(layers=1, cap_tokens=cap, stride_tokens=stride)
    each = sum(group.keys(context) for context in range(cached + 1, cached + new + 1))
    assert group.keys_sum(new, cached) == pytest.approx(each)


@given(name=st.sampled_from(models.names()), first=st.integers(1, 5000), second=st.integers(1, 5000))
def test_chunks_add_up(name: str, first: int, second: int) -> None:
    """Prefilling in two chunks costs the attention and indexer FLOPs of one, and one more use of the head."""
    spec = load_model(name, allow_approximate=True)
    whole, chunks = (
        prefill_flops(spec, first + second),
        (prefill_flops(spec, first), prefill_flops(spec, second, first)),
    )
    assert sum(part.attention for part in chunks) == pytest.approx(whole.attention)
    assert sum(part.indexer for part in chunks) == pytest.approx(whole.indexer)
    assert sum(part.weights for part in chunks) - whole.weights == 2 * spec.vocab_size * spec.hidden_size


def test_prefill_of_one_sparse_token_is_a_decode_step() -> None:
    """With sparse attention both are absorbed: one new token after a prefix costs exactly one decoded token."""
    spec = load_model("glm-5.2")
    assert prefill_flops(spec, 1, 9999) == decode_flops(spec, 10_000)


def test_dense_prefill_is_expanded() -> None:
    """DeepSeek-V3 prefills cheaper per pair than it decodes."""
    spec = load_model("deepseek-v3-r1")
    ratio = decode_flops(spec, 5000).attention / prefill_flops(spec, 1, 4999).attention
    assert ratio == 278_528 / 81_920


def test_nothing_to_prefill_costs_nothing() -> None:
    """Zero new tokens cost zero FLOPs, whatever is cached."""
    assert prefill_flops(load_model("glm-5.2"), 0, 4096).total == 0


def test_prefix_caching_does_not_remove_the_indexer() -> None:
    """Beyond the top-k, a longer cached prefix leaves attention FLOPs alone and raises those of the indexer."""
    spec = load_model("glm-5.2")
    near, far = prefill_flops(spec, 1024, 8192), prefill_flops(spec, 1024, 65_536)
    assert near.attention == far.attention
    assert far.indexer > 6 * near.indexer


def test_index_sharing_saves_what_was_published() -> None:
    """At 1M tokens GLM-5.2 spends 2.73 times fewer FLOPs per token than with indexers in all 78 layers."""
    shared, every = load_model("glm-5.2"), load_model("glm-5")
    ratio = decode_flops(every, 2**20).total / decode_flops(shared, 2**20).total
    assert ratio == pytest.approx(2.73, abs=0.01)


def test_windows_cap_their_layers_only() -> None:
    """gpt-oss: 18 layers see 128 tokens, 18 the whole context; MiniMax-M3: 57 of 60 layers are capped."""
    assert attention_groups(load_model("gpt-oss-120b")) == (AttentionGroup(18, 0), AttentionGroup(18, 128))
    assert attention_groups(load_model("minimax-m3-text")) == (AttentionGroup(57, 2048), AttentionGroup(3, 0))
    assert attention_groups(load_model("glm-5.2")) == (AttentionGroup(21, 2048), AttentionGroup(57, 2048))


def test_models_without_draft_layers_draft_for_nothing() -> None:
    """Without MTP layers there is no draft cost."""
    assert draft_flops(load_model("mixtral-8x7b")) == 0


@given(tokens=st.floats(0, 1e5), experts=st.integers(1, 512), data=st.data())
def test_distinct_experts_are_bounded(tokens: float, experts: int, data: st.DataObject) -> None:
    """A batch touches at most all experts, at most K per token, and more tokens never touch fewer."""
    chosen = data.draw(st.integers(1, experts))
    distinct = distinct_experts(experts, chosen, tokens)
    assert 0 <= distinct <= experts
    if tokens >= 1:
        assert distinct <= chosen * tokens * (1 + 1e-12)
        assert distinct >= chosen * (1 - 1e-12)
    assert distinct_experts(experts, chosen, tokens + 1) >= distinct


def test_a_dense_model_touches_no_expert() -> None:
    """Without experts none is touched."""
    assert distinct_experts(0, 0, 64) == 0
