"""Real traces with sessions: retrieval over a week, and coding agents."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator

import numpy as np
import pytest

from sim.workload.trace.blocks import HashBlocks
from sim.workload.trace.describe import describe
from sim.workload.trace.prefix import prefix_hit_tokens
from sim.workload.trace.reader import read_trace
from sim.workload.trace.trace import Trace

pytestmark = pytest.mark.traces

RAGPULSE = "traces/ragpulse_trace.jsonl.gz"
AGENTS = "traces/claude_code_sessions_rle.jsonl.gz"
AGENT_BLOCK_TOKENS = 64


def records(path) -> Iterator[dict]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from (json.loads(line) for line in lines if line.strip())


def test_week_of_retrieval_as_a_plain_table(tmp_path, shared):
    """RAGPulse as a plain table, sorted on reading: 7,106 requests, mean 2,943.6 in and 283.2 out, 3,990 sessions."""
    rows = [
        f"{r['timestamp']},{r['input_length']},{r['output_length']},{r['session_id']}"
        for r in records(shared(RAGPULSE))
    ]
    path = tmp_path / "ragpulse.csv"
    path.write_text("\n".join(["arrival_s,input_tokens,output_tokens,session_id", *rows]) + "\n")
    figures = describe(read_trace(path, sort=True)).figures()
    assert (figures["requests"], figures["sessions"]) == (7106, 3990)
    printed = {
        "input.mean": (2943.6, 0.05),
        "output.mean": (283.2, 0.05),
        "rate_rps": (0.0118, 5e-5),
        "gaps.cv": (3.06, 0.005),
        "gaps.gamma.shape": (0.648, 5e-4),
        "gaps.weibull.shape": (0.727, 5e-4),
        "counts.idc_60s": (1.7, 0.05),
        "input.p99": (5438, 0.5),
        "output.p99": (891, 0.5),
        "spearman": (0.42, 0.005),
        "output.log_mean": (5.39, 0.005),
        "output.log_sigma": (0.78, 0.005),
        "input_per_output": (10.4, 0.05),
    }
    wrong = {k: (v, figures[k]) for k, (v, half) in printed.items() if abs(figures[k] - v) > half + 1e-9}
    assert wrong == {}


def calls(requests) -> Iterator[dict]:
    """Calls of a session in order, those of sub-agents where they were started."""
    for request in requests:
        if request["type"] == "subagent":
            yield from calls(request["requests"])
        else:
            yield request


def as_trace(session) -> Trace:
    """One session as a trace; only the order of its calls matters here."""
    rows = list(calls(session["requests"]))
    ids = [[i for low, high in row["hash_ranges"] for i in range(low, high + 1)] for row in rows]
    flat = np.fromiter((i for row in ids for i in row), np.int64)
    blocks = HashBlocks(flat, np.cumsum([0, *map(len, ids)]), AGENT_BLOCK_TOKENS)
    inputs = np.array([row["in"] for row in rows])
    return Trace(np.arange(len(rows), dtype=float), inputs, np.ones_like(inputs), session["id"], None, blocks)


def test_coding_agents_have_the_published_size(shared):
    """710 sessions, 49,334 calls of which 676 in 63 sub-agents, 6,037,445,403 input tokens."""
    sessions = list(records(shared(AGENTS)))
    inner = [r["requests"] for s in sessions for r in s["requests"] if r["type"] == "subagent"]
    tokens = [call["in"] for session in sessions for call in calls(session["requests"])]
    assert (len(sessions), len(tokens), sum(tokens)) == (710, 49_334, 6_037_445_403)
    assert (len(inner), sum(len(list(calls(requests))) for requests in inner)) == (63, 676)


@pytest.mark.long
def test_coding_agents_hit_their_own_prefix(shared):
    """Within a session, 96.3 % of the agents' input tokens are a prefix of an earlier call, in blocks of 64."""
    hit = total = 0
    for session in records(shared(AGENTS)):
        trace = as_trace(session)
        hit += int(prefix_hit_tokens(trace).sum())
        total += int(trace.input_tokens.sum())
    assert hit / total == pytest.approx(0.963, abs=0.0005)
