"""Whether the cluster kept up with its load."""

from __future__ import annotations

from collections.abc import Sequence

from sim.engine.cluster import Outcome
from sim.simulation.infeasible import Infeasible
from sim.study.piles import jobs_of
from sim.study.window import Window

EXCESS_FRAC = 0.05
MIN_ARRIVALS = 100


def overload(outcomes: Sequence[Outcome], windows: Sequence[Window], replicas: int) -> Infeasible | None:
    """The named result for a load above capacity, from what the run itself shows; None when the cluster kept up.

    A cluster falls behind when, over the measured window, more than 5 % of the requests that arrived neither completed
    nor were refused, and in the end more of them wait than run, or clients gave up on them. Time out of service does
    not count as overload: a study with outages is judged by the replications without one; where there is none, the
    share of time out of service is added to the 5 %. Jobs with a due time may wait, and are left out: whether they
    are on time is their own figure.
    """
    pairs = list(zip(outcomes, windows, strict=True))
    pairs = [(outcome, window) for outcome, window in pairs if not outcome.outages] or pairs
    judged, windows = [outcome for outcome, _ in pairs], [window for _, window in pairs]
    jobs = [jobs_of(outcome, window) for outcome, window in zip(judged, windows, strict=True)]
    arrived = sum(window.totals.arrived for window in windows) - sum(job.arrived for job in jobs)
    if arrived < MIN_ARRIVALS:
        return None
    served = sum(window.totals.completed + window.totals.refused for window in windows)
    served -= sum(job.completed + job.refused for job in jobs)
    gave_up = sum(window.totals.abandoned + window.totals.failed for window in windows)
    gave_up -= sum(job.abandoned + job.failed for job in jobs)
    running = sum(outcome.record.timeline[-1][1] for outcome in judged)
    waiting = max(0.0, sum(outcome.record.timeline[-1][2] for outcome in judged) - sum(job.unfinished for job in jobs))
    behind = arrived - served
    seconds = sum(window.seconds for window in windows)
    down_frac = sum(window.totals.down_s for window in windows) / (seconds * replicas)
    allowed = (EXCESS_FRAC + down_frac) * arrived
    if behind <= allowed or (waiting <= running and gave_up <= allowed):
        return None
    refused = sum(window.totals.refused for window in windows) - sum(job.refused for job in jobs)
    offered = (arrived - refused) / seconds
    carried = (served - refused) / seconds
    grew = f"the queue grew to {waiting / len(judged):,.0f} waiting requests"
    if waiting <= gave_up:
        grew = f"clients gave up on {gave_up:,}"
    return Infeasible(
        "over_capacity",
        f"The offered load of {offered:.3g} admitted requests/s is above capacity: {replicas} replica"
        f"{'s' if replicas > 1 else ''} completed {carried:.3g} requests/s while {grew}, so "
        f"latencies depend on how long the run lasts.",
        f"More than {replicas} replica{'s' if replicas > 1 else ''}, or less load.",
        {"offered_rps": offered, "completed_rps": carried},
    )
