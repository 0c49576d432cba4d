"""Service-level attainment against load, with and without a year of faults.

    python scenarios/attainment_under_faults.py [SCENARIO] [--out DIR] [--replicas 2] [--rates 2,3,4,5,6]

The same years of faults at every load. Writes attainment_under_faults.csv (every annual figure) and .png.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import sim
from sim.cli import run_script
from sim.report.attainment_plot import save_attainment_plot
from sim.report.console import progress_bar
from sim.study.annual.attainment import attainment_under_faults
from sim.study.annual.scenario_year import years_of

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scenario", nargs="?", default=HERE / "glm52_fp8_16xh100.yaml", type=Path)
    parser.add_argument("--out", default=Path("runs/attainment_under_faults"), type=Path)
    parser.add_argument("--replicas", type=int, default=2)
    parser.add_argument("--spare-nodes", type=int, default=1)
    parser.add_argument("--rates", default="2,3,4,5,6", help="requests per second")
    parser.add_argument("--years", type=int, default=200)
    parser.add_argument("--replications", type=int, default=3)
    parser.add_argument("--horizon-s", type=float, default=4500.0, help="of each state without change")
    parser.add_argument("--workers", type=int, default=0, help="processes; 0 for one per core")
    options = parser.parse_args()

    changes = {
        "deployment.replicas": options.replicas,
        "deployment.spare_nodes": options.spare_nodes,
        "run.horizon_s": options.horizon_s,
    }
    scenario = sim.load(options.scenario).with_({key: value for key, value in changes.items() if value is not None})
    rates = tuple(float(rate) for rate in options.rates.split(","))
    years = years_of(scenario, options.years, workers=options.workers)
    with progress_bar("attainment under faults") as progress:
        frame = attainment_under_faults(
            scenario, years, rates, replications=options.replications, workers=options.workers, progress=progress
        )
    options.out.mkdir(parents=True, exist_ok=True)
    frame.to_csv(options.out / "attainment_under_faults.csv", index=False)
    save_attainment_plot(frame, scenario, options.out / "attainment_under_faults.png")
    wanted = ["slo_attainment_without_faults_frac", "slo_attainment_frac", "worst_hour_bad_mean_frac"]
    table = frame[frame["metric"].isin(wanted)].pivot_table(index="rate_rps", columns="metric", values="value")
    print((100.0 * table.reindex(columns=wanted)).round(2).to_string())
    print(f"Written: {options.out / 'attainment_under_faults.csv'}, {options.out / 'attainment_under_faults.png'}")


if __name__ == "__main__":
    run_script(main)
