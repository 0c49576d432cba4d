"""Real traces: the statistics that describe them, to the digits in which they were published."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from sim.report.trace_text import describe_text
from sim.streams import Streams
from sim.workload.trace.blocks import HashBlocks
from sim.workload.trace.describe import describe
from sim.workload.trace.prefix import prefix_hit_frac
from sim.workload.trace.reader import read_trace
from sim.workload.trace.scale import dequantise
from sim.workload.trace.summary import TraceSummary
from sim.workload.trace.trace import Trace
from sim.workload.workload import Workload

pytestmark = pytest.mark.traces

CODE = "traces/azure_llm_2023_code.csv.gz"
CONV = "traces/azure_llm_2023_conv.csv.gz"
MOONCAKE = "traces/mooncake_fast25_conversation.jsonl.gz"
SYNTHETIC = "traces/mooncake_fast25_synthetic.jsonl.gz"


@cache
def trace_at(path: Path) -> Trace:
    return read_trace(path)


@cache
def summary_at(path: Path) -> TraceSummary:
    return describe(trace_at(path))


# figure: (value as printed in the table of trace statistics, digits after the point)
PRINTED = {
    CODE: {
        "requests": ("8819", 0),
        "rate_rps": ("2.57", 2),
        "gaps.cv": ("13.15", 2),
        "gaps.median_window_cv": ("9.90", 2),
        "gaps.gamma.shape": ("0.231", 3),
        "gaps.gamma.cv": ("2.08", 2),
        "gaps.weibull.shape": ("0.419", 3),
        "gaps.weibull.cv": ("2.91", 2),
        "gaps.exponential_ks": (".52", 2),
        "gaps.gamma.ks": (".22", 2),
        "gaps.weibull.ks": (".14", 2),
        "counts.idc_1s": ("13", 0),
        "counts.idc_10s": ("72", 0),
        "counts.idc_60s": ("164", 0),
        "counts.peak_minute_ratio": ("4.2", 1),
        "input.mean": ("2047.85", 2),
        "input.p50": ("1469", 0),
        "input.p90": ("5188", 0),
        "input.p95": ("7303", 0),
        "input.p99": ("7436", 0),
        "input.max": ("7437", 0),
        "output.mean": ("27.88", 2),
        "output.p50": ("13", 0),
        "output.p95": ("90", 0),
        "output.p99": ("251", 0),
        "output.max": ("1899", 0),
        "input_per_output": ("73", 0),
        "spearman": ("-0.02", 2),
        "input.log_mean": ("7.00", 2),
        "input.log_sigma": ("1.36", 2),
        "output.log_mean": ("2.79", 2),
        "output.log_sigma": ("0.85", 2),
    },
    CONV: {
        "requests": ("19366", 0),
        "rate_rps": ("5.53", 2),
        "gaps.cv": ("1.094", 3),
        "gaps.median_window_cv": ("1.04", 2),
        "gaps.gamma.shape": ("0.871", 3),
        "gaps.gamma.cv": ("1.07", 2),
        "gaps.weibull.shape": ("0.922", 3),
        "gaps.weibull.cv": ("1.09", 2),
        "gaps.exponential_ks": (".022", 3),
        "gaps.gamma.ks": (".017", 3),
        "gaps.weibull.ks": (".017", 3),
        "counts.idc_1s": ("1.4", 1),
        "counts.idc_10s": ("3.9", 1),
        "counts.idc_60s": ("16", 0),
        "counts.peak_minute_ratio": ("1.5", 1),
        "input.mean": ("1154.70", 2),
        "input.p50": ("1020", 0),
        "input.p90": ("2735", 0),
        "input.p95": ("4083", 0),
        "input.p99": ("4142", 0),
        "input.max": ("14050", 0),
        "output.mean": ("211.13", 2),
        "output.p50": ("129", 0),
        "output.p95": ("451", 0),
        "output.p99": ("601", 0),
        "output.max": ("1000", 0),
        "input_per_output": ("5.5", 1),
        "spearman": ("0.07", 2),
        "input.log_mean": ("6.63", 2),
        "input.log_sigma": ("0.99", 2),
        "output.log_mean": ("5.02", 2),
        "output.log_sigma": ("0.86", 2),
    },
    MOONCAKE: {
        "requests": ("12031", 0),
        "rate_rps": ("3.40", 2),
        "gaps.cv": ("3.03", 2),
        "clock_tick_s": ("3", 0),
        "counts.idc_60s": ("2.9", 1),
        "spread.counts.idc_60s": ("2.9", 1),
        "counts.peak_minute_ratio": ("1.2", 1),
        "input.mean": ("12035.06", 2),
        "input.p50": ("6909", 0),
        "input.p90": ("27367", 0),
        "input.p95": ("39551", 0),
        "input.p99": ("85400", 0),
        "input.max": ("126195", 0),
        "output.mean": ("343", 0),
        "output.p50": ("350", 0),
        "output.p95": ("698", 0),
        "output.p99": ("1119", 0),
        "output.max": ("2000", 0),
        "input_per_output": ("35", 0),
        "spearman": ("0.07", 2),
        "input.log_mean": ("8.74", 2),
        "input.log_sigma": ("1.20", 2),
        "input.log_ks": (".07", 2),
        "prefix_hit_frac": ("0.3736", 4),
        "prefix_hit_last_half_frac": ("0.398", 3),
    },
    SYNTHETIC: {
        "requests": ("3993", 0),
        "rate_rps": ("3.91", 2),
        "gaps.cv": ("1.01", 2),
        "gaps.median_window_cv": ("1.01", 2),
        "gaps.gamma.shape": ("1.02", 2),
        "gaps.gamma.cv": ("1.0", 1),
        "gaps.weibull.shape": ("1.00", 2),
        "gaps.weibull.cv": ("1.0", 1),
        "gaps.exponential_ks": (".011", 3),
        "gaps.gamma.ks": (".012", 3),
        "gaps.weibull.ks": (".011", 3),
        "counts.idc_1s": ("1.1", 1),
        "counts.idc_10s": ("1.2", 1),
        "counts.idc_60s": ("1.2", 1),
        "counts.peak_minute_ratio": ("1.2", 1),
        "input.mean": ("15325", 0),
        "input.p50": ("11587", 0),
        "input.p90": ("38611", 0),
        "input.p95": ("48905", 0),
        "input.p99": ("66456", 0),
        "input.max": ("191378", 0),
        "output.mean": ("149", 0),
        "output.p50": ("69", 0),
        "output.p95": ("519", 0),
        "output.p99": ("768", 0),
        "output.max": ("893", 0),
        "input_per_output": ("103", 0),
        "spearman": ("-0.52", 2),
        "output.log_mean": ("3.92", 2),
        "output.log_sigma": ("1.77", 2),
        "prefix_hit_frac": ("0.6512", 4),
    },
}


@pytest.mark.parametrize("name", PRINTED, ids=lambda name: Path(name).name.split(".")[0])
def test_statistics_agree_to_their_printed_digits(name, shared):
    """Every published statistic of a trace comes out within half a unit of its last printed digit."""
    figures = summary_at(shared(name)).figures()
    wrong = {
        figure: (printed, figures[figure])
        for figure, (printed, digits) in PRINTED[name].items()
        if abs(figures[figure] - float(printed)) > 0.5 * 10**-digits + 1e-9
    }
    assert wrong == {}


def test_mooncake_is_poisson_after_its_ticks_are_spread(shared):
    """Spread over 3 s, the conversation trace has gap CV 1.01, IDC 1.05, 1.5 and 2.9 and Gamma shape 1.01.

    The published figures are one random spreading; over spreadings they scatter by 0.01 to 0.05.
    """
    trace = trace_at(shared(MOONCAKE))
    runs = [describe(dequantise(trace, Streams(seed))).figures() for seed in range(8)]
    published = {
        "gaps.cv": (1.01, 0.02),
        "gaps.median_window_cv": (1.00, 0.02),
        "gaps.gamma.shape": (1.01, 0.03),
        "gaps.gamma.cv": (1.0, 0.02),
        "gaps.weibull.shape": (1.00, 0.02),
        "gaps.exponential_ks": (0.007, 0.003),
        "counts.idc_1s": (1.05, 0.03),
        "counts.idc_10s": (1.5, 0.06),
        "counts.idc_60s": (2.9, 0.05),
    }
    for figure, (value, tolerance) in published.items():
        assert np.mean([run[figure] for run in runs]) == pytest.approx(value, abs=tolerance), figure
    assert describe(trace).spread.gaps.cv == pytest.approx(1.01, abs=0.02)


@pytest.mark.parametrize(
    ("capacity_blocks", "hit_frac"), [(1000, 0.045), (3000, 0.067), (10_000, 0.2157), (30_000, 0.3322)]
)
def test_lru_cache_of_the_conversation_trace(capacity_blocks, hit_frac, shared):
    """A bounded cache of 512-token blocks hits 4.5, 6.7, 21.57 and 33.22 % at 0.5, 1.5, 5.1 and 15.4 million tokens."""
    digits = 3 if hit_frac < 0.1 else 4
    found = prefix_hit_frac(trace_at(shared(MOONCAKE)), capacity_blocks)
    assert found == pytest.approx(hit_frac, abs=0.5 * 10**-digits)


@pytest.mark.parametrize(
    ("capacity_blocks", "hit_frac"), [(1000, 0.086), (3000, 0.194), (10_000, 0.432), (30_000, 0.636)]
)
def test_lru_cache_of_the_synthetic_trace(capacity_blocks, hit_frac, shared):
    """A bounded cache hits 8.6, 19.4, 43.2 and 63.6 % of the synthetic trace at the same four sizes."""
    assert prefix_hit_frac(trace_at(shared(SYNTHETIC)), capacity_blocks) == pytest.approx(hit_frac, abs=0.0005)


def test_a_hit_starts_at_the_first_block(shared):
    """Negative twin: when each request opens with a block of its own, nothing hits, whatever it shares further on."""
    trace = trace_at(shared(MOONCAKE))
    ids = trace.blocks.ids.copy()
    ids[trace.blocks.offsets[:-1]] = ids.max() + 1 + np.arange(len(trace))
    blocks = HashBlocks(ids, trace.blocks.offsets, trace.blocks.block_tokens)
    assert prefix_hit_frac(replace(trace, blocks=blocks)) == 0.0


def shown(summary: TraceSummary) -> dict[str, list[str]]:
    """The printed table by its first column: cells of each line, which stand two blanks apart."""
    lines = [re.split(r"\s{2,}", line.strip()) for line in describe_text(summary).splitlines()]
    return {cells[0].split(" ")[0] if len(cells) == 1 else cells[0]: cells[1:] for cells in lines if cells[0]}


def test_the_table_shows_the_published_digits(shared):
    """Requests, rate, CV, dispersion and mean lengths of the Azure code trace read as they are published."""
    summary = summary_at(shared(CODE))
    rows = shown(summary)
    assert rows["Requests"] == ["8,819"]
    assert rows["Rate"] == ["2.5667 requests/s"]
    assert rows["CV of the gaps"] == ["13.151"]
    assert rows["60 s"] == ["163.965"]
    text = describe_text(summary)
    assert "2,047.8 1,469 5,188 7,303 7,436   7,437" in text
    assert "no prefix hashes" in text


def test_the_table_of_a_coarse_clock_tells_so(shared):
    """The Mooncake table names the tick of 3 s, the CV as stamped beside that after spreading, and the prefix hits."""
    summary = summary_at(shared(MOONCAKE))
    rows = shown(summary)
    assert rows["Clock"] == ["ticks of 3.00 s"]
    stamped, spread = rows["CV of the gaps"]
    assert stamped == "3.034"
    assert float(spread) == pytest.approx(1.01, abs=0.02)
    assert rows["Prompt tokens an unlimited prefix cache serves"] == ["37.36 %"]
    assert rows["The same in the second half"] == ["39.81 %"]
    assert "6,909 27,367 39,551 85,400 126,195" in describe_text(summary)


@pytest.mark.parametrize("name", [CODE, CONV, MOONCAKE])
def test_replay_keeps_every_request(name, shared):
    """A replayed trace yields as many requests and tokens as the file has, in order of time."""
    trace = trace_at(shared(name))
    requests = list(Workload.from_trace(trace).requests(Streams(0)))
    assert len(requests) == len(trace)
    assert sum(r.input_tokens for r in requests) == trace.input_tokens.sum()
    assert sum(r.output_tokens for r in requests) == trace.output_tokens.sum()
    assert all(a.arrival_s <= b.arrival_s for a, b in pairwise(requests))
