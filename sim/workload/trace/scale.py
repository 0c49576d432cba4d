"""Three ways to change a trace's load, which are not equivalent, and the repair of coarse clocks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sim.errors import ScenarioError, TraceError
from sim.streams import Streams
from sim.workload.checks import at_least_one, between, not_negative, positive
from sim.workload.trace.blocks import HashBlocks
from sim.workload.trace.trace import Trace

THIN_STREAM = "trace.thin"
REPLICATE_STREAM = "trace.replicate"
DEQUANTISE_STREAM = "trace.dequantise"
QUANTUM_TOLERANCE = 0.01
QUANTISED_SHARE = 0.95


def time_warp(trace: Trace, speedup: float) -> Trace:
    """All times divided by `speedup`: the rate grows by it, the pattern of bursts keeps its shape.

    Pauses within a conversation shrink too, so cached prefixes are found more often than under the same growth of
    users: for that use `replicate`.

    Raises
    ------
    ScenarioError : speedup not positive.
    """
    positive("speedup", speedup)
    return trace.retimed(trace.arrival_s / speedup)


def thin(trace: Trace, keep_frac: float, streams: Streams) -> Trace:
    """Each request kept with probability `keep_frac`, independently (stream `trace.thin`).

    Bursts are diluted towards Poisson, and conversations lose turns.

    Raises
    ------
    ScenarioError : keep_frac outside [0, 1].
    TraceError : nothing is left.
    """
    between("keep_frac", keep_frac, 0.0, 1.0)
    kept = np.flatnonzero(streams.generator(THIN_STREAM).random(len(trace)) < keep_frac)
    if not len(kept):
        raise TraceError(f"{trace.source}: thinning to {keep_frac:g} leaves none of its {len(trace)} requests")
    return trace.take(kept)


def replicate(
    trace: Trace,
    copies: int,
    *,
    streams: Streams | None = None,
    shift_s: float | None = None,
    root_blocks: int | None = None,
) -> Trace:
    """The trace laid over itself: `copies` times the users, each copy shifted on a circle of the trace's length.

    The circle is one mean gap longer than the span, so that the rate is `copies` times the old one all along. Block
    ids and session ids of each copy but the first are fresh, except for the root that all requests share (a system
    prompt): copied users do not share each other's conversations. Prompts told as runs become fresh as a whole.

    Parameters
    ----------
    copies : 1 gives the trace itself.
    streams : draw the shifts uniformly (stream `trace.replicate`).
    shift_s : instead, copy j is shifted by j x shift_s.
    root_blocks : how many leading blocks count as root; by default those that all requests have in common.

    Raises
    ------
    ScenarioError : fewer than one copy, or not exactly one of streams and shift_s.
    TraceError : block ids too large to renumber.
    """
    at_least_one("copies", copies)
    if (streams is None) == (shift_s is None):
        raise ScenarioError("give either streams or shift_s", key="shift_s", value=shift_s)
    n, span_s = len(trace), trace.span_s
    circle_s = span_s * n / (n - 1) if n > 1 else span_s
    if streams is not None:
        shifts_s = np.append(0.0, streams.generator(REPLICATE_STREAM).random(copies - 1) * circle_s)
    else:
        not_negative("shift_s", shift_s or 0.0)
        shifts_s = np.arange(copies) * (shift_s or 0.0)
    start_s = trace.arrival_s[0]
    times_s = [trace.arrival_s]
    for shift in shifts_s[1:].tolist():
        moved_s = trace.arrival_s - start_s + shift
        times_s.append(start_s + (np.mod(moved_s, circle_s) if circle_s > 0 else moved_s * 0))
    all_s = np.concatenate(times_s)
    order = np.argsort(all_s, kind="stable")
    sessions = _copied_sessions(trace, copies)
    blocks = None if trace.blocks is None else _copied_blocks(trace, trace.blocks, copies, root_blocks).take(order)
    prompts = None if trace.prompts is None else trace.prompts.copies(copies).take(order)
    return Trace(
        arrival_s=all_s[order],
        input_tokens=np.tile(trace.input_tokens, copies)[order],
        output_tokens=np.tile(trace.output_tokens, copies)[order],
        source=trace.source,
        session_ids=None if sessions is None else tuple(sessions[i] for i in order.tolist()),
        blocks=blocks,
        prompts=prompts,
    )


def dequantise(trace: Trace, streams: Streams, step_s: float | None = None) -> Trace:
    """Requests stamped by a coarse clock, spread uniformly over one tick after their stamp (stream `trace.dequantise`).

    Order in the file is kept. A group never runs past the next stamp, so a clock that jitters by a millisecond, as in
    Mooncake's conversation trace (ticks of 3 s), leaves the order intact. Replayed raw, about ten requests of that
    trace land at the same instant: its gaps have a CV of 3.03 before and 1.01 after.

    Parameters
    ----------
    step_s : the tick; found from the trace when None.

    Raises
    ------
    ScenarioError : step not positive.
    TraceError : no step given and the stamps show none.
    """
    if step_s is None:
        step_s = clock_tick_s(trace)
        if step_s is None:
            raise TraceError(f"{trace.source}: times show no coarse clock; give the length of its tick in seconds")
    positive("step_s", step_s)
    stamps_s, group = np.unique(trace.arrival_s, return_inverse=True)
    room_s = np.append(np.minimum(np.diff(stamps_s), step_s), step_s)
    spread = streams.generator(DEQUANTISE_STREAM).random(len(trace))
    spread = spread[np.lexsort((spread, group))]  # ascending within each group, groups in order as they stand
    return trace.retimed(stamps_s[group] + spread * room_s[group])


def clock_tick_s(trace: Trace) -> float | None:
    """Tick of a coarse clock: the usual distance of distinct stamps, when nearly all distances are multiples of it.

    None for a trace whose requests all have times of their own, or whose times share no tick.
    """
    distances_s = np.diff(np.unique(trace.arrival_s))
    if len(distances_s) + 1 == len(trace) or not len(distances_s):
        return None
    tick_s = float(np.median(distances_s))
    multiples = np.rint(distances_s / tick_s)
    fits = (multiples >= 1) & (abs(distances_s - multiples * tick_s) <= QUANTUM_TOLERANCE * tick_s)
    return tick_s if fits.mean() >= QUANTISED_SHARE else None


def _copied_sessions(trace: Trace, copies: int) -> list[str | None] | None:
    if trace.session_ids is None:
        return None
    names = list(trace.session_ids)
    for copy in range(1, copies):
        names += [None if name is None else f"{name}#{copy}" for name in trace.session_ids]
    return names


def _copied_blocks(trace: Trace, blocks: HashBlocks, copies: int, root_blocks: int | None) -> HashBlocks:
    fresh = int(blocks.ids.max(initial=-1)) + 1
    if fresh * copies > np.iinfo(np.int64).max:
        raise TraceError(f"{trace.source}: block ids are too large to number {copies} copies")
    root = blocks.shared_root() if root_blocks is None else _leading(blocks, root_blocks)
    below_root = np.where(np.isin(blocks.ids, root), 0, fresh)
    ids = np.concatenate([blocks.ids + copy * below_root for copy in range(copies)])
    counts = np.tile(np.diff(blocks.offsets), copies)
    return HashBlocks(ids, np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(counts))), blocks.block_tokens)


def _leading(blocks: HashBlocks, depth: int) -> npt.NDArray[np.int64]:
    place = np.arange(len(blocks.ids)) - np.repeat(blocks.offsets[:-1], np.diff(blocks.offsets))
    return np.unique(blocks.ids[place < depth])
