"""`sim calibrate` and `sim steps` on the command line."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from tests.bench_files import closed, cluster, served, vllm_json

SCENARIO = """\
base: {base}
deployment: {{layout: {{tensor_parallel_size: 2}}, engine: {{name: vllm}}}}
run: {{horizon_s: 60, warmup_s: 5, replications: 2}}
"""


@pytest.fixture
def small(root: Path, tmp_path: Path) -> Path:
    """The cluster of the bench files as a scenario file."""
    path = tmp_path / "small.yaml"
    path.write_text(SCENARIO.format(base=root / "scenarios/mixtral_8x7b_8xh100.yaml"))
    return path


@pytest.fixture
def results(tmp_path: Path) -> list[Path]:
    """Four results of a cluster with a slow host."""
    files = []
    for callers in (1, 2, 8, 32):
        rows, seconds = served(cluster(host_overhead_ms=5.0), closed(callers, 512, 32), 2 * callers + 4)
        path = tmp_path / f"c{callers}.json"
        path.write_text(vllm_json(rows, seconds, max_concurrency=callers))
        files.append(path)
    return files


def test_results_become_a_file_that_the_next_run_takes(sim, small: Path, results: list[Path], tmp_path: Path) -> None:
    """Files after `--bench` as a shell expands them; the text says what was held out; the file changes a step."""
    out = tmp_path / "calibration.csv"
    said = sim("calibrate", small, "--bench", *results, "--out", out, "--workers", 1)
    assert said.code == 0, said.err
    words = " ".join(said.out.split())
    assert "Errors are of the 2 held out" in words
    assert "c1.json, c32.json" in words
    assert "A scenario uses it with deployment.engine.calibration" in words
    steps = [
        json.loads(sim("explain", small, "--seqs", 4, "--json", *changes).out)["step_s"]
        for changes in ((), ("--set", f"deployment.engine.calibration={out}"))
    ]
    assert steps[1] - steps[0] == pytest.approx(0.005, abs=0.0015)


def test_json_names_constants_and_points(sim, small: Path, results: list[Path], tmp_path: Path) -> None:
    """One object: before and after, with intervals; every judged point."""
    said = sim("calibrate", small, "--bench", results[0], "--json", "--out", tmp_path / "c.csv", "--workers", 1)
    found = json.loads(said.out)
    assert found["held_out"] is False
    assert {constant["name"] for constant in found["constants"]} >= {"host_overhead_ms", "decode_time_factor"}
    assert all(constant["low"] <= constant["value"] <= constant["high"] for constant in found["constants"])
    assert {point["metric"] for point in found["points"]} == {"output throughput per GPU", "TPOT", "TTFT", "E2EL"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "takes one of --bench, --points, --measure"),
        (("--measure", "--points", "p.csv"), "takes one of"),
        (("--bench", "b.json"), "needs the scenario"),
        (("s.yaml", "--points", "p.csv"), "goes with --bench alone"),
    ],
)
def test_arguments_that_do_not_go_together_are_refused(sim, arguments: tuple[str, ...], words: str) -> None:
    """Exit code 2 and one sentence."""
    said = sim("calibrate", *arguments)
    assert said.code == 2
    assert words in said.err


@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="PyTorch is installed here")
def test_measure_without_pytorch_says_so(sim) -> None:
    """Exit code 2 and the extra to install."""
    said = sim("calibrate", "--measure")
    assert said.code == 2
    assert (
        said.err == "error: --measure needs PyTorch, which is not installed: pip install 'moe-capacity-sim[measure]'\n"
    )


def test_a_table_is_converted_and_compared(sim, small: Path, tmp_path: Path) -> None:
    """An export becomes a table; the law of a scenario stands beside it."""
    grid, table = tmp_path / "grid.csv", tmp_path / "steps.csv"
    grid.write_text(
        "config,phase,batch_per_rank,ctx_tokens,new_tokens_per_rank,prefix_tokens,step_ms\n"
        "a,decode,4,1024,,,20\na,prefill,,,256,0,30\nb,decode,4,1024,,,40\n"
    )
    said = sim("steps", "convert", grid, table, "--where", "config=a")
    assert (said.code, said.out) == (0, f"2 steps written to {table}\n")
    said = sim("steps", "compare", small, table, "--json")
    assert [kind["kind"] for kind in json.loads(said.out)["steps"]] == ["decode", "prefill"]
    assert "Furthest off" in sim("steps", "compare", small, table).out
    assert sim("steps", "convert", grid, table, "--where", "config").code == 2
