"""Run directories: written under a temporary name and renamed, so that a killed run leaves nothing half-made.

manifest.json       resolved scenario, hash, versions, seed, counts, figures, warnings, assumed inputs
summary.parquet     tidy: option, replication, metric, unit, value
figures.parquet     every figure with its sampling interval (low, high) and model interval (model_low, model_high)
histograms.npz      pooled latency histograms
timeline.parquet    samples of the cluster's state
requests.parquet    one row per completed request, where asked for
report.html         the page for people, where asked for
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, nan
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from sim.errors import RunDirectoryError
from sim.measure.histogram import LogHistogram
from sim.scenario.scenario import Scenario
from sim.simulation.infeasible import Infeasible
from sim.study.assumed import AssumedInput
from sim.study.files import write_text
from sim.study.manifest import run_hash
from sim.study.metric import Metric
from sim.study.result import CostLine, Result

MANIFEST = "manifest.json"
REPORT = "report.html"
DEFAULT_ROOT = Path("runs")
_HISTOGRAM_FIELDS = ("zeros", "below", "above", "sum", "minimum", "maximum")


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """Where one result lies.

    Attributes
    ----------
    path : the folder.
    overwrite : replace what is there.
    """

    path: Path
    overwrite: bool

    @classmethod
    def prepare(cls, path: Path | None, scenario: Scenario, *, overwrite: bool = False) -> RunDirectory:
        """Choose the folder and make sure, before any work is done, that it can be written.

        Raises
        ------
        RunDirectoryError : it cannot be written, or holds something else and may not be replaced.
        """
        target = path if path is not None else DEFAULT_ROOT / f"{scenario.name}-{run_hash(scenario)[:8]}"
        directory = cls(target, overwrite)
        directory._check_writable()
        if target.exists() and not _replaceable(target):
            raise RunDirectoryError(f"{target} exists and is no run directory; it is left alone, choose another --out")
        if (target / MANIFEST).exists() and not overwrite and directory.cached(scenario) is None:
            raise RunDirectoryError(f"{target} exists and holds another run; choose another --out or add --overwrite")
        return directory

    def cached(self, scenario: Scenario) -> Result | None:
        """The result that lies here, if it is that of the same scenario by the same version."""
        if self.overwrite or not (self.path / MANIFEST).is_file():
            return None
        manifest = _read_manifest(self.path)
        if manifest.get("hash") != run_hash(scenario):
            return None
        return read_result(self.path, scenario)

    def write(self, result: Result, html: str | None = None) -> Path:
        """Write everything, then rename; of a result that was read from here, only the page is written anew.

        Raises
        ------
        RunDirectoryError : it cannot be written.
        """
        if not self.overwrite and self._holds(result):
            if html is not None:
                write_text(self.path / REPORT, html)
            return self.path
        target = self.path.resolve()
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder:
                inside = Path(folder) / "run"
                inside.mkdir()
                _write_files(inside, result, html)
                _swap(inside, target)
        except OSError as error:
            raise RunDirectoryError(f"{self.path}: cannot be written: {error.strerror or error}") from None
        return self.path

    def _holds(self, result: Result) -> bool:
        """Whether this very result lies here."""
        if not (self.path / MANIFEST).is_file():
            return False
        manifest = _read_manifest(self.path)
        manifest.pop("result", None)
        return manifest == dict(result.manifest)

    def _check_writable(self) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise RunDirectoryError(f"{self.path} is a file; a run directory is needed")
        parent = self.path.parent
        while not parent.exists():
            parent = parent.parent
        if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
            raise RunDirectoryError(f"{self.path}: {parent} is not writable")


def read_result(path: Path, scenario: Scenario) -> Result:
    """A result from its run directory.

    Raises
    ------
    RunDirectoryError : a file is missing or cannot be read.
    """
    manifest = _read_manifest(path)
    try:
        stored = manifest.pop("result")
        infeasible = stored["infeasible"]
        return Result(
            scenario=scenario,
            status=stored["status"],
            infeasible=None if infeasible is None else Infeasible(**infeasible),
            metrics=tuple(Metric(**item) for item in stored["metrics"]),
            counts=stored["counts"],
            warnings=tuple(stored["warnings"]),
            assumed_inputs=tuple(AssumedInput(**item) for item in stored["assumed_inputs"]),
            ledger=tuple(CostLine(**item) for item in stored["ledger"]),
            replications={name: _from_json(values) for name, values in stored["replications"].items()},
            histograms=_read_histograms(path / "histograms.npz"),
            timeline=_read_rows(path / "timeline.parquet"),
            requests=_read_columns(path / "requests.parquet"),
            manifest=manifest,
        )
    except (LookupError, TypeError, ValueError, AttributeError, OSError, EOFError, BadZipFile, zlib.error) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise RunDirectoryError(f"{path}: is no complete run directory: {reason}") from None


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunDirectoryError(f"{path / MANIFEST}: cannot be read: {error}") from None
    if not isinstance(manifest, dict):
        raise RunDirectoryError(f"{path / MANIFEST}: is no manifest")
    return manifest


def _write_files(folder: Path, result: Result, html: str | None) -> None:
    import pandas as pd

    stored = {
        "status": result.status,
        "infeasible": None if result.infeasible is None else result.infeasible.as_dict(),
        "metrics": [metric.as_dict() for metric in result.metrics],
        "counts": dict(result.counts),
        "warnings": list(result.warnings),
        "assumed_inputs": [item.as_dict() for item in result.assumed_inputs],
        "ledger": [
            {"option": line.option, "line": line.line, "usd_per_year": line.usd_per_year, "status": line.status}
            for line in result.ledger
        ],
        "replications": {name: _to_json(values) for name, values in result.replications.items()},
    }
    manifest = {**result.manifest, "result": stored}
    (folder / MANIFEST).write_text(
        json.dumps(manifest, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8"
    )
    _summary_frame(result).to_parquet(folder / "summary.parquet", index=False)
    result.frame().to_parquet(folder / "figures.parquet", index=False)
    np.savez_compressed(folder / "histograms.npz", **_histogram_arrays(result))
    result.timeline_frame().to_parquet(folder / "timeline.parquet", index=False)
    if result.requests is not None:
        pd.DataFrame(dict(result.requests)).to_parquet(folder / "requests.parquet", index=False)
    if html is not None:
        (folder / REPORT).write_text(html, encoding="utf-8")


def _to_json(values: Sequence[float]) -> list[float | None]:
    """Values with null for those that do not exist; JSON knows no NaN."""
    return [value if isfinite(value) else None for value in values]


def _from_json(values: Sequence[float | None]) -> list[float]:
    return [nan if value is None else value for value in values]


def _summary_frame(result: Result) -> Any:
    import pandas as pd

    units = {metric.metric: metric.unit for metric in result.metrics}
    rows = []
    for name, values in result.replications.items():
        option, _, metric = name.rpartition("/")  # only figures of one tenant name whose they are
        unit = units.get(metric, "")
        rows += [(option or result.scenario.name, number, metric, unit, value) for number, value in enumerate(values)]
    return pd.DataFrame(rows, columns=["option", "replication", "metric", "unit", "value"])


def _histogram_arrays(result: Result) -> dict[str, Any]:
    arrays: dict[str, Any] = {}
    for name, histogram in result.histograms.items():
        arrays[name] = histogram.counts
        arrays[f"{name}.rest"] = np.array([float(getattr(histogram, field)) for field in _HISTOGRAM_FIELDS])
    return arrays


def _read_histograms(path: Path) -> dict[str, LogHistogram]:
    histograms = {}
    with path.open("rb") as stream, np.load(stream) as arrays:  # a broken archive must not stay open
        for name in arrays.files:
            if name.endswith(".rest"):
                continue
            histogram = LogHistogram()
            histogram.counts = arrays[name]
            zeros, below, above, total, minimum, maximum = arrays[f"{name}.rest"].tolist()
            histogram.zeros, histogram.below, histogram.above = int(zeros), int(below), int(above)
            histogram.sum, histogram.minimum, histogram.maximum = total, minimum, maximum
            histograms[name] = histogram
    return histograms


def _read_rows(path: Path) -> list[tuple[float, ...]]:
    import pandas as pd

    return list(pd.read_parquet(path).itertuples(index=False, name=None))


def _read_columns(path: Path) -> dict[str, list[float]] | None:
    import pandas as pd

    if not path.exists():
        return None
    return {str(name): column.tolist() for name, column in pd.read_parquet(path).items()}


def _replaceable(path: Path) -> bool:
    """Whether a folder is a run directory, or empty: nothing else is ever deleted."""
    try:
        return (path / MANIFEST).is_file() or not any(path.iterdir())
    except OSError:
        return False


def _swap(inside: Path, target: Path) -> None:
    """Put a finished folder in place of what is there."""
    if target.exists():
        old = inside.with_name("old")
        target.rename(old)
        try:
            inside.rename(target)
        except OSError:
            old.rename(target)
            raise
        shutil.rmtree(old)
    else:
        inside.rename(target)
    target.chmod(0o755)
