"""Expert parallelism in the input language: histograms, groups, load balancing, modes, and what engines refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import sim
from sim.errors import ScenarioError
from sim.report.explain_text import explain_dict, explain_text
from sim.scenario.load import load
from sim.simulation.build import build
from sim.simulation.check import check
from sim.simulation.engine_rules import marked
from sim.simulation.explain import explain
from sim.simulation.memory import plan
from tests.study_cases import tiny

WIDE = Path(__file__).parents[2] / "scenarios" / "glm52_wide_ep_32xh100.yaml"
IMBALANCE, LAYOUT, ENGINE = "deployment.expert_imbalance", "deployment.layout", "deployment.engine"


def wide(**changes: Any) -> sim.Scenario:
    """The committed scenario with dotted keys changed; `__` stands for a dot, and names begin in `deployment`."""
    return load(WIDE).with_({f"deployment.{key.replace('__', '.')}": value for key, value in changes.items()})


def histogram(folder: Path, rows: list[str], name: str = "load.csv") -> Path:
    """A scenario beside a histogram of DeepSeek-sized layers."""
    (folder / name).write_text("\n".join(rows) + "\n", encoding="utf-8")
    section = f"{{groups: null, law: measured, histogram: {name}, eplb: null}}"
    path = folder / "measured.yaml"
    path.write_text(f"base: {WIDE}\ndeployment:\n  expert_imbalance: {section}\n", encoding="utf-8")
    return path


def even(layers: int = 1) -> list[str]:
    return ["layer,expert,tokens", *(f"{layer},{expert},100" for layer in range(layers) for expert in range(256))]


def test_the_wide_scenario_runs_and_says_what_it_rests_on() -> None:
    """The committed scenario keeps up for a minute; its plan holds the copies, its inputs list the assumed drift."""
    scenario = load(WIDE).with_({"run.horizon_s": 40.0, "run.warmup_s": 10.0, "run.replications": 1})
    planned = plan(scenario)
    assert planned.memory.fits
    assert str(planned.layout) == "DP32, EP32"
    result = sim.simulate(scenario)
    assert result.status == "completed"
    assert result.counts["completed"] > 30
    assert any("load balancing" in note for note in result.warnings)
    assert "kernels.expert_load_balancing.typical_step_ms" in {item.name for item in result.assumed_inputs}


def test_explain_shows_the_spread_of_the_hottest_gpu() -> None:
    """Groups of layers, quantiles, the pause, and where dispatch modes meet are told beside the breakdown."""
    scenario = wide(engine__enable_two_batch_overlap=True)
    found = explain(scenario, seqs=64)
    text = " ".join(explain_text(scenario, found).split())
    for words in ("45 MoE layers", "30 MoE layers", "p99", "a pause of", "ms hidden", "low-latency buffers hold 128"):
        assert words in text, words
    assert len(explain_dict(scenario, found)["experts"]) == 5
    plain = load(WIDE.with_name("glm52_fp8_16xh100.yaml"))
    assert explain(plain).experts == ()


def test_a_measured_histogram_is_read_beside_the_scenario(tmp_path: Path) -> None:
    """Even counts give even loads; other content is another digest."""
    path = histogram(tmp_path, even(3))
    scenario = load(path)
    assert tmp_path / "load.csv" in scenario.input_files()
    law = build(scenario).law
    fixed = build(wide(expert_imbalance={"law": "uniform"})).law
    assert law.shared_s(4096, 128, prefill=False) == pytest.approx(fixed.shared_s(4096, 128, prefill=False), rel=1e-3)
    before = scenario.digest()
    histogram(tmp_path, [*even(3)[:-1], "2,255,90"])
    assert load(path).digest() != before
    assert build(load(path)).law.inputs.imbalance.law == "measured"


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (["expert,share", "0,1"], "columns"),
        (["expert,tokens"], "no rows"),
        (["expert,tokens", *(f"{e},1" for e in range(255))], "expert 255 is missing"),
        (["expert,tokens", *(f"{e},1" for e in range(257))], "expert 256 is not among"),
        (["expert,tokens", "0,1", "0,2"], "twice"),
        (["expert,tokens", "0,-1"], "from 0"),
        (["expert,tokens", "0,many"], "a number"),
        (["expert,tokens", *(f"{e},0" for e in range(256))], "no tokens"),
        (["expert,tokens", "0,1000", *(f"{e},1" for e in range(1, 256))], "none can have more than 12.5%"),
    ],
)
def test_wrong_histograms_name_file_and_key(tmp_path: Path, rows: list[str], words: str) -> None:
    """What does not describe the experts of the model is an error with the scenario, the key and the reason."""
    path = histogram(tmp_path, rows)
    with pytest.raises(ScenarioError) as caught:
        build(load(path))
    message = str(caught.value)
    assert words in message
    assert f"{IMBALANCE}.histogram" in message
    assert "load.csv" in message
    assert str(path) in message


def test_a_missing_histogram_is_named(tmp_path: Path) -> None:
    """The file, the key, and the group that it stands in."""
    path = histogram(tmp_path, even())
    (tmp_path / "load.csv").unlink()
    with pytest.raises(ScenarioError, match="no such file"):
        build(load(path))
    groups = [{"layers_frac": 1.0, "law": "measured", "histogram": "nowhere.csv"}]
    with pytest.raises(ScenarioError, match=r"groups\.0\.histogram"):
        build(wide(expert_imbalance={"groups": groups}))


def test_measured_load_can_be_balanced(tmp_path: Path) -> None:
    """One expert with eight times the tokens of any other: copies of it bring its GPU back to nearly the mean."""
    rows = ["expert,tokens", *(f"{expert},{800 if expert == 7 else 100}" for expert in range(256))]
    histogram(tmp_path, rows)
    section = {"law": "measured", "histogram": str(tmp_path / "load.csv")}
    hot = build(wide(expert_imbalance=section)).law
    even_law = build(wide(expert_imbalance=section | {"eplb": {"drift_half_life_s": 0.0}})).law
    flops = [law.parts.experts[1][0].cost(1 << 20).flops for law in (hot, even_law)]
    # Eight experts per GPU, of which one weighs eight: 15 parts on the hottest, 263 / 32 on the mean.
    assert flops[1] == pytest.approx(flops[0] * 263 / 32 / 15, rel=0.05)


def test_overlap_and_low_latency_are_simulated() -> None:
    """A run in halves completes what the same run in one piece does, with identities asserted by the engine."""
    short = {"run.horizon_s": 30.0, "run.warmup_s": 5.0, "run.replications": 1}
    halves = wide(engine__enable_two_batch_overlap=True, engine__deepep_mode="normal").with_(short)
    found = sim.simulate(halves)
    assert found.status == "completed"
    assert found.counts["attempted"] == sim.simulate(load(WIDE).with_(short)).counts["attempted"]
    assert any("two-batch overlap" in note for note in found.warnings)
    assert any("CUDA graphs" in note for note in found.warnings)


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"law": "uniform", "groups": [{"layers_frac": 1.0}]}, "exclude each other"),
        ({"groups": []}, "empty"),
        ({"groups": [{"law": "uniform"}]}, "layers or layers_frac"),
        ({"groups": [{"layers_frac": 0.5}, {"layers_frac": 0.4}]}, "add up to 0.9"),
        ({"groups": [{"layers_frac": 0.5}, {"layers": 10}]}, "mix"),
        ({"law": "measured"}, "needs histogram"),
        ({"law": "uniform", "histogram": "x.csv"}, "belongs to the law measured"),
        ({"groups": [{"layers_frac": 1.0, "law": "power_law"}]}, "needs alpha"),
    ],
)
def test_sections_that_contradict_themselves_are_refused(section: dict[str, Any], words: str) -> None:
    """Each message says what would be valid."""
    with pytest.raises(ScenarioError, match=words):
        wide(expert_imbalance=section)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"layout__enable_expert_parallel": False, "layout__redundant_experts": 0}, "load balancer"),
    ({"engine__name": "vllm", "layout__expert_parallel_size": 8, "expert_imbalance": {}}, "slices none"),
    ({"layout__expert_parallel_size": 8}, "whole experts only"),
    (
        {"layout__expert_parallel_size": 8, "expert_imbalance": {}, "engine__deepep_mode": "normal"},
        "DeepEP is modelled",
    ),
    ({"engine__name": "tensorrt-llm", "engine__deepep_mode": "normal"}, "chooses the dispatch mode"),
    ({"engine__deepep_mode": "low_latency", "engine__max_num_batched_tokens": 8192}, "holds fewer tokens"),
    ({"engine__name": "tensorrt-llm", "engine__enable_two_batch_overlap": True}, "no two-batch overlap"),
    ({"layout__redundant_experts": 31}, "not divisible by expert-parallel size 32"),
    (
        {"layout__enable_expert_parallel": False, "layout__redundant_experts": 32, "expert_imbalance": {}},
        "redundant experts need expert parallelism",
    ),
    (
        {
            "layout": {"tensor_parallel_size": 8, "pipeline_parallel_size": 2},
            "expert_imbalance": {},
            "engine__enable_two_batch_overlap": True,
        },
        "overlaps dispatch and combine",
    ),
]


@pytest.mark.parametrize(("changes", "words"), REFUSED)
def test_what_no_engine_runs_is_refused(changes: dict[str, Any], words: str) -> None:
    """The message names the limit, the key and what would run."""
    with pytest.raises(ScenarioError, match=words) as caught:
        plan(wide(**changes))
    assert "deployment" in str(caught.value)


def test_what_can_be_computed_but_not_served_is_marked() -> None:
    """On vLLM: copies without a balancer, or both dispatch modes at once: warnings of `sim explain` too."""
    scenario = wide(engine__name="vllm", expert_imbalance={})
    sentences = marked(scenario, plan(scenario).layout)
    assert len(sentences) == 2
    assert "refuses redundant experts" in sentences[0]
    assert "all2all-backend" in sentences[1]
    assert set(sentences) <= set(explain(scenario, seqs=8).warnings)
    assert marked(load(WIDE), plan(load(WIDE)).layout) == []


def test_allowed_combinations_pass() -> None:
    """Hybrids on SGLang, modes that hold their steps, and overlap on vLLM are planned and built."""
    for changes in (
        {"layout__expert_parallel_size": 8, "expert_imbalance": {}},
        {"engine__deepep_mode": "low_latency", "engine__num_max_dispatch_tokens_per_rank": 512},
        {"engine__deepep_mode": "normal"},
        {"engine__name": "vllm", "engine__enable_two_batch_overlap": True},
    ):
        assert build(wide(engine__max_num_batched_tokens=512, **changes)).law.shared_s(64, 2, prefill=False) > 0


def test_chance_makes_even_routing_slower() -> None:
    """With few tokens per GPU chance alone loads the hottest GPU beyond the mean, and the step shows it."""
    slow, even_law = (
        build(wide(expert_imbalance={"law": "uniform", "by_chance": chance})).law for chance in (True, False)
    )
    assert slow.parts.experts[0][0].seconds(64) != even_law.parts.experts[0][0].seconds(64)
    assert slow.parts.experts[1][0].seconds(32_768) > even_law.parts.experts[1][0].seconds(32_768)


def test_defaults_change_nothing() -> None:
    """Without any of the new keys the law has no groups, no chance, no amortised work and no halves."""
    law = check(tiny()).built.law  # type: ignore[union-attr]
    assert type(law).__name__ == "KernelStepLaw"
    assert law.parts.amortised == ()
    assert law.inputs.layer_groups == ()
    assert law.inputs.imbalance.eplb is None
