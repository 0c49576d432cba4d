"""Reading scenarios: inheritance, overrides, and errors that name file, line, key, value and what would be valid."""

from __future__ import annotations

from pathlib import Path

import pytest

import sim
from sim.errors import ScenarioError
from sim.scenario.load import load, parse
from sim.scenario.merge import merged, replaced

MINIMAL = """\
model: {name: glm-5.2}
workload:
  arrivals:
    process: poisson
    rate_rps: 2.0
  input_tokens: {law: constant, tokens: 100}
  output_tokens: {law: constant, tokens: 10}
"""


def write(folder: Path, text: str, name: str = "scenario.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def problem(folder: Path, text: str) -> str:
    with pytest.raises(ScenarioError) as caught:
        load(write(folder, text))
    return str(caught.value)


def test_a_minimal_scenario_has_defaults_for_everything_else(tmp_path: Path) -> None:
    """Model and workload are enough; the name comes from the file."""
    scenario = load(write(tmp_path, MINIMAL, "small.yaml"))
    assert scenario.name == "small"
    assert scenario.deployment.replicas == 1
    assert scenario.run.replications == 10


def test_an_unknown_key_names_file_line_path_and_the_nearest_key(tmp_path: Path) -> None:
    """A typo is answered with the key that was meant."""
    text = problem(tmp_path, MINIMAL + "deployment:\n  engine:\n    max_num_seq: 8\n")
    assert "scenario.yaml:10: deployment.engine.max_num_seq: unknown key" in text
    assert "did you mean 'max_num_seqs'?" in text


def test_an_unknown_key_inside_a_tagged_section_has_no_tag_in_its_path(tmp_path: Path) -> None:
    """The dotted key is what stands in the file, not how the schema is built."""
    text = problem(tmp_path, MINIMAL.replace("rate_rps", "rate_rpm"))
    assert "workload.arrivals.rate_rpm: unknown key" in text
    assert "did you mean 'rate_rps'?" in text


@pytest.mark.parametrize(
    ("line", "key", "words"),
    [
        ("run: {horizon_s: -5}", "run.horizon_s", "> 0"),
        ("run: {horizon_s: .nan}", "run.horizon_s", "finite"),
        ("run: {horizon_s: .inf}", "run.horizon_s", "finite"),
        ("run: {replications: 0}", "run.replications", ">= 1"),
        ("run: {replications: 2.5}", "run.replications", "whole number"),
        ("run: {replications: yes}", "run.replications", "whole number"),
        ('run: {seed: "7"}', "run.seed", "whole number"),
        ("run: {warmup_s: 4000}", "run", "leaves nothing"),
        ("deployment: {replicas: 99999999}", "deployment.replicas", "<= 10000"),
        ("deployment: {engine: {gpu_memory_utilization: 1.5}}", "deployment.engine.gpu_memory_utilization", "<= 1"),
        ("deployment: {engine: {name: vlm}}", "deployment.engine.name", "did you mean 'vllm'?"),
        ("deployment: {engine: {max_num_batched_tokens: 10}}", "deployment.engine", "below max_num_seqs"),
        ("deployment: 7", "deployment", "mapping"),
        ("router: {policy: fastest}", "router.policy", "least_outstanding"),
        ("slo: {ttft_s: 2}", "slo.ttft_s", "ttft_ms"),
    ],
)
def test_a_bad_value_names_its_key_and_what_would_be_valid(tmp_path: Path, line: str, key: str, words: str) -> None:
    """Negative, absurd, NaN, wrongly typed and wrongly named values are refused with the allowed range."""
    text = problem(tmp_path, MINIMAL + line + "\n")
    assert f": {key}: " in text
    assert words in text
    assert "\n" not in text


def test_a_missing_section_is_named(tmp_path: Path) -> None:
    """Without a workload there is nothing to simulate."""
    assert "workload: is missing" in problem(tmp_path, "model: {name: glm-5.2}\n")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"- a\n- b\n", "mapping of keys"),
        (b"model: {name: [\n", "no valid YAML"),
        (b"model: {name: a}\nmodel: {name: b}\n", "no valid YAML"),
        (b"\xff\xfe\x00", "UTF-8"),
        (b"1: 2\n", "mapping of keys"),
    ],
)
def test_what_is_no_scenario_is_one_sentence(tmp_path: Path, content: bytes, words: str) -> None:
    """Empty, truncated, binary and doubly defined files are refused by name."""
    path = tmp_path / "broken.yaml"
    path.write_bytes(content)
    with pytest.raises(ScenarioError, match=r"broken.yaml") as caught:
        load(path)
    assert words in str(caught.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    """The path is in the message."""
    with pytest.raises(ScenarioError, match=r"nothing.yaml: cannot be read"):
        load(tmp_path / "nothing.yaml")
    with pytest.raises(ScenarioError, match="cannot be read"):
        load(tmp_path)


def test_base_values_hold_unless_given(tmp_path: Path) -> None:
    """A child changes what it names; null removes; another process replaces the whole arrival section."""
    write(tmp_path, MINIMAL + "run: {seed: 4, replications: 3}\n", "base.yaml")
    child = write(
        tmp_path, "base: base.yaml\nrun: {seed: 5}\nworkload: {arrivals: {process: closed_loop, concurrency: 4}}\n"
    )
    scenario = load(child)
    assert (scenario.run.seed, scenario.run.replications) == (5, 3)
    assert scenario.workload.arrivals is not None
    assert scenario.workload.arrivals.process == "closed_loop"


def test_a_base_that_is_missing_or_circular_is_refused(tmp_path: Path) -> None:
    """Inheritance ends, and the offending file is named."""
    assert "there is no such file" in problem(tmp_path, "base: nothing.yaml\n")
    assert "inherits from itself" in problem(tmp_path, "base: scenario.yaml\n")
    assert "must name a scenario file" in problem(tmp_path, "base: 7\n")


def test_overrides_come_last_and_are_checked(tmp_path: Path) -> None:
    """`--set` values go through the same validation."""
    path = write(tmp_path, MINIMAL)
    assert load(path, {"run.seed": 9}).run.seed == 9
    with pytest.raises(ScenarioError, match=r"run.sed: unknown key"):
        load(path, {"run.sed": 9})
    with pytest.raises(ScenarioError, match="holds a value, no keys"):
        load(path, {"run.seed.deep": 9, "run.seed": 1} | {"model.name.x": 1})
    with pytest.raises(ScenarioError, match="no dotted key"):
        load(path, {"run..seed": 9})


def test_with_changes_a_copy(tmp_path: Path) -> None:
    """The original stays; the copy remembers its file; bad changes are refused."""
    scenario = load(write(tmp_path, MINIMAL))
    other = scenario.with_({"workload.arrivals.rate_rps": 3.0})
    assert scenario.workload.arrivals is not None
    assert scenario.workload.arrivals.rate_rps == 2.0  # type: ignore[union-attr]
    assert other.workload.arrivals.rate_rps == 3.0  # type: ignore[union-attr]
    assert other.file == scenario.file
    with pytest.raises(ScenarioError, match=r"workload.arrivals.rate_rps"):
        scenario.with_({"workload.arrivals.rate_rps": -3.0})


def test_equal_scenarios_have_equal_digests(tmp_path: Path) -> None:
    """Order of keys and spelled-out defaults do not matter; any value does."""
    plain = load(write(tmp_path, MINIMAL, "a.yaml"))
    spelled = load(write(tmp_path, "run: {replications: 10}\n" + MINIMAL, "b.yaml"))
    assert plain.digest() == spelled.digest()
    assert plain.with_({"run.seed": 2}).digest() != plain.digest()


def test_the_content_of_a_trace_is_part_of_the_digest(tmp_path: Path) -> None:
    """A changed trace under the same name is another run."""
    trace = write(tmp_path, "arrival_s,input_tokens,output_tokens\n0,1,1\n1,1,1\n", "t.csv")
    scenario = load(write(tmp_path, "model: {name: glm-5.2}\nworkload: {trace: {path: t.csv}}\n"))
    before = scenario.digest()
    trace.write_text("arrival_s,input_tokens,output_tokens\n0,1,1\n2,1,1\n", encoding="utf-8")
    assert scenario.digest() != before


def test_plain_data_makes_a_scenario() -> None:
    """Scripts need no file."""
    raw = {
        "model": {"name": "glm-5.2"},
        "workload": {
            "arrivals": {"process": "poisson", "rate_rps": 1.0},
            "input_tokens": {"law": "constant", "tokens": 5},
            "output_tokens": {"law": "constant", "tokens": 5},
        },
    }
    assert parse(raw).name == "scenario"
    assert sim.parse(raw).base_dir is None


def test_merging_leaves_its_inputs_alone() -> None:
    """Inheritance and overrides never change the mapping they start from."""
    under = {"a": {"b": 1, "c": 2}}
    assert merged(under, {"a": {"b": None}}) == {"a": {"c": 2}}
    assert replaced(under, "a.b", 5) == {"a": {"b": 5, "c": 2}}
    assert under == {"a": {"b": 1, "c": 2}}
