"""Step times with a divided cache or divided prompts: what divides, what is exchanged, what stays."""

from __future__ import annotations

import pytest

from sim.llm.layout import Layout
from sim.llm.zoo import load_model
from sim.steptime.build import build_law
from sim.steptime.caveats import assumed_kernels, law_caveats
from sim.steptime.collectives import GroupExchange, inter_node_seconds, nccl_seconds
from sim.steptime.explain import explain_step
from sim.steptime.hardware import load_hardware
from sim.steptime.kernel import KernelStepLaw
from sim.steptime.kernels import kernel

H100 = load_hardware("h100-sxm-80gb")
GATHER, SCATTER, BETWEEN = (
    kernel(name) for name in ("nccl_all_gather", "nccl_reduce_scatter", "inter_node_collective")
)


def law(model: str = "glm-5.2", **layout: int) -> KernelStepLaw:
    cache = "bf16" if model == "mixtral-8x7b" else "fp8"
    weights = "bf16" if model == "mixtral-8x7b" else "fp8_block"
    chosen = Layout(**({"tensor_parallel_size": 8} | layout))
    return build_law(
        load_model(model),
        chosen,
        gpu="h100-sxm-80gb",
        node="auto",
        engine="vllm",
        weights=weights,
        kv_cache_dtype=cache,
        imbalance={},
    )


def seconds(chosen: KernelStepLaw, **step: int) -> dict[str, float]:
    return {line.name: line.seconds for line in explain_step(chosen, **step)}


def test_decode_exchanges_by_hand() -> None:
    """Queries of 64 heads, their partial results, and 2,048 candidates of 8 GPUs, for 4 sequences in NCCL's form."""
    found = seconds(law(decode_context_parallel_size=8), decode_seqs=4, context_tokens=100_000)
    tokens = 4
    queries = nccl_seconds(GATHER, H100, 8, tokens * 64 * 576 * 2)
    combined = nccl_seconds(GATHER, H100, 8, tokens * 64 * 8 * 4) + nccl_seconds(
        SCATTER, H100, 8, tokens * 64 * 512 * 2
    )
    candidates = nccl_seconds(GATHER, H100, 8, tokens * 2048 * 8 * 8)
    assert found["attention: gather of queries"] == pytest.approx(78 * queries)
    assert found["attention: combination of partial results"] == pytest.approx(78 * combined)
    assert found["indexer: gather of candidates"] == pytest.approx(21 * candidates)


def test_keys_divide_while_decoding() -> None:
    """What a token of context adds to the indexer, and a selected key to attention, is an eighth of a copy's."""
    copied, divided = law(), law(decode_context_parallel_size=8)
    for seqs in (1, 32):
        whole, part = copied.decode(seqs), divided.decode(seqs)
        assert part.context_s == pytest.approx(whole.context_s / 8)
        assert part.capped_s == pytest.approx(whole.capped_s / 8)
        assert part.base_s > whole.base_s


def test_dense_latents_divide_until_scores_bound() -> None:
    """DeepSeek-V3's reads divide; scores do not, since each GPU scores its keys for the heads of all."""
    copied, divided = law("deepseek-v3-r1"), law("deepseek-v3-r1", decode_context_parallel_size=8)
    ratio = divided.decode(8).context_s / copied.decode(8).context_s
    assert 1 / 8 <= ratio < 1.0


def test_dense_latents_gather_the_prefix_of_a_chunk() -> None:
    """A chunk behind 30,000 cached tokens gathers them in BF16 in each of 61 layers; without a prefix nothing is."""
    chosen = law("deepseek-v3-r1", decode_context_parallel_size=8)
    behind = seconds(chosen, decode_seqs=0, context_tokens=0, prefill_tokens=4096, prefix_tokens=30_000)
    first = seconds(chosen, decode_seqs=0, context_tokens=0, prefill_tokens=4096)
    gathered = 61 * nccl_seconds(GATHER, H100, 8, 30_000 * 576 * 2)
    assert behind["attention: gather of keys"] == pytest.approx(gathered)
    assert first["attention: gather of keys"] == first["attention: gather of queries"] == 0.0


def test_grouped_heads_exchange_their_own_width() -> None:
    """Mixtral on 16 GPUs with two shards: 4 of 32 query heads of width 128 are gathered, keys read by half."""
    copied = law("mixtral-8x7b", tensor_parallel_size=16)
    divided = law("mixtral-8x7b", tensor_parallel_size=16, decode_context_parallel_size=2)
    assert divided.decode(8).context_s == pytest.approx(copied.decode(8).context_s / 2)
    found = seconds(divided, decode_seqs=8, context_tokens=5000)
    queries = nccl_seconds(GATHER, H100, 2, 8 * 4 * 128 * 2)
    assert found["attention: gather of queries"] == pytest.approx(32 * queries)


def test_prompts_divide_over_groups() -> None:
    """Two groups take half of the tokens each, with a balanced half of the query-key pairs; the decodes are on both."""
    chosen = law(prefill_context_parallel_size=2)
    assert list(chosen.on_rank([(8192, 0), (101, 1000)])) == [(4096, 2048), (51, 1025)]
    pairs = 4096 * 2048 + 4096 * 4097 // 2
    assert pairs == pytest.approx(8192 * 8193 / 2 / 2, rel=1e-3)
    assert law().on_rank([(8192, 0)]) == [(8192, 0)]
    one, two, long = law(), chosen, [(8192, 100_000)]
    assert two.mixed_s(0, 0, 0, any_above=False, prefills=long) < 0.75 * one.mixed_s(
        0, 0, 0, any_above=False, prefills=long
    )
    assert two.decode(16) == one.decode(16)


def test_groups_between_nodes_gather_keys_and_tokens() -> None:
    """Groups of 8 are a node apart: keys of a chunk and tokens around the experts cross the network."""
    chosen = law(prefill_context_parallel_size=2)
    found = seconds(chosen, decode_seqs=0, context_tokens=0, prefill_tokens=8192)
    keys = 78 * inter_node_seconds(BETWEEN, H100, 2, 8192 * 576 * 2) + 21 * inter_node_seconds(
        BETWEEN, H100, 2, 8192 * 128 * 2
    )
    assert found["attention: gather of keys"] == pytest.approx(keys)
    assert found["all-gather"] == pytest.approx(75 * inter_node_seconds(BETWEEN, H100, 2, 8192 * 6144 * 2))


def test_a_group_exchange_inside_and_between_nodes() -> None:
    """Nothing for one member or no bytes; neighbours a node apart use their own NICs; sixteen use both."""
    message = 1e6
    assert GroupExchange(GATHER, BETWEEN, H100, 1).seconds(message) == 0.0
    assert GroupExchange(GATHER, BETWEEN, H100, 8).seconds(0.0) == 0.0
    assert GroupExchange(GATHER, BETWEEN, H100, 2, 4).seconds(message) == nccl_seconds(GATHER, H100, 2, message)
    apart = inter_node_seconds(BETWEEN, H100, 2, message)
    assert GroupExchange(GATHER, BETWEEN, H100, 2, 8).seconds(message) == apart
    both = nccl_seconds(GATHER, H100, 8, message) + inter_node_seconds(BETWEEN, H100, 2, message / 8)
    assert GroupExchange(GATHER, BETWEEN, H100, 16).seconds(message) == both


@pytest.mark.parametrize("layout", [{"decode_context_parallel_size": 8}, {"prefill_context_parallel_size": 2}])
@pytest.mark.parametrize("step", [(4, 100_000, 0, 0), (4, 100_000, 4096, 60_000), (0, 0, 900, 0)])
def test_breakdown_adds_up(layout: dict[str, int], step: tuple[int, int, int, int]) -> None:
    """The seconds of the breakdown are lane plus shared seconds, whatever is divided."""
    chosen = law(**layout)
    seqs, context, new, prefix = step
    lines = explain_step(chosen, decode_seqs=seqs, context_tokens=context, prefill_tokens=new, prefix_tokens=prefix)
    capped, above = seqs * min(context, 2048), seqs > 0
    whole = chosen.mixed_s(seqs, seqs * context, capped, above, [(new, prefix)] if new else [])
    whole += chosen.shared_s(seqs + new, seqs + new, new > 0)
    assert sum(line.seconds for line in lines) == pytest.approx(whole, rel=1e-12)


def test_what_was_not_measured_is_said() -> None:
    """Exchanges are an assumed kernel, attention on a divided cache is assumed, and a run warns of both."""
    chosen = law(decode_context_parallel_size=8)
    assert "context_parallel" in assumed_kernels(chosen)
    assert "context_parallel" not in assumed_kernels(law())
    text = " ".join(law_caveats(chosen))
    assert "8 GPUs divide" in text
    assert "45426" in text
    assert "2 groups" in " ".join(law_caveats(law(prefill_context_parallel_size=2)))
    lines = explain_step(chosen, decode_seqs=4, context_tokens=5000)
    assert {line.status for line in lines if line.name.startswith(("attention", "indexer"))} == {"assumed"}
