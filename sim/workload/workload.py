"""A workload: when requests come and how long they are."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain, repeat

from sim.errors import ScenarioError
from sim.streams import Streams
from sim.workload.arrivals.closed import ClosedLoop
from sim.workload.arrivals.process import ArrivalProcess
from sim.workload.arrivals.replay import TraceArrivals
from sim.workload.lengths.lengths import LengthSource, TraceLengths
from sim.workload.request import RequestDraw
from sim.workload.sessions.lengths import SessionLengths
from sim.workload.sessions.part_way import part_way
from sim.workload.sessions.session import Session
from sim.workload.sessions.source import SessionSource
from sim.workload.trace.scaling import ScaledTrace, Scaling
from sim.workload.trace.trace import Trace


@dataclass(frozen=True, slots=True)
class Workload:
    """Arrivals and lengths, everything drawn in arrival order from named streams.

    Two clusters that are compared under the same seed and replication see the same requests at the same times.

    Parameters
    ----------
    arrivals : an open-loop process, or a closed loop.
    lengths : laws or a trace.
    session_ids : conversation label of each request in arrival order, for a replayed trace that has them.
    scaled : a trace whose scaling draws at random: each replication replays its own version, and the fields above
        describe one of them.
    prefixes : the trace whose prompts tell what they share.
    sessions : where sessions come from, whose arrivals `arrivals` then are: calls follow from answers.
    """

    arrivals: ArrivalProcess | ClosedLoop
    lengths: LengthSource
    session_ids: tuple[str | None, ...] | None = None
    scaled: ScaledTrace | None = None
    prefixes: Trace | None = None
    sessions: SessionSource | None = None

    @classmethod
    def from_trace(
        cls,
        trace: Trace,
        *,
        scaling: Scaling | None = None,
        closed: ClosedLoop | None = None,
        output_scale: float = 1.0,
    ) -> Workload:
        """Replay of a trace: its times, lengths and sessions, once.

        Parameters
        ----------
        scaling : changes to make first; without it the trace is replayed as it stands.
        closed : callers that take the lengths in turn, over and over, at times of their own.
        output_scale : factor on each output.

        Raises
        ------
        TraceError : the scaling leaves no request.
        """
        scaled = None if scaling is None or not scaling.draws else ScaledTrace(trace, scaling)
        if scaling is not None:
            trace = scaling.apply(trace, Streams(0))
        lengths = TraceLengths(trace, repeat=closed is not None, output_scale=output_scale)
        if closed is not None:
            return cls(closed, lengths, None, scaled)
        return cls(TraceArrivals(trace), lengths, trace.session_ids, scaled, trace if trace.knows_prefixes else None)

    @classmethod
    def of_sessions(cls, arrivals: ArrivalProcess | ClosedLoop, sessions: SessionSource) -> Workload:
        """Sessions that arrive as a process says, or a fixed number of them, each replaced when it ends."""
        return cls(arrivals, SessionLengths(sessions), sessions=sessions)

    def drawn(self, streams: Streams) -> Workload:
        """The workload of one replication: the same one, unless the scaling of its trace draws at random."""
        if self.scaled is None or not isinstance(self.lengths, TraceLengths):
            return self
        closed = self.arrivals if isinstance(self.arrivals, ClosedLoop) else None
        trace = self.scaled.drawn(streams)
        return Workload.from_trace(trace, closed=closed, output_scale=self.lengths.output_scale)

    @property
    def closed_loop_concurrency(self) -> int | None:
        """Callers of a closed loop; None for open arrivals."""
        return self.arrivals.concurrency if isinstance(self.arrivals, ClosedLoop) else None

    @property
    def closed_loop_think_s(self) -> float:
        """Pause of a closed loop's caller between answer and next request; 0 for open arrivals."""
        return self.arrivals.think_s if isinstance(self.arrivals, ClosedLoop) else 0.0

    @property
    def mean_rate_rps(self) -> float | None:
        """Long-run mean arrival rate of requests; None for a closed loop and for sessions, whose rate is an outcome."""
        if isinstance(self.arrivals, ClosedLoop) or self.sessions is not None:
            return None
        return self.arrivals.rate_rps

    @property
    def mean_input_tokens(self) -> float:
        """Mean prompt length."""
        return self.lengths.mean_input_tokens

    @property
    def mean_output_tokens(self) -> float:
        """Mean output length."""
        return self.lengths.mean_output_tokens

    def requests(self, streams: Streams) -> Iterator[RequestDraw]:
        """The requests in arrival order; endless unless a trace ends.

        Raises
        ------
        ScenarioError : a closed loop and the calls of sessions have no arrival times of their own.
        TraceError : thinning leaves no request in this replication.
        """
        if self.sessions is not None:
            raise ScenarioError("the calls of sessions wait for their answers", key="workload.sessions")
        if self.scaled is not None:
            return self.drawn(streams).requests(streams)
        if isinstance(self.arrivals, ClosedLoop):
            raise ScenarioError("a closed loop has no arrival times of its own", key="workload.arrivals")
        inputs, outputs = self._columns(streams)
        sessions = repeat(None) if self.session_ids is None else self.session_ids
        # tuple.__new__ skips the keyword handling of a named tuple: a third of its cost
        build = partial(tuple.__new__, RequestDraw)
        prefixes = repeat(None) if self.prefixes is None else self.prefixes.prefixes()
        times = self.arrivals.times(streams)
        return map(build, zip(times, inputs, outputs, sessions, prefixes, repeat(None), strict=False))

    def arriving_sessions(self, streams: Streams) -> Iterator[Session]:
        """Sessions as they arrive; those of a closed loop, which replaces one that ends by the next, at time zero.

        The sessions that a closed loop begins with are met part-way, at a uniformly drawn step and pause (stream
        `sessions.start`), so that they do not all send their first prompt at once.

        Raises
        ------
        ScenarioError : the workload has no sessions.
        """
        if self.sessions is None:
            raise ScenarioError("has no sessions", key="workload.sessions")
        sessions = self.sessions.sessions(streams)
        if isinstance(self.arrivals, ClosedLoop):
            return part_way(sessions, self.arrivals.concurrency, streams)
        return map(_arriving, sessions, self.arrivals.times(streams))

    def lengths_stream(self, streams: Streams) -> Iterator[tuple[int, int]]:
        """(input_tokens, output_tokens) in order, for a closed loop that makes its own arrivals."""
        drawn = self.drawn(streams)
        return zip(*drawn._columns(streams), strict=False)  # noqa: SLF001 - its own class

    def _columns(self, streams: Streams) -> tuple[Iterator[int], Iterator[int]]:
        """Input and output lengths one by one, to be read in turn, inputs first: then one block at most is held."""
        waiting: deque[list[int]] = deque()

        def input_lists() -> Iterator[list[int]]:
            for inputs, outputs in self.lengths.blocks(streams):
                waiting.append(outputs.tolist())
                yield inputs.tolist()

        def output_lists() -> Iterator[list[int]]:
            while waiting:
                yield waiting.popleft()

        return chain.from_iterable(input_lists()), chain.from_iterable(output_lists())


def _arriving(session: Session, arrival_s: float) -> Session:
    session.arrival_s = arrival_s
    return session
