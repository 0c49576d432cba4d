"""How unevenly tokens fall on expert-parallel GPUs: pairs and touched experts of the hottest one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import log2
from typing import Final, Literal, cast, get_args

import numpy as np

from sim.catalog.tables import fact, number
from sim.errors import ScenarioError, nearest
from sim.llm.experts import distinct_experts
from sim.steptime.eplb import Eplb, eplb_of
from sim.steptime.popularity import Histogram, inverse
from sim.steptime.routing import HALF_OCTAVES, SEED, Routing, mean_loads

Law = Literal["uniform", "power_law", "fixed", "measured"]
LAWS: Final[tuple[str, ...]] = get_args(Law)
_ROW: Final = ("kernels", "expert_imbalance")


@dataclass(frozen=True, slots=True)
class Imbalance:
    """A routing law.

    Attributes
    ----------
    law : `uniform` (every GPU gets the mean), `power_law` (expert popularity with density x^-alpha), `fixed`, or
        `measured` (popularity of a histogram).
    alpha : skew of the power law, from 0.
    max_over_mean : load of the hottest GPU over the mean, for `fixed`, from 1.
    assumed : whether it is the catalog's default rather than the scenario's choice.
    histogram : measured popularity, for `measured`.
    by_chance : the pairs of a step are a sample of the popularity; otherwise each expert gets its expectation.
    eplb : load balancer that places experts and copies; loads are then drawn by chance.
    """

    law: Law
    alpha: float = 0.0
    max_over_mean: float = 1.0
    assumed: bool = False
    histogram: Histogram | None = None
    by_chance: bool = False
    eplb: Eplb | None = None

    def __str__(self) -> str:
        """The law in words."""
        own = {"power_law": f" (alpha {self.alpha:g})", "fixed": f" ({self.max_over_mean:g}x)"}.get(self.law, "")
        chance = " with chance" if self.by_chance and self.eplb is None else ""
        return f"{self.law}{own}{chance}{', EPLB' if self.eplb is not None else ''}"


def imbalance_of(values: Mapping[str, object]) -> Imbalance:
    """The law of a mapping with the keys of `Imbalance`; missing or None means the catalog's default.

    Raises
    ------
    ScenarioError : unknown law, a number out of range, a measured law without histogram, or a fixed factor where
        popularity is needed (chance, EPLB).
    """
    law = values.get("law")
    assumed = law is None
    if law is None:
        law = fact(*_ROW, "law").value
    if law not in LAWS:
        raise ScenarioError(
            "unknown expert imbalance law",
            key="expert_imbalance.law",
            value=law,
            valid=", ".join(LAWS),
            nearest=nearest(str(law), LAWS),
        )
    alpha = _parameter(values, "alpha", 0.0) if law == "power_law" else 0.0
    ratio = _parameter(values, "max_over_mean", 1.0) if law == "fixed" else 1.0
    histogram, eplb = values.get("histogram"), values.get("eplb")
    if (law == "measured") is not isinstance(histogram, Histogram):
        raise ScenarioError(
            "a histogram belongs to the law measured, which needs one", key="expert_imbalance.histogram"
        )
    balancer = eplb_of(cast("Mapping[str, object]", eplb)) if eplb is not None else None
    by_chance = bool(values.get("by_chance")) or balancer is not None
    if by_chance and law == "fixed":
        raise ScenarioError(
            "a fixed factor says nothing about single experts, which by_chance and eplb need",
            key="expert_imbalance.law",
            value=law,
            valid="uniform, power_law, measured",
        )
    return Imbalance(
        cast("Law", law),
        alpha,
        ratio,
        assumed,
        histogram if isinstance(histogram, Histogram) else None,
        by_chance,
        balancer,
    )


@dataclass(frozen=True, slots=True)
class HottestRank:
    """Load of the hottest GPU that shares the experts of a layer.

    Attributes
    ----------
    num_experts, num_experts_per_token : routed experts E (without copies) and K.
    ranks : GPUs over which whole experts are spread; 1 when every GPU holds a slice of each.
    slots : experts on one GPU, copies included.
    imbalance : the law.
    """

    num_experts: int
    num_experts_per_token: int
    ranks: int
    slots: float
    imbalance: Imbalance

    def load(self, tokens: int) -> tuple[float, float]:
        """(most token-expert pairs, most experts with at least one) for `tokens` tokens in all; (0, 0) for none."""
        if tokens <= 0:
            return 0.0, 0.0
        mean = tokens * self.num_experts_per_token / self.ranks
        law = self.imbalance
        if law.by_chance or law.law == "measured":
            loads = mean_loads(self.routing, tokens)
            return self._bounded(tokens, mean * loads.over_mean, self.slots * loads.touched_frac)
        if law.law == "power_law":
            over_mean, frac = hottest_rank(self.num_experts, self.num_experts_per_token, self.ranks, law.alpha, tokens)
            return self._bounded(tokens, mean * over_mean, self.slots * frac)
        ratio = law.max_over_mean if self.ranks > 1 else 1.0
        touched = distinct_experts(self.num_experts, self.num_experts_per_token, tokens * ratio)
        return self._bounded(tokens, mean * ratio, self.slots * touched / self.num_experts)

    @property
    def routing(self) -> Routing:
        """What loads are drawn for; uniform popularity where the law is a fixed factor."""
        law = self.imbalance
        alpha = law.alpha if law.law == "power_law" else None
        slots = round(self.slots * self.ranks)
        experts, chosen = self.num_experts, self.num_experts_per_token
        return Routing(experts, chosen, self.ranks, slots, alpha, law.histogram, law.by_chance, law.eplb)

    def _bounded(self, tokens: int, pairs: float, active: float) -> tuple[float, float]:
        """No GPU gets more pairs than a token has experts there, and some GPU gets a whole pair."""
        most = tokens * min(float(self.num_experts_per_token), self.slots)
        pairs = min(max(pairs, 1.0), most)
        return pairs, min(max(active, 1.0), pairs, self.slots)


def hottest_rank(
    num_experts: int, num_experts_per_token: int, ranks: int, alpha: float, tokens: int
) -> tuple[float, float]:
    """(load of the hottest GPU over the mean, largest share of a GPU's experts that get a token) under a power law.

    Popularity of each expert has density x^-alpha on [1, max(1, 0.8 N)] for N tokens, as the AIConfigurator collectors
    draw it (1.01 there). A layer lasts as long as its slowest GPU: the one with most pairs when math bounds it, the one
    with most touched experts when weight traffic does; the two maxima are taken apart. Averaged over fixed draws and
    interpolated in log N, so that equal arguments give equal answers; the standard error over draws is below 1.5 %.

    Checked for 256 experts and top-8 against 200 other draws: 1.64 to 2.12 at EP16 and alpha 1.01 for 256 to 65536
    tokens (here within 3 %); skewed H100 kernels (DeepGEMM masked) within 5.5 % in the median, without a refit.
    """
    table = _table(num_experts, num_experts_per_token, ranks, alpha)
    position = min(max(2.0 * log2(tokens), 0.0), float(HALF_OCTAVES))
    low = min(int(position), HALF_OCTAVES - 1)
    part = position - low
    (ratio0, frac0), (ratio1, frac1) = table[low], table[low + 1]
    return ratio0 + part * (ratio1 - ratio0), frac0 + part * (frac1 - frac0)


@lru_cache(maxsize=64)
def _table(num_experts: int, chosen: int, ranks: int, alpha: float) -> tuple[tuple[float, float], ...]:
    draws = int(number(*_ROW, "draws"))
    uniform = np.random.Generator(np.random.PCG64(SEED)).random((draws, num_experts))
    top_frac = number(*_ROW, "highest_popularity_frac")
    lowest = number(*_ROW, "lowest_popularity")
    rows = []
    for half in range(HALF_OCTAVES + 1):
        tokens = 2.0 ** (half / 2)
        popularity = inverse(uniform, alpha, lowest, max(lowest, top_frac * tokens))
        expected = popularity / popularity.sum(axis=1, keepdims=True) * (tokens * chosen)
        parts = np.array_split(expected, ranks, axis=1)
        hottest = np.stack([part.sum(axis=1) for part in parts]).max(axis=0)
        most_touched = np.stack([(-np.expm1(-part)).mean(axis=1) for part in parts]).max(axis=0)
        rows.append((float(hottest.mean()) * ranks / (tokens * chosen), float(most_touched.mean())))
    return tuple(rows)


def _parameter(values: Mapping[str, object], key: str, lowest: float) -> float:
    value = values.get(key)
    if value is None:
        return number(*_ROW, key)
    if not isinstance(value, int | float) or not lowest <= value <= 100.0:
        raise ScenarioError("out of range", key=f"expert_imbalance.{key}", value=value, valid=f"from {lowest:g} to 100")
    return float(value)
