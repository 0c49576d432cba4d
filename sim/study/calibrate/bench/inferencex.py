"""Results of InferenceX (InferenceMAX): one object or CSV row per run, seconds, tokens per second and GPU.

Names as in its `utils/process_result.py`. Its harness sends ten requests for each caller in a closed loop, of lengths
uniform between 0.8 and 1.0 of the nominal ones.
"""

from __future__ import annotations

import csv
from io import StringIO

from sim.study.calibrate.bench.records import Record, needed, number, records
from sim.study.calibrate.bench.run import INPUT, OUTPUT, BenchRun, Read, UnusableRunError, collected, positive, uniform
from sim.units import MILLISECOND

KEYS = ("conc", "isl", "osl", "output_tput_per_gpu")
REQUESTS_PER_CALLER = 10
SHORTEST_FRAC = 0.8
METRICS = {"ttft": "ttft", "tpot": "tpot", "e2e": "e2el"}
STATED = {"hw": "hardware", "framework": "engine", "precision": "precision"}
NO = {"", "none", "off", "false", "0"}


def recognises(text: str) -> bool:
    """Whether the text is of this format, told from its keys or its header."""
    start = text.lstrip()
    if start[:1] in {"{", "["}:
        return all(f'"{key}"' in text for key in KEYS)
    return set(KEYS) <= set(start.split("\n", 1)[0].strip().split(","))


def read(text: str, file: str) -> Read:
    """The runs of a file.

    Raises
    ------
    ScenarioError : it is no JSON or CSV of runs, or a figure is missing or wrong.
    """
    if text.lstrip()[:1] in {"{", "["}:
        return collected(file, records(text, file), _run)
    return collected(file, [dict(row) for row in csv.DictReader(StringIO(text.lstrip()))], _run)


def _refusal(record: Record) -> str:
    """Why a run cannot be simulated from what it states; empty where it can."""
    for key, what in (("disagg", "disaggregated"), ("is_multinode", "of several nodes, whose layout is in other keys")):
        if str(record.get(key) or "").lower() not in NO:
            return f"the run is {what}, which is not modelled"
    if str(record.get("spec_decoding") or record.get("mtp") or "").lower() not in NO:
        return "the run used speculative decoding, and its acceptance is not stated"
    return ""


def _run(record: Record, name: str) -> BenchRun:
    refusal = _refusal(record)
    if refusal:
        raise UnusableRunError(refusal)
    callers = round(needed(record, "conc", name))
    laws = {
        which: uniform(SHORTEST_FRAC * needed(record, key, name), needed(record, key, name))
        for which, key in ((INPUT, "isl"), (OUTPUT, "osl"))
    }
    seconds = {
        f"{metric}_{column}_ms": number(record, f"{prefix}_{key}", name)
        for metric, key in METRICS.items()
        for column, prefix in (("p50", "median"), ("mean", "mean"), ("p99", "p99"))
    }
    measured = {column: value / MILLISECOND for column, value in positive(seconds).items()}
    measured["output_tput_per_gpu"] = needed(record, "output_tput_per_gpu", name)
    stated = {known: str(record[key]) for key, known in STATED.items() if record.get(key)}
    gpus = number(record, "tp", name)
    if gpus:
        stated["gpus"] = f"{gpus:g}"
    return BenchRun(
        name,
        callers,
        None,
        REQUESTS_PER_CALLER * callers,
        laws,
        measured,
        stated=stated,
        notes=("lengths and number of requests are those of the harness",),
    )
