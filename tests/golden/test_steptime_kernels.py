"""Kernel forms against the kernel measurements that were published or shipped for H100.

Each tolerance is the median or p90 error that the fit printed for its own held-out rows, with a margin for the few rows
that this file holds (a median of 5 to 30 rows scatters by a third of itself).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import pytest

from sim.llm.layout import Layout
from sim.llm.zoo import load_model
from sim.steptime.build import build_law
from sim.steptime.collectives import AllReduce, nccl_seconds
from sim.steptime.dispatch import LowLatency, Normal
from sim.steptime.experts import GroupedExperts, RoutedExperts
from sim.steptime.hardware import load_hardware
from sim.steptime.imbalance import HottestRank, Imbalance
from sim.steptime.kernels import kernel
from sim.steptime.precision import weights_of

Row = dict[str, str]
H100 = load_hardware("h100-sxm-80gb")


@pytest.fixture
def rows(shared: Callable[[str], Path]) -> Callable[[str, str], list[Row]]:
    """Measured rows on H100 whose kernel and operation match patterns."""
    with shared("reference/kernels.csv").open(encoding="utf-8", newline="") as stream:
        table = [row for row in csv.DictReader(stream) if row["hardware"].startswith("H100")]

    def matching(name: str, op: str) -> list[Row]:
        found = [row for row in table if re.fullmatch(name, row["kernel"]) and re.fullmatch(op, row["op"])]
        assert found, (name, op)
        return found

    return matching


def errors(predicted_s: Iterator[float], found: list[Row]) -> list[float]:
    """Signed relative errors."""
    return [seconds * 1e6 / float(row["latency_us"]) - 1.0 for seconds, row in zip(predicted_s, found, strict=True)]


def check(signed: list[float], count: int, median_abs: float, p90: float, bias: float) -> None:
    """Number of rows, and bounds on the median absolute error, its 90th percentile, and the signed median."""
    absolute = sorted(abs(error) for error in signed)
    assert len(signed) == count
    assert median(absolute) <= median_abs
    assert absolute[int(0.9 * (count - 1))] <= p90
    assert abs(median(signed)) <= bias


def even(tokens: int) -> float:
    """The benchmarks route at random: the hottest GPU gets the mean."""
    del tokens
    return 1.0


def hidden(row: Row) -> int:
    return int(re.search(r"hidden (\d+)", row["shape"])[1])


@pytest.mark.parametrize(("op", "p90"), [("dispatch", 0.085), ("combine", 0.137)])
def test_low_latency_exchange(rows: Callable[[str, str], list[Row]], op: str, p90: float) -> None:
    """DeepEP low latency on 1 to 8 nodes at hidden 7168: 3.0 % dispatch, 2.3 % combine printed; 5 % allowed."""
    found = rows("DeepEP low-latency", op)
    form = kernel(f"deepep_low_latency_{op}")
    predicted = (
        LowLatency(form, H100, int(row["nodes"]), 8, 7168, 1, even).cost(int(row["tokens_per_rank"])).seconds
        for row in found
    )
    check(errors(predicted, found), 21, 0.05, p90, 0.02)


@pytest.mark.parametrize(("op", "bias"), [("dispatch", 0.16), ("combine", 0.07)])
def test_low_latency_exchange_transfers_to_another_width(
    rows: Callable[[str, str], list[Row]], op: str, bias: float
) -> None:
    """Hidden 6144 of a newer build, which no fit saw: biases of 15 % and 7 % were found, and no more is allowed."""
    found = rows(r"DeepEP low-latency \(intranode\)", op)
    form = kernel(f"deepep_low_latency_{op}")
    predicted = (
        LowLatency(form, H100, 1, 8, hidden(row), 1, even).cost(int(row["tokens_per_rank"])).seconds for row in found
    )
    check(errors(predicted, found), 11, 0.16, 0.20, bias)


@pytest.mark.parametrize("op", ["dispatch", "combine"])
def test_normal_exchange(rows: Callable[[str, str], list[Row]], op: str) -> None:
    """DeepEP normal on 1, 2 and 4 nodes: 5 to 10 % printed for 20 SMs; these rows use 24 SMs, so 18 % for two nodes."""
    form = kernel(f"deepep_normal_{op}")
    for name, nodes, limit in (
        (r"DeepEP normal \(intranode\)", 1, 0.07),
        ("DeepEP normal", 2, 0.18),
        ("DeepEP normal", 4, 0.10),
    ):
        found = [row for row in rows(name, op) if int(row["nodes"]) == nodes]
        predicted = (
            Normal(form, H100, nodes, 8, hidden(row), 1, 1.0).cost(int(row["tokens_per_rank"])).seconds for row in found
        )
        assert median(abs(error) for error in errors(predicted, found)) <= limit


def test_all_reduce(rows: Callable[[str, str], list[Row]]) -> None:
    """SGLang's all-reduce over 8 GPUs: 8.0 % median and 34 % p90 printed."""
    found = rows("SGLang custom all-reduce.*", "all_reduce")
    form = AllReduce(
        kernel("all_reduce_sglang"), kernel("nccl_all_reduce"), kernel("inter_node_collective"), H100, 8, 1
    )
    predicted = (form.cost(int(row["shape"].split()[0])).seconds for row in found)
    check(errors(predicted, found), 7, 0.08, 0.34, 0.08)


@pytest.mark.parametrize(
    ("op", "form", "limit", "p90"),
    [
        ("all_reduce", "nccl_all_reduce", 0.08, 0.33),
        ("all_gather", "nccl_all_gather", 0.10, 0.15),
        ("reduce_scatter", "nccl_reduce_scatter", 0.16, 0.23),
        ("alltoall", "nccl_all_to_all", 0.14, 0.56),
    ],
)
def test_nccl(rows: Callable[[str, str], list[Row]], op: str, form: str, limit: float, p90: float) -> None:
    """NCCL on 8 GPUs: 5 to 14 % printed over 2, 4 and 8 GPUs; the 8-GPU reduce-scatter alone is 15 % high."""
    found = rows("NCCL.*", op)
    predicted = (nccl_seconds(kernel(form), H100, 8, 2.0 * int(row["shape"].split()[0])) for row in found)
    check(errors(predicted, found), 8, limit, p90, limit)


@pytest.mark.parametrize(
    ("phase", "law", "count", "limit", "p90"),
    [
        ("decode", "power_law_1.01", 17, 0.09, 0.18),
        ("decode", "power_law_1.2", 17, 0.09, 0.18),
        ("prefill", "power_law_1.01", 20, 0.096, 0.19),
        ("prefill", "power_law_1.2", 20, 0.11, 0.24),
    ],
)
def test_skewed_experts_need_no_refit(
    rows: Callable[[str, str], list[Row]], phase: str, law: str, count: int, limit: float, p90: float
) -> None:
    """Balanced fits fed with the hottest GPU's load predict skewed kernels: 5 to 9 % (decode), 7 to 10 % (prefill).

    Their token counts are those of the whole expert group, as the times of uniform rows show: at EP16 and 16384 tokens,
    8192 pairs per GPU take 975 us.
    """
    found = [row for row in rows("SGLang DeepEP-MoE.*", f"moe {phase}") if row["shape"].endswith(law)]
    form = kernel("experts_fp8_deepgemm_masked" if phase == "decode" else "experts_fp8_deepgemm_contiguous")
    grouped = GroupedExperts(form, weights_of(H100, "fp8_block", "routed_experts"), 7168, 2048, H100.hbm_bytes_per_s)
    imbalance = Imbalance("power_law", float(law.rpartition("_")[2]))

    def seconds(row: Row) -> float:
        ranks = int(row["ep_or_tp"].removeprefix("EP"))
        hottest = HottestRank(256, 8, ranks, 256 / ranks, imbalance)
        return RoutedExperts(grouped, hottest).cost(int(row["tokens_per_rank"])).seconds

    check(errors(map(seconds, found), found), count, limit, p90, limit)


def test_balanced_experts(rows: Callable[[str, str], list[Row]]) -> None:
    """Uniform rows: 1.2 % (decode, every expert touched) and 3.6 % (prefill, EP2 to EP32) printed; 2 % and 5 % allowed.

    Uniform prefill rows of 1024 tokens on few GPUs take less time than reading their weights at the full bandwidth
    would, so prefill is compared from 4096 tokens on.
    """
    decode, prefill = (
        [row for row in rows("SGLang DeepEP-MoE.*", f"moe {phase}") if row["shape"].endswith("uniform")]
        for phase in ("decode", "prefill")
    )
    prefill = [row for row in prefill if int(row["tokens_per_rank"]) >= 4096 and int(row["ep_or_tp"][2:]) <= 32]
    assert (len(decode), len(prefill)) == (17, 8)
    weights = weights_of(H100, "fp8_block", "routed_experts")
    for found, name, limit in (
        (decode, "experts_fp8_deepgemm_masked", 0.02),
        (prefill, "experts_fp8_deepgemm_contiguous", 0.05),
    ):
        grouped = GroupedExperts(kernel(name), weights, 7168, 2048, H100.hbm_bytes_per_s)
        ranks = [int(row["ep_or_tp"].removeprefix("EP")) for row in found]
        pairs = [int(row["tokens_per_rank"]) * 8 / size for row, size in zip(found, ranks, strict=True)]
        predicted = (grouped.cost(here, min(256 / size, here)).seconds for here, size in zip(pairs, ranks, strict=True))
        assert median(abs(error) for error in errors(predicted, found)) <= limit


@pytest.mark.parametrize(
    ("name", "op", "count", "limit", "p90"),
    [
        (".*_indexer_flashmla_kv", "dsa_generation_module", 30, 0.035, 0.105),
        (".*_skip_indexer_flashmla_kv", "dsa_generation_module_skip_indexer", 30, 0.045, 0.12),
        (".*_indexer_flashmla_kv", "dsa_context_module", 56, 0.035, 0.07),
        (".*_skip_indexer_flashmla_kv", "dsa_context_module_skip_indexer", 28, 0.035, 0.09),
        (".*_dense_mha_fa3", "dsa_context_module.*", 6, 0.04, 0.27),
    ],
)
def test_sparse_attention(
    rows: Callable[[str, str], list[Row]], name: str, op: str, count: int, limit: float, p90: float
) -> None:
    """GLM-5 (an indexer in the layer) and GLM-5.2 (shared) modules: 1.7 to 3.4 % median, 4 to 10.5 % p90 printed."""
    found = rows(name, op)
    laws = {}

    def seconds(row: Row) -> float:
        shared_index = "skip_indexer" in row["op"]
        heads = int(re.search(r"heads/GPU (\d+)", row["ep_or_tp"])[1])
        if (shared_index, heads) not in laws:
            laws[shared_index, heads] = build_law(
                load_model("glm-5.2" if shared_index else "glm-5"),
                Layout(64 // heads),
                gpu="h100-sxm-80gb",
                node="auto",
                engine="sglang",
                weights="fp8_block",
                kv_cache_dtype="fp8",
                imbalance={"law": "uniform"},
            ).parts.attention
        attention = laws[shared_index, heads]
        if decode := re.search(r"batch (\d+), context (\d+)", row["shape"]):
            batch, context = map(int, decode.groups())
            lines = attention.decode(batch)
            per_layer = [
                line.seconds(batch * context, batch * min(context, 2048), context >= 2048) / line.count
                for line in lines
            ]
        else:
            shape = re.search(r"chunk (\d+) on top of (\d+) cached tokens, batch (\d+)", row["shape"])
            new, cached, batch = map(int, shape.groups())
            parts = attention.mixed(0, 0, 0, any_above=False, prefills=[(new, cached)] * batch)
            per_layer = [parts[0] / 78, parts[1] / 78]
        return per_layer[0] if shared_index else sum(per_layer)

    check(errors(map(seconds, found), found), count, limit, p90, 0.045)
