"""One coherent set of coefficients as they might be: kernels, engine constants, expert imbalance, acceptance, transfer.

Correlations: kernels of one family move together for all shapes; engine constants follow the kernels as their fit would
(`sim.study.calibrate.posterior`), so that what the fitted points determine stays determined; two residual factors, on
decoding and on prompt work, hold for all steps of a draw, and one on TTFT for all requests. All else is independent.
Every score comes from a stream of its own, so that a parameter that is added shifts no other.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp
from typing import Any, Final

from sim.catalog.tables import fact, number, table
from sim.scenario.scenario import Scenario
from sim.simulation.engine_constants import CONSTANTS, constant
from sim.simulation.roles import roles_of
from sim.steptime.kernel_draw import KernelDraw, between, families
from sim.streams import Streams

TABLE: Final = "engine_uncertainty"
DECODE: Final = ("host_overhead_ms", "sequence_overhead_us", "decode_time_factor", "expert_decode_time_factor")
PREFILL: Final = ("prefill_overhead_ms", "prefill_time_factor", "expert_prefill_time_factor")
ALPHA_STEP: Final = 0.05  # tables of expert loads are kept by exponent
MOST_FACTOR: Final = 20.0


@dataclass(frozen=True, slots=True)
class ModelDraw:
    """A scenario under one draw.

    Attributes
    ----------
    scenario : with the drawn constants written into its keys.
    kernels : how far kernels are from their fits.
    first_token_factor : of every TTFT, for what neither kernels nor constants explain; the scenario's limit on TTFT is
        already divided by it.
    """

    scenario: Scenario
    kernels: KernelDraw
    first_token_factor: float


def model_draw(scenario: Scenario, streams: Streams) -> ModelDraw:
    """The scenario under the draw of these streams; the same streams give the same draw anywhere.

    Constants that the scenario itself sets are taken as known, but for the residual factors.
    """

    def score(name: str) -> float:
        return float(streams.generator(f"model/{name}").standard_normal())

    scores = {family: score(f"kernel/{family}") for family in families()}
    own = {f"own_{index}": score(f"constant/{index}") for index in range(len(CONSTANTS))}
    changes = {f"deployment.engine.{name}": value for name, value in _constants(scenario, {**scores, **own}).items()}
    name = scenario.deployment.engine.name
    for key, place in (("decode", DECODE), ("prefill", PREFILL)):
        factor = exp(score(f"residual/{key}") * number(TABLE, name, f"{key}_residual_frac"))
        for item in place:
            changes[f"deployment.engine.{item}"] *= factor
    first = exp(score("residual/first_token") * number(TABLE, name, "first_token_residual_frac"))
    others: dict[str, Any] = {**changes}
    if scenario.slo.ttft_ms is not None:
        others["slo.ttft_ms"] = scenario.slo.ttft_ms / first
    others |= _imbalance(scenario, score("expert_imbalance"))
    others |= _acceptance(scenario, score("acceptance"))
    others |= _transfer(scenario, score("kv_transfer_efficiency"), score("kv_transfer_latency"))
    return ModelDraw(scenario.with_(others), KernelDraw(tuple(scores.items())), first)


def _constants(scenario: Scenario, scores: dict[str, float]) -> dict[str, float]:
    engine = scenario.deployment.engine
    facts = table(TABLE)[engine.name]
    found = {}
    for name in CONSTANTS:
        value = constant(scenario, name)
        if getattr(engine, name) is None:
            shift = sum(
                float(facts[key].value) * score for who, score in scores.items() if (key := f"{name}:{who}") in facts
            )
            value = min(MOST_FACTOR, value * exp(shift)) if name.endswith("_factor") else max(0.0, value + shift)
        found[name] = value
    return found


def _imbalance(scenario: Scenario, score: float) -> dict[str, Any]:
    """The exponent of expert popularity, where the catalog's default law holds."""
    section = scenario.deployment.expert_imbalance
    default = fact("kernels", "expert_imbalance", "alpha")
    if section.law is not None or section.groups is not None or default.low is None or default.high is None:
        return {}
    alpha = between(float(default.value), default.low, default.high, score)
    drawn = {"law": "power_law", "alpha": min(3.0, round(alpha / ALPHA_STEP) * ALPHA_STEP)}
    return {"deployment.expert_imbalance": {**section.model_dump(exclude_none=True), **drawn}}


def _acceptance(scenario: Scenario, score: float) -> dict[str, Any]:
    """Tokens per step of speculative decoding; a curve without a range takes the relative one of the assumed curve."""
    drafts = scenario.deployment.engine.num_speculative_tokens
    if not drafts or scenario.deployment.engine.acceptance_length is not None:
        return {}
    value = roles_of(scenario)[0].planned.speculation.wanted_length
    spread = table("speculation")["any_model"].get(f"acceptance_length_{min(drafts, 5)}")
    if spread is None or spread.low is None or spread.high is None:
        return {}
    scale = value / float(spread.value)
    length = between(value, spread.low * scale, spread.high * scale, score)
    changes: dict[str, Any] = {"deployment.engine.acceptance_length": min(drafts + 1.0, max(1.0, length))}
    if scenario.deployment.engine.acceptance_curve != "auto":
        changes["deployment.engine.acceptance_curve"] = None
    return changes


def _transfer(scenario: Scenario, efficiency: float, latency: float) -> dict[str, Any]:
    pools = scenario.deployment.disaggregation
    if pools is None:
        return {}
    found = {}
    for key, parameter, score, top in (
        ("bandwidth_efficiency_frac", "kv_transfer_efficiency_frac", efficiency, 1.0),
        ("latency_ms", "kv_transfer_latency_ms", latency, 1e5),
    ):
        known = fact("engines", pools.prefill.engine.name, parameter)
        if getattr(pools.transfer, key) is None and known.low is not None and known.high is not None:
            value = between(float(known.value), known.low, known.high, score)
            found[f"deployment.disaggregation.transfer.{key}"] = min(top, value)
    return found
