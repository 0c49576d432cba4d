"""Loads above capacity are named, with what would carry them; others are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sim.simulation.check import check
from sim.study.saturation import saturation
from tests.study_cases import POISSON, QUICK_RESTART, simulated, tiny

LONG = {"run.horizon_s": 120.0, "run.warmup_s": 20.0}


@pytest.fixture(scope="module")
def capacity_rps() -> float:
    """Completed requests per second of one replica with a queue that never empties."""
    return simulated(LONG | {"workload.arrivals.rate_rps": 40.0}).value("request_throughput_rps")


def at(rate_rps: float, **changes: Any) -> dict[str, Any]:
    return LONG | {"workload.arrivals": {"process": "poisson", "rate_rps": rate_rps}} | changes


@pytest.mark.parametrize("share", [0.5, 0.9, 0.97])
def test_a_load_below_capacity_completes(capacity_rps: float, share: float) -> None:
    """Queues come and go, but the cluster keeps up."""
    found = simulated(at(share * capacity_rps))
    assert found.status == "completed"
    assert found.infeasible is None
    assert "length of the run" not in found.metric("ttft_p95_s").note


@pytest.mark.parametrize("share", [1.1, 1.25])
def test_a_load_just_above_capacity_is_no_completed_run(capacity_rps: float, share: float) -> None:
    """Latencies of a queue that grows carry a remark, and the replicas said to be needed carry the load when tried."""
    found = simulated(at(share * capacity_rps))
    assert found.status == "over_capacity"
    assert found.infeasible is not None
    assert found.infeasible.kind == "over_capacity"
    assert found.infeasible.numbers["completed_rps"] == pytest.approx(capacity_rps, rel=0.03)
    assert found.infeasible.numbers["offered_rps"] == pytest.approx(share * capacity_rps, rel=0.05)
    assert "depends on the length of the run" in found.metric("ttft_p95_s").note
    assert "depends on the length of the run" in found.metric("cost_usd_per_mtok_output", "owned").note
    assert any(found.infeasible.smallest in note for note in found.warnings)
    needed = int(found.infeasible.numbers["replicas_needed"])
    assert needed == 2
    assert simulated(at(share * capacity_rps, **{"deployment.replicas": needed})).status == "completed"


def test_a_hopeless_load_is_refused_without_simulating(capacity_rps: float) -> None:
    """A load of over three times capacity needs no run; the replicas named carry it, and one less does not."""
    short = {"run.horizon_s": 40.0, "run.warmup_s": 10.0}
    found = simulated(at(3.3 * capacity_rps))
    assert found.status == "infeasible"
    assert found.infeasible is not None
    assert found.infeasible.kind == "over_capacity"
    assert found.metrics == ()
    assert found.manifest["events"]["requests"] == 0
    needed = int(found.infeasible.numbers["replicas_needed"])
    assert needed == 4
    assert simulated(at(3.3 * capacity_rps, **{"deployment.replicas": needed}, **short)).status == "completed"
    assert simulated(at(3.3 * capacity_rps, **{"deployment.replicas": needed - 1}, **short)).status == "over_capacity"
    assert simulated(at(3.3 * capacity_rps, **{"deployment.replicas": needed - 2})).status == "infeasible"


def test_clients_that_give_up_do_not_hide_an_overload(capacity_rps: float) -> None:
    """With short patience nothing queues for long, but many requests get no answer."""
    found = simulated(at(1.2 * capacity_rps, **{"router.request_timeout_s": 0.3, "router.max_retries": 0}))
    assert found.counts["abandoned"] > 0.05 * found.counts["attempted"]
    assert found.status == "over_capacity"
    assert found.infeasible is not None
    assert "clients gave up on" in found.infeasible.problem


def test_a_few_requests_at_once_are_no_hopeless_load(tmp_path: Path) -> None:
    """Five requests within four milliseconds are 1,250 a second, and still only five; the same for a limited number."""
    path = tmp_path / "five.csv"
    rows = "".join(f"{index / 1000},100,20\n" for index in range(5))
    path.write_text("arrival_s,input_tokens,output_tokens\n" + rows, encoding="utf-8")
    replay = simulated({"workload": {"trace": {"path": str(path)}}, "run.warmup_s": 0.0, "run.replications": 1})
    assert replay.status == "completed"
    assert replay.counts["completed"] == 5
    limited = simulated({"workload.arrivals.rate_rps": 1000.0, "run.max_requests": 20, "run.warmup_s": 0.0})
    assert limited.status == "completed"
    assert limited.counts["completed"] == 40


def test_a_number_of_requests_that_no_horizon_suffices_for_is_refused() -> None:
    """Ten thousand requests in a minute are above capacity, whether or not there are more to come."""
    assert simulated({"workload.arrivals.rate_rps": 1000.0, "run.max_requests": 10000}).status == "infeasible"


def test_a_load_that_ends_with_a_queue_shows_no_steady_state(capacity_rps: float) -> None:
    """A limited number of requests above capacity completes in the end, and the run says what that hides."""
    above = simulated(at(1.2 * capacity_rps, **{"run.max_requests": 1500}))
    assert above.status == "completed"
    assert any("The load ended before run.horizon_s with up to" in note for note in above.warnings)
    below = simulated(at(0.6 * capacity_rps, **{"run.max_requests": 1000}))
    assert not any("The load ended before run.horizon_s" in note for note in below.warnings)


def test_a_closed_loop_is_never_above_capacity() -> None:
    """Its callers wait for answers, so their number is no offered rate."""
    found = simulated({"workload.arrivals": {"process": "closed_loop", "concurrency": 100}})
    assert found.status == "completed"


def test_a_low_load_over_a_short_time_is_no_overload() -> None:
    """A dozen requests, half of them under way at the end, prove nothing; the run says that it was short."""
    found = simulated({"workload.output_tokens.tokens": 3000, "run.horizon_s": 20.0, "workload.arrivals.rate_rps": 0.2})
    assert found.status == "completed"
    assert found.counts["unfinished"] > 0
    assert any("were under way at the end" in note for note in found.warnings)


def test_a_run_that_is_long_enough_gives_no_such_warning() -> None:
    """A handful of requests under way among hundreds bias nothing."""
    assert not any("under way" in note for note in simulated(LONG | {"workload.arrivals": POISSON}).warnings)


@pytest.mark.parametrize("at_s", [40.0, 112.0])
def test_an_outage_is_no_overload(at_s: float) -> None:
    """A replica that fails in every replication, early or near the end, loses requests, but it carries the load."""
    fault = {"reliability.inject": [{"at_s": at_s, "node": 0}], "deployment.spare_nodes": 1}
    found = simulated(LONG | QUICK_RESTART | fault | {"workload.arrivals": POISSON})
    assert found.counts["node_faults"] == 2
    assert found.status == "completed"
    assert found.value("available_frac") == pytest.approx(1.0 - 7.0 / 100.0)


def test_an_outage_without_end_is_no_overload() -> None:
    """Nothing is served once the only replica is gone for good, which more replicas of the same load would not mend."""
    found = simulated(LONG | {"workload.arrivals": POISSON, "reliability.inject": [{"at_s": 60.0, "node": 0}]})
    assert found.status == "completed"
    assert found.value("available_frac") == pytest.approx(0.4)


def test_an_outage_does_not_hide_an_overload(capacity_rps: float) -> None:
    """A load above capacity is named although each replication had a fault; the outage itself asks for no replica."""
    fault = {"reliability.inject": [{"at_s": 40.0, "node": 0}], "deployment.spare_nodes": 1}
    long = QUICK_RESTART | fault | {"reliability.detect_s": 35.0}
    found = simulated(at(1.25 * capacity_rps, **long))
    assert found.status == "over_capacity"
    assert found.infeasible is not None
    assert found.infeasible.numbers["offered_rps"] > 2.0 * found.infeasible.numbers["completed_rps"]
    assert found.infeasible.numbers["replicas_needed"] == 2.0


def test_saturation_is_what_an_endless_queue_gets(capacity_rps: float) -> None:
    """Callers for every seat and an open queue that never empties agree within the batching of equal requests."""
    found = saturation(tiny(), workers=1)
    assert found.requests_rps == pytest.approx(capacity_rps, rel=0.06)
    assert found.output_tokens_per_s == pytest.approx(20 * found.requests_rps)


@pytest.mark.parametrize(
    ("input_tokens", "output_tokens"), [(10, 1), (20, 2), (50, 5), (100, 300), (2000, 2), (4000, 100), (1, 200)]
)
@pytest.mark.parametrize("seats", [4, 64])
def test_the_bound_is_a_bound(input_tokens: int, output_tokens: int, seats: int) -> None:
    """Saturated engines stay below it, but for the counting of whole batches: no load is refused that one carries."""
    scenario = tiny(
        {
            "workload.input_tokens.tokens": input_tokens,
            "workload.output_tokens.tokens": output_tokens,
            "deployment.engine.max_num_seqs": seats,
        }
    )
    bound = check(scenario).bound
    assert bound is not None
    assert 0.4 * bound.requests_rps < saturation(scenario, workers=1).requests_rps < 1.06 * bound.requests_rps
