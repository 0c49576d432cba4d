"""Pictures: written whole, the same bytes every time, honest about what is missing."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from sim.errors import RunDirectoryError, SimError
from sim.report.explain_plot import explain_figure, save_explain_plot
from sim.report.latency_plot import latency_svg
from sim.report.load_curve_plot import Knee, knee, load_curve_figure, save_load_curve_plot
from sim.report.precision_plot import precision_figure, save_precision_plot
from sim.report.timeline_plot import timeline_svg
from sim.simulation.explain import explain
from tests.report_cases import made_infeasible, made_result, made_scenario


def made_curve() -> pd.DataFrame:
    """Five loads; the fourth misses the service level, the fifth is above capacity."""
    frames = []
    for rate, attained, status in zip(
        (0.5, 1.0, 2.0, 3.0, 4.0),
        (1.0, 0.99, 0.96, 0.7, 0.0),
        ("completed",) * 4 + ("over_capacity",),
        strict=True,
    ):
        frame = made_result((attained, attained, attained)).frame()
        frame.insert(0, "status", status)
        frame.insert(0, "rate_rps", rate)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def texts(figure: object) -> str:
    """All words of a figure."""
    from matplotlib.text import Text

    return " ".join(item.get_text() for item in figure.findobj(Text))


def test_knee_lies_between_the_last_load_inside_and_the_first_outside() -> None:
    """2 requests/s keep the level, 3 do not."""
    assert knee(made_curve(), 0.95) == Knee(2.0, 3.0)
    assert knee(made_curve(), 1.0) == Knee(0.5, 1.0)
    assert knee(made_curve().query("rate_rps < 2.5"), 0.95) == Knee(2.0, None)
    assert knee(made_curve().query("rate_rps > 2.5"), 0.95) == Knee(None, 3.0)


def test_load_curve_says_where_the_level_is_lost_and_which_points_are_overloaded() -> None:
    """Knee and hollow points are explained in words, and the axes carry units."""
    words = texts(load_curve_figure(made_curve(), made_scenario()))
    assert "between 2 and 3 requests/s" in words
    assert "Hollow points: above capacity" in words
    assert "offered load (requests/s)" in words
    assert "TTFT (s)" in words


def test_pictures_are_the_same_bytes_every_time(tmp_path: Path) -> None:
    """SVG files carry no date and no random ids."""
    for name in ("a.svg", "b.svg"):
        save_load_curve_plot(made_curve(), made_scenario(), tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_deployment_without_a_figure_shows_the_reason(tmp_path: Path) -> None:
    """A missing percentile is a sentence in the picture, not a gap."""
    frame = made_result().frame()
    frame.insert(0, "scenario", "fp8 on 16 H100")
    frame.loc[frame["metric"] == "ttft_p95_s", ["value", "low", "high", "note"]] = [None, None, None, "too few samples"]
    words = texts(precision_figure(frame))
    assert "n/a: too few samples" in words
    assert "fp8 on 16 H100" in words
    save_precision_plot(frame, tmp_path / "p.png")
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


def test_page_pictures_follow_the_colour_of_the_text() -> None:
    """Inline pictures use the page's own text colour, so they read on dark pages."""
    for svg in (latency_svg(made_result()), timeline_svg(made_result())):
        assert svg.startswith('<svg role="img" aria-label="')
        assert "currentColor" in svg
        assert "#1b1f23" not in svg


def test_nothing_measured_draws_nothing() -> None:
    """A result without latencies and samples has no pictures."""
    assert latency_svg(made_infeasible()) == ""
    assert timeline_svg(made_infeasible()) == ""


def test_explain_picture_is_written_or_refused(tmp_path: Path) -> None:
    """A step becomes a picture; an unknown ending and a scenario without a step are clear errors."""
    found = explain(made_scenario())
    save_explain_plot(found, tmp_path / "step.svg")
    assert "routed experts" in (tmp_path / "step.svg").read_text()
    with pytest.raises(RunDirectoryError, match="no picture format"):
        save_explain_plot(found, tmp_path / "step.xyz")
    with pytest.raises(SimError, match="no step to draw"):
        save_explain_plot(explain(made_infeasible().scenario), tmp_path / "step.svg")


def test_interval_without_an_upper_end_is_an_arrow_that_says_so() -> None:
    """An unbounded interval does not look like one that ends at its point; a bounded one carries no such words."""
    frame = made_result().frame()
    frame.insert(0, "scenario", "fp8 on 16 H100")
    assert "no upper end" not in texts(precision_figure(frame))
    frame.loc[frame["metric"] == "ttft_p95_s", "high"] = None
    picture = precision_figure(frame)
    assert texts(picture).count("no upper end") == 1
    arrows = [item for item in picture.axes[0].texts if item.arrow_patch is not None]
    assert len(arrows) == 1


def test_title_of_a_step_stays_inside_the_picture(tmp_path: Path) -> None:
    """The longest title is broken over lines instead of running off the right edge."""
    found = explain(made_scenario(), seqs=64, context_tokens=131_072, prefill_tokens=8192, prefix_tokens=65_536)
    picture = explain_figure(found)
    picture.canvas.draw()
    title = picture._suptitle
    assert title.get_window_extent().x1 <= picture.bbox.x1
    save_explain_plot(found, tmp_path / "step.png")
    assert (tmp_path / "step.png").read_bytes().startswith(b"\x89PNG")
