"""Reading a scenario: YAML 1.2, `base:` inheritance, overrides, and errors that name file, line and key."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from sim.errors import ScenarioError
from sim.scenario.document import Document, read_document
from sim.scenario.merge import merged, replaced
from sim.scenario.problems import Lines, first_problem
from sim.scenario.scenario import Scenario

MAX_DEPTH = 8

AnyScenario = TypeVar("AnyScenario", bound=Scenario)


def load(path: str | Path, overrides: Mapping[str, Any] | None = None) -> Scenario:
    """A scenario from its file.

    Parameters
    ----------
    path : YAML file. A `base:` key names another file, relative to this one, whose values hold unless given here.
    overrides : dotted key to value, applied last.

    Raises
    ------
    ScenarioError : the file cannot be read, is no YAML, or holds an unknown key or a value that is not valid.
    """
    document = _with_bases(read_document(Path(path)), ())
    raw = document.values
    for key, value in (overrides or {}).items():
        raw = replaced(raw, key, value, str(path))
    try:
        return validated(Scenario, raw, str(path), document.lines)
    except ScenarioError as error:
        raise _blamed(error, overrides or {}) from None


def _blamed(error: ScenarioError, overrides: Mapping[str, Any]) -> ScenarioError:
    """The error, blamed on the override that gave the value rather than on a line of the file."""
    own = [key for key in overrides if error.key == key or error.key.startswith(f"{key}.") or key.startswith(error.key)]
    if not own or not error.key:
        return error
    return ScenarioError(
        f"{error.problem} (given as an override)",
        key=error.key,
        value=error.value,
        valid=error.valid,
        file=error.file,
        nearest=error.nearest,
    )


def parse(values: Mapping[str, Any], file: str = "") -> Scenario:
    """A scenario from plain data, as a script would build it.

    Raises
    ------
    ScenarioError : an unknown key or a value that is not valid.
    """
    return validated(Scenario, deepcopy(dict(values)), file, {})


def changed(scenario: AnyScenario, changes: Mapping[str, Any]) -> AnyScenario:
    """The body of `Scenario.with_`."""
    raw = scenario._raw  # noqa: SLF001 - the raw values belong to the loader
    for key, value in changes.items():
        raw = replaced(raw, key, value, scenario.file)
    return validated(type(scenario), raw, scenario.file, {})


def validated(kind: type[AnyScenario], raw: dict[str, Any], file: str, lines: Lines) -> AnyScenario:
    """Validate plain data; the first problem becomes one `ScenarioError`."""
    try:
        scenario = kind.model_validate(raw)
    except ValidationError as error:
        raise first_problem(error, kind, raw, file, lines) from None
    scenario._file = file  # noqa: SLF001 - set once, before anybody else sees it
    scenario._raw = raw  # noqa: SLF001
    return scenario


def _with_bases(document: Document, chain: tuple[Path, ...]) -> Document:
    """The document with the values of its `base:` files underneath, and without keys that hold nothing."""
    if "base" not in document.values:
        return Document(document.path, merged({}, document.values), document.lines)
    base = document.values["base"]
    _, line = document.lines["base"]
    if not isinstance(base, str) or not base:
        raise ScenarioError(
            "must name a scenario file", key="base", value=base, valid="a path", file=str(document.path), line=line
        )
    chain = (*chain, document.path.resolve())
    path = document.path.parent / base
    if path.resolve() in chain or len(chain) > MAX_DEPTH:
        raise ScenarioError("inherits from itself", key="base", value=base, file=str(document.path), line=line)
    if not path.is_file():
        raise ScenarioError("there is no such file", key="base", value=base, file=str(document.path), line=line)
    under = _with_bases(read_document(path), chain)
    own = {key: value for key, value in document.values.items() if key != "base"}
    return Document(document.path, merged(under.values, own), {**under.lines, **document.lines})
