"""Groups of MoE layers that route by laws of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from sim.errors import ScenarioError
from sim.steptime.imbalance import Imbalance, imbalance_of

_KEY = "expert_imbalance.groups"


@dataclass(frozen=True, slots=True)
class LayerGroup:
    """MoE layers that share a routing law.

    Attributes
    ----------
    layers : how many; which ones plays no part.
    imbalance : the law.
    """

    layers: int
    imbalance: Imbalance


def layer_groups(values: Mapping[str, object], num_moe_layers: int) -> tuple[LayerGroup, ...]:
    """The groups of a mapping with the key `groups`; empty without it.

    Each group has `layers` or `layers_frac`, and the keys of `sim.steptime.imbalance.imbalance_of`; `by_chance` and
    `eplb` of the mapping hold for all groups. Shares are rounded to whole layers, the largest remainders up.

    Raises
    ------
    ScenarioError : layers that do not add up to those of the model, or a law that cannot be.
    """
    groups = cast("Sequence[Mapping[str, object]] | None", values.get("groups"))
    if not groups:
        return ()
    common = {key: values.get(key) for key in ("by_chance", "eplb")}
    counts = _counts(groups, num_moe_layers)
    laws = [imbalance_of({**group, **common}) for group in groups]
    return tuple(LayerGroup(count, law) for count, law in zip(counts, laws, strict=True) if count)


def _counts(groups: Sequence[Mapping[str, object]], num_moe_layers: int) -> list[int]:
    given = [group.get("layers") for group in groups]
    if None not in given:
        counts = [int(cast("int", count)) for count in given]
        if sum(counts) != num_moe_layers:
            raise ScenarioError(
                "layers of the groups do not add up to the MoE layers of the model",
                key=f"{_KEY}.layers",
                value=sum(counts),
                valid=str(num_moe_layers),
            )
        return counts
    wanted = [float(cast("float", group["layers_frac"])) * num_moe_layers for group in groups]
    counts = [int(count) for count in wanted]
    by_remainder = sorted(range(len(wanted)), key=lambda i: counts[i] - wanted[i])
    for i in by_remainder[: num_moe_layers - sum(counts)]:
        counts[i] += 1
    return counts
