"""A YAML file as plain data, with the line of every key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from sim.errors import ScenarioError

MAX_BYTES = 10_000_000


@dataclass(frozen=True, slots=True)
class Document:
    """One scenario file.

    Attributes
    ----------
    path : where it was read.
    values : top-level mapping, plain Python values.
    lines : dotted key to the file and line (from 1) where it stands: inherited keys stand in another file.
    """

    path: Path
    values: dict[str, Any]
    lines: Mapping[str, tuple[str, int]]


def read_document(path: Path) -> Document:
    """Read a scenario file.

    Raises
    ------
    ScenarioError : missing, not readable, not text, no YAML, or no mapping of keys at its top.
    """
    file = str(path)
    try:
        if path.is_file() and path.stat().st_size > MAX_BYTES:
            raise ScenarioError(f"is larger than {MAX_BYTES:,} bytes, which is no scenario", file=file)
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ScenarioError("is no text file in UTF-8", file=file) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ScenarioError(f"cannot be read: {reason}", file=file) from None
    try:
        values = _yaml().load(text)
        lines = {key: (file, line) for key, line in _lines(_yaml().compose(text), "", {})}
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark is not None else None
        raise ScenarioError(f"is no valid YAML: {error.problem or error.context}", file=file, line=line) from None
    except (YAMLError, ValueError, RecursionError) as error:
        raise ScenarioError(f"is no valid YAML: {str(error).splitlines()[0]}", file=file) from None
    if values is None:
        raise ScenarioError("is empty", file=file, valid="a mapping with at least `model` and `workload`")
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise ScenarioError("must hold a mapping of keys", file=file, valid="`model:`, `workload:`, ...")
    return Document(path, values, lines)


def parse_value(text: str) -> object:
    """A value typed on the command line, read as YAML.

    Raises
    ------
    ScenarioError : no valid YAML.
    """
    try:
        return _yaml().load(text)
    except (YAMLError, ValueError) as error:
        raise ScenarioError(f"is no valid YAML value: {str(error).splitlines()[0]}", value=text) from None


def _yaml() -> YAML:
    return YAML(typ="safe", pure=True)


def _lines(node: Node | None, prefix: str, finished: dict[int, bool]) -> Iterator[tuple[str, int]]:
    """Dotted keys with their lines; what an alias repeats counts where it first stands.

    Raises
    ------
    ValueError : something holds itself.
    """
    if id(node) in finished:
        if not finished[id(node)]:
            raise ValueError(f"{prefix} holds itself")
        return
    finished[id(node)] = False
    if isinstance(node, MappingNode):
        for key, value in node.value:
            if isinstance(key, ScalarNode):
                dotted = f"{prefix}.{key.value}" if prefix else str(key.value)
                yield dotted, key.start_mark.line + 1
                yield from _lines(value, dotted, finished)
    elif isinstance(node, SequenceNode):
        for index, value in enumerate(node.value):
            dotted = f"{prefix}.{index}"
            yield dotted, value.start_mark.line + 1
            yield from _lines(value, dotted, finished)
    finished[id(node)] = True
