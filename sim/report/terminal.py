"""Tables and paragraphs as plain text: coloured in a terminal, bare where the output goes elsewhere."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence
from io import StringIO

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from sim.report.table import Column, FittedPairs, FittedTable

WIDTH = 100
NARROWEST, WIDEST = 40, 120
Cell = str | Text


def page_width() -> int:
    """Columns of the page: those of the terminal within reason, else `WIDTH`."""
    if not sys.stdout.isatty():
        return WIDTH
    return min(max(shutil.get_terminal_size().columns, NARROWEST), WIDEST)


def render(parts: Iterable[RenderableType]) -> str:
    """The parts under each other, without trailing blanks; colour codes only when stdout is a terminal.

    Lines are longer than the page only where a figure would have to be cut.
    """
    terminal = sys.stdout.isatty()
    stream = StringIO()
    console = Console(
        file=stream,
        width=page_width(),
        force_terminal=terminal,
        color_system="auto" if terminal else None,
        markup=False,
        highlight=False,
        emoji=False,
        legacy_windows=False,
    )
    for part in parts:
        console.print(part, crop=False)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()).rstrip("\n")


def heading(text: str) -> RenderableType:
    """The name of a section, with a blank line before it."""
    return Text(f"\n{text}", style="bold")


def paragraph(text: str, style: str = "", indent: int = 2) -> RenderableType:
    """Running text, wrapped and indented."""
    return Padding(Text(text, style=style), (0, 0, 0, indent))


def bullets(sentences: Iterable[str], mark: str = "-") -> list[RenderableType]:
    """One item per sentence, with a hanging indent."""
    return marked((mark, sentence) for sentence in sentences)


def marked(items: Iterable[tuple[str, str]], style: str = "") -> list[RenderableType]:
    """Items behind marks of their own, with a hanging indent."""
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(ratio=1)
    for mark, text in items:
        grid.add_row(Text(mark, style=style), Text(text, style=style))
    return [Padding(grid, (0, 0, 0, 2))] if grid.row_count else []


def columns(
    head: Sequence[str],
    rows: Iterable[Sequence[Cell]],
    align: str = "",
    wrap: Sequence[int] = (),
    gap: int = 2,
) -> RenderableType:
    """A table with a rule under its head.

    Parameters
    ----------
    align : one letter per column, `l` or `r`.
    wrap : columns whose text may be broken between words; so may the first where it is aligned left. Others never are.
    """
    described = tuple(
        Column(title, align[index : index + 1] == "r", index in wrap or (index == 0 and align[:1] != "r"))
        for index, title in enumerate(head)
    )
    return FittedTable(described, tuple(tuple(_text(cell) for cell in row) for row in rows), gap)


def under_titles(rows: Iterable[tuple[str, Sequence[Cell]]]) -> list[Sequence[Cell]]:
    """Cells of a table whose (title, cells) rows stand in groups: a bold line with the title before each group."""
    found: list[Sequence[Cell]] = []
    above = ""
    for title, cells in rows:
        if title != above:
            above = title
            found.append((Text(title, style="bold"), *[""] * (len(cells) - 1)))
        found.append(cells)
    return found


def pairs(rows: Iterable[tuple[str, Cell]], width: int = 24) -> RenderableType:
    """Names on the left, values on the right."""
    return FittedPairs(tuple((Text(name), _text(value)) for name, value in rows), width)


def _text(cell: Cell) -> Text:
    return Text(cell) if isinstance(cell, str) else cell


def two_lines(first: str, second: str) -> Text:
    """A cell with a fainter second line."""
    text = Text(first)
    if second:
        text.append(f"\n{second}", style="dim")
    return text
