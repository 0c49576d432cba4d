"""The prefix cache alone on published traces: hit rates that others have measured, or that follow from the file."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sim.engine.content import Segment
from sim.engine.path import Path as CachePath
from sim.engine.radix import RadixTree

BLOCK = 512
Lookup = tuple[int, int]


def rows(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt") as file:
        for line in file:
            yield json.loads(line)


def runs(ids: list[int], size: int) -> tuple[Segment, ...]:
    """Block ids as segments: neighbours are one."""
    found: list[list[int]] = []
    for block in ids:
        if found and found[-1][0] + found[-1][1] * size == block * size:
            found[-1][1] += 1
        else:
            found.append([block * size, 1])
    return tuple((key, blocks) for key, blocks in found)


def replay(path: Path, capacity_blocks: float) -> list[Lookup]:
    """(tokens found, tokens asked for) of each request: look up, touch last to first, evict down to capacity."""
    tree = RadixTree(BLOCK)
    cached = 0
    lookups = []
    for row in rows(path):
        content, blocks = runs(row["hash_ids"], BLOCK), len(row["hash_ids"])
        matched, _ = tree.match(content, blocks)
        lookups.append((min(matched * BLOCK, row["input_length"]), row["input_length"]))
        led = CachePath(content)
        shared, revived = tree.extend(led, blocks)
        assert (shared, revived) == (0, matched)
        assert tree.release(led) == blocks
        cached += blocks - matched
        if cached > capacity_blocks:
            tree.evict(int(cached - capacity_blocks))
            cached = int(capacity_blocks)
    assert cached == sum(node.blocks for node in tree.idle)
    return lookups


def hit_frac(lookups: list[Lookup]) -> float:
    return sum(found for found, _ in lookups) / sum(asked for _, asked in lookups)


CURVES = {
    "mooncake_fast25_conversation.jsonl.gz": (0.045, 0.067, 0.216, 0.332, 0.371, 0.374),
    "mooncake_fast25_synthetic.jsonl.gz": (0.086, 0.194, 0.432, 0.636, 0.651, 0.651),
}
CAPACITIES = (1_000, 3_000, 10_000, 30_000, 100_000, float("inf"))  # blocks of 512 tokens


@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize("index", range(len(CAPACITIES)))
def test_capacity_curve_of_mooncake(shared: Callable[[str], Path], name: str, index: int) -> None:
    """Token hit rate of an LRU cache of 0.5 to 51 million tokens, and of an infinite one, within half a point."""
    lookups = replay(shared(f"traces/{name}"), CAPACITIES[index])

    assert hit_frac(lookups) == pytest.approx(CURVES[name][index], abs=0.005)


def test_an_infinite_cache_on_mooncake(shared: Callable[[str], Path]) -> None:
    """37.36 % of the conversation's prompt tokens repeat earlier ones, 39.8 % in its second half; 65.12 % synthetic."""
    lookups = replay(shared("traces/mooncake_fast25_conversation.jsonl.gz"), float("inf"))
    synthetic = replay(shared("traces/mooncake_fast25_synthetic.jsonl.gz"), float("inf"))

    assert hit_frac(lookups) == pytest.approx(0.3736, abs=5e-5)
    assert hit_frac(lookups[len(lookups) // 2 :]) == pytest.approx(0.398, abs=5e-4)
    assert hit_frac(synthetic) == pytest.approx(0.6512, abs=5e-5)


def test_lru_of_ten_and_thirty_thousand_blocks_on_mooncake(shared: Callable[[str], Path]) -> None:
    """0.2157 and 0.3322 of the conversation's tokens, to the digits given."""
    path = shared("traces/mooncake_fast25_conversation.jsonl.gz")

    assert hit_frac(replay(path, 10_000)) == pytest.approx(0.2157, abs=5e-5)
    assert hit_frac(replay(path, 30_000)) == pytest.approx(0.3322, abs=5e-5)


def test_hits_within_claude_code_sessions(shared: Callable[[str], Path]) -> None:
    """96.3 % of the prompt tokens of 49,334 calls were sent before in the same session; a lookup costs its runs."""
    found = asked = calls = nodes = 0
    for session in rows(shared("traces/claude_code_sessions_rle.jsonl.gz")):
        size = session["block_size"]
        tree = RadixTree(size)
        flat = [
            call
            for request in session["requests"]
            for call in (request["requests"] if request["type"] == "subagent" else [request])
        ]
        for call in flat:
            content = tuple((first * size, last - first + 1) for first, last in call["hash_ranges"])
            blocks = sum(count for _, count in content)
            matched, _ = tree.match(content, blocks)
            found += min(matched * size, call["in"])
            asked += call["in"]
            calls += 1
            led = CachePath(content)
            tree.extend(led, blocks)
            tree.release(led)
        nodes += sum(1 for _ in tree.nodes())

    assert (calls, asked) == (49_334, 6_037_445_403)
    assert found / asked == pytest.approx(0.963, abs=0.0005)
    assert nodes < calls  # 122 thousand tokens in 1,912 blocks a call
