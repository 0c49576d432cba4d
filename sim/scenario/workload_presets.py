"""Names of the workload presets in the catalog, by what they can supply."""

from __future__ import annotations

from sim.catalog.tables import table
from sim.errors import nearest

TABLE = "workloads"


def workload_presets() -> list[str]:
    """Presets that supply arrivals and lengths: `chat`, `agentic_task`, and so on."""
    return [name for name, facts in table(TABLE).items() if "input_law" in facts and "arrival_law" in facts]


def session_presets() -> list[str]:
    """Presets that supply sessions: `agentic_coding`, `chat`, and so on."""
    return [name for name, facts in table(TABLE).items() if "session_calls_law" in facts]


def mmpp_presets() -> list[str]:
    """Fitted Markov-modulated Poisson processes."""
    return [name for name, facts in table(TABLE).items() if "rate_rps_1" in facts]


def profile_presets() -> list[str]:
    """Weeks of hourly load."""
    return [name for name, facts in table(TABLE).items() if "weekday_load_00" in facts]


def known(name: str, choices: list[str], kind: str) -> str:
    """The name itself, when it is one of the choices.

    Raises
    ------
    ValueError : it is not; the text lists the choices and the nearest one, for a validator to report.
    """
    if name in choices:
        return name
    close = nearest(name, choices)
    hint = f"; did you mean {close!r}?" if close else ""
    raise ValueError(f"is no {kind} preset; valid: {', '.join(choices)}{hint}")


def preset_rate_rps(name: str) -> float | None:
    """Mean rate that was observed for a workload preset; None for one that describes a shape only."""
    fact = table(TABLE)[name].get("observed_rate_rps")
    return None if fact is None else float(fact.value)
