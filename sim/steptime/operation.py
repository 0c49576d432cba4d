"""What one operation of a step costs, and what bounds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sim.steptime.kernels import Kernel

Bound = Literal["compute", "memory", "network", "launch", "host", "table"]


@dataclass(frozen=True, slots=True)
class Cost:
    """One run of an operation on one GPU.

    Attributes
    ----------
    seconds : how long it takes.
    flops, bytes, network_bytes : work, memory traffic and traffic over links between GPUs.
    bound : the term that is largest.
    """

    seconds: float
    flops: float
    bytes: float
    network_bytes: float
    bound: Bound


@dataclass(frozen=True, slots=True)
class Operation:
    """One line of the breakdown of a step, on the slowest GPU.

    Attributes
    ----------
    name : what it is.
    count : how often it runs in the step, usually once per layer.
    flops, bytes, network_bytes, seconds : totals over all runs.
    bound : the largest term.
    kernel : row subject of the kernels table that the time comes from.
    status : status of that row; `assumed` where a GPU borrows the row from another; `scenario` where the scenario says
        how long it takes.
    hidden_s : seconds beside these that run behind other operations.
    """

    name: str
    count: int
    flops: float
    bytes: float
    network_bytes: float
    seconds: float
    bound: Bound
    kernel: str
    status: str
    hidden_s: float = 0.0


@dataclass(frozen=True, slots=True)
class TokenOperation:
    """An operation whose cost depends on a number of tokens alone.

    Attributes
    ----------
    name, count, kernel : as in `Operation`.
    cost : cost of one run, by tokens.
    """

    name: str
    count: int
    kernel: Kernel
    cost: Callable[[int], Cost]

    def seconds(self, tokens: int) -> float:
        """Seconds of all runs."""
        return self.count * self.cost(tokens).seconds

    def explain(self, tokens: int) -> Operation:
        """The line of the breakdown."""
        return operation(self.name, self.count, self.cost(tokens), self.kernel)


def operation(name: str, count: int, cost: Cost, kernel: Kernel) -> Operation:
    """`count` runs of one cost."""
    return Operation(
        name,
        count,
        count * cost.flops,
        count * cost.bytes,
        count * cost.network_bytes,
        count * cost.seconds,
        cost.bound,
        kernel.name,
        kernel.status,
    )


def largest(launch_s: float, compute_s: float, memory_s: float) -> Bound:
    """Name of the largest of three terms."""
    if launch_s >= compute_s and launch_s >= memory_s:
        return "launch"
    return "compute" if compute_s > memory_s else "memory"
