"""The host memory of one attention rank, and the pipe between it and the GPUs of the rank.

Blocks can be found here as soon as they were evicted from the GPU, but a transfer to the GPU begins only when what was
queued to be written is through: the blocks that it fills must be out first.
"""

from __future__ import annotations

from collections.abc import Callable

from simpy import Environment

from sim.engine.content import Content
from sim.engine.link import Link
from sim.engine.request import Request
from sim.engine.tier import Tier, length_blocks
from sim.engine.tier_plan import HostPlan
from sim.engine.totals import Totals

Spill = Callable[[Content], None] | None


class HostTier:
    """Blocks in host memory, and requests that were swapped out.

    Attributes
    ----------
    tier : the blocks that lookups find.
    swapped : tokens of each request that was swapped out.
    """

    __slots__ = ("_plan", "_read", "_size", "_totals", "_write", "swapped", "tier")

    def __init__(self, env: Environment, plan: HostPlan, block_size: int, totals: Totals) -> None:
        self._plan = plan
        self._size = block_size
        self._totals = totals
        self._read = Link(env, plan.read_bytes_per_s)
        self._write = Link(env, plan.write_bytes_per_s)
        self.swapped: dict[Request, int] = {}
        self.tier = Tier(plan.num_blocks, block_size)

    def clear(self) -> None:
        """The node died."""
        self.swapped.clear()
        self.tier.clear()

    def write(self, content: Content, spill: Spill) -> None:
        """Keep a content whose end was evicted from the GPU; `spill` gets what had to make room."""
        if self._write.backlog_s > self._plan.max_write_backlog_s:
            blocks = length_blocks(content)
            self._totals.unwritten_tokens += (blocks - self.tier.match(content, blocks)) * self._size
            return
        tokens = self.tier.put(content, spill) * self._size
        if tokens:
            self._totals.host_written_tokens += tokens
            self._write.send(tokens * self._plan.token_bytes)

    def read(self, content: Content, blocks: int, tokens: int) -> float:
        """Send `tokens` tokens to the GPU, the last of the first `blocks` blocks; returns when that is over."""
        self.tier.touch(content, blocks)
        return self._read.send(tokens * self._plan.token_bytes, self._write.free_s)

    # ---- swap ---------------------------------------------------------------------------------------------------

    def swap_out(self, request: Request, tokens: int, spill: Spill) -> None:
        """Move a request that was just preempted here, if there is room beside others that were swapped out.

        Where all is stored but its last generated token, nothing is left to compute when it is back.

        Parameters
        ----------
        tokens : what it had stored; 0 while it was fetching.
        """
        if not self._plan.swap:
            return
        if request not in self.swapped:
            if tokens == 0 or not self.tier.reserve(self._blocks(tokens), spill):
                return
            self.swapped[request] = tokens
            self._totals.swapped_tokens += tokens
            self._write.send(tokens * self._plan.token_bytes)
        if request.generated and self.swapped[request] == request.target_tokens - 1:
            request.target_tokens -= 1

    def forget(self, request: Request) -> None:
        """A request needs what was swapped out no more."""
        self.tier.reserved -= self._blocks(self.swapped.pop(request, 0))

    def _blocks(self, tokens: int) -> int:
        return -(-tokens // self._size)

    def audit(self) -> None:
        """Check the counts of blocks.

        Raises
        ------
        IdentityError : they are wrong.
        """
        self.tier.audit(sum(map(self._blocks, self.swapped.values())))
