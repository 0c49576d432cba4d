"""Latency and cost against offered load, from idle to past the knee, on all cores.

    python scenarios/load_curve.py [SCENARIO] [--out DIR] [--points 0.1,0.5,0.9,1.1]

Writes load_curve.csv (every figure at every load) and load_curve.png, and prints the capacity within the service level.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import sim
from sim.cli import run_script
from sim.report.console import progress_bar
from sim.report.load_curve_plot import save_load_curve_plot
from sim.study.load_curve import SHARES, load_curve

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scenario", nargs="?", default=HERE / "glm52_fp8_16xh100.yaml", type=Path)
    parser.add_argument("--out", default=Path("runs/load_curve"), type=Path)
    parser.add_argument("--points", default=",".join(map(str, SHARES)), help="shares of the saturated throughput")
    parser.add_argument("--replications", type=int, help="instead of the scenario's")
    parser.add_argument("--horizon-s", type=float, help="instead of the scenario's")
    parser.add_argument("--workers", type=int, default=0, help="processes; 0 for one per core")
    options = parser.parse_args()

    changes = {"run.replications": options.replications, "run.horizon_s": options.horizon_s}
    scenario = sim.load(options.scenario).with_({key: value for key, value in changes.items() if value is not None})
    shares = tuple(float(point) for point in options.points.split(","))
    with progress_bar("load curve") as progress:
        curve = load_curve(scenario, shares=shares, workers=options.workers, progress=progress)

    options.out.mkdir(parents=True, exist_ok=True)
    frame = curve.frame()
    frame.to_csv(options.out / "load_curve.csv", index=False)
    save_load_curve_plot(frame, scenario, options.out / "load_curve.png")

    inside, outside = curve.capacity_rps
    print(f"{scenario.name}: saturated throughput {curve.saturation.requests_rps:.3g} requests/s, service level or not")
    if inside is None:
        print("No load of this curve meets the service level: loosen slo, or change the deployment.")
    else:
        above = f" and {outside:.3g}" if outside is not None else " and above (no load of the curve breaks it)"
        print(f"Capacity within the service level: between {inside:.3g}{above} requests/s")
    print(f"Written: {options.out / 'load_curve.csv'}, {options.out / 'load_curve.png'}")


if __name__ == "__main__":
    run_script(main)
