"""From how many tokens on DeepEP's normal mode beats its low-latency mode."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from sim.catalog.tables import number
from sim.steptime.expert_operations import expert_operations, network_operations
from sim.steptime.imbalance import Imbalance
from sim.steptime.inputs import LawInputs

MOST_TOKENS = 1 << 17


@dataclass(frozen=True, slots=True)
class Crossover:
    """Fewest tokens per GPU from which normal mode takes no longer; None where low latency is always ahead.

    Attributes
    ----------
    exchange_tokens : by dispatch and combine alone.
    layer_tokens : with the expert kernels that go with each mode, for equal tokens on every rank and even routing.
    """

    exchange_tokens: int | None
    layer_tokens: int | None


def dispatch_limit_tokens() -> int:
    """Tokens per GPU that the buffers of low-latency mode hold, unless the scenario says otherwise."""
    return int(number("kernels", "deepep", "num_max_dispatch_tokens_per_rank"))


def crossover(inputs: LawInputs) -> Crossover | None:
    """Where both modes meet; None where nothing is dispatched.

    Low latency sends each token once per expert and starts sooner; normal mode sends it once per node.
    """
    if not inputs.spreads_tokens:
        return None
    even = replace(inputs, imbalance=Imbalance("uniform"), layer_groups=())
    modes = replace(even, deepep_mode="low_latency"), replace(even, deepep_mode="normal")
    exchanges = [network_operations(mode, "decode") for mode in modes]
    experts = [expert_operations(mode, "decode") for mode in modes]
    layout = inputs.layout

    def exchange_s(mode: int, gpu_tokens: int) -> float:
        return sum(line.seconds(gpu_tokens * layout.tensor_parallel_size) for line in exchanges[mode])

    def layer_s(mode: int, gpu_tokens: int) -> float:
        total = gpu_tokens * layout.stage_gpus
        return exchange_s(mode, gpu_tokens) + sum(line.seconds(total) for line in experts[mode])

    return Crossover(_first(exchange_s), _first(layer_s))


def _first(seconds: Callable[[int, int], float]) -> int | None:
    """Fewest tokens at which the second mode takes no longer than the first, by bisection: they cross once."""

    def normal_wins(tokens: int) -> bool:
        return seconds(1, tokens) <= seconds(0, tokens)

    low, high = 0, 1
    while not normal_wins(high):
        low, high = high, 2 * high
        if high > MOST_TOKENS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if normal_wins(middle) else (middle, high)
    return high
