"""The part of a Markdown page that `sim validate` writes: its table, between two marks."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sim.errors import ScenarioError
from sim.study.files import write_text

BEGIN: Final = "<!-- begin sim validate -->"
END: Final = "<!-- end sim validate -->"


def around_table(page: Path) -> tuple[str, str]:
    """What stands before the first mark of a page, and after the second.

    Raises
    ------
    ScenarioError : the page cannot be read, or does not have each mark once, in order.
    """
    try:
        old = page.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"cannot be read: {error}", file=str(page)) from None
    before, begin, rest = old.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in before + after:
        raise ScenarioError("must have each mark once, in order", valid=f"{BEGIN} ... {END}", file=str(page))
    return before, after


def write_table(page: Path, text: str) -> None:
    """Put a table between the marks of a page; the rest of the page stays.

    Raises
    ------
    ScenarioError : as `around_table`.
    RunDirectoryError : it cannot be written.
    """
    before, after = around_table(page)
    write_text(page, f"{before}{BEGIN}\n```text\n{text}\n```\n{END}{after}")
