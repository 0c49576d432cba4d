"""Rates and latencies of a run against hand computation and against its own request rows."""

from __future__ import annotations

import numpy as np
import pytest

from sim.measure.histogram import RELATIVE_ERROR, LogHistogram
from sim.simulation.build import build
from sim.stats.estimate import Estimate
from sim.study.latency import bins_of
from sim.study.metric import Metric
from sim.study.result import Result
from tests.study_cases import VARIED, simulated, tiny

RATE = 2.0


@pytest.fixture(scope="module")
def regular() -> Result:
    """A request each half second, alone on the cluster."""
    return simulated()


@pytest.fixture(scope="module")
def varied() -> Result:
    """A Poisson stream that queues now and then, with request rows."""
    return simulated(VARIED | {"run.horizon_s": 200.0, "run.replications": 3})


@pytest.fixture(scope="module")
def steps() -> list[float]:
    """Seconds of the prefill and of the 19 decode steps of one request on its own."""
    law = build(tiny()).law
    prefill = law.mixed_s(0, 0, 0, any_above=False, prefills=((100, 0),)) + law.shared_s(100, 100, prefill=True)
    contexts = range(101, 120)
    shared = law.shared_s(1, 1, prefill=False)
    return [prefill, *(law.mixed_s(1, tokens, tokens, any_above=False, prefills=()) + shared for tokens in contexts)]


def test_throughput_by_hand(regular: Result) -> None:
    """Two requests a second of 100 and 20 tokens on 8 GPUs: 2, 200, 40, 240 and 5 per second."""
    expected = {
        "request_throughput_rps": 2.0,
        "goodput_rps": 2.0,
        "input_throughput_tokens_per_s": 200.0,
        "output_throughput_tokens_per_s": 40.0,
        "good_output_tokens_per_s": 40.0,
        "total_throughput_tokens_per_s": 240.0,
        "output_throughput_tokens_per_s_per_gpu": 5.0,
        "slo_attainment_frac": 1.0,
        "available_frac": 1.0,
        "preemptions_per_request": 0.0,
        "lost_tokens_frac": 0.0,
        "waiting_mean": 0.0,
    }
    assert {name: regular.value(name) for name in expected} == pytest.approx(expected, rel=1e-12)


def test_latency_by_hand(regular: Result, steps: list[float]) -> None:
    """Alone on the cluster, the first token takes one prefill step and each other token one decode step."""
    assert regular.value("ttft_mean_s") == pytest.approx(steps[0], rel=1e-9)
    assert regular.value("e2el_mean_s") == pytest.approx(sum(steps), rel=1e-9)
    assert regular.value("tpot_mean_s") == pytest.approx(sum(steps[1:]) / 19, rel=1e-9)
    assert regular.value("itl_mean_s") == pytest.approx(sum(steps[1:]) / 19, rel=1e-9)
    assert regular.value("queue_mean_s") == 0.0


def test_occupancy_by_hand(regular: Result, steps: list[float]) -> None:
    """Twice a second the replica works for the steps of one request; decoding and prefill shares follow."""
    assert regular.value("occupied_frac") == pytest.approx(RATE * sum(steps), rel=1e-9)
    assert regular.value("utilisation_occupied_frac") == regular.value("occupied_frac")
    assert regular.value("running_seqs_mean") == pytest.approx(RATE * sum(steps[1:]), rel=1e-9)
    assert regular.value("prefill_step_frac") == pytest.approx(steps[0] / sum(steps), rel=1e-9)


def test_cache_use_by_hand(regular: Result, steps: list[float]) -> None:
    """While decode step k runs, 99 + k tokens are cached; the mean over time is their share of the pool."""
    limits = build(tiny()).cluster.limits
    pool = limits.num_kv_blocks * limits.block_size
    token_s = sum((99 + k) * seconds for k, seconds in enumerate(steps) if k)
    assert regular.value("kv_used_mean_frac") == pytest.approx(RATE * token_s / pool, rel=1e-9)
    assert regular.value("kv_used_max_frac") == pytest.approx(119 / pool, abs=1.5 / pool)


def test_a_queue_by_hand() -> None:
    """Three callers and one seat: two always wait, and the replica never rests."""
    found = simulated(
        {
            "workload.arrivals": {"process": "closed_loop", "concurrency": 3},
            "deployment.engine.max_num_seqs": 1,
            "run.horizon_s": 20.0,
            "run.warmup_s": 5.0,
        }
    )
    assert found.value("waiting_mean") == pytest.approx(2.0, rel=1e-9)
    assert found.value("occupied_frac") == pytest.approx(1.0, rel=1e-9)
    assert found.value("queue_p50_s") == pytest.approx(2.0 * found.value("e2el_p50_s") / 3.0, rel=0.02)
    assert found.counts["unfinished"] == 2 * 3


def test_two_replicas_share_a_load_by_hand(regular: Result) -> None:
    """With requests that never overlap, two replicas in turn halve occupancy and cache use and deliver the same."""
    found = simulated({"deployment.replicas": 2, "router.policy": "round_robin"})
    assert found.value("request_throughput_rps") == pytest.approx(2.0)
    assert found.value("output_throughput_tokens_per_s_per_gpu") == pytest.approx(2.5)
    for name in ("occupied_frac", "running_seqs_mean", "kv_used_mean_frac"):
        assert found.value(name) == pytest.approx(0.5 * regular.value(name), rel=1e-9), name


def test_limits_that_nobody_meets_leave_no_goodput(regular: Result) -> None:
    """A TTFT limit below the prefill step makes every request bad, though all complete."""
    found = simulated({"slo.ttft_ms": 1.0})
    assert found.value("request_throughput_rps") == regular.value("request_throughput_rps")
    assert found.value("goodput_rps") == found.value("good_output_tokens_per_s") == found.value("slo_attainment_frac")
    assert found.value("goodput_rps") == 0.0


def test_attainment_counts_refused_and_failed_requests(varied: Result) -> None:
    """A refused request is a request that did not meet its service level."""
    found = simulated(VARIED | {"deployment.engine.max_model_len": 300, "run.horizon_s": 200.0, "run.replications": 3})
    refused = found.counts["refused"] / found.counts["attempted"]
    assert refused > 0.1
    assert found.value("slo_attainment_frac") == pytest.approx(1.0 - refused, abs=0.03)
    assert varied.value("slo_attainment_frac") == 1.0
    assert any("refused as longer than the 300 tokens" in note for note in found.warnings)


@pytest.mark.parametrize("name", ["ttft", "e2el", "tpot", "queue"])
@pytest.mark.parametrize("percent", [50, 90, 95, 99])
def test_quantiles_are_those_of_the_request_rows(varied: Result, name: str, percent: int) -> None:
    """Within the relative error of a histogram, a pooled quantile is the order statistic of all request rows."""
    frame = varied.requests_frame()
    values = {
        "ttft": frame["ttft_s"],
        "e2el": frame["e2el_s"],
        "queue": frame["queue_s"],
        "tpot": (frame["e2el_s"] - frame["ttft_s"]) / (frame["output_tokens"] - 1),
    }[name]
    exact = float(np.quantile(values, percent / 100, method="inverted_cdf"))
    assert varied.value(f"{name}_p{percent}_s") == pytest.approx(exact, rel=1.01 * RELATIVE_ERROR)


def test_means_are_those_of_the_request_rows(varied: Result) -> None:
    """Up to the bias that the jackknife takes out, the mean latency is the mean of the rows."""
    frame = varied.requests_frame()
    for name in ("ttft", "e2el", "queue"):
        assert varied.value(f"{name}_mean_s") == pytest.approx(frame[f"{name}_s"].mean(), rel=2e-3), name
    assert varied.counts["measured"] == len(frame)
    assert frame["arrival_s"].min() >= 10.0


def test_waits_of_zero_are_counted(varied: Result) -> None:
    """A wait of exactly zero stands in the histogram as zero, not lost below the grid."""
    frame = varied.requests_frame()
    assert (frame["queue_s"] == 0.0).mean() > 0.0
    assert varied.histograms["queue_s"].zeros == int((frame["queue_s"] == 0.0).sum())


def test_too_few_samples_give_no_percentile_and_say_so() -> None:
    """Eight requests have no p95; the note counts what there is and what is needed."""
    found = simulated({"run.max_requests": 4, "run.warmup_s": 0.0}).metric("ttft_p95_s")
    assert found.value is found.low is found.high is None
    assert found.note == "too few samples for p95: 8, needs 200"


def test_one_replication_has_a_value_and_no_interval() -> None:
    """Nothing is said about the spread between replications where there is but one."""
    found = simulated(VARIED | {"run.replications": 1})
    for name in ("ttft_p50_s", "ttft_mean_s", "request_throughput_rps"):
        metric = found.metric(name)
        assert metric.value is not None
        assert metric.low is metric.high is None
        assert "one replication" in metric.note


def test_values_off_the_grid_keep_their_place() -> None:
    """Zeros, values below the grid and above it stand at either end of the pooled bins, none dropped."""
    histogram = LogHistogram()
    histogram.add_many([0.0, 0.0, 0.0, 1e-9, 1e-9, 1.0, 3e7])
    bins = bins_of([histogram, LogHistogram()])
    assert bins.counts.sum() == 7
    assert bins.counts[0, [0, 1, -1]].tolist() == [3, 2, 1]
    assert bins.values[0] == 0.0 < bins.values[1]
    assert bins.values[-1] == 3e7
    assert bins.counts[1].sum() == 0


def test_an_interval_holds_only_what_is_possible() -> None:
    """A share never shows more than 1, a latency never less than 0, whatever Student's interval says."""
    assert Metric.of("o", "m", "fraction", Estimate(1.002, 0.97, 1.03)).high == 1.0
    assert Metric.of("o", "m", "fraction", Estimate(1.002, 0.97, 1.03)).value == 1.0
    assert Metric.of("o", "m", "s", Estimate(0.4, -0.7, 1.5)).low == 0.0
    assert Metric.of("o", "m", "s", Estimate(40.0, 30.0, 50.0)).high == 50.0
    nothing = Metric.of("o", "m", "s", Estimate(None, note="because"), "and more")
    assert (nothing.value, nothing.low, nothing.high, nothing.note) == (None, None, None, "because; and more")


def test_a_cluster_that_is_always_busy_with_runs_of_unequal_length_is_not_over_occupied() -> None:
    """The bias-corrected share of busy time stays a share when loads run out at different times."""
    found = simulated(
        {
            "workload.arrivals": {"process": "poisson", "rate_rps": 30.0},
            "run.max_requests": 300,
            "run.warmup_s": 0.0,
            "run.replications": 3,
        }
    )
    metric = found.metric("utilisation_occupied_frac")
    assert metric.value is not None
    assert metric.low is not None
    assert metric.high is not None
    assert 0.8 < metric.low <= metric.value <= metric.high <= 1.0


def test_the_window_begins_after_the_warm_up() -> None:
    """The same load measured from its first second or after the warm-up delivers at the same rate."""
    early, late = simulated({"run.warmup_s": 0.0}), simulated({"run.warmup_s": 30.0})
    assert early.value("request_throughput_rps") == pytest.approx(late.value("request_throughput_rps"), rel=0.02)
    assert late.counts["measured"] == 2 * 60
    assert late.counts["attempted"] == early.counts["attempted"] == 2 * 119


def test_a_load_that_ends_early_is_measured_until_its_last_request() -> None:
    """Rates are over the time that there was a load, not over an idle rest of the horizon."""
    found = simulated({"run.max_requests": 60})
    assert found.value("request_throughput_rps") == pytest.approx(2.0, rel=0.03)
    assert found.timeline[-1][1] < 31.0


def test_a_load_that_ends_in_the_warm_up_says_so() -> None:
    """Latencies of nothing are not explained by few samples alone."""
    found = simulated({"run.max_requests": 10})
    assert found.value("request_throughput_rps") > 0.0
    assert found.metric("ttft_mean_s").value is None
    assert any("the load ended before the warm-up of 10 s" in note for note in found.warnings)


def test_each_figure_has_a_unit_and_the_fates_add_up(varied: Result) -> None:
    """Attempted requests are those completed, failed, refused, abandoned and unfinished; units are never empty."""
    fates = ("completed", "failed", "refused", "abandoned", "unfinished")
    assert varied.counts["attempted"] == sum(varied.counts[fate] for fate in fates)
    assert all(metric.unit for metric in varied.metrics)
    assert all(metric.note for metric in varied.metrics if metric.value is None)
