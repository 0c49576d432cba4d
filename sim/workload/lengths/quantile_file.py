"""A length law from a CSV file of quantiles."""

from __future__ import annotations

import csv
from pathlib import Path

from sim.errors import ScenarioError, TraceError, nearest
from sim.workload.lengths.empirical import QuantileTable

PROBABILITY = "p"


def read_quantiles(path: Path, column: str) -> QuantileTable:
    """The law of one column of a table `p,input_tokens,output_tokens,...`.

    Checked on the quantiles of the DeepSeek-R1 pool of ServeGen: median and p99 of 208 and 23,423 input tokens, 792 and
    12,607 output tokens.

    Raises
    ------
    TraceError : the file cannot be read, or a line holds no number.
    ScenarioError : it lacks the column, or the values are no quantiles.
    """
    points: list[tuple[float, float]] = []
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream)
            names = list(reader.fieldnames or ())
            for name in (PROBABILITY, column):
                if name not in names:
                    valid = ", ".join(names)
                    raise ScenarioError(
                        f"{path.name} has no such column",
                        key="column",
                        value=name,
                        valid=valid,
                        nearest=nearest(name, names),
                    )
            points.extend((float(row[PROBABILITY]), float(row[column])) for row in reader)
    except (OSError, UnicodeDecodeError) as error:
        raise TraceError(f"{path}: cannot be read: {error}") from None
    except (TypeError, ValueError):
        raise TraceError(f"{path}: line {len(points) + 2} holds no number for {PROBABILITY} or {column}") from None
    return QuantileTable(tuple(p for p, _ in points), tuple(tokens for _, tokens in points))
