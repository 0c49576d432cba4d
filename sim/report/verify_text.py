"""`sim verify`: theory beside simulation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.text import Text

from sim.report.figures import decimals_of, number
from sim.report.terminal import columns, paragraph, render
from sim.study.verify.check import Check

HEAD = ("closed form", "unit", "theory", "simulation", "95 % interval", "z", "verdict")


def verify_text(checks: Sequence[Check]) -> str:
    """The verification table and its sum."""
    return render([columns(HEAD, _rows(checks), "llrrrrl", wrap=(0,), gap=1), Text(""), paragraph(summary(checks))])


def verify_dict(checks: Sequence[Check]) -> dict[str, Any]:
    """The same as plain data."""
    return {
        "passed": all(check.passed for check in checks),
        "checks": [{**asdict(check), "verdict": check.verdict} for check in checks],
    }


def summary(checks: Sequence[Check]) -> str:
    """How many passed, and which did not."""
    failed = [check for check in checks if not check.passed]
    scores = [abs(check.z) for check in checks if check.z is not None and check.rule == "z"]
    worst = f" The largest |z| is {max(scores):.1f}." if scores else ""
    if not failed:
        return f"All {len(checks)} figures agree with theory.{worst}"
    names = "; ".join(f"{check.name}: {check.what}" for check in failed)
    return f"{len(failed)} of {len(checks)} figures do NOT agree with theory: {names}.{worst}"


def _rows(checks: Sequence[Check]) -> list[tuple[str | Text, ...]]:
    """One line per figure under the name of its closed form; a rule other than z stands beside the verdict."""
    rows: list[tuple[str | Text, ...]] = []
    for index, check in enumerate(checks):
        if index == 0 or check.name != checks[index - 1].name:
            rows.append((Text(check.name, style="bold"), *[""] * (len(HEAD) - 1)))
        decimals = _decimals(check)
        verdict = check.verdict if check.rule == "z" else f"{check.verdict} ({check.rule.removeprefix('within ')})"
        rows.append(
            (
                f"  {check.what}",
                check.unit,
                number(check.theory, decimals),
                number(check.simulation, decimals),
                "" if check.low is None or check.high is None else _interval(check.low, check.high, decimals),
                "" if check.z is None else f"{check.z:+.1f}",
                Text(verdict, style="green" if check.passed else "bold red"),
            )
        )
    return rows


def _decimals(check: Check) -> int:
    """Digits that the interval supports; six significant ones for exact checks."""
    if check.low is None or check.high is None:
        return decimals_of(check.theory) + 3
    return decimals_of(check.simulation, check.low, check.high)


def _interval(low: float, high: float, decimals: int) -> str:
    return f"{number(low, decimals)} to {number(high, decimals)}"
