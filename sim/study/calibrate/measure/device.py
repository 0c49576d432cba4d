"""The only place that calls PyTorch: kernels run on the GPUs of this machine, and their seconds.

Imported lazily; PyTorch is an optional extra (`pip install 'moe-capacity-sim[measure]'`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

from sim.errors import MissingPackageError
from sim.study.calibrate.measure.timing import Family, Shape, Timing
from sim.units import MILLISECOND

RUNS = 5
REPEATS = 20
FP8_PRODUCT = "_scaled_mm"  # without a public name so far
FP8_SINCE = (8, 9)  # compute capability from which tensor cores multiply FP8


class Kernels:
    """What is run, ready to be called many times.

    Parameters
    ----------
    torch : the module.
    where : device of operands, such as `cuda:0`.
    gpus : devices that take part in an all-reduce.
    """

    def __init__(self, torch: Any, where: str, gpus: int) -> None:
        self._torch, self._where, self._gpus = torch, where, gpus

    def of(self, shape: Shape) -> Callable[[], object]:
        """A call that runs one kernel once."""
        make: dict[Family, Callable[..., Callable[[], object]]] = {
            "gemm_bf16": self._gemm_bf16,
            "gemm_fp8": self._gemm_fp8,
            "attention_stream": self._attention,
            "copy": self._copy,
            "launch": self._launch,
            "all_reduce": self._all_reduce,
        }
        return make[shape.family](*shape.sizes)

    def _gemm_bf16(self, m: int, n: int, k: int) -> Callable[[], object]:
        torch = self._torch
        left = torch.randn(m, k, device=self._where, dtype=torch.bfloat16)
        right = torch.randn(n, k, device=self._where, dtype=torch.bfloat16).t()
        return lambda: left @ right

    def _gemm_fp8(self, m: int, n: int, k: int) -> Callable[[], object]:
        torch = self._torch
        multiply = getattr(torch, FP8_PRODUCT)
        scale = torch.ones((), device=self._where)
        left = torch.randn(m, k, device=self._where).to(torch.float8_e4m3fn)
        right = torch.randn(n, k, device=self._where).to(torch.float8_e4m3fn).t()
        return lambda: multiply(left, right, scale_a=scale, scale_b=scale, out_dtype=torch.bfloat16)

    def _attention(self, seqs: int, context: int, heads: int, size: int) -> Callable[[], object]:
        """One query per sequence and head over a whole cache: a stream through keys and values."""
        torch = self._torch
        query = torch.randn(seqs, heads, 1, size, device=self._where, dtype=torch.bfloat16)
        cache = [torch.randn(seqs, heads, context, size, device=self._where, dtype=torch.bfloat16) for _ in range(2)]
        return lambda: torch.nn.functional.scaled_dot_product_attention(query, *cache)

    def _copy(self, size: int) -> Callable[[], object]:
        torch = self._torch
        source, target = (torch.empty(size, device=self._where, dtype=torch.uint8) for _ in range(2))
        return lambda: target.copy_(source)

    def _launch(self, launches: int) -> Callable[[], object]:
        """Operations that do next to nothing, one after the other."""
        one = self._torch.zeros(1, device=self._where)

        def run() -> None:
            for _ in range(launches):
                one.add_(1.0)

        return run

    def _all_reduce(self, size: int) -> Callable[[], object]:
        """One process drives all GPUs, as NCCL allows."""
        torch = self._torch
        parts = [torch.ones(size // 2, device=f"cuda:{gpu}", dtype=torch.bfloat16) for gpu in range(self._gpus)]
        return lambda: torch.cuda.nccl.all_reduce(parts)


class Device:
    """The GPUs of this machine, seen by one process.

    Attributes
    ----------
    gpus : how many.
    name : as the driver calls the first of them.
    fp8 : whether it multiplies FP8.
    """

    def __init__(self) -> None:
        """Find PyTorch and a GPU.

        Raises
        ------
        MissingPackageError : either is missing, in one sentence.
        """
        try:
            import torch
        except ImportError:
            raise MissingPackageError(
                "--measure needs PyTorch, which is not installed: pip install 'moe-capacity-sim[measure]'"
            ) from None
        if not torch.cuda.is_available():
            raise MissingPackageError("--measure needs an NVIDIA GPU, and PyTorch finds none on this machine")
        self._torch: Any = torch
        self.gpus = int(torch.cuda.device_count())
        self.name = str(torch.cuda.get_device_name(0))
        self.fp8 = tuple(torch.cuda.get_device_capability(0)) >= FP8_SINCE and hasattr(torch, FP8_PRODUCT)
        self._kernels = Kernels(torch, "cuda:0", self.gpus)

    def time(self, shape: Shape) -> Timing:
        """The seconds of one kernel on the device, or of one launch on the host; the median of several runs."""
        run = self._kernels.of(shape)
        if shape.family == "launch":
            return Timing(shape, self._host_s(run) / shape.sizes[0])
        return Timing(shape, self._device_s(run))

    def _device_s(self, run: Callable[[], object]) -> float:
        """Seconds of one run on the device, by events around many, after a warm-up."""
        torch = self._torch
        for _ in range(REPEATS):
            run()
        found: list[float] = []
        for _ in range(RUNS):
            begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            begin.record()
            for _ in range(REPEATS):
                run()
            end.record()
            self._wait()
            found.append(float(begin.elapsed_time(end)) * MILLISECOND / REPEATS)
        return median(found)

    def _host_s(self, run: Callable[[], object]) -> float:
        """Seconds that the host needs to launch, without waiting for the device."""
        found: list[float] = []
        for _ in range(RUNS):
            self._wait()
            begin = time.perf_counter()
            run()
            found.append(time.perf_counter() - begin)
        return median(found)

    def _wait(self) -> None:
        for gpu in range(self.gpus):
            self._torch.cuda.synchronize(gpu)
