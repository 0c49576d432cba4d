"""The step-time law as the engine uses it: protocol, linearity, purity, breakdown."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.catalog import models
from sim.catalog.tables import table
from sim.errors import CatalogError, ScenarioError
from sim.llm.formats import format_names
from sim.llm.layout import Layout
from sim.llm.zoo import load_model
from sim.steptime.build import build_law
from sim.steptime.caveats import assumed_kernels, law_caveats
from sim.steptime.explain import explain_step
from sim.steptime.kernel import KernelStepLaw
from sim.steptime.law import StepLaw

GLM_LAYOUTS = [
    Layout(8, 2, 1),
    Layout(4, 1, 4, enable_expert_parallel=True),
    Layout(1, 1, 16, enable_expert_parallel=True),
]


def law(model: str = "glm-5.2", layout: Layout = GLM_LAYOUTS[1], **changes: object) -> KernelStepLaw:
    """A law on H100 with SGLang unless changed."""
    options: dict[str, object] = {
        "gpu": "h100-sxm-80gb",
        "node": "auto",
        "engine": "sglang",
        "weights": "fp8_block",
        "kv_cache_dtype": "fp8",
        "imbalance": {},
    } | changes
    return build_law(load_model(model, allow_approximate=True), layout, **options)


CASES = {
    "sparse latent": law(),
    "latent": law("deepseek-v3-r1", Layout(1, 1, 16, enable_expert_parallel=True)),
    "windowed": law("gpt-oss-120b", Layout(), engine="vllm", weights="mxfp4", kv_cache_dtype="bf16"),
    "pipelined": law(layout=GLM_LAYOUTS[0]),
    "sliced experts": law("mixtral-8x7b", Layout(2, 1, 2), weights="bf16", kv_cache_dtype="bf16"),
    "dense": law("llama-3.1-70b", Layout(16), engine="tensorrt-llm", weights="bf16", kv_cache_dtype="bf16"),
}


@pytest.mark.parametrize("name", CASES)
def test_breakdown_adds_up(name: str) -> None:
    """The seconds of the breakdown add up to lane plus shared seconds, for decode, prefill and mixed steps."""
    chosen = CASES[name]
    cap, ranks = chosen.attention_cap_tokens, chosen.inputs.layout.data_parallel_size
    for seqs, context, new, prefix in (
        (1, 1, 0, 0),
        (32, 5000, 0, 0),
        (0, 0, 700, 0),
        (0, 0, 3000, 9000),
        (64, 900, 2048, 4096),
    ):
        lines = explain_step(chosen, decode_seqs=seqs, context_tokens=context, prefill_tokens=new, prefix_tokens=prefix)
        capped = seqs * min(context, cap) if cap else 0
        above = bool(cap and seqs) and context >= cap
        chunks = [(new, prefix)] if new else []
        tokens = seqs + new
        expected = chosen.mixed_s(seqs, seqs * context, capped, above, chunks)
        expected += chosen.shared_s(tokens * ranks, tokens, bool(new))
        assert sum(line.seconds for line in lines) == pytest.approx(expected, rel=1e-9)
        assert all(
            line.seconds >= 0 and line.flops >= 0 and line.bytes >= 0 and line.network_bytes >= 0 for line in lines
        )


@given(st.sampled_from(sorted(CASES)), st.integers(1, 300), st.integers(0, 10**6), st.integers(0, 10**5), st.booleans())
@settings(max_examples=60)
def test_decode_coefficients_are_the_law(name: str, seqs: int, context: int, capped: int, above: bool) -> None:
    """A step without prompts costs exactly what its coefficients say, so that spans of steps have a closed form."""
    chosen: StepLaw = CASES[name]
    c = chosen.decode(seqs)
    linear = c.base_s + c.context_s * context + c.capped_s * capped + c.above_s * above
    assert chosen.mixed_s(seqs, context, capped, above, ()) == pytest.approx(linear, rel=1e-12)
    assert min(c.base_s, c.context_s, c.capped_s, c.above_s) >= 0


@pytest.mark.parametrize("name", CASES)
def test_values_do_not_depend_on_call_order(name: str) -> None:
    """Every value is a function of the arguments alone: a fresh law called in reverse order gives the same bits."""
    chosen = CASES[name]
    inputs = chosen.inputs
    fresh = build_law(
        inputs.spec,
        inputs.layout,
        gpu=inputs.hardware.gpu,
        node=inputs.hardware.node,
        engine=inputs.engine,
        weights=inputs.weights,
        kv_cache_dtype=inputs.kv_cache_dtype,
        imbalance={},
    )
    tokens = [1, 7, 64, 333, 4096]
    first = [
        (chosen.shared_s(n, n, bool(n % 2)), chosen.mixed_s(3, 99, 9, any_above=True, prefills=((n, 5),)))
        for n in tokens
    ]
    second = [
        (fresh.shared_s(n, n, bool(n % 2)), fresh.mixed_s(3, 99, 9, any_above=True, prefills=((n, 5),)))
        for n in reversed(tokens)
    ]
    assert first == second[::-1]


@pytest.mark.parametrize("name", CASES)
def test_more_work_takes_longer(name: str) -> None:
    """More sequences, longer contexts, longer prompts, longer prefixes and more shared tokens never take less time."""
    chosen = CASES[name]
    cap = chosen.attention_cap_tokens

    def decode_s(seqs: int, context: int) -> float:
        return chosen.mixed_s(
            seqs, seqs * context, seqs * min(context, cap) if cap else 0, bool(cap) and context >= cap, ()
        )

    sizes = [1, 2, 3, 5, 8, 16, 31, 64, 128, 256, 400]
    lengths = [1, 500, 2047, 2048, 2049, 9000, 130_000]
    series = [[decode_s(seqs, 3000) for seqs in sizes], [decode_s(16, context) for context in lengths]]
    series.append(
        [
            chosen.mixed_s(8, 8000, 800, any_above=False, prefills=((new, 0),))
            for new in (1, 100, 1000, 2049, 4096, 16384)
        ]
    )
    series.append(
        [
            chosen.mixed_s(0, 0, 0, any_above=False, prefills=((1024, cached),))
            for cached in (0, 1000, 1025, 5000, 100_000)
        ]
    )
    series.extend(
        [chosen.shared_s(n, n, prefill) for n in (1, 2, 4, 10, 33, 100, 999, 5000, 60_000)] for prefill in (False, True)
    )
    for values in series:
        assert values == sorted(values), values


@pytest.mark.parametrize("name", CASES)
def test_a_prompt_never_makes_a_step_shorter(name: str) -> None:
    """Adding a chunk to a decode step takes at least as long as the decode step."""
    chosen = CASES[name]
    for seqs in (1, 64, 512):
        plain = chosen.mixed_s(seqs, seqs * 3000, seqs * 100, any_above=True, prefills=())
        assert chosen.mixed_s(seqs, seqs * 3000, seqs * 100, any_above=True, prefills=((1, 0),)) >= plain


@pytest.mark.parametrize("gpu", list(table("gpus")))
@pytest.mark.parametrize("weights", format_names())
def test_every_model_format_and_gpu_has_a_finite_step(gpu: str, weights: str) -> None:
    """No model of the zoo, in any format on any GPU and engine, gives a step that is not positive and finite."""
    for index, name in enumerate(models.names()):
        engine = list(table("engines"))[index % 3]
        layout = Layout(2, 1, 4, enable_expert_parallel=load_model(name, allow_approximate=True).num_experts > 0)
        kv = ("bf16", "fp8")[index % 2]
        chosen = law(name, layout, gpu=gpu, engine=engine, weights=weights, kv_cache_dtype=kv)
        step_s = chosen.mixed_s(
            16, 16 * 4096, 16 * min(4096, chosen.attention_cap_tokens), any_above=True, prefills=((512, 64),)
        )
        step_s += chosen.shared_s(4 * 528, 528, prefill=True)
        assert 1e-4 < step_s < 10.0, name
        c = chosen.decode(16)
        assert 1e-5 < c.base_s < 1.0, name


@pytest.mark.parametrize("layout", GLM_LAYOUTS, ids=str)
def test_glm52_decode_is_nearly_flat_in_context(layout: Layout) -> None:
    """Sparse attention: from 4K to 64K of context a sequence costs 0.6 ms more per step, as measured, not 16 times."""
    chosen = law(layout=layout)
    short, long = (chosen.mixed_s(1, context, 2048, any_above=True, prefills=()) for context in (4096, 65_536))
    assert long - short == pytest.approx(0.6e-3, abs=0.25e-3)
    dense = CASES["latent"]
    assert dense.mixed_s(32, 32 * 65_536, 0, any_above=False, prefills=()) > 5 * dense.mixed_s(
        32, 32 * 4096, 0, any_above=False, prefills=()
    )


def test_host_overhead_is_apart_and_counts_per_stage() -> None:
    """Host overhead adds its seconds once per pipeline stage, and nothing else changes with it."""
    for layout, stages in ((Layout(8), 1), (Layout(8, 2), 2)):
        without, with_it = (law(layout=layout, host_overhead_s=host_s) for host_s in (0.0, 3e-3))
        assert with_it.shared_s(64, 64, prefill=False) - without.shared_s(64, 64, prefill=False) == pytest.approx(
            stages * 3e-3
        )
        assert with_it.decode(64) == without.decode(64)


def test_faster_memory_shortens_decode_by_at_most_its_ratio() -> None:
    """H200 differs from H100 by rows of the catalog alone: decode gains from bandwidth, prefill hardly."""
    h100, h200 = (law(gpu=gpu, host_overhead_s=0.0) for gpu in ("h100-sxm-80gb", "h200-sxm-141gb"))
    assert 3.35 / 4.8 < h200.shared_s(512, 128, prefill=False) / h100.shared_s(512, 128, prefill=False) < 0.95
    chunk = ((8192, 0),)
    assert h200.mixed_s(0, 0, 0, any_above=False, prefills=chunk) > 0.95 * h100.mixed_s(
        0, 0, 0, any_above=False, prefills=chunk
    )


def test_weight_only_formats_save_bytes_and_no_math() -> None:
    """4-bit experts without 4-bit math stream fewer bytes at decode, and prefill at BF16 speed, slower than FP8."""
    fp8, int4 = (law(weights=weights) for weights in ("fp8_block", "int4_g128"))
    assert int4.shared_s(512, 128, prefill=False) < fp8.shared_s(512, 128, prefill=False)
    assert int4.shared_s(65_536, 16_384, prefill=True) > fp8.shared_s(65_536, 16_384, prefill=True)


def test_caveats_name_what_is_extrapolated() -> None:
    """A law inside its range has no caveats; outside, each reason is named."""
    inside = law("deepseek-v3-r1", Layout(1, 1, 16, enable_expert_parallel=True), imbalance={"law": "uniform"})
    assert law_caveats(inside, decode_seqs=64, context_tokens=4096) == []
    outside = law("glm-5.2", Layout(1, 1, 16, enable_expert_parallel=True), gpu="a100-sxm-80gb", engine="vllm")
    text = " ".join(law_caveats(outside, decode_seqs=300, context_tokens=4096, prefill_chunks=5, prefix_tokens=200_000))
    for reason in (
        "a100",
        "multiplied in BF16",
        "taken from SGLang",
        "7168",
        "default",
        "300",
        "tokens of context",
        "5 prompts",
        "200,000",
    ):
        assert reason in text, reason
    assert "inter_node_collective" in assumed_kernels(CASES["dense"])
    assert "gqa_decode_flash" in assumed_kernels(CASES["dense"])


def test_wrong_names_are_refused() -> None:
    """Unknown GPU, engine, imbalance law or range is one clear error."""
    with pytest.raises(CatalogError, match="h100-sxm-80gb"):
        law(gpu="h100-sxm-80g")
    with pytest.raises(CatalogError, match="sglang"):
        law(engine="sglan")
    with pytest.raises(ScenarioError, match=r"expert_imbalance\.law.*power_law"):
        law(imbalance={"law": "powerlaw"})
    with pytest.raises(ScenarioError, match=r"expert_imbalance\.max_over_mean"):
        law(imbalance={"law": "fixed", "max_over_mean": 0.5})
    with pytest.raises(ScenarioError, match="decode_seqs"):
        explain_step(law(), decode_seqs=0, context_tokens=0)
