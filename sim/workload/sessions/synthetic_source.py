"""Sessions drawn from laws, one after another."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from sim.streams import Streams
from sim.workload.lengths.law import Floats, Tokens
from sim.workload.lengths.lengths import correlated
from sim.workload.runs import Runs
from sim.workload.sessions.identities import child_first_id, session_first_id
from sim.workload.sessions.laws import SessionLaws, SubAgents
from sim.workload.sessions.session import Session
from sim.workload.sessions.source import SessionSource
from sim.workload.sessions.synthetic import SyntheticSession

DRAWN_AT_ONCE = 64  # sessions; more would only hold more of them before they arrive


@dataclass(frozen=True, slots=True)
class SyntheticSessions(SessionSource):
    """Sessions without end, drawn from laws.

    Every quantity has a stream of its own (`sessions.calls`, `sessions.new`, ...), read in the order of sessions.

    Parameters
    ----------
    laws : of the sessions.
    sub_agents : what they start and wait for; None for sessions that work alone.
    """

    laws: SessionLaws
    sub_agents: SubAgents | None = None

    def sessions(self, streams: Streams) -> Iterator[Session]:
        """Sessions in order of arrival, with arrival times still to be set."""
        drawn = _drawn(self.laws, streams, "sessions")
        if self.sub_agents is None or self.sub_agents.calls_frac == 0.0:
            return (_session(self.laws, one, str(n), session_first_id(n), None) for n, one in enumerate(drawn))
        return self._with_sub_agents(drawn, streams, self.sub_agents)

    def _with_sub_agents(self, drawn: Iterator[_Drawn], streams: Streams, agents: SubAgents) -> Iterator[Session]:
        start_frac, starts = agents.start_frac, streams.generator("sessions.sub_agents")
        laws = replace(agents.laws, shared=replace(agents.laws.shared, root_number=1))
        children = _drawn(laws, streams, "sub_agents")
        for number, one in enumerate(drawn):
            first_id, forks, child = session_first_id(number), {}, 0
            for at in (1 + np.flatnonzero(starts.random(len(one.new_tokens))[1:] < start_frac)).tolist():
                group: list[Session] = []
                for each in islice(children, agents.parallel):
                    child_id = child_first_id(first_id, child)
                    group.append(_session(laws, each, f"{number}/{child}", child_id, None))
                    child += 1
                forks[at] = tuple(group)
            yield _session(self.laws, one, str(number), first_id, forks)


@dataclass(slots=True)
class _Drawn:
    """Everything about one session that is random."""

    new_tokens: list[int]
    output_tokens: list[int]
    gaps_s: list[float]
    breaks: list[bool] | None
    shared: Runs
    patience_s: float


def _session(
    laws: SessionLaws, one: _Drawn, name: str, first_id: int, forks: dict[int, tuple[Session, ...]] | None
) -> Session:
    if laws.together_within_s is None:
        return SyntheticSession(
            name,
            laws,
            one.shared,
            first_id,
            one.new_tokens,
            one.output_tokens,
            one.gaps_s,
            one.breaks,
            forks,
            one.patience_s,
        )
    calls = zip(one.new_tokens, one.output_tokens, one.gaps_s, strict=True)
    group = tuple(
        SyntheticSession(
            f"{name}/{at}",
            laws,
            one.shared,
            child_first_id(first_id, at),
            [new],
            [output],
            [gap_s],
            None,
            None,
            one.patience_s,
        )
        for at, (new, output, gap_s) in enumerate(calls)
    )
    return SyntheticSession(name, laws, one.shared, first_id, [], [], [], None, {0: group}, one.patience_s)


def _drawn(laws: SessionLaws, streams: Streams, prefix: str) -> Iterator[_Drawn]:
    """Sessions, drawn some at a time: a stream each for calls, lengths, pauses, breaks, shared text and patience."""
    uniforms = _named_uniforms(streams, prefix)
    shared = laws.shared
    while True:
        counts = laws.calls.quantile(uniforms("calls", DRAWN_AT_ONCE))
        ends = np.cumsum(counts)
        starts, total = ends - counts, int(ends[-1])
        new, output = _lengths(laws, uniforms, starts, total)
        gaps_s = _gaps(laws, uniforms, starts, total)
        breaks = (uniforms("break", total) < laws.break_frac).tolist() if laws.break_frac else None
        roots = (uniforms("root", DRAWN_AT_ONCE) < shared.root_frac).tolist()
        groups = shared.group_of(uniforms("group", DRAWN_AT_ONCE)).tolist()
        patience = (-np.log1p(-uniforms("patience", DRAWN_AT_ONCE))).tolist()
        for at, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
            yield _Drawn(
                new[start:end],
                output[start:end],
                gaps_s[start:end],
                None if breaks is None else breaks[start:end],
                shared.runs(has_root=roots[at], group=groups[at]),
                math.inf if laws.abandon_after_s is None else laws.abandon_after_s * patience[at],
            )


def _lengths(laws: SessionLaws, uniforms: Uniforms, starts: Tokens, total: int) -> tuple[list[int], list[int]]:
    output_u = uniforms("output", total)
    if laws.keeps_history:
        new = laws.new.quantile(uniforms("new", total))
        new[starts] = laws.first.quantile(uniforms("first", len(starts)))
    else:
        first_u = uniforms("first", total)
        if laws.rank_correlation:
            output_u = correlated(first_u, output_u, laws.rank_correlation)
        new = laws.first.quantile(first_u)
    return new.tolist(), laws.output.quantile(output_u).tolist()


def _gaps(laws: SessionLaws, uniforms: Uniforms, starts: Tokens, total: int) -> list[float]:
    if laws.together_within_s is not None:
        return list((laws.together_within_s * uniforms("gap", total)).tolist())
    gaps_s = laws.gaps.quantile(uniforms("gap_kind", total), uniforms("gap", total))
    gaps_s[starts] = 0.0
    return list(gaps_s.tolist())


Uniforms = Callable[[str, int], Floats]


def _named_uniforms(streams: Streams, prefix: str) -> Uniforms:
    """Draws from `prefix.name`, each name a stream that is read on and on."""
    generators: dict[str, np.random.Generator] = {}

    def draw(name: str, count: int) -> Floats:
        if name not in generators:
            generators[name] = streams.generator(f"{prefix}.{name}")
        return generators[name].random(count)

    return draw
