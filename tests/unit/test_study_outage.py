"""One lost GPU, and curves of load."""

from __future__ import annotations

from itertools import pairwise

import pytest

from sim.errors import SimError
from sim.simulation.fleet_plan import fleet_plan
from sim.study.load_curve import LoadCurve, load_curve, meets_service_level
from sim.study.outage import one_lost_gpu
from tests.study_cases import POISSON, QUICK_RESTART, tiny

BUSY = QUICK_RESTART | {"workload.arrivals": POISSON, "workload.output_tokens.tokens": 100}
LIMITED = {"workload.arrivals": POISSON, "slo.ttft_ms": 60.0, "run.horizon_s": 100.0}


@pytest.fixture(scope="module")
def curve() -> LoadCurve:
    """Low, high and hopeless load, asked for out of order."""
    return load_curve(tiny(LIMITED), shares=(0.8, 0.3, 3.0), workers=1)


def test_one_lost_gpu_takes_its_replica_for_detection_and_restart() -> None:
    """With a spare at hand the outage is exactly the parts that the scenario gives, and requests are killed."""
    figures = {metric.metric: metric for metric in one_lost_gpu(tiny(BUSY), workers=1)}
    assert figures["gpus_taken_down"].value == 8.0
    assert figures["outage_s"].value == pytest.approx(2.0 + 1.0 + 3.0 + 0.5 + 0.25 + 0.25, rel=1e-12)
    assert figures["killed_requests_per_fault"].value is not None
    assert figures["killed_requests_per_fault"].value > 0.0
    assert figures["lost_output_tokens_per_fault"].value is not None
    assert figures["lost_output_tokens_per_fault"].value > 0.0


def test_a_replica_of_two_nodes_goes_down_whole() -> None:
    """Sixteen GPUs go with one, and each node loads its half of the weights."""
    pipeline = {"deployment.layout.pipeline_parallel_size": 2, "run.horizon_s": 1500.0, "run.replications": 1}
    scenario = tiny({"workload.arrivals.rate_rps": 1.0} | pipeline)
    figures = {metric.metric: metric.value for metric in one_lost_gpu(scenario, workers=1)}
    recovery = fleet_plan(scenario).recovery
    assert figures["gpus_taken_down"] == 16.0
    assert figures["outage_s"] == pytest.approx(recovery.detect_s + recovery.restart_s[0], rel=1e-12)
    assert recovery.restart_s[0] < fleet_plan(tiny()).recovery.restart_s[0]


def test_the_study_leaves_out_faults_of_the_scenario() -> None:
    """One fault per run, whatever the scenario injects or draws."""
    noisy = BUSY | {"reliability.inject": [{"at_s": 12.0, "node": 0}, {"at_s": 50.0, "node": 0}]}
    assert one_lost_gpu(tiny(noisy), workers=1) == one_lost_gpu(tiny(BUSY), workers=1)


def test_an_outage_needs_time_load_and_memory() -> None:
    """A run that ends before the replica is back, or before the fault, or does not fit, is an error with the reason."""
    with pytest.raises(SimError, match="does not end before run"):
        one_lost_gpu(tiny(), workers=1)
    with pytest.raises(SimError, match="the load ends before the fault"):
        one_lost_gpu(tiny(BUSY | {"run.max_requests": 5}), workers=1)
    with pytest.raises(SimError, match="does not fit"):
        one_lost_gpu(tiny(BUSY | {"deployment.layout.tensor_parallel_size": 1}), workers=1)


def test_a_curve_runs_from_low_to_high_load(curve: LoadCurve) -> None:
    """Loads are shares of the saturated throughput in ascending order; latency rises with them; the last is named."""
    top = curve.saturation.requests_rps
    assert curve.rates_rps == pytest.approx((0.3 * top, 0.8 * top, 3.0 * top))
    assert [result.status for result in curve.results] == ["completed", "completed", "infeasible"]
    latencies = [result.value("ttft_p90_s") for result in curve.results[:2]]
    assert all(low < high for low, high in pairwise(latencies))


def test_capacity_lies_between_the_last_load_inside_and_the_first_outside(curve: LoadCurve) -> None:
    """With the limit of the scenario the curve brackets the capacity; where no load is outside there is no bracket."""
    inside, outside = curve.capacity_rps
    assert inside in curve.rates_rps[:2]
    assert outside == curve.rates_rps[curve.rates_rps.index(inside) + 1]
    low = LoadCurve(curve.saturation, curve.rates_rps[:1], curve.results[:1])
    assert low.capacity_rps == (curve.rates_rps[0], None)
    high = LoadCurve(curve.saturation, curve.rates_rps[2:], curve.results[2:])
    assert high.capacity_rps == (None, curve.rates_rps[2])
    assert not meets_service_level(curve.results[2])


def test_the_frame_of_a_curve_has_a_row_per_load_and_figure(curve: LoadCurve) -> None:
    """The economic utilisation of a load is its goodput over the highest load inside the service level."""
    frame = curve.frame()
    assert set(frame["rate_rps"]) == set(curve.rates_rps[:2])
    inside = curve.capacity_rps[0]
    rows = frame[(frame["metric"] == "utilisation_delivered_frac") & (frame["rate_rps"] == inside)]
    assert float(rows["value"].iloc[0]) == pytest.approx(0.97, abs=0.06)
    assert "within the service level" in rows["note"].iloc[0]


def test_progress_of_a_curve_runs_through_saturation_and_points() -> None:
    """One bar for all of it, from near zero to one."""
    seen: list[float] = []
    load_curve(tiny(LIMITED | {"run.horizon_s": 30.0}), shares=(0.3, 0.6), workers=1, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[0] < 0.1
    assert seen[-1] == pytest.approx(1.0)


def test_a_replayed_trace_has_no_curve() -> None:
    """Its rate is what it is."""
    with pytest.raises(SimError, match="a replayed trace does not have"):
        load_curve(tiny({"workload": {"trace": {"path": "scenarios/sample_trace.csv"}}}), workers=1)
