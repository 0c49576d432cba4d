"""Recorded coding agents, one session per line of JSON, prompt blocks run-length coded.

The file's own form: `id`, `block_size`, `requests`; a request has `t` (s since the session began), `in`, `out`,
`api_time` (s that the service took), `think_time` (s that the client paused before it) and `hash_ranges`, inclusive
runs of block ids that are local to the session and cover whole blocks only. A request of type `subagent` holds requests
of its own; its `t` is the time at which it ended, `duration_ms` how long it ran (absent for one that was cut off), and
the times within count from its start. Sub-agents between two calls of the session ran side by side.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sim.errors import TraceError, shorten
from sim.workload.runs import Runs, leading, merged
from sim.workload.sessions.recorded import RecordedCall, RecordedSession
from sim.workload.trace.json_record import has_keys, number_of, record_of
from sim.workload.trace.row import seconds, token_count
from sim.workload.trace.text import numbered_lines

KEYS = ("id", "block_size", "requests")
SUB_AGENT = "subagent"
MS = 1e-3
LARGEST_ID = 2**25  # blocks of one session; beyond it two sessions' identities would meet


def is_session(line: str) -> bool:
    """Whether a first line looks like a recorded session."""
    return has_keys(line, KEYS)


def read_sessions(path: str | Path) -> tuple[RecordedSession, ...]:
    """All sessions of a file, compressed or not, in its order.

    Raises
    ------
    TraceError : missing, truncated or empty file, or malformed lines (the first one's number, reason and content, and
        how many there are).
    """
    path = Path(path)
    sessions, refused, complaint = [], 0, ""
    for number, raw in numbered_lines(path):
        try:
            sessions.append(session_of(raw.decode("utf-8-sig" if number == 1 else "utf-8")))
        except ValueError as error:
            refused += 1
            complaint = complaint or f"line {number} is malformed: {error}: {shorten(raw)}"
    if refused:
        many = "1 malformed line" if refused == 1 else f"{refused} malformed lines"
        raise TraceError(f"{path}: {complaint}; {many} in all")
    if not sessions:
        raise TraceError(f"{path}: the file is empty")
    return tuple(sessions)


def session_of(line: str) -> RecordedSession:
    """One session from its line.

    Raises
    ------
    ValueError : what is wrong with the line.
    """
    record = record_of(line)
    requests, block_tokens = record.get("requests"), token_count("block_size", number_of(record, "block_size"))
    if not isinstance(requests, list) or not requests:
        raise ValueError("requests is no list of calls")
    return RecordedSession(str(record.get("id")), tuple(_steps(requests, block_tokens, 0.0)))


def _steps(
    requests: list[object], block_tokens: int, start_s: float
) -> Iterator[RecordedCall | tuple[RecordedSession, ...]]:
    """Calls and groups of sub-agents; `start_s` is when the list's own clock began."""
    answered_s = start_s
    agents: list[RecordedSession] = []
    joined_s = start_s
    for position, entry in enumerate(requests):
        if not isinstance(entry, dict):
            raise ValueError(f"request {position} is no JSON object")  # noqa: TRY004 - one kind of error per line
        at_s = start_s + seconds("t", number_of(entry, "t"))
        if entry.get("type") == SUB_AGENT:
            agent = _agent(entry, block_tokens, at_s, answered_s)
            agents.append(agent)
            joined_s = max(joined_s, at_s, *(call.answered_s for call in agent.calls()))
            continue
        think = None if position == 0 or agents else entry.get("think_time")
        if think is not None:
            gap_s = seconds("think_time", number_of(entry, "think_time"))
        else:
            gap_s = max(0.0, at_s - (joined_s if agents else answered_s))
        if agents:
            yield tuple(agents)
            agents = []
        call = _call(entry, block_tokens, at_s, gap_s if position else 0.0)
        answered_s = joined_s = call.answered_s
        yield call
    if agents:
        yield tuple(agents)


def _agent(entry: dict[str, object], block_tokens: int, ended_s: float, answered_s: float) -> RecordedSession:
    """One sub-agent; its first pause counts from the answer that started it."""
    ran_ms = 0.0 if entry.get("duration_ms") is None else seconds("duration_ms", number_of(entry, "duration_ms"))
    began_s = max(0.0, ended_s - ran_ms * MS)
    inner = entry.get("requests")
    if not isinstance(inner, list) or not inner:
        raise ValueError("a sub-agent's requests is no list of calls")
    steps = list(_steps(inner, block_tokens, began_s))
    if isinstance(steps[0], RecordedCall):
        steps[0] = steps[0]._replace(gap_s=max(0.0, steps[0].start_s - answered_s))
    return RecordedSession(str(entry.get("agent_id")), tuple(steps))


def _call(entry: dict[str, object], block_tokens: int, at_s: float, gap_s: float) -> RecordedCall:
    input_tokens = token_count("in", number_of(entry, "in"))
    output = number_of(entry, "out")
    service_s = 0.0 if entry.get("api_time") is None else seconds("api_time", number_of(entry, "api_time"))
    return RecordedCall(
        start_s=at_s,
        answered_s=at_s + service_s,
        gap_s=gap_s,
        input_tokens=input_tokens,
        output_tokens=1 if output == 0 else token_count("out", output),  # an engine always samples a token
        runs=leading(_runs(entry, block_tokens), input_tokens),
    )


def _runs(entry: dict[str, object], block_tokens: int) -> Runs:
    ranges = entry.get("hash_ranges")
    if not isinstance(ranges, list):
        raise ValueError("hash_ranges is no list")  # noqa: TRY004 - one kind of error per line
    for pair in ranges:
        if not (isinstance(pair, list) and len(pair) == 2 and all(type(end) is int for end in pair)):
            raise ValueError("hash_ranges must be pairs of whole numbers")
        if not 0 <= pair[0] <= pair[1] <= LARGEST_ID:
            raise ValueError(f"hash_ranges must be first and last block, up to {LARGEST_ID}")
    return merged((low * block_tokens, (high - low + 1) * block_tokens) for low, high in ranges)
