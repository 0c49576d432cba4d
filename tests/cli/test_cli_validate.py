"""`sim validate` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sim.report.validate_page import BEGIN, END
from tests.unit.test_validate_points import written

PAGE = f"# Page\n\nBefore.\n\n{BEGIN}\nold table\n{END}\n\nAfter.\n"


def test_the_table_is_written_between_the_marks_of_a_page(sim, tmp_path: Path) -> None:
    """Intervals where asked for; the rest of the page stays, and a second run writes the same page again."""
    points, page, out = written(tmp_path / "points.csv", {}), tmp_path / "page.md", tmp_path / "out"
    page.write_text(PAGE, encoding="utf-8")
    asked = ("validate", "--points", points, "--out", out, "--workers", 1, "--intervals", "--page", page)
    said = sim(*asked)
    assert said.code == 0, said.err
    assert "Inside the 80 % model interval" in said.out
    text = page.read_text(encoding="utf-8")
    assert text == PAGE.replace("old table", f"```text\n{said.out.rstrip()}\n```")
    assert page.with_suffix(".png").stat().st_size > 10_000
    assert sim(*asked).code == 0
    assert page.read_text(encoding="utf-8") == text
    plain = json.loads(sim("validate", "--points", points, "--out", out, "--workers", 1, "--json").out)
    assert plain["coverage"] == []
    assert plain["summaries"][0]["points"] == 1


@pytest.mark.parametrize("page", [None, "no marks\n", f"{END}\n{BEGIN}\n", PAGE + PAGE])
def test_a_page_without_its_marks_is_refused_before_anything_is_simulated(
    sim, tmp_path: Path, page: str | None
) -> None:
    """Missing, without marks, in the wrong order, or twice: exit code 2, the file is named and stays as it was."""
    points, path = written(tmp_path / "points.csv", {}), tmp_path / "page.md"
    if page is not None:
        path.write_text(page, encoding="utf-8")
    said = sim("validate", "--points", points, "--out", tmp_path / "out", "--workers", 1, "--page", path)
    assert said.code == 2
    assert "page.md" in said.err
    assert not (tmp_path / "out").exists()
    assert page is None or path.read_text(encoding="utf-8") == page
