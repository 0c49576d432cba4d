"""Runs around one event, less runs of the same requests without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

import numpy as np

from sim.stats.mean import mean_interval
from sim.study.annual.counts import BIN_S, Counts, Floats, column
from sim.study.annual.scripted import Script, run_scripts
from sim.study.annual.shape import Key, Kind, Shape, script, stages
from sim.study.annual.steady import Steady, between, cumulative
from sim.study.annual.stratum import Stratum
from sim.study.workers import Progress
from sim.units import HOUR_S

TAILS: Final = 3.0  # the least time watched after an event, in times that a request takes
LAST_S: Final = 300.0  # at the end of it, over which nothing may be left of the event
NOTHING_FRAC: Final = 0.002  # of the requests: a difference that no longer counts
RARE_LOOKS: Final = 2  # of events that meet a cluster which has lost something
REST_FRAC: Final = 0.02  # of what the event did, the same
LOOKS: Final = 4  # windows tried, each twice as long after the event as the one before
HOUR_BINS: Final = round(HOUR_S / BIN_S)


@dataclass(frozen=True, slots=True)
class Episode:
    """The response to one event of one duration.

    Attributes
    ----------
    duration_s : of the gap that varies.
    excess : (replications, metrics) counts with the event less without it, until nothing is left of it.
    impulse : (replications, metrics) of these, what is more than the strata passed through explain by their rates.
    worst_hour_frac : share of bad requests in the worst hour, in the mean over replications.
    window_s : seconds watched after the last step.
    settled : whether at the end of it so little was left of the event, at most, that it does not matter.
    clean : whether at least nothing was left that shows through the noise.
    work, cpu_s : engine events and processor time of the runs with the event.
    """

    duration_s: float
    excess: Floats
    impulse: Floats
    worst_hour_frac: float
    window_s: float
    settled: bool
    clean: bool
    work: int
    cpu_s: float


def run_episodes(
    steady: Steady,
    shapes: Mapping[Kind, Shape],
    keys: Sequence[Key],
    drain_s: Mapping[Key, float],
    progress: Progress | None = None,
) -> dict[Key, tuple[Episode, ...]]:
    """Episodes of every duration of every key.

    The time watched after an event is the larger of a few times that requests take and `drain_s` per second of outage;
    where something may be left of the event at its end, all runs of that duration are repeated with twice the time;
    once at most where it met a cluster that had lost something, which is rare.
    """
    at_s = steady.warmup_s + BIN_S  # counters at the edge of a bin belong to the bin that ends there
    open_: dict[tuple[Key, float], float] = {}
    for key in keys:
        for duration_s in shapes[key.kind].durations_s:
            tails = TAILS if _alone(key) else 1.0
            least_s = max(LAST_S, tails * steady.tail_s(key.entry))
            open_[key, duration_s] = _bins(max(least_s, LAST_S + drain_s.get(key, 0.0) * duration_s))
    done: dict[tuple[Key, float], Episode] = {}
    for look in range(LOOKS):
        runs = {
            (key, duration_s): _script(shapes[key.kind], key, duration_s, at_s, window_s, steady)
            for (key, duration_s), window_s in open_.items()
        }
        wanted: dict[Stratum, float] = {}
        for (key, _), scripts in runs.items():
            horizon_s = scripts[0].horizon_s
            for stratum in {key.entry, *(stage.stratum for stage in stages(key, scripts[0].transitions))}:
                wanted[stratum] = max(wanted.get(stratum, 0.0), horizon_s)
        steady.extend(wanted)
        flat = [item for scripts in runs.values() for item in scripts]
        counts = run_scripts(
            steady.scenario, flat, workers=steady.workers, progress=None if progress is None else _part(progress, look)
        )
        again: dict[tuple[Key, float], float] = {}
        for index, (key, duration_s) in enumerate(runs):
            mine = counts[index * steady.replications : (index + 1) * steady.replications]
            window_s = open_[key, duration_s]
            found = _episode(key, duration_s, runs[key, duration_s][0], window_s, mine, steady)
            if not found.settled and look + 1 < (LOOKS if _alone(key) else RARE_LOOKS):
                again[key, duration_s] = 2.0 * window_s
            done[key, duration_s] = found
        open_ = again
        if not open_:
            break
    return {key: tuple(done[key, duration_s] for duration_s in shapes[key.kind].durations_s) for key in keys}


def _alone(key: Key) -> bool:
    """Whether the event meets a whole cluster."""
    return all(ability.whole for pool in key.entry for ability in pool)


def _part(progress: Progress, look: int) -> Progress:
    """The first look is most of the work; each further one takes half of what is left of the bar."""
    begin = 1.0 - 0.2**look
    return lambda share: progress(begin + 0.8 * 0.2**look * share)


def _script(
    shape: Shape, key: Key, duration_s: float, at_s: float, window_s: float, steady: Steady
) -> tuple[Script, ...]:
    transitions = script(key, shape, duration_s, at_s)
    end_s = _bins(transitions[-1].at_s) + window_s
    horizon_s = end_s + _bins(steady.tail_s(key.entry))
    return tuple(Script(transitions, at_s, horizon_s, index, steady.pace) for index in range(steady.replications))


def _bins(seconds: float) -> float:
    return BIN_S * ceil(seconds / BIN_S - 1e-9)


def _episode(
    key: Key, duration_s: float, ran: Script, window_s: float, counts: Sequence[Counts], steady: Steady
) -> Episode:
    begin_s, end_s = steady.warmup_s, _bins(ran.transitions[-1].at_s) + window_s
    base = [found.between(begin_s, end_s) for found in steady.counts(key.entry)]
    faulty = [found.between(begin_s, end_s) for found in counts]
    excess = np.array([b.sum(axis=0) - a.sum(axis=0) for a, b in zip(base, faulty, strict=True)])
    explained = np.zeros_like(excess)
    for stage in stages(key, ran.transitions):
        explained += _explained(key, stage.begin_s, stage.end_s, stage.stratum, steady)
    return Episode(
        duration_s,
        excess,
        excess - explained,
        _worst_hour_frac(base, faulty),
        window_s,
        *_left(base, faulty),
        sum(found.events for found in counts),
        sum(found.cpu_s for found in counts),
    )


def _explained(key: Key, begin_s: float, end_s: float, stratum: Stratum, steady: Steady) -> Floats:
    """(replications, metrics) that a stratum has more than that of entry: of the same requests where both are steady.

    Where queues are still filling, a steady run and an event are not comparable at equal times, so their
    rates take the place of counts.
    """
    strata = (stratum, key.entry)
    if any(steady.filling(item) for item in strata):
        rates = [steady.rates(item) for item in strata]
        return (rates[0] - rates[1]) * (end_s - begin_s)
    rows = []
    for other, own in zip(*(steady.counts(item) for item in strata), strict=True):
        rows.append(between(cumulative(other.values), begin_s, end_s) - between(cumulative(own.values), begin_s, end_s))
    return np.array(rows)


def _left(base: Sequence[Floats], faulty: Sequence[Floats]) -> tuple[bool, bool]:
    """Whether what is left at the end is small for certain, and whether it is zero as far as its interval tells."""
    last = round(LAST_S / BIN_S)
    bad, arrived = column("bad"), column("arrived")
    differences = [b[:, bad] - a[:, bad] for a, b in zip(base, faulty, strict=True)]
    found = mean_interval([float(difference[-last:].sum()) for difference in differences])
    total = abs(float(np.mean([difference.sum() for difference in differences])))
    sent = float(np.mean([a[-last:, arrived].sum() for a in base]))
    nothing = max(NOTHING_FRAC * sent, REST_FRAC * total)
    ends = [abs(end) for end in (found.value, found.low, found.high) if end is not None]
    return max(ends) <= nothing, ends[0] <= nothing or (len(ends) > 1 and found.covers(0.0))


def _worst_hour_frac(base: Sequence[Floats], faulty: Sequence[Floats]) -> float:
    """Over all hours that touch the window, which before and after it is as without the event."""
    bad, arrived = column("bad"), column("arrived")
    usual = np.mean([found[:, [bad, arrived]].mean(axis=0) for found in base], axis=0)
    course = np.mean([found[:, [bad, arrived]] for found in faulty], axis=0)
    around = np.tile(usual, (HOUR_BINS, 1))
    sums = cumulative(np.vstack((around, course, around)))
    hours = sums[HOUR_BINS:] - sums[:-HOUR_BINS]
    return float(np.max(hours[:, 0] / np.maximum(hours[:, 1], 1e-12)))
