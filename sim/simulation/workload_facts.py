"""Which rows of the catalog a workload depends on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sim.catalog.tables import Fact
from sim.scenario.arrivals import Arrivals, MmppShape, PresetArrivals, ProfileArrivals
from sim.scenario.sessions import SessionsSection
from sim.scenario.source import SourceSection
from sim.scenario.workload import WorkloadSection
from sim.scenario.workload_presets import mmpp_presets, profile_presets
from sim.simulation.workload_batch import batch_facts
from sim.simulation.workload_preset import preset_facts
from sim.simulation.workload_sessions import session_facts

Named = tuple[str, Fact]


def workload_facts(section: WorkloadSection) -> Mapping[str, Fact]:
    """Rows that the workload depends on, by dotted name as `workloads.chat.input_sigma`.

    What a section overrides is not among them; a report lists those that are assumed.
    """
    facts: dict[str, Fact] = {}
    for source in section.sources.values():
        facts.update(_source(source))
    return facts


def _source(section: SourceSection) -> Iterator[Named]:
    if section.sessions is not None:
        yield from _sessions(section.preset, section.sessions)
        return
    yield from _fitted(section.arrivals)
    if section.preset is not None:
        yield from _preset(section, section.preset)
        if section.batch is not None:
            yield from batch_facts(section.batch, section.preset)


def _sessions(preset: str | None, sessions: SessionsSection) -> Iterator[Named]:
    if preset is not None:
        yield from session_facts(preset, sessions)
    arrivals = sessions.arrivals
    if arrivals is None and sessions.concurrency is None:  # a rate of its own, or a share of a mix
        arrivals = PresetArrivals(rate_rps=sessions.rate_per_s or 1.0)
    elif isinstance(arrivals, PresetArrivals) and arrivals.rate_rps is None:
        arrivals = arrivals.model_copy(update={"rate_rps": 1.0})
    if preset is not None and isinstance(arrivals, PresetArrivals):
        own_law = any(True for _ in preset_facts(preset, "session_arrival_law"))
        yield from _burst(preset, arrivals, with_law=not own_law)
    else:
        yield from _fitted(arrivals)


def pair_of_preset(section: SourceSection) -> bool:
    """Whether the preset's correlation holds: it belongs to the pair of laws that it was measured on."""
    own = (section.rank_correlation, section.input_tokens, section.output_tokens)
    return section.preset is not None and all(value is None for value in own)


def _preset(section: SourceSection, name: str) -> Iterator[Named]:
    arrivals = PresetArrivals() if section.arrivals is None else section.arrivals
    if isinstance(arrivals, PresetArrivals) and section.batch is None:
        if section.rate_is_given_elsewhere:
            arrivals = arrivals.model_copy(update={"rate_rps": 1.0})
        yield from _burst(name, arrivals)
    if section.input_tokens is None:
        yield from preset_facts(name, "input_")
    if section.output_tokens is None:
        yield from preset_facts(name, "output_")
    if pair_of_preset(section):
        yield from preset_facts(name, "rank_correlation")


def _burst(name: str, arrivals: PresetArrivals, *, with_law: bool = True) -> Iterator[Named]:
    """Rows behind the arrivals of a preset."""
    rows = dict(preset_facts(name, "arrival_law", "arrival_cv", "arrival_mmpp")) if with_law else {}
    if arrivals.week_profile:
        rows.update(preset_facts(name, "arrival_profile"))
    if arrivals.rate_rps is None:
        rows.update(preset_facts(name, "observed_rate_rps"))
    yield from rows.items()
    for fact in rows.values():
        if fact.unit == "-" and isinstance(fact.value, str):
            yield from _named(fact.value)


def _fitted(arrivals: Arrivals | None) -> Iterator[Named]:
    """Rows behind the presets that arrivals name themselves."""
    if isinstance(arrivals, ProfileArrivals):
        if arrivals.preset is not None:
            yield from _named(arrivals.preset)
        yield from _fitted_shape(arrivals.base)
    else:
        yield from _fitted_shape(arrivals)


def _fitted_shape(shape: object) -> Iterator[Named]:
    if isinstance(shape, MmppShape) and shape.preset is not None:
        yield from _named(shape.preset)


def _named(name: str) -> Iterator[Named]:
    """Rows of a fitted process or a week, by its name; nothing for the name of a law."""
    if name in {*mmpp_presets(), *profile_presets()}:
        yield from preset_facts(name, "rate_rps_", "transition_", "mean_dwell_s_", "weekday_load_", "day_factor_")
