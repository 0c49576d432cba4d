"""The assumed inputs that a result depends on: every one is listed in its report."""

from __future__ import annotations

from collections.abc import Iterator

from sim.catalog import models
from sim.catalog.tables import Fact, table
from sim.scenario.deployment import EngineSection
from sim.scenario.disaggregation import DisaggregationSection
from sim.scenario.scenario import Scenario
from sim.simulation.build import Built
from sim.simulation.engine import node_of, reserve_key
from sim.simulation.engine_constants import CONSTANTS
from sim.simulation.roles import roles_of
from sim.simulation.step_times import HOST_CONSTANTS
from sim.simulation.tiers import unused_rows
from sim.simulation.workload_facts import workload_facts
from sim.steptime.caveats import assumed_kernels
from sim.steptime.kernel import KernelStepLaw
from sim.steptime.law import StepLaw
from sim.steptime.tabulated import TabulatedLaw
from sim.study.assumed import AssumedInput, assumed_only
from sim.study.assumed_faults import run_facts
from sim.study.money import Money

CLIENT_KEYS = ("max_retries", "retry_backoff_s", "retry_backoff_factor", "retry_backoff_max_s", "request_timeout_s")
BREAKER_KEYS = (
    "check_interval_s", "breaker_failures", "breaker_window_s", "breaker_cooldown_s", "breaker_successes"
)  # fmt: skip
AUTOSCALER_KEYS = ("interval_s", "provision_s", "success_prob", "scale_up_cooldown_s", "scale_down_cooldown_s")
LAYOUT_ONLY = ("node", "gpu")  # words that name another row


def assumed_inputs(scenario: Scenario, built: Built, money: Money) -> tuple[AssumedInput, ...]:
    """Assumed rows of the catalog behind hardware, engine, kernels, model, faults, workload and prices of a run."""
    return assumed_only(_facts(scenario, built, money))


def _facts(scenario: Scenario, built: Built, money: Money) -> Iterator[tuple[str, Fact]]:
    yield from _rows("gpus", scenario.hardware.gpu, without=LAYOUT_ONLY)
    yield from _rows("nodes", node_of(scenario), without=(*LAYOUT_ONLY, *unused_rows(scenario)))
    for role in roles_of(scenario):
        yield from _engine(role.scenario)
    if scenario.deployment.disaggregation is not None:
        yield from _transfer(scenario.deployment.disaggregation)
    speculation = built.planned.speculation
    if speculation.fact is not None:
        drafts = speculation.num_speculative_tokens
        yield f"speculation.{speculation.curve}.acceptance_length_{drafts}", speculation.fact
    laws = [law for law, served in _laws(built) if not isinstance(served, TabulatedLaw)]
    for kernel in dict.fromkeys(kernel for law in laws for kernel in assumed_kernels(law)):
        yield from _rows("kernels", kernel, without=("family",))
    groups = laws[0].inputs.groups if laws else ()
    if any(group.imbalance.assumed for group in groups) and built.planned.spec.num_experts:
        yield from _rows("kernels", "expert_imbalance", without=("family", "max_over_mean", "draws"))
    if groups and groups[0].imbalance.eplb is not None:
        yield from _rows("kernels", "expert_load_balancing", only=groups[0].imbalance.eplb.assumed or ("",))
    yield from _model(built.planned.spec.name)
    yield from _reliability(scenario)
    yield from workload_facts(scenario.workload).items()
    for item in money.inputs:
        if item.fact is not None:
            yield item.key, item.fact


def _rows(
    area: str, subject: str, *, only: tuple[str, ...] = (), without: tuple[str, ...] = ()
) -> Iterator[tuple[str, Fact]]:
    for parameter, fact in table(area)[subject].items():
        if parameter not in without and (not only or parameter in only):
            yield f"{area}.{subject}.{parameter}", fact


def _engine(scenario: Scenario) -> Iterator[tuple[str, Fact]]:
    """Defaults of the engine that the scenario leaves open."""
    engine = scenario.deployment.engine
    open_keys = {
        "kv_cache_dtype": engine.kv_cache_dtype == "auto",
        "indexer_policy": engine.indexer_policy == "auto",
        reserve_key(scenario): engine.runtime_reserve_gib is None,
        **{name: getattr(engine, name) is None for name in _constants(engine)},
        "draft_host_overhead_ms": engine.num_speculative_tokens > 0,
    }
    yield from _rows("engines", engine.name, only=tuple(key for key, is_open in open_keys.items() if is_open) or ("",))


def _laws(built: Built) -> Iterator[tuple[KernelStepLaw, StepLaw | None]]:
    """The kernels of each pool, and what it is timed by."""
    yield built.law, built.served
    if built.decode_law is not None:
        yield built.decode_law, built.decode_served


def _constants(engine: EngineSection) -> tuple[str, ...]:
    """Engine constants that the step times rest on; a table of steps holds most of them."""
    if engine.step_times is None:
        return CONSTANTS
    return ("response_latency_ms", *(HOST_CONSTANTS if engine.step_times_scope == "kernels" else ()))


def _transfer(pools: DisaggregationSection) -> Iterator[tuple[str, Fact]]:
    """What the scenario leaves open of KV between two pools."""
    transfer = pools.transfer
    open_keys = {
        "kv_transfer_efficiency_frac": transfer.bandwidth_efficiency_frac is None,
        "kv_transfer_latency_ms": transfer.latency_ms is None,
        "num_reserved_decode_tokens": pools.num_reserved_decode_tokens is None,
    }
    wanted = tuple(key for key, is_open in open_keys.items() if is_open) or ("",)
    yield from _rows("engines", pools.decode.engine.name, only=wanted)


def _reliability(scenario: Scenario) -> Iterator[tuple[str, Fact]]:
    open_keys = tuple(key for key in CLIENT_KEYS if getattr(scenario.router, key) is None)
    if scenario.router.retry_budget_frac is not None and scenario.router.retry_budget_burst is None:
        open_keys += ("retry_budget_burst",)
    yield from _rows("reliability", "client", only=open_keys or ("",))
    scaling = scenario.deployment.autoscaling
    if scaling is not None:
        unset = tuple(key for key in AUTOSCALER_KEYS if getattr(scaling, key) is None)
        yield from _rows("reliability", "autoscaler", only=unset or ("",))
    if scenario.router.health.knowledge == "observed":
        unset = tuple(key for key in BREAKER_KEYS if getattr(scenario.router.health, key) is None)
        yield from _rows("reliability", "router", only=unset or ("",))
    yield from run_facts(scenario)


def _model(name: str) -> Iterator[tuple[str, Fact]]:
    row = models.rows().get(name)
    if row is not None and row["status"] == "assumed":
        yield f"models.{name}", Fact(name, "-", None, None, row["source"], row["date"], "assumed", row["note"])
