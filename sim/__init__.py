"""Discrete-event capacity simulator for serving very large mixture-of-experts models on GPU clusters.

import sim

scenario = sim.load("scenarios/glm52_fp8_16xh100.yaml")
result = sim.simulate(scenario.with_({"workload.arrivals.rate_rps": 2.0}))
result.frame()
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sim.errors import SimError
    from sim.scenario.load import load, parse
    from sim.scenario.scenario import Scenario
    from sim.simulation.check import check
    from sim.simulation.explain import explain
    from sim.study.result import Result
    from sim.study.simulate import simulate

__version__ = "0.1.0"
__all__ = ["Result", "Scenario", "SimError", "__version__", "check", "explain", "load", "parse", "simulate"]

_HOMES = {
    "SimError": "sim.errors",
    "load": "sim.scenario.load",
    "parse": "sim.scenario.load",
    "Scenario": "sim.scenario.scenario",
    "check": "sim.simulation.check",
    "explain": "sim.simulation.explain",
    "Result": "sim.study.result",
    "simulate": "sim.study.simulate",
}


def __getattr__(name: str) -> Any:
    """Public names, imported on first use, so that `import sim` costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'sim' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
