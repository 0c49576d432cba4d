"""Results of load generators: each format read, and what is wrong with a file said in one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sim.errors import ScenarioError
from sim.study.calibrate.bench.read import read_bench
from sim.study.calibrate.bench.run import INPUT, OUTPUT, SYSTEM_TPUT, BenchRun

# as `vllm bench serve --save-result` of 0.24 writes it, shortened
VLLM = {
    "date": "20261125-034700",
    "backend": "openai",
    "model_id": "zai-org/GLM-5.2-FP8",
    "num_prompts": 4,
    "request_rate": "inf",
    "burstiness": 1.0,
    "max_concurrency": 2,
    "duration": 10.0,
    "completed": 4,
    "failed": 0,
    "total_input_tokens": 400,
    "total_output_tokens": 200,
    "request_throughput": 0.4,
    "output_throughput": 20.0,
    "mean_ttft_ms": 120.0,
    "median_ttft_ms": 100.0,
    "p99_ttft_ms": 190.0,
    "mean_tpot_ms": 20.0,
    "median_tpot_ms": 19.0,
    "median_e2el_ms": 1100.0,
}
DETAILS = {
    "input_lens": [80, 120, 100, 100],
    "output_lens": [3, 2, 1, 4],
    "ttfts": [0.1, 0.2, 0.3, 0.0],
    "itls": [[0.02, 0.04], [0.05], [], []],
    "start_times": [101.0, 100.0, 103.0, 104.0],
}
INFERENCEX = {
    "hw": "h200",
    "conc": 16,
    "model": "zai-org/GLM-5.2-FP8",
    "framework": "sglang",
    "precision": "fp8",
    "spec_decoding": "none",
    "disagg": False,
    "isl": 1024,
    "osl": 1024,
    "is_multinode": False,
    "tp": 8,
    "ep": 1,
    "dp_attention": "false",
    "tput_per_gpu": 90.0,
    "output_tput_per_gpu": 45.0,
    "median_ttft": 0.35,
    "mean_tpot": 0.021,
    "median_e2el": 20.0,
}
# as genai-perf prints it; thousands are separated, and blocks by a blank line
GENAI_PERF = """Metric,avg,min,max,p99,p95,p90,p75,p50,p25
Time To First Token (ms),"1,146.31",249.48,"3,485.23","3,457.97","3,349.56","3,215.06","1,330.93",640.07,286.52
Request Latency (ms),"6,406.20","5,371.47","9,608.72","9,436.13","9,046.58","9,028.16","6,549.60","5,690.23","5,493.63"
Inter Token Latency (ms),30.35,27.59,35.60,35.23,33.88,32.53,31.05,30.13,29.04
Output Sequence Length (tokens),174.45,164.00,187.00,186.22,183.10,180.10,177.00,174.00,171.75
Input Sequence Length (tokens),"3,000.05","2,999.00","3,001.00","3,001.00","3,001.00","3,000.00","3,000.00",3000,3000

Metric,Value
Output Token Throughput (per sec),261.25
Request Throughput (per sec),1.50
Request Count (count),40.00
"""


def one(tmp_path: Path, content: object, name: str = "result.json") -> BenchRun:
    """The only run of a file."""
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    bench = read_bench([path])
    assert not bench.left_out
    (run,) = bench.runs
    return run


def test_a_vllm_summary_is_a_closed_loop_of_mean_lengths(tmp_path: Path) -> None:
    """Callers, requests, throughput over the whole duration; lengths as means only, and said."""
    run = one(tmp_path, VLLM)
    assert (run.concurrency, run.rate_rps, run.requests) == (2, None, 4)
    assert run.laws == {INPUT: {"law": "constant", "tokens": 100}, OUTPUT: {"law": "constant", "tokens": 50}}
    assert run.measured[SYSTEM_TPUT] == 20.0
    assert (run.measured["ttft_p50_ms"], run.measured["tpot_mean_ms"], run.measured["e2e_p50_ms"]) == (100, 20, 1100)
    assert any("--save-detailed" in note for note in run.notes)


def test_vllm_arrays_keep_every_request_and_drop_those_that_failed(tmp_path: Path) -> None:
    """Latencies of the arrays, hand-computed: TPOT of outputs above one token alone."""
    run = one(tmp_path, {**VLLM, **DETAILS, "num_prompts": 4, "completed": 3, "failed": 1})
    assert run.each == {INPUT: (80, 120, 100), OUTPUT: (3, 2, 1)}
    assert run.starts_s == (1.0, 0.0, 3.0)
    assert run.measured["ttft_p50_ms"] == pytest.approx(200.0)
    assert run.measured["tpot_mean_ms"] == pytest.approx((30.0 + 50.0) / 2)
    assert run.measured["e2e_mean_ms"] == pytest.approx((160.0 + 250.0 + 300.0) / 3)
    assert any("1 requests did not complete" in note for note in run.notes)


def test_long_arrays_on_one_line_are_no_csv(tmp_path: Path) -> None:
    """Thirty thousand requests in one line of JSON, as the load generator writes them."""
    many = 30_000
    arrays = {"input_lens": [10] * many, "output_lens": [1] * many, "ttfts": [0.123456789] * many, "itls": [[]] * many}
    text = json.dumps({**VLLM, **arrays, "generated_texts": ["x" * 200_000]})
    assert "\n" not in text
    assert one(tmp_path, text).requests == many


def test_loads_of_vllm(tmp_path: Path) -> None:
    """All at once without limit; a rate with its burstiness; several runs in one file."""
    assert one(tmp_path, {**VLLM, "max_concurrency": None}).concurrency == 4
    run = one(tmp_path, {**VLLM, "max_concurrency": None, "request_rate": 2.5, "burstiness": 0.5})
    assert (run.concurrency, run.rate_rps, run.burstiness) == (None, 2.5, 0.5)
    held = {**VLLM, "request_rate": 2.5, "max_concurrent_requests": 2}
    assert one(tmp_path, {**held, "max_concurrency": 9}).rate_rps == 2.5
    path = tmp_path / "many.json"
    path.write_text("\n".join(json.dumps(record) for record in (VLLM, held, {**VLLM, "ramp_up_strategy": "linear"})))
    bench = read_bench([path])
    assert [run.name for run in bench.runs] == ["many.json:1"]
    assert [name for name, _ in bench.left_out] == ["many.json:2", "many.json:3"]
    assert "neither an open nor a closed loop" in bench.left_out[0][1]
    assert "ramps up" in bench.left_out[1][1]


def test_an_inferencex_result_follows_its_harness(tmp_path: Path) -> None:
    """Seconds to milliseconds, lengths between 0.8 and 1.0 of the nominal ones, ten requests a caller; also as CSV."""
    for content, name in (
        (INFERENCEX, "agg.json"),
        (",".join(INFERENCEX) + "\n" + ",".join(str(value) for value in INFERENCEX.values()) + "\n", "export.csv"),
    ):
        run = one(tmp_path, content, name)
        assert (run.concurrency, run.requests) == (16, 160)
        assert run.laws[INPUT] == {"law": "uniform", "min_tokens": 819, "max_tokens": 1024}
        assert run.measured["output_tput_per_gpu"] == 45.0
        assert (run.measured["ttft_p50_ms"], run.measured["tpot_mean_ms"]) == pytest.approx((350.0, 21.0))
        assert dict(run.stated) == {"hardware": "h200", "engine": "sglang", "precision": "fp8", "gpus": "8"}


def test_runs_of_inferencex_that_cannot_be_simulated_are_named(tmp_path: Path) -> None:
    """Drafts with unknown acceptance, and pools, are left out; the others stay."""
    path = tmp_path / "all.json"
    path.write_text(json.dumps([INFERENCEX, {**INFERENCEX, "spec_decoding": "mtp"}, {**INFERENCEX, "disagg": True}]))
    bench = read_bench([path])
    assert len(bench.runs) == 1
    assert [(name, reason.split(",")[0]) for name, reason in bench.left_out] == [
        ("all.json:2", "the run used speculative decoding"),
        ("all.json:3", "the run is disaggregated"),
    ]


def test_a_genai_perf_export_derives_its_load_or_reads_it_beside(tmp_path: Path) -> None:
    """Little's law: 1.5 requests/s x 6.4 s are ten callers; the JSON beside the CSV goes before."""
    run = one(tmp_path, GENAI_PERF, "profile_export_genai_perf.csv")
    assert (run.concurrency, run.requests) == (10, 40)
    assert "Little's law" in run.notes[0]
    assert run.measured[SYSTEM_TPUT] == 261.25
    assert (run.measured["ttft_mean_ms"], run.measured["tpot_p50_ms"]) == (1146.31, 30.13)
    assert run.laws[OUTPUT]["law"] == "quantiles"
    assert run.laws[OUTPUT]["probabilities"] == (0.0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)
    assert run.laws[OUTPUT]["tokens"] == (164.0, 171.75, 174.0, 177.0, 180.1, 183.1, 186.22, 187.0)
    loadgen = {"input_config": {"loadgen": {"concurrency": 12, "request_count": 40}}}
    (tmp_path / "profile_export_genai_perf.json").write_text(json.dumps(loadgen))
    run = one(tmp_path, GENAI_PERF, "profile_export_genai_perf.csv")
    assert (run.concurrency, run.notes) == (12, ())


def test_steps_are_read_with_the_name_of_their_row(tmp_path: Path) -> None:
    """A table of steps is no load, and is kept apart."""
    path = tmp_path / "steps.csv"
    path.write_text("decode_seqs,context_tokens,prefill_tokens,seconds\n4,1024,0,0.02\n0,0,512,0.05\n")
    bench = read_bench([path])
    assert [(name, row.seconds) for name, row in bench.steps] == [("steps.csv:2", 0.02), ("steps.csv:3", 0.05)]
    assert not bench.runs


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("hello", "no known format"),
        ("{", "no known format"),
        ('{"duration": 1, "completed": 1, "total_input_tokens": 1, "total_output_tokens"', "is no JSON"),
        (json.dumps({**VLLM, "duration": 0}), "duration: must be above 0"),
        (json.dumps({**VLLM, "duration": "long"}), "duration: is no number"),
        (json.dumps({**VLLM, "total_output_tokens": None}), "total_output_tokens: is missing"),
        (json.dumps({**VLLM, **DETAILS, "ttfts": [0.1]}), "arrays differ in length"),
        (json.dumps({**VLLM, **DETAILS, "ttfts": [0.1, "x", 0.2, 0.1]}), "ttfts: is no list of numbers"),
        (json.dumps({**INFERENCEX, "conc": None}), "conc: is missing"),
        (GENAI_PERF.replace("261.25", "fast"), "is no number"),
        (GENAI_PERF.replace("Request Count (count),40.00", ""), "Request Count: is missing"),
        (GENAI_PERF.replace("Output Sequence Length (tokens)", "Else"), "Output Sequence Length: is missing"),
    ],
)
def test_files_that_cannot_be_used_are_refused(tmp_path: Path, content: str, words: str) -> None:
    """The message names the file, and the key where there is one."""
    path = tmp_path / "broken.txt"
    path.write_text(content)
    with pytest.raises(ScenarioError, match=words) as refused:
        read_bench([path])
    assert "broken.txt" in str(refused.value)


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    """And says which."""
    with pytest.raises(ScenarioError, match=r"none\.json: cannot be read"):
        read_bench([tmp_path / "none.json"])
