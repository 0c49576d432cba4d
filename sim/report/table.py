"""A table that never cuts a cell: columns of words may be broken over lines, figures never are.

Where a table cannot be made as narrow as the page, each row is stacked: its name, then one line per cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

INDENT = 2
BETWEEN = " · "
WORD = 14  # columns of words are not made narrower than this, so that they stay readable


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes
    ----------
    title : words over it; a line break starts a second line.
    right : whether its cells end at the same place.
    breaks : whether its cells are words that may be broken between lines.
    """

    title: str
    right: bool = False
    breaks: bool = False


@dataclass(frozen=True, slots=True)
class FittedTable:
    """Rows under a head, as wide as they need, up to the width of the page.

    A row whose cells are all empty but the first is the name of a group and spans the table.

    Attributes
    ----------
    columns, rows : head and cells, as many cells in a row as columns.
    gap : blanks between two columns.
    ruled : whether there is a head with a rule under it.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[Text, ...], ...]
    gap: int = 2
    ruled: bool = True

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        room = options.max_width - INDENT
        for gap in dict.fromkeys((self.gap, 1)):
            widths = self._fitted(room - gap * (len(self.columns) - 1))
            if widths is not None:
                lines = self._lines(console, widths, gap)
                break
        else:
            lines = self._stacked(console, room)
        for line in lines:
            yield from Text(" " * INDENT).append_text(line).render(console, end="\n")

    def _fitted(self, room: int) -> list[int] | None:
        """Widths that fit the room; None where even the narrowest do not."""
        cells = [[row[index] for row in self.rows if not _names_group(row)] for index in range(len(self.columns))]
        widths = [
            max([_wide(Text(column.title)), *(_wide(cell) for cell in items)])
            for column, items in zip(self.columns, cells, strict=True)
        ]
        least = [_least(column, items) for column, items in zip(self.columns, cells, strict=True)]
        least = [min(pair) for pair in zip(least, widths, strict=True)]
        if sum(least) > room:
            return None
        while (excess := sum(widths) - room) > 0:
            index = max((i for i in range(len(widths)) if widths[i] > least[i]), key=lambda i: widths[i])
            widths[index] = max(least[index], widths[index] - excess)
        return widths

    def _lines(self, console: Console, widths: Sequence[int], gap: int) -> list[Text]:
        lines: list[Text] = []
        if self.ruled:
            titles = [Text(column.title, style="dim") for column in self.columns]
            lines += self._line(console, titles, widths, gap, low=True)
            lines.append(Text("─" * (sum(widths) + gap * (len(widths) - 1)), style="dim"))
        for row in self.rows:
            if _names_group(row):
                lines += row[0].wrap(console, max(WORD, sum(widths) + gap * (len(widths) - 1)))
            else:
                lines += self._line(console, row, widths, gap, low=False)
        return lines

    def _line(self, console: Console, row: Sequence[Text], widths: Sequence[int], gap: int, *, low: bool) -> list[Text]:
        """One row as the lines it takes; `low` puts short cells at its last lines."""
        cells = [_wrapped(console, cell, width) for cell, width in zip(row, widths, strict=True)]
        if low:
            most = max(len(cell) for cell in cells)
            cells = [[Text("")] * (most - len(cell)) + cell for cell in cells]
        return [
            Text(" " * gap).join(
                _padded(part or Text(""), column, width)
                for part, column, width in zip(parts, self.columns, widths, strict=True)
            )
            for parts in zip_longest(*cells)
        ]

    def _stacked(self, console: Console, room: int) -> list[Text]:
        lines: list[Text] = []
        for row in self.rows:
            lines += _wrapped(console, row[0], room)
            pairs = zip(self.columns[1:], row[1:], strict=True)
            cells = [(_titled(column, cell), column.breaks) for column, cell in pairs if cell.plain]
            lines += _packed(console, cells, _indent(row[0]) + INDENT, room)
        return lines


@dataclass(frozen=True, slots=True)
class FittedPairs:
    """Names on the left, values on the right; under each other where the page is too narrow.

    Attributes
    ----------
    rows : (name, value).
    width : least width of the names.
    """

    rows: tuple[tuple[Text, Text], ...]
    width: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        left = max([self.width, *(name.cell_len for name, _ in self.rows)])
        room = options.max_width - INDENT
        for name, value in self.rows:
            free = room - left - 2
            if value.cell_len <= free or free >= room // 2:
                parts = value.wrap(console, free)
                names = [name, *[Text("")] * (len(parts) - 1)]
                lines = [_padded(head, Column(""), left + 2).append_text(part) for head, part in zip(names, parts)]  # noqa: B905 - as long as each other
            else:
                lines = [*name.wrap(console, room), *_hanging(console, value, room)]
            for line in lines:
                yield from Text(" " * INDENT).append_text(line).render(console, end="\n")


def _names_group(row: Sequence[Text]) -> bool:
    return len(row) > 1 and not any(cell.plain for cell in row[1:])


def _wide(text: Text) -> int:
    """Width of the longest line."""
    return max((line.cell_len for line in text.split("\n", allow_blank=True)), default=0)


def _least(column: Column, cells: Sequence[Text]) -> int:
    """Least width: the longest word of a column of words, the longest line of any other; heads break between words."""
    head = _longest_word(column.title)
    if not column.breaks:
        return max([head, *(_wide(cell) for cell in cells)])
    return max(
        [head, WORD, *(_indent(cell) + INDENT * bool(_indent(cell)) + _longest_word(cell.plain) for cell in cells)]
    )


def _longest_word(text: str) -> int:
    return max((Text(word).cell_len for word in text.split()), default=0)


def _titled(column: Column, cell: Text) -> Text:
    """A cell on one line, with its title before it and what stood below it in brackets."""
    first, *more = cell.split("\n")
    text = Text(f"{' '.join(column.title.split())}: " if column.title else "", style="dim")
    text.append_text(first)
    for part in more:
        text.append(" (").append_text(part).append(")")
    return text


def _packed(console: Console, cells: Sequence[tuple[Text, bool]], indent: int, room: int) -> list[Text]:
    """Cells side by side, as many in a line as it holds; only words that fill a line are broken."""
    lines: list[Text] = []
    for cell, breaks in cells:
        if lines and lines[-1].cell_len + len(BETWEEN) + cell.cell_len <= room:
            lines[-1].append(BETWEEN, style="dim").append_text(cell)
        else:
            parts = cell.wrap(console, max(WORD, room - indent)) if breaks else [cell]
            lines += [Text(" " * indent).append_text(part) for part in parts]
    return lines


def _indent(cell: Text) -> int:
    return len(cell.plain) - len(cell.plain.lstrip(" "))


def _wrapped(console: Console, cell: Text, width: int) -> list[Text]:
    """The lines of a cell of a given width; of one that is indented, those below its first a little further."""
    indent = _indent(cell)
    if not indent or _wide(cell) <= width:
        return list(cell.wrap(console, width))
    parts = cell[indent:].wrap(console, max(1, width - indent - INDENT))
    return [Text(" " * (indent + (INDENT if index else 0))).append_text(part) for index, part in enumerate(parts)]


def _padded(part: Text, column: Column, width: int) -> Text:
    copy = part.copy()
    copy.rstrip()
    blanks = max(0, width - copy.cell_len)
    if column.right:
        copy.pad_left(blanks)
    else:
        copy.pad_right(blanks)
    return copy


def _hanging(console: Console, text: Text, room: int) -> list[Text]:
    """A text broken between words, indented below the name it belongs to."""
    return [Text("  ").append_text(part) for part in text.wrap(console, max(WORD, room - 2))]
