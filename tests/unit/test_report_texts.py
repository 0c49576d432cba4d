"""The other commands' tables: memory plan, step, catalog, traces, verification."""

from __future__ import annotations

import json

import pytest

from sim.catalog import models, tables
from sim.errors import CatalogError
from sim.report.catalog_text import AREAS, catalog_dict, catalog_text
from sim.report.check_text import check_dict, check_text
from sim.report.explain_text import explain_dict, explain_text
from sim.report.json_text import to_json
from sim.report.terminal import WIDTH
from sim.report.trace_text import describe_dict, describe_text
from sim.report.verify_text import verify_dict, verify_text
from sim.simulation.check import check
from sim.simulation.explain import explain
from sim.study.verify.check import Check
from sim.workload.trace.describe import describe
from sim.workload.trace.reader import read_trace
from tests.report_cases import made_infeasible, made_scenario


def widest(text: str) -> int:
    return max(len(line) for line in text.splitlines())


def test_memory_plan_shows_its_parts_and_labels_the_bound() -> None:
    """Weights by component, reserve, pool, tokens, sequences; the throughput is called a bound, not a prediction."""
    scenario = made_scenario()
    found = check(scenario)
    text = check_text(scenario, found)
    for words in ("Fits.", "routed experts", "Runtime reserve", "KV cache pool", "131,072 tokens", "not a prediction"):
        assert words in " ".join(text.split())
    assert f"{found.planned.memory.kv_tokens:,} tokens" in text
    assert widest(text) <= WIDTH


def test_memory_plan_that_does_not_fit_names_the_smallest_that_does() -> None:
    """FP8 on one node does not fit; 16 GPUs do; nothing is said about a cache that is not there."""
    scenario = made_infeasible().scenario
    text = check_text(scenario, check(scenario))
    assert "Does not fit." in text
    assert "The smallest that fits: 16 x h100-sxm-80gb" in " ".join(text.split())
    assert "Missing" in text
    assert "Sequences per replica" not in text


def test_memory_plan_as_json_adds_up() -> None:
    """Components sum to the weights; weights, reserve and pool to what is usable."""
    scenario = made_scenario()
    plain = json.loads(to_json(check_dict(scenario, check(scenario))))
    memory = plain["memory"]
    assert sum(memory["weight_component_bytes"].values()) == pytest.approx(memory["weight_bytes"])
    parts = memory["weight_bytes"] + memory["runtime_reserve_bytes"] + memory["kv_pool_bytes"]
    assert parts == pytest.approx(memory["usable_bytes"])
    assert [row["context_tokens"] for row in plain["cache"]["concurrent_sequences"]] == [2048, 8192, 32768, 131072]
    assert (
        json.loads(to_json(check_dict(made_infeasible().scenario, check(made_infeasible().scenario))))["fits"] is False
    )


def test_step_table_names_every_operation_and_its_bound() -> None:
    """The parts add up to the step, and the JSON carries the kernels."""
    scenario = made_scenario()
    found = explain(scenario, seqs=8, context_tokens=2048, prefill_tokens=512)
    text = explain_text(scenario, found)
    for item in found.operations:
        assert item.name.replace("_", " ") in text
    assert "512 prompt tokens" in text
    assert widest(text) <= WIDTH
    plain = json.loads(to_json(explain_dict(scenario, found)))
    assert sum(item["seconds"] for item in plain["operations"]) == pytest.approx(plain["step_s"])
    assert all(item["kernel"] for item in plain["operations"])


def test_step_of_what_does_not_fit_is_the_reason() -> None:
    """No table, but the reason and the fix."""
    scenario = made_infeasible().scenario
    assert "Does not fit." in explain_text(scenario, explain(scenario))


@pytest.mark.parametrize("area", AREAS)
def test_every_area_prints_every_subject_with_its_sources(area: str) -> None:
    """Each subject, each source; nothing is wider than the page."""
    text = catalog_text(area, None)
    flat = " ".join(text.split())
    names = models.names() if area == "models" else tuple(tables.table(area))
    assert all(name in text for name in names)
    facts = [] if area == "models" else [fact for facts in tables.table(area).values() for fact in facts.values()]
    assert all(" ".join(fact.source.split())[:40] in flat for fact in facts)
    assert "[1]" in text
    assert widest(text) <= WIDTH
    assert set(catalog_dict(area, None)["subjects"]) == set(names)


def test_models_show_total_and_active_parameters() -> None:
    """GLM-5.2: 743.4 billion, 753.3 with MTP layers, 40.3 active; its own page counts them out."""
    line = next(line for line in catalog_text("models", None).splitlines() if "glm-5.2 " in line)
    assert line.split()[1:4] == ["743.4", "753.3", "40.3"]
    assert "743,377,000,704" in catalog_text("models", "glm-5.2")
    assert catalog_dict("models", "glm-5.2")["subjects"]["glm-5.2"]["parameters"] == 743_377_000_704


def test_one_subject_shows_value_unit_status_and_notes() -> None:
    """Every fact with its provenance."""
    text = catalog_text("gpus", "h100-sxm-80gb")
    assert "79.1" in text
    assert "measured" in text
    assert "Notes" in text
    assert catalog_dict("gpus", "h100-sxm-80gb")["subjects"]["h100-sxm-80gb"]["visible_memory_gib"]["value"] == 79.1


def test_unknown_area_and_subject_name_the_nearest() -> None:
    """The error lists what there is."""
    with pytest.raises(CatalogError, match=r"no area 'gpu'; it has models, gpus.*did you mean 'gpus'"):
        catalog_text("gpu", None)
    with pytest.raises(CatalogError, match="did you mean 'h100-sxm-80gb'"):
        catalog_dict("gpus", "h100-sxm-80g")
    with pytest.raises(CatalogError, match=r"glm-5\.2"):
        catalog_text("models", "glm-5.22")


def test_trace_table_says_what_a_trace_does_not_tell(tmp_path) -> None:
    """Rate and lengths in numbers; sessions and prefixes as missing."""
    file = tmp_path / "t.csv"
    rows = "".join(f"{time},{100 + 10 * time},{20 + time % 3}\n" for time in range(1, 12))
    file.write_text("arrival_s,input_tokens,output_tokens\n" + rows)
    summary = describe(read_trace(file, "csv"))
    text = describe_text(summary)
    assert "Requests" in text
    assert "11" in text
    assert text.count("not told by this trace") >= 2
    assert widest(text) <= WIDTH
    assert json.loads(to_json(describe_dict(summary)))["requests"] == 11


def made_checks() -> list[Check]:
    return [
        Check("M/M/1", "mean wait", "s", 9.0, 9.04, 8.8, 9.3, 0.31, "z", passed=True),
        Check("M/M/1", "mean sojourn", "s", 10.0, 11.9, 11.7, 12.1, 19.0, "z", passed=False),
        Check("spans", "worst difference", "s", 0.0, 1.2e-12, None, None, None, "exact", passed=True),
    ]


def test_verification_shows_theory_beside_simulation_and_counts_failures() -> None:
    """Figures with intervals, z and verdict; the last line names what failed."""
    text = verify_text(made_checks())
    assert "+0.3" in text
    assert "8.8 to 9.3" in text
    assert "FAIL" in text
    assert "pass (exact)" in text
    assert "1 of 3 figures do NOT agree" in " ".join(text.split())
    assert "M/M/1: mean sojourn" in text
    assert "All 2 figures agree" in verify_text([item for item in made_checks() if item.passed])
    assert widest(text) <= WIDTH
    assert verify_dict(made_checks())["passed"] is False
    assert verify_dict(made_checks())["checks"][1]["verdict"] == "FAIL"
