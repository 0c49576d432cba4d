"""A mixture of tenants: named loads that share the cluster."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from sim.scenario.arrivals import PresetArrivals, Rate
from sim.scenario.section import Milliseconds, Section
from sim.scenario.source import SourceSection

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$")]
Share = Annotated[float, Field(strict=True, gt=0.0, le=1.0)]
SHARE_TOLERANCE = 1e-6


class PartSlo(Section):
    """Latency limits of one tenant in place of the scenario's."""

    ttft_ms: Milliseconds | None = None
    """Time to first token, at most."""
    tpot_ms: Milliseconds | None = None
    """Mean time per output token after the first, at most."""
    e2el_ms: Milliseconds | None = None
    """End-to-end latency, at most."""


class PartSection(SourceSection):
    """One tenant: the same keys as a workload of its own, and what sets it apart.

    Tenants share no text, and draw from random streams of their own: one that leaves does not move the others.
    """

    priority: Annotated[int, Field(strict=True, ge=-1000, le=1000)] | None = None
    """Lower goes first where the engine's scheduling policy looks at it; without it 0, and 1 for a batch."""
    share_frac: Share | None = None
    """Share of the mix's requests or tokens (`share_by`), in place of a rate of its own."""
    slo: PartSlo | None = None
    """Limits of this tenant in place of the scenario's; a batch is judged by its due time, and by these if given."""

    @property
    def rate_is_given_elsewhere(self) -> bool:
        """Whether the rate follows from the share."""
        return self.share_frac is not None

    @model_validator(mode="after")
    def _share_or_own_rate(self) -> Self:
        if self.share_frac is None:
            return self
        if self.batch is not None or self.trace is not None:
            raise ValueError(f"{'batch' if self.batch is not None else 'trace'} has a size of its own: no share_frac")
        holder, arrivals = "arrivals", self.arrivals
        if self.sessions is not None:
            holder, arrivals = "sessions.arrivals", self.sessions.arrivals
            for key in ("rate_per_s", "concurrency"):
                if getattr(self.sessions, key) is not None:
                    raise ValueError(f"share_frac sets the rate: remove sessions.{key}")
        if arrivals is not None and not (isinstance(arrivals, PresetArrivals) and arrivals.rate_rps is None):
            raise ValueError(f"share_frac sets the rate: {holder} may only have week_profile and start_h of the preset")
        return self


class MixSection(Section):
    """Tenants by name, each a load of its own, merged in order of arrival."""

    parts: Annotated[dict[Name, PartSection], Field(min_length=1, max_length=100)]
    """The tenants."""
    share_by: Literal["requests", "tokens"] | None = None
    """What `share_frac` of the parts is a share of: one agent's call carries the tokens of sixty chats."""
    total_rate_rps: Rate | None = None
    """With `share_by: requests`: requests per second of all parts that have a share; calls of sessions count."""
    total_tokens_per_s: Annotated[float, Field(strict=True, gt=0.0, le=1e12)] | None = None
    """With `share_by: tokens`: their prompt and output tokens per second."""

    @model_validator(mode="after")
    def _shares_have_a_whole(self) -> Self:
        shares = [part.share_frac for part in self.parts.values() if part.share_frac is not None]
        totals = {"requests": "total_rate_rps", "tokens": "total_tokens_per_s"}
        given = [key for key in totals.values() if getattr(self, key) is not None]
        needed = [totals[self.share_by]] if self.share_by is not None else []
        if not shares and (self.share_by or given):
            raise ValueError(f"{given[0] if given else 'share_by'} has no meaning without share_frac in a part")
        if shares and self.share_by is None:
            raise ValueError("share_frac needs share_by: requests or tokens, and total_rate_rps or total_tokens_per_s")
        if given != needed:
            raise ValueError(f"share_by {self.share_by} needs {needed[0] if needed else 'nothing'} and no other total")
        if shares and abs(sum(shares) - 1.0) > SHARE_TOLERANCE:
            raise ValueError(f"share_frac of the parts adds up to {sum(shares):g}, not to 1")
        return self
