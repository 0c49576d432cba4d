"""How one replica spreads a model over GPUs.

vLLM's meanings: attention runs tensor-parallel inside each data-parallel rank; with expert parallelism the routed
experts spread over all tensor times data ranks; pipeline stages divide the layers. Decode context parallelism divides
the cache of an attention rank over its tensor-parallel GPUs by token; prefill context parallelism adds GPUs that share
the computation of prompts, each with a copy of the attention weights and of the cache.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Layout:
    """Parallel layout of one replica.

    Attributes
    ----------
    tensor_parallel_size : GPUs that share one attention rank's heads.
    pipeline_parallel_size : stages that divide the layers.
    data_parallel_size : attention ranks, each with its own queue, batch and KV pool, in lockstep.
    enable_expert_parallel : whole experts per GPU over tensor x data ranks; otherwise each expert is sliced over them.
    redundant_experts : extra expert copies, so that experts divide the ranks or load evens out.
    gpus_per_node : GPUs in one node; says which collectives leave the node.
    expert_ranks : groups of GPUs over which whole experts are spread, each expert sliced over the GPUs of a group; None
        for as many as tensor x data ranks, so that nothing is sliced.
    decode_context_parallel_size : tensor-parallel GPUs that divide each sequence's cache; adds no GPUs.
    prefill_context_parallel_size : groups of tensor-parallel GPUs that divide each prompt chunk; multiplies the GPUs.
    """

    tensor_parallel_size: int = 1
    pipeline_parallel_size: int = 1
    data_parallel_size: int = 1
    enable_expert_parallel: bool = False
    redundant_experts: int = 0
    gpus_per_node: int = 8
    expert_ranks: int | None = None
    decode_context_parallel_size: int = 1
    prefill_context_parallel_size: int = 1

    @property
    def num_gpus(self) -> int:
        """GPUs of one replica."""
        return self.stage_gpus * self.pipeline_parallel_size

    @property
    def stage_gpus(self) -> int:
        """GPUs of one pipeline stage, over which experts spread: tensor times prefill-context times data ranks."""
        return self.tensor_parallel_size * self.prefill_context_parallel_size * self.data_parallel_size

    @property
    def expert_parallel_size(self) -> int:
        """GPUs over which whole experts are spread; 1 means every GPU holds a slice of each expert."""
        if not self.enable_expert_parallel:
            return 1
        return self.stage_gpus if self.expert_ranks is None else self.expert_ranks

    @property
    def expert_tensor_parallel_size(self) -> int:
        """GPUs over which each expert is sliced."""
        return self.stage_gpus // self.expert_parallel_size

    @property
    def num_nodes(self) -> int:
        """Nodes that one replica occupies (rounded up)."""
        return -(-self.num_gpus // self.gpus_per_node)

    def __str__(self) -> str:
        """Short form as the field writes it, e.g. `TP8 x DP2, EP16` or `TP8 x PP2, DCP8`."""
        names = (
            ("TP", self.tensor_parallel_size),
            ("PCP", self.prefill_context_parallel_size),
            ("PP", self.pipeline_parallel_size),
            ("DP", self.data_parallel_size),
        )
        text = " x ".join(f"{name}{size}" for name, size in names if size > 1) or "TP1"
        if self.decode_context_parallel_size > 1:
            text += f", DCP{self.decode_context_parallel_size}"
        sliced = f" x expert-TP{self.expert_tensor_parallel_size}" if self.expert_tensor_parallel_size > 1 else ""
        return text + (f", EP{self.expert_parallel_size}{sliced}" if self.enable_expert_parallel else "")
