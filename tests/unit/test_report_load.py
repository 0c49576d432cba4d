"""The load line names everything that makes the load what it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sim.llm.zoo import load_model
from sim.report.headline import headline, model_name
from sim.report.load import load_words
from sim.simulation.memory import plan
from tests.report_cases import made_scenario

LENGTHS = {
    "input_tokens": {"law": "constant", "tokens": 100},
    "output_tokens": {"law": "constant", "tokens": 10},
}


def words(workload: dict[str, Any], **run: Any) -> str:
    return load_words(made_scenario(workload=workload, run={"horizon_s": 3600.0, "warmup_s": 0.0, **run}))


def test_week_profile_changes_the_line() -> None:
    """A preset that follows its week says so, with the hour at which it begins."""
    plain = words({"preset": "chat", "arrivals": {"rate_rps": 2.5}})
    week = words({"preset": "chat", "arrivals": {"rate_rps": 2.5, "week_profile": True, "start_h": 9.0}})
    assert plain == "2.5 requests/s, preset chat"
    assert week == "2.5 requests/s, its week of hourly load from hour 9, preset chat"


@pytest.mark.parametrize(
    ("arrivals", "text"),
    [
        ({"process": "poisson", "rate_rps": 3.0}, "3 requests/s, Poisson arrivals"),
        ({"process": "deterministic", "rate_rps": 1200.0}, "1,200 requests/s, equal gaps"),
        ({"process": "gamma", "rate_rps": 3.0, "cv": 2.5}, "3 requests/s, Gamma gaps (CV 2.5)"),
        ({"process": "gamma", "rate_rps": 3.0, "burstiness": 0.5}, "3 requests/s, Gamma gaps (burstiness 0.5)"),
        ({"process": "weibull", "rate_rps": 3.0, "cv": 2.0}, "3 requests/s, Weibull gaps (CV 2)"),
        (
            {"process": "mmpp", "rates_rps": [1.0, 3.0], "mean_dwell_s": [10.0, 10.0]},
            "2 requests/s on average, Markov-modulated bursts (2 states)",
        ),
        (
            {"process": "profile", "edges_s": [0.0, 10.0, 20.0], "rates_rps": [1.0, 3.0]},
            "2 requests/s on average, profile of 2 rates (1.00 to 3.00), repeated, Poisson arrivals",
        ),
        (
            {"process": "closed_loop", "concurrency": 1000, "think_s": 2.0},
            "1,000 callers in a closed loop with pauses of 2 s",
        ),
        ({"process": "closed_loop", "concurrency": 1}, "1 caller in a closed loop"),
    ],
)
def test_every_process_shows_its_rate_and_shape(arrivals: dict[str, Any], text: str) -> None:
    """Rate, law and parameters; callers where there is no rate."""
    assert words({"arrivals": arrivals, **LENGTHS}) == text


def test_presets_of_arrivals_show_their_own_rate() -> None:
    """The mean rate of a fitted process (5.53 requests/s were observed) and of a week (27.8)."""
    burst = words({"arrivals": {"process": "mmpp", "preset": "azure2023_conv"}, **LENGTHS})
    assert 5.0 < float(burst.partition(" ")[0]) < 6.0
    assert "Markov-modulated bursts (azure2023_conv)" in burst
    week = words({"arrivals": {"process": "profile", "preset": "azure2024_code"}, **LENGTHS})
    assert week.startswith("27.8 requests/s on average, week of hourly load azure2024_code from hour 0")


def test_trace_line_names_every_scaling() -> None:
    """What is done to a trace is said in the order in which it is done, and so is what is left out of it."""
    trace = {
        "path": "/data/long/way/azure.csv",
        "dequantise_s": 1.0,
        "thin_frac": 0.25,
        "replicate": 2,
        "time_warp": 1.5,
        "max_requests": 1000,
    }
    assert words({"trace": trace}, max_requests=500) == (
        "replay of azure.csv, times spread over ticks of 1 s, thinned to 25 % of its requests, 2 shifted copies, "
        "times divided by 1.5, its first 1,000 requests, the first 500 requests only"
    )
    assert words({"trace": {"path": "t.csv", "dequantise_s": "auto"}}) == "replay of t.csv, times spread over its tick"


def test_extent_has_no_exponents() -> None:
    """A day is 86,400 s."""
    scenario = made_scenario(run={"horizon_s": 86_400.0, "warmup_s": 3600.0, "replications": 1, "seed": 1})
    assert headline(scenario, plan(scenario)).extent == "1 replication of 86,400 s, measured after 3,600 s, seed 1"


def test_long_paths_of_models_are_cut_to_their_last_two_parts() -> None:
    """A path of a configuration keeps its folder and file; a name stays as it is."""
    spec = load_model("glm-5.2")
    assert model_name(spec) == "glm-5.2"
    assert model_name(replace(spec, name="/a/very/long/way/to/glm/config.json")) == "glm/config.json"
