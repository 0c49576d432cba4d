"""Paged KV of one attention rank: counts of blocks, advanced by steps.

A decoding sequence that holds a whole number of full blocks allocates one more in its next step. Which step that is,
modulo the block size, never changes while it decodes, so a histogram of phases says how many blocks any step
allocates, and any `block_size` consecutive steps allocate exactly one block per sequence.
"""

from __future__ import annotations


class BlockPool:
    """Free and held blocks.

    Attributes
    ----------
    cycle_steps, cycle_blocks : steps after which allocation repeats, and blocks that a sequence allocates in them:
        `block_size` and 1 where a step stores one token.
    lookahead_tokens : tokens beyond the stored ones that a sequence keeps blocks for (`sim.engine.speculative_blocks`).
    free : blocks that no running request holds, before step `step` allocates.
    cached : of these, blocks that a prefix cache still knows; what growth took of them counts until it is evicted.
    allocated, freed : totals since the start, for the identity allocated = freed + held + cached.
    """

    __slots__ = (
        "allocated",
        "block_size",
        "cached",
        "cycle_blocks",
        "cycle_steps",
        "decoding",
        "free",
        "freed",
        "lookahead_tokens",
        "phases",
        "step",
        "total",
    )

    def __init__(
        self,
        total: int,
        block_size: int,
        cycle_steps: int | None = None,
        cycle_blocks: int = 1,
        lookahead_tokens: int = 0,
    ) -> None:
        self.total = total
        self.block_size = block_size
        self.cycle_steps = cycle_steps or block_size
        self.cycle_blocks = cycle_blocks
        self.lookahead_tokens = lookahead_tokens
        self.allocated = self.freed = self.cached = 0
        self.free = total
        self.clear(0)

    def clear(self, step: int) -> None:
        """Free every block; the replica died or starts."""
        self.freed += self.total - self.free + self.cached
        self.cached = 0
        self.free = self.total
        self.decoding = 0
        self.phases = [0] * self.cycle_steps
        self.step = step

    @property
    def held(self) -> int:
        """Blocks held, before step `step` allocates."""
        return self.total - self.free

    def take(self, blocks: int) -> None:
        """Allocate `blocks`, which must be free."""
        self.free -= blocks
        self.allocated += blocks

    def give(self, blocks: int) -> None:
        """Free `blocks`."""
        self.free += blocks
        self.freed += blocks

    def advance(self, step: int) -> None:
        """Allocate what the steps up to, not including, `step` needed."""
        steps = step - self.step
        if steps == 0:
            return
        size, phases = self.cycle_steps, self.phases
        at = self.step % size
        if steps == 1:
            grown, rest = phases[at], 0
        elif steps < size:
            grown, rest = 0, steps
        else:
            full, rest = divmod(steps, size)
            grown = full * self.decoding * self.cycle_blocks
        if rest:
            end = at + rest
            grown += sum(phases[at:end]) if end <= size else sum(phases[at:]) + sum(phases[: end - size])
        self.free -= grown
        self.allocated += grown
        self.step = step

    def growth(self) -> int:
        """Blocks that step `step` allocates for decoding sequences."""
        return self.phases[self.step % self.cycle_steps]

    def join(self, step: int, stored_tokens: int) -> None:
        """A sequence with `stored_tokens` cached begins to decode at `step`; it keeps the blocks it holds."""
        self.decoding += 1
        self.phases[(step - stored_tokens) % self.block_size] += 1

    def leave(self, join_step: int, stored_at_join_tokens: int, stored_tokens: int) -> None:
        """A decoding sequence with `stored_tokens` cached by now stops and frees its blocks."""
        self.stop(join_step, stored_at_join_tokens)
        self.give(self.blocks_of(stored_tokens))

    def blocks_of(self, stored_tokens: int) -> int:
        """Blocks of a sequence with `stored_tokens` cached."""
        return -(-(stored_tokens + self.lookahead_tokens) // self.block_size)

    def stop(self, join_step: int, stored_at_join_tokens: int) -> None:
        """A decoding sequence grows no more; what becomes of its blocks is the caller's affair."""
        self.decoding -= 1
        self.phases[(join_step - stored_at_join_tokens) % self.block_size] -= 1

    def safe_until(self) -> int:
        """First step whose growth is not certain to fit: all steps before it do."""
        if self.decoding == 0:
            return 1 << 60
        cycles = self.free // (self.decoding * self.cycle_blocks)
        if cycles:
            return self.step + cycles * self.cycle_steps
        left, step, phases, size = self.free, self.step, self.phases, self.cycle_steps
        while True:
            left -= phases[step % size]
            if left < 0:
                return step
            step += 1
