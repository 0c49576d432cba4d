"""What can be said about expert parallelism in one step: spread of the hottest GPU, dispatch modes, rebalancing."""

from __future__ import annotations

from collections.abc import Iterator

from sim.steptime.deepep import Crossover, crossover
from sim.steptime.expert_operations import hottest_rank_of, rebalancing_of
from sim.steptime.inputs import LawInputs
from sim.steptime.kernel import KernelStepLaw
from sim.steptime.overlap import TwoBatchLaw
from sim.steptime.routing import load_quantiles, mean_loads
from sim.units import MILLISECOND

_LEVELS = (0.1, 0.5, 0.9, 0.99)


def expert_facts(law: KernelStepLaw, total_tokens: int) -> list[str]:
    """Sentences for the breakdown of a step with `total_tokens` tokens; empty without expert parallelism."""
    if law.inputs.layout.expert_parallel_size == 1 or total_tokens < 1:
        return []
    return [*_hottest(law.inputs, total_tokens), *_rebalancing(law.inputs, total_tokens), *_modes(law.inputs)]


def expert_caveats(law: KernelStepLaw, decode_seqs: int) -> list[str]:
    """Where expert parallelism is used beyond what was measured or what the engine does."""
    inputs = law.inputs
    lines = [*_balancer(inputs), *_dispatch(inputs, decode_seqs)]
    if isinstance(law, TwoBatchLaw):
        lines.append(
            "two-batch overlap hides dispatch and combine behind computing as far as that lasts, without waiting for "
            "other ranks; no overlapped step was measured."
        )
    if inputs.layout.enable_expert_parallel and inputs.layout.expert_tensor_parallel_size > 1:
        lines.append("experts that are both spread and sliced run the kernels of sliced ones: assumed.")
    return lines


def _hottest(inputs: LawInputs, tokens: int) -> Iterator[str]:
    """Mean and spread of the hottest GPU's load, by group of layers."""
    for group in inputs.groups:
        hottest = hottest_rank_of(inputs, group)
        pairs, active = hottest.load(tokens)
        mean = tokens * inputs.spec.num_experts_per_token / hottest.ranks
        line = (
            f"{group.layers} MoE layers, {group.imbalance}: the hottest of {hottest.ranks} GPUs gets "
            f"{pairs / mean:.2f} x the mean of {mean:,.0f} token-expert pairs and reads {active:.1f} of its "
            f"{hottest.slots:g} experts"
        )
        if group.imbalance.law == "fixed":
            yield f"{line}."
            continue
        p10, p50, p90, p99 = load_quantiles(hottest.routing, tokens, _LEVELS)
        over = "layers and steps" if group.imbalance.by_chance else "layers"
        yield f"{line}; over {over} p10 {p10:.2f}, p50 {p50:.2f}, p90 {p90:.2f}, p99 {p99:.2f} x."


def _rebalancing(inputs: LawInputs, tokens: int) -> Iterator[str]:
    """The pause for moving experts, and how often."""
    for group in inputs.groups:
        eplb = group.imbalance.eplb
        if eplb is None:
            continue
        received = mean_loads(hottest_rank_of(inputs, group).routing, tokens).received
        moving = rebalancing_of(inputs)
        pause_s = group.layers * moving.pause_s(received)
        yield (
            f"EPLB moves up to {received:.1f} experts per GPU and layer once in {eplb.step_interval:,} steps, "
            f"{group.layers * received * moving.expert_bytes / 1e9:.1f} GB per GPU: a pause of "
            f"{pause_s / MILLISECOND:.0f} ms, spread over the steps as "
            f"{pause_s / eplb.step_interval / MILLISECOND:.3f} ms each. Popularity keeps "
            f"{eplb.kept(eplb.step_interval):.2f} of its correlation over that time."
        )


def _modes(inputs: LawInputs) -> Iterator[str]:
    meet = crossover(inputs)
    if meet is not None:
        yield (
            f"Dispatch mode {inputs.deepep_mode}: DeepEP's normal mode takes less than low latency from "
            f"{_tokens(meet.exchange_tokens)} by dispatch and combine alone, from {_tokens(meet.layer_tokens)} with "
            f"the expert kernels of each mode; low-latency buffers hold {inputs.dispatch_limit_tokens} tokens per GPU."
        )


def _tokens(tokens: int | None) -> str:
    return "no number of tokens per GPU" if tokens is None else f"{tokens:,} tokens per GPU"


def _balancer(inputs: LawInputs) -> Iterator[str]:
    eplb = inputs.groups[0].imbalance.eplb
    if eplb is not None:
        yield (
            "load balancing: popularity drifts as a Gaussian copula with a half-life of "
            f"{eplb.drift_half_life_s:g} s{' (assumed)' if eplb.assumed else ''}, and the pause for moving experts is "
            "amortised over steps; neither was measured."
        )


def _dispatch(inputs: LawInputs, decode_seqs: int) -> Iterator[str]:
    if not inputs.spreads_tokens or not decode_seqs:
        return
    gpu_tokens = -(-decode_seqs // inputs.layout.tensor_parallel_size)
    if inputs.deepep_mode == "normal":
        yield "decode steps in DeepEP's normal mode run without CUDA graphs; the host time it adds is not charged."
        return
    if gpu_tokens > inputs.dispatch_limit_tokens:
        yield (
            f"low-latency dispatch of {gpu_tokens:,} tokens per GPU exceeds the {inputs.dispatch_limit_tokens:,} that "
            "its buffers hold (num_max_dispatch_tokens_per_rank): the engine must be configured for more."
        )
    meet: Crossover | None = crossover(inputs)
    if meet is not None and meet.layer_tokens is not None and gpu_tokens >= meet.layer_tokens:
        yield (
            f"from {meet.layer_tokens:,} tokens per GPU on, DeepEP's normal mode would take less time than the "
            f"low-latency mode of these steps with {gpu_tokens:,}."
        )
