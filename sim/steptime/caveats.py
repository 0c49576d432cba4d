"""Where a step-time law is used outside the range that its coefficients were fitted on."""

from __future__ import annotations

from sim.steptime.expert_facts import expert_caveats
from sim.steptime.hardware import FITTED_GPUS
from sim.steptime.inputs import LawInputs
from sim.steptime.kernel import KernelStepLaw
from sim.steptime.kernels import Kernel


def law_caveats(
    law: KernelStepLaw,
    *,
    decode_seqs: int = 0,
    context_tokens: int = 0,
    prefill_chunks: int = 0,
    prefix_tokens: int = 0,
    prefill_tokens: int = 0,
) -> list[str]:
    """One sentence for each way in which the law extrapolates; empty inside its range.

    Parameters
    ----------
    decode_seqs, context_tokens : sequences that decode on one rank, and context of each.
    prefill_chunks, prefix_tokens : prompt chunks in one step of a rank, and longest cached prefix.
    prefill_tokens : new tokens of one prompt chunk, where one is looked at; 0 says nothing about its length.
    """
    return [
        *_hardware(law),
        *_attention(law.inputs),
        *_network(law),
        *_pipeline(law.inputs),
        *_speculation(law.inputs),
        *expert_caveats(law, decode_seqs),
        *_context_parallel(law.inputs),
        *_batch(law, decode_seqs, context_tokens, prefill_chunks, prefix_tokens),
        *_floor(law, decode_seqs, context_tokens, prefill_tokens, prefix_tokens),
    ]


def assumed_kernels(law: KernelStepLaw) -> list[str]:
    """Kernel families of the law whose coefficients are assumed, in the order of use."""
    parts = law.parts
    used = [
        *parts.per_token,
        *parts.per_logit,
        *parts.amortised,
        *(line for phase in (*parts.experts, *parts.network) for line in phase),
    ]
    kernels = [*(line.kernel for line in used), *_attention_kernels(law.inputs)]
    return list(dict.fromkeys(kernel.name for kernel in kernels if kernel.status == "assumed"))


def _hardware(law: KernelStepLaw) -> list[str]:
    inputs = law.inputs
    lines = []
    if inputs.hardware.gpu not in FITTED_GPUS:
        lines.append(
            f"{inputs.hardware.gpu} runs with the kernel efficiencies of H100 at its own peaks and bandwidths: assumed."
        )
    for role, weights in (("linear", inputs.linear), ("routed-expert", inputs.routed)):
        if weights.kernels == "weight_only":
            lines.append(
                f"{role} weights in {inputs.weights} are expanded in the kernel and multiplied in BF16 on "
                f"{inputs.hardware.gpu}; no such kernel was measured."
            )
        elif weights.kernels == "fp4":
            lines.append(f"{role} weights in {inputs.weights} use FP4 math, for which no kernel was measured.")
    assumed = [group.imbalance for group in inputs.groups if group.imbalance.assumed]
    if assumed and inputs.spec.num_experts:
        # Skew sets how many experts a step touches, so it matters for sliced experts as well.
        law_of_load = f"{assumed[0].law} (alpha {assumed[0].alpha:g})"
        balanced = "before" if assumed[0].eplb is not None else "without"
        lines.append(f"expert load follows the catalog's default, {law_of_load}: assumed, {balanced} load balancing.")
    return lines


def _attention(inputs: LawInputs) -> list[str]:
    if not inputs.uses_latent_module:
        return [f"attention of {inputs.spec.name} has no fitted module; its kernel efficiencies are assumed."]
    if inputs.spec.has_sparse_attention and inputs.engine != "sglang":
        return [f"sparse attention of {inputs.engine} is taken from SGLang kernels."]
    return []


def _attention_kernels(inputs: LawInputs) -> list[Kernel]:
    layout = inputs.layout
    if layout.decode_context_parallel_size > 1 or layout.prefill_context_parallel_size > 1:
        return [inputs.engine_kernel("context_parallel"), *_own_attention_kernels(inputs)]
    return _own_attention_kernels(inputs)


def _own_attention_kernels(inputs: LawInputs) -> list[Kernel]:
    if not inputs.uses_latent_module:
        return [inputs.engine_kernel("gqa_decode"), inputs.engine_kernel("gqa_prefill")]
    if inputs.spec.has_sparse_attention:
        return [inputs.engine_kernel("dsa_decode"), inputs.engine_kernel("dsa_prefill")]
    return []


def _network(law: KernelStepLaw) -> list[str]:
    inputs = law.inputs
    lines: list[str] = []
    layout, per_node = inputs.layout, inputs.hardware.gpus_per_node
    if layout.tensor_parallel_size > per_node:
        lines.append(
            f"tensor parallelism over {layout.tensor_parallel_size} GPUs leaves the node of {per_node}; no collective "
            "across nodes was measured, and its form is assumed."
        )
    if inputs.spreads_tokens and layout.stage_gpus > per_node and inputs.spec.expert_hidden_size != 7168:
        lines.append(
            f"dispatch between nodes was measured for hidden size 7168; {inputs.spec.expert_hidden_size} is scaled."
        )
    if inputs.spreads_tokens and layout.stage_gpus > 4 * per_node:
        lines.append("prefill dispatch over more than 4 nodes is extrapolated from 4.")
    gathers = inputs.spec.num_experts and layout.data_parallel_size > 1 and not inputs.spreads_tokens
    if gathers and layout.stage_gpus > per_node:
        lines.append("gather and scatter around sliced experts across nodes were not measured; their form is assumed.")
    return lines


def _pipeline(inputs: LawInputs) -> list[str]:
    stages, layers = inputs.layout.pipeline_parallel_size, inputs.spec.num_layers
    if stages == 1:
        return []
    lines = [
        (
            "a round of the pipeline lasts until its last microbatch has left, and all its tokens count from there: "
            "those of the first microbatches are reported up to a round's prompt chunks too late."
        )
    ]
    if layers % stages:
        lines.append(
            f"{layers} layers over {stages} stages: the fullest stage has {-(-layers // stages)} layers, and needs "
            f"more memory than the average of {layers / stages:.1f} layers that is planned."
        )
    return lines


def _speculation(inputs: LawInputs) -> list[str]:
    if inputs.queries == 1:
        return []
    return [
        (
            f"steps that verify {inputs.queries} tokens per sequence and draft were not measured: they run with the "
            "coefficients of plain decoding."
        )
    ]


def _context_parallel(inputs: LawInputs) -> list[str]:
    dcp, pcp = inputs.layout.decode_context_parallel_size, inputs.layout.prefill_context_parallel_size
    lines = []
    if dcp > 1:
        lines.append(
            f"attention over a cache that {dcp} GPUs divide, and what they exchange, was not measured: keys read per "
            "GPU divide, and exchanges take the time of NCCL collectives."
        )
        if inputs.spec.has_sparse_attention:
            lines.append(
                f"decode context parallelism for sparse attention in {inputs.engine} is that of pull requests 45426 "
                "and 46145, whose merge was not seen."
            )
        elif inputs.spec.attention == "mla" and inputs.kv_cache_dtype != "bf16":
            lines.append(
                "vLLM's dense latent attention took no FP8 cache under decode context parallelism in June 2026 (pull "
                "request 45426)."
            )
    if pcp > 1:
        lines.append(
            f"prompt chunks are divided evenly over {pcp} groups, each with a copy of cache and attention weights; "
            "decoding sequences are computed by all groups. Nothing of it was measured."
        )
    return lines


def _batch(
    law: KernelStepLaw, decode_seqs: int, context_tokens: int, prefill_chunks: int, prefix_tokens: int
) -> list[str]:
    inputs = law.inputs
    lines: list[str] = []
    if not inputs.uses_latent_module:
        return lines
    sparse = inputs.spec.has_sparse_attention
    decode_kernel, prefill_kernel = _decode_and_prefill(inputs)
    most = int(decode_kernel["max_sequences"])
    rows = decode_seqs * inputs.queries
    if rows > most:
        what = "decoding sequences" if inputs.queries == 1 else "verified tokens"
        lines.append(f"attention with {rows} {what} per rank exceeds the {most} that were measured.")
    if not sparse:
        if prefix_tokens:
            lines.append("latent attention behind a cached prefix was not measured; its query-key pairs are charged.")
        return lines
    held = decode_seqs * context_tokens
    if held > decode_kernel["max_context_tokens"]:
        lines.append(
            f"indexers over {held:,} tokens of context exceed "
            f"the {int(decode_kernel['max_context_tokens']):,} measured."
        )
    if prefill_chunks > prefill_kernel["max_sequences"]:
        lines.append(
            f"prefill of {prefill_chunks} prompts in a step exceeds the "
            f"{int(prefill_kernel['max_sequences'])} measured; "
            "errors of 50 to 60 % are known there behind long prefixes."
        )
    if prefix_tokens > prefill_kernel["max_prefix_tokens"]:
        lines.append(
            f"a prefix of {prefix_tokens:,} tokens exceeds the {int(prefill_kernel['max_prefix_tokens']):,} measured."
        )
    return lines


def _floor(
    law: KernelStepLaw, decode_seqs: int, context_tokens: int, prefill_tokens: int, prefix_tokens: int
) -> list[str]:
    """A prompt chunk whose attention costs what launching its kernels costs, whatever its length."""
    inputs, cap = law.inputs, law.attention_cap_tokens
    if not prefill_tokens or not inputs.uses_latent_module:
        return []
    context, capped = decode_seqs * context_tokens, decode_seqs * min(context_tokens, cap)
    above = bool(cap and decode_seqs) and context_tokens >= cap
    chunk = ((prefill_tokens, prefix_tokens),)
    if law.parts.attention.explain_mixed(decode_seqs, context, capped, above, chunk)[0].bound != "launch":
        return []
    _, kernel = _decode_and_prefill(inputs)
    dense = inputs.spec.has_sparse_attention and prefill_tokens + prefix_tokens <= cap
    path = "dense_" if dense else ""
    return [
        (
            f"attention over so short a prompt chunk takes a floor of {kernel[f'{path}floor_us']:.0f} us per layer, "
            "the cost of launching kernels one by one, whatever its length; the fit misses one in ten of its "
            f"measurements by more than {100 * kernel[f'{path}p90_error_frac']:.0f} %."
        )
    ]


def _decode_and_prefill(inputs: LawInputs) -> tuple[Kernel, Kernel]:
    if inputs.spec.has_sparse_attention:
        return inputs.engine_kernel("dsa_decode"), inputs.engine_kernel("dsa_prefill")
    cache = "bf16" if inputs.kv_cache_dtype == "bf16" else "fp8"
    math = "fp8" if inputs.linear.precision == "fp8" else "bf16"
    return inputs.engine_kernel(f"mla_decode_{cache}_{math}"), inputs.engine_kernel(f"mla_prefill_{math}")
