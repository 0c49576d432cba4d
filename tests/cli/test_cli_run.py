"""`sim run`: summary, JSON, run directory, cache, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

QUICK = ("--set", "run.horizon_s=300", "--set", "run.warmup_s=60", "--set", "run.replications=3")


@pytest.fixture
def baseline(root: Path) -> Path:
    """The scenario of `make run`."""
    return root / "scenarios" / "glm52_fp8_16xh100.yaml"


def test_the_summary_says_what_a_stranger_needs(sim, baseline: Path, tmp_path: Path) -> None:
    """Model, layout, verdict, latencies, counts, cost and where the files are."""
    said = sim("run", baseline, "--out", tmp_path / "run", "--workers", 1, *QUICK)
    assert said.code == 0, said.err
    for words in ("glm-5.2", "TTFT", "TPOT", "p95", "attempted", "completed", "output tokens", "Run directory"):
        assert words in said.out


def test_json_is_one_object_with_intervals(sim, baseline: Path, tmp_path: Path) -> None:
    """Machines get metrics with option, unit, value, low and high, beside counts, warnings, assumptions, manifest."""
    said = sim("run", baseline, "--out", tmp_path / "run", "--workers", 1, "--json", *QUICK)
    found = json.loads(said.out)
    assert {"metrics", "counts", "warnings", "assumed_inputs", "manifest"} <= found.keys()
    for metric in found["metrics"]:
        assert {"option", "metric", "unit", "value", "low", "high"} <= metric.keys()
        if metric["low"] is not None and metric["high"] is not None:
            assert metric["low"] <= metric["value"] <= metric["high"], metric
        if metric["value"] is None:
            assert metric["note"], metric
    counts = found["counts"]
    fates = ("completed", "failed", "refused", "abandoned", "unfinished")
    assert counts["attempted"] == sum(counts[fate] for fate in fates) > 0
    assert all(item["name"] and item["source"] for item in found["assumed_inputs"])


def test_the_run_directory_is_whole_and_readable(sim, baseline: Path, tmp_path: Path) -> None:
    """Every file of the documented layout is there and agrees with the manifest."""
    out = tmp_path / "deep" / "run"
    assert sim("run", baseline, "--out", out, "--workers", 1, "--set", "run.record_requests=true", *QUICK).code == 0
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    summary = pd.read_parquet(out / "summary.parquet")
    assert list(summary.columns) == ["option", "replication", "metric", "unit", "value"]
    assert summary["replication"].nunique() == 3
    rows = pd.read_parquet(out / "requests.parquet")
    assert len(rows) == manifest["result"]["counts"]["measured"]
    with np.load(out / "histograms.npz") as arrays:
        assert arrays["ttft_s"].sum() + arrays["ttft_s.rest"][:3].sum() == len(rows)
    assert "http" not in (out / "report.html").read_text(encoding="utf-8").split("<body", 1)[0].replace(
        "http-equiv", ""
    )
    assert not list(tmp_path.glob("**/.run*"))


def test_the_same_scenario_is_a_cache_hit(sim, baseline: Path, tmp_path: Path) -> None:
    """A second run reads the stored result; another scenario is refused; --overwrite simulates anew."""
    out = tmp_path / "run"
    first = json.loads(sim("run", baseline, "--out", out, "--workers", 1, "--json", *QUICK).out)
    again = json.loads(sim("run", baseline, "--out", out, "--workers", 1, "--json", *QUICK).out)
    assert again["metrics"] == first["metrics"]
    assert again["manifest"]["created"] == first["manifest"]["created"]
    other = sim("run", baseline, "--out", out, "--workers", 1, *QUICK, "--set", "run.seed=2")
    assert other.code == 2
    assert "--overwrite" in other.err
    replaced = sim("run", baseline, "--out", out, "--workers", 1, *QUICK, "--set", "run.seed=2", "--overwrite")
    assert replaced.code == 0


def test_one_and_two_workers_agree_bit_for_bit(sim, baseline: Path, tmp_path: Path) -> None:
    """The number of processes changes nothing but the wall time."""
    one = json.loads(sim("run", baseline, "--out", tmp_path / "a", "--workers", 1, "--json", *QUICK).out)
    two = json.loads(sim("run", baseline, "--out", tmp_path / "b", "--workers", 2, "--json", *QUICK).out)
    assert one["metrics"] == two["metrics"]
    assert one["counts"] == two["counts"]
    with np.load(tmp_path / "a" / "histograms.npz") as left, np.load(tmp_path / "b" / "histograms.npz") as right:
        assert all((left[name] == right[name]).all() for name in left.files)


def test_a_model_that_does_not_fit_exits_3_with_the_smallest_fit(sim, baseline: Path, tmp_path: Path) -> None:
    """BF16 on 16 H100 is refused, and 24 GPUs are named."""
    said = sim("run", baseline, "--out", tmp_path / "run", "--set", "model.weights=bf16", "--json")
    assert said.code == 3
    reason = json.loads(said.out)["infeasible"]
    assert reason["kind"] == "does_not_fit"
    assert "24 x h100-sxm-80gb" in reason["smallest"]


def test_a_rate_above_capacity_exits_3_with_the_replicas_needed(sim, baseline: Path, tmp_path: Path) -> None:
    """A hopeless load is refused at once, a load just above capacity after the run; both name what would carry it."""
    said = sim("run", baseline, "--out", tmp_path / "a", "--set", "workload.arrivals.rate_rps=5000", "--json")
    assert said.code == 3
    assert json.loads(said.out)["infeasible"]["numbers"]["replicas_needed"] > 1


@pytest.mark.parametrize("kind", ["file", "foreign"])
def test_what_is_no_run_directory_is_left_alone(sim, baseline: Path, tmp_path: Path, kind: str) -> None:
    """Neither a file nor a folder with other things in it is ever replaced."""
    out = tmp_path / "precious"
    if kind == "file":
        out.write_text("mine", encoding="utf-8")
    else:
        out.mkdir()
        (out / "mine.txt").write_text("mine", encoding="utf-8")
    said = sim("run", baseline, "--out", out, "--overwrite", *QUICK)
    assert said.code == 2
    assert "precious" in said.err
    assert out.is_file() or (out / "mine.txt").read_text(encoding="utf-8") == "mine"


def test_a_place_that_cannot_be_written_is_refused_before_the_work(sim, baseline: Path, tmp_path: Path) -> None:
    """A parent that is a file is found out before anything is simulated."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    said = sim("run", baseline, "--out", tmp_path / "file" / "run")
    assert said.code == 2
    assert said.err.startswith("error: ")


def test_a_trace_on_the_command_line_replaces_the_workload(sim, root: Path, tmp_path: Path) -> None:
    """The replay scenario takes any trace."""
    trace = tmp_path / "small.csv"
    rows = "".join(f"{second},200,20\n" for second in range(120))
    trace.write_text("arrival_s,input_tokens,output_tokens\n" + rows, encoding="utf-8")
    said = sim(
        "run", root / "scenarios" / "glm52_trace_replay.yaml", "--trace", trace, "--out", tmp_path / "run", "--json"
    )
    assert said.code == 0, said.err
    counts = json.loads(said.out)["counts"]
    assert counts["attempted"] == counts["completed"] == 120


def test_scalings_of_a_trace_on_the_command_line_hold(sim, root: Path, tmp_path: Path) -> None:
    """`--trace` brings the requests; `--set workload.trace.*` still says how they are replayed, and is checked."""
    trace = tmp_path / "small.csv"
    rows = "".join(f"{second},200,20\n" for second in range(120))
    trace.write_text("arrival_s,input_tokens,output_tokens\n" + rows, encoding="utf-8")
    scenario = root / "scenarios" / "glm52_trace_replay.yaml"
    replay = ("run", scenario, "--trace", trace, "--out", tmp_path / "run", "--json")
    said = sim(*replay, "--set", "workload.trace.max_requests=30")
    assert json.loads(said.out)["counts"]["attempted"] == 30
    said = sim(*replay, "--set", "workload.trace.thin_frac=0", "--overwrite")
    assert said.code == 2
    assert "workload.trace.thin_frac" in said.out
