"""Sessions drawn from laws: what their prompts consist of, and what the draws depend on."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice, pairwise

import numpy as np
import pytest

from sim.errors import ScenarioError
from sim.streams import Streams
from sim.workload.arrivals.closed import ClosedLoop
from sim.workload.arrivals.poisson import Poisson
from sim.workload.lengths.constant import Constant
from sim.workload.lengths.geometric import Geometric
from sim.workload.lengths.lognormal import Lognormal
from sim.workload.prefix_tree import PrefixTree
from sim.workload.runs import leading, length, merged
from sim.workload.sample import sample
from sim.workload.sessions.call import Call, Fork
from sim.workload.sessions.gaps import GapLaw, Gaps
from sim.workload.sessions.laws import SessionLaws, SubAgents
from sim.workload.sessions.shared_text import SharedText
from sim.workload.sessions.source import calls_of
from sim.workload.sessions.synthetic_source import SyntheticSessions
from sim.workload.workload import Workload

LAWS = SessionLaws(
    calls=Geometric(6.0),
    first=Lognormal(400, 0.8),
    new=Lognormal(80, 0.8),
    output=Lognormal(50, 0.8),
    gaps=Gaps(GapLaw(5.0, 1.0), GapLaw(60.0, 1.0, 100.0), 0.25),
    shared=SharedText(root_tokens=100, group_tokens=30, groups=3, group_zipf=1.0),
    first_is_whole=False,
)


def drawn(laws=LAWS, count=200, agents=None, seed=1):
    sessions = islice(SyntheticSessions(laws, agents).sessions(Streams(seed)), count)
    return [list(calls_of(session)) for session in sessions]


def test_geometric_counts_have_their_mean():
    """Counts start at one and average to the mean; a mean of one is always one."""
    counts = Geometric(1.8).draw(np.random.default_rng(0), 200_000)
    assert counts.min() == 1
    assert counts.mean() == pytest.approx(1.8, rel=0.01)
    assert set(Geometric(1.0).draw(np.random.default_rng(0), 100).tolist()) == {1}
    with pytest.raises(ScenarioError, match="at least 1"):
        Geometric(0.5)


def test_a_prompt_continues_the_one_before_and_its_answer():
    """Each prompt begins with the prompt before it and that answer, all told by few runs, and lengths add up."""
    for calls in drawn():
        for call in calls:
            assert length(call.prefix) == call.input_tokens
            assert len(call.prefix) <= 3, "root, group, own"
        for before, after in pairwise(calls):
            known = merged((*before.prefix, (before.output_first_id, before.output_tokens)))
            assert leading(after.prefix, length(known)) == known
            assert after.input_tokens > length(known)


def test_sessions_share_root_and_group_only():
    """Two sessions have the root in common, with a session of their group also its text, and nothing else."""
    tree = PrefixTree()
    hits = [tree.add(calls[0].prefix) for calls in drawn(count=300)]
    assert hits[0] == 0
    assert set(hits[1:]) == {100, 130}
    assert hits.count(100) == 2, "the second and third group, when first met"


def test_a_session_without_the_root_shares_nothing_of_it():
    """With a root in half of the sessions, half of them begin with it."""
    laws = replace(LAWS, shared=SharedText(root_tokens=100, root_frac=0.5))
    starts = [calls[0].prefix[0] for calls in drawn(laws, 1000)]
    assert sum(start == (0, 100) for start in starts) == pytest.approx(500, abs=60)


def test_short_prompts_hold_as_much_of_the_root_as_fits():
    """Where the law is that of whole prompts, lengths are the law's, and the last token is never shared."""
    laws = replace(LAWS, calls=Constant(1), first=Lognormal(80, 1.0), first_is_whole=True, shared=SharedText(100))
    inputs = np.array([calls[0].input_tokens for calls in drawn(laws, 3000)])
    assert np.median(inputs) == pytest.approx(80, rel=0.06)
    tree = PrefixTree()
    assert all(tree.add(calls[0].prefix) < calls[0].input_tokens for calls in drawn(laws, 300))


def test_new_tokens_may_count_the_answer():
    """Counted between prompts, a prompt grows by the new tokens or by the answer, whichever is more."""
    laws = replace(LAWS, new=Constant(90), output=Constant(70), new_includes_answer=True)
    grown = {b.input_tokens - a.input_tokens for calls in drawn(laws) for a, b in pairwise(calls)}
    assert grown == {90}


def test_dropped_reasoning_is_computed_again():
    """With reasoning dropped, the history grows by what is kept, and the answer is found in no cache."""
    laws = replace(LAWS, new=Constant(10), output=Constant(100), output_kept_frac=0.3)
    for calls in drawn(laws, 50):
        assert all(call.output_first_id is None for call in calls)
        assert all(b.input_tokens - a.input_tokens == 40 for a, b in pairwise(calls))


def test_an_edit_keeps_the_length_and_breaks_the_prefix():
    """After an edit a prompt is as long as it would be, but only the shared text and the kept part are known."""
    laws = replace(LAWS, break_frac=1.0, break_kept_frac=0.5, output=Constant(50), new=Constant(10))
    for calls in drawn(laws, 50):
        tree = PrefixTree()
        for before, after in pairwise(calls):
            tree.add(before.prefix)
            own = before.input_tokens + 50 - 130
            assert after.input_tokens == before.input_tokens + 60
            assert tree.add(after.prefix) == 130 + min(own // 2, before.input_tokens - 130)


def test_context_stays_within_its_limit():
    """No prompt and answer exceed the limit; a compaction lets the context fall to its share and breaks the prefix."""
    laws = replace(
        LAWS, calls=Constant(60), output=Constant(50), new=Constant(80), max_context_tokens=2000, compact_to_frac=0.4
    )
    falls = 0
    for calls in drawn(laws, 20):
        assert all(call.input_tokens + call.output_tokens <= 2000 for call in calls)
        for before, after in pairwise(calls):
            if after.input_tokens < before.input_tokens:
                falls += 1
                assert after.input_tokens == 800 + 80
                assert after.prefix[:2] == before.prefix[:2]
                assert after.prefix[2][0] >= before.output_first_id
    assert falls >= 20 * 3


def test_prompts_drawn_anew_share_the_root_only():
    """Without history every prompt is drawn whole, correlated with its answer as asked."""
    from scipy.stats import spearmanr

    laws = replace(LAWS, keeps_history=False, first_is_whole=True, rank_correlation=0.4, shared=SharedText(100))
    calls = [call for one in drawn(laws, 3000) for call in one]
    pairs = np.array([(call.input_tokens, call.output_tokens) for call in calls])
    assert spearmanr(pairs).statistic == pytest.approx(0.4, abs=0.03)
    tree = PrefixTree()
    assert {tree.add(call.prefix) for call in calls if call.input_tokens > 101} == {0, 100}


def test_pauses_are_a_mixture():
    """A quarter of the pauses are the person's, cut at their longest; the first call of a session has none."""
    calls = drawn(count=4000)
    assert all(one[0].gap_s == 0.0 for one in calls)
    gaps = np.array([call.gap_s for one in calls for call in one[1:]])
    assert np.mean(gaps == 100.0) == pytest.approx(0.25 * 0.305, abs=0.01), "P(N > ln(100 / 60))"
    assert np.median(gaps) == pytest.approx(7.7, rel=0.1)


def test_sub_agents_make_their_share_of_calls():
    """Sub-agents have a root of their own and make the share of calls asked for; a session waits for each group."""
    agents = SubAgents(replace(LAWS, calls=Constant(5), shared=SharedText(20)), 0.4, parallel=2)
    source = SyntheticSessions(replace(LAWS, calls=Constant(30)), agents)
    main = inner = 0
    for session in islice(source.sessions(Streams(2)), 300):
        while (step := session.next_step()) is not None:
            if isinstance(step, Fork):
                assert len(step.children) == 2
                inner += sum(len(list(calls_of(child))) for child in step.children)
            else:
                main += 1
    assert inner / (main + inner) == pytest.approx(0.4, abs=0.02)


def test_calls_together_are_a_fork():
    """Calls of one change are a group that starts within the time given, each with a prompt of its own."""
    laws = replace(LAWS, keeps_history=False, first_is_whole=True, together_within_s=10.0)
    for session in islice(SyntheticSessions(laws).sessions(Streams(3)), 50):
        assert session.steps_left == 1
        step = session.next_step()
        assert isinstance(step, Fork)
        starts = [next(calls_of(child)).gap_s for child in step.children]
        assert 0 <= min(starts) <= max(starts) < 10.0
        assert session.next_step() is None


def test_the_same_sessions_whatever_the_arrivals():
    """Sessions depend on seed and replication alone: not on the rate, nor on the order in which they are asked for."""
    slow = Workload.of_sessions(Poisson(0.1), SyntheticSessions(LAWS))
    fast = Workload.of_sessions(Poisson(10.0), SyntheticSessions(LAWS))
    first, second = (list(islice(w.arriving_sessions(Streams(5)), 40)) for w in (slow, fast))
    assert [s.arrival_s / 100 for s in first] == pytest.approx([s.arrival_s for s in second])
    interleaved = [[] for _ in second]
    for at in list(range(40))[::-1]:
        interleaved[at] = list(calls_of(second[at]))
    assert interleaved == [list(calls_of(session)) for session in first] == drawn(count=40, seed=5)
    assert drawn(count=40) != drawn(count=40, seed=2)


def test_a_break_moves_no_other_draw():
    """Changing one law leaves the draws of the others alone."""
    broken = drawn(replace(LAWS, break_frac=0.5))
    for calls, same in zip(drawn(), broken, strict=True):
        assert [(c.gap_s, c.input_tokens, c.output_tokens) for c in calls] == [
            (c.gap_s, c.input_tokens, c.output_tokens) for c in same
        ]


def test_closed_sessions_are_met_part_way():
    """The first sessions of a closed load begin at a drawn step and pause, those that follow at their start."""
    laws = replace(LAWS, calls=Constant(10))
    loop = Workload.of_sessions(ClosedLoop(500), SyntheticSessions(laws))
    sessions = list(islice(loop.arriving_sessions(Streams(1)), 520))
    left = np.array([session.steps_left for session in sessions])
    assert set(left[:500].tolist()) == set(range(1, 11))
    assert left[:500].mean() == pytest.approx(5.5, abs=0.5)
    assert set(left[500:].tolist()) == {10}
    assert [session.begins_whole for session in sessions[499:501]] == [False, True]
    part = next(session for session in sessions if session.steps_left == 4)
    whole = list(calls_of(list(islice(SyntheticSessions(laws).sessions(Streams(1)), 500))[int(part.session_id)]))
    assert [call[1:] for call in calls_of(part)] == [call[1:] for call in whole[6:]]


def test_a_workload_of_sessions_states_what_it_can():
    """Rates of requests are outcomes; lengths are sampled; single requests and a sample do not exist."""
    workload = Workload.of_sessions(Poisson(0.1), SyntheticSessions(LAWS))
    assert workload.mean_rate_rps is None
    lengths = np.array(list(islice(workload.lengths_stream(Streams(9)), 5000)))
    assert workload.mean_input_tokens == pytest.approx(lengths[:, 0].mean(), rel=0.2)
    assert workload.mean_output_tokens == pytest.approx(lengths[:, 1].mean(), rel=0.1)
    with pytest.raises(ScenarioError, match="wait for their answers"):
        workload.requests(Streams(1))
    with pytest.raises(ScenarioError, match="wait for their answers"):
        sample(workload, Streams(1), count=5)
    with pytest.raises(ScenarioError, match="has no sessions"):
        Workload(Poisson(1.0), workload.lengths).arriving_sessions(Streams(1))


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"break_frac": 1.5}, "break_frac"),
        ({"output_kept_frac": -0.1}, "output_kept_frac"),
        ({"max_context_tokens": 0}, "max_context_tokens"),
        ({"abandon_after_s": 0.0}, "abandon_after_s"),
        ({"rank_correlation": 0.4}, "rank_correlation"),
    ],
)
def test_impossible_laws_are_refused(change, key):
    """A law that cannot be names its key."""
    with pytest.raises(ScenarioError, match=key):
        replace(LAWS, **change)


def test_call_is_what_the_engine_needs():
    """A call is a plain tuple of pause, lengths and content."""
    call = drawn(count=1)[0][0]
    assert type(call) is Call
    assert type(call.input_tokens) is type(call.output_tokens) is int
    assert type(call.gap_s) is float
