"""Ways to upgrade minute by minute: capacity, queue, time to first token, retries and bad requests.

    python scenarios/rolling_upgrade.py [SCENARIO] [--out DIR]

The same requests while nothing happens, under a rolling upgrade, one with cold kernels as after a change of the weight
format, one that takes replicas without waiting for the others, an exchange of weights in place, and blue-green, which
asks for as many nodes again. Writes rolling_upgrade.csv and rolling_upgrade.png.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

import sim
from sim.cli import run_script
from sim.report.console import progress_bar
from sim.report.one_fault_plot import save_one_fault_plot
from sim.study.files import write_text
from sim.study.one_fault import one_fault
from sim.study.upgrades import Round, upgrade_round
from sim.units import HOUR_S, MINUTE_S

HERE = Path(__file__).parent
WAYS: Final[dict[str, tuple[str, dict[str, object]]]] = {
    "rolling": ("engine_upgrade", {}),
    "rolling, no drain": ("engine_upgrade", {"drain_s": 0.0}),
    "rolling, cold kernels": ("model_change", {}),
    "weights in place": ("weight_swap", {}),
    "blue-green": ("engine_upgrade", {"strategy": "blue_green"}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scenario", nargs="?", default=HERE / "glm52_rolling_upgrade.yaml", type=Path)
    parser.add_argument("--out", default=Path("runs/rolling_upgrade"), type=Path)
    parser.add_argument("--replicas", type=int, help="instead of the scenario's")
    parser.add_argument("--rate-rps", type=float, help="instead of the scenario's")
    parser.add_argument("--replications", type=int, default=5)
    parser.add_argument("--after-s", type=float, default=900.0, help="shown after the longest round")
    parser.add_argument("--workers", type=int, default=0, help="processes; 0 for one per core")
    options = parser.parse_args()

    changes = {"deployment.replicas": options.replicas, "workload.arrivals.rate_rps": options.rate_rps}
    scenario = sim.load(options.scenario).with_({key: value for key, value in changes.items() if value is not None})
    rounds: dict[str, Round] = {name: upgrade_round(scenario, *way) for name, way in WAYS.items()}
    with progress_bar("rolling upgrade") as progress:
        frame = one_fault(
            scenario,
            {"nothing": (), **{name: found.transitions for name, found in rounds.items()}},
            after_s=max(found.length_s for found in rounds.values()) + options.after_s,
            replications=options.replications,
            workers=options.workers,
            progress=progress,
        )
    write_text(options.out / "rolling_upgrade.csv", frame.to_csv(index=False))
    save_one_fault_plot(frame, scenario, options.out / "rolling_upgrade.png", "upgrade")
    bad = frame[frame["metric"] == "bad_frac"].groupby("case", sort=False)["value"].mean()
    print(f"{'':24}{'round, min':>12}{'lost, replica-min':>20}{'extra node-h':>14}{'bad requests, %':>17}")
    print(f"{'nothing':24}{0.0:12.1f}{0.0:20.1f}{0.0:14.1f}{100.0 * bad['nothing']:17.2f}")
    for name, found in rounds.items():
        lost_min, doubled_h = found.lost_replica_s / MINUTE_S, found.tally.doubled_s / HOUR_S
        print(f"{name:24}{found.length_s / MINUTE_S:12.1f}{lost_min:20.1f}{doubled_h:14.1f}{100.0 * bad[name]:17.2f}")
    print(f"Written: {options.out / 'rolling_upgrade.csv'}, {options.out / 'rolling_upgrade.png'}")


if __name__ == "__main__":
    run_script(main)
