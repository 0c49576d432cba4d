"""Shared fixtures: where the real traces lie, and deterministic property tests."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("SIM_SHARED_DIR", ROOT.parent / "shared"))

settings.register_profile("repeatable", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("repeatable")


@pytest.fixture
def shared() -> Callable[[str], Path]:
    """Path of a file in the shared data folder; skips without it, fails where CI promises it."""

    def locate(name: str) -> Path:
        path = SHARED / name
        if not path.exists():
            if os.environ.get("CI", "").lower() == "true":
                pytest.fail(f"CI must have {name} in the shared data folder beside the project")
            pytest.skip(f"{name} is not on this machine (expected in the shared folder beside the project)")
        return path

    return locate


@pytest.fixture
def root() -> Path:
    """Root folder of the project."""
    return ROOT
