"""Prompts as runs of token identities, and the cache without a limit."""

from __future__ import annotations

import doctest

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import sim.workload.runs
from sim.streams import Streams
from sim.workload.prefix_tree import PrefixTree, unlimited_hit_tokens
from sim.workload.request import RequestDraw
from sim.workload.runs import leading, length, merged, of_blocks
from sim.workload.sample import sample
from sim.workload.trace.blocks import HashBlocks
from sim.workload.trace.convert import write_mooncake
from sim.workload.trace.prefix import prefix_hit_frac
from sim.workload.trace.prompt_runs import PromptRuns
from sim.workload.trace.reader import read_trace
from sim.workload.trace.scale import replicate
from sim.workload.trace.trace import Trace
from sim.workload.workload import Workload

PROMPTS = st.lists(st.lists(st.tuples(st.integers(0, 12), st.integers(1, 7)), max_size=4), max_size=12)


def tokens(runs):
    return [first + i for first, n in runs for i in range(n)]


def common(a, b):
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def test_examples_hold():
    """The examples in the docstrings of the run functions are true."""
    assert doctest.testmod(sim.workload.runs).failed == 0


@given(PROMPTS)
def test_the_tree_finds_the_longest_common_prefix(prompts):
    """For any sequences, a look-up returns the longest prefix shared with an earlier one, token by token."""
    tree, seen = PrefixTree(), []
    for prompt in prompts:
        flat = tokens(prompt)
        assert tree.add(prompt) == max((common(flat, other) for other in seen), default=0)
        seen.append(flat)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 9)), max_size=8), st.integers(0, 60))
def test_cutting_and_merging_keep_the_tokens(runs, n):
    """Merging changes no token, and the leading part of runs is the leading part of their tokens."""
    assert tokens(merged(runs)) == tokens(runs)
    assert tokens(leading(runs, n)) == tokens(runs)[:n]
    assert length(runs) == len(tokens(runs))


def test_answers_are_cached_too():
    """A next turn finds its prompt and the answer before it; a request without a prefix shares nothing."""
    first = RequestDraw(0.0, 100, 20, prefix=((0, 100),), output_first_id=100)
    turn = RequestDraw(1.0, 150, 20, prefix=((0, 150),), output_first_id=None)
    alone = RequestDraw(2.0, 150, 20)
    assert unlimited_hit_tokens([first, turn, alone, turn]) == [(0, 100), (120, 150), (0, 150), (150, 150)]


def test_a_replayed_trace_carries_its_prefixes():
    """Blocks of 512 become runs, consecutive ones merged; the last, partial block ends with the prompt."""
    blocks = HashBlocks(np.array([0, 1, 7, 0, 1, 2]), np.array([0, 3, 6]), 512)
    trace = Trace(np.array([0.0, 1.0]), np.array([1100, 1536]), np.array([5, 6]), "made", None, blocks)
    first, second = Workload.from_trace(trace).requests(Streams(0))
    assert first.prefix == ((0, 1024), (3584, 76))
    assert second.prefix == ((0, 1536),)
    assert (first.output_first_id, second.session_id) == (None, None)
    assert of_blocks([3], 64, 90) == ((192, 64),), "a source of whole blocks leaves the rest to the request"


def test_prompts_as_runs_survive_conversion(tmp_path):
    """Written as Mooncake's blocks, prompts known by runs share exactly the whole blocks that they had in common."""
    prompts = PromptRuns.of([((0, 2000),), ((0, 1600), (9000, 400)), ((9000, 2000),)])
    trace = Trace(
        np.array([0.0, 1.0, 2.0]), np.array([2005, 2005, 2005]), np.array([1, 1, 1]), "made", None, None, prompts
    )
    write_mooncake(trace, tmp_path / "out.jsonl")
    again = read_trace(tmp_path / "out.jsonl")
    ids = again.blocks.rows()
    assert [len(row) for row in ids] == [4, 4, 4]
    assert ids[0][:3] == ids[1][:3]
    assert len({ids[0][3], ids[1][3], *ids[2]}) == 6
    assert prefix_hit_frac(again) == 3 * 512 / 6015


def test_copies_of_runs_share_nothing():
    """A trace laid over itself twice has twice the requests and the same share of hits."""
    prompts = PromptRuns.of([((0, 50),), ((0, 80),)])
    trace = Trace(np.array([0.0, 1.0]), np.array([50, 80]), np.array([1, 1]), "made", None, None, prompts)
    twice = replicate(trace, 2, shift_s=0.1)
    assert prefix_hit_frac(twice) == prefix_hit_frac(trace) == 50 / 130


def test_a_sampled_replay_keeps_its_prefixes():
    """A replay written down as a trace again tells the same prompts as the trace that it came from."""
    prompts = PromptRuns.of([((0, 50),), ((0, 80), (900, 7))])
    trace = Trace(np.array([0.0, 1.0]), np.array([50, 90]), np.array([1, 1]), "made", None, None, prompts)
    assert list(sample(Workload.from_trace(trace), Streams(0), count=2).prefixes()) == list(trace.prefixes())
