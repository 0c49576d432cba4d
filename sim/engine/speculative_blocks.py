"""Paged KV of one attention rank whose sequences gain several tokens per step, by speculative decoding.

A sequence with S tokens stored when it joins holds, before its step s, the blocks of S + floor(s p / q) tokens and of
`lookahead_tokens` more, where p / q is the acceptance length: floor((u + s p) / (block_size q)) with
u = (S + lookahead_tokens + block_size - 1) q. With g = gcd(p, block_size q), that grows by p / g blocks in every
block_size q / g steps, and the steps in which it grows repeat; so counts by step modulo that cycle say how many blocks
any step allocates, as they do for one token per step.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import gcd

from sim.engine.blocks import BlockPool
from sim.engine.plan import EngineLimits


class SpeculativeBlockPool(BlockPool):
    """Free and held blocks, advanced by steps of `acceptance_length` tokens."""

    __slots__ = ("_units_per_block", "_units_per_step", "_units_per_token")

    def __init__(self, total: int, block_size: int, acceptance_length: Fraction, lookahead_tokens: int) -> None:
        self._units_per_step, self._units_per_token = acceptance_length.as_integer_ratio()
        self._units_per_block = block_size * self._units_per_token
        common = gcd(self._units_per_step, self._units_per_block)
        super().__init__(
            total, block_size, self._units_per_block // common, self._units_per_step // common, lookahead_tokens
        )

    def join(self, step: int, stored_tokens: int) -> None:
        """A sequence with `stored_tokens` cached begins to decode at `step`; it keeps the blocks it holds."""
        self.decoding += 1
        phases = self.phases
        for phase in self._phases(step, stored_tokens):
            phases[phase] += 1

    def stop(self, join_step: int, stored_at_join_tokens: int) -> None:
        """A decoding sequence grows no more; what becomes of its blocks is the caller's affair."""
        self.decoding -= 1
        phases = self.phases
        for phase in self._phases(join_step, stored_at_join_tokens):
            phases[phase] -= 1

    def _phases(self, join_step: int, stored_tokens: int) -> Iterator[int]:
        """Steps, modulo the cycle, of the blocks that one cycle allocates."""
        per_block, per_step, cycle = self._units_per_block, self._units_per_step, self.cycle_steps
        units = (stored_tokens + self.lookahead_tokens + self.block_size - 1) * self._units_per_token
        edge = per_block - units % per_block
        for _ in range(self.cycle_blocks):
            yield (join_step - 1 - -edge // per_step) % cycle  # in the step that reaches the edge
            edge += per_block


def block_pool(limits: EngineLimits) -> BlockPool:
    """The pool of one rank: the plain one where a step is one token per sequence."""
    drafts = limits.num_speculative_tokens
    if not drafts:
        return BlockPool(limits.num_kv_blocks, limits.block_size)
    return SpeculativeBlockPool(limits.num_kv_blocks, limits.block_size, limits.acceptance_length, drafts)
