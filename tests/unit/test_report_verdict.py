"""The verdict says what happened to the requests, not only what the survivors met."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sim.report.html import html_report
from sim.report.run_text import run_text
from sim.report.verdict import losses, verdict
from sim.simulation.infeasible import Infeasible
from sim.study.metric import Metric
from sim.study.result import Result
from tests.report_cases import NAME, made_result, made_scenario


def made_counts(**changes: int) -> dict[str, int]:
    """A thousand requests, all well."""
    names = ("failed", "refused", "abandoned", "unfinished", "retries", "timeouts", "killed", "preemptions")
    return {"attempted": 1000, "completed": 1000, **dict.fromkeys(names, 0), "measured": 900, **changes}


def with_counts(**changes: Any) -> Result:
    return made_result(counts=made_counts(**changes))


def test_nothing_completed_is_the_headline() -> None:
    """A fault at the start that takes everything is no success, in text and page alike."""
    metrics = (
        Metric(NAME, "available_frac", "fraction", 0.0, 0.0, 0.0),
        Metric(NAME, "slo_attainment_frac", "fraction", 0.0, 0.0, 0.0),
    )
    counts = made_counts(attempted=2248, completed=0, failed=2248, measured=0)
    result = made_result(counts=counts, metrics=metrics, scenario=made_scenario(slo={}))
    found = verdict(result)
    assert (found.level, found.title) == ("bad", "Nothing completed")
    assert "2,248 failed" in found.sentence
    assert "available for 0" in found.sentence
    assert "keeps up" not in run_text(result, Path("r"), cached=False)
    page = html_report(result)
    assert '<section class="verdict bad">\n<strong>Nothing completed.</strong>' in page
    assert "keeps up" not in page


def test_timeouts_are_the_headline() -> None:
    """Most attempts timed out: bad, with the share and the count."""
    found = verdict(with_counts(attempted=102_000, completed=2_669, unfinished=99_331, timeouts=97_331, retries=90))
    assert found.level == "bad"
    assert found.title == "Fits, but 95.3 % of attempts timed out"
    assert "97,331 of 102,090 attempts timed out" in found.sentence


def test_nothing_measured_is_not_a_service_level_met() -> None:
    """Requests that all arrived during warm-up leave nothing to judge, whatever the ratio of totals says."""
    result = made_result((1.0, 1.0, 1.0), counts=made_counts(attempted=10, completed=10, measured=0))
    found = verdict(result)
    assert (found.level, found.title) == ("open", "Nothing was measured")
    assert "600 s" in found.sentence
    assert "meets the service level" not in html_report(result)


@pytest.mark.parametrize(
    ("failed", "abandoned", "level", "words"),
    [
        (5, 4, "good", "meets the service level"),
        (20, 0, "open", "Fits, but 2.00 % of requests failed"),
        (0, 30, "open", "Fits, but 3.00 % of requests were abandoned"),
        (100, 20, "bad", "Fits, but 12.0 % of requests failed or were abandoned"),
    ],
)
def test_losses_above_one_percent_are_in_the_headline(failed: int, abandoned: int, level: str, words: str) -> None:
    """Up to 1 % nothing is said; above, the share is; beyond what the target allows, it is bad."""
    found = verdict(with_counts(completed=1000 - failed - abandoned, failed=failed, abandoned=abandoned))
    assert found.level == level
    assert words in found.title


def test_refusals_and_several_losses_are_all_named() -> None:
    """Each kind of loss once, joined as in speech."""
    lost = losses(made_counts(completed=900, refused=50, failed=50, timeouts=40, retries=0))
    assert lost == [
        "5.00 % of requests failed",
        "5.00 % of requests were refused as too long",
        "4.00 % of attempts timed out",
    ]


def test_overload_also_says_what_was_lost() -> None:
    """Above capacity, the losses stand in the headline beside it."""
    reason = Infeasible("over_capacity", "The load is above capacity.", "At least 3 replicas are needed.")
    counts = made_counts(completed=500, abandoned=400, unfinished=100)
    found = verdict(made_result(status="over_capacity", infeasible=reason, counts=counts))
    assert found.title == "Over capacity, and 40.0 % of requests were abandoned"
    assert found.fix == reason.smallest
