"""Speculative decoding of a scenario: acceptance, refusals, memory, reports."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sim
from sim.errors import ScenarioError
from sim.report.check_text import check_dict, check_text
from sim.report.explain_text import explain_text
from sim.scenario.scenario import Scenario
from sim.simulation.speculation import ratio

GOLDEN = (1.84, 2.50, 2.99, 3.33, 3.61, 3.78, 3.91, 4.06)
DRAFTS = "deployment.engine.num_speculative_tokens"
LENGTH = "deployment.engine.acceptance_length"
CURVE = "deployment.engine.acceptance_curve"


@pytest.fixture
def glm(root: Path) -> Scenario:
    return sim.load(root / "scenarios" / "glm52_fp8_8xh200.yaml")


def speculation(scenario: Scenario, **changes: Any) -> Any:
    return sim.check(scenario.with_(changes)).planned.speculation


@pytest.mark.parametrize(("drafts", "length"), list(enumerate(GOLDEN, 1)))
def test_the_golden_curve(glm: Scenario, drafts: int, length: float) -> None:
    """GLM-5.2 takes the curve measured on coding prompts, run within 0.5 % of it."""
    found = speculation(glm, **{DRAFTS: drafts})
    assert (found.wanted_length, found.curve, found.status) == (length, "glm_coding", "measured")
    assert abs(found.rounding_frac) <= 0.005
    assert float(found.length) == pytest.approx(length, rel=0.005)


def test_other_sources_of_acceptance(glm: Scenario) -> None:
    """A named curve, a length of the scenario, and the assumed curve for models that nobody measured."""
    assert speculation(glm, **{DRAFTS: 3, CURVE: "glm_pessimistic"}).length == Fraction(27, 10)
    own = speculation(glm, **{DRAFTS: 3, LENGTH: 2.0})
    assert (own.length, own.status, own.curve) == (2, "scenario", None)
    other = speculation(glm, **{DRAFTS: 1, "model.name": "deepseek-v3-r1"})
    assert (other.curve, other.status) == ("any_model", "assumed")
    assert speculation(glm).num_speculative_tokens == 0


@given(st.floats(1.0, 17.0))
def test_the_ratio_of_an_acceptance_length(length: float) -> None:
    """It is within 0.5 %, never below one token, and its denominator stays below 101."""
    found = ratio(length)
    assert abs(float(found) / length - 1.0) <= 0.005 + 1e-12
    assert found >= 1
    assert found.denominator <= 100


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({DRAFTS: 1, "model.name": "mixtral-8x7b", "model.weights": "bf16"}, "no multi-token-prediction layer"),
        ({DRAFTS: 1, "deployment.layout.pipeline_parallel_size": 2}, "pipeline stages"),
        ({DRAFTS: 9}, "no acceptance length for this number.*valid: 1, 2, 3, 4, 5, 6, 7, 8"),
        ({DRAFTS: 2, CURVE: "glm_pessimistic"}, "valid: 3"),
        ({DRAFTS: 3, CURVE: "glm_codding"}, "did you mean 'glm_coding'"),
        ({DRAFTS: 3, LENGTH: 4.5}, "exceeds the 4 tokens"),
        ({LENGTH: 2.0}, "need num_speculative_tokens above 0"),
        ({DRAFTS: 3, LENGTH: 2.0, CURVE: "glm_coding"}, "exclude each other"),
        ({DRAFTS: 3, "deployment.engine.max_num_batched_tokens": 1000}, "times 4 verified tokens"),
    ],
)
def test_what_cannot_be_is_refused(glm: Scenario, changes: dict[str, Any], why: str) -> None:
    """One sentence with key, value and what would be valid."""
    with pytest.raises(ScenarioError, match=why):
        sim.check(glm.with_(changes))


def test_drafts_load_their_layer_and_its_cache(glm: Scenario) -> None:
    """The draft layer's weights and its 788 bytes per token are in the plan, and drafts shorten the longest request."""
    plain, drafting = sim.check(glm), sim.check(glm.with_({DRAFTS: 3}))
    memory = drafting.planned.memory
    assert memory.load_mtp
    assert memory.kv_token_bytes.draft_bytes == 788
    assert memory.weight_component_bytes["mtp"] > 0 == plain.planned.memory.weight_component_bytes["mtp"]
    assert memory.kv_tokens < plain.planned.memory.kv_tokens
    assert drafting.built is not None
    assert drafting.planned.longest_request_tokens == drafting.built.cluster.limits.longest_request_tokens
    assert drafting.planned.longest_request_tokens == memory.kv_tokens_per_rank + 1 - 6


def test_the_bound_counts_accepted_tokens(glm: Scenario) -> None:
    """A decode-heavy load has a higher bound with drafts, but by less than the acceptance length."""
    long = glm.with_({"workload.input_tokens": {"law": "constant", "tokens": 10}, "deployment.engine.max_num_seqs": 16})
    bounds = [sim.check(long.with_({DRAFTS: drafts})).bound for drafts in (0, 3)]
    assert bounds[0] is not None
    assert bounds[1] is not None
    assert 1.0 < bounds[1].requests_rps / bounds[0].requests_rps < 3.0


def test_reports_name_the_acceptance(glm: Scenario) -> None:
    """`sim check` and `sim explain` say how many tokens a step puts out, whence, and with what error it is run."""
    drafting = glm.with_({DRAFTS: 3})
    found = sim.check(drafting)
    words = " ".join(check_text(drafting, found).split())
    assert "2.99 tokens per step (measured, curve glm_coding), run as 3/1 (+0.33 %)" in words
    assert check_dict(drafting, found)["speculation"]["acceptance_ratio"] == [3, 1]
    assert check_dict(glm, sim.check(glm))["speculation"] is None
    explained = " ".join(explain_text(drafting, sim.explain(drafting)).split())
    assert "2.99 tokens per step" in explained
    assert "drafts: routed experts" in explained
    assert "were not measured" in explained


def test_a_run_lists_what_it_assumes(glm: Scenario) -> None:
    """Assumed acceptance and host time of drafts are among the assumed inputs; a sentence states the acceptance."""
    short = {
        "run.replications": 1,
        "run.horizon_s": 30.0,
        "run.warmup_s": 5.0,
        "workload.arrivals.rate_rps": 0.5,
        "model.name": "deepseek-v3.2",
    }
    result = sim.simulate(glm.with_({DRAFTS: 2, **short}), workers=1)
    names = {item.name for item in result.assumed_inputs}
    assert {"speculation.any_model.acceptance_length_2", "engines.sglang.draft_host_overhead_ms"} <= names
    assert any("puts out 2.5 tokens per step (assumed, curve any_model)" in warning for warning in result.warnings)
    plain = sim.simulate(glm.with_(short), workers=1)
    assert not any("speculation" in item.name or "draft" in item.name for item in plain.assumed_inputs)
