"""The picture of sessions: every deployment drawn, missing figures as gaps."""

from __future__ import annotations

import pandas as pd

from sim.report.sessions_plot import PANELS, sessions_figure


def made_frame() -> pd.DataFrame:
    rows = [
        (name, count, option or name, metric, value, 0.9 * value, 1.1 * value)
        for name, factor in (("small", 1.0), ("large", 2.0))
        for count in (4, 8, 16)
        for metric, option, _, _ in PANELS
        for value in [0.2 * factor if metric.endswith("_frac") else factor * count]
    ]
    return pd.DataFrame(rows, columns=["scenario", "sessions", "option", "metric", "value", "low", "high"])


def test_each_panel_has_a_line_for_each_deployment() -> None:
    """Four panels, two lines each, shares in per cent, latencies as given."""
    axes = sessions_figure(made_frame()).axes
    assert [len(axis.lines) for axis in axes] == [2, 2, 2, 2]
    assert list(axes[0].lines[1].get_ydata()) == [40.0, 40.0, 40.0]
    assert list(axes[1].lines[0].get_ydata()) == [4.0, 8.0, 16.0]
    assert [text.get_text() for text in axes[0].get_legend().get_texts()] == ["small", "large"]


def test_a_cost_that_does_not_exist_is_a_gap() -> None:
    """Nothing delivered within the service level has no cost, and the picture is drawn all the same."""
    frame = made_frame()
    costs = frame["metric"] == "cost_usd_per_mtok_output"
    frame.loc[costs, ["value", "low", "high"]] = None
    axes = sessions_figure(frame).axes
    assert all(pd.isna(line.get_ydata()).all() for line in axes[3].lines)
