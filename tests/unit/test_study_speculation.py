"""Where speculative decoding stops to pay."""

from __future__ import annotations

from math import sqrt
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

import sim
from sim.errors import SimError
from sim.study.metric import Metric
from sim.study.result import Result
from sim.study.speculation import SpeculationCurve, SpeculationPoint, speculation_curves


def point(batch: float, gain: float) -> SpeculationPoint:
    plain = cast("Result", SimpleNamespace(value=lambda _: batch))
    return SpeculationPoint(round(batch), plain, plain, Metric("x", "speculation_gain_frac", "fraction", gain))


def curve(*pairs: tuple[float, float]) -> SpeculationCurve:
    return SpeculationCurve(3, 3.0, tuple(point(*pair) for pair in pairs))


def test_break_even_lies_between_the_last_gain_and_the_first_loss() -> None:
    """The batch is interpolated on a logarithmic scale; a gain that comes back counts as the last one."""
    found = curve((4, 0.5), (16, 0.1), (64, -0.1), (256, -0.2))
    assert [end.concurrency for end in found.break_even if end is not None] == [16, 64]
    assert found.break_even_batch == pytest.approx(sqrt(16 * 64))
    again = curve((4, 0.5), (16, -0.1), (64, 0.1), (256, -0.3))
    assert [end.concurrency for end in again.break_even if end is not None] == [64, 256]


def test_no_break_even_where_the_gain_keeps_its_sign() -> None:
    """Always a gain, or always a loss: there is no batch to name."""
    assert curve((4, 0.5), (16, 0.1)).break_even_batch is None
    assert curve((4, -0.5), (16, -0.1)).break_even[0] is None


@pytest.fixture
def tiny(root: Path) -> Any:
    changes = {"run.replications": 2, "deployment.engine.max_num_seqs": 8, "deployment.engine.response_latency_ms": 0.0}
    constant = {"law": "constant", "tokens": 50}
    lengths = {"workload.input_tokens": constant, "workload.output_tokens": constant}
    return sim.load(root / "scenarios" / "glm52_mtp_8xh200.yaml").with_(changes | lengths)


def test_constant_requests_gain_what_the_law_says(tiny: Any) -> None:
    """One request at a time: throughput changes as its time on the engine does, step by step."""
    (found,) = speculation_curves(tiny, [5], concurrencies=[1], workers=1)
    (only,) = found.points

    def seconds(drafts: int) -> float:
        law = sim.check(tiny.with_({"deployment.engine.num_speculative_tokens": drafts} | auto(drafts))).built.served
        length = float(found.acceptance_length) if drafts else 1.0
        steps = -(-49 // length)
        total = law.mixed_s(0, 0, 0, any_above=False, prefills=((50, 0),)) + law.shared_s(50, 50, prefill=True)
        for step in range(int(steps)):
            context = 51 + step * length
            lane_s = law.mixed_s(1, context, context, any_above=False, prefills=())
            total += lane_s + law.shared_s(1 + drafts, 1 + drafts, prefill=False)
            total += law.drafts_s(1, 1) if drafts else 0.0
        return total

    def auto(drafts: int) -> dict[str, str]:
        return {} if drafts else {"deployment.engine.acceptance_curve": "auto"}

    assert only.gain.value == pytest.approx(seconds(0) / seconds(5) - 1.0, rel=0.02)
    frame = found.frame()
    assert set(frame["drafts"]) == {0, 5}
    assert (frame["metric"] == "speculation_gain_frac").sum() == 1


def test_what_cannot_be_compared_is_refused(tiny: Any, root: Path) -> None:
    """No drafts, nobody at work, or a load that is no closed loop of requests."""
    with pytest.raises(SimError, match="at least 1, each once"):
        speculation_curves(tiny, [])
    with pytest.raises(SimError, match="at work of at least 1"):
        speculation_curves(tiny, [5], concurrencies=[0])
    agents = sim.load(root / "scenarios" / "glm52_agents_16xh100.yaml")
    with pytest.raises(SimError, match="a trace or sessions"):
        speculation_curves(agents, [3])
