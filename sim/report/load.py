"""The load of a scenario in words."""

from __future__ import annotations

from pathlib import PurePath
from typing import Final

from sim.report.figures import number, plain_number, plural
from sim.scenario.arrivals import (
    ClientsArrivals,
    ClosedLoopArrivals,
    MmppArrivals,
    MmppShape,
    PresetArrivals,
    ProfileArrivals,
    ServeGenArrivals,
    TraceArrivals,
)
from sim.scenario.batch import BatchSection
from sim.scenario.mix import MixSection, PartSection
from sim.scenario.scenario import Scenario
from sim.scenario.sessions import SessionsSection
from sim.scenario.source import SourceSection, TraceSection
from sim.scenario.workload_presets import preset_rate_rps
from sim.simulation.workload_arrivals import OpenArrivals, open_arrivals

LAWS: Final = {
    "poisson": "Poisson arrivals",
    "deterministic": "equal gaps",
    "gamma": "Gamma gaps",
    "weibull": "Weibull gaps",
    "mmpp": "Markov-modulated bursts",
    "clients": "clients of different size",
}


def load_words(scenario: Scenario) -> str:
    """What the clients send, as `2.5 requests/s, preset chat`; of tenants, one after the other by name."""
    sources = [(source_name(key), _source_words(source)) for key, source in scenario.workload.sources.items()]
    text = "; ".join(f"{name}: {words}" if name else words for name, words in sources)
    if scenario.workload.mix is not None:
        text += _shared(scenario.workload.mix)
    if scenario.run.max_requests is not None:
        text += f", the first {plural(scenario.run.max_requests, 'request')} only"
    return text


def source_name(key: str) -> str:
    """The name of a tenant, from the dotted name of its section; empty for a load without tenants."""
    return key.rpartition(".")[2]


def _shared(mix: MixSection) -> str:
    if mix.total_rate_rps is not None:
        return f"; {_rate(mix.total_rate_rps)} of those with a share"
    if mix.total_tokens_per_s is not None:
        return f"; {plain_number(mix.total_tokens_per_s)} tokens/s of those with a share"
    return ""


def _batch(batch: BatchSection) -> list[str]:
    size = plural(batch.requests, "job") if batch.requests is not None else plural(batch.tokens or 0, "token")
    again = f" each {plain_number(batch.every_s)} s" if batch.every_s is not None else ""
    parts = [f"a pile of {size} from {plain_number(batch.release_s)} s{again}"]
    if batch.spread_s:
        parts.append(f"spread over {plain_number(batch.spread_s)} s")
    if batch.max_in_flight is not None:
        parts.append(f"{batch.max_in_flight:,} in flight at most")
    if batch.due_s is not None:
        parts.append(f"due at {plain_number(batch.due_s)} s")
    elif batch.deadline_h is not None:
        parts.append(f"due after {plain_number(batch.deadline_h)} h")
    return parts


def _share(section: SourceSection) -> list[str]:
    share = section.share_frac if isinstance(section, PartSection) else None
    return [] if share is None else [f"{plain_number(100.0 * share)} %"]


def _source_words(workload: SourceSection) -> str:
    parts = _share(workload)
    parts += _trace(workload.trace) if workload.trace is not None else []
    arrivals = workload.arrivals
    if workload.batch is not None:
        parts += _batch(workload.batch)
    elif workload.sessions is not None:
        parts += _sessions(workload.sessions)
    elif isinstance(arrivals, ClosedLoopArrivals):
        parts += _closed_loop(arrivals)
    elif isinstance(arrivals, PresetArrivals | None):
        if workload.preset is not None and not workload.rate_is_given_elsewhere:
            parts += _preset_arrivals(workload.preset, arrivals or PresetArrivals())
    elif not isinstance(arrivals, TraceArrivals):
        parts += _open(arrivals)
    if workload.preset is not None:
        parts.append(f"preset {workload.preset}")
    if workload.output_scale != 1.0:
        parts.append(f"outputs x {plain_number(workload.output_scale)}")
    return ", ".join(parts)


def _trace(trace: TraceSection) -> list[str]:
    """The file and every scaling of it, in the order in which they apply."""
    parts = [f"replay of {PurePath(trace.path).name}"]
    if trace.dequantise_s is not None:
        tick = "its tick" if trace.dequantise_s == "auto" else f"ticks of {plain_number(trace.dequantise_s)} s"
        parts.append(f"times spread over {tick}")
    if trace.thin_frac < 1.0:
        parts.append(f"thinned to {plain_number(100.0 * trace.thin_frac)} % of its requests")
    if trace.replicate > 1:
        parts.append(f"{trace.replicate:,} shifted copies")
    if trace.time_warp != 1.0:
        parts.append(f"times divided by {plain_number(trace.time_warp)}")
    if trace.max_requests is not None:
        parts.append(f"its first {plural(trace.max_requests, 'request')}")
    return parts


def _sessions(sessions: SessionsSection) -> list[str]:
    if sessions.concurrency is not None:
        return [f"{plural(sessions.concurrency, 'session')} at a time"]
    if not sessions.begins:
        return ["sessions"]
    if sessions.rate_per_s is not None:
        return [f"{plain_number(sessions.rate_per_s)} sessions/s"]
    arrivals = sessions.arrivals
    rate_rps = None if arrivals is None else getattr(arrivals, "rate_rps", None)
    return ["sessions" if rate_rps is None else f"{plain_number(rate_rps)} sessions/s"]


def _closed_loop(arrivals: ClosedLoopArrivals) -> list[str]:
    think = f" with pauses of {plain_number(arrivals.think_s)} s" if arrivals.think_s else ""
    return [f"{plural(arrivals.concurrency, 'caller')} in a closed loop{think}"]


def _preset_arrivals(preset: str, arrivals: PresetArrivals) -> list[str]:
    own = preset_rate_rps(preset)
    if arrivals.rate_rps is not None:
        parts = [_rate(arrivals.rate_rps)]
    else:
        parts = [] if own is None else [f"{_rate(own)} as observed"]
    return [*parts, *([_week(arrivals.start_h, "its week of hourly load")] if arrivals.week_profile else [])]


def _open(arrivals: OpenArrivals) -> list[str]:
    """Long-run mean rate, law, and what the law follows."""
    if isinstance(arrivals, ServeGenArrivals):
        return _recorded_clients(arrivals)
    rate = _rate(open_arrivals(arrivals).rate_rps)
    if not isinstance(arrivals, ProfileArrivals):
        changed = _what_if(arrivals) if isinstance(arrivals, ClientsArrivals) else []
        return [f"{rate} on average" if isinstance(arrivals, MmppArrivals) else rate, _law(arrivals), *changed]
    if arrivals.preset is not None:
        season = _week(arrivals.start_h, f"week of hourly load {arrivals.preset}")
    else:
        rates = arrivals.rates_rps or ()
        repeated = "repeated" if arrivals.after == "repeat" else "the last rate held"
        season = f"profile of {plural(len(rates), 'rate')} ({number(min(rates))} to {number(max(rates))}), {repeated}"
    return [f"{rate} on average", season, _law(arrivals.base)]


def _recorded_clients(arrivals: ServeGenArrivals) -> list[str]:
    parts = [f"clients of {arrivals.pool} as recorded in {PurePath(arrivals.path).name}"]
    if arrivals.start_s:
        parts.append(f"from second {plain_number(arrivals.start_s)}")
    if arrivals.scale != 1.0:
        parts.append(f"rates x {plain_number(arrivals.scale)}")
    return [*parts, *_what_if(arrivals)]


def _what_if(arrivals: ClientsArrivals | ServeGenArrivals) -> list[str]:
    if arrivals.without_largest:
        return [f"without the {arrivals.without_largest:,} largest"]
    return [f"the {arrivals.duplicate_largest:,} largest twice"] if arrivals.duplicate_largest else []


def _law(shape: object) -> str:
    words = LAWS[getattr(shape, "process")]  # noqa: B009 - every shape has one
    if isinstance(shape, MmppShape):
        if shape.preset is not None:
            return f"{words} ({shape.preset})"
        rates = shape.rates_rps or ()
        return f"{words} ({len(rates)} states)"
    for name, symbol in (("cv", "CV"), ("burstiness", "burstiness")):
        value = getattr(shape, name, None)
        if value is not None:
            return f"{words} ({symbol} {plain_number(value)})"
    return words


def _week(start_h: float, words: str) -> str:
    return f"{words} from hour {plain_number(start_h)}"


def _rate(rate_rps: float) -> str:
    return f"{number(rate_rps) if rate_rps != round(rate_rps, 3) else plain_number(rate_rps)} requests/s"
