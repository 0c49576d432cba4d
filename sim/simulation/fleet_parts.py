"""Spares, repair shop, common causes and elasticity of a scenario; what it leaves open comes from the catalog."""

from __future__ import annotations

from sim.catalog.tables import number
from sim.errors import ScenarioError
from sim.faults.fleet_plan import Common, Elastic, Shop, Spares
from sim.faults.phases import exponential
from sim.scenario.scenario import Scenario
from sim.simulation.fault_classes import bad_repair_frac, node_classes, shock_frac
from sim.simulation.faults import TABLE
from sim.simulation.roles import roles_of
from sim.units import DAY_S, HOUR_S, YEAR_S


def spares(scenario: Scenario) -> Spares:
    """Nodes that stand by, and what can be rented."""
    chosen = scenario.reliability.spares
    start_s = _or(chosen.start_s, "spares", "cold_start_s")
    rent = chosen.rent
    return Spares(
        scenario.deployment.spare_nodes,
        fail=chosen.powered,
        start_s=0.0 if chosen.powered else start_s,
        rent_success=0.0 if rent is None else _or(rent.success_frac, "autoscaler", "success_prob"),
        rent_delay_s=0.0 if rent is None else _or(rent.delay_s, "autoscaler", "provision_s"),
    )


def shop(scenario: Scenario) -> Shop:
    """Crews, parts, tests, bad repairs and lemons."""
    chosen = scenario.reliability
    parts, lemons = chosen.parts, chosen.lemons
    return Shop(
        crews=chosen.repair_crews,
        parts=None if parts is None else parts.stock,
        part_lead_s=0.0 if parts is None else _or(parts.lead_days, "parts", "lead_days") * DAY_S,
        requalify_s=chosen.requalify_s,
        bad_repair=bad_repair_frac(chosen),
        refail=exponential(number(TABLE, "bad_repair", "refail_mean_days") * DAY_S),
        lemon_faults=0 if lemons is None else int(_or(lemons.faults, "lemons", "faults")),
        lemon_window_s=0.0 if lemons is None else _or(lemons.window_days, "lemons", "window_days") * DAY_S,
        replace_s=0.0 if lemons is None else _or(lemons.replace_days, "lemons", "replace_days") * DAY_S,
    )


def common(scenario: Scenario) -> Common:
    """Shocks at such a rate that they are the stated share of the faults of a node, and outages of the site."""
    chosen = scenario.reliability.common_cause
    if chosen is None:
        return Common()
    share = shock_frac(scenario.reliability)
    rack_nodes = int(_or(chosen.rack_nodes, "common_cause", "rack_nodes"))
    shock_nodes = int(_or(chosen.shock_nodes, "common_cause", "shock_nodes"))
    alone = node_classes(scenario.reliability.model_copy(update={"common_cause": None}))
    by_shocks = share * sum(kind.rate_per_s for kind in alone if kind.leaves)
    return Common(
        rack_nodes=rack_nodes,
        shock_per_s=by_shocks * rack_nodes / min(shock_nodes, rack_nodes),
        shock_nodes=shock_nodes,
        site_per_s=_or(chosen.site.outages_per_year, "site", "outages_per_year") / YEAR_S,
        site=exponential(_or(chosen.site.outage_h, "site", "outage_h") * HOUR_S),
    )


def frailty_shape(scenario: Scenario) -> float:
    """Shape of the gamma law by which nodes differ; infinite where all are alike.

    Where bad repairs are counted apart they explain part of the differences between nodes, so the shape is another.
    """
    if scenario.reliability.equal_nodes:
        return float("inf")
    apart = bad_repair_frac(scenario.reliability) > 0.0
    return number(TABLE, "frailty", "shape" if apart else "shape_without_bad_repair")


def early_faults(scenario: Scenario) -> tuple[float, float]:
    """Amplitude and decay in seconds of infant mortality; an amplitude of 0 for none."""
    chosen = scenario.reliability.early_faults
    if chosen is None:
        return 0.0, 1.0
    decay_days = _or(chosen.decay_days, "early_faults", "decay_days")
    return _or(chosen.amplitude, "early_faults", "amplitude"), decay_days * DAY_S


def elastic(scenario: Scenario) -> Elastic | None:
    """Elastic expert parallelism, where the layout can have it.

    So many ranks may be lost as leave room for one copy of every expert: of N ranks with E experts and R copies more,
    N R / (E + R). Checked: 256 experts and 256 copies on 32 ranks give 16, as published for SGLang.

    Raises
    ------
    ScenarioError : no attention ranks, no copies of experts, or more ranks to be lost than the copies make up for.
    """
    chosen = scenario.reliability.elastic_ep
    if chosen is None:
        return None
    role = roles_of(scenario)[-1]
    layout, experts = role.planned.layout, role.planned.spec.num_experts
    ranks, copies = layout.data_parallel_size, layout.redundant_experts
    if ranks % layout.num_nodes or ranks < 2 or not layout.enable_expert_parallel or not copies:
        raise ScenarioError(
            "needs expert parallelism over data-parallel attention ranks, as many on each node, and redundant experts",
            key="reliability.elastic_ep",
            valid=(
                "a layout with enable_expert_parallel, data_parallel_size and redundant_experts above 0; it has "
                f"{ranks} ranks on {layout.num_nodes} nodes and {copies} redundant experts"
            ),
            file=scenario.file,
        )
    most = ranks * copies // (experts + copies)
    given = most if chosen.max_failed_ranks is None else chosen.max_failed_ranks
    if given > most:
        raise ScenarioError(
            "leaves experts without a copy",
            key="reliability.elastic_ep.max_failed_ranks",
            value=given,
            valid=f"at most {most} of {ranks} ranks, with {copies} redundant experts beside {experts}",
            file=scenario.file,
        )
    return Elastic(
        ranks_per_node=ranks // layout.num_nodes,
        max_failed_ranks=given,
        pause_fail_s=_or(chosen.pause_fail_s, "elastic_ep", "pause_fail_s"),
        pause_rejoin_s=_or(chosen.pause_rejoin_s, "elastic_ep", "pause_rejoin_s"),
        overhead_frac=_or(chosen.overhead_frac, "elastic_ep", "overhead_frac"),
    )


def _or(given: float | None, subject: str, parameter: str) -> float:
    """What the scenario says, or the catalog."""
    return number(TABLE, subject, parameter) if given is None else float(given)
