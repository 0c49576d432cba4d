"""GPU and node of one replica, as the step-time law needs them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from sim.catalog.tables import fact, number
from sim.units import GB, TERA

Precision = Literal["bf16", "fp8", "int8", "fp4"]
FITTED_GPUS: Final = ("h100-sxm-80gb", "h200-sxm-141gb")
"""GPUs whose kernels the coefficients were fitted to or checked on."""


@dataclass(frozen=True, slots=True)
class Hardware:
    """Rates of one GPU and of its links.

    Attributes
    ----------
    gpu, node : names in the catalog.
    hbm_bytes_per_s : peak memory bandwidth.
    peak_bf16, peak_fp8, peak_int8, peak_fp4 : dense peak in FLOP/s; 0 where the GPU lacks the precision.
    nvlink_gb_per_s : link to the other GPUs of the node, both directions together, as vendors write it.
    network_gb_per_s : network bandwidth of one GPU, one direction.
    gpus_per_node : GPUs that NVLink connects.
    """

    gpu: str
    node: str
    hbm_bytes_per_s: float
    peak_bf16: float
    peak_fp8: float
    peak_int8: float
    peak_fp4: float
    nvlink_gb_per_s: float
    network_gb_per_s: float
    gpus_per_node: int

    def peak(self, precision: str) -> float:
        """Dense peak in FLOP/s; 0 where the GPU lacks the precision."""
        return {"bf16": self.peak_bf16, "fp8": self.peak_fp8, "int8": self.peak_int8, "fp4": self.peak_fp4}[precision]


def load_hardware(gpu: str, node: str = "auto") -> Hardware:
    """GPU and node of the catalog; `auto` is the usual node of the GPU.

    Raises
    ------
    CatalogError : unknown name.
    """
    if node == "auto":
        node = str(fact("gpus", gpu, "node").value)
    gpus = number("nodes", node, "gpus_per_node")
    return Hardware(
        gpu=gpu,
        node=node,
        hbm_bytes_per_s=number("gpus", gpu, "hbm_gb_per_s") * GB,
        peak_bf16=number("gpus", gpu, "peak_tflops_bf16") * TERA,
        peak_fp8=number("gpus", gpu, "peak_tflops_fp8") * TERA,
        peak_int8=number("gpus", gpu, "peak_tflops_int8") * TERA,
        peak_fp4=number("gpus", gpu, "peak_tflops_fp4") * TERA,
        nvlink_gb_per_s=number("gpus", gpu, "nvlink_gb_per_s"),
        network_gb_per_s=number("nodes", node, "nic_gb_per_s") * number("nodes", node, "nics") / gpus,
        gpus_per_node=int(gpus),
    )
