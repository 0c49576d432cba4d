"""Engine speed: simulated requests per second of one core, one 16-GPU replica, Azure-conversation-like lengths.

    python benchmarks/engine.py [--layout dp|tp|pp|all] [--requests 60000] [--repeats 3] [--load 0.7] [--sessions]
                                [--host] [--set KEY=VALUE ...]

The load is a share of the capacity that the engine itself shows: a short closed loop that asks for every seat measures
the saturated throughput first. Each layout runs several times and the best run counts, since anything else on the
machine only ever slows it down; CPU time stands beside wall time to show how much.

`--sessions` turns prefix caching on for conversations behind one system prompt, where each request has the history of
its session; `hit` is the share of prompt tokens found on the GPU, and fetched from tiers below it. `--host` puts a tier
of host memory below that cache, with the capacity and bandwidth of the node type. `--set` changes the scenario further,
as `sim run` does.

Peak memory is that of the process, so ask for one layout alone to know its own. A million requests: `--layout dp
--requests 1000000 --repeats 1`.
"""

from __future__ import annotations

import argparse
import datetime as dt
import heapq
import itertools
import math
import resource
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import sim
from sim.cli.shared import pair
from sim.engine.cluster import Cluster, Outcome
from sim.scenario.document import parse_value
from sim.simulation.build import Built, build
from sim.simulation.run import load
from sim.streams import Streams, blockwise
from sim.workload.request import RequestDraw

BASELINE = Path(__file__).resolve().parents[1] / "scenarios" / "glm52_fp8_16xh100.yaml"
# Azure 2023 conversation trace (CC-BY-4.0): lognormal fits of its prompt and output lengths, truncated at its maxima
INPUT = {"law": "lognormal", "median_tokens": 757.0, "sigma": 0.99, "min_tokens": 1, "max_tokens": 14050}
OUTPUT = {"law": "lognormal", "median_tokens": 151.0, "sigma": 0.86, "min_tokens": 1, "max_tokens": 1000}
LAYOUTS = {
    "dp": {"tensor_parallel_size": 4, "data_parallel_size": 4, "enable_expert_parallel": True},
    "tp": {"tensor_parallel_size": 16},
    "pp": {"tensor_parallel_size": 8, "pipeline_parallel_size": 2},
}
SEATS = {"dp": 128, "tp": 256, "pp": 256}
SETTLE_S, MEASURE_S = 200.0, 400.0
ROOT_TOKENS, TURNS_MEAN, GAP_MEAN_S, LONGEST_TOKENS = 1024, 5, 60.0, 16_000  # of the sessions
INTERLEAVED_RPS = 8.0  # how sessions mix in the closed loop that measures the capacity
HEADER = (
    "| date | layout | requests/s, CPU (wall) | load, req/s | events | boundaries | steps | batch | hit | peak MiB |"
)


@dataclass(frozen=True)
class Run:
    """One timed run."""

    outcome: Outcome
    events: int
    wall_s: float
    cpu_s: float


def conversations(rate_rps: float) -> Iterator[RequestDraw]:
    """Sessions behind one system prompt: each turn has a new message, the gap between turns is exponential."""
    rng = Streams(1).generator("conversations")
    normals, exponentials = blockwise(rng.standard_normal), blockwise(Streams(1).generator("gaps").standard_exponential)
    pending: list[tuple[float, int, int, int]] = []  # (time, session, turns left, tokens of history)
    start_s = 0.0
    for session in itertools.count(1):
        start_s += next(exponentials) * TURNS_MEAN / rate_rps
        while pending and pending[0][0] < start_s:
            at_s, number, left, history = heapq.heappop(pending)
            new, output = lognormal(normals, INPUT), lognormal(normals, OUTPUT)
            runs, tokens = ((0, ROOT_TOKENS), (number << 20, history + new)), ROOT_TOKENS + history + new
            yield RequestDraw(at_s, tokens, output, str(number), runs, (number << 20) + history + new)
            if left and tokens + output < LONGEST_TOKENS:
                gap_s = next(exponentials) * GAP_MEAN_S
                heapq.heappush(pending, (at_s + gap_s, number, left - 1, history + new + output))
        heapq.heappush(pending, (start_s, session, int(next(exponentials) / -math.log1p(-1.0 / TURNS_MEAN)), 0))


def lognormal(normals: Iterator[float], law: dict[str, Any]) -> int:
    """One length."""
    tokens = law["median_tokens"] * math.exp(law["sigma"] * next(normals))
    return int(min(max(tokens, law["min_tokens"]), law["max_tokens"]))


def scenario(
    layout: str,
    arrivals: dict[str, object],
    horizon_s: float,
    warmup_s: float,
    sessions: bool,
    extra: Mapping[str, object] | None = None,
) -> sim.Scenario:
    """The baseline model and hardware with another layout and load, and with what `extra` changes by dotted key."""
    changes = {
        "deployment.layout": LAYOUTS[layout],
        "deployment.engine.max_num_seqs": SEATS[layout],
        "deployment.engine.max_num_batched_tokens": 8192,
        "deployment.engine.enable_prefix_caching": sessions,
        "workload": {"arrivals": arrivals, "input_tokens": INPUT, "output_tokens": OUTPUT},
        "run": {"horizon_s": horizon_s, "warmup_s": warmup_s, "replications": 1},
        **(extra or {}),
    }
    return sim.load(BASELINE).with_(changes)


def capacity_rps(layout: str, sessions: bool, extra: Mapping[str, object] | None = None) -> float:
    """Saturated throughput of the replica, measured by a closed loop that keeps every seat taken."""
    seats = SEATS[layout] * int(LAYOUTS[layout].get("data_parallel_size", 1))
    closed = {"process": "closed_loop", "concurrency": seats}
    built = build(scenario(layout, closed, SETTLE_S + MEASURE_S, SETTLE_S, sessions, extra))
    outcome = timed(built, sessions).outcome
    return outcome.record.totals.since(outcome.record.opened).completed / MEASURE_S


def timed(built: Built, sessions: bool, rate_rps: float = INTERLEAVED_RPS) -> Run:
    """One replication, without the study layer around it."""
    streams = Streams(1)
    sent = load(built.workload, streams)
    if sessions:
        sent = replace(sent, draws=conversations(rate_rps))
    cluster = Cluster(built.cluster, built.law, sent, streams)
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    outcome = cluster.run()
    wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
    return Run(outcome, next(cluster.env._eid), wall_s, cpu_s)  # noqa: SLF001 - SimPy numbers its events


def measure(layout: str, requests: int, share: float, repeats: int, sessions: bool, extra: Mapping[str, object]) -> str:
    """Best of several runs, as one row of the table."""
    rate_rps = share * capacity_rps(layout, sessions, extra)
    poisson = {"process": "poisson", "rate_rps": rate_rps}
    built = build(scenario(layout, poisson, requests / rate_rps, 0.0, sessions, extra))
    runs = [timed(built, sessions, rate_rps) for _ in range(repeats)]
    best = min(runs, key=lambda run: run.cpu_s)
    totals, done = best.outcome.record.totals, best.outcome.record.totals.completed
    wanted = totals.cached_prompt_tokens + totals.fetched_tokens + totals.prefilled_tokens
    tiered = built.cluster.host is not None or built.cluster.remote is not None
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    cells = (
        dt.datetime.now(tz=dt.UTC).date().isoformat(),
        str(built.planned.layout),
        f"{done / best.cpu_s:,.0f} ({done / min(run.wall_s for run in runs):,.0f})",
        f"{share:.0%}, {rate_rps:.2f}",
        f"{best.events / done:.2f}",
        f"{totals.boundaries / done:.2f}",
        f"{totals.steps / done:.2f}",
        f"{totals.sequence_s / totals.busy_s:.0f}",
        f"{totals.cached_prompt_tokens / wanted:.1%}" + (f" + {totals.fetched_tokens / wanted:.1%}" if tiered else ""),
        f"{peak_mib:.0f}",
    )
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--layout", choices=[*LAYOUTS, "all"], default="all")
    parser.add_argument("--requests", type=int, default=60_000, help="requests of one run")
    parser.add_argument("--repeats", type=int, default=3, help="runs per layout; the best counts")
    parser.add_argument("--load", type=float, default=0.7, help="share of the saturated throughput")
    parser.add_argument("--sessions", action="store_true", help="conversations with prefix caching")
    parser.add_argument("--host", action="store_true", help="a host tier below the prefix cache; with --sessions")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change the scenario further")
    options = parser.parse_args()
    extra: dict[str, object] = {}
    for item in options.set:
        key, value = pair("--set", item)
        extra[key] = parse_value(value)
    if options.host:
        if not options.sessions:
            parser.error("--host needs --sessions: without conversations nothing comes back")
        extra["deployment.engine.host_cache"] = {}
    if options.requests < 1 or options.repeats < 1 or options.load <= 0.0:
        parser.error("--requests and --repeats must be at least 1, --load above 0")
    print(HEADER)
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for layout in LAYOUTS if options.layout == "all" else [options.layout]:
        row = measure(layout, options.requests, options.load, options.repeats, options.sessions, extra)
        print(row, flush=True)


if __name__ == "__main__":
    main()
