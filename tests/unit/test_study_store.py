"""Run directories: whole or absent, equal after reading, never over something else."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sim.errors import RunDirectoryError
from sim.study import manifest
from sim.study.manifest import run_hash
from sim.study.result import Result
from sim.study.store import RunDirectory, read_result
from tests.study_cases import VARIED, simulated, tiny


@pytest.fixture(scope="module")
def result() -> Result:
    """A run with request rows."""
    return simulated(VARIED)


def directory(path: Path, found: Result, *, overwrite: bool = False) -> RunDirectory:
    return RunDirectory.prepare(path, found.scenario, overwrite=overwrite)


def content(path: Path) -> dict[str, bytes]:
    return {item.name: item.read_bytes() for item in path.iterdir()}


def same_values(left: Mapping[str, Any], right: Mapping[str, Any]) -> bool:
    return left.keys() == right.keys() and all(
        np.array_equal(np.asarray(left[name], float), np.asarray(right[name], float), equal_nan=True) for name in left
    )


def test_what_is_read_is_what_was_written(result: Result, tmp_path: Path) -> None:
    """Every field survives: figures, counts, warnings, ledger, histograms to the last bit, timeline, request rows."""
    path = directory(tmp_path / "run", result).write(result)
    back = read_result(path, result.scenario)
    for name in ("scenario", "status", "infeasible", "metrics", "counts", "warnings", "assumed_inputs", "ledger"):
        assert getattr(back, name) == getattr(result, name), name
    assert back.manifest == result.manifest
    assert back.timeline == list(result.timeline)
    assert same_values(back.replications, result.replications)
    assert result.requests is not None
    assert back.requests is not None
    assert same_values(back.requests, result.requests)
    assert back.histograms.keys() == result.histograms.keys()
    for name, histogram in result.histograms.items():
        assert np.array_equal(back.histograms[name].counts, histogram.counts)
        assert back.histograms[name].tail()[1].tolist() == histogram.tail()[1].tolist()
        for field in ("zeros", "below", "above", "sum", "minimum", "maximum"):
            assert getattr(back.histograms[name], field) == getattr(histogram, field), (name, field)


def test_an_infeasible_result_survives_too(tmp_path: Path) -> None:
    """The named reason is the result, and it reads back with its numbers."""
    found = simulated({"deployment.layout.tensor_parallel_size": 1})
    assert found.status == "infeasible"
    back = read_result(directory(tmp_path / "run", found).write(found), found.scenario)
    assert back.infeasible == found.infeasible
    assert back.metrics == ()
    assert list(back.timeline) == []
    assert back.requests is None


def test_figures_that_do_not_exist_are_null_in_json(tmp_path: Path) -> None:
    """JSON has no NaN: a rate without a denominator is null in the manifest and NaN again when read."""
    found = simulated({"workload.arrivals.rate_rps": 0.001})
    assert math.isnan(found.replications["slo_attainment_frac"][0])
    path = directory(tmp_path / "run", found).write(found)

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    stored = json.loads((path / "manifest.json").read_text(encoding="utf-8"), parse_constant=refuse)
    assert stored["result"]["replications"]["slo_attainment_frac"] == [None, None]
    assert same_values(read_result(path, found.scenario).replications, found.replications)


def test_only_the_same_scenario_is_a_hit(result: Result, tmp_path: Path) -> None:
    """The stored result stands in for its own scenario and for no other; another one is not overwritten unasked."""
    path = tmp_path / "run"
    directory(path, result).write(result)
    assert directory(path, result).cached(result.scenario) is not None
    other = result.scenario.with_({"run.seed": 2})
    with pytest.raises(RunDirectoryError, match=r"another run.*--overwrite"):
        RunDirectory.prepare(path, other)
    replacing = RunDirectory.prepare(path, other, overwrite=True)
    assert replacing.cached(other) is None
    assert RunDirectory.prepare(path, result.scenario, overwrite=True).cached(result.scenario) is None


def test_overwrite_replaces_everything(result: Result, tmp_path: Path) -> None:
    """Nothing of the old run stays: a run without request rows leaves no rows of the one before."""
    path = tmp_path / "run"
    directory(path, result).write(result, "<html>old</html>")
    found = simulated({"run.seed": 3})
    directory(path, found, overwrite=True).write(found)
    assert sorted(content(path)) == [
        "figures.parquet",
        "histograms.npz",
        "manifest.json",
        "summary.parquet",
        "timeline.parquet",
    ]
    assert read_result(path, found.scenario).manifest["seed"] == 3


def test_a_cached_result_is_not_written_again(result: Result, tmp_path: Path) -> None:
    """Reading a stored run renews its page at most: its data, and what the user laid beside them, stay."""
    path = tmp_path / "run"
    directory(path, result).write(result, "<html>old</html>")
    (path / "notes.txt").write_text("mine", encoding="utf-8")
    before = content(path)
    again = directory(path, result)
    cached = again.cached(result.scenario)
    assert cached is not None
    again.write(cached)
    assert content(path) == before
    again.write(cached, "<html>new</html>")
    assert content(path) == before | {"report.html": b"<html>new</html>"}


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_foreign_folder_is_left_alone(result: Result, tmp_path: Path, overwrite: bool) -> None:
    """A folder that holds anything but a run is refused, and the advice is not the one that would not help."""
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(RunDirectoryError, match="no run directory") as caught:
        directory(tmp_path, result, overwrite=overwrite)
    assert "--overwrite" not in str(caught.value)
    assert content(tmp_path) == {"thesis.txt": b"mine"}


def test_an_empty_folder_may_be_filled(result: Result, tmp_path: Path) -> None:
    """A folder made beforehand is as good as none."""
    (tmp_path / "run").mkdir()
    assert (directory(tmp_path / "run", result).write(result) / "manifest.json").is_file()


def test_a_file_in_the_way_is_refused(result: Result, tmp_path: Path) -> None:
    """Neither the run directory nor a folder above it may be a file."""
    (tmp_path / "run").write_text("mine", encoding="utf-8")
    for path in (tmp_path / "run", tmp_path / "run" / "deeper"):
        with pytest.raises(RunDirectoryError, match=r"is a file|not writable"):
            directory(path, result, overwrite=True)


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt(), MemoryError()])
def test_a_run_that_is_killed_while_writing_leaves_nothing(
    result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    """A full disk or an interrupt half-way leaves no folder, hidden or not; what was there before is still whole."""
    found = simulated({"run.seed": 3})
    old = directory(tmp_path / "old", found).write(found)
    before = content(old)

    def fail(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr(np, "savez_compressed", fail)
    expected = RunDirectoryError if isinstance(failure, OSError) else type(failure)
    for path in (tmp_path / "new", old):
        with pytest.raises(expected):
            directory(path, result, overwrite=True).write(result)
    assert [item.name for item in tmp_path.iterdir()] == ["old"]
    assert content(old) == before


def test_a_rename_that_fails_puts_the_old_run_back(
    result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old run is gone only once the new one is in its place."""
    old = directory(tmp_path / "run", result).write(result)
    before = content(old)
    rename = Path.rename

    def fail_for_new(self: Path, target: Path) -> Path:
        if self.name == "run" and self.parent != tmp_path:
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_for_new)
    with pytest.raises(RunDirectoryError, match="Input/output error"):
        directory(old, result, overwrite=True).write(result)
    assert content(old) == before


def test_a_link_to_a_run_is_followed(result: Result, tmp_path: Path) -> None:
    """The run behind a symbolic link is replaced, and the link stays."""
    real = directory(tmp_path / "real", result).write(result)
    link = tmp_path / "latest"
    link.symlink_to(real)
    directory(link, result, overwrite=True).write(result)
    assert link.is_symlink()
    assert (real / "manifest.json").is_file()


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("manifest.json", b""),
        ("manifest.json", b"[]"),
        ("manifest.json", b'{"hash": 1'),
        ("manifest.json", b"\xff\xfe"),
        ("histograms.npz", b""),
        ("histograms.npz", b"PK\x03\x04 no archive"),
        ("timeline.parquet", b"PAR1"),
        ("timeline.parquet", None),
        ("histograms.npz", None),
    ],
)
def test_a_damaged_run_is_named_in_one_sentence(
    result: Result, tmp_path: Path, file: str, damage: bytes | None
) -> None:
    """Truncated, foreign or missing files are an error that names the folder, not a traceback; overwriting cures it."""
    path = directory(tmp_path / "run", result).write(result)
    if damage is None:
        (path / file).unlink()
    else:
        (path / file).write_bytes(damage)
    with pytest.raises(RunDirectoryError) as caught:
        directory(path, result)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    directory(path, result, overwrite=True).write(result)
    assert directory(path, result).cached(result.scenario) is not None


def test_a_damaged_result_in_a_good_manifest_is_named_too(result: Result, tmp_path: Path) -> None:
    """A manifest of another shape under the right hash is no complete run."""
    path = directory(tmp_path / "run", result).write(result)
    good = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
    shapes: list[dict[str, Any]] = [{}, {"result": []}, {"result": good["result"] | {"metrics": [{"value": 1}]}}]
    for broken in shapes:
        bad = {key: value for key, value in good.items() if key != "result"} | broken
        (path / "manifest.json").write_text(json.dumps(bad), encoding="utf-8")
        with pytest.raises(RunDirectoryError, match="no complete run directory"):
            read_result(path, result.scenario)


def test_the_summary_is_tidy(result: Result, tmp_path: Path) -> None:
    """One row per replication and rate, with its unit, equal to the values of the result."""
    frame = pd.read_parquet(directory(tmp_path / "run", result).write(result) / "summary.parquet")
    row = frame[(frame["metric"] == "request_throughput_rps") & (frame["replication"] == 1)].iloc[0]
    assert row["unit"] == "requests/s"
    assert row["value"] == result.replications["request_throughput_rps"][1]


def test_the_default_folder_tells_scenarios_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --out the folder is named after scenario and hash, so that another seed lies elsewhere."""
    monkeypatch.chdir(tmp_path)
    paths = {RunDirectory.prepare(None, tiny({"run.seed": seed})).path for seed in (1, 2)}
    assert len(paths) == 2
    assert all(path.parent == Path("runs") and path.name.startswith("scenario-") for path in paths)
    assert list(tmp_path.iterdir()) == []


def test_another_catalog_is_another_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """An edited price or coefficient is no cache hit, and the hash is the same for the same catalog."""
    scenario = tiny()
    assert run_hash(scenario) == run_hash(tiny())
    assert run_hash(scenario) != run_hash(tiny({"run.seed": 2}))
    before = run_hash(scenario)
    monkeypatch.setattr(manifest, "catalog_digest", lambda: "edited")
    assert run_hash(scenario) != before


def test_metrics_are_plain_data(result: Result) -> None:
    """Every figure can be printed as JSON, without NaN."""
    text = json.dumps([asdict(metric) for metric in result.metrics], allow_nan=False)
    assert json.loads(text)[0]["metric"] == "ttft_mean_s"
