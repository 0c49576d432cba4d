"""Presets as sessions: their lengths, turns, pauses and prefix hits are those that their sources state."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from sim.catalog.tables import table
from sim.errors import TraceError
from sim.scenario.workload import WorkloadSection
from sim.scenario.workload_presets import session_presets, workload_presets
from sim.simulation.workload import workload_of
from sim.simulation.workload_facts import workload_facts
from sim.simulation.workload_preset import preset_length
from sim.streams import Streams
from sim.workload.arrivals.closed import ClosedLoop
from sim.workload.arrivals.mmpp import Mmpp
from sim.workload.arrivals.operational import OperationalTime
from sim.workload.arrivals.poisson import Poisson
from sim.workload.arrivals.renewal import Renewal
from sim.workload.prefix_tree import PrefixTree
from sim.workload.sessions.source import calls_of

LONG = ("agentic_coding", "agentic_task")
EVERY = (
    "chat", "chat_long", "code_completion", "code_review", "agentic_coding", "agentic_task", "codebase_reasoning",
    "rag", "document_batch", "long_document", "reasoning",
)  # fmt: skip


@dataclass
class Made:
    """As much of a scenario as a workload needs."""

    workload: WorkloadSection
    base_dir: Path | None = None


@dataclass(frozen=True)
class Seen:
    """What many sessions of a preset look like."""

    calls: np.ndarray
    gaps_s: np.ndarray
    inputs: np.ndarray
    outputs: np.ndarray
    first: np.ndarray
    hit_frac: float
    miss_tokens: np.ndarray


def build(section):
    return workload_of(Made(WorkloadSection.model_validate(section)))


@cache
def seen(preset, count=None, **changes):
    """Sessions of a preset, with the hits of an unlimited cache of prompts, session after session."""
    workload = build({"preset": preset, "sessions": {"rate_per_s": 0.1, **changes}})
    tree, rows, counts, first, gaps = PrefixTree(), [], [], [], []
    for session in islice(workload.arriving_sessions(Streams(21)), count or (600 if preset in LONG else 12_000)):
        calls = list(calls_of(session))
        counts.append(len(calls))
        first.append(calls[0].input_tokens)
        gaps += [call.gap_s for call in calls[1:]]
        rows += [(call.input_tokens, call.output_tokens, tree.add(call.prefix)) for call in calls]
    inputs, outputs, hits = np.array(rows).T
    return Seen(
        np.array(counts),
        np.array(gaps or [0.0]),
        inputs,
        outputs,
        np.array(first),
        hits.sum() / inputs.sum(),
        inputs - hits,
    )


def test_every_preset_has_sessions():
    """All presets of the catalog can be run as sessions, those that make no sense otherwise only so."""
    assert set(session_presets()) == set(EVERY)
    assert set(EVERY) - set(workload_presets()) == {"agentic_coding", "agentic_task", "codebase_reasoning"}


@pytest.mark.parametrize("preset", EVERY)
def test_hits_of_an_unlimited_cache(preset):
    """The share of prompt tokens seen before lies in the range that the catalog states, give or take half a point."""
    fact = table("workloads")[preset]["sanity_prefix_hit_frac"]
    assert fact.low - 0.005 <= seen(preset).hit_frac <= fact.high + 0.005


@pytest.mark.parametrize("preset", [name for name in EVERY if name in workload_presets()])
def test_prompts_together_keep_their_law(preset):
    """First and later prompts together keep mean (10 %), median (15 %) and p95 (25 %) of the flat law."""
    flat = preset_length(preset, "input").draw(np.random.default_rng(4), 200_000)
    inputs = seen(preset).inputs
    assert inputs.mean() == pytest.approx(flat.mean(), rel=0.10)
    assert np.median(inputs) == pytest.approx(np.median(flat), rel=0.15)
    assert np.quantile(inputs, 0.95) == pytest.approx(np.quantile(flat, 0.95), rel=0.25)


@pytest.mark.parametrize("preset", EVERY)
def test_answers_keep_their_law(preset):
    """Answers have the mean and median of the preset's output law."""
    flat = preset_length(preset, "output").draw(np.random.default_rng(4), 200_000)
    outputs = seen(preset).outputs
    assert outputs.mean() == pytest.approx(flat.mean(), rel=0.05)
    assert np.median(outputs) == pytest.approx(np.median(flat), rel=0.05)


@pytest.mark.parametrize(
    ("preset", "calls", "gap_s"),
    [
        ("chat", 1.8, 124),
        ("chat_long", 1.54, 124),
        ("rag", 1.8, 40),
        ("code_completion", 1.0, None),
        ("document_batch", 1.0, None),
        ("long_document", 4.0, 60),
        ("reasoning", 1.25, 124),
        ("code_review", 4.5, None),
        ("agentic_task", 20.0, 5),
    ],
)
def test_turns_and_pauses(preset, calls, gap_s):
    """Calls per session have the stated mean, pauses the stated median."""
    found = seen(preset)
    assert found.calls.mean() == pytest.approx(calls, rel=0.03)
    if gap_s is not None:
        assert np.median(found.gaps_s) == pytest.approx(gap_s, rel=0.05)


def test_coding_agents_are_those_recorded():
    """Agents: 19k to start, 39 calls in the median and 70 to 77 in the mean, 261 out, new tokens of median 815."""
    found = seen("agentic_coding", 1500)
    assert np.median(found.first) == pytest.approx(19_000, rel=0.03)
    assert np.median(found.calls) == pytest.approx(39, rel=0.1)
    assert 65 <= found.calls.mean() <= 82
    assert np.median(found.outputs) == pytest.approx(261, rel=0.02)
    assert 390 * 0.95 <= found.outputs.mean() <= 440
    broken = found.miss_tokens > 20_000
    assert np.median(found.miss_tokens[~broken]) == pytest.approx(815, rel=0.06)
    assert found.miss_tokens[~broken].mean() == pytest.approx(1500, rel=0.1)
    assert np.median(found.inputs) == pytest.approx(104_000, rel=0.15), "recorded p50"
    assert found.inputs.max() < 200_000
    assert found.gaps_s.max() <= 3600
    assert np.mean(found.gaps_s > 60) == pytest.approx(0.085, abs=0.02)
    assert 0.01 <= broken.mean() <= 0.03
    assert found.miss_tokens[broken].sum() / found.miss_tokens.sum() == pytest.approx(0.5, abs=0.12), "recorded: 52 %"


def test_tool_agents_have_the_published_means():
    """Tool agents: prompts of 8.6k and answers of 182 tokens on average, within 5 %."""
    found = seen("agentic_task")
    assert found.inputs.mean() == pytest.approx(8600, rel=0.05)
    assert found.outputs.mean() == pytest.approx(182, rel=0.05)


def test_sub_agents_can_be_asked_for():
    """With sub-agents, they make the share of calls asked for."""
    found = seen("agentic_coding", 300, sub_agent_calls_frac=0.4)
    main = build({"preset": "agentic_coding", "sessions": {"rate_per_s": 0.1}})
    alone = sum(len(list(calls_of(s))) for s in islice(main.arriving_sessions(Streams(21)), 300))
    assert 1 - alone / found.calls.sum() == pytest.approx(0.4, abs=0.03)


def test_sections_change_what_they_name():
    """Keys of the section take the place of the preset's rows."""
    assert seen("agentic_coding", 200, root_tokens=5000).first.min() < 15_000
    assert seen("agentic_coding", 200, max_context_tokens=50_000).inputs.max() < 50_000
    assert np.median(seen("rag", 2000, gap_median_s=10.0).gaps_s) == pytest.approx(10, rel=0.1)
    calm = seen("agentic_coding", 200, break_frac=0.0)
    assert calm.hit_frac > seen("agentic_coding", 200).hit_frac
    kept = seen("reasoning", 3000, reasoning_in_context=True)
    assert kept.inputs.mean() > seen("reasoning", 3000).inputs.mean() + 100


def test_beginnings_of_sessions():
    """Sessions begin by the preset's law, by any open process, by the week, or as a fixed number at a time."""

    def arrivals(preset, **sessions):
        return build({"preset": preset, "sessions": sessions}).arrivals

    assert arrivals("chat", rate_per_s=0.5) == Renewal("gamma", 0.5, 1.1)
    assert arrivals("code_review", rate_per_s=0.5) == Poisson(0.5), "changes come singly, their calls in bursts"
    assert isinstance(arrivals("code_completion", rate_per_s=0.5), Mmpp)
    week = arrivals("agentic_coding", arrivals={"process": "preset", "rate_rps": 0.1, "week_profile": True})
    assert isinstance(week, OperationalTime)
    assert arrivals("agentic_coding", arrivals={"process": "poisson", "rate_rps": 0.1}) == Poisson(0.1)
    assert arrivals("agentic_coding", concurrency=100, pause_s=5.0) == ClosedLoop(100, 5.0)


def test_output_scale_reaches_sessions():
    """A model that reasons at length lengthens the answers of sessions too."""
    plain = build({"preset": "agentic_coding", "sessions": {"rate_per_s": 0.1}})
    longer = build({"preset": "agentic_coding", "output_scale": 2.0, "sessions": {"rate_per_s": 0.1}})
    first, second = (
        np.array([c.output_tokens for s in islice(w.arriving_sessions(Streams(1)), 20) for c in calls_of(s)])
        for w in (plain, longer)
    )
    assert (second == 2 * first).all()


def test_facts_are_those_of_the_sessions():
    """Rows behind sessions are named, those overridden are not, and sub-agents only where there are some."""

    def facts(**sessions):
        section = {"preset": "agentic_coding", "sessions": {"rate_per_s": 0.1, **sessions}}
        return {name.split(".")[2] for name in workload_facts(WorkloadSection.model_validate(section))}

    assert {"session_gap_median_s", "session_root_tokens", "output_sigma", "arrival_law"} <= facts()
    assert not any(name.startswith(("sub_agent", "sanity", "slo")) for name in facts())
    assert "session_gap_median_s" not in facts(gap_median_s=2.0)
    assert "sub_agent_parallel" in facts(sub_agent_calls_frac=0.4)


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ({"preset": "agentic_coding", "arrivals": {"rate_rps": 1.0}}, r"write sessions: \{rate_per_s: \.\.\.\}"),
        ({"preset": "agentic_coding"}, "makes sessions of calls that wait for each other"),
        ({"preset": "chat", "sessions": {}}, "needs one of rate_per_s, arrivals and concurrency, not none"),
        ({"preset": "chat", "sessions": {"rate_per_s": 1.0, "concurrency": 5}}, "not rate_per_s and concurrency"),
        ({"preset": "chat", "sessions": {"rate_per_s": 1.0, "pause_s": 5.0}}, "pause_s belongs to concurrency"),
        ({"preset": "chat", "arrivals": {"rate_rps": 1.0}, "sessions": {"rate_per_s": 1.0}}, "remove arrivals"),
        ({"sessions": {"rate_per_s": 1.0}}, "either a preset or a trace"),
        ({"preset": "chat", "sessions": {"rate_per_s": 1.0, "repeat": True}}, "sessions.repeat says nothing"),
        ({"trace": {"path": "x"}, "sessions": {"rate_per_s": 1.0, "break_frac": 0.1}}, "sessions.break_frac says"),
        ({"trace": {"path": "x", "thin_frac": 0.5}, "sessions": {"rate_per_s": 1.0}}, "remove trace.thin_frac"),
        ({"trace": {"path": "x", "format": "azure"}, "sessions": {"rate_per_s": 1.0}}, "remove trace.format azure"),
        (
            {"preset": "chat", "sessions": {"arrivals": {"process": "closed_loop", "concurrency": 5}}},
            "cannot be closed_loop: use concurrency",
        ),
        ({"preset": "chat", "sessions": {"arrivals": {"process": "preset"}}}, "sessions.arrivals needs rate_rps"),
        ({"preset": "agentic_codin"}, "did you mean 'agentic_coding'"),
    ],
)
def test_wrong_sections_say_what_to_write(section, says):
    """Each mistake is told in one sentence that names the way out."""
    with pytest.raises(ValidationError, match=says):
        WorkloadSection.model_validate(section)


def test_a_file_of_sessions_is_replayed(shared):
    """A file of recorded sessions serves as sessions: long pauses cut where asked, repeated as new users or ended."""
    path = str(shared("traces/claude_code_sessions_rle.jsonl.gz"))
    sessions = {"rate_per_s": 1.0, "max_gap_s": 300.0}
    ended = build({"trace": {"path": path}, "sessions": sessions})
    assert ended.arrivals == Poisson(1.0)
    calls = [call for s in ended.arriving_sessions(Streams(1)) for call in calls_of(s)]
    assert len(calls) == 49_334
    assert max(call.gap_s for call in calls) == 300.0
    repeated = build({"trace": {"path": path}, "sessions": {**sessions, "repeat": True}})
    again = list(islice(repeated.arriving_sessions(Streams(1)), 711))
    first, last = (next(calls_of(again[at])) for at in (0, 710))
    assert (first.input_tokens, first.prefix[0][1]) == (last.input_tokens, last.prefix[0][1])
    assert first.prefix[0][0] != last.prefix[0][0]


def test_a_file_of_requests_is_no_file_of_sessions(tmp_path):
    """Asked for sessions, a file of single requests is refused with its first line."""
    path = tmp_path / "trace.csv"
    path.write_text("arrival_s,input_tokens,output_tokens\n1,2,3\n")
    with pytest.raises(TraceError, match="line 1 is malformed"):
        build({"trace": {"path": str(path)}, "sessions": {"rate_per_s": 1.0}})
