"""Consistent hashing with bounded loads: same beginnings, same replica, unless it is busy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from sim.engine.plan import PrefixHash
from sim.engine.prefix_ring import PrefixRing
from sim.engine.replica import Replica
from sim.engine.request import Request


@dataclass
class Stub:
    """What the ring looks at."""

    index: int
    outstanding: int = 0


def replicas(count: int, outstanding: int = 0) -> list[Replica]:
    return cast("list[Replica]", [Stub(index, outstanding) for index in range(count)])


def prompt(first: int, shared: int = 300, tokens: int = 500) -> Request:
    return Request(0.0, tokens, 10, prefix=((first, shared),))


def test_the_same_beginning_goes_to_the_same_replica() -> None:
    """256 equal leading tokens decide, what follows does not; the way they are cut into runs does not either."""
    ring, up = PrefixRing(PrefixHash(), 8), replicas(8)
    cut = Request(0.0, 900, 10, prefix=((7000, 100), (7100, 500)))

    assert ring.choose(up, prompt(7000)) is ring.choose(up, prompt(7000, tokens=900)) is ring.choose(up, cut)


def test_different_beginnings_spread() -> None:
    """A thousand beginnings on eight replicas: each gets 125 give or take a quarter."""
    ring, up = PrefixRing(PrefixHash(), 8), replicas(8)
    chosen = [ring.choose(up, prompt(1000 * number)).index for number in range(1000)]

    assert all(90 <= chosen.count(index) <= 160 for index in range(8))


def test_a_prompt_of_its_own_is_like_no_other() -> None:
    """Prompts that share less than the hashed tokens are spread one by one."""
    ring, up = PrefixRing(PrefixHash(), 8), replicas(8)

    assert len({ring.choose(up, prompt(7000, shared=100)).index for _ in range(50)}) == 8


def test_a_busy_replica_is_passed_over() -> None:
    """Its load may be 1.25 times the mean, the new request counted; beyond that the next on the ring takes over."""
    ring, up = PrefixRing(PrefixHash(), 4), replicas(4, outstanding=10)
    favourite = ring.choose(up, prompt(7000))
    favourite.outstanding = 13
    assert ring.choose(up, prompt(7000)) is favourite  # 13 <= 1.25 x 44 / 4 = 13.75
    favourite.outstanding = 15
    assert ring.choose(up, prompt(7000)) is not favourite  # 15 > 1.25 x 46 / 4 = 14.375


def test_a_failed_replica_moves_only_its_own_prompts() -> None:
    """Nine in ten prompts of the others stay where they were; here all of them, as nobody is busy."""
    ring, up = PrefixRing(PrefixHash(), 8), replicas(8)
    before = [ring.choose(up, prompt(1000 * number)).index for number in range(200)]
    after = [ring.choose(up[:7], prompt(1000 * number)).index for number in range(200)]

    assert all(new == old for old, new in zip(before, after, strict=True) if old != 7)
    assert 7 not in after
