"""When a client may try again: growing waits with jitter and a cap, and a budget of retries.

The budget keeps a retry surge in bounds, as Finagle and Envoy do: every request puts a share of a token into a bucket,
every retry takes one, and a retry that finds none does not happen.
"""

from __future__ import annotations

from collections.abc import Iterator

from sim.engine.plan import ClientPolicy
from sim.streams import Streams, blockwise


class Retries:
    """The waits and the budget of all clients.

    Attributes
    ----------
    tokens : retries that the budget still holds.
    """

    __slots__ = ("_policy", "_uniform", "tokens")

    def __init__(self, policy: ClientPolicy, streams: Streams) -> None:
        self._policy = policy
        self._uniform: Iterator[float] | None = None
        if policy.retry_jitter_frac > 0.0:
            self._uniform = blockwise(streams.generator("retry").random)
        self.tokens = policy.retry_budget_burst

    def sent(self) -> None:
        """A new request was sent for the first time."""
        policy = self._policy
        if policy.retry_budget_frac is not None:
            self.tokens = min(policy.retry_budget_burst, self.tokens + policy.retry_budget_frac)

    def allowed(self) -> bool:
        """Take one retry from the budget; whether there was one."""
        if self._policy.retry_budget_frac is None:
            return True
        if self.tokens < 1.0:
            return False
        self.tokens -= 1.0
        return True

    def wait_s(self, attempt: int) -> float:
        """Seconds before the retry that follows attempt `attempt`, the first of which is 0."""
        policy = self._policy
        seconds = min(policy.retry_backoff_max_s, policy.retry_backoff_s * policy.retry_backoff_factor**attempt)
        if self._uniform is None:
            return seconds
        return seconds * (1.0 + policy.retry_jitter_frac * (2.0 * next(self._uniform) - 1.0))
