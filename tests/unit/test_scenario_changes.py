"""Changing a scenario and inheriting from files: what holds, and errors that point at the right place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sim.errors import ScenarioError
from sim.scenario.load import load, parse
from sim.scenario.merge import merged, replaced
from tests.study_cases import TINY, tiny

MINIMAL = """\
model: {name: glm-5.2}
workload:
  arrivals: {process: poisson, rate_rps: 2.0}
  input_tokens: {law: constant, tokens: 100}
  output_tokens: {law: constant, tokens: 10}
"""


def write(folder: Path, text: str, name: str = "scenario.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def problem(changes: Any) -> str:
    with pytest.raises(ScenarioError) as caught:
        tiny(changes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({1: 2}, "1: is no dotted key; valid: such as run.seed"),
        ({"": 1}, "'': is no dotted key"),
        ({("run", "seed"): 1}, "is no dotted key"),
        ({"run..seed": 1}, "run..seed: is no dotted key"),
        ({"run.seed.deeper": 1}, "run.seed: must be a whole number"),
        ({"run": 7}, "run: must be a mapping of keys (value 7)"),
        ({"run": {1: 2}}, "run.1: keys should be strings"),
        ({"run.seed": True}, "run.seed: must be a whole number (value True); valid: >= 0"),
        ({"run.seed": 2.5}, "run.seed: must be a whole number"),
        ({"run.horizon_s": float("nan")}, "run.horizon_s: must be a finite number"),
        ({"run.horizon_s": "60"}, "run.horizon_s: must be a number (value '60'); valid: > 0"),
        ({"model": None}, "model: is missing"),
        ({"rum.seed": 1}, "rum: unknown key"),
        ({"reliability.inject": {"at_s": 1.0}}, "reliability.inject: must be a list"),
        ({"reliability.inject": [3]}, "reliability.inject.0: must be a mapping of keys"),
        ({"reliability.inject": [{"node": 1}]}, "reliability.inject.0.at_s: is missing"),
        (
            {"reliability.inject": [{"at_s": 1.0}, {"at_s": 1.0, "node": "x"}]},
            "reliability.inject.1.node: must be a whole number (value 'x'); valid: >= 0",
        ),
        ({"reliability.inject": [{"at_s": 1.0, "nod": 1}]}, "reliability.inject.0.nod: unknown key; valid: at_s, node"),
        ({"pricing.options": ["owned", "leased"]}, "pricing.options.1: is not one of the choices (value 'leased')"),
        ({"pricing.options": ["owned", "owned"]}, "pricing.options: each option stands once"),
        ({"pricing.options": []}, "pricing.options: has too few entries"),
        ({"workload.arrivals": [1]}, "workload.arrivals: must be a mapping of keys"),
        ({"workload.arrivals.process": "gamma"}, "workload.arrivals: needs either cv or burstiness"),
        ({"workload.arrivals": {"rate_rps": 1.0}}, "workload.arrivals: needs the key 'process'"),
        ({"workload.input_tokens": {"law": "constant"}}, "workload.input_tokens.tokens: is missing"),
        ({"workload.input_tokens": {"law": 3}}, "workload.input_tokens.law: '3' is unknown; valid: constant"),
        (
            {
                "workload.arrivals": {
                    "process": "profile",
                    "edges_s": [0, 1, 2],
                    "rates_rps": [1.0, 2.0],
                    "base": {"process": "gama", "cv": 2.0},
                }
            },
            "workload.arrivals.base.process: 'gama' is unknown; valid: poisson, gamma, weibull, mmpp; did you mean",
        ),
        (
            {"workload.input_tokens": {"law": "quantiles", "probabilities": [0.0, "x"], "tokens": [1.0, 2.0]}},
            "workload.input_tokens.probabilities.1: must be a number",
        ),
    ],
)
def test_a_bad_change_names_its_dotted_key(changes: dict[Any, Any], words: str) -> None:
    """Lists, nested unions, wrong types and wrong keys: the key is what the user would write, without schema tags."""
    assert words in problem(changes)


def test_an_index_into_a_list_is_no_key() -> None:
    """Lists are replaced whole; a key that goes through one says so."""
    scenario = tiny({"reliability.inject": [{"at_s": 20.0}]})
    with pytest.raises(ScenarioError, match=r"inject\.0\.node: reliability\.inject holds a value, no keys"):
        scenario.with_({"reliability.inject.0.node": 1})


def test_whole_numbers_of_numpy_are_whole_numbers() -> None:
    """A loop over an array changes a scenario as a loop over a list does; a numpy 2.5 is still no count."""
    for seed in np.arange(2):
        assert tiny({"run.seed": seed}) == tiny({"run.seed": int(seed)})
    assert tiny({"run.horizon_s": np.float64(90.0)}).run.horizon_s == 90.0
    assert "must be a whole number" in problem({"run.replications": np.float64(2.5)})


def test_a_scenario_does_not_change_with_the_data_it_was_made_from() -> None:
    """What a script does to its own dictionaries afterwards reaches neither the scenario nor its copies."""
    values = {**TINY, "run": dict(TINY["run"])}
    scenario = parse(values)
    inject = [{"at_s": 20.0}]
    faulty = scenario.with_({"reliability.inject": inject})
    values["run"]["seed"] = 99
    inject.append({"at_s": 30.0})
    assert scenario.with_({"run.replications": 3}).run.seed == 1
    assert len(faulty.with_({"run.replications": 3}).reliability.inject) == 1


def test_a_change_leaves_the_original_as_it_was() -> None:
    """Each copy has its own values, in any order of changes."""
    scenario = tiny()
    one = scenario.with_({"run.seed": 2, "slo.ttft_ms": 500.0})
    other = scenario.with_({"slo.ttft_ms": 500.0}).with_({"run.seed": 2})
    assert scenario.run.seed == 1
    assert scenario.slo.ttft_ms is None
    assert one == other
    assert one.digest() == other.digest() != scenario.digest()
    assert one.with_({"run.seed": None, "slo": None}) == scenario


def test_a_section_put_in_replaces_the_whole_section() -> None:
    """A mapping at a key is the new section; what it does not name is the default again."""
    assert tiny({"run": {"seed": 3}}).run.horizon_s == 3600.0


def test_three_files_inherit_one_from_another(tmp_path: Path) -> None:
    """Each file overrides the one below; null takes a section back to its default; another process replaces the old."""
    write(tmp_path, MINIMAL + "run: {seed: 4, horizon_s: 900}\nslo: {ttft_ms: 5}\n", "low.yaml")
    write(tmp_path, "base: low.yaml\nrun: {seed: 5}\nslo: null\n", "middle.yaml")
    top = load(write(tmp_path, "base: middle.yaml\nworkload: {arrivals: {process: gamma, rate_rps: 1, cv: 2}}\n"))
    assert (top.run.seed, top.run.horizon_s) == (5, 900.0)
    assert top.slo.ttft_ms is None
    assert top.workload.arrivals is not None
    assert top.workload.arrivals.process == "gamma"
    assert top.name == "scenario"


def test_null_removes_a_key_with_and_without_a_base(tmp_path: Path) -> None:
    """A section whose entries are all commented out is a section of defaults."""
    commented = load(write(tmp_path, MINIMAL + "run:\n  # seed: 3\nslo: {ttft_ms: null}\n"))
    assert commented.resolved() == load(write(tmp_path, MINIMAL, "plain.yaml")).resolved()
    assert merged({}, {"a": None, "b": {"c": None, "d": 1}}) == {"b": {"d": 1}}


def test_an_error_in_a_base_points_into_the_base(tmp_path: Path) -> None:
    """File and line are those of the text that is wrong, not those of the file that inherits it."""
    write(tmp_path, MINIMAL + "run: {seed: x}\n", "base.yaml")
    heir = write(tmp_path, "base: base.yaml\n\n\n\nrun: {horizon_s: 700}\n")
    with pytest.raises(ScenarioError) as caught:
        load(heir)
    assert str(caught.value).startswith(f"{tmp_path / 'base.yaml'}:6: run.seed: must be a whole number")
    mended = write(tmp_path, "base: base.yaml\n\nrun: {seed: y}\n", "mended.yaml")
    with pytest.raises(ScenarioError, match=r"mended\.yaml:3: run\.seed"):
        load(mended)


@pytest.mark.parametrize("base", ["[a]", "3", "''", "null", "nosuch.yaml", "folder", "scenario.yaml"])
def test_a_base_that_is_no_other_file_is_refused(tmp_path: Path, base: str) -> None:
    """Wrong types, missing files, folders and the file itself are one sentence with the line of the key."""
    (tmp_path / "folder").mkdir()
    with pytest.raises(ScenarioError, match=r"scenario\.yaml:1: base: "):
        load(write(tmp_path, f"base: {base}\n" + MINIMAL))


def test_a_long_chain_of_bases_ends(tmp_path: Path) -> None:
    """Two files that name each other are an error, not an endless loop."""
    write(tmp_path, "base: b.yaml\n", "a.yaml")
    write(tmp_path, "base: a.yaml\n", "b.yaml")
    with pytest.raises(ScenarioError, match="inherits from itself"):
        load(tmp_path / "a.yaml")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("run: &a {seed: *a}\n", "run.seed holds itself"),
        ("run: {seed: 1, seed: 2}\n", ":6: is no valid YAML: found duplicate key"),
        ("run: {[1, 2]: 2}\n", ":6: run: keys should be strings"),
        ("1: 2\n", "must hold a mapping of keys"),
        ("run: !!python/object:os.system {}\n", ":6: is no valid YAML"),
        ("description: 2024-01-01\n", ":6: description: must be text"),
        ("---\nrun: {}\n", "is no valid YAML"),
        ("run.seed: 2\n", ":6: run.seed: unknown key"),
        ("run: {seed: 1e400}\n", ":6: run.seed: must be a whole number"),
        ("déscription: x\n", "déscription: unknown key; valid: description"),
        ("x: \0\n", "is no valid YAML"),
    ],
)
def test_strange_files_are_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    """Recursive aliases, duplicate and odd keys, tags, dates and control characters are refused, never a traceback."""
    with pytest.raises(ScenarioError) as caught:
        load(write(tmp_path, MINIMAL + text))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_text_in_any_language_is_text(tmp_path: Path) -> None:
    """Descriptions, file names and a byte order mark in UTF-8."""
    path = tmp_path / "größe ≤ 3.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + (MINIMAL + "description: 'Wie groß? 容量 ≤ 3'\n").encode())
    scenario = load(path)
    assert scenario.description == "Wie groß? 容量 ≤ 3"
    assert scenario.name == "größe ≤ 3"
    (tmp_path / "latin.yaml").write_bytes(b"description: gr\xf6\xdfe\n")
    with pytest.raises(ScenarioError, match="is no text file in UTF-8"):
        load(tmp_path / "latin.yaml")


def test_an_alias_is_as_good_as_the_text_it_repeats(tmp_path: Path) -> None:
    """Anchors and merge keys work inside a scenario; an error in repeated text names the line where it stands."""
    repeated = MINIMAL.replace("{law: constant, tokens: 100}", "&law {law: constant, tokens: 100}")
    repeated = repeated.replace("{law: constant, tokens: 10}", "*law")
    scenario = load(write(tmp_path, repeated))
    assert scenario.workload.input_tokens == scenario.workload.output_tokens
    with pytest.raises(ScenarioError, match=r":4: workload\.input_tokens\.tokens"):
        load(write(tmp_path, repeated.replace("tokens: 100", "tokens: x")))


def test_replacing_a_key_copies_the_way_to_it() -> None:
    """Nothing of the given data is touched, and a removed key leaves its section."""
    values = {"run": {"seed": 1, "horizon_s": 2.0}, "slo": {}}
    assert replaced(values, "run.seed", 3)["run"] == {"seed": 3, "horizon_s": 2.0}
    assert replaced(values, "run.seed", None)["run"] == {"horizon_s": 2.0}
    assert replaced(values, "run.nothing", None) == values
    assert values["run"] == {"seed": 1, "horizon_s": 2.0}
