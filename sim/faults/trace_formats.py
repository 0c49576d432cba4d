"""Lines and events of the fault trace formats, as episodes."""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from math import inf, isfinite
from pathlib import Path
from typing import Any, Final

from sim.errors import TraceError, shorten
from sim.units import DAY_H

CSV_COLUMNS: Final = ("t_start_h", "t_end_h", "node_id", "class", "domain")
EVENT_KEYS: Final = ("node_id", "event_time", "event_type", "fault_type")
START, END = "fault_start", "fault_end"


@dataclass(frozen=True, slots=True)
class Episode:
    """One stretch of time in which a node was not available.

    Attributes
    ----------
    start_h, end_h : hours since the start of the trace; `end_h` is infinite where it had not ended.
    node : the node, as the file names it.
    fault_class, domain : what failed, and the rack or row that it belongs to; empty where the file does not say.
    severity : share of the node that was lost, 0 to 1.
    """

    start_h: float
    end_h: float
    node: str
    fault_class: str
    domain: str = ""
    severity: float = 1.0


def read_episodes(path: Path) -> tuple[str, list[Episode]]:
    """Name of the format, and the episodes in the file's order.

    Raises
    ------
    TraceError : the file is missing, of no known format, or malformed; the message has the place and the content.
    """
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode("utf-8-sig")
    except (OSError, EOFError, zlib.error) as error:
        raise TraceError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    except UnicodeDecodeError:
        raise TraceError(f"{path}: is no UTF-8 text") from None
    if not text.strip():
        raise TraceError(f"{path}: the file is empty")
    if text.lstrip()[:1] == "[":
        return "infinitehbd", _from_events(path, text)
    return "csv", _from_csv(path, text)


def _from_csv(path: Path, text: str) -> list[Episode]:
    reader = csv.reader(text.splitlines())
    header = [name.strip() for name in next(reader)]
    missing = [name for name in CSV_COLUMNS if name not in header]
    if missing:
        raise TraceError(
            f"{path}: belongs to no known fault trace format: line 1 lacks {', '.join(missing)}: "
            f"{shorten(','.join(header))}; known: InfiniteHBD JSON, or a CSV with {','.join(CSV_COLUMNS)}[,severity]"
        )
    episodes = []
    for cells in reader:
        if not cells:
            continue
        if len(cells) != len(header):
            raise _malformed(path, reader.line_num, f"has {len(cells)} cells where the header has {len(header)}", cells)
        row = dict(zip(header, (cell.strip() for cell in cells), strict=True))
        try:
            episodes.append(_checked(_csv_episode(row)))
        except ValueError as error:
            raise _malformed(path, reader.line_num, str(error), cells) from None
    return episodes


def _csv_episode(row: dict[str, str]) -> Episode:
    return Episode(
        _number(row["t_start_h"], "t_start_h"),
        _number(row["t_end_h"], "t_end_h") if row["t_end_h"] else inf,
        row["node_id"],
        row["class"],
        row["domain"],
        _number(row["severity"], "severity") if row.get("severity") else 1.0,
    )


def _from_events(path: Path, text: str) -> list[Episode]:
    try:
        events: list[Any] = json.loads(text)
    except json.JSONDecodeError as error:
        raise TraceError(f"{path}: line {error.lineno} is no JSON: {error.msg}") from None
    running: dict[tuple[str, str], deque[int]] = {}
    episodes: list[Episode] = []
    for index, event in enumerate(events):
        lacks = [key for key in EVENT_KEYS if not isinstance(event, dict) or key not in event]
        if lacks:
            raise _malformed(path, index, f"lacks {', '.join(lacks)}", event, "event")
        try:
            _take(event, running, episodes)
        except ValueError as error:
            raise _malformed(path, index, str(error), event, "event") from None
    return episodes


def _take(event: dict[str, Any], running: dict[tuple[str, str], deque[int]], episodes: list[Episode]) -> None:
    """Open or close an episode; an end closes the oldest open one of its node and fault type."""
    at_h = _number(event["event_time"], "event_time") * DAY_H
    node, kind = str(event["node_id"]), event["fault_type"]
    name = str(kind.get("Class", "")) if isinstance(kind, dict) else str(kind)
    key = (node, json.dumps(kind, sort_keys=True))
    if event["event_type"] == START:
        running.setdefault(key, deque()).append(len(episodes))
        episodes.append(_checked(Episode(at_h, inf, node, name)))
    elif event["event_type"] == END:
        if not running.get(key):
            raise ValueError("ends a fault that has not started on that node")
        place = running[key].popleft()
        episodes[place] = _checked(Episode(episodes[place].start_h, at_h, node, name))
    else:
        raise ValueError(f"has event_type {event['event_type']!r}, valid: {START}, {END}")


def _checked(episode: Episode) -> Episode:
    if not (isfinite(episode.start_h) and episode.start_h >= 0.0):
        raise ValueError("starts before zero")
    if not episode.end_h >= episode.start_h:
        raise ValueError("ends before it starts")
    if not episode.node:
        raise ValueError("names no node")
    if not 0.0 < episode.severity <= 1.0:
        raise ValueError(f"has severity {episode.severity:g}, valid: above 0, at most 1")
    return episode


def _number(value: object, name: str) -> float:
    try:
        return float(value)  # type: ignore[arg-type]  # whatever it is, what cannot be a number is refused
    except (TypeError, ValueError):
        raise ValueError(f"has {name} {shorten(value)}, which is no number") from None


def _malformed(path: Path, place: int, reason: str, content: object, noun: str = "line") -> TraceError:
    shown = ",".join(content) if isinstance(content, list) and _texts(content) else content
    return TraceError(f"{path}: {noun} {place} is malformed: {reason}: {shorten(shown, 160)}")


def _texts(items: Iterable[object]) -> bool:
    return all(isinstance(item, str) for item in items)
