"""GLM-5.2 in BF16 on 32 H100, FP8 on 16, INT4 on 8, FP8 on 8 H200: fit, latency, throughput, cost, and one lost GPU.

    python scenarios/compare_precisions.py [--out DIR] [--load 0.6]

Each option runs at the same share of its own saturated throughput. Writes compare_precisions.csv and .png.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

import sim
from sim.cli import run_script
from sim.report.console import progress_bar
from sim.report.precision_plot import save_precision_plot
from sim.study.outage import one_lost_gpu
from sim.study.saturation import saturation

HERE = Path(__file__).parent
OPTIONS = ("glm52_bf16_32xh100", "glm52_fp8_16xh100", "glm52_int4_8xh100", "glm52_fp8_8xh200")


def option_frame(scenario: sim.Scenario, load: float, workers: int) -> pd.DataFrame:
    """Every figure of one option at its load, and what one lost GPU does to it."""
    top = saturation(scenario, workers=workers)
    loaded = scenario.with_({"workload.arrivals.rate_rps": load * top.requests_rps})
    result = sim.simulate(loaded, workers=workers)
    lost = one_lost_gpu(loaded, workers=workers)
    frame = pd.concat([result.frame(), pd.DataFrame([metric.as_dict() for metric in lost])], ignore_index=True)
    frame.insert(0, "status", result.status)
    frame.insert(0, "rate_rps", load * top.requests_rps)
    frame.insert(0, "scenario", scenario.name)
    return frame


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default=Path("runs/compare_precisions"), type=Path)
    parser.add_argument("--load", type=float, default=0.6, help="share of each option's saturated throughput")
    parser.add_argument("--replications", type=int, help="instead of the scenarios'")
    parser.add_argument("--horizon-s", type=float, help="instead of the scenarios'")
    parser.add_argument("--workers", type=int, default=0, help="processes; 0 for one per core")
    options = parser.parse_args()

    changes = {"run.replications": options.replications, "run.horizon_s": options.horizon_s}
    changes = {key: value for key, value in changes.items() if value is not None}
    frames = []
    with progress_bar("compare precisions") as progress:
        for index, name in enumerate(OPTIONS):
            scenario = sim.load(HERE / f"{name}.yaml").with_(changes)
            found = sim.check(scenario)
            if found.built is None:
                print(f"{name}: {found.infeasible}")
                continue
            frames.append(option_frame(scenario, options.load, options.workers))
            if progress is not None:
                progress((index + 1) / len(OPTIONS))

    frame = pd.concat(frames, ignore_index=True)
    options.out.mkdir(parents=True, exist_ok=True)
    frame.to_csv(options.out / "compare_precisions.csv", index=False)
    save_precision_plot(frame, options.out / "compare_precisions.png")
    print(summary(frame).to_string(float_format=lambda value: f"{value:,.3g}"))
    print(f"Written: {options.out / 'compare_precisions.csv'}, {options.out / 'compare_precisions.png'}")


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """The figures that decide, one row per option."""
    wanted = {
        "ttft_p95_s": "TTFT p95 s",
        "tpot_p95_s": "TPOT p95 s",
        "output_throughput_tokens_per_s_per_gpu": "out tok/s/GPU",
        "cost_usd_per_mtok_output": "USD/Mtok out",
        "gpus_taken_down": "GPUs down",
        "outage_s": "outage s",
        "killed_requests_per_fault": "killed requests",
    }
    priced = frame["option"].isin(["on_demand", *frame["scenario"].unique()])
    rows = frame[priced & frame["metric"].isin(list(wanted))]
    table = rows.pivot_table(index="scenario", columns="metric", values="value", aggfunc="first", sort=False)
    return table.rename(columns=wanted)[[label for name, label in wanted.items() if name in table.columns]]


if __name__ == "__main__":
    run_script(main)
