"""What faults do to a year: closed forms, and what must hold whatever the numbers."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sim.errors import SimError
from sim.report.annual_text import annual_dict, annual_text
from sim.report.json_text import to_json
from sim.simulation.build import build
from sim.simulation.run import run_built
from sim.study.annual.annual import Annual, annual
from sim.study.annual.counts import BIN_S, METRICS, Counts, column
from sim.study.annual.scripted import Script, run_script
from sim.study.annual.steady import between, cumulative
from sim.study.annual.stratum import LOST, WHOLE, whole_cluster
from sim.study.annual.years import Years
from tests.annual_cases import busy, drawn_outages, in_order, outage
from tests.study_cases import tiny

SPAN_S = 20_000.0
STEADY = {"workload.arrivals": {"process": "deterministic", "rate_rps": 4.0}, "router.max_retries": 0}


def years(steps: object, each: int = 1, replicas: int = 2) -> Years:
    return Years([steps], each, (replicas,), SPAN_S)  # type: ignore[list-item]


@pytest.fixture(scope="module")
def joined() -> Annual:
    """Three years of 20,000 s with a few outages each."""
    steps = drawn_outages(5, 3 * SPAN_S, 8000.0)
    return annual(busy(), Years([steps], 3, (2,), SPAN_S), replications=2, workers=1)


def test_the_course_of_a_run_adds_up_to_its_totals() -> None:
    """Requests by bin of arrival and counters by bin of the clock, over all bins, are the counters of the run."""
    script = Script(outage(1900.0, 900.0), 1800.0, 6000.0, 0)
    outcome = run_script(busy(), script)
    counts = Counts.of(outcome, 0.0)
    totals = outcome.record.totals
    sums = dict(zip(METRICS, counts.values.sum(axis=0), strict=True))
    assert len(counts.values) == 6000.0 / BIN_S
    assert sums["good"] == totals.good
    assert sums["arrived"] == totals.arrived
    assert sums["bad"] == totals.arrived - totals.good
    for name in ("failed", "abandoned", "retries", "killed", "lost_tokens", "wasted_prefill_tokens"):
        assert sums[name] == getattr(totals, name), name
    assert totals.killed > 0


def test_bins_change_nothing_about_a_run() -> None:
    """The same requests end at the same times, with bins or without."""
    scenario = busy()
    with_bins = run_script(scenario, Script((), scenario.run.warmup_s, scenario.run.horizon_s, 0))
    built = build(scenario)
    without = run_built(built, scenario.run.seed, 0)
    assert with_bins.record.totals == without.record.totals


def test_counts_inside_a_bin_are_spread_evenly() -> None:
    """Half of a bin has half of its counts."""
    sums = cumulative(np.array([[6.0], [2.0], [4.0]]))
    assert between(sums, 0.0, 3 * BIN_S) == pytest.approx([12.0])
    assert between(sums, 0.5 * BIN_S, 1.5 * BIN_S) == pytest.approx([4.0])


def test_nobody_else_and_clients_that_give_up_at_once() -> None:
    """One replica, down for D: bad are the requests that arrive meanwhile, lambda D, and those in flight."""
    scenario = tiny(STEADY | {"workload.output_tokens.tokens": 150})
    found = annual(scenario, years(outage(1000.0, 90.0), replicas=1), replications=1, workers=1)
    in_flight = run_script(scenario, Script((), 30.0, 60.0, 0)).unfinished
    assert in_flight > 0
    assert found.value("bad_requests_by_faults_per_year") == pytest.approx(4.0 * 90.0 + in_flight, abs=1.0)
    assert found.value("failed_requests_by_faults_per_year") == pytest.approx(4.0 * 90.0 + in_flight, abs=1.0)
    assert found.value("killed_attempts_by_faults_per_year") == in_flight
    assert found.value("capacity_lost_replica_h_per_year") == pytest.approx(90.0 / 3600.0)
    assert found.value("down_h_per_year") == pytest.approx(90.0 / 3600.0)


def test_the_worst_hour_of_a_long_outage_is_all_bad() -> None:
    """An hour and more without anybody to serve: nothing of that hour is good; of half an hour, half of it."""
    long = annual(tiny(STEADY), years(outage(1000.0, 4000.0), replicas=1), replications=1, workers=1)
    assert long.value("worst_hour_bad_mean_frac") == pytest.approx(1.0)
    half = annual(tiny(STEADY), years(outage(1000.0, 1800.0), replicas=1), replications=1, workers=1)
    assert half.value("worst_hour_bad_mean_frac") == pytest.approx(0.5, abs=0.01)


def test_an_outage_beyond_those_simulated_adds_the_rates_of_its_state() -> None:
    """With nobody else to serve every further second costs the requests of a second."""
    steps = in_order(outage(1000.0, 100.0), outage(4000.0, 11_000.0))
    found = annual(tiny(STEADY), years(steps, replicas=1), replications=1, workers=1)
    assert max(item.duration_s for items in found.episodes.values() for item in items) == 4500.0
    assert found.value("bad_requests_by_faults_per_year") == pytest.approx(4.0 * 11_100.0, rel=1e-3)


def test_without_faults_a_year_is_the_run_without_faults() -> None:
    """Rate zero: attainment is that of the quiet cluster, and everything that faults add is exactly zero."""
    found = annual(busy(), years(()), replications=2, workers=1)
    assert found.value("slo_attainment_frac") == found.value("slo_attainment_without_faults_frac")
    added = [metric for metric in found.metrics if "_by_faults_" in metric.metric]
    assert len(added) == 7
    assert all(metric.value == 0.0 for metric in added)
    assert found.value("capacity_lost_replica_h_per_year") == 0.0
    assert found.value("cost_per_good_token_factor") == 1.0
    assert found.parts == ()


def test_twice_the_rate_is_twice_the_first_order() -> None:
    """Outages that do not meet each other add up, whatever each of them does."""
    once = in_order(outage(2000.0, 300.0), outage(9000.0, 900.0, 1))
    twice = in_order(once, outage(5000.0, 300.0, 1), outage(13_000.0, 900.0))
    single, double = (annual(busy(), years(steps), replications=2, workers=1) for steps in (once, twice))
    bad = "bad_requests_by_faults_per_year"
    assert single.value(bad) > 100.0
    assert double.value(bad) == pytest.approx(2.0 * single.value(bad), rel=1e-9)
    assert all(line.order == 1 for line in double.parts)


def test_a_fault_while_another_replica_is_down_is_of_second_order() -> None:
    """It is met by a cluster that has lost one already, and its company is simulated."""
    steps = in_order(outage(1000.0, 300.0), outage(1150.0, 60.0, 1))
    found = annual(busy(), years(steps), replications=2, workers=1)
    assert {key.entry for key in found.episodes} == {whole_cluster((2,)), ((LOST, WHOLE),)}
    by_order = {line.order: line for line in found.parts}
    assert by_order[2].events_per_year == 1.0
    both = by_order[1].metrics["bad"].value, by_order[2].metrics["bad"].value
    total = found.value("bad_requests_by_faults_per_year")
    assert sum(value or 0.0 for value in both) == pytest.approx(total, rel=1e-9)
    assert found.value("down_h_per_year") == pytest.approx(60.0 / 3600.0)


def test_causes_add_up_to_the_year(joined: Annual) -> None:
    """Every bad request that faults add belongs to one cause and one order."""
    for name in ("bad", "retries", "killed", "lost_tokens"):
        parts = sum(line.metrics[name].value or 0.0 for line in joined.parts)
        metric = {
            "bad": "bad_requests",
            "retries": "retries",
            "killed": "killed_attempts",
            "lost_tokens": "lost_output_tokens",
        }[name]
        assert parts == pytest.approx(joined.value(f"{metric}_by_faults_per_year"), rel=1e-9, abs=1e-6)
    assert {line.cause for line in joined.parts} == {"crash", "hardware"}
    assert sum(share for share, _ in joined.strata.values()) == pytest.approx(1.0)


def test_the_same_for_any_number_of_workers(joined: Annual) -> None:
    """Bit for bit, but for the processor time."""
    steps = drawn_outages(5, 3 * SPAN_S, 8000.0)
    again = annual(busy(), Years([steps], 3, (2,), SPAN_S), replications=2, workers=2)
    assert again.metrics == joined.metrics
    assert again.parts == joined.parts
    assert again.work["engine_events"] == joined.work["engine_events"]


def test_the_summary_names_causes_states_and_what_is_assumed(joined: Annual) -> None:
    """Text and JSON say the same figures; nothing in the JSON is not a number."""
    text = annual_text(joined)
    for words in ("By cause", "hardware", "1 of 2 up", "Responses to one event", "times the work", "Assumed"):
        assert words in text
    plain = json.loads(to_json(annual_dict(joined)))
    values = {metric["metric"]: metric["value"] for metric in plain["metrics"]}
    assert values["bad_requests_by_faults_per_year"] == joined.value("bad_requests_by_faults_per_year")
    assert {line["cause"] for line in plain["causes"]} == {"crash", "hardware"}


def test_progress_runs_from_zero_to_one() -> None:
    """One bar for strata and responses."""
    seen: list[float] = []
    annual(busy(), years(outage(1000.0, 50.0)), replications=1, workers=1, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_a_load_with_an_end_and_a_load_too_high_are_refused() -> None:
    """Years of faults need a load without end, and a cluster that works without faults."""
    with pytest.raises(SimError, match="above capacity"):
        annual(busy({"workload.arrivals.rate_rps": 100.0}), years(()), workers=1)
    trace = tiny({"workload": {"trace": {"path": "scenarios/sample_trace.csv"}}, "run.horizon_s": 36_000.0})
    with pytest.raises(SimError, match="the load ends after"):
        annual(trace, years((), replicas=1), workers=1)


def test_what_is_bad_stands_first() -> None:
    """Reports read the first column as bad requests."""
    assert column("bad") == 0
