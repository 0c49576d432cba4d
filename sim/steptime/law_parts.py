"""The operations of a step, chosen for a model, layout, hardware and engine."""

from __future__ import annotations

from sim.steptime.attention_choice import attention_law
from sim.steptime.expert_operations import amortised_operations, expert_operations, network_operations
from sim.steptime.inputs import LawInputs
from sim.steptime.kernel import LawParts
from sim.steptime.rank_operations import logit_operations, rank_operations


def law_parts(inputs: LawInputs, host_overhead_s: float, host_status: str) -> LawParts:
    """Attention, lane operations, experts and network of one replica."""
    return LawParts(
        attention=attention_law(inputs),
        per_token=rank_operations(inputs),
        per_logit=logit_operations(inputs),
        experts=(expert_operations(inputs, "decode"), expert_operations(inputs, "prefill")),
        network=(network_operations(inputs, "decode"), network_operations(inputs, "prefill")),
        host_overhead_s=host_overhead_s,
        host_status=host_status,
        amortised=amortised_operations(inputs),
    )
