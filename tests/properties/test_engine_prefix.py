"""The prefix cache against a naive one that keeps block by block, and its counts after every operation."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.engine.blocks import BlockPool
from sim.engine.content import Contents
from sim.engine.path import Again, Path
from sim.engine.prefix_cache import PrefixCache, Shared
from sim.engine.radix import RadixTree
from sim.engine.request import Request, State
from sim.engine.totals import Totals
from sim.workload.runs import Runs
from tests.prefix_reference import Block, NaiveCache, blocks_of

run = st.tuples(st.sampled_from([0, 3, 4, 8, 16, 20, 40]), st.integers(1, 30))
prompt = st.lists(run, min_size=1, max_size=4).map(tuple)


def tokens_of(runs: Runs) -> list[int]:
    return [first + index for first, count in runs for index in range(count)]


@given(prompt, prompt, st.sampled_from([1, 3, 4, 16]))
@settings(max_examples=300)
def test_contents_agree_as_far_as_the_tokens_do(left: Runs, right: Runs, size: int) -> None:
    """Whole blocks of two contents are alike exactly where their tokens are, however the runs are cut."""
    contents = Contents(size)
    tree = RadixTree(size)
    first, second = tokens_of(left), tokens_of(right)
    led = Path(contents.of(left, len(first), 1, None))
    tree.extend(led, len(first) // size)
    matched, idle = tree.match(contents.of(right, len(second), 1, None), len(second) // size)

    common = 0
    while common < min(len(first), len(second)) and first[common] == second[common]:
        common += 1
    assert (matched, idle) == (common // size, 0)


Operation = tuple[str, Runs, int]
operations = st.lists(
    st.tuples(st.sampled_from(["lead", "lead", "lead", "release", "release", "evict"]), prompt, st.integers(0, 30)),
    min_size=1,
    max_size=40,
)


def check_tree(steps: list[Operation], size: int) -> None:
    tree, naive, contents = RadixTree(size), NaiveCache(), Contents(size)
    paths: list[tuple[Path, list[Block]]] = []
    for kind, runs, number in steps:
        if kind == "lead":
            tokens = tokens_of(runs)
            blocks = blocks_of(tokens, size)[: max(1, number)]
            content = contents.of(runs, len(tokens), 1, None)
            found = naive.match(blocks)
            idle = sum(block in naive.idle for block in blocks[:found])
            assert tree.match(content, len(blocks)) == (found, idle)
            path = Path(content)
            half = len(blocks) // 2
            counts = [tree.extend(path, blocks_so_far) for blocks_so_far in (half, len(blocks))]
            assert (sum(s for s, _ in counts), sum(r for _, r in counts)) == (found - idle, idle)
            naive.hold(blocks)
            paths.append((path, blocks))
        elif kind == "release" and paths:
            path, blocks = paths.pop(number % len(paths))
            before = len(naive.idle)
            naive.release(blocks)
            assert tree.release(path) == len(naive.idle) - before
        elif kind == "evict":
            tree.evict(naive.evict(number))
        nodes = list(tree.nodes())
        assert sum(node.blocks for node in nodes if node.holders) == len(naive.holders)
        assert sum(node.blocks for node in tree.idle) == len(naive.idle)
        assert sum(node.blocks for node in nodes) == len(naive.holders) + len(naive.idle)


@given(operations, st.sampled_from([1, 4]))
@settings(max_examples=300)
def test_the_tree_is_a_cache_of_single_blocks(steps: list[Operation], size: int) -> None:
    """Found, shared and idle blocks are those of a dict of blocks with an ordered dict of the idle ones."""
    check_tree(steps, size)


@pytest.mark.long
@given(operations, st.sampled_from([1, 4]))
@settings(max_examples=10_000)
def test_the_tree_is_a_cache_of_single_blocks_at_length(steps: list[Operation], size: int) -> None:
    """The same in many more sequences."""
    check_tree(steps, size)


def check_pool(steps: list[Operation], blocks: int) -> None:
    """Drive a pool as a rank does; every count is checked after every operation."""
    size = 4
    pool, totals = BlockPool(blocks, size), Totals()
    cache = PrefixCache(pool, Shared(size), totals)
    running: dict[Request, None] = {}

    def admit(runs: Runs, output: int) -> None:
        tokens = len(tokens_of(runs))
        request = Request(0.0, tokens, output + 1, None, runs, None)
        cache.fit()
        found, idle = cache.match(request)
        need = -(-(tokens + output) // size) - found
        assert found * size < tokens
        if need + idle > pool.free:
            return
        cache.hold(request, found)
        pool.take(need)
        request.blocks += need
        request.state = State.PREFILL
        running[request] = None

    def compute(request: Request) -> None:
        request.computed_tokens = request.target_tokens
        cache.store(request, request.computed_tokens)

    def stop(request: Request, stored: int) -> None:
        del running[request]
        cache.release(request, stored, request.blocks)
        request.blocks = 0

    def fail() -> None:
        for request in running:
            cache.stopped(request)
        pool.clear(0)
        cache.clear()
        for request in running:
            request.restart(Again.FAILED)
        running.clear()

    for kind, runs, number in steps:
        chosen = list(running)[number % len(running)] if running else None
        if kind == "lead":
            admit(runs, number)
        elif kind == "evict" and number < 3:
            fail()
        elif chosen is not None:
            compute(chosen)
            if number % 2:
                stop(chosen, chosen.input_tokens + chosen.output_tokens - 1)
            elif number % 3:
                stop(chosen, chosen.computed_tokens)
        shared_once_less = cache.audit(running)
        assert pool.allocated == pool.freed + pool.held + pool.cached
        assert pool.held == sum(request.blocks for request in running) - shared_once_less
        assert 0 <= pool.cached <= pool.free <= pool.total
    fail()
    assert (pool.free, pool.cached, pool.allocated) == (blocks, 0, pool.freed)


@given(operations, st.sampled_from([15, 25, 60]))
@settings(max_examples=300)
def test_blocks_are_conserved_after_every_operation(steps: list[Operation], blocks: int) -> None:
    """Allocated = freed + held + cached through admissions, completions, preemptions, evictions and failures."""
    check_pool(steps, blocks)


@pytest.mark.long
@given(operations, st.sampled_from([15, 25, 60]))
@settings(max_examples=10_000)
def test_blocks_are_conserved_at_length(steps: list[Operation], blocks: int) -> None:
    """The same in many more sequences."""
    check_pool(steps, blocks)
