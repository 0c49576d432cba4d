"""The page: self-contained, escaped, the same bytes every time."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files

import matplotlib as mpl
import pytest

from sim.report.html import html_report
from sim.study.metric import Metric
from tests.report_cases import FIX, TOO_FEW, made_infeasible, made_result, made_scenario

VOID = {"meta", "link", "br", "hr", "img", "input"}


class Balance(HTMLParser):
    """Finds tags that are not closed in order, and gathers the visible text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


@pytest.fixture(scope="module")
def page() -> str:
    return html_report(made_result())


def test_page_is_the_same_bytes_every_time(page: str) -> None:
    """Two pages of the same result are identical, pictures included."""
    assert html_report(made_result()) == page


def test_page_loads_nothing(page: str) -> None:
    """No script, no address of anything outside the page."""
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?!#)""", page)
    assert not re.search(r"(?:src|href)\s*=\s*[^\"'\s]", page)
    assert "http" not in page
    assert "@import" not in page
    assert "<script" not in page
    assert not re.search(r"url\((?!#)", page)


def test_tags_are_balanced(page: str) -> None:
    """Every element is closed in order."""
    for text in (page, html_report(made_infeasible())):
        found = Balance()
        found.feed(text)
        assert found.wrong == []
        assert found.open == []


def test_ids_are_unique_and_lead_somewhere(page: str) -> None:
    """No id stands twice, and every reference has its id."""
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:url\(#|href="#)([^)"]+)', page)) <= set(ids)


def test_texts_are_escaped() -> None:
    """A description with markup is shown, not run."""
    text = html_report(made_result(scenario=made_scenario(description="<script>alert(1)</script> & more")))
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in text


def test_page_holds_every_section(page: str) -> None:
    """Verdict, options, latency, behaviour, memory, ledger, assumptions, provenance."""
    for heading in (
        "Options and their cost",
        "Latency",
        "Behaviour",
        "Memory plan",
        "Cost ledger",
        "Assumed inputs",
        "Provenance",
        "Warnings",
    ):
        assert f"<h2>{heading}</h2>" in page
    assert "Fits, keeps up, meets the service level" in page
    assert "44,804 attempted" in page
    assert TOO_FEW in page
    assert page.count("<svg") == 2


def test_what_the_model_leaves_open_stands_on_the_page() -> None:
    """A result with model draws shows both intervals of its cost and says so at the top; one without shows neither."""
    plain = made_result()
    name = "cost_usd_per_mtok_output"
    drawn = [replace(m, model_low=20.0, model_high=266.0) if m.metric == name else m for m in plain.metrics]
    drawn.append(Metric(plain.scenario.name, "model_keeps_up_frac", "fraction", 1.0))
    found = html_report(replace(plain, metrics=tuple(drawn)))
    assert "80 % model interval" in found
    assert "266" in found
    assert 'href="#model"' in found
    assert "model interval" not in html_report(plain)


def test_ledger_shows_its_sum(page: str) -> None:
    """The lines of an option and what they add up to."""
    assert "$317,000" in page
    assert "$250,000" in page
    assert "$567,000" in page


def test_assumptions_stand_with_range_and_source(page: str) -> None:
    """Value, range and what it rests on; a range that is not given is said to be missing."""
    assert "no measurement found" in page
    assert "0 to 0.2" in page
    assert "none given" in page


def test_infeasible_page_opens_with_reason_and_fix() -> None:
    """The reason and the smallest fix come before everything else; there are no figures."""
    text = html_report(made_infeasible())
    assert FIX in text
    assert text.index(FIX) < text.index("Memory plan")
    assert "<svg" not in text
    assert "<h2>Latency</h2>" not in text


def test_template_ships_with_the_package() -> None:
    """The template and its style lie inside the package."""
    folder = files("sim.report") / "templates"
    assert {item.name for item in folder.iterdir()} >= {"report.html.j2", "report.css"}


def test_drawing_leaves_matplotlib_as_it_was() -> None:
    """The style is used for the page alone."""
    before = dict(mpl.rcParams)
    html_report(made_result())
    assert dict(mpl.rcParams) == before
