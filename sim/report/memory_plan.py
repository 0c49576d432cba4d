"""The memory plan of one GPU and its attention rank, as rows to print."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sim.llm.memory import MemoryPlan
from sim.report.figures import gib, plural
from sim.simulation.memory import Planned

SMALL_FRAC: Final = 0.005  # of the memory; smaller components of the weights share one row
CONTEXTS: Final = (2_048, 8_192, 32_768, 131_072)


@dataclass(frozen=True, slots=True)
class MemoryRow:
    """One part of the memory of one GPU.

    Attributes
    ----------
    name : what it is; parts of the row above it are indented by their `level`.
    amount : in GiB.
    frac : share of the memory that the framework sees.
    """

    name: str
    bytes: float
    frac: float
    level: int = 0

    @property
    def amount(self) -> str:
        """Size in GiB."""
        return gib(self.bytes)


def memory_rows(memory: MemoryPlan) -> list[MemoryRow]:
    """What lies on one GPU: weights by component, reserve, cache, and what the engine leaves alone."""
    total = memory.gpu_memory_bytes

    def row(name: str, amount_bytes: float, level: int = 0) -> MemoryRow:
        return MemoryRow(name, amount_bytes, amount_bytes / total, level)

    components = sorted(memory.weight_component_bytes.items(), key=lambda item: -item[1])
    large = [(name.replace("_", " "), size) for name, size in components if size >= SMALL_FRAC * total]
    other = memory.weight_bytes - sum(size for _, size in large)
    rows = [row("Weights", memory.weight_bytes), *(row(name, size, 1) for name, size in large)]
    if other > 0.0:
        rows.append(row("other", other, 1))
    rows.append(row("Runtime reserve (activations, graphs, buffers)", memory.runtime_reserve_bytes))
    rows.append(row("KV cache pool", memory.kv_pool_bytes))
    if memory.draft_pool_bytes > 0.0:
        rows.append(row("of it for draft layers", memory.draft_pool_bytes, 1))
    if memory.shortfall_bytes > 0.0:
        rows.append(row("Missing", memory.shortfall_bytes))
    rows.append(row(f"Left alone (utilization {memory.gpu_memory_utilization:g})", total - memory.usable_bytes))
    rows.append(row("GPU memory", total))
    return rows


def cache_rows(planned: Planned) -> list[tuple[str, str]]:
    """What the cache holds."""
    memory, per_token = planned.memory, planned.memory.kv_token_bytes
    parts = [("attention", per_token.attention_bytes), ("indexer", per_token.indexer_bytes)]
    parts = [(name, size) for name, size in (*parts, ("draft", per_token.draft_bytes)) if size > 0.0]
    split = " = " + " + ".join(f"{size:,.0f} {name}" for name, size in parts) if len(parts) > 1 else ""
    rows = [(f"Cache per token and GPU ({memory.kv_cache_dtype})", f"{per_token.total_bytes:,.0f} bytes{split}")]
    if memory.kv_sequence_bytes > 0.0:
        rows.append(("Constant cache per sequence and GPU", f"{memory.kv_sequence_bytes:,.0f} bytes"))
    rows += [
        ("Cache of one attention rank", f"{memory.kv_tokens_per_rank:,} tokens"),
        (f"Cache of one replica ({plural(memory.num_ranks, 'rank')})", f"{memory.kv_tokens:,} tokens"),
        ("Longest admissible request", f"{admissible_tokens(planned):,} tokens"),
    ]
    return rows


def admissible_tokens(planned: Planned) -> int:
    """Longest request that the plan admits; 0 when the weights do not fit."""
    return planned.longest_request_tokens if planned.memory.fits else 0


def seats(planned: Planned, max_num_seqs: int) -> list[tuple[int, int, int]]:
    """(context, sequences of it that the cache of one replica holds, those that the engine runs at once)."""
    limit = max_num_seqs * planned.memory.num_ranks
    longest = admissible_tokens(planned)
    held = [(tokens, planned.memory.concurrent_sequences(tokens) if tokens <= longest else 0) for tokens in CONTEXTS]
    return [(tokens, count, min(count, limit)) for tokens, count in held]
