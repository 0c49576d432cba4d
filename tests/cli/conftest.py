"""The command line in this process: exit code, stdout and stderr."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from sim.cli import main


@dataclass(frozen=True)
class Said:
    """What one command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture
def sim(capfd: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Run `sim` with arguments; a traceback fails the test."""

    def run(*arguments: object) -> Said:
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        assert "Traceback" not in out + err
        code = stopped.value.code
        return Said(code if isinstance(code, int) else 0, out, err)

    return run
