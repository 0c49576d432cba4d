"""Weight bytes: of a whole checkpoint, and of one GPU under a parallel layout."""

from __future__ import annotations

from sim.llm.formats import WeightFormat, weight_format
from sim.llm.layout import Layout
from sim.llm.parameters import COMPONENTS
from sim.llm.spec import ModelSpec
from sim.llm.tensors import Tensor, inventory


def checkpoint_bytes(spec: ModelSpec, weights: str) -> int:
    """Bytes of all tensors of a checkpoint, MTP layers included, without file headers.

    Parameters
    ----------
    weights : name of a weight format, e.g. `bf16`, `fp8_block`, `nvfp4`, `int4_g128`, `w4afp8`.

    Checked: GLM-5.2 in BF16 1,506,659,842,048 and FP8 755,617,140,416; DeepSeek-V3 in FP8 688,574,839,360, which is
    11.9 MB of headers below the published safetensors files.
    """
    return sum(component_bytes(spec, weights).values())


def component_bytes(spec: ModelSpec, weights: str) -> dict[str, int]:
    """Bytes of every component of a checkpoint (names as in `sim.llm.parameters.COMPONENTS`)."""
    chosen = weight_format(weights)
    totals = dict.fromkeys(COMPONENTS, 0)
    for tensor in inventory(spec):
        totals[_component(tensor)] += chosen.tensor_bytes(tensor)
    return totals


def gpu_bytes(spec: ModelSpec, layout: Layout, weights: str, *, load_mtp: bool = False) -> dict[str, float]:
    """Weight bytes on one GPU by component, averaged over pipeline stages.

    Down projections of the latents, indexer, router and norms are on every rank; head-wise projections divide over the
    tensor ranks of an attention rank; shared experts over tensor ranks; routed experts over tensor times data ranks,
    with redundant copies, and slices padded where the format's are. Embedding, head and dense layers divide over the
    tensor ranks or, with pure data-parallel attention, over the data ranks, as SGLang's `--enable-dp-attention` does.
    Stages are taken as equal, although the first and last also hold the embedding, head and MTP layers.

    Checked: GLM-5.2 in FP8 takes 44.7 GiB per GPU as TP8 x PP2 and 58.4 GiB as DP16 with EP16; NVFP4 at TP4 is within
    1 % of the 106.76 GiB that SGLang PR 30531 reports per GB300 rank.
    """
    chosen = weight_format(weights)
    totals = dict.fromkeys(COMPONENTS, 0.0)
    for tensor in inventory(spec):
        if load_mtp or not tensor.mtp:
            totals[_component(tensor)] += _tensor_gpu_bytes(spec, layout, chosen, tensor)
    return totals


def shard_fraction(spec: ModelSpec, layout: Layout, tensor: Tensor) -> float:
    """Share of a tensor that one GPU of one pipeline stage holds (before layers divide over stages)."""
    tp = layout.tensor_parallel_size
    match tensor.sharding:
        case "heads" | "tensor":
            return 1 / tp
        case "kv_heads":
            # A rank needs whole heads: beyond as many ranks as heads, heads are repeated.
            return -(-spec.num_kv_heads // tp) / spec.num_kv_heads
        case "dense":
            return 1 / (tp if tp > 1 else layout.data_parallel_size)
        case "experts":
            copies = 1 + layout.redundant_experts / spec.num_experts if layout.enable_expert_parallel else 1.0
            return copies / layout.stage_gpus
        case "not_loaded":
            return 0.0
        case "replicated":
            return 1.0


def _tensor_gpu_bytes(spec: ModelSpec, layout: Layout, chosen: WeightFormat, tensor: Tensor) -> float:
    share = shard_fraction(spec, layout, tensor) / layout.pipeline_parallel_size
    if tensor.role == "routed":
        # Engines pad the slices of some formats to whole blocks, in both products of an expert.
        width, ranks = spec.moe_intermediate_size, layout.expert_tensor_parallel_size
        if width % ranks == 0:
            share *= ranks * chosen.encoding(tensor).slice_width(width, ranks) / width
    return chosen.tensor_bytes(tensor) * share


def _component(tensor: Tensor) -> str:
    return "mtp" if tensor.mtp else tensor.component
