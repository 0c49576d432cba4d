"""What each router policy does to the hit rate of the prefix cache and to the tail of the time to first token.

    python scenarios/compare_routers.py [--out DIR] [--replicas 4] [--sessions 48]

The same coding agents on several replicas, each with its own prefix cache. A policy that looks at load only sends a
session to a replica that has never seen it; one that looks at the cache, at the session or at the first tokens brings
it back. Hashing the first tokens tells sessions apart only if it looks beyond what all of them share, so it is shown
for a short and for a long look.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

import sim
from sim.cli import run_script
from sim.report.console import progress_bar
from sim.report.routers_plot import PANELS, save_routers_plot

HERE = Path(__file__).parent
POLICIES = {
    "round_robin": {},
    "least_outstanding": {},
    "power_of_two": {},
    "prefix_hash, 256 tokens": {"router.prefix_hash_tokens": 256},
    "prefix_hash, 32,768 tokens": {"router.prefix_hash_tokens": 32_768},
    "prefix_affinity": {},
    "session_sticky": {},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default=Path("runs/compare_routers"), type=Path)
    parser.add_argument("--replicas", type=int, default=4)
    parser.add_argument("--sessions", type=int, default=48, help="sessions at a time, on all replicas together")
    parser.add_argument("--replications", type=int, default=5)
    parser.add_argument("--horizon-s", type=float, help="instead of the scenario's")
    parser.add_argument("--workers", type=int, default=0, help="processes; 0 for one per core")
    options = parser.parse_args()

    changes = {
        "run.replications": options.replications,
        "run.horizon_s": options.horizon_s,
        "deployment.replicas": options.replicas,
        "workload.sessions.concurrency": options.sessions,
    }
    changes = {key: value for key, value in changes.items() if value is not None}
    base = sim.load(HERE / "glm52_agents_16xh100.yaml").with_(changes)
    frames = []
    with progress_bar("compare routers") as progress:
        for done, (name, keys) in enumerate(POLICIES.items(), start=1):
            scenario = base.with_({"router.policy": name.split(",")[0], **keys})
            result = sim.simulate(scenario, workers=options.workers)
            frames.append(result.frame().assign(scenario=name, status=result.status))
            if progress is not None:
                progress(done / len(POLICIES))

    frame = pd.concat(frames, ignore_index=True)
    options.out.mkdir(parents=True, exist_ok=True)
    frame.to_csv(options.out / "compare_routers.csv", index=False)
    save_routers_plot(frame, options.out / "compare_routers.png")
    wanted = [metric for metric, _, _ in PANELS]
    table = frame[frame["metric"].isin(wanted)]
    table = table.pivot_table(index="scenario", columns="metric", values="value", sort=False)
    print(table.reindex(columns=wanted).round(3))
    print(f"Written: {options.out / 'compare_routers.csv'}, {options.out / 'compare_routers.png'}")


if __name__ == "__main__":
    run_script(main)
