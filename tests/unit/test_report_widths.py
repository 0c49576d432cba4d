"""No figure is ever cut, however narrow the page."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from sim.report import terminal
from sim.report.catalog_text import catalog_text
from sim.report.check_text import check_text
from sim.report.explain_text import explain_text
from sim.report.run_text import run_text
from sim.report.terminal import columns, pairs, render, two_lines
from sim.report.trace_text import describe_text
from sim.report.verify_text import verify_text
from sim.simulation.check import check
from sim.simulation.explain import explain
from sim.study.verify.check import Check
from sim.workload.trace.describe import describe
from sim.workload.trace.reader import read_trace
from tests.report_cases import made_result, made_scenario

WIDTHS = (60, 80, 100, 120)
ENDLESS = 1000
FIGURE = re.compile(r"[-+~$(\[]*\d[\d,.:/-]*[)\]]?")
CELL = st.from_regex(r"\$?[0-9]{1,3}(,[0-9]{3}){0,3}(\.[0-9])?( (ms|GiB|tokens/s|to [0-9]{1,6}))?", fullmatch=True)
ROWS = st.lists(st.lists(CELL, min_size=6, max_size=6), min_size=1, max_size=4)


def trace_table(folder: Path) -> str:
    file = folder / "t.csv"
    rows = "".join(f"{time},{10_000 + 1000 * time},{20 + time % 3}\n" for time in range(1, 200))
    file.write_text("arrival_s,input_tokens,output_tokens\n" + rows)
    return describe_text(describe(read_trace(file, "csv")))


def verification(_: Path) -> str:
    checks = [
        Check("M/M/1", "mean wait", "s", 1234.5, 1239.1, 1228.2, 1249.3, 0.31, "z", passed=True),
        Check("spans", "worst difference", "tokens/s", 0.0, 1.2e-12, None, None, None, "exact", passed=True),
    ]
    return verify_text(checks)


def memory_plan(_: Path) -> str:
    scenario = made_scenario()
    return check_text(scenario, check(scenario))


def step(_: Path) -> str:
    scenario = made_scenario()
    return explain_text(scenario, explain(scenario, seqs=64, context_tokens=131_072, prefill_tokens=8192))


TEXTS: dict[str, Callable[[Path], str]] = {
    "run": lambda _: run_text(made_result(), Path("runs/x"), cached=False),
    "check": memory_plan,
    "explain": step,
    "models": lambda _: catalog_text("models", None),
    "model": lambda _: catalog_text("models", "glm-5.2"),
    "gpus": lambda _: catalog_text("gpus", None),
    "engines": lambda _: catalog_text("engines", None),
    "trace": trace_table,
    "verify": verification,
}


def figures(text: str) -> Counter[str]:
    """Everything between blanks that is a figure; brackets of the stacked form aside."""
    words = (word.strip("()[];.,") for word in text.split())
    return Counter(word for word in words if FIGURE.fullmatch(word))


@pytest.mark.parametrize("name", TEXTS)
def test_every_figure_is_whole_at_every_width(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands on an endless page stands, as often and digit for digit, at 60, 80, 100 and 120 columns."""
    monkeypatch.setattr(terminal, "page_width", lambda: ENDLESS)
    wanted = figures(TEXTS[name](tmp_path))
    assert sum(wanted.values()) >= 3
    for width in WIDTHS:
        monkeypatch.setattr(terminal, "page_width", lambda width=width: width)
        text = TEXTS[name](tmp_path)
        assert figures(text) == wanted, width
        assert max(len(line) for line in text.splitlines()) <= width


@pytest.mark.parametrize("width", WIDTHS)
def test_values_keep_their_units_and_intervals(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value, its unit and its interval stay on one line each."""
    monkeypatch.setattr(terminal, "page_width", lambda: width)
    text = run_text(made_result(), Path("runs/x"), cached=False)
    for cell in (
        "$567,000",
        "+$308,000",
        "40.7 to 42.5",
        "34.5 tokens/s/GPU",
        "33.6 to 35.2",
        "1.01 to 1.12",
        "473 ms",
    ):
        assert cell in text
    assert "44.1 GiB" in memory_plan(Path())
    assert "1,048,576" in catalog_text("models", None)


@given(ROWS, st.integers(min_value=20, max_value=130), st.sampled_from(["rrrrrr", "lrrrrr", "llllll"]))
def test_cells_of_any_table_stay_whole(rows: list[list[str]], width: int, align: str) -> None:
    """Whatever the cells and the page, each cell but those of a first column of words is found in one piece."""
    before = terminal.page_width
    terminal.page_width = lambda: width
    try:
        text = render([columns(("name", "mean", "p50", "p95", "per M\noutput tokens", "year"), rows, align)])
    finally:
        terminal.page_width = before
    for row in rows:
        assert all(cell in text for cell in row[1:])
        assert all(word in text for word in row[0].split())


@pytest.mark.parametrize("width", [40, 60, 100])
def test_narrow_tables_are_stacked_with_their_titles(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the columns do not fit, each value stands behind the name of its column, its second line in brackets."""
    monkeypatch.setattr(terminal, "page_width", lambda: width)
    rows: list[Sequence[str | Text]] = [
        ("owned", *(two_lines(f"$4{n}.6 per M tokens", f"4{n}.0 to 4{n}.9") for n in range(4)))
    ]
    text = render([columns(("", "mean", "p50", "p90", "p95"), rows, "lllll")])
    if width < 100:
        assert "mean: $40.6 per M tokens (40.0 to 40.9)" in text
        assert "─" not in text
    else:
        assert "─" in text


@pytest.mark.parametrize("width", [40, 100])
def test_pairs_go_under_each_other_on_a_narrow_page(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The value is whole either way."""
    monkeypatch.setattr(terminal, "page_width", lambda: width)
    text = render([pairs([("Longest admissible request", "1,048,576 tokens")])])
    assert "1,048,576 tokens" in text
    assert len(text.splitlines()) == (2 if width == 40 else 1)
