"""What drafts gain or cost by the number of requests at work, and the batch above which they cost throughput.

    python scenarios/speculation_break_even.py [SCENARIO] [--out DIR] [--drafts 5] [--concurrency 1,16,256]

Writes speculation_break_even.csv (every figure of every run) and speculation_break_even.png, and prints a table.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

import sim
from sim.cli import run_script
from sim.report.console import progress_bar
from sim.report.speculation_plot import save_speculation_plot
from sim.study.speculation import CONCURRENCIES, GAIN, SpeculationCurve, speculation_curves

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scenario", nargs="?", default=HERE / "glm52_mtp_8xh200.yaml", type=Path)
    parser.add_argument("--out", default=Path("runs/speculation_break_even"), type=Path)
    parser.add_argument("--drafts", help="numbers of drafted tokens per step, instead of the scenario's")
    parser.add_argument("--concurrency", default=",".join(map(str, CONCURRENCIES)), help="requests at work")
    parser.add_argument("--replications", type=int, default=3)
    parser.add_argument("--workers", type=int, default=0, help="processes; 0 for one per core")
    options = parser.parse_args()

    scenario = sim.load(options.scenario).with_({"run.replications": options.replications})
    drafts = [scenario.deployment.engine.num_speculative_tokens]
    if options.drafts is not None:
        drafts = [int(number) for number in options.drafts.split(",")]
    with progress_bar("speculation") as progress:
        curves = speculation_curves(
            scenario,
            drafts,
            concurrencies=[int(count) for count in options.concurrency.split(",")],
            workers=options.workers,
            progress=progress,
        )

    frame = pd.concat([curve.frame() for curve in curves], ignore_index=True)
    frame = frame.drop_duplicates(["drafts", "concurrency", "option", "metric"])
    options.out.mkdir(parents=True, exist_ok=True)
    frame.to_csv(options.out / "speculation_break_even.csv", index=False)
    save_speculation_plot(frame, options.out / "speculation_break_even.png")

    gains = frame[frame["metric"] == GAIN]
    print(f"{scenario.name}: output throughput with drafts over that without, less one")
    print(gains.pivot_table(index="concurrency", columns="drafts", values="value").round(3))
    for curve in curves:
        print(sentence(curve))
    print(f"Written: {options.out / 'speculation_break_even.csv'}, {options.out / 'speculation_break_even.png'}")


def sentence(curve: SpeculationCurve) -> str:
    """Where drafts stop to pay, in words."""
    inside, outside = curve.break_even
    what = f"{curve.num_speculative_tokens} drafts at {curve.acceptance_length:.3g} tokens per step"
    if inside is None:
        return f"{what}: cost throughput at every number of requests that was simulated"
    if outside is None:
        return f"{what}: no loss up to {inside.concurrency} requests at work, a mean batch of {inside.batch:.0f}"
    return (
        f"{what}: break even between {inside.concurrency} and {outside.concurrency} requests at work, "
        f"at a mean batch of about {curve.break_even_batch:.0f}"
    )


if __name__ == "__main__":
    run_script(main)
