"""RAGPulse's JSON lines: prompts as lists of components, whose lengths stand in a table beside the trace.

`hash_ids` names the components in the order of the prompt: system prompt, passages, history, web search, question.
Equal components share a prefix only as far as everything before them is equal too, so each is numbered together with
what precedes it. The few tokens that a prompt has beyond its components (a chat template, 6 to 12) are its own.
"""

from __future__ import annotations

from pathlib import Path

from sim.errors import TraceError
from sim.workload.runs import Run, merged
from sim.workload.trace.json_record import has_keys, number_of, record_of, whole_ids
from sim.workload.trace.row import Format, Row, RowParser, columns, fields, positions, seconds, token_count
from sim.workload.trace.text import numbered_lines

KEYS = ("timestamp", "input_length", "output_length", "hash_ids")
COMPONENTS = ("sys_prompt", "passages_ids", "history", "web_search", "user_input")
LENGTHS = ("ragpulse_component_lengths.csv", "ragpulse_component_lengths.csv.gz")
LENGTH_COLUMNS = ("component", "id", "token_length")

Lengths = dict[tuple[str, int], int]


def _recognises(line: str) -> bool:
    return has_keys(line, KEYS) and isinstance(record_of(line)["hash_ids"], dict)


def component_lengths(trace: Path) -> Lengths:
    """Tokens of each component, from the table beside the trace.

    Raises
    ------
    TraceError : no such table, or one that cannot be read.
    """
    path = next((found for name in LENGTHS if (found := trace.with_name(name)).exists()), None)
    if path is None:
        raise TraceError(
            f"{trace}: needs the lengths of its components in {LENGTHS[0]} (or .gz) beside it, with the columns "
            f"{', '.join(LENGTH_COLUMNS)}"
        )
    lengths: Lengths = {}
    places: list[int] = []
    for number, raw in numbered_lines(path):
        try:
            line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
            if not places:
                places = positions(line, LENGTH_COLUMNS)
                width = len(columns(line))
                continue
            cells = fields(line)
            if len(cells) != width:
                raise ValueError(f"has {len(cells)} fields where the header has {width}")  # noqa: TRY301 - told below
            component, name, tokens = (cells[place].strip() for place in places)
            lengths[component, int(name)] = token_count("token_length", tokens)
        except ValueError as error:
            raise TraceError(f"{path}: line {number} is malformed: {error}") from None
    return lengths


def _parser(_first: str, path: Path) -> RowParser:
    lengths = component_lengths(path)
    starts: dict[tuple[int, str, int], int] = {}
    free = 0

    def runs_of(components: dict[str, object]) -> list[Run]:
        nonlocal free
        runs, before = [], -1
        for name in COMPONENTS:
            for one in whole_ids(name, components.get(name, [])):
                if (name, one) not in lengths:
                    raise ValueError(f"{name} {one} has no length in the table of components")
                key = (before, name, one)
                if key not in starts:
                    starts[key] = free
                    free += lengths[name, one] + 1  # a gap, so that runs of two components never look like one
                before = starts[key]
                runs.append((before, lengths[name, one]))
        return runs

    def parse(line: str) -> Row:
        record = record_of(line)
        components = record.get("hash_ids")
        if not isinstance(components, dict):
            raise ValueError("hash_ids is no object of components")  # noqa: TRY004 - one kind of error per line
        session = record.get("session_id")
        return Row(
            seconds("timestamp", record.get("timestamp")),
            token_count("input_length", number_of(record, "input_length")),
            token_count("output_length", number_of(record, "output_length")),
            None if session is None else str(session),
            None,
            merged(runs_of(components)),
        )

    return parse


RAGPULSE = Format(
    name="ragpulse",
    has_header=False,
    recognises=_recognises,
    parser=_parser,
    ticks_per_s=1,
    unsorted=True,
)
