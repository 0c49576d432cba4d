"""Where the warm-up ends: MSER-5."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sim.stats.estimate import as_sample

BATCH = 5


@dataclass(frozen=True, slots=True)
class WarmUp:
    """What MSER-5 says.

    Attributes
    ----------
    delete : values to delete from the start.
    reliable : false when the best cut is the latest one looked at: the run is too short against its warm-up.
    """

    delete: int
    reliable: bool


def mser5(values: npt.ArrayLike) -> WarmUp:
    """The cut that makes the standard error of what remains smallest, in batches of five.

    Parameters
    ----------
    values : (n,) in order of time, n >= 20; best the average over replications at equal times, so that one common cut
        serves all scenarios that are compared.

    Raises
    ------
    ValueError : fewer than 20 values.

    Sources
    -------
    White (1997), Simulation 69. Checked on M/M/1 waits at load 0.9: started with 200 waiting it deletes about 1,728
    values (the fluid drain takes 1,800), started empty the median cut is zero.
    """
    sample = as_sample(values)
    batches = sample.size // BATCH
    if batches < 4:
        raise ValueError(f"MSER-5 needs at least {4 * BATCH} values, not {sample.size}")
    z = sample[: BATCH * batches].reshape(batches, BATCH).mean(axis=1)
    z = z - z.mean()  # the score does not change, and sums of squares lose no digits
    sums, squares = np.cumsum(z[::-1])[::-1], np.cumsum((z * z)[::-1])[::-1]
    remaining = batches - np.arange(batches)
    score = (squares - sums * sums / remaining) / remaining**2
    half = batches // 2
    best = int(np.argmin(score[:half]))
    return WarmUp(BATCH * best, best < half - 1)
