"""Sessions in the cluster, against hand-computed timelines: every step lasts one second."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

import pytest

from sim.engine.cluster import Cluster, Load
from sim.engine.plan import ClientPolicy, ClusterPlan, EngineLimits
from sim.steptime.law import DecodeCoefficients
from sim.streams import Streams
from sim.workload.arrivals.closed import ClosedLoop
from sim.workload.arrivals.poisson import Poisson
from sim.workload.lengths.geometric import Geometric
from sim.workload.lengths.lognormal import Lognormal
from sim.workload.request import RequestDraw
from sim.workload.sessions.call import Call, Fork
from sim.workload.sessions.gaps import GapLaw, Gaps
from sim.workload.sessions.laws import SessionLaws, SubAgents
from sim.workload.sessions.session import Session
from sim.workload.sessions.shared_text import SharedText
from sim.workload.sessions.synthetic_source import SyntheticSessions
from sim.workload.workload import Workload
from tests.fault_cases import played


@dataclass(frozen=True)
class OneSecond:
    """Every step lasts a second."""

    attention_cap_tokens: int = 0

    def decode(self, seqs: int) -> DecodeCoefficients:
        return DecodeCoefficients(0.0, 0.0, 0.0, 0.0)

    def mixed_s(
        self, seqs: int, context_tokens: int, capped_tokens: int, any_above: bool, prefills: Sequence[tuple[int, int]]
    ) -> float:
        return 0.0

    def shared_s(self, total_tokens: int, busiest_lane_tokens: int, prefill: bool) -> float:
        return 1.0


class Scripted(Session):
    """Steps written out by hand; (pause, input, output), or a list of sessions that run side by side."""

    __slots__ = ("steps",)

    def __init__(self, name, *steps, arrival_s=0.0, patience_s=math.inf):
        super().__init__(name, arrival_s, patience_s)
        self.steps = list(steps)

    @property
    def steps_left(self):
        return len(self.steps)

    def next_step(self):
        if not self.steps:
            return None
        step = self.steps.pop(0)
        return Fork(tuple(step)) if isinstance(step, list) else Call(*step, None, None)


LIMITS = EngineLimits(max_num_seqs=8, max_num_batched_tokens=100, block_size=10, num_kv_blocks=1000, max_model_len=500)


def plan(**changes):
    base = {"limits": LIMITS, "replicas": 1, "nodes_per_replica": 1, "horizon_s": 1000.0, "record_requests": True}
    return ClusterPlan(**{**base, **changes})


def run(*arrivals, concurrency=None, think_s=0.0, **changes):
    return Cluster(plan(**changes), OneSecond(), Load(iter(arrivals), concurrency, think_s), Streams(1)).run()


def sent(outcome):
    """(time sent, input tokens, time of the last token)."""
    return sorted((row[0], row[1], round(row[0] + row[5], 9)) for row in outcome.record.rows)


def fates(outcome):
    tally = outcome.sessions
    return (tally.started, tally.completed, tally.abandoned, tally.unfinished)


def test_a_call_follows_its_answer_and_its_pause():
    """Three calls of a session: each starts at the completion of the one before plus its pause."""
    outcome = run(Scripted("a", (0.0, 50, 3), (4.0, 60, 2), (0.0, 70, 1), arrival_s=2.0))
    assert sent(outcome) == [(2.0, 50, 5.0), (9.0, 60, 11.0), (11.0, 70, 12.0)]
    assert fates(outcome) == (1, 1, 0, 0)
    assert outcome.end_s == 12.0, "the run ends with the last session, not with the last arrival"
    assert outcome.sessions.duration_s.count == 1
    assert outcome.sessions.duration_s.quantile(0.5) == pytest.approx(10.0, rel=0.01)


def test_sessions_and_requests_share_a_load():
    """Single requests keep their times beside sessions."""
    outcome = run(RequestDraw(0.0, 10, 1), Scripted("a", (1.0, 20, 1), arrival_s=1.0), RequestDraw(5.0, 30, 1))
    assert [row[:2] for row in sent(outcome)] == [(0.0, 10), (2.0, 20), (5.0, 30)]
    assert fates(outcome) == (1, 1, 0, 0)


def test_a_session_waits_for_all_its_sub_agents():
    """Sub-agents run side by side, nested ones too; the next call follows the last of them."""
    inner = Scripted("a/1/0", (0.0, 5, 3))
    quick, slow = Scripted("a/0", (0.0, 10, 2)), Scripted("a/1", (2.0, 20, 2), [inner], (1.0, 30, 1))
    outcome = run(Scripted("a", (0.0, 50, 1), [quick, slow], (3.0, 60, 1)))
    assert sent(outcome) == [(0.0, 50, 1.0), (1.0, 10, 3.0), (3.0, 20, 5.0), (5.0, 5, 8.0), (9.0, 30, 10.0),
                             (13.0, 60, 14.0)]  # fmt: skip
    assert fates(outcome) == (1, 1, 0, 0)


def test_a_refused_call_ends_its_session():
    """A call that can never fit is refused, its session abandoned, and nothing more of it is sent."""
    outcome = run(Scripted("a", (0.0, 50, 1), (1.0, 600, 1), (1.0, 50, 1)), Scripted("b", (0.0, 5, 1)))
    assert (outcome.record.totals.arrived, outcome.record.totals.refused) == (3, 1)
    assert fates(outcome) == (2, 1, 1, 0)


def test_a_lost_sub_agent_ends_the_session():
    """A session whose sub-agent is given up is abandoned once the others have ended, and counted once."""
    outcome = run(Scripted("a", [Scripted("a/0", (0.0, 600, 1)), Scripted("a/1", (0.0, 10, 4))], (0.0, 10, 1)))
    assert outcome.record.totals.completed == 1
    assert fates(outcome) == (1, 0, 1, 0)
    assert outcome.end_s == 4.0


def test_an_impatient_user_does_not_come_back():
    """An answer that took longer than the user's patience is complete, and the last of its session."""
    session = Scripted("a", (0.0, 10, 4), (0.0, 10, 6), (0.0, 10, 1), patience_s=5.0)
    outcome = run(session)
    assert sent(outcome) == [(0.0, 10, 4.0), (4.0, 10, 10.0)]
    assert fates(outcome) == (1, 0, 1, 0)


def test_a_failed_call_is_retried_before_the_session_ends():
    """A call lost to a fault is sent again and its session goes on; without retries the session is abandoned."""
    lost = played((1.5, 0), spares=1, detect_s=1.0, restart_s=2.0)
    calls = ((0.0, 10, 3), (1.0, 10, 1))
    patient = ClientPolicy(max_retries=3, retry_backoff_s=100.0)
    outcome = run(Scripted("a", *calls), transitions=lost, client=patient)
    assert fates(outcome) == (1, 1, 0, 0)
    assert [row[0] for row in sent(outcome)] == [0.0, 105.5], "1.5 s + 100 s + 3 steps + 1 s"
    outcome = run(Scripted("a", *calls), transitions=lost, client=ClientPolicy(max_retries=0))
    assert fates(outcome) == (1, 0, 1, 0)


def test_a_closed_load_replaces_sessions_that_end():
    """Two sessions at a time: the third begins when the first ends, after the pause between sessions."""
    scripts = [Scripted("a", (0.0, 10, 2), (1.0, 10, 1)), Scripted("b", (0.0, 11, 9)), Scripted("c", (0.0, 12, 1))]
    outcome = run(*scripts, concurrency=2, think_s=5.0)
    assert sent(outcome) == [(0.0, 10, 2.0), (0.0, 11, 9.0), (3.0, 10, 4.0), (9.0, 12, 10.0)]
    assert fates(outcome) == (3, 3, 0, 0)


def test_a_closed_load_pauses_after_a_session_that_failed():
    """A session given up at once is not followed at the same instant, so that an outage is no endless loop."""
    scripts = [Scripted(str(n), (0.0, 600, 1)) for n in range(3)]
    outcome = run(*scripts, concurrency=1, client=ClientPolicy(failure_pause_s=7.0))
    assert fates(outcome) == (3, 0, 3, 0)
    assert outcome.end_s == 21.0


def test_sessions_under_way_are_counted():
    """At the horizon a session whose call runs or whose pause lasts is unfinished."""
    outcome = run(Scripted("a", (0.0, 10, 50)), Scripted("b", (0.0, 10, 1), (90.0, 10, 1)), horizon_s=20.0)
    assert fates(outcome) == (2, 0, 0, 2)
    assert outcome.unfinished == 1


def test_max_requests_counts_calls():
    """A limit on requests counts the calls of sessions, and the run ends when those sent are answered."""
    outcome = run(*(Scripted(str(n), *[(1.0, 10, 1)] * 5) for n in range(3)), max_requests=7)
    assert outcome.record.totals.arrived == outcome.record.totals.completed == 7
    assert fates(outcome)[0] == 3
    assert outcome.end_s < 20.0


LAWS = SessionLaws(
    calls=Geometric(4.0),
    first=Lognormal(60, 0.5),
    new=Lognormal(15, 0.5),
    output=Lognormal(8, 0.8),
    gaps=Gaps(GapLaw(3.0, 1.0)),
    shared=SharedText(20),
    first_is_whole=False,
    max_context_tokens=400,
    abandon_after_s=200.0,
)


@pytest.mark.parametrize("concurrency", [None, 6])
@pytest.mark.parametrize("replicas", [1, 2])
def test_identities_hold_with_sessions(concurrency, replicas):
    """Random sessions with sub-agents, edits, faults, impatience: identities hold, every session has a fate."""
    source = SyntheticSessions(replace(LAWS, break_frac=0.1), SubAgents(replace(LAWS, calls=Geometric(2.0)), 0.3, 2))
    arrivals = Poisson(0.05) if concurrency is None else ClosedLoop(concurrency)
    workload = Workload.of_sessions(arrivals, source)
    lost = played((300.0, 0), (900.0, 0), nodes=(1,) * replicas, spares=2, detect_s=5.0, restart_s=30.0)
    load = Load(workload.arriving_sessions(Streams(3)), concurrency)
    outcome = Cluster(plan(replicas=replicas, horizon_s=3000.0, transitions=lost), OneSecond(), load, Streams(3)).run()
    started, completed, abandoned, unfinished = fates(outcome)
    assert started == completed + abandoned + unfinished
    assert completed > 30
    assert min(abandoned, unfinished) > 0


def test_the_cluster_does_not_change_the_sessions():
    """On a slower cluster the same sessions make the same calls, later."""

    @dataclass(frozen=True)
    class Slow(OneSecond):
        def shared_s(self, total_tokens: int, busiest_lane_tokens: int, prefill: bool) -> float:
            return 2.0

    lengths = []
    for law in (OneSecond(), Slow()):
        laws = replace(LAWS, abandon_after_s=None)
        sessions = islice(
            Workload.of_sessions(Poisson(0.05), SyntheticSessions(laws)).arriving_sessions(Streams(4)), 40
        )
        outcome = Cluster(plan(horizon_s=1e6), law, Load(sessions), Streams(4)).run()
        assert fates(outcome) == (40, 40, 0, 0)
        lengths.append(sorted((row[1], row[2]) for row in outcome.record.rows))
    assert lengths[0] == lengths[1]
