"""The breakdown of a step: physical floors, labels, and what is refused or warned of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sim.catalog.tables import fact, table
from sim.errors import ScenarioError
from sim.llm.divisibility import layout_problems
from sim.llm.formats import weight_format
from sim.llm.layout import Layout
from sim.llm.zoo import load_model
from sim.scenario.load import load
from sim.simulation.explain import explain
from sim.steptime.build import build_law
from sim.steptime.caveats import law_caveats
from sim.steptime.explain import explain_step
from sim.steptime.kernel import KernelStepLaw
from sim.steptime.kernels import kernel
from sim.steptime.operation import Operation

GPUS = ("h100-sxm-80gb", "h200-sxm-141gb", "h800-sxm-80gb", "b200-sxm-180gb")
MODELS = {
    "glm-5.2": ("fp8_block", "fp8"),
    "glm-5": ("fp8_block", "bf16"),
    "deepseek-v3-r1": ("fp8_block", "fp8"),
    "deepseek-v4-pro": ("mxfp4_fp8", "fp8"),
    "gpt-oss-120b": ("mxfp4", "bf16"),
    "mixtral-8x7b": ("bf16", "bf16"),
    "qwen3-235b-a22b": ("fp8_block", "fp8"),
    "llama-3.1-70b": ("bf16", "bf16"),
}
LAYOUTS = (Layout(), Layout(8), Layout(8, 2), Layout(4, 1, 4, enable_expert_parallel=True), Layout(2, 1, 2))
BATCHES = (  # decoding sequences, context, prompt tokens, prefix
    (1, 1, 0, 0),
    (1, 4096, 0, 0),
    (64, 900, 0, 0),
    (256, 3000, 0, 0),
    (0, 0, 1, 0),
    (0, 0, 1024, 0),
    (1, 4096, 1024, 0),
    (200, 4096, 16, 0),
    (0, 0, 2049, 0),
    (64, 900, 2048, 4096),
    (0, 0, 512, 100_000),
    (16, 4096, 8192, 0),
)
GLM = Path(__file__).parents[2] / "scenarios" / "glm52_fp8_16xh100.yaml"


def law(model: str = "glm-5.2", layout: Layout = Layout(8, 2), **changes: object) -> KernelStepLaw:  # noqa: B008 - frozen
    """A law on H100 with SGLang unless changed."""
    weights, cache = MODELS[model]
    options: dict[str, object] = {
        "gpu": "h100-sxm-80gb",
        "node": "auto",
        "engine": "sglang",
        "weights": weights,
        "kv_cache_dtype": cache,
        "imbalance": {},
    } | changes
    return build_law(load_model(model, allow_approximate=True), layout, **options)  # type: ignore[arg-type]


def breakdown(chosen: KernelStepLaw, batch: tuple[int, int, int, int]) -> dict[str, Operation]:
    """Operations of one step by name."""
    seqs, context, new, prefix = batch
    lines = explain_step(chosen, decode_seqs=seqs, context_tokens=context, prefill_tokens=new, prefix_tokens=prefix)
    return {line.name: line for line in lines}


def laws(gpu: str) -> Iterator[KernelStepLaw]:
    """Laws of every model, layout that it can take, and engine."""
    for model, (weights, _) in MODELS.items():
        spec = load_model(model, allow_approximate=True)
        for layout in LAYOUTS:
            if not layout_problems(spec, layout, weights=weights):
                yield from (law(model, layout, gpu=gpu, engine=engine) for engine in table("engines"))


@pytest.mark.parametrize("gpu", GPUS)
def test_no_operation_is_faster_than_the_gpu(gpu: str) -> None:
    """No operation moves its bytes faster than HBM, or computes faster than the GPU's largest peak.

    In the additive form of FP8 products (`norm_power` 1) `memory_efficiency` exceeds 1: it is a constant of the fit
    that makes up for what its other terms charge twice, so those kernels may be that much faster, and no more.
    """
    checked = 0
    for chosen in laws(gpu):
        hardware = chosen.inputs.hardware
        peak = max(hardware.peak_bf16, hardware.peak_fp8, hardware.peak_fp4)
        for batch in BATCHES:
            for line in breakdown(chosen, batch).values():
                fit = kernel(line.kernel).values if line.kernel != "engine" else {}
                tolerance = max(1.0, fit.get("memory_efficiency", 1.0)) if fit.get("norm_power") == 1.0 else 1.0
                at = f"{line.name} of {chosen.inputs.spec.name} as {chosen.inputs.layout} for {batch}"
                assert line.bytes / hardware.hbm_bytes_per_s <= line.seconds * tolerance * (1 + 1e-9), at
                assert line.flops / peak <= line.seconds * (1 + 1e-9), at
                checked += 1
    assert checked > 5000


@pytest.mark.parametrize("gpu", GPUS)
def test_breakdown_is_the_step(gpu: str) -> None:
    """How attention is split over its lines moves no time in or out of the step."""
    for chosen in laws(gpu):
        cap, ranks = chosen.attention_cap_tokens, chosen.inputs.layout.data_parallel_size
        for seqs, context, new, prefix in BATCHES:
            above, capped = bool(cap and seqs) and context >= cap, seqs * min(context, cap)
            step_s = chosen.mixed_s(seqs, seqs * context, capped, above, ((new, prefix),) if new else ())
            step_s += chosen.shared_s((seqs + new) * ranks, seqs + new, bool(new))
            lines = explain_step(
                chosen, decode_seqs=seqs, context_tokens=context, prefill_tokens=new, prefix_tokens=prefix
            )
            assert sum(line.seconds for line in lines) == pytest.approx(step_s, rel=1e-9)


def test_indexers_beside_the_dense_path_do_the_work_of_their_keys() -> None:
    """1,024 tokens of prompt need no selection: indexers write keys of 128 values, 21 x 2 x 1024 x 6144 x 128 FLOPs."""
    indexer = breakdown(law(), (0, 0, 1024, 0))["indexer"]
    assert indexer.flops == 21 * 2 * 1024 * 6144 * 128
    assert 0 < indexer.seconds < 1e-3
    decoding = breakdown(law(), (1, 4096, 1024, 0))["indexer"]
    assert decoding.bytes > 5 * indexer.bytes
    assert decoding.seconds > indexer.seconds


def test_the_floor_of_prompts_is_launching() -> None:
    """Attention of GLM-5.2 takes 78 x 900 us for 1 to 1,024 prompt tokens: labelled launch, and named as a caveat."""
    for new in (1, 300, 1024):
        lines = breakdown(law(), (0, 0, new, 0))
        attention = lines["attention (sparse MLA)"]
        assert attention.bound == "launch"
        assert attention.seconds + lines["indexer"].seconds == pytest.approx(78 * 900e-6)
        (floor,) = (text for text in law_caveats(law(), prefill_chunks=1, prefill_tokens=new) if "floor" in text)
        assert "900 us" in floor
        assert "27 %" in floor
    long = breakdown(law(), (0, 0, 8192, 0))
    assert long["attention (sparse MLA)"].bound == "compute"
    assert long["indexer"].bound == "compute"
    assert not any("floor" in text for text in law_caveats(law(), prefill_chunks=1, prefill_tokens=8192))


def test_host_overhead_has_the_status_of_its_source() -> None:
    """Host overhead carries the status of the engine's row, or says that the scenario chose it."""
    row = fact("engines", "sglang", "host_overhead_ms")
    assert breakdown(law(), (1, 10, 0, 0))["host overhead"].status == row.status == "measured"
    assert breakdown(law(host_overhead_s=2e-3), (1, 10, 0, 0))["host overhead"].status == "scenario"


def test_borrowed_efficiencies_are_assumed() -> None:
    """On a GPU that no kernel was measured on every kernel reads assumed; on H100 measured rows stay measured."""
    batch = (8, 3000, 500, 0)
    borrowed = breakdown(law(layout=Layout(8), gpu="b200-sxm-180gb"), batch)
    assert {line.status for name, line in borrowed.items() if name != "host overhead"} == {"assumed"}
    assert breakdown(law(layout=Layout(8)), batch)["attention (sparse MLA)"].status == "measured"


def test_default_skew_is_a_caveat_without_expert_parallelism() -> None:
    """The default skew shortens tensor-parallel steps, which touch fewer experts: named there, not for dense models."""
    sliced, dense = law(layout=Layout(8)), law("llama-3.1-70b", Layout(8))
    even = law(layout=Layout(8), imbalance={"law": "uniform"})
    assert sliced.shared_s(64, 64, prefill=False) < 0.95 * even.shared_s(64, 64, prefill=False)
    assert any("expert load" in text for text in law_caveats(sliced))
    assert not any("expert load" in text for text in (*law_caveats(dense), *law_caveats(even)))


def test_pipelines_have_caveats() -> None:
    """Pipeline layouts say how a round is timed, and uneven ones that their fullest stage needs more memory."""
    assert not any("pipeline" in text for text in law_caveats(law(layout=Layout(8))))
    even, uneven = (" ".join(law_caveats(law(layout=Layout(8, stages)))) for stages in (2, 5))
    assert "until its last microbatch has left" in even
    assert "fullest" not in even
    assert "78 layers over 5 stages: the fullest stage has 16 layers" in uneven
    assert "15.6" in uneven


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"seqs": 0}, ("--seqs", "--prefill")),
        ({"prefix_tokens": 100}, ("--prefix", "--prefill")),
        ({"context_tokens": 2_000_000}, ("--context", "2000000", "1048576")),
        ({"seqs": 0, "prefill_tokens": 10_000_000}, ("--prefill", "10000000")),
        ({"prefill_tokens": 8192, "prefix_tokens": 1_048_000}, ("--prefill plus --prefix", "1056192")),
    ],
)
def test_impossible_steps_are_refused(asked: dict[str, int], words: tuple[str, ...]) -> None:
    """What no engine could run with the model is an error that names the flags."""
    with pytest.raises(ScenarioError) as caught:
        explain(load(GLM), **asked)
    assert all(word in str(caught.value) for word in words), caught.value


def test_steps_beyond_the_engine_are_warned_of() -> None:
    """What this engine would not run is shown with a warning for each limit that it breaks."""
    text = " ".join(explain(load(GLM), seqs=100_000).warnings)
    assert "100,000 sequences per rank" in text
    assert "tokens in the cache of one rank" in text
    text = " ".join(explain(load(GLM), seqs=0, prefill_tokens=500, prefix_tokens=1_000_000).warnings)
    assert "1,000,500 tokens in one request" in text
    assert not any("never runs" in line for line in explain(load(GLM)).warnings)


def test_padding_of_sliced_experts_is_read_and_multiplied() -> None:
    """gpt-oss at TP8 runs experts of 384 instead of 360: 16/15 of the FLOPs of an even eighth; TP2 has no padding."""
    encoding = weight_format("mxfp4").routed_experts
    assert [encoding.slice_width(2880, ranks) for ranks in (1, 2, 4, 8, 16)] == [2880, 1440, 736, 384, 192]
    one, two, eight = (breakdown(law("gpt-oss-120b", Layout(n)), (64, 100, 0, 0))["routed experts"] for n in (1, 2, 8))
    assert two.flops == pytest.approx(one.flops / 2)
    assert eight.flops == pytest.approx(one.flops / 8 * 384 / 360)
