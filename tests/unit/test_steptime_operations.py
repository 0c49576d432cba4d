"""Operation families by hand: matrix products, experts, collectives, dispatch, pipeline, precision."""

from __future__ import annotations

import pytest

from sim.catalog.tables import table
from sim.llm.layout import Layout
from sim.llm.zoo import load_model
from sim.steptime.collectives import AllReduce, GatherScatter
from sim.steptime.dispatch import LowLatency, Normal, nodes_reached
from sim.steptime.experts import GroupedExperts
from sim.steptime.gemm import Gemm, norm_sum
from sim.steptime.hardware import load_hardware
from sim.steptime.kernels import engine_kernel, kernel
from sim.steptime.mla import projection_weights
from sim.steptime.pipeline import StageSend, crossings
from sim.steptime.precision import kept_weights, weights_of

H100 = load_hardware("h100-sxm-80gb")
H800 = load_hardware("h800-sxm-80gb")
A100 = load_hardware("a100-sxm-80gb")
B200 = load_hardware("b200-sxm-180gb")


def test_gemm_by_hand() -> None:
    """One BF16 product, 128 x 4096 x 7168, from its three terms worked out by hand."""
    product = Gemm(kernel("gemm_bf16_cublas"), kept_weights(H100), 4096, 7168, H100.hbm_bytes_per_s)
    cost = product.cost(128)
    compute_us = 2 * 128 * 4096 * 7168 / (989.4e12 * 0.780) * 1e6
    memory_us = (2 * (128 * 7168 + 4096 * 7168) + 2 * 128 * 4096) / (3.35e12 * 0.864) * 1e6
    serial_us = 0.82 * 7.168
    expected = 3.19 + (compute_us**2.05 + memory_us**2.05 + serial_us**2.05) ** (1 / 2.05)
    assert cost.seconds * 1e6 == pytest.approx(expected, rel=1e-9)
    assert cost.bound == "memory"
    assert product.cost(8192).bound == "compute"
    assert (
        Gemm(kernel("gemm_bf16_cublas"), kept_weights(H100), 256, 512, H100.hbm_bytes_per_s).cost(1).bound == "launch"
    )


def test_norm_sum_goes_from_sum_to_maximum() -> None:
    """Power 1 adds, power infinity takes the larger, and in between lies between, even for tiny terms."""
    assert norm_sum(1.0, 3.0, 4.0) == 7.0
    assert norm_sum(2.0, 3.0, 4.0) == pytest.approx(5.0)
    assert norm_sum(float("inf"), 3.0, 4.0) == 4.0
    assert norm_sum(12.0, 3e-40, 4e-40) == pytest.approx(4e-40, rel=0.01)
    assert norm_sum(2.0, 0.0, 0.0) == 0.0


def test_experts_stream_weights_then_multiply() -> None:
    """Few pairs cost the weights of the touched experts; many cost the math; the contiguous kernel has its floor."""
    weights = weights_of(H100, "fp8_block", "routed_experts")
    masked = GroupedExperts(kernel("experts_fp8_deepgemm_masked"), weights, 7168, 2048, H100.hbm_bytes_per_s)
    streamed_s = 16 * 3 * 7168 * 2048 * (1 + 4 / 16384) / (3.35e12 * 0.818)
    assert masked.cost(64, 16).seconds == pytest.approx(20.5e-6 + streamed_s, rel=0.01)
    assert (masked.cost(64, 16).bound, masked.cost(60_000, 16).bound) == ("memory", "compute")
    contiguous = GroupedExperts(kernel("experts_fp8_deepgemm_contiguous"), weights, 7168, 2048, H100.hbm_bytes_per_s)
    assert contiguous.cost(1, 1).seconds == pytest.approx(402e-6)
    assert contiguous.cost(1, 1).bound == "launch"


def test_all_reduce_leaves_the_node_at_a_price() -> None:
    """Sixteen GPUs cost a network latency more than eight; one-shot serves small messages, two-shot large."""

    def reduce(gpus: int, hardware: object = H100) -> AllReduce:
        forms = (kernel("all_reduce_sglang"), kernel("nccl_all_reduce"), kernel("inter_node_collective"))
        return AllReduce(*forms, hardware, gpus, 6144)

    small_us = reduce(8).cost(1).seconds * 1e6
    assert small_us == pytest.approx(2.8 + 7 * 2 * 6144 / 294e3, rel=1e-9)
    large_us = reduce(8).cost(4096).seconds * 1e6
    assert large_us == pytest.approx(7.9 + 1.75 * 2 * 4096 * 6144 / 309e3, rel=1e-9)
    assert reduce(16).cost(1).seconds > reduce(8).cost(1).seconds + 20e-6
    # H800 has 4/9 of the NVLink bandwidth of H100: large messages slow down by that much.
    assert reduce(8, H800).cost(65_536).seconds == pytest.approx(2.25 * reduce(8).cost(65_536).seconds, rel=0.01)


def test_gather_pads_to_the_busiest_rank() -> None:
    """Every rank sends as much as the busiest one, and across nodes the NICs add their time."""
    inter = kernel("inter_node_collective")
    one = GatherScatter(kernel("nccl_all_gather"), inter, H100, 8, 8, 4096)
    two = GatherScatter(kernel("nccl_all_gather"), inter, H100, 16, 16, 4096)
    assert one.cost(100).network_bytes == pytest.approx(2 * 100 * 8 * 4096 * 7 / 8)
    assert two.cost(100).seconds > one.cost(100).seconds + 20e-6


def test_low_latency_exchange_by_hand() -> None:
    """Two nodes, 64 tokens: latency and half of the bytes over each kind of link; tensor ranks divide the tokens.

    Where a GPU gets three times the mean, it takes three times the transfer and the same latency.
    """
    form = LowLatency(kernel("deepep_low_latency_combine"), H100, 2, 8, 7168, 1, lambda _: 1.0)
    size = 64 * 8 * 7168 * 2
    expected_us = 21.7 + 1.64 + size / 2 / 241e3 + size / 2 / 49.8e3
    assert form.cost(64).seconds * 1e6 == pytest.approx(expected_us, rel=1e-9)
    shared = LowLatency(kernel("deepep_low_latency_combine"), H100, 2, 8, 7168, 4, lambda _: 1.0)
    assert shared.cost(256) == form.cost(64)
    hot = LowLatency(kernel("deepep_low_latency_combine"), H100, 2, 8, 7168, 1, lambda tokens: tokens / 64 * 3.0)
    latency_us = 21.7 + 1.64
    assert hot.cost(64).seconds * 1e6 == pytest.approx(latency_us + 3.0 * (expected_us - latency_us), rel=1e-9)


def test_normal_exchange_between_and_beyond_measured_nodes() -> None:
    """Three nodes lie between two and four; eight follow the nodes a token reaches, not the suspect measurement."""

    def token_us(nodes: int) -> float:
        form = Normal(kernel("deepep_normal_dispatch"), H100, nodes, 8, 7168, 1, 1.0)
        return (form.cost(20_000).seconds - form.cost(10_000).seconds) / 10_000 * 1e6

    assert [round(token_us(nodes), 3) for nodes in (1, 2, 4)] == [0.117, 0.198, 0.432]
    assert token_us(2) < token_us(3) < token_us(4)
    assert token_us(8) == pytest.approx(0.432 * nodes_reached(8, 8) / nodes_reached(4, 8))
    assert token_us(8) < 1.545
    assert nodes_reached(2, 8) == pytest.approx(1.0, abs=0.01)


def test_stages_hand_over_inside_or_between_nodes() -> None:
    """Two stages of eight GPUs meet between nodes, two of four inside one, and one stage has nobody to send to."""
    assert crossings(Layout(8, 2)) == (0, 1)
    assert crossings(Layout(4, 2)) == (1, 0)
    assert crossings(Layout(4, 4)) == (2, 1)
    assert crossings(Layout(8)) == (0, 0)
    inside, between = (StageSend(kernel("pipeline_send"), H100, 6144, 8, crosses) for crosses in (False, True))
    assert between.cost(8192).seconds > inside.cost(8192).seconds > 10e-6


def test_precision_falls_back_to_what_the_gpu_has() -> None:
    """FP8 on A100 and FP4 on H100 keep their bytes and multiply in BF16; B200 has all of them."""
    fp8 = weights_of(H100, "fp8_block", "linear")
    assert (fp8.kernels, fp8.peak) == ("fp8", H100.peak_fp8)
    old = weights_of(A100, "fp8_block", "linear")
    assert (old.kernels, old.precision, old.peak) == ("weight_only", "bf16", A100.peak_bf16)
    assert old.bytes_per_weight == fp8.bytes_per_weight == pytest.approx(1 + 4 / 128**2)
    assert weights_of(H100, "nvfp4", "routed_experts").kernels == "weight_only"
    assert weights_of(B200, "nvfp4", "routed_experts").peak == B200.peak_fp4
    assert weights_of(H100, "nvfp4", "linear").kernels == "bf16"
    assert weights_of(H100, "w4afp8", "routed_experts").precision == "fp8"
    assert weights_of(H100, "w4afp8", "routed_experts").bytes_per_weight == pytest.approx(0.515625)


def test_projection_weights_are_those_of_the_model() -> None:
    """A layer of GLM-5.2 has 165,019,648 attention weights; each of eight ranks repeats those of the latents."""
    glm = load_model("glm-5.2")
    assert projection_weights(glm, 64) == 165_019_648
    assert projection_weights(glm, 8) == 6144 * 2624 + (165_019_648 - 6144 * 2624) // 8


@pytest.mark.parametrize("engine", list(table("engines")))
def test_every_kernel_an_engine_names_exists(engine: str) -> None:
    """Each engine maps every purpose to a row of the kernels table, and all engines know the same purposes."""
    purposes = {name for name, fact in table("engines")[engine].items() if fact.unit == "kernel"}
    assert purposes == {name for name, fact in table("engines")["sglang"].items() if fact.unit == "kernel"}
    for purpose in purposes:
        assert engine_kernel(engine, purpose).values


@pytest.mark.parametrize("gpu", list(table("gpus")))
def test_hardware_rows_are_consistent(gpu: str) -> None:
    """Every GPU has a node of its own kind, FP8 doubles BF16 where it exists, and power rises from idle to maximum."""
    hardware = load_hardware(gpu)
    assert table("nodes")[hardware.node]["gpu"].value == gpu
    assert hardware.peak_fp8 in (0.0, pytest.approx(2 * hardware.peak_bf16, rel=0.01))
    assert hardware.gpus_per_node == 8
    facts = table("gpus")[gpu]
    power = [facts[f"power_{state}_kw"].value for state in ("idle", "context_idle", "decode", "max")]
    assert power == sorted(power)
    node = table("nodes")[hardware.node]
    assert node["provisioned_kw"].value >= node["base_power_kw"].value + 8 * facts["power_decode_kw"].value
