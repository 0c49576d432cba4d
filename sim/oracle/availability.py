"""Availability of units that fail and are repaired independently, each with a crew of its own."""

from __future__ import annotations

from math import comb, exp

from sim.oracle.checks import positive


def unit_availability(mtbf_s: float, mttr_s: float) -> float:
    """Long-run share of time that a unit is up.

    Parameters
    ----------
    mtbf_s : mean time up, any law.
    mttr_s : mean time down, any law.

    Sources
    -------
    Renewal theorem. Checked: 8,760 h and 24 h: 0.99726776.
    """
    positive(mtbf_s=mtbf_s, mttr_s=mttr_s)
    return mtbf_s / (mtbf_s + mttr_s)


def point_availability(mtbf_s: float, mttr_s: float, at_s: float) -> float:
    """Chance that a unit with exponential times is up `at_s` after it was new.

    Sources
    -------
    A + (1 - A) exp(-(l + m) t), the two-state Markov chain. Checked: 4,800 h, 12 h, after 24 h: 0.9978420456.
    """
    a = unit_availability(mtbf_s, mttr_s)
    return a + (1.0 - a) * exp(-(1.0 / mtbf_s + 1.0 / mttr_s) * at_s)


def mean_availability(mtbf_s: float, mttr_s: float, horizon_s: float) -> float:
    """Mean share of time up over the first `horizon_s` of a new unit with exponential times.

    Sources
    -------
    Integral of A + (1 - A) exp(-(l + m) t). Checked: 4,800 h, 12 h, over 720 h: 0.9975476935.
    """
    positive(horizon_s=horizon_s)
    a = unit_availability(mtbf_s, mttr_s)
    rate = 1.0 / mtbf_s + 1.0 / mttr_s
    return a + (1.0 - a) * (1.0 - exp(-rate * horizon_s)) / (rate * horizon_s)


def k_of_n(needed: int, units: int, availability: float) -> float:
    """Chance that at least `needed` of `units` independent units are up.

    Valid for any law of up and down times with the given availability, as long as units do not interact.

    Raises
    ------
    ValueError : needed is not between 0 and units, or availability not between 0 and 1.

    Sources
    -------
    Binomial law. Checked with A = 0.99726776: 32 of 32 0.91617182, of 33 0.99627428, of 34 0.99988545.
    """
    if not 0 <= needed <= units:
        raise ValueError(f"needed must be between 0 and {units}, is {needed}")
    if not 0.0 <= availability <= 1.0:
        raise ValueError(f"availability must be between 0 and 1, is {availability!r}")
    down = 1.0 - availability
    return sum(comb(units, up) * availability**up * down ** (units - up) for up in range(needed, units + 1))


def series_suspended(units: int, mtbf_s: float, mttr_s: float) -> float:
    """Availability of units in series of which none can fail while another is repaired.

    Sources
    -------
    1 / (1 + n l / m): up for 1 / (n l), then one repair. Checked: 4,800 h, 12 h: two 0.9950248756, four 0.9900990099;
    where the others go on failing it is `k_of_n(n, n, A)`, a little less.
    """
    positive(units=units, mtbf_s=mtbf_s, mttr_s=mttr_s)
    return 1.0 / (1.0 + units * mttr_s / mtbf_s)


def k_of_n_losses_per_s(needed: int, units: int, mtbf_s: float, mttr_s: float) -> float:
    """How often the number of units up falls below `needed`, per second; the mean time up and down follow from it.

    Sources
    -------
    k l P(exactly k up). Checked: 4 of 6, 240 h, 24 h: 0.00141118483 /h, hence a cycle of 708.6244 h.
    """
    a = unit_availability(mtbf_s, mttr_s)
    exactly = k_of_n(needed, units, a) - (k_of_n(needed + 1, units, a) if needed < units else 0.0)
    return needed / mtbf_s * exactly


def faults_availability(fault_per_s: float, outage_s: float) -> float:
    """Availability of a group that any fault takes down for `outage_s`, and that has no faults meanwhile.

    Sources
    -------
    Alternating renewal, 1 / (1 + rate * outage). Checked: four nodes at 5 per 1,000 node-days: 348 s 0.9999194509,
    1,500 s 0.9996528983, 24 h and 348 s 0.9803147355.
    """
    positive(fault_per_s=fault_per_s, outage_s=outage_s)
    return 1.0 / (1.0 + fault_per_s * outage_s)


def restart_availability(fault_per_s: float, recovery_s: float) -> float:
    """Availability of a group that any fault takes down, and that needs `recovery_s` without a fault to come back.

    Parameters
    ----------
    fault_per_s : faults of the whole group per second, also while it recovers; each starts the recovery anew.
    recovery_s : detection plus restart, with a spare always at hand.

    Sources
    -------
    The group is up when no fault came in the last `recovery_s`: exp(-rate * recovery). Follows from the mean time
    (exp(rate * recovery) - 1) / rate of a recovery that starts from scratch.
    """
    positive(fault_per_s=fault_per_s, recovery_s=recovery_s)
    return exp(-fault_per_s * recovery_s)
