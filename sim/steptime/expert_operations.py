"""What all attention ranks do together: routed experts on the hottest GPU, and the traffic around them."""

from __future__ import annotations

from collections.abc import Callable

from sim.llm.formats import weight_format
from sim.steptime.collectives import GatherScatter, GroupExchange
from sim.steptime.dispatch import LowLatency, Normal
from sim.steptime.eplb import Rebalancing
from sim.steptime.experts import GroupedExperts, RoutedExperts
from sim.steptime.imbalance import HottestRank
from sim.steptime.inputs import LawInputs, Phase
from sim.steptime.kernels import kernel as kernel_of
from sim.steptime.layer_groups import LayerGroup
from sim.steptime.operation import Cost, TokenOperation
from sim.steptime.routing import mean_loads


def expert_operations(inputs: LawInputs, phase: Phase) -> tuple[TokenOperation, ...]:
    """Routed experts, by tokens of all ranks."""
    spec, weights = inputs.spec, inputs.routed
    if not spec.num_experts:
        return ()
    wide = "wide_" if inputs.spreads_tokens else ""
    kernel = inputs.engine_kernel(f"experts_{wide}{inputs.dispatch_phase(phase)}_{weights.kernels}")
    width = _slice_width(inputs)
    grouped = GroupedExperts(kernel, weights, spec.expert_hidden_size, width, inputs.hardware.hbm_bytes_per_s)
    groups = inputs.groups
    return tuple(
        TokenOperation(
            "routed experts" if len(groups) == 1 else f"routed experts, {group.imbalance}",
            group.layers,
            kernel,
            RoutedExperts(grouped, hottest_rank_of(inputs, group)).cost,
        )
        for group in groups
    )


def hottest_rank_of(inputs: LawInputs, group: LayerGroup) -> HottestRank:
    """Load of the hottest GPU in the layers of a group."""
    spec, layout = inputs.spec, inputs.layout
    ranks = layout.expert_parallel_size
    slots = (spec.num_experts + layout.redundant_experts) / ranks
    return HottestRank(spec.num_experts, spec.num_experts_per_token, ranks, slots, group.imbalance)


def amortised_operations(inputs: LawInputs) -> tuple[TokenOperation, ...]:
    """What happens once in many steps and is spread over them, by tokens of all ranks: placing experts anew."""
    return tuple(_rebalancing(inputs, group) for group in inputs.groups if group.imbalance.eplb is not None)


def _rebalancing(inputs: LawInputs, group: LayerGroup) -> TokenOperation:
    eplb, moving = group.imbalance.eplb, rebalancing_of(inputs)
    assert eplb is not None
    routing, interval = hottest_rank_of(inputs, group).routing, eplb.step_interval

    def cost(tokens: int) -> Cost:
        return moving.cost(mean_loads(routing, max(1, tokens)).received, interval)

    own = "" if len(inputs.groups) == 1 else f", {group.imbalance}"
    return TokenOperation(f"EPLB rebalance, amortised{own}", group.layers, moving.kernel, cost)


def rebalancing_of(inputs: LawInputs) -> Rebalancing:
    """What moving experts of one layer costs."""
    nodes = -(-inputs.layout.stage_gpus // inputs.hardware.gpus_per_node)
    expert_bytes = 3.0 * inputs.spec.expert_hidden_size * _slice_width(inputs) * inputs.routed.bytes_per_weight
    return Rebalancing(kernel_of("expert_rebalance"), inputs.hardware, nodes, expert_bytes)


def _slice_width(inputs: LawInputs) -> float:
    """Expert width on one GPU; padding is read and multiplied like weights.

    Only where the slicing is even (`sim.llm.divisibility`); a law asked for any other divides the width.
    """
    width, ranks = inputs.spec.moe_intermediate_size, inputs.layout.expert_tensor_parallel_size
    if width % ranks:
        return width / ranks
    return float(weight_format(inputs.weights).routed_experts.slice_width(width, ranks))


def network_operations(inputs: LawInputs, phase: Phase) -> tuple[TokenOperation, ...]:
    """Dispatch and combine of spread experts, or gather and scatter around sliced ones, by tokens of the busiest rank.

    With one attention rank every GPU already has all tokens, and the tensor all-reduce adds up the experts; groups that
    divide prompts gather their tokens and scatter the results, in decode steps too.
    """
    if not inputs.spec.num_experts:
        return ()
    if inputs.layout.prefill_context_parallel_size > 1:
        return _prompt_gathers(inputs)
    if inputs.layout.data_parallel_size == 1:
        return ()
    return _exchanges(inputs, phase) if inputs.spreads_tokens else _gathers(inputs)


def _exchanges(inputs: LawInputs, phase: Phase) -> tuple[TokenOperation, ...]:
    spec, layout, hardware = inputs.spec, inputs.layout, inputs.hardware
    nodes = -(-layout.stage_gpus // hardware.gpus_per_node)
    lines = []
    for name, value_bytes in (("dispatch", 1.0), ("combine", 2.0)):
        kernel = inputs.engine_kernel(f"{name}_{inputs.dispatch_phase(phase)}")
        shape = nodes, spec.num_experts_per_token, spec.expert_hidden_size, layout.tensor_parallel_size
        low_latency = "one_node_us" in kernel.values
        exchange = (
            LowLatency(kernel, hardware, *shape, _over_mean(inputs))
            if low_latency
            else Normal(kernel, hardware, *shape, value_bytes)
        )
        lines.append(TokenOperation(name, spec.num_moe_layers, kernel, exchange.cost))
    return tuple(lines)


def _over_mean(inputs: LawInputs) -> Callable[[int], float]:
    """Token-expert pairs of the hottest GPU over the mean, by tokens of a rank; all ranks are taken to be as busy."""
    ranks = [(hottest_rank_of(inputs, group), group.layers) for group in inputs.groups]
    layers = sum(number for _, number in ranks)

    def over_mean(tokens: int) -> float:
        total = tokens * inputs.layout.data_parallel_size
        mean = total * inputs.spec.num_experts_per_token / inputs.layout.expert_parallel_size
        pairs = sum(number * rank.load(total)[0] for rank, number in ranks) / layers
        return pairs / mean if total else 1.0

    return over_mean


def _gathers(inputs: LawInputs) -> tuple[TokenOperation, ...]:
    spec, layout = inputs.spec, inputs.layout
    between = inputs.engine_kernel("inter_node")
    lines = []
    for name, purpose in (("all-gather", "all_gather"), ("reduce-scatter", "reduce_scatter")):
        kernel = inputs.engine_kernel(purpose)
        gather = GatherScatter(
            kernel, between, inputs.hardware, layout.stage_gpus, layout.data_parallel_size, spec.hidden_size
        )
        lines.append(TokenOperation(name, spec.num_moe_layers, kernel, gather.cost))
    return tuple(lines)


def _prompt_gathers(inputs: LawInputs) -> tuple[TokenOperation, ...]:
    """All-gather and reduce-scatter of hidden states in BF16 among the groups that divide prompts."""
    spec, layout = inputs.spec, inputs.layout
    between = inputs.engine_kernel("inter_node")
    lines = []
    for name, purpose in (("all-gather", "all_gather"), ("reduce-scatter", "reduce_scatter")):
        exchange = GroupExchange(
            inputs.engine_kernel(purpose),
            between,
            inputs.hardware,
            layout.prefill_context_parallel_size,
            layout.tensor_parallel_size,
        )
        used = exchange.kernel if layout.stage_gpus <= inputs.hardware.gpus_per_node else between
        lines.append(TokenOperation(name, spec.num_moe_layers, used, _hidden_exchange(exchange, spec.hidden_size)))
    return tuple(lines)


def _hidden_exchange(exchange: GroupExchange, hidden_size: int) -> Callable[[int], Cost]:
    """Cost of one exchange by the tokens of all groups."""

    def cost(tokens: int) -> Cost:
        message = 2.0 * tokens * hidden_size
        return Cost(exchange.seconds(message), 0.0, 0.0, exchange.network_bytes(message), "network")

    return cost
