"""KV tiers once more, block by block and transfer by transfer, without events: a list of what is on its way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sim.engine.tier_plan import HostPlan, RemotePlan
from tests.prefix_reference import Block, NaiveTier, add_unless_begun, blocks_of


@dataclass
class Pipe:
    """A link: when it is free again."""

    bytes_per_s: float
    latency_s: float = 0.0
    free_s: float = 0.0

    def send(self, size_bytes: float, now: float, not_before_s: float = 0.0) -> float:
        self.free_s = max(now, self.free_s, not_before_s) + size_bytes / self.bytes_per_s
        return self.free_s + self.latency_s


@dataclass
class Pool:
    """The remote pool, and what is on its way to it."""

    plan: RemotePlan
    block_size: int
    underway: list[tuple[float, Block, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.blocks = NaiveTier(self.plan.num_blocks, self.block_size)

    def settle(self, now: float) -> None:
        """Take in what has arrived by now."""
        self.underway.sort(key=lambda entry: entry[0])
        while self.underway and self.underway[0][0] <= now:
            self.blocks.put(self.underway.pop(0)[1])


class Tiers:
    """The tiers of one rank.

    Attributes
    ----------
    swapped : tokens of swapped-out jobs by identity.
    """

    def __init__(self, block_size: int, host: HostPlan | None, pool: Pool | None) -> None:
        self.block_size = block_size
        self.host = host
        self.pool = pool
        self.pending: list[Block] = []
        self.swapped: dict[int, int] = {}
        if host is not None:
            self.memory = NaiveTier(host.num_blocks, block_size)
            self.read, self.write = Pipe(host.read_bytes_per_s), Pipe(host.write_bytes_per_s)
        if pool is not None:
            self.receive = Pipe(pool.plan.bytes_per_s, pool.plan.latency_s)
            self.transmit = Pipe(pool.plan.bytes_per_s, pool.plan.latency_s)

    def near(self, sought: Sequence[Block]) -> int:
        return 0 if self.host is None else self.memory.match(sought)

    def find(self, job: object, found: int, sought: Sequence[Block], now: float) -> tuple[int, int]:
        """(tokens from the host, tokens from the pool)."""
        swapped = self.swapped.get(id(job), 0) - found * self.block_size
        if swapped > 0:
            return swapped, 0
        near = max(found, self.near(sought))
        far = near
        if self.pool is not None:
            self.pool.settle(now)
            far = max(near, self.pool.blocks.match(sought))
        return (near - found) * self.block_size, (far - near) * self.block_size

    def start(self, names: Sequence[Block], found: int, fetch: tuple[int, int], now: float) -> float:
        """When both transfers are over."""
        near = found + fetch[0] // self.block_size
        over = now
        if fetch[0] and self.host is not None:
            self.memory.touch(names[:near])
            over = self.read.send(fetch[0] * self.host.token_bytes, now, self.write.free_s)
        if fetch[1] and self.pool is not None:
            self.pool.settle(now)
            self.pool.blocks.touch(names[: near + fetch[1] // self.block_size])
            over = max(over, self.receive.send(fetch[1] * self.pool.plan.read_token_bytes, now))
        return over

    def spill(self, blocks: Sequence[Block]) -> None:
        for block in blocks:
            add_unless_begun(self.pending, block)

    def flush(self, now: float) -> None:
        pending, self.pending = self.pending, []
        for block in pending:
            if self.host is None:
                self.to_pool(block, now)
            elif self.write.free_s - now <= self.host.max_write_backlog_s:
                new, gone = self.memory.put(block)
                for each in gone:
                    self.to_pool(each, now)
                if new:
                    self.write.send(new * self.block_size * self.host.token_bytes, now)

    def to_pool(self, block: Block, now: float) -> None:
        if self.pool is None:
            return
        self.pool.settle(now)
        blocks = blocks_of(block, self.block_size)
        known = self.pool.blocks.match(blocks)
        for _, sent, owner in self.pool.underway:
            if owner == id(self):
                known = max(known, sum(sent[: len(each)] == each for each in blocks))
        if known == len(blocks):
            self.pool.blocks.touch(blocks)
        elif self.transmit.free_s - now <= self.pool.plan.max_write_backlog_s:
            missing = (len(blocks) - known) * self.block_size
            over = self.transmit.send(missing * self.pool.plan.write_token_bytes, now)
            self.pool.underway.append((over, block, id(self)))

    def swap_out(self, job: object, tokens: int, now: float) -> bool:
        """Whether a preempted job is kept here, from now or from before."""
        if self.host is None or not self.host.swap:
            return False
        if id(job) not in self.swapped:
            blocks = -(-tokens // self.block_size)
            if not tokens or self.memory.reserved + blocks > self.memory.capacity:
                return False
            self.memory.reserved += blocks
            for each in self.memory.make_room():
                self.to_pool(each, now)
            self.swapped[id(job)] = tokens
            self.write.send(tokens * self.host.token_bytes, now)
        return True

    def forget(self, job: object) -> None:
        self.memory_free(self.swapped.pop(id(job), 0))

    def memory_free(self, tokens: int) -> None:
        if tokens:
            self.memory.reserved -= -(-tokens // self.block_size)
