"""What one attention rank does besides attention: projections, norms, dense layers, router, all-reduce, head."""

from __future__ import annotations

from collections.abc import Callable

from sim.steptime.collectives import AllReduce
from sim.steptime.elementwise import Elementwise
from sim.steptime.gemm import Gemm
from sim.steptime.inputs import LawInputs
from sim.steptime.operation import Cost, TokenOperation
from sim.steptime.pipeline import StageSend, crossings
from sim.steptime.precision import kept_weights


def rank_operations(inputs: LawInputs) -> tuple[TokenOperation, ...]:
    """Operations of one lane by its tokens."""
    spec = inputs.spec
    operations = [*_projections(inputs), _norms(inputs), *_all_reduces(inputs)]
    operations += _mlp(inputs, "dense MLP", spec.num_dense_layers, spec.dense_intermediate_size, inputs.dense_ranks)
    if spec.num_experts:
        router = inputs.gemm(spec.num_experts, spec.hidden_size, kept_weights(inputs.hardware))
        operations.append(TokenOperation("router", spec.num_moe_layers, router.kernel, router.cost))
        shared_width = spec.moe_intermediate_size * spec.num_shared_experts
        operations += _mlp(inputs, "shared expert", spec.num_moe_layers, shared_width, 1)
    return tuple(operations + _sends(inputs))


def logit_operations(inputs: LawInputs) -> tuple[TokenOperation, ...]:
    """Head and sampling, by the tokens that need logits."""
    spec, ranks, hardware = inputs.spec, inputs.dense_ranks, inputs.hardware
    rows = -(-spec.vocab_size // (inputs.layout.tensor_parallel_size * ranks))
    head = inputs.gemm(rows, spec.hidden_size, kept_weights(hardware))
    kernel = inputs.engine_kernel("sampling")
    logits = Elementwise(kernel, 4.0 * spec.vocab_size, hardware.hbm_bytes_per_s)
    return (
        TokenOperation("LM head", 1, head.kernel, _gathered(head, ranks)),
        TokenOperation("sampling", 1, kernel, logits.cost),
    )


def _projections(inputs: LawInputs) -> list[TokenOperation]:
    """Query, key, value and output projections where no module contains them."""
    spec, layers, tensor = inputs.spec, inputs.spec.num_layers, inputs.layout.tensor_parallel_size
    if inputs.uses_latent_module:
        return []
    if spec.attention_params_per_layer:
        rows = spec.attention_params_per_layer // (spec.hidden_size * tensor)
        whole = inputs.gemm(rows, spec.hidden_size, inputs.linear)
        return [TokenOperation("attention projections", layers, whole.kernel, whole.cost)]
    heads = spec.num_attention_heads // tensor
    kv_heads = -(-spec.num_kv_heads // tensor)
    rows = heads * spec.qk_head_dim + kv_heads * (spec.qk_head_dim + spec.v_head_dim)
    qkv = inputs.gemm(rows, spec.hidden_size, inputs.linear)
    output = inputs.gemm(spec.hidden_size, heads * spec.v_head_dim, inputs.linear)
    lines = [
        TokenOperation("QKV projection", layers, qkv.kernel, qkv.cost),
        TokenOperation("output projection", layers, output.kernel, output.cost),
    ]
    if spec.indexer_layers:
        index = inputs.gemm((spec.index_n_heads + 1) * spec.index_head_dim, spec.hidden_size, inputs.linear)
        lines.append(TokenOperation("indexer projection", spec.num_indexer_layers, index.kernel, index.cost))
    return lines


def _norms(inputs: LawInputs) -> TokenOperation:
    kernel = inputs.engine_kernel("norms")
    norm = Elementwise(kernel, 2.0 * inputs.spec.hidden_size, inputs.hardware.hbm_bytes_per_s)
    return TokenOperation("norms", 2 * inputs.spec.num_layers, kernel, norm.cost)


def _all_reduces(inputs: LawInputs) -> list[TokenOperation]:
    """Two per layer under tensor parallelism: after attention, and after the MLP or experts."""
    tensor, hardware = inputs.layout.tensor_parallel_size, inputs.hardware
    if tensor == 1:
        return []
    kernel, between = inputs.engine_kernel("all_reduce"), inputs.engine_kernel("inter_node")
    nccl = inputs.engine_kernel("nccl_all_reduce")
    reduce = AllReduce(kernel, nccl, between, hardware, tensor, inputs.spec.hidden_size)
    used = kernel if tensor <= hardware.gpus_per_node else between
    return [TokenOperation("all-reduce", 2 * inputs.spec.num_layers, used, reduce.cost)]


def _mlp(inputs: LawInputs, name: str, layers: int, width: int, ranks: int) -> list[TokenOperation]:
    """Gate and up, then down, of a gated MLP divided over tensor ranks, or over data ranks that gather their tokens."""
    if not layers or not width:
        return []
    local = -(-width // (inputs.layout.tensor_parallel_size * ranks))
    hidden, linear = inputs.spec.hidden_size, inputs.linear
    gate_up, down = inputs.gemm(2 * local, hidden, linear), inputs.gemm(hidden, local, linear)
    return [
        TokenOperation(f"{name}: gate and up", layers, gate_up.kernel, _gathered(gate_up, ranks)),
        TokenOperation(f"{name}: down", layers, down.kernel, _gathered(down, ranks)),
    ]


def _sends(inputs: LawInputs) -> list[TokenOperation]:
    """Hand-overs between pipeline stages."""
    kernel = inputs.engine_kernel("pipeline_send")
    tensor, hidden = inputs.layout.tensor_parallel_size, inputs.spec.hidden_size
    inside, between = crossings(inputs.layout)
    lines = []
    for name, count, crosses in (("in the node", inside, False), ("to the next node", between, True)):
        if count:
            send = StageSend(kernel, inputs.hardware, hidden, tensor, crosses)
            lines.append(TokenOperation(f"pipeline send {name}", count, kernel, send.cost))
    return lines


def _gathered(product: Gemm, ranks: int) -> Callable[[int], Cost]:
    """The product over the tokens of all data ranks that share it; ranks pad to the largest."""
    if ranks == 1:
        return product.cost
    return lambda tokens: product.cost(tokens * ranks)
