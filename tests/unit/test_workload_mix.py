"""Mixtures of tenants and piles of jobs: what is drawn, and what a scenario may say."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

import sim
from sim.errors import ScenarioError, SimError
from sim.report.html import html_report
from sim.report.load import load_words
from sim.report.run_text import run_text
from sim.report.verdict import verdict
from sim.simulation.workload import workload_of
from sim.streams import Streams
from sim.study.metric import Metric
from sim.study.sampled import sampled_trace
from sim.study.saturation import saturation
from sim.study.store import RunDirectory, _summary_frame
from sim.workload.batch import Batch
from sim.workload.lengths.constant import Constant
from sim.workload.lengths.lengths import Lengths
from sim.workload.lengths.uniform import Uniform
from sim.workload.mix import Mix
from sim.workload.sessions.source import calls_of
from tests.study_cases import tiny

SHORT = {"input_tokens": {"law": "constant", "tokens": 100}, "output_tokens": {"law": "constant", "tokens": 20}}
POISSON = {"arrivals": {"process": "poisson", "rate_rps": 2.0}, **SHORT}
PILE = {"batch": {"requests": 30, "deadline_h": 0.01, "max_in_flight": 2, "release_s": 15.0}, **SHORT}


def mixed(parts, **more):
    return tiny({"workload": {"mix": {"parts": parts, **more}}})


def drawn(scenario, count=300, seed=1):
    return list(islice(workload_of(scenario).arriving(Streams(seed)), count))


def refusal(parts, **more):
    with pytest.raises(ScenarioError) as caught:
        mixed(parts, **more)
    return str(caught.value)


def test_parts_are_merged_in_order_of_arrival():
    """Requests and sessions of all parts come in order, each with its tenant, priority and due time."""
    parts = {
        "chat": POISSON,
        "talks": {"preset": "chat", "sessions": {"rate_per_s": 1.0}, "priority": 5},
        "docs": {"batch": {"requests": 40, "deadline_h": 1.0, "spread_s": 60.0}, **SHORT},
    }
    draws = drawn(mixed(parts), 400)
    times = [draw.arrival_s for draw in draws]
    assert times == sorted(times)
    assert {(draw.tenant, draw.priority) for draw in draws} == {(0, 0), (1, 5), (2, 1)}
    assert {draw.deadline_s for draw in draws if draw.tenant == 2} == {3600.0}
    assert sum(draw.tenant == 2 for draw in draws) == 40


def test_a_part_that_leaves_does_not_move_the_others():
    """Each part draws from streams under its own name: the same requests with and without another part."""
    parts = {
        "x": {"preset": "chat", "arrivals": {"rate_rps": 1.0}},
        "y": {"preset": "chat", "arrivals": {"rate_rps": 1.0}},
    }
    both = drawn(mixed(parts))
    alone = drawn(mixed({"y": parts["y"]}))
    ours = [draw[:3] for draw in both if draw.tenant == 1]
    assert ours == [draw[:3] for draw in alone][: len(ours)]
    assert ours[:100] != [draw[:3] for draw in both if draw.tenant == 0][:100], "equal parts draw apart"


def test_tenants_share_no_text():
    """Equal session parts have disjoint token identities and names, sub-agents too; inside a part roots are shared."""
    part = {"preset": "agentic_coding", "sessions": {"rate_per_s": 1.0, "sub_agent_calls_frac": 0.3}}
    sessions = drawn(mixed({"x": part, "y": part}), 24)
    runs: dict[int, set[int]] = {0: set(), 1: set()}
    for session in sessions:
        for call in calls_of(session):
            runs[session.tenant] |= {first for first, _ in call.prefix}
            assert call.output_first_id is None or call.output_first_id // (1 << 80) == session.tenant
    assert runs[0]
    assert not runs[0] & runs[1]
    assert {session.session_id.split("/")[0] for session in sessions} == {"x", "y"}


@pytest.mark.parametrize("share_by", ["requests", "tokens"])
def test_shares_become_rates(share_by):
    """A share of requests or of tokens comes out as such in what is drawn, sessions included."""
    parts = {
        "chat": {"preset": "chat", "share_frac": 0.25},
        "flat": {**SHORT, "share_frac": 0.25},
        "talks": {"preset": "rag", "sessions": {}, "share_frac": 0.5},
    }
    total = {"requests": {"total_rate_rps": 40.0}, "tokens": {"total_tokens_per_s": 80_000.0}}[share_by]
    horizon_s, found = 1000.0, np.zeros(3)
    for draw in workload_of(mixed(parts, share_by=share_by, **total)).arriving(Streams(2)):
        if draw.arrival_s > horizon_s:
            break
        calls = list(calls_of(draw)) if draw.tenant == 2 else [draw]
        found[draw.tenant] += (
            len(calls) if share_by == "requests" else sum(c.input_tokens + c.output_tokens for c in calls)
        )
    assert found / horizon_s == pytest.approx(np.array([0.25, 0.25, 0.5]) * next(iter(total.values())), rel=0.08)


def test_piles_hold_what_they_are_asked_to():
    """Jobs by number and by tokens, pile after pile, with their releases and due times; the count is known before."""
    lengths = Lengths(Uniform.between(10, 90), Constant(10))
    by_number = Batch(5000, None, 10.0, 100.0, every_s=1000.0, root_tokens=50)
    jobs = list(islice(by_number.jobs(lengths, Streams(1)), 12_000))
    assert {(job.arrival_s, job.deadline_s) for job in jobs} == {(10.0, 110.0), (1010.0, 1110.0), (2010.0, 2110.0)}
    assert [sum(job.arrival_s == at for job in jobs) for at in (10.0, 1010.0)] == [5000, 5000]
    assert all(job.prefix == ((0, min(50, job.input_tokens)),) for job in jobs)
    by_tokens = Batch(None, 100_000, 0.0, 100.0, every_s=500.0, spread_s=200.0)
    piles = by_tokens.piles(lengths, Streams(1), 1200.0)
    assert [pile.release_s for pile in piles] == [0.0, 500.0, 1000.0]
    jobs = list(islice(by_tokens.jobs(lengths, Streams(1)), sum(pile.jobs for pile in piles)))
    start = 0
    for pile in piles:
        own = jobs[start : start + pile.jobs]
        tokens = [job.input_tokens + job.output_tokens for job in own]
        assert sum(tokens) >= 100_000 > sum(tokens[:-1])
        assert all(
            job.deadline_s == pile.due_s and pile.release_s <= job.arrival_s < pile.release_s + 200 for job in own
        )
        start += pile.jobs


def test_document_batch_brings_its_due_time_and_instructions():
    """The preset's jobs are due within a day and begin with instructions that they share."""
    workload = workload_of(tiny({"workload": {"preset": "document_batch", "batch": {"requests": 10}}}))
    assert isinstance(workload, Mix)
    assert workload.names == ("document_batch",)
    jobs = list(workload.arriving(Streams(1)))
    assert len(jobs) == 10
    assert {job.deadline_s for job in jobs} == {86_400.0}
    assert {job.prefix[0][1] for job in jobs} == {min(1000, job.input_tokens) for job in jobs}


def test_what_a_mix_refuses():
    """Each contradiction is one sentence with its key."""
    chat = {"preset": "chat", "arrivals": {"rate_rps": 1.0}}
    assert "remove arrivals, or batch" in refusal({"a": {**PILE, "arrivals": chat["arrivals"], "preset": "chat"}})
    assert "adds up to 0.5, not to 1" in refusal(
        {"a": {"preset": "chat", "share_frac": 0.5}}, share_by="requests", total_rate_rps=1.0
    )
    assert "share_by requests needs total_rate_rps" in refusal(
        {"a": {"preset": "chat", "share_frac": 1.0}}, share_by="requests", total_tokens_per_s=1.0
    )
    assert "share_frac sets the rate" in refusal(
        {"a": {**chat, "share_frac": 1.0}}, share_by="requests", total_rate_rps=1.0
    )
    assert "has no meaning without share_frac" in refusal({"a": chat}, total_rate_rps=1.0)
    with pytest.raises(ScenarioError, match="deadline_h: needs deadline_h or due_s"):
        workload_of(mixed({"a": {"batch": {"requests": 3}, **SHORT}}))
    assert "did you mean 'batch'" in refusal({"a": {"batsh": {}, **chat}})
    with pytest.raises(ScenarioError, match="remove preset, or mix"):
        tiny({"workload": {"preset": "chat", "mix": {"parts": {"a": chat}}}})
    with pytest.raises(ScenarioError, match="requests or tokens"):
        mixed({"a": {"batch": {"requests": 3, "tokens": 4, "deadline_h": 1.0}, **SHORT}})
    with pytest.raises(ScenarioError, match="write each part alone"):
        sampled_trace(mixed({"a": chat}))
    with pytest.raises(SimError, match="tenants and batches"):
        saturation(mixed({"a": chat}))


def test_input_files_of_parts_belong_to_the_digest(tmp_path):
    """A trace that a part replays is an input file: another content is another run."""
    path = tmp_path / "t.csv"
    path.write_text("arrival_s,input_tokens,output_tokens\n0,5,5\n1,5,5\n")
    scenario = mixed({"a": POISSON, "b": {"trace": {"path": str(path)}}})
    assert scenario.input_files() == [path]
    before = scenario.digest()
    path.write_text("arrival_s,input_tokens,output_tokens\n0,5,5\n1,5,6\n")
    assert scenario.digest() != before


@pytest.fixture(scope="module")
def result():
    parts = {
        "chat": {**POISSON, "slo": {"e2el_ms": 60_000}},
        "loop": {"arrivals": {"process": "closed_loop", "concurrency": 1, "think_s": 1.0}, **SHORT},
        "strict": {**POISSON, "slo": {"ttft_ms": 0.001}},
        "docs": PILE,
    }
    return sim.simulate(mixed(parts).with_({"slo.ttft_ms": 5000.0}), workers=1)


def test_tenants_add_up_to_the_whole(result):
    """Counts and throughput of the tenants sum to those of the run; each has its own limits."""
    for fate in ("attempted", "completed", "failed", "unfinished"):
        assert (
            sum(result.value(fate, f"tenant:{name}") for name in ("chat", "loop", "strict", "docs"))
            == result.counts[fate]
        )
    rates = [result.value("request_throughput_rps", f"tenant:{name}") for name in ("chat", "loop", "strict", "docs")]
    assert sum(rates) == pytest.approx(result.value("request_throughput_rps"))
    assert result.value("slo_attainment_frac", "tenant:chat") == 1.0
    assert result.value("slo_attainment_frac", "tenant:strict") == 0.0
    assert result.value("ttft_p50_s", "tenant:chat") < 1.0
    assert result.metric("ttft_p95_s").option == "scenario", "the run's own figure comes first"


def test_request_rows_name_their_tenant():
    """Each kept row has the index of its tenant."""
    two = mixed({"a": POISSON, "b": {**POISSON, "input_tokens": {"law": "constant", "tokens": 7}}})
    rows = sim.simulate(two.with_({"run.record_requests": True}), workers=1).requests_frame()
    assert (rows.tenant == (rows.input_tokens == 7)).all()
    assert set(rows.tenant) == {0.0, 1.0}


def test_jobs_are_reported(result):
    """Share on time, completion and lateness of the piles; 36 s are enough for 30 jobs."""
    value = {name: result.value(name, "tenant:docs") for name in ("jobs", "jobs_completed", "jobs_on_time_frac")}
    assert value == {"jobs": 60, "jobs_completed": 60, "jobs_on_time_frac": 1.0}
    assert 0 < result.value("pile_completion_mean_s", "tenant:docs") < 36.0
    assert result.value("job_lateness_max_s", "tenant:docs") == 0.0


def test_tenants_are_in_every_output(result, tmp_path):
    """Text, page and tidy rows name each tenant; a stored run reads back the same."""
    text, page = run_text(result, tmp_path, cached=False), html_report(result)
    for name in ("chat", "loop", "strict", "docs"):
        assert name in text
        assert f'<th scope="row">{name}</th>' in page
    assert "Jobs and their due times" in text
    frame = _summary_frame(result)
    rows = frame[(frame.option == "tenant:chat") & (frame.metric == "ttft_p50_s")]
    assert rows.replication.tolist() == [0, 1]
    assert rows.unit.tolist() == ["s", "s"]
    directory = RunDirectory.prepare(tmp_path / "run", result.scenario)
    directory.write(result)
    again = directory.cached(result.scenario)
    assert again is not None
    assert again.metrics == result.metrics


def test_the_verdict_sees_the_tenant_that_misses(result):
    """All requests together may meet the target while those of one tenant do not: then the verdict names it."""
    own = [
        replace(item, value=0.99, low=0.98, high=1.0)
        if (item.option, item.metric) == ("scenario", "slo_attainment_frac")
        else item
        for item in result.metrics
    ]
    found = verdict(replace(result, metrics=tuple(own)))
    assert found.level == "bad"
    assert "strict" in found.title
    fine = [
        Metric(item.option, item.metric, item.unit, 1.0, 0.99, 1.0) if item.metric == "slo_attainment_frac" else item
        for item in own
    ]
    assert verdict(replace(result, metrics=tuple(fine))).level == "good"


def test_a_pile_that_misses_its_due_time_says_so():
    """Jobs late, none complete in time, no completion time where a pile is incomplete; and it is no overload."""
    pile = {"batch": {"requests": 4000, "due_s": 30.0}, **SHORT}
    few = {**POISSON, "arrivals": {"process": "poisson", "rate_rps": 0.5}}
    result = sim.simulate(mixed({"chat": few, "docs": pile}), workers=1)
    assert result.status == "completed", "a pile may wait: that is no overload"
    assert result.value("jobs_on_time_frac", "tenant:docs") < 1.0
    assert result.metric("pile_completion_mean_s", "tenant:docs").value is None
    assert any("were not complete by their due time" in warning for warning in result.warnings)
    undue = sim.simulate(
        mixed({"chat": POISSON, "docs": {**PILE, "batch": {"requests": 3, "due_s": 3600.0}}}), workers=1
    )
    assert undue.metric("jobs_on_time_frac", "tenant:docs").value is None
    assert any("No pile of docs is due" in warning for warning in undue.warnings)


def test_the_load_line_names_every_tenant():
    """Names, rates, shares, piles."""
    parts = {
        "chat": {"preset": "chat", "share_frac": 1.0},
        "docs": {"preset": "document_batch", "batch": {"tokens": 5000, "due_s": 900.0, "spread_s": 60.0}},
    }
    assert load_words(mixed(parts, share_by="requests", total_rate_rps=2.0)) == (
        "chat: 100 %, preset chat; docs: a pile of 5,000 tokens from 0 s, spread over 60 s, due at 900 s, preset "
        "document_batch; 2 requests/s of those with a share"
    )


def test_the_mixed_scenario_runs(root):
    """Chat, agents and documents share two nodes; shortened, every tenant completes requests."""
    scenario = sim.load(root / "scenarios" / "glm52_mixed_tenants.yaml")
    short = {"run.horizon_s": 900.0, "run.warmup_s": 100.0, "run.replications": 1}
    short["workload.mix.parts.documents.batch.release_s"] = 200.0
    short["workload.mix.parts.documents.batch.requests"] = 40
    short["workload.mix.parts.documents.batch.due_s"] = 800.0
    result = sim.simulate(scenario.with_(short), workers=1)
    assert all(result.value("completed", f"tenant:{name}") > 20 for name in ("chat", "agents", "documents"))
    assert result.value("jobs_on_time_frac", "tenant:documents") == 1.0
