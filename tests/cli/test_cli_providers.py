"""`sim fault-trace`, `sim providers` and `sim catalog providers` from the shell."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

TRACE = "traces/faults/infinitehbd_fault_trace.json.gz"
FEW = ("--replications", 20, "--years", 2)
CSV = "t_start_h,t_end_h,node_id,class,domain\n0,10,a,gpu,r1\n5,20,b,nic,r1\n90,,c,gpu,r2\n"


def test_a_fault_trace_is_described_and_replayed(sim, shared: Callable[[str], Path]) -> None:
    """Rates, repairs and the replay table, in words and as JSON; the same seed gives the same text."""
    path = shared(TRACE)
    words = ("fault-trace", path, "--nodes", 400, "--subsets", 50)
    said = sim(*words)
    assert said.code == 0, said.err
    for part in ("584 episodes on 400 nodes", "mean 132.8 h", "0.22 within 1 d", "shortage", "binomial"):
        assert part in said.out
    assert sim(*words).out == said.out
    found = json.loads(sim(*words, "--json").out)
    cell = next(item for item in found["replay"] if (item["needed"], item["spares"]) == (16, 2))
    assert cell["all_sets"] == pytest.approx(0.98272, abs=0.005)
    assert cell["shortage_ratio"] == pytest.approx(2.1, abs=0.15)
    assert found["summary"]["repair_quantiles_h"]["0.5"] == pytest.approx(20.4, abs=0.05)


def test_a_fault_csv_without_a_fleet_warns(sim, tmp_path: Path) -> None:
    """The plain format works, and leaving out the size of the fleet is said aloud."""
    path = tmp_path / "faults.csv"
    path.write_text(CSV, encoding="utf-8")
    said = sim("fault-trace", path, "--needed", "1,2", "--spares", "0,1", "--subsets", 20)
    assert said.code == 0, said.err
    assert "healthy ones are left out" in said.out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--needed", "two"), "--needed takes whole numbers"),
        (("--needed", "8"), "does not fit the trace"),
        (("--nodes", "2"), "give at least 3 nodes"),
        (("--to-day", "1"), "outside a record"),
    ],
)
def test_a_trace_that_cannot_be_replayed_is_one_sentence(
    sim, tmp_path: Path, options: tuple[str, str], message: str
) -> None:
    """Exit code 2 and what would be valid."""
    path = tmp_path / "faults.csv"
    path.write_text(CSV, encoding="utf-8")
    said = sim("fault-trace", path, *options)
    assert said.code == 2
    assert message in said.err


def test_providers_print_figures_theory_and_rates(sim) -> None:
    """Each service with its interval, closed form and status page; the rates of rare events with theirs."""
    said = sim("providers", *FEW, "--tier", "anthropic-tier-4", "--rate-rps", 3)
    assert said.code == 0, said.err
    for part in ("openai-api", "claude-ai", "closed form", "model pulled", "0.017 to 0.37", "output tokens refused"):
        assert part in said.out
    assert "no forecasts" in said.out


def test_providers_as_json(sim) -> None:
    """Plain data with intervals; a withdrawal that happens costs its days; drawn rates have no closed form."""
    words = ("providers", "--vendor", "openai-api", *FEW, "--json")
    base = json.loads(sim(*words).out)["services"][0]
    assert base["served"]["low"] <= base["served"]["value"] <= base["served"]["high"]
    assert base["theory_served"] == pytest.approx(0.9910, abs=5e-4)
    happens = json.loads(sim(*words, "--withdrawal", "--rates", "none").out)["services"][0]
    assert happens["lost_h"]["model pulled"]["value"] == pytest.approx(18 * 24 / 2)  # once in two years
    assert json.loads(sim(*words, "--rates", "drawn").out)["services"][0]["theory_clear"] is None
    shorter = json.loads(sim(*words, "--withdrawal", "--rates", "none", "--migration-days", 2).out)["services"][0]
    assert shorter["lost_h"]["model pulled"]["value"] == pytest.approx(2 * 24 / 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--vendor", "openai"), "did you mean 'openai-api'"),
        (("--rates", "worst"), "none, low, base, high, drawn"),
        (("--tier", "five"), "it has anthropic-tier-4"),
        (("--tier", "anthropic-tier-4", "--rate-rps", "0"), "rate_rps"),
    ],
)
def test_providers_refuse_what_is_unknown(sim, options: tuple[str, ...], message: str) -> None:
    """One sentence with the names there are, exit code 2."""
    said = sim("providers", *FEW, *options)
    assert said.code == 2
    assert message in said.err


def test_the_catalog_lists_providers(sim) -> None:
    """Every number of the providers with its source and status."""
    said = sim("catalog", "providers")
    assert said.code == 0, said.err
    for part in ("model_pulled", "assumed", "ICPE'25"):
        assert part in said.out
