"""What the gateway lets each tenant do: requests at a time, requests per second, tokens per minute.

An attempt beyond a limit is turned away at once (HTTP 429, `throttled`) and never reaches a replica; the client tries
again with its ordinary back-off. Rates are token buckets that start full.
"""

from __future__ import annotations

from math import inf

from sim.engine.plan import TenantLimit
from sim.engine.request import Request
from sim.faults.token_bucket import Bucket
from sim.units import MINUTE_S


class _Account:
    """One tenant's state."""

    __slots__ = ("inside", "limit", "requests", "tokens")

    def __init__(self, limit: TenantLimit) -> None:
        self.limit = limit
        self.inside = 0
        self.requests = None if limit.rate_rps == inf else Bucket(limit.rate_rps, limit.burst)
        per_min = limit.tokens_per_min
        self.tokens = None if per_min == inf else Bucket(per_min / MINUTE_S, per_min)


class TenantLimits:
    """The limits of a gateway, and what each tenant has used of them."""

    def __init__(self, limits: tuple[TenantLimit, ...]) -> None:
        self._limits = {limit.tenant: limit for limit in limits}
        self._accounts: dict[int, _Account | None] = {}

    def _account(self, tenant: int) -> _Account | None:
        """State of a tenant; None for one without a limit."""
        if tenant not in self._accounts:
            limit = self._limits.get(tenant) or self._limits.get(None)
            self._accounts[tenant] = None if limit is None else _Account(limit)
        return self._accounts[tenant]

    def admits(self, request: Request, now_s: float) -> bool:
        """Whether an attempt is let in; if so it counts until `ended`."""
        account = self._account(request.tenant)
        if account is None:
            return True
        tokens = request.input_tokens + request.output_tokens
        if (
            account.inside >= account.limit.max_concurrent_requests
            or (account.requests is not None and not account.requests.covers(1.0, now_s))
            or (account.tokens is not None and not account.tokens.covers(tokens, now_s))
        ):
            return False
        account.inside += 1
        if account.requests is not None:
            account.requests.take(1.0)
        if account.tokens is not None:
            account.tokens.take(tokens)
        return True

    def ended(self, request: Request) -> None:
        """An attempt that was let in is over, one way or another."""
        account = self._account(request.tenant)
        if account is not None:
            account.inside -= 1
