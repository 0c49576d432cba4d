"""Step times asked of AIConfigurator: the questions, the refusals, and the package where it is installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

import sim
from sim.errors import MissingPackageError, ScenarioError
from sim.study.steps.aic import CONTEXTS, PREFIXES, PROMPTS, SEQS, aic_steps, ask

SCENARIOS = Path(__file__).resolve().parents[2] / "scenarios"
INSTALLED = importlib.util.find_spec("aiconfigurator") is not None


class Estimator:
    """A decode step takes a millisecond per sequence and 1,000 tokens before it; long prompts are refused."""

    def __init__(self, longest: int) -> None:
        self.longest = longest

    def predict_decode_latency(self, bs: int, isl: int) -> float:
        return bs * isl / 1000

    def predict_prefill_latency(self, bs: int, isl: int, prefix: int) -> float:
        if isl > self.longest:
            raise ValueError("no table reaches so far")
        return float(bs * (isl - prefix))


def test_answers_become_rows_in_seconds_and_refusals_are_counted() -> None:
    """A context counts the token being computed; what has no table is left out and said."""
    asked = ask(Estimator(10_000), (ValueError,))
    seconds = {row.step: row.seconds for row in asked.rows}
    assert seconds[4, 1024, 0, 0] == pytest.approx(4 * 1.023e-3)
    assert seconds[0, 0, 256, 8192] == pytest.approx(0.256)
    assert (0, 0, 4096, 8192) not in seconds
    assert asked.refused == len(SEQS) * len(CONTEXTS) + len(PROMPTS) * len(PREFIXES) - len(asked.rows)
    assert asked.reason == "no table reaches so far"
    with pytest.raises(ScenarioError, match="no steps with prefill_tokens"):
        ask(Estimator(1), (ValueError,))


@pytest.mark.skipif(INSTALLED, reason="AIConfigurator is installed here")
def test_without_the_package_one_sentence_says_so() -> None:
    """The extra is named."""
    with pytest.raises(MissingPackageError, match=r"moe-capacity-sim\[aic\]"):
        aic_steps(sim.load(SCENARIOS / "deepseek_v3_fp8_16xh100.yaml"))


def test_what_it_is_not_asked_for_is_refused_first() -> None:
    """GPUs and models without a name there, drafts, and context parallelism; before the package is needed."""
    scenario = sim.load(SCENARIOS / "mixtral_8x7b_8xh100.yaml")
    for changes, key in (
        ({"hardware.gpu": "h800-sxm-80gb"}, "hardware.gpu"),
        ({"model.name": "mixtral-8x22b"}, "model.name"),
        ({"deployment.layout.decode_context_parallel_size": 2}, "deployment.layout.decode_context_parallel_size"),
    ):
        with pytest.raises(ScenarioError) as refused:
            aic_steps(scenario.with_(changes))
        assert refused.value.key == key
    with pytest.raises(ScenarioError, match="knows no drafts"):
        aic_steps(sim.load(SCENARIOS / "glm52_mtp_8xh200.yaml"))


@pytest.mark.skipif(not INSTALLED, reason="AIConfigurator is not installed (optional extra aic)")
def test_the_package_answers_as_its_published_export() -> None:
    """DeepSeek-V3 as DP16/EP16 on 16 H100: 38.3 ms for 32 sequences at 4,096, 773 ms for 4,096 prompt tokens."""
    asked = aic_steps(sim.load(SCENARIOS / "deepseek_v3_fp8_16xh100.yaml"))
    seconds = {row.step: row.seconds for row in asked.rows}
    assert seconds[32, 4096, 0, 0] == pytest.approx(0.0383, rel=0.01)
    assert seconds[0, 0, 4096, 0] == pytest.approx(0.7727, rel=0.01)
