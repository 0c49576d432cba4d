"""Measured points: read, turned into scenarios, compared."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.errors import ScenarioError
from sim.report.validate_text import validate_text
from sim.study.validate.coverage import ALL, DRAWS, coverage
from sim.study.validate.error import Comparison, by_family, compare, summarise
from sim.study.validate.point import COLUMNS, MeasuredPoint, command_flags, read_points
from sim.study.validate.predict import predict
from sim.study.validate.system import NotModelledError, system_of
from sim.study.validate.validate import validate

POINT = {
    "id": "one",
    "model": "Mixtral-8x7B-Instruct",
    "hardware": "H100 SXM",
    "n_gpus": "2.0",
    "precision": "bf16",
    "engine": "vLLM",
    "mode": "agg",
    "tp": "2.0",
    "attn_dp": "",
    "ep": "1.0",
    "pp": "1.0",
    "spec_decode": "none",
    "isl": "256.0",
    "osl": "32.0",
    "length_dist": "uniform[0.8,1.0] x nominal, random tokens",
    "load_kind": "closed-loop concurrency",
    "load_value": "4.0",
    "n_requests": "",
    "output_tput_per_gpu": "100.0",
    "ttft_p50_ms": "50.0",
    "tpot_mean_ms": "10.0",
}


def written(path: Path, *changes: dict[str, str]) -> Path:
    """A file of points."""
    rows = [{**POINT, **change} for change in changes]
    quoted = [",".join(f'"{row[column]}"' for column in POINT) for row in rows]
    path.write_text("\n".join([",".join(POINT), *quoted]) + "\n", encoding="utf-8")
    return path


def point(tmp_path: Path, **change: str) -> MeasuredPoint:
    """One point of a file."""
    return read_points(written(tmp_path / "points.csv", change))[0]


def test_a_point_becomes_the_scenario_that_it_states(tmp_path: Path) -> None:
    """Lengths run from 0.8 of the nominal one, ten requests are sent per caller, all callers start together."""
    system = system_of(point(tmp_path))
    scenario = system.scenario
    assert system.family == ("mixtral-8x7b", "h100-sxm-80gb", "vllm", "aggregated")
    assert scenario.deployment.layout.tensor_parallel_size == 2
    assert scenario.run.max_requests == 40
    lengths = scenario.resolved()["workload"]["input_tokens"]
    assert (lengths["min_tokens"], lengths["max_tokens"]) == (205, 256)


def test_data_parallel_attention_divides_the_group_and_what_sglang_divides(tmp_path: Path) -> None:
    """SGLang counts chunk and running requests over all ranks, and its tensor size is that of the whole group."""
    stated = point(
        tmp_path,
        model="GLM-5.2-FP8",
        hardware="H200 SXM",
        precision="fp8",
        engine="SGLang",
        n_gpus="8",
        tp="8",
        attn_dp="8",
        ep="8",
    )
    stated.flags.update({"mem-fraction-static": "0.85", "max-running-requests": "256"})
    deployment = system_of(stated).scenario.deployment
    layout, engine = deployment.layout, deployment.engine
    assert (layout.tensor_parallel_size, layout.data_parallel_size, layout.enable_expert_parallel) == (1, 8, True)
    assert (engine.max_num_seqs, engine.max_num_batched_tokens) == (32, 1024)
    assert engine.gpu_memory_utilization == 0.85


def test_flags_are_read_from_a_quoted_command() -> None:
    """Options with and without a value, whatever follows them."""
    flags = command_flags("cmd: --tp-size=8 --enable-dp-attention --mem-fraction-static=0.8; --kv-cache-dtype fp8_e4m3")
    assert flags == {
        "tp-size": "8",
        "enable-dp-attention": "",
        "mem-fraction-static": "0.8",
        "kv-cache-dtype": "fp8_e4m3",
    }


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model": "Unheard-of-7B"}, "not in the catalog"),
        ({"hardware": "H100 NVL"}, "not in the catalog"),
        ({"spec_decode": "mtp"}, "number of drafts that is not stated"),
        ({"isl": ""}, "not stated"),
        ({"tp": ""}, "layout is not stated"),
        ({"mode": "disagg"}, "disaggregated"),
        ({"precision": "int3"}, "no weight format"),
        ({"n_gpus": "1.0", "tp": "1.0"}, "does not fit"),
        ({"load_kind": "production average"}, "can be simulated"),
    ],
)
def test_what_cannot_be_modelled_is_named_with_its_reason(tmp_path: Path, change: dict[str, str], words: str) -> None:
    """No point is dropped in silence, and none is bent until it fits."""
    with pytest.raises(NotModelledError, match=words):
        system_of(point(tmp_path, **change))


def test_a_file_that_lacks_a_column_or_holds_a_word_is_refused(tmp_path: Path) -> None:
    """The message names the column."""
    path = written(tmp_path / "points.csv", {})
    path.write_text(path.read_text(encoding="utf-8").replace("load_value", "load"), encoding="utf-8")
    with pytest.raises(ScenarioError, match="load_value"):
        read_points(path)
    with pytest.raises(ScenarioError, match=r":2: isl: is no number"):
        read_points(written(tmp_path / "word.csv", {"isl": "long"}))
    with pytest.raises(ScenarioError, match="cannot be read"):
        read_points(tmp_path / "missing.csv")


def test_throughput_and_latency_of_a_prediction_agree_with_each_other(tmp_path: Path) -> None:
    """In a closed loop the callers' time is spent in requests: n = rate x E2EL, but for the drain at the end."""
    found = predict(system_of(point(tmp_path)))
    assert found["completed"] == 40
    mean_output = 0.9 * 32
    rate_rps = 2 * found["output_tput_per_gpu"] / mean_output
    assert rate_rps * found["e2e_mean_ms"] / 1000.0 == pytest.approx(4.0, rel=0.12)
    assert found["total_tput_per_gpu"] > 8 * found["output_tput_per_gpu"]


def test_validation_is_the_same_for_any_number_of_workers_and_from_its_cache(tmp_path: Path) -> None:
    """Points side by side, one by one, and remembered give the same figures."""
    path = written(tmp_path / "points.csv", {}, {"id": "two", "load_value": "8.0"}, {"id": "no", "isl": ""})
    alone = validate(path, workers=1)
    assert validate(path, workers=2, cache=tmp_path / "cache") == alone
    assert validate(path, workers=1, cache=tmp_path / "cache") == alone
    assert [point for point, _ in alone.skipped] == ["no"]
    assert len(alone.comparisons) == 6


def test_errors_are_signed_and_summed_by_family() -> None:
    """Median, absolute median and factor two of known errors."""
    family = ("m", "g", "e", "aggregated")
    entries = [
        Comparison(str(index), family, "TPOT", "tpot_p50_ms", 10.0, 10.0 * factor)
        for index, factor in enumerate((0.4, 0.9, 1.0, 1.1, 2.5))
    ]
    (summary,) = summarise(entries, family)
    assert summary.median_frac == pytest.approx(0.0)
    assert summary.median_abs_frac == pytest.approx(0.1)
    assert summary.within_2x_frac == pytest.approx(0.6)
    assert by_family(entries) == [summary]


def test_an_interval_holds_what_lies_between_its_draws() -> None:
    """Of nine draws the interval runs from the least to the greatest: one of two points is inside, all together too."""
    family, other = ("m", "g", "e", "aggregated"), ("n", "g", "e", "aggregated")
    entries = [
        Comparison("in", family, "TPOT", "tpot_p50_ms", 10.0, 20.0),
        Comparison("out", family, "TPOT", "tpot_p50_ms", 41.0, 20.0),
        Comparison("edge", other, "TTFT", "ttft_p50_ms", 40.0, 20.0),
    ]
    draws = [{"tpot_p50_ms": 10.0 + 3.75 * index, "ttft_p50_ms": 40.0 - index} for index in range(9)]
    found = {
        (entry.family, entry.metric): entry for entry in coverage(entries, dict.fromkeys(("in", "out", "edge"), draws))
    }
    assert {key: (entry.points, entry.inside_frac) for key, entry in found.items()} == {
        (family, "TPOT"): (2, 0.5),
        (other, "TTFT"): (1, 1.0),
        (ALL, "TPOT"): (2, 0.5),
        (ALL, "TTFT"): (1, 1.0),
    }
    assert found[family, "TPOT"].width_frac == pytest.approx(30.0 / 20.0)


def test_coverage_is_the_same_for_any_number_of_workers_and_is_printed(tmp_path: Path) -> None:
    """Draws side by side and one by one give the same shares; without draws there is no such table."""
    path = written(tmp_path / "points.csv", {})
    alone = validate(path, workers=1, draws=DRAWS)
    assert validate(path, workers=2, draws=DRAWS) == alone
    assert {(entry.family == ALL, entry.metric) for entry in alone.coverage} == {
        (together, metric) for together in (False, True) for metric in ("output throughput per GPU", "TPOT", "TTFT")
    }
    assert all(entry.width_frac > 0.0 for entry in alone.coverage)
    assert "Inside the 80 % model interval" in validate_text(alone)
    assert "model interval" not in validate_text(validate(path, workers=1))


def test_a_metric_is_compared_under_the_column_that_states_it(tmp_path: Path) -> None:
    """A median where there is one, else a mean; never one against the other."""
    stated = point(tmp_path)
    found = compare(stated, ("a", "b", "c", "d"), {"tpot_p50_ms": 1.0, "tpot_mean_ms": 11.0, "ttft_p50_ms": 60.0})
    assert {entry.metric: (entry.column, entry.predicted) for entry in found} == {
        "TPOT": ("tpot_mean_ms", 11.0),
        "TTFT": ("ttft_p50_ms", 60.0),
    }
    assert set(COLUMNS) <= set(POINT)
