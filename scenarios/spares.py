"""What each spare node buys: availability and cost per token, for fleets of several sizes.

    python scenarios/spares.py [SCENARIO] [--out DIR] [--replicas 1,2,4] [--spares 0,1,2,3]

The load grows with the replicas. Idle spares are paid, so a token costs more; downtime is counted, so it costs less.
Writes spares.csv and spares.png.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import sim
from sim.cli import run_script
from sim.cli.shared import counts
from sim.report.console import progress_bar
from sim.report.spares_plot import save_spares_plot
from sim.study.availability.cost import AVOIDED, EFFECTIVE, PER_MTOK, cost_of_spares
from sim.study.files import write_text

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scenario", nargs="?", default=HERE / "glm52_fp8_16xh100.yaml", type=Path)
    parser.add_argument("--out", default=Path("runs/spares"), type=Path)
    parser.add_argument("--replicas", default="1,2,4")
    parser.add_argument("--spares", default="0,1,2,3", help="spare nodes")
    parser.add_argument("--option", default="owned", help="way to pay that is printed and drawn")
    parser.add_argument("--years", type=float, default=5.0, help="life of each fleet")
    parser.add_argument("--fleets", type=int, default=200)
    parser.add_argument("--horizon-s", type=float, default=2400.0, help="of the runs that measure what is served")
    parser.add_argument("--replications", type=int, default=3)
    parser.add_argument("--workers", type=int, default=0, help="processes; 0 for one per core")
    options = parser.parse_args()

    changes = {
        "run.horizon_s": options.horizon_s,
        "run.replications": options.replications,
        "run.model_uncertainty": "none",
    }
    scenario = sim.load(options.scenario).with_(changes)
    with progress_bar("spares") as progress:
        frame = cost_of_spares(
            scenario,
            counts("--replicas", options.replicas),
            counts("--spares", options.spares),
            years=options.years,
            fleets=options.fleets,
            workers=options.workers,
            progress=progress,
        )
    write_text(options.out / "spares.csv", frame.to_csv(index=False))
    save_spares_plot(frame, options.option, scenario.name, options.out / "spares.png")
    names = {
        "available_frac": "available",
        "short_h_per_year": "hours short a year",
        PER_MTOK: "USD/Mtok",
        EFFECTIVE: "with downtime",
        AVOIDED: "USD per hour avoided",
    }
    mine = frame[frame["option"].isin([options.option, scenario.name]) & frame["metric"].isin(names)]
    table = mine.pivot_table(index=["replicas", "spares"], columns="metric", values="value")
    print(table.reindex(columns=list(names)).rename(columns=names).round(5).to_string())
    print(f"Written: {options.out / 'spares.csv'}, {options.out / 'spares.png'}")


if __name__ == "__main__":
    run_script(main)
