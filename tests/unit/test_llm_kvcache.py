"""Cache bytes on the GPUs of a layout: what divides, and what every rank must hold."""

from __future__ import annotations

import pytest

from sim.errors import ScenarioError
from sim.llm.kvcache import (
    kv_sequence_bytes,
    kv_sequence_gpu_bytes,
    kv_token_bytes,
    kv_token_gpu_bytes,
)
from sim.llm.layout import Layout
from sim.llm.zoo import load_model


def test_a_latent_is_replicated_over_tensor_ranks() -> None:
    """TP does not shrink the cache of latent attention; pipeline stages do; data ranks leave it whole."""
    spec = load_model("glm-5.2")
    whole = kv_token_bytes(spec, "fp8", draft=True)
    assert kv_token_gpu_bytes(spec, Layout(16), "fp8", draft=True) == whole
    assert kv_token_gpu_bytes(spec, Layout(1, 1, 16), "fp8", draft=True) == whole
    assert kv_token_gpu_bytes(spec, Layout(8, 2), "fp8", draft=True).total_bytes == whole.total_bytes / 2


@pytest.mark.parametrize(("tp", "share"), [(1, 1.0), (2, 0.5), (8, 0.125), (16, 0.125), (32, 0.125)])
def test_grouped_heads_divide_up_to_their_number(tp: int, share: float) -> None:
    """Eight key-value heads divide over up to eight ranks and are repeated beyond."""
    spec = load_model("mixtral-8x7b")
    assert kv_token_gpu_bytes(spec, Layout(tp), "bf16").total_bytes == 131_072 * share


def test_block_sparse_index_keys_do_not_divide() -> None:
    """MiniMax-M3's keys and values divide over four ranks; its single-headed index keys do not."""
    spec = load_model("minimax-m3-text")
    token = kv_token_gpu_bytes(spec, Layout(4), "bf16")
    assert (token.attention_bytes, token.indexer_bytes) == (122_880 / 4, 14_592)


def test_windows_cost_a_constant_per_sequence() -> None:
    """gpt-oss holds 18 windows of 128 tokens per sequence, divided like its heads and stages; GLM-5.2 holds none."""
    spec = load_model("gpt-oss-120b")
    assert kv_sequence_bytes(spec, "bf16") == 4_718_592
    assert kv_sequence_bytes(spec, "fp8") == 4_718_592 / 2
    assert kv_sequence_gpu_bytes(spec, Layout(8, 2), "bf16") == 4_718_592 / 16
    assert kv_sequence_bytes(load_model("glm-5.2"), "bf16") == 0


def test_recurrent_states_divide_over_heads() -> None:
    """Kimi-K3's states are constant bytes per sequence that tensor ranks share."""
    spec = load_model("kimi-k3", allow_approximate=True)
    assert kv_sequence_bytes(spec, "bf16") == kv_sequence_bytes(spec, "fp8") == 434_110_464
    assert kv_sequence_gpu_bytes(spec, Layout(8), "bf16") == 434_110_464 / 8


def test_draft_pool_of_grouped_heads_divides_too() -> None:
    """GLM-4.5's draft layer caches one more layer, divided over tensor ranks like the others."""
    spec = load_model("glm-4.5")
    assert kv_token_bytes(spec, "bf16", draft=True).draft_bytes == 376_832 / 92
    assert kv_token_gpu_bytes(spec, Layout(8), "bf16", draft=True).draft_bytes == 376_832 / 92 / 8


def test_fp8_means_flat_bytes_without_sparse_attention() -> None:
    """For dense latent attention fp8 is 576 bytes per layer; the Hopper layout must be asked for by name."""
    spec = load_model("deepseek-v3-r1")
    assert kv_token_bytes(spec, "fp8") == kv_token_bytes(spec, "fp8_flat")
    assert kv_token_bytes(spec, "fp8_ds_mla").total_bytes == 61 * 656


def test_all_layers_policy_without_an_indexer_changes_nothing() -> None:
    """A model without indexers has no index keys under any policy."""
    spec = load_model("mixtral-8x7b")
    assert kv_token_bytes(spec, "bf16", indexer_policy="all_layers") == kv_token_bytes(spec, "bf16")


def test_unknown_choices_are_named() -> None:
    """Unknown cache types and policies are refused by key, with the nearest choice; a layout needs its latent."""
    spec = load_model("glm-5.2")
    with pytest.raises(ScenarioError, match=r"kv_cache_dtype: unknown cache type.*did you mean 'fp8_flat'"):
        kv_token_bytes(spec, "fp8_flatt")
    with pytest.raises(ScenarioError, match="indexer_policy"):
        kv_token_bytes(spec, "fp8", indexer_policy="some")  # type: ignore[arg-type]
    with pytest.raises(ScenarioError, match="no latent"):
        kv_token_bytes(load_model("mixtral-8x7b"), "fp8_ds_mla")
