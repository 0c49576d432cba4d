"""How many replicas for prompts and how many for answers: the highest load within the service level for each split.

    python scenarios/prefill_decode_ratio.py [--out DIR] [--gpus 64] [--scenario FILE] [--tolerance-frac 0.03]

DeepSeek-V3 on H200 nodes of 8, one replica each; as many replicas that do both, in either layout, are the comparison.
For each split the arrival rate is bisected on simulated attainment.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import sim
from sim.cli import run_script
from sim.report.console import progress_bar
from sim.report.ratio_plot import save_ratio_plot
from sim.study.ratio import search_ratio

HERE = Path(__file__).parent
SCENARIO = HERE / "deepseek_v3_disagg_8xh200.yaml"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default=Path("runs/prefill_decode_ratio"), type=Path)
    parser.add_argument("--scenario", default=SCENARIO, type=Path, help="any scenario with deployment.disaggregation")
    parser.add_argument("--gpus", type=int, default=64)
    parser.add_argument("--tolerance-frac", type=float, default=0.03, help="width of the bracket around the answer")
    parser.add_argument("--horizon-s", type=float, default=None)
    parser.add_argument("--replications", type=int, default=None)
    parser.add_argument("--workers", type=int, default=0, help="processes; 0 for one per core")
    options = parser.parse_args()

    changes = {"run.horizon_s": options.horizon_s, "run.replications": options.replications}
    scenario = sim.load(options.scenario).with_({key: value for key, value in changes.items() if value is not None})
    with progress_bar("prefill to decode") as progress:
        search = search_ratio(
            scenario,
            options.gpus,
            tolerance_frac=options.tolerance_frac,
            workers=options.workers,
            progress=progress,
        )

    options.out.mkdir(parents=True, exist_ok=True)
    search.frame().to_csv(options.out / "prefill_decode_ratio.csv", index=False)
    save_ratio_plot(search, options.out / "prefill_decode_ratio.png")
    print(search.table().astype(float).round(3).T.to_string())
    print(f"Most within the service level: {search.best.name}, {search.best.inside_rps:.3g} requests/s")
    print(f"Written: {options.out / 'prefill_decode_ratio.csv'}, {options.out / 'prefill_decode_ratio.png'}")


if __name__ == "__main__":
    run_script(main)
