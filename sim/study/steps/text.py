"""A table of steps as the CSV that `sim.steptime.step_rows` reads."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from io import StringIO

from sim.steptime.step_rows import COLUMNS, PREFIX, StepRow

DIGITS = 6


def steps_text(rows: Iterable[StepRow]) -> str:
    """Header and one line per step."""
    stream = StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow((*COLUMNS[:3], PREFIX, COLUMNS[3]))
    writer.writerows((*row.step, f"{row.seconds:.{DIGITS}g}") for row in rows)
    return stream.getvalue()
