"""One pool of KV blocks for the whole cluster, as one attention rank reaches it over its network.

A prefix computed on one replica can be found by any other once it is written. The pool outlives every node.
"""

from __future__ import annotations

from collections import deque
from functools import partial

from simpy import Environment

from sim.engine.content import Content
from sim.engine.link import Link, call_at
from sim.engine.session_memory import common_blocks
from sim.engine.tier import Tier, length_blocks
from sim.engine.tier_plan import RemotePlan
from sim.engine.totals import Totals


class RemoteTier:
    """The way of one rank to the pool.

    Parameters
    ----------
    pool : the blocks, shared by all ranks of the cluster.

    Attributes
    ----------
    tier : the same.
    """

    __slots__ = ("_env", "_life", "_plan", "_receive", "_send", "_size", "_totals", "_underway", "tier")

    def __init__(self, env: Environment, plan: RemotePlan, block_size: int, totals: Totals, pool: Tier) -> None:
        self._env = env
        self._plan = plan
        self._size = block_size
        self._totals = totals
        self._receive = Link(env, plan.bytes_per_s, plan.latency_s)
        self._send = Link(env, plan.bytes_per_s, plan.latency_s)
        self._life = 0
        self._underway: deque[Content] = deque()
        self.tier = pool

    def clear(self) -> None:
        """The node died: what is on its way to the pool is lost, what is there stays."""
        self._life += 1
        self._underway.clear()

    def write(self, content: Content) -> None:
        """Send a content whose end was evicted above, as far as it is neither in the pool nor on its way from here."""
        blocks = length_blocks(content)
        known = self.tier.match(content, blocks)
        for sent in self._underway:
            known = max(known, common_blocks(sent, content, blocks))
        tokens = (blocks - known) * self._size
        if tokens == 0:
            self.tier.touch(content, blocks)
        elif self._send.backlog_s > self._plan.max_write_backlog_s:
            self._totals.unwritten_tokens += tokens
        else:
            self._totals.remote_written_tokens += tokens
            over_s = self._send.send(tokens * self._plan.write_token_bytes)
            self._underway.append(content)
            call_at(self._env, over_s, partial(self._written, content, self._life))

    def _written(self, content: Content, life: int) -> None:
        if life == self._life:
            self._underway.popleft()
            self.tier.put(content)

    def read(self, content: Content, blocks: int, tokens: int) -> float:
        """Send `tokens` tokens to the GPU, the last of the first `blocks` blocks; returns when that is over."""
        self.tier.touch(content, blocks)
        return self._receive.send(tokens * self._plan.read_token_bytes)
