"""The layer that drafts tokens, seen as a model of one layer.

A multi-token-prediction layer is a layer of the main model with an input projection (hidden state and embedding side by
side), sharing the main model's head: 1.533 G weights per drafted token for GLM-5.2, head included.
"""

from __future__ import annotations

from dataclasses import replace

from sim.errors import ScenarioError
from sim.llm.formats import weight_format
from sim.llm.spec import ModelSpec
from sim.steptime.dsa import SparseLatentAttention
from sim.steptime.inputs import LawInputs
from sim.steptime.kernel import LawParts
from sim.steptime.law_parts import law_parts
from sim.steptime.operation import TokenOperation
from sim.steptime.precision import kept_weights


def draft_problem(spec: ModelSpec) -> str | None:
    """Why the model cannot draft, or None."""
    if not spec.mtp_layers:
        return f"{spec.name} has no multi-token-prediction layer, and drafts by another model are not modelled"
    if spec.recurrent_layers or spec.window_layers:
        return f"{spec.name} has layers with a window or a recurrent state, whose roll-back is not modelled"
    return None


def draft_inputs(inputs: LawInputs, queries: int) -> LawInputs:
    """Inputs of the law of one draft over `queries` tokens of every sequence.

    Checkpoints that keep the layer in BF16 are multiplied in BF16.

    Raises
    ------
    ScenarioError : the model cannot draft.
    """
    problem = draft_problem(inputs.spec)
    if problem is not None:
        raise ScenarioError(problem, key="num_speculative_tokens")
    chosen = weight_format(inputs.weights)
    kept = chosen.mtp_linear == chosen.kept and chosen.mtp_routed_experts == chosen.kept
    owners = (0,) if inputs.spec.indexer_layers else ()
    spec = replace(inputs.spec, num_layers=1, num_dense_layers=0, indexer_layers=owners)
    weights = "bf16" if kept else inputs.weights
    return replace(inputs, spec=spec, weights=weights, queries=queries, drafting=True, layer_groups=())


def draft_parts(inputs: LawInputs, host_overhead_s: float, host_status: str, *, indexer: bool) -> LawParts:
    """Operations of one draft; without `indexer` it reads the keys that the draft before it chose."""
    parts = law_parts(inputs, host_overhead_s, host_status)
    product = inputs.gemm(inputs.spec.hidden_size, 2 * inputs.spec.hidden_size, kept_weights(inputs.hardware))
    joined = TokenOperation("input projection", 1, product.kernel, product.cost)
    attention = parts.attention
    if not indexer and isinstance(attention, SparseLatentAttention):
        attention = replace(attention, spec=replace(inputs.spec, indexer_layers=()))
    return replace(parts, attention=attention, per_token=(joined, *parts.per_token))


def shares_choice(spec: ModelSpec) -> bool:
    """Whether drafts of one step reuse the keys that the first of them chose.

    GLM-5.2 says so (`index_share_for_mtp_iteration`); taken for every model whose layers share an indexer's choice.
    """
    return spec.has_sparse_attention and spec.num_indexer_layers < spec.num_layers
