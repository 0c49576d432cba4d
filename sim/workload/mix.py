"""A mixture of tenants: named loads, merged in order of arrival."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter

from sim.errors import ScenarioError
from sim.streams import Streams
from sim.workload.arrivals.recorded_clients import RecordedClients
from sim.workload.arrivals.replay import TraceArrivals
from sim.workload.batch import Batch, Pile
from sim.workload.request import RequestDraw
from sim.workload.sessions.session import Session
from sim.workload.tenant_session import TenantSession, stamped
from sim.workload.workload import Workload

Draw = RequestDraw | Session


@dataclass(frozen=True, slots=True)
class Part:
    """One tenant.

    Attributes
    ----------
    name : unique within the mix; names its random streams.
    workload : what it sends. Of a batch only the lengths count.
    priority : of all its requests, lower first.
    batch : piles with due times, in place of arrivals.
    """

    name: str
    workload: Workload
    priority: int = 0
    batch: Batch | None = None

    @property
    def limit(self) -> int | None:
        """Most requests in flight, or sessions under way, at a time; None where arrivals do not wait for endings."""
        return self.workload.closed_loop_concurrency if self.batch is None else self.batch.max_in_flight

    @property
    def pause_s(self) -> float:
        """Pause between an ending and what follows it, where there is a limit."""
        return self.workload.closed_loop_think_s if self.batch is None else 0.0

    @property
    def rate_rps(self) -> float | None:
        """Long-run rate of single requests that come openly and without end; None for any other kind."""
        if self.batch is not None or isinstance(self.workload.arrivals, TraceArrivals | RecordedClients):
            return None
        return self.workload.mean_rate_rps

    def draws(self, streams: Streams, tenant: int) -> Iterator[Draw]:
        """Requests or sessions in order of arrival or release; at time zero where a closed loop takes the next.

        Parameters
        ----------
        streams : of the whole replication; the part draws from its own among them.
        tenant : index of the part in its mix.
        """
        own = streams.part(self.name)
        name, priority, workload = self.name, self.priority, self.workload
        if self.batch is None and workload.sessions is not None:
            return (TenantSession(one, name, tenant, priority) for one in workload.arriving_sessions(own))
        if self.batch is not None:
            jobs = self.batch.jobs(workload.drawn(own).lengths, own)
            return (stamped(job, name, tenant, priority, job.deadline_s) for job in jobs)
        requests: Iterator[RequestDraw]
        if workload.closed_loop_concurrency is not None:
            requests = (RequestDraw(0.0, *both) for both in workload.lengths_stream(own))
        else:
            requests = workload.requests(own)
        return (stamped(draw, name, tenant, priority) for draw in requests)

    def piles(self, streams: Streams, horizon_s: float) -> tuple[Pile, ...]:
        """Its piles; none without a batch."""
        if self.batch is None:
            return ()
        own = streams.part(self.name)
        return self.batch.piles(self.workload.drawn(own).lengths, own, horizon_s)


@dataclass(frozen=True, slots=True)
class Mix:
    """Tenants that share a cluster.

    Every part draws from streams under its own name (`mix.chat/arrivals`), so that one that leaves or joins does not
    move the others, and its token identities lie in a range of its own, so that tenants find nothing of each other's
    in a prefix cache.

    Parameters
    ----------
    parts : in the order of their index, `RequestDraw.tenant`.

    Raises
    ------
    ScenarioError : no part, or two of one name.
    """

    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        names = self.names
        if not names or len(set(names)) != len(names):
            raise ScenarioError("needs parts of different names", key="parts", value=list(names))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the tenants by index."""
        return tuple(part.name for part in self.parts)

    def arriving(self, streams: Streams) -> Iterator[Draw]:
        """Requests and sessions of all parts without a limit, in order of arrival, then in that of the parts."""
        open_parts = [part.draws(streams, tenant) for tenant, part in enumerate(self.parts) if part.limit is None]
        return open_parts[0] if len(open_parts) == 1 else heapq.merge(*open_parts, key=attrgetter("arrival_s"))

    @property
    def mean_rate_rps(self) -> float | None:
        """Rate of the parts that send single requests openly and without end; None where there are none.

        It is what a cluster must carry at the least; what sessions, closed loops and piles add is an outcome.
        """
        rates = [part.rate_rps for part in self.parts if part.rate_rps is not None]
        return sum(rates) if rates else None

    @property
    def mean_input_tokens(self) -> float:
        """Mean prompt of the requests that `mean_rate_rps` counts; without any, the plain mean over the parts."""
        return self._mean([part.workload.mean_input_tokens for part in self.parts])

    @property
    def mean_output_tokens(self) -> float:
        """Mean output, of the same requests."""
        return self._mean([part.workload.mean_output_tokens for part in self.parts])

    def _mean(self, values: list[float]) -> float:
        weights = [part.rate_rps or 0.0 for part in self.parts]
        weights = weights if sum(weights) > 0.0 else [1.0] * len(values)
        return sum(value * weight for value, weight in zip(values, weights, strict=True)) / sum(weights)

    def lengths_stream(self, streams: Streams) -> Iterator[tuple[int, int]]:
        """(input_tokens, output_tokens) of the parts in turn, to look for requests that are too long."""
        each = [part.workload.lengths_stream(streams.part(part.name)) for part in self.parts]
        while each:
            for one in list(each):
                lengths = next(one, None)
                if lengths is None:
                    each.remove(one)
                else:
                    yield lengths
