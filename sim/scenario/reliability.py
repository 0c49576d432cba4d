"""Failures, repair and restart, as a scenario states them; what it leaves open comes from the catalog."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from sim.scenario.section import Count, CountOrZero, SecondsOrZero, Section

FaultName = Literal[
    "software_crash", "gpu_reset", "node_swap", "gpu_rma", "net_link", "host_hw", "host_maint", "sdc", "thermal",
    "engine_crash", "fail_slow",
]  # fmt: skip


class InjectedFault(Section):
    """One fault on purpose; without a class, a node fault: what one lost GPU takes down."""

    at_s: SecondsOrZero
    """When, in seconds since the start of the run, warm-up included."""
    node: CountOrZero = 0
    """Which node: they count replica by replica from 0, spares last."""
    class_: FaultName | None = Field(None, alias="class")
    """Class of the fault (`sim catalog reliability`: `fault_...`, `engine_crash`, `fail_slow`), which does what that
    class does. Without one the node leaves at once, repaired as `repair` says. A fault of an engine meets the replica
    of the node."""


class RestartSection(Section):
    """Parts of a restart, from a complete set of nodes to the first request served; without one, the catalog's."""

    schedule_s: SecondsOrZero | None = None
    """Until the process is placed on its nodes."""
    process_init_s: SecondsOrZero | None = None
    """Process start and communicators."""
    weight_load_s: SecondsOrZero | None = None
    """Loading the weights; without it, weight bytes per node over `load_bandwidth_gb_per_s`."""
    load_bandwidth_gb_per_s: Annotated[float, Field(strict=True, gt=0.0, le=10_000.0)] | None = None
    """Rate at which one node loads weights, all its GPUs together."""
    kv_allocation_s: SecondsOrZero | None = None
    """Profiling and allocation of the cache."""
    graph_capture_s: SecondsOrZero | None = None
    """Capture of CUDA graphs."""
    kernel_compile_s: SecondsOrZero | None = None
    """Compilation of kernels that are not cached."""
    warm_up_s: SecondsOrZero | None = None
    """First requests, before traffic is let in."""


class Reliability(Section):
    """Failures and what follows.

    A node fault takes its whole replica: its requests are lost and retried by their clients, and the replica comes back
    after detection, a complete set of nodes, and a restart.
    """

    faults: bool = False
    """Whether nodes and engines fail at random, and planned work is done, during the run, as in a year of `sim annual`.
    Failures come in days and runs last hours, so most runs see none."""
    node_faults_per_1000_node_days: Annotated[float, Field(strict=True, ge=0.0, le=1e9)] | None = None
    """Rate of node faults that interrupt service, all classes together; without it, the catalog's. A high rate shows
    many in one run. Faults of engines have rates of their own."""
    repair: Literal["managed", "urgent", "trace"] = "urgent"
    """Law of repair times (`sim catalog reliability`): resets only, a pool with urgent repairs, or a real trace. Where
    it is not set each class has its own, and faults injected without a class the urgent one."""
    repair_crews: Count | None = None
    """Repairs that go on at once; without it, as many as there are faults."""
    detect_s: SecondsOrZero | None = None
    """From a fault to the start of recovery."""
    restart: RestartSection = RestartSection()
    """Parts of a restart that differ from the catalog's."""
    inject: tuple[InjectedFault, ...] = ()
    """Faults at given times, besides the random ones or without them."""
