"""One fault minute by minute: capacity, queue, time to first token, retries and bad requests.

    python scenarios/one_fault.py [SCENARIO] [--out DIR] [--replicas 2] [--rate-rps 5]

The same requests under a crash, a hang that is noticed late, and a node that is exchanged; with
`reliability.elastic_ep` also elastic expert parallelism, which goes on without the ranks of the lost node.
Writes one_fault.csv and one_fault.png.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import sim
from sim.cli import run_script
from sim.faults.transition import Action, Transition
from sim.report.console import progress_bar
from sim.report.one_fault_plot import save_one_fault_plot
from sim.scenario.scenario import Scenario
from sim.simulation.fleet_plan import fleet_plan
from sim.study.one_fault import one_fault

HERE = Path(__file__).parent
EXCHANGE_S = 1200.0  # a spare that is not at hand, such as one that must be rented


def cases(scenario: Scenario) -> dict[str, tuple[Transition, ...]]:
    """What happens to the first replica, by name; times since the fault."""
    plan = fleet_plan(scenario)
    recovery = plan.recovery
    restart_s = recovery.detect_s + recovery.restart_s[0]
    found = {
        "no fault": (),
        "crash": (Transition(0.0, 0, Action.DOWN, "crash"), Transition(restart_s, 0, Action.UP, "crash")),
        "hang": (
            Transition(0.0, 0, Action.HANG, "hang"),
            Transition(recovery.detect_hang_s, 0, Action.DOWN, "hang"),
            Transition(recovery.detect_hang_s + recovery.restart_s[0], 0, Action.UP, "hang"),
        ),
        "node lost": (
            Transition(0.0, 0, Action.DOWN, "node"),
            Transition(EXCHANGE_S + restart_s, 0, Action.UP, "node"),
        ),
    }
    elastic = plan.elastic
    if elastic is not None and elastic.ranks_per_node <= elastic.max_failed_ranks:
        gone = tuple(range(elastic.ranks_per_node))
        back_s = EXCHANGE_S + restart_s
        fail_s, rejoin_s = elastic.pause_fail_s, elastic.pause_rejoin_s
        found["node lost, elastic EP"] = (
            Transition(0.0, 0, Action.PAUSE, "node", fail_s),
            Transition(0.0, 0, Action.SHRINK, "node", ranks=gone),
            Transition(back_s, 0, Action.PAUSE, "node", rejoin_s),
            Transition(back_s, 0, Action.GROW, "node", ranks=gone),
        )
        del found["hang"]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scenario", nargs="?", default=HERE / "glm52_fp8_16xh100.yaml", type=Path)
    parser.add_argument("--out", default=Path("runs/one_fault"), type=Path)
    parser.add_argument("--replicas", type=int, help="instead of the scenario's; 2 for the default scenario")
    parser.add_argument("--rate-rps", type=float, help="instead of the scenario's; 5 for the default scenario")
    parser.add_argument("--replications", type=int, default=5)
    parser.add_argument("--after-s", type=float, default=3000.0, help="shown after the fault")
    parser.add_argument("--workers", type=int, default=0, help="processes; 0 for one per core")
    options = parser.parse_args()

    usual = options.scenario == parser.get_default("scenario")
    changes = {
        "deployment.replicas": options.replicas or (2 if usual else None),
        "workload.arrivals.rate_rps": options.rate_rps or (5.0 if usual else None),
    }
    scenario = sim.load(options.scenario).with_({key: value for key, value in changes.items() if value is not None})
    with progress_bar("one fault") as progress:
        frame = one_fault(
            scenario,
            cases(scenario),
            after_s=options.after_s,
            replications=options.replications,
            workers=options.workers,
            progress=progress,
        )
    options.out.mkdir(parents=True, exist_ok=True)
    frame.to_csv(options.out / "one_fault.csv", index=False)
    save_one_fault_plot(frame, scenario, options.out / "one_fault.png")
    bad = frame[frame["metric"] == "bad_frac"]
    print("Share of requests outside the service level over the time shown:")
    print((100.0 * bad.groupby("case", sort=False)["value"].mean()).round(2).to_string())
    print(f"Written: {options.out / 'one_fault.csv'}, {options.out / 'one_fault.png'}")


if __name__ == "__main__":
    run_script(main)
