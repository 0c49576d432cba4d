"""How to split GPUs between prefill and decode: the highest load within the service level for each ratio of the two."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sim.errors import SimError
from sim.scenario.scenario import Scenario
from sim.simulation.check import check
from sim.simulation.roles import gpus_in_service, roles_of
from sim.study.load_curve import meets_service_level
from sim.study.result import Result
from sim.study.simulate import simulate
from sim.study.workers import Progress

if TYPE_CHECKING:
    import pandas as pd

TOLERANCE_FRAC = 0.03
MOST_RUNS = 9  # simulations per split; a load that is not met at 1/500 of the bound is not looked for further
FIGURES = (
    "ttft_p95_s",
    "tpot_p95_s",
    "output_throughput_tokens_per_s_per_gpu",
    "prefill_occupied_frac",
    "decode_occupied_frac",
    "prefill_stalled_frac",
    "decode_wait_p95_s",
    "kv_transfer_p95_s",
)


@dataclass(frozen=True, slots=True)
class Split:
    """One way to use the GPUs, and what it carries.

    Attributes
    ----------
    name : `2 prefill + 6 decode`, or `8 aggregated TP8`.
    prefill, decode : replicas of each; both 0 where replicas do both.
    scenario : the split, at the load of the scenario that was asked about.
    inside_rps : highest simulated load that met the service level, None when none did.
    outside_rps : lowest simulated load above it that did not.
    result : at `inside_rps`.
    reason : why nothing was simulated or nothing met the service level; empty otherwise.
    """

    name: str
    prefill: int
    decode: int
    scenario: Scenario
    inside_rps: float | None = None
    outside_rps: float | None = None
    result: Result | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RatioSearch:
    """All splits of a number of GPUs.

    Attributes
    ----------
    gpus : that may be used.
    splits : prefill replicas ascending, replicas that do both last.
    """

    gpus: int
    splits: tuple[Split, ...]

    @property
    def best(self) -> Split:
        """The split that carries most within the service level.

        Raises
        ------
        SimError : none meets it at any load.
        """
        carrying = [split for split in self.splits if split.inside_rps is not None]
        if not carrying:
            raise SimError("no split meets the service level at any load that was tried")
        return max(carrying, key=lambda split: split.inside_rps or 0.0)

    def frame(self) -> pd.DataFrame:
        """Tidy: one row per split and figure, with the columns of `Result.frame` and those of the split."""
        import pandas as pd

        frames = []
        for split in self.splits:
            own = [
                ("highest_rate_rps", "requests/s", split.inside_rps, split.inside_rps, split.outside_rps, split.reason)
            ]
            head = pd.DataFrame(own, columns=["metric", "unit", "value", "low", "high", "note"])
            parts = [head.assign(option=split.scenario.name)]
            if split.result is not None:
                parts.append(split.result.frame())
            status = "none within the service level" if split.result is None else split.result.status
            frame = pd.concat([part.astype(object) for part in parts], ignore_index=True)
            frames.append(
                frame.assign(
                    split=split.name,
                    prefill_replicas=split.prefill,
                    decode_replicas=split.decode,
                    gpus=gpus_in_service(split.scenario),
                    status=status,
                )
            )
        return pd.concat(frames, ignore_index=True)

    def table(self) -> pd.DataFrame:
        """One row per split: highest load, latencies and occupation there, cost of the cheapest own option."""
        import pandas as pd

        return pd.DataFrame([_row(split) for split in self.splits]).set_index("split")


def search_ratio(
    scenario: Scenario,
    gpus: int,
    *,
    tolerance_frac: float = TOLERANCE_FRAC,
    workers: int = 0,
    progress: Progress | None = None,
) -> RatioSearch:
    """For each split of the GPUs, bisect the highest arrival rate whose simulated attainment meets the service level.

    The mix, the seed and the length of the run are those of the scenario, so that all splits see the same requests at
    the same rate. Splits that leave room for another replica of either pool are left out. Replicas that do both, in the
    layouts of the deployment and of its pools, with `deployment.engine`, are the comparison.

    Raises
    ------
    SimError : the scenario has no pools, no arrival rate, or no service level, or the GPUs hold no split.
    """
    if scenario.deployment.disaggregation is None:
        raise SimError("a search for the ratio of prefill to decode needs deployment.disaggregation")
    if scenario.workload.trace is not None or scenario.workload.sessions is not None:
        raise SimError(
            "a search for the ratio changes workload.arrivals.rate_rps, which traces and sessions do not have"
        )
    if scenario.slo.ttft_ms is None and scenario.slo.tpot_ms is None and scenario.slo.e2el_ms is None:
        raise SimError("without a service level (slo) every load counts as carried")
    wanted = list(splits_of(scenario, gpus))
    if not any(split.prefill for split in wanted):
        raise SimError(f"{gpus} GPUs hold no replica of each pool")
    found = []
    for index, split in enumerate(wanted):
        found.append(_bisected(split, tolerance_frac, workers))
        if progress is not None:
            progress((index + 1) / len(wanted))
    return RatioSearch(gpus, tuple(found))


def splits_of(scenario: Scenario, gpus: int) -> Iterator[Split]:
    """The splits that a number of GPUs allows and fills."""
    prefill, decode = (role.planned.layout.num_gpus for role in roles_of(scenario))
    for count in range(1, gpus // prefill + 1):
        others = (gpus - count * prefill) // decode
        if others < 1 or gpus - count * prefill - others * decode >= min(prefill, decode):
            continue
        changes = {
            "deployment.disaggregation.prefill.replicas": count,
            "deployment.disaggregation.decode.replicas": others,
        }
        yield Split(f"{count} prefill + {others} decode", count, others, scenario.with_(changes))
    yield from _aggregated(scenario, gpus)


def _aggregated(scenario: Scenario, gpus: int) -> Iterator[Split]:
    """Replicas that do both, in the layout of the deployment and in those of its pools."""
    deployment = scenario.deployment
    pools = deployment.disaggregation
    assert pools is not None
    for layout in dict.fromkeys((deployment.layout, pools.prefill.layout, pools.decode.layout)):
        changes = {"deployment.disaggregation": None, "deployment.layout": layout.model_dump()}
        role = roles_of(scenario.with_(changes))[0]
        replicas = gpus // role.planned.layout.num_gpus
        if replicas:
            both = scenario.with_({**changes, "deployment.replicas": replicas})
            yield Split(f"{replicas} aggregated {role.planned.layout}", 0, 0, both)


def _bisected(split: Split, tolerance_frac: float, workers: int) -> Split:
    found = check(split.scenario)
    if found.built is None:
        return _failed(split, str(found.infeasible))
    high_rps = _bound_rps(split.scenario)
    inside, result, runs = 0.0, None, 0
    while high_rps - inside > tolerance_frac * high_rps and runs < MOST_RUNS:
        rate_rps = 0.5 * (inside + high_rps)
        tried = simulate(split.scenario.with_({"workload.arrivals.rate_rps": rate_rps}), workers=workers)
        runs += 1
        if meets_service_level(tried):
            inside, result = rate_rps, tried
        else:
            high_rps = rate_rps
    if result is None:
        return _failed(split, f"not met at {high_rps:.3g} requests/s either")
    return Split(split.name, split.prefill, split.decode, split.scenario, inside, high_rps, result)


def _failed(split: Split, reason: str) -> Split:
    return Split(split.name, split.prefill, split.decode, split.scenario, reason=reason)


def _bound_rps(scenario: Scenario) -> float:
    """Load that no scheduling carries: the bound of the pool that is exhausted first."""
    found = check(scenario)
    bounds = (found.bound, found.decode_bound)
    return min(
        bound.requests_rps * role.replicas
        for role, bound in zip(roles_of(scenario), bounds, strict=False)
        if bound is not None
    )


def _row(split: Split) -> dict[str, object]:
    row: dict[str, object] = {"split": split.name, "gpus": gpus_in_service(split.scenario)}
    row["highest_rate_rps"], row["missed_at_rps"] = split.inside_rps, split.outside_rps
    result = split.result
    known = {} if result is None else {metric.metric: metric.value for metric in reversed(result.metrics)}
    row |= {name: known.get(name) for name in FIGURES}
    row["cost_usd_per_mtok_output"] = None if result is None else cheapest(result.metrics)
    return row


def cheapest(metrics: Sequence[object]) -> float | None:
    """Least effective cost of output over the options that pay for GPUs."""
    own = {m.option for m in metrics if m.metric == "cost_usd_per_gpu_hour"}  # type: ignore[attr-defined]
    costs = [
        m.value  # type: ignore[attr-defined]
        for m in metrics
        if m.metric == "cost_usd_per_mtok_output" and m.option in own  # type: ignore[attr-defined]
    ]
    return min((cost for cost in costs if cost is not None), default=None)
