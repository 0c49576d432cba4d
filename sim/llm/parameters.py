"""How many parameters a model has, by component, and how many of them work on one token."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, get_args

from sim.llm.spec import ModelSpec
from sim.llm.tensors import Component, Tensor, inventory

COMPONENTS: Final[tuple[str, ...]] = (*get_args(Component), "mtp")


@dataclass(frozen=True, slots=True)
class ActiveParameters:
    """Parameters that one token is multiplied with. Publishers differ on what counts, so all three are kept.

    Attributes
    ----------
    matmul : with the head, without the embedding: what FLOPs are counted from.
    excluding_embedding_and_head : without both.
    including_embedding : with both.
    """

    matmul: int
    excluding_embedding_and_head: int
    including_embedding: int


def parameters_by_component(spec: ModelSpec) -> dict[str, int]:
    """Parameters of every component in `COMPONENTS`; all of the multi-token-prediction layers are under `mtp`."""
    totals = dict.fromkeys(COMPONENTS, 0)
    for tensor in inventory(spec):
        totals["mtp" if tensor.mtp else tensor.component] += _parameters(tensor)
    return totals


def main_parameters(spec: ModelSpec) -> int:
    """Parameters of the model itself, without multi-token-prediction layers (743,377,000,704 for GLM-5.2)."""
    return sum(_parameters(tensor) for tensor in inventory(spec) if not tensor.mtp)


def mtp_parameters(spec: ModelSpec, *, with_duplicates: bool = True) -> int:
    """Parameters of the multi-token-prediction layers (9,952,920,320 for GLM-5.2).

    Parameters
    ----------
    with_duplicates : count the embedding and head that some checkpoints store again (DeepSeek-V3: 1,853,358,080).
    """
    return sum(
        _parameters(tensor)
        for tensor in inventory(spec)
        if tensor.mtp and (with_duplicates or tensor.sharding != "not_loaded")
    )


def checkpoint_parameters(spec: ModelSpec) -> int:
    """Parameters of the whole checkpoint (753,329,921,024 for GLM-5.2)."""
    return main_parameters(spec) + mtp_parameters(spec)


def expert_parameters(spec: ModelSpec) -> int:
    """Parameters of one routed expert (37,748,736 for GLM-5.2); 0 for a dense model."""
    return 3 * spec.expert_hidden_size * spec.moe_intermediate_size


def attention_parameters_per_layer(spec: ModelSpec) -> int:
    """Parameters of one layer's attention projections, without norms and biases (165,019,648 for GLM-5.2)."""
    return sum(t.rows * t.columns for t in inventory(spec) if t.component == "attention" and not t.mtp)


def indexer_parameters_per_layer(spec: ModelSpec) -> int:
    """Parameters of one indexer's projections (9,371,648 for GLM-5.2); 0 without one."""
    return sum(t.rows * t.columns for t in inventory(spec) if t.component == "indexer" and not t.mtp)


@lru_cache(maxsize=64)
def active_parameters(spec: ModelSpec) -> ActiveParameters:
    """Parameters at work on one token (40,297,758,720 with the head for GLM-5.2). Norms and biases do not count."""
    vocabulary = spec.vocab_size * spec.hidden_size
    body = sum(_active(spec, t) for t in inventory(spec) if t.matmul and not t.mtp and t.component != "head")
    return ActiveParameters(body + vocabulary, body, body + 2 * vocabulary)


@lru_cache(maxsize=64)
def draft_parameters(spec: ModelSpec) -> int:
    """Parameters at work on one drafted token, with the shared head (1.533 G for GLM-5.2); 0 without MTP layers.

    The draft layer reuses selected keys over the draft steps, so its indexer does not count.
    """
    if not spec.mtp_layers:
        return 0
    work = sum(_active(spec, t) for t in inventory(spec) if t.matmul and t.mtp and t.component != "indexer")
    return work // spec.mtp_layers + spec.vocab_size * spec.hidden_size


def _parameters(tensor: Tensor) -> int:
    return tensor.elements if tensor.is_parameter else 0


def _active(spec: ModelSpec, tensor: Tensor) -> int:
    if tensor.component == "routed_experts":
        return tensor.elements // spec.num_experts * spec.num_experts_per_token
    return tensor.elements
