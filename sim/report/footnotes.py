"""Remarks that belong to single figures of a table, numbered in order of first use."""

from __future__ import annotations

from collections.abc import Iterable

from sim.report.figures import Figure

_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


class Footnotes:
    """Numbers given to remarks.

    Attributes
    ----------
    shared : remarks of every figure of the table; they are said once and carry no number.
    """

    def __init__(self, figures: Iterable[Figure]) -> None:
        notes = [set(split_note(item.note)) for item in figures]
        common = set.intersection(*notes) if notes else set()
        self.shared = [note for note in dict.fromkeys(n for item in notes for n in sorted(item)) if note in common]
        self._numbers: dict[str, int] = {}

    def mark(self, figure: Figure) -> str:
        """Raised numbers of the remarks of one figure, such as ` ¹`."""
        own = [note for note in split_note(figure.note) if note not in self.shared]
        numbers = [str(self._numbers.setdefault(note, len(self._numbers) + 1)) for note in own]
        return "".join(f" {number.translate(_RAISED)}" for number in numbers)

    @property
    def lines(self) -> list[str]:
        """All remarks: the shared ones, then the numbered ones."""
        numbered = [f"{str(number).translate(_RAISED)} {note}" for note, number in self._numbers.items()]
        return [*(f"All figures: {note}." for note in self.shared), *numbered]


def split_note(note: str) -> list[str]:
    """Remarks of a note that holds several."""
    return [part for part in note.split("; ") if part]
