"""How many units are away for repair, how many spares cover them, and how faults spread over unequal units."""

from __future__ import annotations

from scipy.stats import binom, poisson

from sim.oracle.checks import positive


def pipeline_mean(units: int, mtbf_s: float, mean_repair_s: float) -> float:
    """Mean number of units away when faults arrive as a Poisson stream and every repair starts at once.

    Sources
    -------
    Palm (1938): M/G/infinity, any law of repair. Checked: 16 nodes, 4,800 h, 132.84 h: 0.4428; 1,024 GPUs at 0.04 a
    year and 7 days: 0.7855342466.
    """
    positive(units=units, mtbf_s=mtbf_s, mean_repair_s=mean_repair_s)
    return units * mean_repair_s / mtbf_s


def pipeline_at_most_frac(mean: float, spares: int) -> float:
    """Chance that at most `spares` units are away: the fill of a stock of that size.

    Sources
    -------
    Poisson law. Checked: mean 0.4428: 0.6422356414, 0.9266175834, 0.9895797453 for 0, 1, 2; mean 0.7855342466 and a
    stock of 3: 0.9914638225.
    """
    positive(mean=mean)
    return float(poisson.cdf(spares, mean))


def stock_for(mean: float, fill: float) -> int:
    """Least stock that is enough with chance `fill`.

    Sources
    -------
    Poisson quantile. Checked: mean 0.7855342466, 99 %: 3.
    """
    positive(mean=mean, fill=fill)
    return int(poisson.ppf(fill, mean))


def standby_quantile(units: int, faulty: float, p: float) -> int:
    """Units that are faulty at once, not exceeded with chance `p`: the warm standby of ByteRobust.

    Sources
    -------
    Binomial quantile; ByteRobust (arXiv 2509.16293). Checked: 1,024 units at 0.001, p99: 4.
    """
    positive(units=units, faulty=faulty, p=p)
    return int(binom.ppf(p, units, faulty))


def without_fault_frac(mean: float, shape: float) -> float:
    """Share of units without any fault when each has a rate of its own, Gamma with that shape and mean one.

    Sources
    -------
    Gamma-Poisson (negative binomial) zero class, (r / (r + m))^r. Checked: r = 0.9256529, mean 1.46: 0.4163028612,
    where the trace of StepFun has 0.4225 and equal units would give 0.2322.
    """
    positive(mean=mean, shape=shape)
    return float((shape / (shape + mean)) ** shape)
