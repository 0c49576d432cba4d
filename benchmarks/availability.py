"""Speed of the clock of days: processor time of years of faults for a 64-node fleet, on one core.

    python benchmarks/availability.py [--replications 1000] [--years 10]

31 replicas of two nodes with two spares: fault classes, engine crashes, slow phases, bad repair, unequal nodes, early
faults, shocks, outages of the site and upgrades of the catalog. Goal: 1,000 replications of ten years in under 60 s.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import sim
from sim.faults.timeline import Timeline
from sim.simulation.fleet_plan import fleet_plan
from sim.streams import Streams
from sim.units import YEAR_S

BASELINE = Path(__file__).resolve().parents[1] / "scenarios" / "glm52_fp8_16xh100.yaml"
FLEET = {
    "deployment.replicas": 31,
    "deployment.spare_nodes": 2,
    "reliability.early_faults": {},
    "reliability.common_cause": {},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replications", type=int, default=1000)
    parser.add_argument("--years", type=float, default=10.0)
    options = parser.parse_args()

    plan = fleet_plan(sim.load(BASELINE).with_(FLEET))
    begun, cpu, events = time.perf_counter(), time.process_time(), 0
    for index in range(options.replications):
        timeline = Timeline(plan, Streams(1, index))
        timeline.run(options.years * YEAR_S)
        events += timeline.events
    wall_s, cpu_s = time.perf_counter() - begun, time.process_time() - cpu
    node_years = options.replications * options.years * (plan.in_service + plan.spares.count)
    print(f"{options.replications:,} x {options.years:g} years of {plan.in_service + plan.spares.count} nodes")
    print(f"CPU {cpu_s:.1f} s (wall {wall_s:.1f} s), {events:,} events, {node_years / cpu_s:,.0f} node-years/s")


if __name__ == "__main__":
    main()
