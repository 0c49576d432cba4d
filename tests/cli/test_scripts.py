"""The study scripts run from a shell, write their table and picture, and end in one sentence when they cannot."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

QUICK = {
    "load_curve": ["--points", "0.3,1.2", "--replications", "2", "--horizon-s", "1500"],
    "compare_precisions": ["--replications", "2", "--horizon-s", "2200"],
    "agents_curve": ["--sessions", "4", "--replications", "2"],
    "prefill_decode_ratio": ["--gpus", "16", "--tolerance-frac", "0.5", "--replications", "1", "--horizon-s", "90"],
}


def run(root: Path, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "scenarios" / f"{name}.py"), "--workers", "1", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("name", QUICK)
def test_it_writes_its_table_and_its_picture(root: Path, tmp_path: Path, name: str) -> None:
    """One tidy CSV with intervals, one picture, and a summary that names both."""
    done = run(root, name, "--out", str(tmp_path), *QUICK[name])
    assert done.returncode == 0, done.stderr
    frame = pd.read_csv(tmp_path / f"{name}.csv")
    assert {"option", "metric", "unit", "value", "low", "high", "status"} <= set(frame.columns)
    assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert f"{name}.csv" in done.stdout


def test_the_load_curve_ends_past_the_knee(root: Path, tmp_path: Path) -> None:
    """A load above the saturated throughput is marked as such, and the capacity lies between the two loads."""
    done = run(root, "load_curve", "--out", str(tmp_path), *QUICK["load_curve"])
    frame = pd.read_csv(tmp_path / "load_curve.csv")
    assert frame.groupby("rate_rps")["status"].first().tolist() == ["completed", "over_capacity"]
    assert "Capacity within the service level: between" in done.stdout


def test_what_cannot_be_run_is_one_sentence(root: Path, tmp_path: Path) -> None:
    """A horizon that ends within the warm-up is refused like any other bad input."""
    done = run(root, "load_curve", "--out", str(tmp_path), "--horizon-s", "900")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
