"""How many coding agents at once: hit rate, time to first token and cost against the number of sessions.

    python scenarios/agents_curve.py [--out DIR] [--sessions 5,10,20,40]

The same agents on 16 H100, 24 H100 and 8 H200, with their prefix cache in GPU memory only, and with host memory below
it. Below the knee the cache holds what the sessions come back to; above it nearly every call computes its whole history
again, unless the host holds it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

import sim
from sim.cli import run_script
from sim.report.console import progress_bar
from sim.report.sessions_plot import save_sessions_plot

HERE = Path(__file__).parent
DEPLOYMENTS = {
    "16 x H100, TP8 x PP2": {},
    "24 x H100, TP8 x PP3": {"deployment.layout.pipeline_parallel_size": 3},
    "8 x H200, TP8": {"hardware.gpu": "h200-sxm-141gb", "deployment.layout.pipeline_parallel_size": 1},
}
HOST_TIER = {"": None, " + host tier": {}}
SESSIONS = "4,8,12,16,20,24,28,32,40,60"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default=Path("runs/agents_curve"), type=Path)
    parser.add_argument("--sessions", default=SESSIONS, help="sessions at a time, separated by commas")
    parser.add_argument("--replications", type=int, default=5)
    parser.add_argument("--workers", type=int, default=0, help="processes; 0 for one per core")
    options = parser.parse_args()

    base = sim.load(HERE / "glm52_agents_16xh100.yaml").with_({"run.replications": options.replications})
    options_of = {
        name + tier: {**changes, "deployment.engine.host_cache": section}
        for name, changes in DEPLOYMENTS.items()
        for tier, section in HOST_TIER.items()
    }
    points = [(name, int(count)) for name in options_of for count in options.sessions.split(",")]
    frames = []
    with progress_bar("agents curve") as progress:
        for done, (name, count) in enumerate(points, start=1):
            scenario = base.with_({**options_of[name], "workload.sessions.concurrency": count})
            result = sim.simulate(scenario, workers=options.workers)
            frames.append(result.frame().assign(scenario=name, sessions=count, status=result.status))
            if progress is not None:
                progress(done / len(points))

    frame = pd.concat(frames, ignore_index=True)
    options.out.mkdir(parents=True, exist_ok=True)
    frame.to_csv(options.out / "agents_curve.csv", index=False)
    save_sessions_plot(frame, options.out / "agents_curve.png")
    table = frame[frame["metric"].isin(["prefix_hit_frac", "ttft_p95_s", "slo_attainment_frac"])]
    print(table.pivot_table(index=["scenario", "sessions"], columns="metric", values="value", sort=False).round(3))
    print(f"Written: {options.out / 'agents_curve.csv'}, {options.out / 'agents_curve.png'}")


if __name__ == "__main__":
    run_script(main)
