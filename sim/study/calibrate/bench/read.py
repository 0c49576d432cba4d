"""Files of results: told apart by their content, each read by its own reader."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sim.errors import ScenarioError
from sim.steptime.step_rows import StepRow, is_step_table, read_step_rows
from sim.study.calibrate.bench import aiperf, inferencex, vllm
from sim.study.calibrate.bench.run import BenchRun, Read

FORMATS = (
    "JSON of vllm bench serve --save-result, InferenceX (JSON or CSV), CSV of aiperf or genai-perf, or a CSV of steps"
)


@dataclass(frozen=True, slots=True)
class Bench:
    """What was measured on one cluster.

    Attributes
    ----------
    runs : of load generators.
    steps : step times, each with the name of its row.
    left_out : (name, reason) of what no scenario stands for.
    """

    runs: tuple[BenchRun, ...]
    steps: tuple[tuple[str, StepRow], ...]
    left_out: tuple[tuple[str, str], ...]


def read_bench(paths: Sequence[Path]) -> Bench:
    """All runs and steps of some files.

    Raises
    ------
    ScenarioError : a file cannot be read, or is of no known format.
    """
    runs: list[BenchRun] = []
    steps: list[tuple[str, StepRow]] = []
    left_out: list[tuple[str, str]] = []
    for path in paths:
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise ScenarioError(f"cannot be read: {error}", file=str(path)) from None
        if is_step_table(text.lstrip().split("\n", 1)[0]):
            steps += [(f"{path.name}:{row.line}", row) for row in read_step_rows(path)]
            continue
        found, unusable = _runs(text, path)
        runs += found
        left_out += unusable
    return Bench(tuple(runs), tuple(steps), tuple(left_out))


def _runs(text: str, path: Path) -> Read:
    if inferencex.recognises(text):
        return inferencex.read(text, path.name)
    if vllm.recognises(text):
        return vllm.read(text, path.name)
    if aiperf.recognises(text):
        return aiperf.read(text, path.name, path)
    raise ScenarioError("is of no known format of results", valid=FORMATS, file=str(path))
