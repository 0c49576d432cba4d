"""Every closed form of the reliability reference, id by id, against the digits that it prints."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from sim.oracle.availability import (
    faults_availability,
    k_of_n,
    k_of_n_losses_per_s,
    mean_availability,
    point_availability,
    series_suspended,
    unit_availability,
)
from sim.oracle.common_cause import both_down_frac, rack_availability, two_in_a_rack
from sim.oracle.episodes import Backlog, RollingUpgrade, attained_tokens, backoff_sum_ms, elastic_capacity, hit_frac
from sim.oracle.failover import any_up_frac, cycle_availability, detection_unavailability
from sim.oracle.lifetimes import HyperExponential, Lognormal, Weibull, early_life_faults
from sim.oracle.repairman import Repairman
from sim.oracle.restart import restart_from_scratch_s
from sim.oracle.spares import (
    pipeline_at_most_frac,
    pipeline_mean,
    standby_quantile,
    stock_for,
    without_fault_frac,
)
from sim.oracle.training_jobs import effective_time_frac, job_mttf_h

MTBF_H, MTTR_H = 4800.0, 12.0
A = 0.9975062344  # as printed for G1, which G3 starts from
TRACE_LIKE = 0.9767864784
TRACE_MTTR_H = 132.84
FAULTS_PER_H = 5.0 / 1000.0 / 24.0  # of one node
TOLERANCE = 1e-8


def a_of_pair() -> float:
    return k_of_n(2, 2, unit_availability(MTBF_H, MTTR_H))


def node_availability(mttr_h: float) -> float:
    return unit_availability(1.0 / FAULTS_PER_H, mttr_h)


def cold(units: int, mttr_h: float, spares: int, mtbf_h: float = MTBF_H) -> float:
    return Repairman(units, mtbf_h, mttr_h, spares=spares).at_least_frac(units)


def losses_per_h() -> float:
    return k_of_n_losses_per_s(4, 6, 240.0, 24.0)


def fast() -> float:
    return k_of_n(4, 6, unit_availability(240.0, 24.0))


def rack() -> float:
    return rack_availability(1 / 8760, 4.0)


def of_mean(shape: float) -> Weibull:
    return Weibull.of_mean(4800.0, shape)


REPAIR = Weibull(0.45053, 50.6847)
URGENT = HyperExponential((0.3, 0.5, 0.2), (0.25, 12.0, 120.0))
PALM = pipeline_mean(16, MTBF_H, TRACE_MTTR_H)
PARTS = pipeline_mean(1024, 365.0 / 0.04, 7.0)
ONE_CREW = Repairman(6, 240.0, 24.0, 1)

# id, what, value as printed, closed form
GOLDEN: list[tuple[str, str, str, Callable[[], float]]] = [
    ("G1", "availability", "0.9975062344", lambda: unit_availability(MTBF_H, MTTR_H)),
    ("G1", "downtime h/yr", "21.8454", lambda: 8760.0 * (1.0 - unit_availability(MTBF_H, MTTR_H))),
    ("G1b", "at 24 h", "0.9978420456", lambda: point_availability(MTBF_H, MTTR_H, 24.0)),
    ("G1c", "over 720 h", "0.9975476935", lambda: mean_availability(MTBF_H, MTTR_H, 720.0)),
    ("G2", "series of 2", "0.9950186877", a_of_pair),
    ("G2", "series of 4", "0.9900621889", lambda: k_of_n(4, 4, unit_availability(MTBF_H, MTTR_H))),
    ("G2s", "2 suspended", "0.9950248756", lambda: series_suspended(2, MTBF_H, MTTR_H)),
    ("G2s", "4 suspended", "0.9900990099", lambda: series_suspended(4, MTBF_H, MTTR_H)),
    ("G3", "4 of 5", "0.9999381209", lambda: k_of_n(4, 5, A)),
    ("G3", "4 of 6", "0.9999996916", lambda: k_of_n(4, 6, A)),
    ("G3", "8 of 9", "0.9997787116", lambda: k_of_n(8, 9, A)),
    ("G3", "16 of 17", "0.9991750518", lambda: k_of_n(16, 17, A)),
    ("G3", "16 of 18", "0.9999876953", lambda: k_of_n(16, 18, A)),
    ("G3b", "4 of 4", "0.9103293734", lambda: k_of_n(4, 4, TRACE_LIKE)),
    ("G3b", "4 of 5", "0.9948571757", lambda: k_of_n(4, 5, TRACE_LIKE)),
    ("G3b", "4 of 6", "0.9997626456", lambda: k_of_n(4, 6, TRACE_LIKE)),
    ("G3b", "16 of 16", "0.6867429742", lambda: k_of_n(16, 16, TRACE_LIKE)),
    ("G3b", "16 of 18", "0.9921391799", lambda: k_of_n(16, 18, TRACE_LIKE)),
    ("G3b", "16 of 20", "0.9999219432", lambda: k_of_n(16, 20, TRACE_LIKE)),
    ("G4", "at least 4 of 6", "0.9878293776", fast),
    ("G4a", "losses per h", "0.00141118483", losses_per_h),
    ("G4a", "cycle h", "708.6244", lambda: 1.0 / losses_per_h()),
    ("G4a", "mean up h", "700.000", lambda: fast() / losses_per_h()),
    ("G4a", "mean down h", "8.6244", lambda: (1.0 - fast()) / losses_per_h()),
    *(
        ("G4b", f"p{down}", value, lambda down=down: float(ONE_CREW.probabilities[down]))
        for down, value in enumerate(
            [
                "0.4845149037",
                "0.2907089422",
                "0.1453544711",
                "0.0581417884",
                "0.0174425365",
                "0.0034885073",
                "0.0003488507",
            ]
        )
    ),
    ("G4b", "at least 4 up", "0.9205783170", lambda: ONE_CREW.at_least_frac(4)),
    ("G4b", "mean down", "0.8451490368", lambda: ONE_CREW.mean_down),
    ("G4c", "two crews", "0.9804072612", lambda: Repairman(6, 240.0, 24.0, 2).at_least_frac(4)),
    ("G4d", "any laws", "0.9878293776", fast),
    ("G5", "p0", "0.6718587914", lambda: float(Repairman(4, 240.0, 24.0, spares=1).probabilities[0])),
    ("G5", "p1", "0.2687435166", lambda: float(Repairman(4, 240.0, 24.0, spares=1).probabilities[1])),
    ("G5", "4 active", "0.9406023080", lambda: cold(4, 24.0, 1, 240.0)),
    ("G5b", "s=0", "0.9900621889", lambda: cold(4, MTTR_H, 0)),
    ("G5b", "s=1", "0.9999503736", lambda: cold(4, MTTR_H, 1)),
    ("G5b", "s=2", "0.9999998347", lambda: cold(4, MTTR_H, 2)),
    ("G5c", "s=0", "0.6461112948", lambda: cold(16, TRACE_MTTR_H, 0)),
    ("G5c", "s=1", "0.9273592169", lambda: cold(16, TRACE_MTTR_H, 1)),
    ("G5c", "s=2", "0.9896620255", lambda: cold(16, TRACE_MTTR_H, 2)),
    ("G5c", "s=3", "0.9988800093", lambda: cold(16, TRACE_MTTR_H, 3)),
    ("G6", "mean", "0.4428", lambda: PALM),
    ("G6", "at most 0", "0.6422356414", lambda: pipeline_at_most_frac(PALM, 0)),
    ("G6", "at most 1", "0.9266175834", lambda: pipeline_at_most_frac(PALM, 1)),
    ("G6", "at most 2", "0.9895797453", lambda: pipeline_at_most_frac(PALM, 2)),
    ("G6b", "mean", "0.7855342466", lambda: PARTS),
    ("G6b", "stock", "3", lambda: stock_for(PARTS, 0.99)),
    ("G6b", "fill", "0.9914638225", lambda: pipeline_at_most_frac(PARTS, 3)),
    ("G6c", "standby", "4", lambda: standby_quantile(1024, 0.001, 0.99)),
    ("G7", "scale", "3791.997839", lambda: of_mean(0.7).scale),
    ("G7", "scv", "2.138685632", lambda: of_mean(0.7).scv),
    ("G7", "P(T<720)", "0.2684238927", lambda: of_mean(0.7).at_most_frac(720.0)),
    ("G7", "median", "2246.342028", lambda: of_mean(0.7).quantile(0.5)),
    ("G7b", "k=0.5 scale", "2400", lambda: of_mean(0.5).scale),
    ("G7b", "k=0.5 scv", "5", lambda: of_mean(0.5).scv),
    ("G7b", "k=0.5 P", "0.4217347222", lambda: of_mean(0.5).at_most_frac(720.0)),
    ("G7b", "k=1 P", "0.1392920236", lambda: of_mean(1.0).at_most_frac(720.0)),
    ("G7b", "k=1.5 scale", "5317.114404", lambda: of_mean(1.5).scale),
    ("G7b", "k=1.5 P", "0.0486081815", lambda: of_mean(1.5).at_most_frac(720.0)),
    ("G7c", "720 h", "0.3396361676", lambda: early_life_faults(1 / 4800, 2.0, 720.0, 720.0)),
    ("G7c", "2160 h", "0.7350638795", lambda: early_life_faults(1 / 4800, 2.0, 720.0, 2160.0)),
    ("G7c", "8760 h", "2.1249984400", lambda: early_life_faults(1 / 4800, 2.0, 720.0, 8760.0)),
    ("G8", "mean", "25.02812018", lambda: Lognormal(2.5, 1.2).mean),
    ("G8", "median", "12.18249396", lambda: Lognormal(2.5, 1.2).quantile(0.5)),
    ("G8", "p90", "56.70497099", lambda: Lognormal(2.5, 1.2).quantile(0.9)),
    ("G8b", "mean", "125.2966871", lambda: REPAIR.mean),
    ("G8b", "median", "22.46838192", lambda: REPAIR.quantile(0.5)),
    ("G8b", "p90", "322.7406928", lambda: REPAIR.quantile(0.9)),
    ("G8c", "mean", "30.075", lambda: URGENT.mean),
    ("G8c", "scv", "5.52736405", lambda: URGENT.scv),
    ("G8d", "2.2 h", "0.9995418766", lambda: node_availability(2.2)),
    ("G8d", "24 h", "0.9950248756", lambda: node_availability(24.0)),
    ("G8d", "30.075 h", "0.9937733886", lambda: node_availability(30.075)),
    ("G8d", "132.84 h", "0.9730702800", lambda: node_availability(TRACE_MTTR_H)),
    ("G9", "1024", "28.84615", lambda: job_mttf_h(1024, 6.5e-3)),
    ("G9", "16384", "1.802884615", lambda: job_mttf_h(16384, 6.5e-3)),
    ("G9", "131072", "0.2253605769", lambda: job_mttf_h(131072, 6.5e-3)),
    ("G9b", "ETTR", "0.6244102564", lambda: effective_time_frac(2048 * 6.5e-3 / 24, 1 / 12, 1.0, 1 / 12)),
    ("G10", "restart", "2561.151577", lambda: restart_from_scratch_s(1800.0, 1 / 3600, 348.0)),
    ("G10b", "hit", "1.388792443e-4", lambda: hit_frac(4 * FAULTS_PER_H / 3600, 600.0)),
    ("G11", "cv 1", "500", lambda: attained_tokens(500.0, 1.0)),
    ("G11", "cv 0", "250", lambda: attained_tokens(500.0, 0.0)),
    ("G11", "cv 1.5", "3250", lambda: attained_tokens(2000.0, 1.5)),
    *(
        row
        for outage, load, drain, delayed in (
            (348.0, 0.7, "812", "1160"),
            (348.0, 0.9, "3132", "3480"),
            (11.0, 0.7, "25.667", "36.667"),
            (1500.0, 0.7, "3500", "5000"),
        )
        for row in (
            ("G12", f"drain {outage:g} at {load}", drain, lambda o=outage, r=load: Backlog(o, r).drain_s),
            ("G12", f"delayed {outage:g} at {load}", delayed, lambda o=outage, r=load: Backlog(o, r).delayed_per_rps),
        )
    ),
    ("G13", "348 s", "0.9999194509", lambda: faults_availability(4 * FAULTS_PER_H, 348 / 3600)),
    ("G13", "1500 s", "0.9996528983", lambda: faults_availability(4 * FAULTS_PER_H, 1500 / 3600)),
    ("G13", "no spare", "0.9803147355", lambda: faults_availability(4 * FAULTS_PER_H, 24.0 + 348 / 3600)),
    ("G13b", "capacity", "0.9950937485", lambda: elastic_capacity(4 * FAULTS_PER_H, 19 / 3600, 24.0, 0.75)),
    ("G13c", "fast", "0.9770062710", lambda: elastic_capacity(0.01, 0.03, 10.0, 0.75)),
    ("G14", "independent", "2.481347228e-5", lambda: both_down_frac(1.0 - a_of_pair())),
    ("G14", "beta 0.05", "2.714597740e-4", lambda: both_down_frac(1.0 - a_of_pair(), 0.05)),
    ("G14b", "both", "0.9945645486", lambda: two_in_a_rack(unit_availability(MTBF_H, MTTR_H), rack())[0]),
    ("G14b", "rack", "0.9995435874", rack),
    ("G14b", "at least one", "0.9995373714", lambda: two_in_a_rack(unit_availability(MTBF_H, MTTR_H), rack())[1]),
    ("G15", "API", "0.9901393832", lambda: cycle_availability(11.24 * 24.0, 2.66)),
    ("G15b", "two APIs", "0.99999856", lambda: any_up_frac(0.9982, 0.9992)),
    ("G15c", "detection", "1.251251251e-4", lambda: detection_unavailability(60.0, 5.55 * 86400.0)),
    ("G16", "no fault", "0.4163028612", lambda: without_fault_frac(1.46, 0.9256529)),
    ("G17", "total", "1392", lambda: RollingUpgrade(4, 348.0).total_s),
    ("G17", "capacity", "0.75", lambda: RollingUpgrade(4, 348.0).capacity_frac),
    ("G17", "lost", "1392", lambda: RollingUpgrade(4, 348.0).lost_replica_s),
    ("G18", "waits", "659.375", lambda: backoff_sum_ms(50.0, 1.5, 5)),
]
# fmt: off
IDS = [
    "G1", "G1b", "G1c", "G2", "G2s", "G3", "G3b", "G4", "G4a", "G4b", "G4c", "G4d", "G5", "G5b", "G5c", "G6", "G6b",
    "G6c", "G7", "G7b", "G7c", "G8", "G8b", "G8c", "G8d", "G9", "G9b", "G10", "G10b", "G11", "G12", "G13", "G13b",
    "G13c", "G14", "G14b", "G15", "G15b", "G15c", "G16", "G17", "G18",
]
# fmt: on


def printed_to(text: str) -> float:
    """Half a unit of the last digit that is printed, or 1e-8 of the value where that is more digits."""
    value = Decimal(text)
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)
    return max(0.5 * 10.0**exponent if "." in text else 0.0, TOLERANCE * abs(float(value)))


def test_no_id_is_missing() -> None:
    """The table has every id of the reference, in its order, and no other."""
    assert list(dict.fromkeys(key for key, *_ in GOLDEN)) == IDS


@pytest.mark.parametrize(("key", "what", "text", "closed"), GOLDEN, ids=[f"{row[0]}-{row[1]}" for row in GOLDEN])
def test_closed_form(key: str, what: str, text: str, closed: Callable[[], float]) -> None:
    """The closed form gives the printed value to 1e-8, or to the digits printed where they are fewer."""
    assert closed() == pytest.approx(float(text), rel=0.0, abs=printed_to(text)), f"{key} {what}"


def test_a_wrong_rate_is_seen() -> None:
    """One per mille more faults moves every availability by more than the tolerance: the table can fail."""
    assert unit_availability(MTBF_H / 1.001, MTTR_H) != pytest.approx(float("0.9975062344"), rel=0.0, abs=TOLERANCE)
    assert k_of_n(4, 5, unit_availability(MTBF_H / 1.001, MTTR_H)) != pytest.approx(0.9999381209, rel=0.0, abs=1e-8)
