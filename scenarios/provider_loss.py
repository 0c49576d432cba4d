"""What losing an API provider costs in service, against an own cluster, and what each does behind the other.

    python scenarios/provider_loss.py [--out DIR] [--vendor openai-api] [--repair urgent]

Self-hosting on one and two replicas of two nodes with and without a spare, the API, and both with failover, under base
and high rates of rare events and in a year in which the model is withdrawn for 18 days. Own nodes fail independently:
closed forms stand beside the simulation.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from sim.cli import run_script
from sim.report.console import progress_bar
from sim.report.paths_plot import save_paths_plot
from sim.report.paths_text import paths_text
from sim.study.files import write_text
from sim.study.provider_loss import REPAIRS, compare_losses, loss_frame


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default=Path("runs/provider_loss"), type=Path)
    parser.add_argument("--vendor", default="openai-api", help="service of the catalog: sim catalog providers")
    parser.add_argument("--repair", default="urgent", choices=REPAIRS, help="repair law of the own nodes")
    parser.add_argument(
        "--years", type=int, default=1, help="years in each replication; the withdrawal comes once in each"
    )
    parser.add_argument("--replications", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=0, help="processes; 0 for one per core")
    options = parser.parse_args()

    with progress_bar("provider loss") as progress:
        found = compare_losses(
            service=options.vendor,
            repair=options.repair,
            years=options.years,
            replications=options.replications,
            seed=options.seed,
            workers=options.workers,
            progress=progress,
        )
    frame = loss_frame(found)
    write_text(options.out / "provider_loss.csv", frame.to_csv(index=False))
    save_paths_plot(frame, options.out / "provider_loss.png")
    print(paths_text(found))
    print(f"\nWritten: {options.out / 'provider_loss.csv'}, {options.out / 'provider_loss.png'}")


if __name__ == "__main__":
    run_script(main)
