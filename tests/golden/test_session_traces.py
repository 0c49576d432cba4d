"""Loaders and session replay on the real traces: published test vectors."""

from __future__ import annotations

import math

import pytest

from sim.streams import Streams
from sim.workload.prefix_tree import PrefixTree
from sim.workload.runs import length
from sim.workload.sessions.claude_code import read_sessions
from sim.workload.sessions.lifetime import hits_by_idle_lifetime
from sim.workload.sessions.recorded import RecordedSessions, Replay
from sim.workload.sessions.source import calls_of
from sim.workload.trace.describe import describe
from sim.workload.trace.prefix import prefix_hit_tokens
from sim.workload.trace.reader import read_trace

pytestmark = pytest.mark.traces

AGENTS = "traces/claude_code_sessions_rle.jsonl.gz"
# share of prompt tokens found when an idle session's cache is forgotten after so many seconds
LIFETIMES = {30: 0.749, 60: 0.819, 120: 0.870, 300: 0.918, 600: 0.936, 1800: 0.954, 3600: 0.960, math.inf: 0.963}


def test_coding_agents_as_sessions(shared):
    """710 sessions of 49,334 calls with 6,037,445,403 prompt tokens; hits by idle lifetime within 0.5 points."""
    sessions = read_sessions(shared(AGENTS))
    calls = [call for session in sessions for call in session.calls()]
    assert (len(sessions), len(calls), sum(call.input_tokens for call in calls)) == (710, 49_334, 6_037_445_403)
    agents = [agent for session in sessions for step in session.steps if type(step) is tuple for agent in step]
    assert (len(agents), sum(1 for agent in agents for _ in agent.calls())) == (63, 676)
    found = hits_by_idle_lifetime(sessions, list(LIFETIMES))
    assert found == pytest.approx(list(LIFETIMES.values()), abs=0.005)


def test_coding_agents_replayed(shared):
    """The replay makes the calls of the file, sessions apart from each other but for a root where one is given."""
    recorded = read_sessions(shared(AGENTS))[:40]
    apart = [list(calls_of(s)) for s in RecordedSessions(recorded).sessions(Streams(0))]
    assert [[c.input_tokens for c in calls] for calls in apart] == [
        [c.input_tokens for c in s.calls()] for s in recorded
    ]
    tree = PrefixTree()
    assert not any(tree.add(calls[0].prefix) for calls in apart)
    rooted = RecordedSessions(recorded, Replay(root_tokens=14_000)).sessions(Streams(0))
    firsts = [next(calls_of(session)) for session in rooted]
    tree = PrefixTree()
    assert [tree.add(call.prefix) for call in firsts][1:] == [min(14_000, call.prefix[0][1]) for call in firsts[1:]]
    assert all(length(call.prefix) <= call.input_tokens for call in firsts)


def test_coding_agents_described(shared):
    """Described as a trace, 96.3 % of the prompt tokens are a prefix seen before, and lengths are as published."""
    summary = describe(read_trace(shared(AGENTS)))
    assert (summary.requests, summary.sessions) == (49_334, 710)
    assert summary.prefix_hit_frac == pytest.approx(0.963, abs=0.0005)
    assert summary.input.mean == pytest.approx(122_379, abs=1)
    assert (summary.input.p50, summary.output.p50) == (103_659, 216)


def test_week_of_retrieval(shared):
    """RAGPulse: 7,106 requests, 2,943.6 in, 283.2 out, 3,990 sessions; 31.5 % of component tokens hit."""
    shared("traces/ragpulse_component_lengths.csv.gz")
    trace = read_trace(shared("traces/ragpulse_trace.jsonl.gz"))
    summary = describe(trace)
    assert (summary.requests, summary.sessions) == (7106, 3990)
    assert (summary.input.mean, summary.output.mean) == pytest.approx((2943.6, 283.2), abs=0.05)
    components = sum(length(runs) for runs in trace.prefixes())
    assert prefix_hit_tokens(trace).sum() / components == pytest.approx(0.315, abs=0.0005)
    assert summary.prefix_hit_frac == pytest.approx(0.3143, abs=0.0005), "of all prompt tokens, template included"


@pytest.mark.parametrize(("name", "frac"), [("conversation", 0.3736), ("synthetic", 0.6512)])
def test_runs_share_what_blocks_share(shared, name, frac):
    """As runs of tokens, Mooncake's prompts hit exactly as much of an unlimited cache as by their blocks."""
    trace = read_trace(shared(f"traces/mooncake_fast25_{name}.jsonl.gz"))
    tree = PrefixTree()
    hits = [tree.add(runs) for runs in trace.prefixes()]
    assert hits == prefix_hit_tokens(trace).tolist()
    assert sum(hits) / trace.input_tokens.sum() == pytest.approx(frac, abs=0.00005)
