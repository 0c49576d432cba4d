"""Piles of jobs of one run, as far as they can be judged."""

from __future__ import annotations

from dataclasses import dataclass

from sim.engine.cluster import Outcome
from sim.engine.tenant_tally import TenantTotals
from sim.study.window import Window


@dataclass(frozen=True, slots=True)
class JudgedPiles:
    """Piles of one tenant in one replication.

    Attributes
    ----------
    piles, due : released before the horizon; and due by then, or by the end of a load that ran out.
    jobs, on_time : of those that were due: jobs, and those complete by their due time.
    complete : of those that were due: piles whose every job completed.
    completion_s : sum over these of the time from release to the last completion.
    done, released_jobs : jobs complete, of all jobs of all piles.
    """

    piles: int
    due: int
    jobs: int
    on_time: int
    complete: int
    completion_s: float
    done: int
    released_jobs: int


def judged(outcome: Outcome, tenant: int, horizon_s: float) -> JudgedPiles:
    """The piles of one tenant; a pile due after the horizon says nothing about its due time."""
    tally = outcome.record.tenants
    states = [] if tally is None else [state for state in tally.piles.states if state.tenant == tenant]
    ran_out = outcome.end_s < horizon_s
    due = [state for state in states if ran_out or state.pile.due_s <= horizon_s]
    complete = [state for state in due if state.completed == state.pile.jobs]
    return JudgedPiles(
        piles=len(states),
        due=len(due),
        jobs=sum(state.pile.jobs for state in due),
        on_time=sum(state.on_time for state in due),
        complete=len(complete),
        completion_s=sum(state.last_s - state.pile.release_s for state in complete),
        done=sum(state.completed for state in states),
        released_jobs=sum(state.pile.jobs for state in states),
    )


@dataclass(frozen=True, slots=True)
class Jobs:
    """Requests with a due time in the measured window, and those of them that had not ended at its end."""

    arrived: int = 0
    completed: int = 0
    failed: int = 0
    refused: int = 0
    abandoned: int = 0
    unfinished: int = 0


def tenant_window(outcome: Outcome, window: Window, tenant: int) -> TenantTotals:
    """Counters of one tenant over the measured window."""
    tally = outcome.record.tenants
    assert tally is not None, "asked for only where the load has tenants"
    totals = tally.totals[tenant]
    # the same window as `Window.of`: without a warm-up, or in a load that ran out before it was over, the whole run
    return totals.since(tally.opened[tenant]) if window.seconds < outcome.end_s else totals.copy()


def jobs_of(outcome: Outcome, window: Window) -> Jobs:
    """Jobs of all piles together; none for a load without piles."""
    tally = outcome.record.tenants
    if tally is None:
        return Jobs()
    tenants = sorted({state.tenant for state in tally.piles.states})
    each = [tenant_window(outcome, window, tenant) for tenant in tenants]
    return Jobs(
        arrived=sum(item.arrived for item in each),
        completed=sum(item.completed for item in each),
        failed=sum(item.failed for item in each),
        refused=sum(item.refused for item in each),
        abandoned=sum(item.abandoned for item in each),
        unfinished=sum(tally.totals[tenant].arrived - tally.totals[tenant].ended for tenant in tenants),
    )
