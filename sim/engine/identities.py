"""Exact identities, asserted at the end of every run; a failure is a defect here, never of the input."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from sim.engine.recorder import Recorder
from sim.engine.replica import Replica
from sim.errors import IdentityError

RELATIVE = 1e-9


def check_identities(
    record: Recorder, replicas: Sequence[Replica], unfinished: int, unfinished_s: float, now_s: float
) -> None:
    """Assert what must hold at the instant `now_s`.

    Requests in = completed + failed + refused + abandoned + unfinished; the integral of the number in the system = the
    sum of (truncated) sojourn times; tokens sampled = delivered + lost + resident; prompt tokens computed = kept +
    wasted + resident, and those admitted = found in the prefix cache + fetched + computed; KV blocks allocated =
    freed + held + cached, and held = the sum over requests; busy + idle + hung + paused + down + off = capacity x
    horizon; histogram counts =
    requests measured.

    Raises
    ------
    IdentityError : names the identity and both sides.
    """
    totals = record.totals
    here = [replica.resident() for replica in replicas]
    generated = sum(row[0] for row in here)
    prefilled, blocks = sum(row[1] for row in here), sum(row[2] for row in here)
    ended = totals.completed + totals.failed + totals.refused + totals.abandoned
    ranks = [rank for replica in replicas for rank in replica.ranks]
    caches = any(rank.cache is not None for rank in ranks)
    to_come = sum(r.target_tokens - r.computed_tokens for rank in ranks for r in rank.running)
    pools = [rank.blocks for replica in replicas for rank in replica.ranks]
    held = sum(pool.held for pool in pools)
    _same("requests in = ended + unfinished", totals.arrived, ended + unfinished)
    _same(
        "output tokens = delivered + lost + resident",
        totals.emitted_tokens,
        totals.delivered_tokens + totals.lost_tokens + generated,
    )
    _same(
        "prompt tokens = kept + wasted + resident",
        totals.prefilled_tokens,
        totals.kept_prefill_tokens + totals.wasted_prefill_tokens + prefilled,
    )
    kept = held + sum(pool.cached for pool in pools)
    _same(
        "KV blocks allocated = freed + held + cached",
        sum(p.allocated for p in pools),
        sum(p.freed for p in pools) + kept,
    )
    if caches:
        _same(
            "admitted prompt tokens = found + fetched + computed + forgone + to come",
            totals.admitted_prompt_tokens,
            totals.cached_prompt_tokens
            + totals.fetched_tokens
            + totals.prefilled_tokens
            + totals.forgone_prompt_tokens
            + to_come,
        )
    _same("KV blocks held = sum over requests", held, blocks)
    _close("Little's law", record.in_system.integral(now_s), record.sojourn_s + unfinished_s)
    _close(
        "busy + idle + hung + paused + down + off = replicas x horizon",
        totals.busy_s + totals.idle_s + totals.hung_s + totals.paused_s + totals.down_s + totals.off_s,
        len(replicas) * now_s,
    )
    _same("latencies recorded alike", record.histograms["ttft_s"].count, record.histograms["e2el_s"].count)


def _same(name: str, left: int | Fraction, right: int | Fraction) -> None:
    if left != right:
        raise IdentityError(f"identity does not hold: {name}: {left} against {right}")


def _close(name: str, left: float, right: float) -> None:
    if abs(left - right) > RELATIVE * max(1.0, abs(left), abs(right)):
        raise IdentityError(f"identity does not hold: {name}: {left!r} against {right!r}")
