"""The summary of a run: verdict, figures with intervals, counts, reasons."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.report.costs import cost_rows
from sim.report.run_text import run_text
from sim.report.sections import efforts
from sim.report.terminal import WIDTH
from sim.report.verdict import verdict
from sim.simulation.infeasible import Infeasible
from sim.study.assumed import AssumedInput
from sim.study.metric import Metric
from tests.report_cases import FIX, TOO_FEW, made_histograms, made_infeasible, made_metrics, made_result, made_scenario

PATH = Path("runs/scenario-0123abcd")


def test_summary_says_what_was_simulated_and_how_it_ended() -> None:
    """Model, weights, GPUs, layout, load, extent and the verdict stand in the first lines."""
    head = "\n".join(run_text(made_result(), PATH, cached=False).splitlines()[:8])
    for words in ("glm-5.2 in fp8_block on 16 x h100-sxm-80gb", "TP8 x PP2", "2.5 requests/s, preset chat"):
        assert words in head
    assert "5 replications of 3,600 s" in head
    assert "Fits, keeps up, meets the service level." in head
    assert "99.4 % [99.1 to 99.7]" in head


def test_summary_prints_the_fates_beside_the_percentiles() -> None:
    """Attempted equals the sum of the fates, each named."""
    text = " ".join(run_text(made_result(), PATH, cached=False).split())
    assert "44,804 attempted = 44,620 completed, 3 failed, 5 refused, 7 abandoned, 169 unfinished" in text
    assert "37,111 measured" in text


def test_figure_that_cannot_be_given_is_explained() -> None:
    """The reason of a missing percentile is printed under the table."""
    text = run_text(made_result(), PATH, cached=False)
    assert "n/a ¹" in text
    assert f"¹ {TOO_FEW}" in text
    assert "not modelled" in text


def test_summary_is_plain_and_fits_100_columns() -> None:
    """Without a terminal there are no colour codes, no trailing blanks, no line over 100 columns."""
    for result in (made_result(), made_infeasible()):
        lines = run_text(result, PATH, cached=True).splitlines()
        assert max(map(len, lines)) <= WIDTH
        assert not any("\x1b" in line or line != line.rstrip() for line in lines)


def test_markup_in_names_is_printed_as_it_is() -> None:
    """Square brackets in a scenario's texts are no colour markup."""
    text = run_text(made_result(warnings=("[bold]look[/bold] :smile:",)), PATH, cached=False)
    assert "[bold]look[/bold] :smile:" in text


def test_infeasible_summary_names_the_smallest_fix() -> None:
    """What does not fit has no figures, but the smallest thing that would."""
    text = run_text(made_infeasible(), PATH, cached=False)
    assert "Does not fit." in text
    assert FIX in text
    assert "Latency" not in text


def test_overload_is_said_once() -> None:
    """The verdict of a run above capacity is not repeated among the warnings; the remark on latencies is shared."""
    reason = Infeasible("over_capacity", "The load is above capacity.", "At least 3 replicas are needed.")
    note = "above capacity: depends on the length of the run"
    metrics = [
        Metric(item.option, item.metric, item.unit, item.value, item.low, item.high, note) if item.value else item
        for item in made_metrics(made_histograms(), (0.1, 0.05, 0.2))
        if item.unit == "s" and item.value
    ]
    result = made_result(status="over_capacity", infeasible=reason, metrics=tuple(metrics), warnings=(str(reason),))
    text = run_text(result, PATH, cached=False)
    assert text.count("The load is above capacity.") == 1
    assert text.count(note) == 1
    assert "Over capacity." in text


@pytest.mark.parametrize(
    ("attainment", "level"),
    [((0.99, 0.98, 1.0), "good"), ((0.90, 0.88, 0.92), "bad"), ((0.95, 0.93, 0.97), "open")],
)
def test_verdict_follows_the_interval_not_the_estimate(attainment: tuple[float, float, float], level: str) -> None:
    """Met when the whole interval is above the target, missed when it is below, open when it holds the target."""
    assert verdict(made_result(attainment)).level == level


def test_without_a_service_level_nothing_is_judged() -> None:
    """No limits, no verdict on them."""
    found = verdict(made_result(scenario=made_scenario(slo={})))
    assert found.level == "open"
    assert "No service level is set" in found.sentence


def test_cost_differences_are_those_to_the_cheapest() -> None:
    """The cheapest option has none; the interval of a difference is that of the shared tokens."""
    rows = {row.option: row for row in cost_rows(made_result())}
    assert rows["api:z-ai"].difference == ""
    assert rows["owned"].difference == "+$17.7/Mtok [17.0 to 18.4]"
    assert rows["owned"].difference_per_year == "+$308,000/year"
    assert rows["owned"].per_output.text == "$32.6/Mtok [31.9 to 33.3]"


def test_long_list_of_assumptions_is_cut_with_a_pointer() -> None:
    """All of them are named in the manifest, and the summary says so."""
    items = tuple(AssumedInput(f"prices.x.p{n}", 1.0, "USD", 0.5, 2.0, "guess") for n in range(20))
    text = run_text(made_result(assumed_inputs=items), PATH, cached=False)
    assert "Assumed inputs: 20" in text
    assert "and 12 more" in text
    assert "manifest.json" in text


def test_cached_result_says_so() -> None:
    """A result that was read again was not simulated again."""
    assert "nothing has changed" in run_text(made_result(), PATH, cached=True)
    assert "simulated in 3.21 s (44,804 requests" in run_text(made_result(), PATH, cached=False)


def test_counts_of_one_are_singular() -> None:
    """1 node fault, 1 retry, 1 request."""
    counts = {"measured": 1, "retries": 1, "timeouts": 1, "killed": 0, "preemptions": 1, "node_faults": 1}
    text = efforts(made_result(counts=counts))
    assert text.endswith("1 retry, 1 timeout, 0 killed by faults, 1 preemption, 1 node fault")
    manifest = {"wall_s": 2.0, "events": {"requests": 1, "engine_steps": 1}}
    summary = " ".join(run_text(made_result(manifest=manifest), PATH, cached=False).split())
    assert "(1 request, 1 engine step)" in summary


def test_cache_use_is_that_of_stored_tokens() -> None:
    """Nobody is to take it for allocated blocks."""
    text = run_text(made_result(), PATH, cached=False)
    assert "KV cache: tokens stored, mean" in text
    assert "KV cache: tokens stored, highest" in text
