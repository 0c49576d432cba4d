"""The exception tree.

    SimError                     anything this package raises on purpose
    ├── ScenarioError            a scenario file, key or value is wrong
    ├── CatalogError             a name is not in the catalog, or a row may not be used silently
    ├── ModelConfigError         a Hugging Face config cannot be read, or its family is unknown
    ├── TraceError               a trace file is missing, truncated or malformed
    ├── MissingPackageError      an optional package or device that a command needs is not there
    ├── RunDirectoryError        results cannot be written or read
    └── IdentityError            an exact identity failed at the end of a run: a defect in this package

Every message is one clear sentence for the person who typed the input; the command line prints it without a traceback
and exits with code 2. A scenario that is well formed but cannot work is no exception: it is a named result
(`sim.simulation.infeasible.Infeasible`), exit code 3.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SimError(Exception):
    """Root of all errors that this package raises on purpose."""


class ScenarioError(SimError):
    """A scenario cannot be used as written.

    Parameters
    ----------
    problem : what is wrong, in words, without a final stop.
    key : dotted path of the offending key, as `deployment.engine.block_size`.
    value : the offending value, shown with `repr`; omitted when there is none.
    valid : what would be valid, in words (a range, a list of choices).
    file, line : where it stands.
    nearest : the closest valid key or choice, if one is close.
    """

    def __init__(
        self,
        problem: str,
        *,
        key: str = "",
        value: object = ...,
        valid: str = "",
        file: str = "",
        line: int | None = None,
        nearest: str = "",
    ) -> None:
        self.problem, self.key, self.value, self.valid = problem, key, value, valid
        self.file, self.line, self.nearest = file, line, nearest
        super().__init__(self._sentence())

    def _sentence(self) -> str:
        place = self.file + (f":{self.line}" if self.line is not None else "") if self.file else ""
        parts = [place, self.key, self.problem]
        text = ": ".join(part for part in parts if part)
        if self.value is not ...:
            text += f" (value {shorten(self.value)})"
        if self.valid:
            text += f"; valid: {self.valid}"
        if self.nearest:
            text += f"; did you mean {self.nearest!r}?"
        return text


class CatalogError(SimError):
    """A name is not in the catalog, or its row may not be used without saying so."""


class ModelConfigError(SimError):
    """A model configuration cannot be read, or its family is unknown."""


class TraceError(SimError):
    """A trace file is missing, truncated or malformed."""


class MissingPackageError(SimError):
    """An optional package, or a device, that a command needs is not there."""


class RunDirectoryError(SimError):
    """A run directory cannot be written or read."""


class IdentityError(SimError):
    """An exact identity did not hold at the end of a run."""


def nearest(name: str, choices: Iterable[str]) -> str:
    """The choice closest to `name`, or an empty string when none is close."""
    matches = difflib.get_close_matches(name, list(choices), n=1, cutoff=0.6)
    return matches[0] if matches else ""


def shorten(value: object, limit: int = 80) -> str:
    """`repr` of a value, cut to `limit` characters for one-line messages."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
