"""Tokens routed to experts by chance: how loads of the hottest GPU are distributed over layers and steps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import log2
from typing import Final

import numpy as np

from sim.catalog.tables import number
from sim.steptime.eplb import ROW, Eplb
from sim.steptime.placement import Placement, balanced, in_order
from sim.steptime.popularity import Floats, Histogram, Measured, Popularity, PowerLaw, drifted, power_law

SEED: Final = 20260101  # fixed draws: the law is a pure function of its arguments
HALF_OCTAVES: Final = 48  # tables run from 1 to 2^24 tokens
_AGES = 4  # points of a rebalancing period at which loads are drawn


@dataclass(frozen=True, slots=True)
class Routing:
    """How tokens reach the GPUs of an expert-parallel group; keys the table of drawn loads.

    Attributes
    ----------
    num_experts, num_experts_per_token : routed experts E (without copies) and K.
    ranks, slots : GPUs over which whole experts are spread, and expert slots over all of them.
    alpha : skew of the power law; None for uniform popularity.
    histogram : measured popularity instead.
    by_chance : the pairs of a step are a multinomial sample of the popularity, not its expectation.
    eplb : experts are placed by load; None leaves them in their order, without copies.
    """

    num_experts: int
    num_experts_per_token: int
    ranks: int
    slots: int
    alpha: float | None
    histogram: Histogram | None
    by_chance: bool
    eplb: Eplb | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Loads:
    """Drawn loads of the hottest GPU, one entry for each drawn layer and step.

    Attributes
    ----------
    over_mean : most token-expert pairs on a GPU over the mean.
    touched_frac : largest share of a GPU's slots with at least one token.
    received : experts that the GPU with most of them fetches at a new placement, mean over layers; 0 without EPLB.
    """

    over_mean: Floats
    touched_frac: Floats
    received: float


@dataclass(frozen=True, slots=True)
class MeanLoads:
    """Means of `Loads`, interpolated in log N."""

    over_mean: float
    touched_frac: float
    received: float


def mean_loads(routing: Routing, tokens: float) -> MeanLoads:
    """Mean loads of the hottest GPU for `tokens` tokens in the group; see `drawn`.

    Checked: uniform routing by chance agrees with the closed form of the fullest of bins (`sim.oracle.balls_in_bins`).
    """
    stride = 1 if routing.eplb is None else 2  # balanced loads vary slowly, and placing experts takes a while
    position = min(max(2.0 * log2(tokens), 0.0), float(HALF_OCTAVES))
    low = min(int(position) // stride * stride, HALF_OCTAVES - stride)
    part = (position - low) / stride
    below, above = _means(routing, low), _means(routing, low + stride)
    return MeanLoads(*(float(a + part * (b - a)) for a, b in zip(below, above, strict=True)))


def load_quantiles(routing: Routing, tokens: float, levels: tuple[float, ...]) -> tuple[float, ...]:
    """Quantiles over layers and steps of the hottest GPU's load over the mean, at the nearest tabled token count."""
    stride = 1 if routing.eplb is None else 2
    half = min(max(stride * round(2.0 / stride * log2(tokens)), 0), HALF_OCTAVES)
    return tuple(float(value) for value in np.quantile(drawn(routing, half).over_mean, levels))


@lru_cache(maxsize=1024)
def _means(routing: Routing, half_octave: int) -> tuple[float, float, float]:
    loads = drawn(routing, half_octave)
    return float(loads.over_mean.mean()), float(loads.touched_frac.mean()), loads.received


@lru_cache(maxsize=256)
def drawn(routing: Routing, half_octave: int) -> Loads:
    """Loads for 2^(half_octave / 2) tokens: fixed draws, so that equal arguments give equal answers.

    Popularity is drawn per layer. By chance, the N K pairs of a step fall on experts, or on their copies in turn, as a
    multinomial sample: as if the K choices of a token were independent, which overstates their variance by K / E at
    most.

    With EPLB the balancer counts `window_size` steps, places experts, and loads are drawn at points spread evenly over
    the period until the next placement, while popularity drifts away from what was counted.
    """
    rng = np.random.Generator(np.random.PCG64([SEED, half_octave]))
    tokens = 2.0 ** (half_octave / 2)
    pairs = max(1, round(tokens * routing.num_experts_per_token))
    law = _law(routing, tokens)
    layers = _layers(routing)
    if routing.eplb is not None:
        return _rebalanced(routing, routing.eplb, law, pairs, layers, rng)
    shares = law.shares(law.start(rng, layers, routing.num_experts))
    return Loads(*hottest_loads(routing, shares, pairs, rng), 0.0)


def hottest_loads(routing: Routing, shares: Floats, pairs: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """(hottest load over mean, largest touched share) of each layer, experts in their order without copies.

    Parameters
    ----------
    shares : (layers, experts) popularity, each row adding up to 1.
    pairs : token-expert pairs of a step.
    """
    placement = in_order(shares.shape[0], routing.num_experts, routing.ranks)
    return _loads(routing, placement, shares, pairs, rng)


def _rebalanced(
    routing: Routing, eplb: Eplb, law: Popularity, pairs: int, layers: int, rng: np.random.Generator
) -> Loads:
    scores = law.start(rng, layers, routing.num_experts)

    def place(found: Floats) -> Placement:
        counted = rng.multinomial(pairs * eplb.window_size, law.shares(found)).astype(float)
        return balanced(counted, routing.ranks, routing.slots)

    placement = place(scores)
    drawn_loads = []
    for part in range(_AGES):
        steps = 0.5 * eplb.window_size + (part + 0.5) / _AGES * eplb.step_interval
        shares = law.shares(drifted(scores, eplb.kept(steps), rng))
        drawn_loads.append(_loads(routing, placement, shares, pairs, rng))
    following = place(drifted(scores, eplb.kept(eplb.step_interval), rng))
    over_mean, touched = (np.concatenate(column) for column in zip(*drawn_loads, strict=True))
    return Loads(over_mean, touched, float(following.received(placement).max(axis=1).mean()))


def _loads(
    routing: Routing, placement: Placement, shares: Floats, pairs: int, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """(hottest load over mean, largest touched share) of each layer."""
    reach = placement.slot_shares(shares)
    if routing.by_chance:
        landed = rng.multinomial(pairs, reach).astype(float)
        touched = (landed > 0).astype(float)
    else:
        landed = reach * pairs
        touched = -np.expm1(-landed)
    held = placement.by_rank(np.ones_like(landed))
    over_mean = placement.by_rank(landed).max(axis=1) * placement.ranks / pairs
    return over_mean, (placement.by_rank(touched) / np.maximum(held, 1.0)).max(axis=1)


def _law(routing: Routing, tokens: float) -> Popularity:
    if routing.histogram is not None:
        return Measured(routing.histogram)
    return PowerLaw(0.0, 1.0, 1.0) if routing.alpha is None else power_law(routing.alpha, tokens)


def _layers(routing: Routing) -> int:
    """How many layers are drawn; whole rounds of a measured histogram, so that its layers weigh the same."""
    draws = int(number("kernels", ROW if routing.eplb is not None else "expert_imbalance", "draws"))
    if routing.histogram is None:
        return draws
    measured = int(routing.histogram.shares.shape[0])
    return measured if not routing.by_chance else measured * -(-draws // measured)
