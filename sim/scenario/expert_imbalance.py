"""How unevenly tokens fall on expert-parallel GPUs, and how the engine evens that out."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sim.scenario.section import Count, Fraction, Section

_PARAMETERS = {"power_law": "alpha", "fixed": "max_over_mean", "measured": "histogram"}


class _LawSection(Section):
    """A law of expert load with its parameter."""

    law: Literal["uniform", "power_law", "fixed", "measured"] | None = None
    """`uniform` routing, popularity by a power law, a fixed factor, or a measured histogram; without it, the catalog's
    default."""
    alpha: Annotated[float, Field(strict=True, ge=0.0, le=3.0)] | None = None
    """Skew of the power law."""
    max_over_mean: Annotated[float, Field(strict=True, ge=1.0, le=100.0)] | None = None
    """Load of the hottest GPU over the mean, for `fixed`."""
    histogram: str | None = None
    """CSV of tokens per expert, for `measured`: columns expert and tokens, and layer where layers differ."""

    @model_validator(mode="after")
    def _parameter_of_its_law(self) -> Self:
        needed = _PARAMETERS.get(self.law or "")
        for law, key in _PARAMETERS.items():
            given = getattr(self, key) is not None
            if given and key != needed:
                raise ValueError(f"{key} belongs to the law {law}")
            if not given and key == needed:
                raise ValueError(f"the law {self.law} needs {key}")
        return self


class LayerGroupSection(_LawSection):
    """MoE layers with a law of their own."""

    layers: Count | None = None
    """How many MoE layers; all groups give this, or all give layers_frac."""
    layers_frac: Fraction | None = None
    """Share of the MoE layers."""

    @model_validator(mode="after")
    def _layers_or_share(self) -> Self:
        if (self.layers is None) == (self.layers_frac is None):
            raise ValueError("a group needs either layers or layers_frac")
        return self


class EplbSection(Section):
    """Expert-parallel load balancer: places experts, and `layout.redundant_experts` copies of the hottest, by load."""

    window_size: Count | None = None
    """Steps over which load is counted; without it, vLLM's default."""
    step_interval: Count | None = None
    """Steps from one placement to the next; without it, vLLM's default."""
    drift_half_life_s: Annotated[float, Field(strict=True, ge=0.0, le=1e9)] | None = None
    """Time until popularity correlates by one half with what it was; 0 for no drift; without it, the catalog's."""
    typical_step_ms: Annotated[float, Field(strict=True, gt=0.0, le=1e6)] | None = None
    """Duration of a usual step, which turns steps into seconds of drift; without it, the catalog's."""


class ExpertImbalanceSection(_LawSection):
    """How unevenly tokens fall on expert-parallel GPUs; the hottest GPU sets the pace."""

    by_chance: bool = False
    """Draw the tokens of a step from the popularity, so that the hottest GPU fluctuates; otherwise expectations."""
    groups: list[LayerGroupSection] | None = None
    """Groups of MoE layers with laws of their own, instead of one law."""
    eplb: EplbSection | None = None
    """Load balancer; without it, experts lie in their order and copies are idle."""

    @model_validator(mode="after")
    def _groups_instead_of_a_law(self) -> Self:
        if self.groups is None:
            return self
        if self.law is not None:
            raise ValueError("law and groups exclude each other: give each group its law")
        shares = [group.layers_frac for group in self.groups]
        if not shares:
            raise ValueError("groups is empty")
        if any(share is None for share in shares):
            if any(share is not None for share in shares):
                raise ValueError("groups mix layers and layers_frac: use one of them for all")
        elif abs(sum(share for share in shares if share is not None) - 1.0) > 1e-6:
            raise ValueError(f"layers_frac of the groups add up to {sum(s for s in shares if s is not None):g}, not 1")
        return self

    @property
    def histograms(self) -> list[str]:
        """Files that the section names."""
        laws: list[_LawSection] = [self, *(self.groups or ())]
        return [law.histogram for law in laws if law.histogram is not None]
