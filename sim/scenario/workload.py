"""What the clients send: one source of requests, or a mixture of tenants."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from sim.scenario.mix import MixSection
from sim.scenario.source import SourceSection


class WorkloadSection(SourceSection):
    """The load: a `preset`, laws or a `trace`, as single requests, `sessions` or `batch`; or a `mix` of such loads."""

    mix: MixSection | None = None
    """Tenants that share the cluster, each with a load of its own, in place of all other keys."""

    @property
    def empty(self) -> bool:
        """Whether the requests come from the parts of a mix."""
        return self.mix is not None

    @property
    def sources(self) -> dict[str, SourceSection]:
        """Every source of requests, by dotted name below `workload`; that of a load without a mix has none."""
        if self.mix is None:
            return {"": self}
        return {f"mix.parts.{name}": part for name, part in self.mix.parts.items()}

    @property
    def has_limits(self) -> bool:
        """Whether a part has limits of its own, or due times."""
        sources = self.sources.values()
        return any(part.batch is not None or getattr(part, "slo", None) is not None for part in sources)

    @model_validator(mode="after")
    def _mix_alone(self) -> Self:
        if self.mix is not None:
            given = sorted(self.model_fields_set - {"mix"})
            given = [key for key in given if getattr(self, key) is not None]
            if given:
                raise ValueError(f"the parts of a mix say all about the load: remove {', '.join(given)}, or mix")
        return self
