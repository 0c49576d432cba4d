"""Engine speed: simulated requests per wall-clock second on one core, one 16-GPU replica, Azure-conversation-like lengths.

    python benchmarks/engine.py [--requests 200000] [--layout dp|tp|all] [--load 0.7] [--memory]

The load is a share of the capacity that the engine itself shows: a short run with every seat asked for measures the
saturated throughput first. Prints requests, events and steps, and the peak memory of the process.
"""

from __future__ import annotations

import argparse
import resource
import time

import sim
from sim.engine.cluster import Cluster
from sim.simulation.build import Built, build
from sim.simulation.run import load
from sim.streams import Streams

# Azure 2023 conversation trace (CC-BY-4.0): lognormal fits of its prompt and output lengths, truncated at its maxima
INPUT = {"law": "lognormal", "median_tokens": 757.0, "sigma": 0.99, "min_tokens": 1, "max_tokens": 14050}
OUTPUT = {"law": "lognormal", "median_tokens": 151.0, "sigma": 0.86, "min_tokens": 1, "max_tokens": 1000}
LAYOUTS = {
    "dp": {"tensor_parallel_size": 4, "data_parallel_size": 4, "enable_expert_parallel": True},
    "tp": {"tensor_parallel_size": 8, "data_parallel_size": 1, "pipeline_parallel_size": 2, "enable_expert_parallel": False},
}


def scenario(layout: str, rate_rps: float, horizon_s: float) -> sim.Scenario:
    """The baseline model and hardware with another layout and a Poisson load."""
    base = sim.load("scenarios/glm52_fp8_16xh100.yaml")
    seats = 128 if layout == "dp" else 256
    return base.with_(
        {
            "deployment.layout": {"pipeline_parallel_size": 1, **LAYOUTS[layout]},
            "deployment.engine.max_num_seqs": seats,
            "deployment.engine.max_num_batched_tokens": 8192,
            "workload": {
                "arrivals": {"process": "poisson", "rate_rps": rate_rps},
                "input_tokens": INPUT,
                "output_tokens": OUTPUT,
            },
            "run.horizon_s": horizon_s,
            "run.warmup_s": 0.0,
            "run.replications": 1,
        }
    )


def capacity_rps(layout: str) -> float:
    """Saturated throughput of the replica, measured by a closed loop that keeps every seat taken."""
    base = scenario(layout, 1.0, 600.0)
    seats = base.deployment.engine.max_num_seqs * base.deployment.layout.data_parallel_size
    closed = base.with_({"workload.arrivals": {"process": "closed_loop", "concurrency": seats}, "run.warmup_s": 200.0})
    built = build(closed)
    outcome = run(built)
    totals = outcome.record.totals.since(outcome.record.opened)
    return totals.completed / (outcome.end_s - 200.0)


def run(built: Built) -> object:
    """One replication, without the study layer around it."""
    streams = Streams(1)
    return Cluster(built.cluster, built.law, load(built.workload, streams), streams).run()


def measure(layout: str, requests: int, share: float) -> None:
    """Time one run and print the figures."""
    capacity = capacity_rps(layout)
    rate = share * capacity
    built = build(scenario(layout, rate, requests / rate))
    start = time.perf_counter()
    outcome = run(built)
    wall_s = time.perf_counter() - start
    totals = outcome.record.totals
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{built.planned.layout!s:28} capacity {capacity:7.2f} req/s, load {share:.0%}: "
        f"{totals.completed / wall_s:8,.0f} requests/s of wall time, {totals.completed:,} requests in {wall_s:.1f} s, "
        f"{totals.boundaries / totals.completed:.2f} boundaries and {totals.steps / totals.completed:.2f} steps per request, "
        f"batch {totals.sequence_s / totals.busy_s:.0f}, busy {totals.busy_s / outcome.end_s:.2f}, peak {peak_mib:.0f} MiB"
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=200_000)
    parser.add_argument("--layout", choices=[*LAYOUTS, "all"], default="all")
    parser.add_argument("--load", type=float, default=0.7)
    options = parser.parse_args()
    for layout in LAYOUTS if options.layout == "all" else [options.layout]:
        measure(layout, options.requests, options.load)


if __name__ == "__main__":
    main()
