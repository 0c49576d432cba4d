"""The engine agrees with closed forms, and a broken engine does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from sim.study.verify import availability, batching, exact, routing, shared_server, single_server
from sim.study.verify.case import Case
from sim.study.verify.check import Check, Expectation
from sim.study.verify.fleet import NodeFleet
from sim.study.verify.law import AffineLaw
from sim.study.verify.queue import Queue
from sim.study.verify.verify import all_cases, run_cases, verify
from sim.units import HOUR_S
from sim.workload.arrivals.deterministic import Deterministic
from sim.workload.arrivals.poisson import Poisson
from sim.workload.arrivals.renewal import Renewal

SEED = 2026


def find(cases: list[Case], name: str) -> Case:
    (case,) = [case for case in cases if case.name == name]
    return case


def run(case: Case, replications: int = 8, **changes: object) -> list[Check]:
    """Checks of a case whose setup may have been broken."""
    setup = replace(case.setup, **changes)  # type: ignore[type-var]
    return run_cases([replace(case, setup=setup)], replications, SEED)


def failed(checks: list[Check]) -> set[str]:
    return {check.what for check in checks if not check.passed}


def slower(law: AffineLaw, factor: float) -> AffineLaw:
    """Every step too long by a factor."""
    return AffineLaw(law.base_s * factor, law.sequence_s * factor, law.context_s * factor, law.prompt_token_s * factor)


def cases_of_all_rooms(scale: float) -> list[Case]:
    return [
        *exact.cases(),
        *single_server.cases(8000.0 * scale),
        *shared_server.cases(8000.0 * scale),
        *batching.cases(1200.0 * scale),
        *availability.cases(2e5 * HOUR_S * scale),
        *routing.cases(),
    ]


QUICK = cases_of_all_rooms(0.125)
BRIEF = cases_of_all_rooms(0.15)
LENGTH_LAWS = {f"Continuous batching, {kind}" for kind in batching.LENGTHS}


@pytest.mark.parametrize("case", [case for case in QUICK if case.name not in LENGTH_LAWS], ids=lambda case: case.name)
def test_the_engine_agrees_with_theory(case: Case) -> None:
    """Every figure within 4.5 standard errors of its closed form, exact ones to 1e-8."""
    for check in run_cases([case], 8, SEED):
        assert check.passed, check


def test_four_length_laws_agree_within_one_percent() -> None:
    """Mean E2EL of continuous batching does not depend on the law of the output lengths, only on its mean."""
    laws = batching.cases(400.0)[: len(batching.LENGTHS)]
    checks = run_cases(laws, 8, SEED)
    within = [check for check in checks if check.rule == "within 1 %"]

    assert [check for check in checks if not check.passed] == []
    assert len(within) == 4
    for check in within:
        assert check.low is not None
        assert check.high is not None
        assert check.high - check.low < 0.02 * check.theory, "too noisy to mean anything"


SLOWED = {  # how much longer a step must be to be noticed in a run of seconds
    "D/D/1": 1.001,
    "Closed loop in step": 1.001,
    "Context that grows": 1.001,
    "M/D/1": 1.1,
    "GI/M/1, equal gaps": 1.1,
    "M/G/1-PS, constant": 1.1,
    "M/M/1//8, closed loop with thinking": 1.1,
    "Continuous batching, geometric": 1.03,
    "Continuous batching, constant": 1.03,
    "Continuous batching, short steps": 1.06,
    "Work that starts from scratch": 1.03,
}


@pytest.mark.parametrize(("name", "factor"), SLOWED.items())
def test_steps_too_long_are_noticed(name: str, factor: float) -> None:
    """Negative twin: with steps too long by the factor the check fails."""
    case = find(BRIEF, name)
    assert isinstance(case.setup, Queue)

    assert failed(run(case, law=slower(case.setup.law, factor)))


@pytest.mark.long
@pytest.mark.parametrize("case", [case for case in all_cases() if isinstance(case.setup, Queue)], ids=lambda c: c.name)
def test_steps_three_percent_too_long_are_noticed_at_full_length(case: Case) -> None:
    """Negative twin of every queue at the length of `sim verify`."""
    assert isinstance(case.setup, Queue)

    assert failed(run(case, 20, law=slower(case.setup.law, 1.03)))


BROKEN: list[tuple[str, str, dict[str, object]]] = [
    ("M/M/1", "a tenth of arrivals lost", {"arrivals": Poisson(0.9 * single_server.LOAD)}),
    ("M/M/1", "two seats instead of one", {"seats": 2}),
    ("M/M/1", "equal gaps instead of Poisson", {"arrivals": Deterministic(single_server.LOAD)}),
    ("M/G/1, two lengths", "two seats instead of one", {"seats": 2}),
    ("GI/M/1, gamma gaps, scv 4", "scv 1 instead of 4", {"arrivals": Renewal("gamma", single_server.LOAD, cv=1.0)}),
    ("GI/M/1, Weibull gaps, shape 0.6", "Poisson instead of Weibull", {"arrivals": Poisson(single_server.LOAD)}),
    ("GI/M/1, round robin over 4 replicas", "least outstanding instead", {"router": "least_outstanding"}),
    ("M/M/4", "a seat too many", {"seats": 5}),
    ("M/M/10", "a seat too many", {"seats": 11}),
    (
        "M/G/1-PS, geometric",
        "first come first served",
        {"seats": 1, "law": shared_server.STEPS, "arrivals": Poisson(0.8)},
    ),
    ("M/M/1-PS", "one seat", {"seats": 1}),
    ("M/G/1-PS, two lengths", "one seat", {"seats": 1}),
    ("M/M/1//8, closed loop with thinking", "a client too many", {"concurrency": 9}),
    ("Continuous batching, cap 46", "no cap", {"seats": 4096}),
    ("4 of 6, exponential repairs", "repairs a fifth longer", {"mttr_s": 1.2 * availability.MTTR_S}),
    ("4 of 6, lognormal repairs", "one crew only", {"crews": 1}),
    ("Repairman, 6 units, 1 crew", "two crews", {"crews": 2}),
    ("Repairman, 6 units, 2 crews", "one crew", {"crews": 1}),
    ("4 of 4 with a cold spare", "no spare", {"spares": 0}),
    ("One replica on 4 nodes", "three nodes", {"nodes_per_replica": 3}),
    ("Balls in bins, 16 pairs on 16 GPUs", "a token less", {"tokens": 1}),
    ("Balls in bins, 64 pairs on 8 GPUs", "a token less", {"tokens": 7}),
    ("Balls in bins, 64 pairs on 16 GPUs", "every GPU gets the mean", {"by_chance": False}),
    ("Balls in bins, 512 pairs on 32 GPUs", "half of the GPUs", {"ranks": 16}),
    ("Recovery begun anew by each fault", "detection left out", {"detect_s": 0.0}),
]


@pytest.mark.parametrize(("name", "what", "changes"), BROKEN, ids=[f"{name}: {what}" for name, what, _ in BROKEN])
def test_a_broken_model_is_noticed(name: str, what: str, changes: dict[str, object]) -> None:
    """Negative twins: lost arrivals, seats, crews, spares, laws that are not those of the theory."""
    assert failed(run(find(BRIEF, name), **changes)), what


def test_every_case_has_a_negative_twin() -> None:
    """Each case that ships is broken in some test here, so none can pass whatever the engine does."""
    broken = {name for name, _, _ in BROKEN} | set(SLOWED)

    assert {case.name for case in all_cases()} - broken <= LENGTH_LAWS  # one mechanism, two of its laws are broken


def test_checks_do_not_depend_on_the_number_of_workers() -> None:
    """Bit for bit the same table with one process and with two."""
    cases = [find(QUICK, "M/D/1"), find(QUICK, "Repairman, 6 units, 1 crew")]

    assert run_cases(cases, 4, SEED, workers=1) == run_cases(cases, 4, SEED, workers=2)


def test_progress_goes_to_one() -> None:
    """It never falls, and ends with everything done."""
    seen: list[float] = []
    run_cases([find(QUICK, "D/D/1"), find(QUICK, "M/D/1")], 4, SEED, progress=seen.append)

    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1.0)


def test_spans_and_single_steps_give_the_same_figures() -> None:
    """Without coalescing every figure of a batch with growing context is the same to 1e-9."""
    setup = Queue(AffineLaw(0.012, 160e-6, 1e-8), batching.LENGTHS["geometric"][0], 5.0, 30.0, 5.0, 64, Poisson(3.0))
    spans, single = (run_figures(replace(setup, coalesce=coalesce)) for coalesce in (True, False))

    assert spans == pytest.approx(single, rel=1e-9)


def run_figures(setup: Queue | NodeFleet) -> dict[str, float]:
    from sim.streams import Streams

    return setup.replication(Streams(SEED))


def test_the_ledger_of_time_agrees_with_the_outages() -> None:
    """Replicas up by the engine's own account of down time, and by its list of outages, are the same number."""
    figures = run_figures(NodeFleet(3, 240 * HOUR_S, 24 * HOUR_S, 1e4 * HOUR_S, restart_s=HOUR_S))

    assert figures["up"] == pytest.approx(figures["ledger_up"], rel=1e-9)


def test_few_replications_are_refused() -> None:
    """Three replications have no standard error worth the name."""
    with pytest.raises(ValueError, match="at least 4 replications"):
        verify(quick=True, replications=3)


def test_replications_without_spread_must_agree_to_rounding() -> None:
    """No noise and a wrong value is a failure, not a division by zero."""
    expectation = Expectation("x", "x", "s", 1.0)

    assert expectation.check("case", [{"x": 1.0}] * 5).passed
    assert not expectation.check("case", [{"x": 1.001}] * 5).passed


@pytest.mark.long
@pytest.mark.parametrize(
    "room",
    [
        exact.cases,
        *(
            lambda room=room, size=size: room.cases(size)
            for room, size in (
                (single_server, 8000.0),
                (shared_server, 8000.0),
                (batching, 1200.0),
                (availability, 2e5 * HOUR_S),
            )
        ),
    ],
)
def test_the_full_verification_passes(room: Callable[[], list[Case]]) -> None:
    """All checks at full length, with another seed than the quick ones."""
    checks = run_cases(room(), 20, SEED + 1, workers=0)

    assert [check for check in checks if not check.passed] == []
