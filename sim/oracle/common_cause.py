"""Units that fail together: the beta factor, and a shock to all of a rack."""

from __future__ import annotations

from sim.oracle.checks import positive


def both_down_frac(unavailability: float, beta: float = 0.0) -> float:
    """Chance that two alike units are down at once when a share `beta` of outages hits both.

    Sources
    -------
    Beta-factor model: beta u + ((1 - beta) u)^2. Checked: two pairs of nodes, 4,800 h and 12 h: independent
    2.481347228e-5, beta 0.05 2.714597740e-4.
    """
    if not 0.0 <= beta <= 1.0:
        raise ValueError(f"beta must be between 0 and 1, is {beta!r}")
    return beta * unavailability + ((1.0 - beta) * unavailability) ** 2


def rack_availability(shock_per_s: float, shock_repair_s: float) -> float:
    """Share of time that a rack is not down as a whole.

    Sources
    -------
    Checked: once in 8,760 h for 4 h: 0.9995435874.
    """
    positive(shock_per_s=shock_per_s, shock_repair_s=shock_repair_s)
    return 1.0 / (1.0 + shock_per_s * shock_repair_s)


def two_in_a_rack(node: float, rack: float) -> tuple[float, float]:
    """Chance that both, and that at least one, of two nodes of a rack is up; availabilities of a node and of the rack.

    Sources
    -------
    A^2 R and (1 - (1 - A)^2) R. Checked: nodes 4,800 h and 12 h, rack as above: 0.9945645486 and 0.9995373714.
    """
    return node**2 * rack, (1.0 - (1.0 - node) ** 2) * rack
