"""From the `sessions` section to sessions, of a preset or of a file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from sim.catalog.tables import Fact
from sim.errors import CatalogError
from sim.scenario.arrivals import ClosedLoopArrivals, PresetArrivals, ServeGenArrivals, TraceArrivals
from sim.scenario.sessions import SessionsSection
from sim.scenario.workload_presets import TABLE
from sim.simulation.preset_rows import PresetRows
from sim.simulation.workload_arrivals import open_arrivals
from sim.simulation.workload_preset import preset_arrivals, preset_length, preset_rank_correlation
from sim.workload.arrivals.closed import ClosedLoop
from sim.workload.arrivals.poisson import Poisson
from sim.workload.arrivals.process import ArrivalProcess
from sim.workload.lengths.constant import Constant
from sim.workload.lengths.empirical import QuantileTable
from sim.workload.lengths.geometric import Geometric
from sim.workload.lengths.law import LengthLaw
from sim.workload.lengths.lognormal import Lognormal
from sim.workload.lengths.scaled import Scaled
from sim.workload.lengths.uniform import Uniform
from sim.workload.sessions.claude_code import read_sessions
from sim.workload.sessions.gaps import GapLaw, Gaps
from sim.workload.sessions.laws import SessionLaws, SubAgents
from sim.workload.sessions.recorded import RecordedSession, RecordedSessions, Replay
from sim.workload.sessions.shared_text import SharedText
from sim.workload.sessions.synthetic_source import SyntheticSessions
from sim.workload.workload import Workload

SUB_AGENT_KEY = "sub_agent_calls_frac"


def preset_sessions(name: str, section: SessionsSection, *, output_scale: float = 1.0) -> Workload:
    """Sessions as a preset describes them, changed by the section.

    Raises
    ------
    ScenarioError : values that describe no law, or a week asked for that the preset does not have.
    CatalogError : the preset has no sessions.
    """
    rows = PresetRows(name)
    laws = _laws(rows, section, output_scale)
    source = SyntheticSessions(laws, _sub_agents(rows, section, laws))
    return Workload.of_sessions(_arrivals(section, name), source)


def recorded_sessions(path: Path, section: SessionsSection, *, output_scale: float = 1.0) -> Workload:
    """Sessions of a file, their pauses kept, changed by the section; the file is read once while it does not change.

    Raises
    ------
    ScenarioError : values that describe no process.
    TraceError : the file is no file of recorded sessions, or is damaged.
    """
    how = Replay(
        max_gap_s=math.inf if section.max_gap_s is None else section.max_gap_s,
        root_tokens=section.root_tokens or 0,
        output_scale=output_scale,
        abandon_after_s=section.abandon_after_s,
        repeat=section.repeat,
    )
    stat = path.stat()
    source = RecordedSessions(_read(path, (stat.st_mtime_ns, stat.st_size)), how)
    return Workload.of_sessions(_arrivals(section, None), source)


@lru_cache(maxsize=1)
def _read(path: Path, version: tuple[int, int]) -> tuple[RecordedSession, ...]:  # noqa: ARG001 - part of the key
    return read_sessions(path)


def session_facts(name: str, section: SessionsSection) -> Iterator[tuple[str, Fact]]:
    """Rows that the sessions of a preset depend on, by dotted name; not those that the section overrides."""
    rows = PresetRows(name)
    own = {
        "session_root_tokens": section.root_tokens,
        "session_gap_median_s": section.gap_median_s,
        "session_human_gap_median_s": section.human_gap_median_s,
        "session_break_frac": section.break_frac,
        "session_max_context_tokens": section.max_context_tokens,
        SUB_AGENT_KEY: section.sub_agent_calls_frac,
        "reasoning_output_frac": section.reasoning_in_context,
    }
    prefixes = ["session_", "output_", "reasoning_output_frac"]
    if not rows.has("session_first_law"):
        prefixes.append("input_")
    if rows.number_or("session_keeps_history", 1) == 0:
        prefixes.append("rank_correlation")
    if _sub_agent_frac(rows, section) > 0:
        prefixes.append("sub_agent_")
    for parameter, fact in rows.facts.items():
        if parameter.startswith(tuple(prefixes)) and own.get(parameter) is None:
            yield f"{TABLE}.{name}.{parameter}", fact


# ---- arrivals of sessions ---------------------------------------------------------------------------------------


def _arrivals(section: SessionsSection, preset: str | None) -> ArrivalProcess | ClosedLoop:
    if section.concurrency is not None:
        return ClosedLoop(section.concurrency, section.pause_s)
    arrivals = section.arrivals
    if arrivals is None:
        assert section.rate_per_s is not None, "the schema asks for one of the three"
        arrivals = PresetArrivals(rate_rps=section.rate_per_s)
    if isinstance(arrivals, PresetArrivals):
        if preset is None:
            assert arrivals.rate_rps is not None, "the schema asks for a rate"
            return Poisson(arrivals.rate_rps)
        return preset_arrivals(
            preset, arrivals.rate_rps, week=arrivals.week_profile, start_h=arrivals.start_h, sessions=True
        )
    assert not isinstance(arrivals, TraceArrivals | ClosedLoopArrivals | ServeGenArrivals), "the schema refuses them"
    return open_arrivals(arrivals)


# ---- laws -------------------------------------------------------------------------------------------------------


def _laws(rows: PresetRows, section: SessionsSection, output_scale: float) -> SessionLaws:
    keeps_history = rows.number_or("session_keeps_history", 1) != 0
    own_first = rows.has("session_first_law")
    return SessionLaws(
        calls=_calls(rows),
        first=_lognormal(rows, "session_first") if own_first else _input(rows),
        new=_lognormal(rows, "session_new") if rows.has("session_new_median_tokens") else Constant(1),
        output=_scaled(preset_length(rows.name, "output"), output_scale),
        gaps=_gaps(rows, section),
        shared=_shared(rows, section),
        first_is_whole=not own_first,
        new_includes_answer=rows.number_or("session_new_includes_answer", 0) != 0,
        keeps_history=keeps_history,
        output_kept_frac=_kept(rows, section),
        break_frac=_chosen(section.break_frac, rows.number_or("session_break_frac", 0.0)),
        break_kept_frac=rows.number_or("session_break_kept_frac", 0.0),
        max_context_tokens=section.max_context_tokens or rows.whole_or_none("session_max_context_tokens"),
        compact_to_frac=rows.number_or("session_compact_to_frac", 0.5),
        rank_correlation=0.0 if keeps_history else preset_rank_correlation(rows.name),
        together_within_s=rows.number_or("session_together_within_s", 0.0) or None,
        abandon_after_s=section.abandon_after_s,
    )


def _chosen(own: float | None, preset: float) -> float:
    return preset if own is None else own


def _scaled(law: LengthLaw, factor: float) -> LengthLaw:
    return law if factor == 1.0 else Scaled(law, factor)


def _input(rows: PresetRows) -> LengthLaw:
    """The law of all prompts, scaled so that first and later prompts together keep it."""
    law, factor = preset_length(rows.name, "input"), rows.number_or("session_first_scale", 1.0)
    if isinstance(law, Lognormal) and factor != 1.0:
        median = law.median_tokens * factor
        return Lognormal(median, law.sigma, law.min_tokens, law.max_tokens, law.truncation)
    if isinstance(law, QuantileTable) and factor != 1.0:
        return QuantileTable(law.probabilities, tuple(max(1.0, tokens * factor) for tokens in law.tokens))
    return law


def _lognormal(rows: PresetRows, prefix: str) -> LengthLaw:
    return Lognormal(
        rows.number(f"{prefix}_median_tokens"),
        rows.number(f"{prefix}_sigma"),
        1,
        rows.whole_or_none(f"{prefix}_max_tokens"),
    )


def _calls(rows: PresetRows) -> LengthLaw:
    law = rows.word("session_calls_law")
    if law == "geometric":
        return Geometric(rows.number("session_calls_mean"))
    if law == "constant":
        return Constant(int(rows.number("session_calls_mean")))
    if law == "uniform":
        return Uniform.between(int(rows.number("session_calls_min")), int(rows.number("session_calls_max")))
    if law == "lognormal":
        return Lognormal(rows.number("session_calls_median"), rows.number("session_calls_sigma"))
    raise CatalogError(
        f"{TABLE}: {rows.name}.session_calls_law is {law!r}; known: geometric, constant, uniform, lognormal"
    )


def _gaps(rows: PresetRows, section: SessionsSection) -> Gaps:
    """Pauses; a preset without any has one call per session, whose pause is never used."""
    if not rows.has("session_gap_median_s"):
        return Gaps(GapLaw(1.0, 0.0))
    between = GapLaw(
        _chosen(section.gap_median_s, rows.number("session_gap_median_s")),
        rows.number("session_gap_sigma"),
        rows.number_or("session_gap_max_s", math.inf),
    )
    if not rows.has("session_human_gap_median_s"):
        return Gaps(between)
    human = GapLaw(
        _chosen(section.human_gap_median_s, rows.number("session_human_gap_median_s")),
        rows.number("session_human_gap_sigma"),
        rows.number_or("session_human_gap_max_s", math.inf),
    )
    return Gaps(between, human, 1.0 / rows.number("session_calls_per_user_request_mean"))


def _shared(rows: PresetRows, section: SessionsSection) -> SharedText:
    return SharedText(
        root_tokens=int(_chosen(section.root_tokens, rows.number_or("session_root_tokens", 0))),
        root_frac=rows.number_or("session_root_frac", 1.0),
        group_tokens=int(rows.number_or("session_group_tokens", 0)),
        groups=int(rows.number_or("session_groups", 1)),
        group_zipf=rows.number_or("session_group_zipf", 0.0),
    )


def _kept(rows: PresetRows, section: SessionsSection) -> float:
    if section.reasoning_in_context:
        return 1.0
    return 1.0 - rows.number_or("reasoning_output_frac", 0.0)


def _sub_agent_frac(rows: PresetRows, section: SessionsSection) -> float:
    return _chosen(section.sub_agent_calls_frac, rows.number_or(SUB_AGENT_KEY, 0.0))


def _sub_agents(rows: PresetRows, section: SessionsSection, laws: SessionLaws) -> SubAgents | None:
    frac = _sub_agent_frac(rows, section)
    if not frac:
        return None
    own = SessionLaws(
        calls=Lognormal(rows.number("sub_agent_calls_median"), rows.number("sub_agent_calls_sigma")),
        first=_lognormal(rows, "sub_agent_first"),
        new=_lognormal(rows, "sub_agent_new"),
        output=laws.output,
        gaps=Gaps(laws.gaps.between),
        shared=SharedText(root_tokens=int(rows.number("sub_agent_root_tokens"))),
        first_is_whole=False,
        new_includes_answer=laws.new_includes_answer,
        max_context_tokens=laws.max_context_tokens,
        compact_to_frac=laws.compact_to_frac,
    )
    return SubAgents(own, frac, int(rows.number("sub_agent_parallel")))
