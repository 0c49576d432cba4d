"""What the simulated capacity costs, per option: the ledger of the fleet over the tokens it delivered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sim.cost.fleet import Fleet
from sim.cost.inputs import Input
from sim.cost.option import NOTHING_DELIVERED, CostOption
from sim.cost.options import options, priceable
from sim.cost.parameters import CostParameters, parameters
from sim.cost.power import PowerModel, TimeShares, power_model
from sim.cost.price_book import api_price
from sim.cost.tokens import TokenRates, effective_usd_per_mtok
from sim.errors import CatalogError, ScenarioError
from sim.scenario.scenario import Scenario
from sim.simulation.engine import node_of
from sim.simulation.memory import Planned
from sim.simulation.roles import nodes_in_service
from sim.stats.estimate import Estimate
from sim.stats.ratio import ratio_interval
from sim.study.metric import Metric
from sim.study.pools import PoolWindow
from sim.study.rates import RATES, Rate
from sim.study.window import Window

BILLED = "the provider's list price for all tokens of completed requests, whatever level of service it keeps"
SERVED_OUTPUT = Rate("output", "tokens/s", lambda w: w.totals.delivered_tokens, lambda w: w.seconds)
SERVED_TOTAL = Rate(
    "total", "tokens/s", lambda w: w.totals.delivered_tokens + w.totals.input_tokens_completed, lambda w: w.seconds
)
CACHED_INPUT = next(rate for rate in RATES if rate.metric == "prefix_hit_frac")
BILLED_GPUS = Rate("billed", "fraction", lambda w: w.totals.billed_s, lambda w: w.seconds * w.replicas)
GOOD_OUTPUT = Rate("output", "tokens/s", lambda w: w.totals.good_tokens, lambda w: w.seconds)
GOOD_TOTAL = Rate("total", "tokens/s", lambda w: w.totals.good_tokens + w.totals.good_input_tokens, lambda w: w.seconds)


@dataclass(frozen=True, slots=True)
class Money:
    """Options priced for one simulated fleet.

    Attributes
    ----------
    options : with their ledgers.
    metrics : cost figures with intervals, and the mean power of a node.
    inputs : every number of the catalog that they depend on.
    warnings : options that could not be priced, and why.
    """

    options: tuple[CostOption, ...]
    metrics: tuple[Metric, ...]
    inputs: tuple[Input, ...]
    warnings: tuple[str, ...]


def price(
    scenario: Scenario,
    planned: Planned,
    windows: Sequence[Window],
    note: str = "",
    pools: Sequence[PoolWindow] = (),
) -> Money:
    """Price the fleet of a scenario for what it delivered within the service level.

    Costs of own capacity are reservation-based: all nodes are paid around the clock, spares and staff included, for the
    tokens delivered within the service level (on demand only while an autoscaler keeps them, where there is one); their
    intervals are those of these tokens. The API is billed for all tokens of completed requests, since its customers
    would send them all; its cache is taken to find the share of input that the simulated one finds. Prices are taken as
    given.

    Raises
    ------
    CatalogError, ScenarioError : a price is missing or out of range.
    """
    power = power_model(scenario.hardware.gpu, node_of(scenario))
    node_kw = _node_kw_of_pools(pools, power) if pools else _node_kw(windows, power)
    fleet = Fleet(
        nodes=nodes_in_service(scenario),
        gpus_per_node=planned.layout.gpus_per_node,
        node_average_kw=node_kw.value or 0.0,
        spare_nodes=scenario.deployment.spare_nodes,
        spare_node_average_kw=power.idle_node_kw,
        power_inputs=power.inputs,
        billed_frac=_billed_frac(windows),
    )
    output, total = GOOD_OUTPUT.estimate(windows), GOOD_TOTAL.estimate(windows)
    terms = parameters(scenario.pricing.model_dump(), scenario.hardware.gpu, node_of(scenario))
    wanted = [name for name in scenario.pricing.options if name in priceable(terms)]
    served = SERVED_OUTPUT.estimate(windows), SERVED_TOTAL.estimate(windows)
    hit_frac = CACHED_INPUT.estimate(windows).value or 0.0
    own = options(terms, fleet, _token_rates(output, total), wanted=wanted)
    api = options(
        terms,
        fleet,
        _token_rates(*served, cached_frac=hit_frac),
        wanted=(),
        model=scenario.model.name,
        api_provider=scenario.pricing.api_provider,
    )
    priced = (*own, *api)
    metrics = [
        Metric.of(scenario.name, "node_power_mean_kw", "kW", node_kw),
        *(metric for option in own for metric in _figures(option, output, total, note)),
        *(metric for option in api for metric in _figures(option, *served, note="")),
    ]
    used = [item for option in priced for item in option.inputs]
    return Money(priced, tuple(metrics), tuple(used), tuple(_unpriced(scenario, terms)))


def _billed_frac(windows: Sequence[Window]) -> float:
    """Share of replica time that is paid where an autoscaler gives replicas back."""
    if not any(window.scales for window in windows):
        return 1.0
    return min(1.0, BILLED_GPUS.estimate(windows).value or 0.0)


def _token_rates(output: Estimate, total: Estimate, cached_frac: float = 0.0) -> TokenRates:
    """Output and input tokens per second, the input split into cached and computed."""
    per_s = max(0.0, output.value or 0.0)
    input_per_s = max(0.0, (total.value or 0.0) - per_s)
    return TokenRates(
        output_per_s=per_s,
        uncached_input_per_s=(1.0 - cached_frac) * input_per_s,
        cached_input_per_s=cached_frac * input_per_s,
    )


def check_prices(scenario: Scenario) -> None:
    """Refuse, before anything is simulated, prices with which nothing could be priced.

    Raises
    ------
    CatalogError, ScenarioError : a price is out of range, or the provider does not sell the model.
    """
    parameters(scenario.pricing.model_dump(), scenario.hardware.gpu, node_of(scenario))
    if scenario.pricing.api_provider is not None:
        try:
            api_price(scenario.model.name, scenario.pricing.api_provider)
        except CatalogError as error:
            raise ScenarioError(str(error), key="pricing.api_provider", file=scenario.file) from None


def _node_kw(windows: Sequence[Window], power: PowerModel) -> Estimate:
    """Mean power of a node in service over the window, with its interval."""
    spans = [window.seconds * window.replicas for window in windows]
    kept = [(window, span) for window, span in zip(windows, spans, strict=True) if span > 0.0]
    if not kept:
        return Estimate(None, note="nothing was measured")
    energies = [power.average_node_kw(_shares(window, span)) * span for window, span in kept]
    return ratio_interval(energies, [span for _, span in kept])


def _node_kw_of_pools(pools: Sequence[PoolWindow], power: PowerModel) -> Estimate:
    """The same over the nodes of two pools: prefill steps count as saturated, decode steps as decoding."""
    kept = [pool for pool in pools if pool.window.seconds > 0.0]
    if not kept:
        return Estimate(None, note="nothing was measured")
    energies = []
    for pool in kept:
        totals = pool.totals
        prefill_down = min(1.0, totals.prefill_down_s / pool.prefill_s)
        decode_down = min(1.0, totals.decode_down_s / pool.decode_s)
        prefill = min(1.0 - prefill_down, totals.prefill_busy_s / pool.prefill_s)
        decode = min(1.0 - decode_down, totals.decode_busy_s / pool.decode_s)
        prefill_kw = power.average_node_kw(
            TimeShares(max(0.0, 1.0 - prefill - prefill_down), 0.0, prefill, prefill_down)
        )
        decode_kw = power.average_node_kw(TimeShares(max(0.0, 1.0 - decode - decode_down), decode, 0.0, decode_down))
        energies.append(pool.window.seconds * (pool.prefill_nodes * prefill_kw + pool.decode_nodes * decode_kw))
    return ratio_interval(energies, [pool.window.seconds * (pool.prefill_nodes + pool.decode_nodes) for pool in kept])


def _shares(window: Window, span_s: float) -> TimeShares:
    """How a replica spent the window; steps with prompt tokens count as saturated."""
    totals = window.totals
    prefill = min(totals.prefill_step_s, totals.busy_s) / span_s
    busy, down = totals.busy_s / span_s, max(0.0, totals.down_s + totals.off_s) / span_s
    decode = max(0.0, busy - prefill)
    return TimeShares(
        idle_frac=max(0.0, 1.0 - prefill - decode - down), decode_frac=decode, max_frac=prefill, down_frac=down
    )


def _figures(option: CostOption, output: Estimate, total: Estimate, note: str) -> Iterator[Metric]:
    """Cost figures of one option; an API's cost per token is its price and has no interval."""
    name = option.option
    billed = "" if option.usd_per_gpu_hour is not None else BILLED
    yield Metric(name, "cost_usd_per_year", "USD/year", option.usd_per_year, note=billed)
    if option.usd_per_gpu_hour is not None:
        yield Metric(name, "cost_usd_per_gpu_hour", "USD/GPU/h", option.usd_per_gpu_hour)
    fixed = option.usd_per_gpu_hour is not None
    for metric, rate in (("cost_usd_per_mtok_output", output), ("cost_usd_per_mtok_total", total)):
        if rate.value is None or rate.value <= 0.0:
            yield Metric(name, metric, "USD/Mtok", None, note=option.reason or NOTHING_DELIVERED)
            continue
        low, high = (_at(option, rate.high), _at(option, rate.low)) if fixed else (None, None)
        yield Metric(name, metric, "USD/Mtok", _at(option, rate.value), low, high, note)


def _at(option: CostOption, tokens_per_s: float | None) -> float | None:
    """Cost per million when so many tokens are delivered for the same money."""
    if tokens_per_s is None or tokens_per_s <= 0.0:
        return None
    return effective_usd_per_mtok(option.usd_per_year, tokens_per_s)


def _unpriced(scenario: Scenario, terms: CostParameters) -> Iterator[str]:
    for name in scenario.pricing.options:
        if name not in priceable(terms):
            yield (
                f"The option {name} is not priced: the catalog has no price for {scenario.hardware.gpu}; "
                "give one in the pricing section."
            )
