"""Progress on a terminal, and silence elsewhere."""

from __future__ import annotations

import io
import sys

import pytest

from sim.report import console


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_long_work_shows_share_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the first two seconds a bar stands on stderr with the share done per second and the time left."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(console, "PATIENCE_S", 1e-6)
    with console.progress_bar("work") as update:
        assert update is not None
        for share in (0.1, 0.5, 0.9):
            update(share)
    text = stream.getvalue()
    assert "work" in text
    assert "%/s" in text
    assert "left" in text


def test_short_work_and_pipes_stay_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written within the first two seconds, nor ever when stderr is no terminal."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    with console.progress_bar("work") as update:
        assert update is not None
        update(0.5)
    assert stream.getvalue() == ""
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with console.progress_bar("work") as update:
        assert update is None
