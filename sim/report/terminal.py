"""Tables and paragraphs as plain text: coloured in a terminal, bare where the output goes elsewhere."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence
from io import StringIO
from typing import Literal

from rich import box
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

WIDTH = 100
NARROWEST, WIDEST = 72, 110
WORD = 9  # columns that may be broken keep room for a word
Align = Literal["left", "right"]
Cell = str | Text


def render(parts: Iterable[RenderableType]) -> str:
    """The parts under each other, without trailing blanks; colour codes only when stdout is a terminal."""
    terminal = sys.stdout.isatty()
    width = min(max(shutil.get_terminal_size().columns, NARROWEST), WIDEST) if terminal else WIDTH
    stream = StringIO()
    console = Console(
        file=stream,
        width=width,
        force_terminal=terminal,
        color_system="auto" if terminal else None,
        markup=False,
        highlight=False,
        emoji=False,
        legacy_windows=False,
    )
    for part in parts:
        console.print(part)
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
    align: Sequence[Align] | str = "",
    wrap: Sequence[int] = (),
    gap: int = 2,
) -> RenderableType:
    """A table with a rule under its head.

    Parameters
    ----------
    align : one letter per column, `l` or `r`.
    wrap : columns whose text may be broken over lines; the others never are.
    """
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, gap, 0, 0), header_style="dim")
    for index, title in enumerate(head):
        right = index < len(align) and align[index] == "r"
        breaks = index in wrap
        table.add_column(
            Text(title),
            justify="right" if right else "left",
            no_wrap=not breaks,
            min_width=WORD if breaks else None,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    return Padding(table, (0, 0, 0, 2))


def pairs(rows: Iterable[tuple[str, Cell]], width: int = 24) -> RenderableType:
    """Names on the left, values on the right."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(min_width=width, no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in rows:
        grid.add_row(Text(name), Text(value) if isinstance(value, str) else value)
    return Padding(grid, (0, 0, 0, 2))


def two_lines(first: str, second: str) -> Text:
    """A cell with a fainter second line."""
    text = Text(first)
    if second:
        text.append(f"\n{second}", style="dim")
    return text
