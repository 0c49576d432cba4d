"""Bad input: one clear sentence, exit code 2, no traceback; and commands that only look."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sim as package
from sim.errors import SimError

AREAS = ("models", "gpus", "prices", "workloads", "reliability")


@pytest.fixture
def baseline(root: Path) -> Path:
    """The scenario of `make run`."""
    return root / "scenarios" / "glm52_fp8_16xh100.yaml"


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("model.name", "glm-5.22", "did you mean 'glm-5.2'"),
        ("model.name", "missing/config.json", "there is no file"),
        ("model.name", "deepseek-v4-pro", "allow_approximate"),
        ("model.weights", "fp7", "fp8_block"),
        ("hardware.gpu", "h100", "h100-sxm-80gb"),
        ("hardware.node", "hgx-h200-8", "holds h200-sxm-141gb"),
        ("deployment.layout.tensor_parallel_size", "7", "64 attention heads"),
        ("deployment.layout.pipeline_parallel_size", "100", "78 layers"),
        (
            "deployment.layout",
            "{data_parallel_size: 24, tensor_parallel_size: 1, enable_expert_parallel: true}",
            "redundant",
        ),
        ("deployment.engine.max_model_len", "99999999", "exceeds the context"),
        ("workload.arrivals.rate_rps", "0", "> 0"),
        ("workload.arrivals.rate_rps", ".nan", "finite"),
        ("workload.preset", "chats", "chat"),
        ("workload", "{trace: {path: nowhere.csv}}", "nowhere.csv"),
        ("pricing.pue", "0.5", ">= 1"),
        ("nonsense", "1", "unknown key"),
        ("run.seed", "[1", "no valid YAML"),
    ],
)
def test_each_mistake_is_one_sentence(sim, baseline: Path, key: str, value: str, words: str) -> None:
    """The message names the key or the value and what would be valid."""
    said = sim("check", baseline, "--set", f"{key}={value}")
    assert said.code == 2, said.out
    assert said.err.count("\n") == 1
    assert said.err.startswith("error: ")
    assert words in said.err


def test_json_errors_are_json(sim, baseline: Path) -> None:
    """A program that asked for JSON gets JSON when it fails."""
    said = sim("check", baseline, "--set", "run.sed=1", "--json")
    assert said.code == 2
    assert "run.sed" in json.loads(said.out)["error"]["message"]


@pytest.mark.parametrize(
    "arguments", [(), ("chek",), ("check",), ("run", "x.yaml", "--workers", "many"), ("check", "nowhere.yaml")]
)
def test_wrong_usage_exits_2(sim, arguments: tuple[str, ...]) -> None:
    """Unknown commands, missing arguments and missing files are usage errors."""
    assert sim(*arguments).code == 2


@pytest.mark.parametrize("area", AREAS)
def test_the_catalog_prints_every_area_with_sources(sim, area: str) -> None:
    """As a table and as JSON; every fact has unit, source, date and status."""
    assert sim("catalog", area).code == 0
    found = json.loads(sim("catalog", area, "--json").out)
    text = json.dumps(found)
    assert all(word in text for word in ("source", "date", "status"))


def test_an_unknown_area_lists_the_areas(sim) -> None:
    """A typo in the area is answered with the areas."""
    said = sim("catalog", "modells")
    assert said.code == 2
    assert "models" in said.err


def test_explain_adds_up(sim, baseline: Path) -> None:
    """The seconds of the operations are the seconds of the step."""
    found = json.loads(sim("explain", baseline, "--seqs", 8, "--context", 2048, "--prefill", 512, "--json").out)
    assert sum(item["seconds"] for item in found["operations"]) == pytest.approx(found["step_s"], rel=1e-9)
    assert sim("explain", baseline).code == 0


@pytest.mark.parametrize("weights", ["bf16", "fp8_block"])
def test_check_names_the_smallest_fit(sim, baseline: Path, weights: str) -> None:
    """BF16 on 8 and 16 H100 and FP8 on 8 exit 3 and name what would fit."""
    smallest = {"bf16": "24 x", "fp8_block": "16 x"}[weights]
    stages = (1, 2) if weights == "bf16" else (1,)
    for stage in stages:
        said = sim(
            "check",
            baseline,
            "--set",
            f"model.weights={weights}",
            "--set",
            f"deployment.layout.pipeline_parallel_size={stage}",
        )
        assert said.code == 3
        assert smallest in said.out


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.text(max_size=8),
    st.lists(st.integers(-2, 2), max_size=2),
    st.dictionaries(st.sampled_from(["law", "process", "tokens", "x"]), st.integers(-1, 9), max_size=2),
)
KEYS = st.sampled_from(
    [
        "model.name", "model.weights", "model.load_mtp", "hardware.gpu", "hardware.node", "deployment.replicas",
        "deployment.layout.tensor_parallel_size", "deployment.layout.pipeline_parallel_size",
        "deployment.layout.data_parallel_size", "deployment.layout.enable_expert_parallel",
        "deployment.layout.redundant_experts", "deployment.engine.name", "deployment.engine.max_num_seqs",
        "deployment.engine.max_num_batched_tokens", "deployment.engine.num_speculative_tokens",
        "deployment.engine.acceptance_length", "deployment.engine.acceptance_curve",
        "deployment.engine.block_size", "deployment.engine.kv_cache_dtype",
        "deployment.engine.gpu_memory_utilization", "deployment.engine.max_model_len",
        "deployment.engine.runtime_reserve_gib", "deployment.expert_imbalance", "workload", "workload.preset",
        "workload.arrivals", "workload.arrivals.rate_rps", "workload.input_tokens", "workload.output_tokens",
        "workload.output_scale", "reliability", "router.policy", "slo.ttft_ms", "pricing.options", "pricing.pue",
        "run.horizon_s", "run.warmup_s", "run.replications", "run.seed", "run", "model", "deployment", "x",
    ]
)  # fmt: skip


@settings(max_examples=150)
@given(changes=st.dictionaries(KEYS, VALUES, min_size=1, max_size=4))
def test_mutated_scenarios_end_in_0_2_or_3(changes: dict[str, object]) -> None:
    """Whatever a scenario is turned into, checking it is done, refused in one sentence, or a named result."""
    root = Path(__file__).resolve().parents[2]
    sentence = "checked"
    try:
        found = package.check(package.load(root / "scenarios" / "glm52_fp8_16xh100.yaml", changes))
        if found.infeasible is not None:
            sentence = found.infeasible.smallest
    except SimError as error:
        sentence = str(error)
    assert sentence
    assert "\n" not in sentence


MUTATIONS = st.lists(
    st.tuples(st.integers(0, 3000), st.sampled_from(["cut", "drop", "insert", "repeat"]), st.text(max_size=3)),
    max_size=4,
)


@settings(max_examples=60)
@given(mutations=MUTATIONS)
def test_mangled_files_end_in_0_2_or_3(tmp_path_factory: pytest.TempPathFactory, mutations: list) -> None:
    """Cut, spliced and scribbled-over files never end in a traceback: `sim check` exits 0, 2 or 3."""
    root = Path(__file__).resolve().parents[2]
    text = (root / "scenarios" / "glm52_fp8_16xh100.yaml").read_text(encoding="utf-8")
    for place, kind, piece in mutations:
        at = place % max(1, len(text))
        text = {
            "cut": text[:at],
            "drop": text[:at] + text[at + 5 :],
            "insert": text[:at] + piece + text[at:],
            "repeat": text[:at] + text[max(0, at - 20) : at] + text[at:],
        }[kind]
    path = tmp_path_factory.mktemp("mangled") / "scenario.yaml"
    path.write_text(text, encoding="utf-8")
    from sim.cli import main

    with pytest.raises(SystemExit) as stopped:
        main(["check", str(path)])
    assert stopped.value.code in {0, 2, 3}
