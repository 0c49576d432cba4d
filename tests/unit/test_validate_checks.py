"""Figures with targets of their own: phases alone, techniques on and off, one option changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sim.catalog.tables import table
from sim.report.validate_text import validate_text
from sim.study.validate.check import Check
from sim.study.validate.error import Comparison
from sim.study.validate.options import THROUGHPUT, option_checks
from sim.study.validate.phase import REPORT
from sim.study.validate.point import MeasuredPoint, read_points
from sim.study.validate.predict import predict
from sim.study.validate.system import system_of
from sim.study.validate.techniques import TABLE, technique_checks, twins
from sim.study.validate.validate import Validation, validate
from tests.unit.test_validate_points import POINT, written

PHASE = {
    "model": "DeepSeek-V3",
    "hardware": "H100 SXM + IB",
    "n_gpus": "32",
    "precision": "fp8",
    "engine": "SGLang",
    "mode": "disagg",
    "attn_dp": "32",
    "ep": "32",
    "isl": "2048",
    "load_kind": "saturated phase-isolated",
    "output_tput_per_gpu": "",
    "total_tput_per_gpu": "6800",
    "layout": "prefill only, 16,384 tok/device",
}


def phase_file(path: Path, **change: str) -> Path:
    """A file of one point that measured prompts alone."""
    row = {**POINT, **PHASE, **change}
    path.write_text(",".join(row) + "\n" + ",".join(f'"{value}"' for value in row.values()) + "\n", encoding="utf-8")
    return path


def option_point(name: str, isl: float = 8192.0, **flags: str) -> MeasuredPoint:
    """A point whose command line set these options."""
    return MeasuredPoint({"id": name}, {"isl": isl}, {"tp-size": "8", **flags})


def ratios(points: list[MeasuredPoint], rates: dict[str, tuple[float, float]]) -> list[tuple[str, float, float]]:
    """Name without its points, measured and predicted ratio of each check."""
    entries = [
        Comparison(name, ("m", "g", "e", "k"), THROUGHPUT, "output_tput_per_gpu", *both) for name, both in rates.items()
    ]
    return [(one.name.split(" (")[0], one.measured, one.predicted) for one in option_checks(points, entries)]


def test_neighbours_in_one_option_are_compared() -> None:
    """Unset before 0.8 before 0.85, by size; not the two ends, no point of another length, none that differs twice."""
    points = [
        option_point("c", mem="0.85"),
        option_point("a"),
        option_point("b", mem="0.8"),
        option_point("far", isl=1024.0, mem="0.9"),
        option_point("twice", mem="0.9", cache="fp8"),
    ]
    found = ratios(points, {"a": (10, 10), "b": (20, 30), "c": (25, 30), "far": (9, 9), "twice": (7, 7)})
    assert found == [("mem unset to 0.8", 2.0, 3.0), ("mem 0.8 to 0.85", 1.25, 1.0)]


def test_points_that_repeat_a_setting_each_have_their_ratio() -> None:
    """So that the scatter of the measurement shows; a point that was not simulated has none."""
    points = [option_point("a"), option_point("again"), option_point("b", mem="0.8"), option_point("lost", mem="0.9")]
    found = ratios(points, {"a": (10, 10), "again": (16, 10), "b": (20, 20)})
    assert found == [("mem unset to 0.8", 2.0, 2.0), ("mem unset to 0.8", 1.25, 2.0)]


def test_a_miss_is_said_to_be_one() -> None:
    """Errors beyond the target are missed on either side, and printed as such."""
    checks = tuple(Check("g", str(value), 1.0, value, 0.2) for value in (0.79, 0.81, 1.19, 1.21))
    assert [entry.met for entry in checks] == [False, True, True, False]
    text = validate_text(Validation((), (), 4, checks))
    assert text.count("missed") == 2
    assert "2 of 4 within their targets" in text


def test_techniques_are_switched_off_in_the_phase_that_was_measured(tmp_path: Path) -> None:
    """A prompt phase has the reported ratios of prompts: balancer and overlap, at the tokens that the report names."""
    known = [(one, system_of(one)) for one in read_points(phase_file(tmp_path / "points.csv"))]
    found = twins(known)
    assert [twin.parameter for twin in found] == [name for name in table(TABLE)[REPORT] if "/prefill" in name]
    balanced, overlapped = found
    assert balanced.using == known[0][1]
    assert balanced.without.scenario.deployment.expert_imbalance.eplb is None
    assert not overlapped.without.scenario.deployment.engine.enable_two_batch_overlap
    assert overlapped.using.phase == overlapped.without.phase == replace(balanced.using.phase, tokens=8192)
    checks = list(technique_checks(found, [predict(one) for twin in found for one in (twin.using, twin.without)]))
    assert [check.measured for check in checks] == [1.49, 1.31]
    assert all(1.2 < check.predicted < 1.8 for check in checks)


def test_phases_alone_are_checked_against_their_target(tmp_path: Path) -> None:
    """The point, then its techniques; perfect balance has no balancer to switch off, ordinary points no checks."""
    found = validate(phase_file(tmp_path / "points.csv"), workers=1)
    assert [check.group.split(":")[0] for check in found.checks] == ["a phase alone", "a technique", "a technique"]
    assert found.checks[0].error_frac == pytest.approx(found.comparisons[0].error_frac)
    assert "a technique: throughput with it over without" in validate_text(found)
    perfect = validate(phase_file(tmp_path / "perfect.csv", layout="prefill only, perfect balance"), workers=1)
    assert [check.group.split(":")[0] for check in perfect.checks] == ["a phase alone"]
    assert not validate(written(tmp_path / "ordinary.csv", {}), workers=1).checks
