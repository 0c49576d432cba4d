"""`sim availability` from the shell."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

TRACE = "traces/faults/infinitehbd_fault_trace.json.gz"
FEW = ("--fleets", 20, "--years", 2, "--workers", 1)


def test_tables_json_and_picture(sim, root: Path, tmp_path: Path) -> None:
    """The table goes to the shell, table, JSON and picture to a folder; the same seed gives the same text."""
    words = ("availability", root / "scenarios" / "glm52_fp8_16xh100.yaml", *FEW, "--set", "deployment.replicas=2")
    said = sim(*words, "--out", tmp_path)
    assert said.code == 0, said.err
    for part in ("All 2 replicas are up", "Spare nodes", "Downtime by cause", "On call", "What it rests on"):
        assert part in said.out
    assert sim(*words).out == said.out
    written = {path.name for path in tmp_path.iterdir()}
    assert written == {f"glm52_fp8_16xh100_availability.{ending}" for ending in ("txt", "json", "png")}
    found = json.loads(sim(*words, "--needed", 1, "--no-what-if", "--json").out)
    assert found["needed"] == 1
    assert found["what_ifs"] == []


def test_a_recorded_trace_stands_beside(sim, root: Path, shared: Callable[[str], Path]) -> None:
    """Two nodes of the recorded fleet have a set complete as long as its published replay says, within 0.5 points."""
    scenario = root / "scenarios" / "glm52_fp8_16xh100.yaml"
    trace = ("--trace", shared(TRACE), "--trace-nodes", 400)
    said = sim("availability", scenario, *FEW, "--no-what-if", *trace, "--json")
    assert said.code == 0, said.err
    shares = [line["trace"]["all_sets_frac"] for line in json.loads(said.out)["spares"]]
    assert shares[:3] == pytest.approx([0.95174, 0.99755, 0.99982], abs=0.005)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--needed", 2), "valid: 1 to 1 replicas"),
        (("--spares", "one"), "--spares takes whole numbers"),
        (("--spares", "-1"), "spare"),
        (("--set", "operations.audit={}"), "operations.audit.interval_days"),
        (("--set", "reliability.elastic_ep={}"), "reliability.elastic_ep"),
        (("--trace", "no_such_file.json"), "no_such_file.json"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    sim, root: Path, tmp_path: Path, options: tuple[object, ...], message: str
) -> None:
    """Exit code 2, one line, nothing written."""
    said = sim("availability", root / "scenarios" / "glm52_fp8_16xh100.yaml", *FEW, "--out", tmp_path / "x", *options)
    assert said.code == 2
    assert message in said.err
    assert len(said.err.strip().splitlines()) == 1
    assert not (tmp_path / "x").exists()
