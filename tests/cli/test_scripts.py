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
    "speculation_break_even": ["--concurrency", "16,512", "--drafts", "5", "--replications", "2"],
    "agents_curve": ["--sessions", "4", "--replications", "2"],
    "provider_loss": ["--replications", "30"],
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


def test_looking_at_the_cache_beats_looking_at_load(root: Path, tmp_path: Path) -> None:
    """Agents on two replicas: affinity and stickiness find more and start sooner than taking turns."""
    size = ["--replicas", "2", "--sessions", "8", "--replications", "2", "--horizon-s", "2200"]
    done = run(root, "compare_routers", "--out", str(tmp_path), *size)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "compare_routers.png").read_bytes().startswith(b"\x89PNG")
    frame = pd.read_csv(tmp_path / "compare_routers.csv").pivot_table(
        index="scenario", columns="metric", values="value"
    )
    for policy in ("prefix_affinity", "session_sticky"):
        assert frame.loc[policy, "prefix_hit_frac"] > frame.loc["round_robin", "prefix_hit_frac"]
        assert frame.loc[policy, "ttft_mean_s"] < frame.loc["round_robin", "ttft_mean_s"]


def test_what_cannot_be_run_is_one_sentence(root: Path, tmp_path: Path) -> None:
    """A horizon that ends within the warm-up is refused like any other bad input."""
    done = run(root, "load_curve", "--out", str(tmp_path), "--horizon-s", "900")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


def test_drafts_break_even_between_small_and_large_batches(root: Path, tmp_path: Path) -> None:
    """Drafts gain throughput with few requests at work and cost it with many; the script names the batch between."""
    done = run(root, "speculation_break_even", "--out", str(tmp_path), *QUICK["speculation_break_even"])
    frame = pd.read_csv(tmp_path / "speculation_break_even.csv")
    gains = frame[frame["metric"] == "speculation_gain_frac"].set_index("concurrency")
    assert gains.loc[16, "low"] > 0.0 > gains.loc[512, "high"]
    assert "break even between 16 and 512 requests at work" in done.stdout


def test_a_withdrawal_costs_the_api_its_days_and_no_path_with_an_own_cluster(root: Path, tmp_path: Path) -> None:
    """In the year of an 18-day withdrawal the API loses over 400 hours, paths with failover under 40."""
    done = run(root, "provider_loss", "--out", str(tmp_path), *QUICK["provider_loss"])
    assert done.returncode == 0, done.stderr
    frame = pd.read_csv(tmp_path / "provider_loss.csv")
    rows = frame[(frame["case"] == "18-day withdrawal happens") & (frame["metric"] == "lost_h_per_year")]
    lost = rows.set_index("option")["value"]
    assert lost["API"] > 400.0
    assert lost[[name for name in lost.index if ">" in name]].max() < 40.0
    base = frame[(frame["case"] == "base rates") & (frame["metric"] == "time_clear_frac")].set_index("option")
    assert base.loc["own 1x2, 0 spare", "theory"] == pytest.approx(0.98759 - 4.0e-5, abs=2e-5)


def test_one_fault_is_drawn_with_a_crash_worse_than_none(root: Path, tmp_path: Path) -> None:
    """Every case has its course; a hang costs more than a crash, and a crash more than nothing."""
    size = ["--replications", "1", "--after-s", "900"]
    done = run(root, "one_fault", "--out", str(tmp_path), *size)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "one_fault.png").read_bytes().startswith(b"\x89PNG")
    frame = pd.read_csv(tmp_path / "one_fault.csv")
    bad = frame[frame["metric"] == "bad_frac"].groupby("case")["value"].mean()
    assert bad["no fault"] < bad["crash"] < bad["hang"] < bad["node lost"]


@pytest.mark.long
def test_attainment_falls_with_load_and_with_faults(root: Path, tmp_path: Path) -> None:
    """At each load a year with faults is worse than one without."""
    size = ["--rates", "3,5", "--replications", "2", "--years", "20", "--horizon-s", "2000"]
    done = run(root, "attainment_under_faults", "--out", str(tmp_path), *size)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "attainment_under_faults.png").read_bytes().startswith(b"\x89PNG")
    frame = pd.read_csv(tmp_path / "attainment_under_faults.csv").pivot_table(
        index="rate_rps", columns="metric", values="value"
    )
    assert (frame["slo_attainment_frac"] < frame["slo_attainment_without_faults_frac"]).all()
    assert frame["slo_attainment_frac"].is_monotonic_decreasing


def test_spares_cost_more_and_avoid_less_each_time(root: Path, tmp_path: Path) -> None:
    """Hours short fall with the first spare, cost rises with every one, and the first hour avoided is the cheapest."""
    size = ["--replicas", "1", "--spares", "0,1,2", "--fleets", "30", "--horizon-s", "1500", "--replications", "2"]
    done = run(root, "spares", "--out", str(tmp_path), *size)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "spares.png").read_bytes().startswith(b"\x89PNG")
    frame = pd.read_csv(tmp_path / "spares.csv")
    assert {"replicas", "spares", "option", "metric", "unit", "value", "low", "high", "status"} == set(frame.columns)
    owned = frame[frame["option"] == "owned"].pivot_table(index="spares", columns="metric", values="value")
    assert owned["cost_usd_per_mtok_output"].is_monotonic_increasing
    assert (owned["cost_usd_per_mtok_output_with_downtime"] > owned["cost_usd_per_mtok_output"]).all()
    avoided = owned["cost_usd_per_outage_hour_avoided"]
    assert avoided[2] > 10.0 * avoided[1]
    short_h = frame[frame["metric"] == "short_h_per_year"].set_index("spares")["value"]
    assert short_h[1] < 0.3 * short_h[0]
    assert "api" not in set(frame["option"])  # an API has no nodes to spare


def test_an_upgrade_costs_what_it_takes(root: Path, tmp_path: Path) -> None:
    """Without a drain attempts are lost and repeated, in place hardly any time is lost, blue-green asks for nodes."""
    size = ["--replicas", "2", "--rate-rps", "3", "--replications", "2"]
    done = run(root, "rolling_upgrade", "--out", str(tmp_path), *size)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "rolling_upgrade.png").read_bytes().startswith(b"\x89PNG")
    frame = pd.read_csv(tmp_path / "rolling_upgrade.csv")
    means = frame.pivot_table(index="case", columns="metric", values="value")
    assert means.loc["rolling, no drain", "retries_per_min"] > means.loc["rolling", "retries_per_min"]
    assert means.loc["rolling", "bad_frac"] > means.loc["nothing", "bad_frac"]
    same = means.loc["blue-green"] == means.loc["nothing"]
    assert same.all()
    lines = {line[:24].strip(): line[24:].split() for line in done.stdout.splitlines()[1:]}
    assert float(lines["rolling, cold kernels"][0]) > 2.0 * float(lines["rolling"][0])
    assert float(lines["weights in place"][1]) < 1.0 < float(lines["rolling"][1])
    assert float(lines["blue-green"][2]) > 0.0
