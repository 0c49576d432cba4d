"""The catalog's workload rows describe workloads that can be built."""

from __future__ import annotations

import numpy as np
import pytest

from sim.catalog.tables import number, subject, table
from sim.workload.arrivals.mmpp import Mmpp
from sim.workload.arrivals.profile import week_profile
from sim.workload.lengths.empirical import QuantileTable
from sim.workload.lengths.law import LengthLaw
from sim.workload.lengths.lognormal import Lognormal

PRESETS = [name for name, facts in table("workloads").items() if "input_law" in facts]
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def law(preset: str, which: str) -> LengthLaw:
    facts = subject("workloads", preset)
    if facts[f"{which}_law"].value == "quantiles":
        prefix = f"{which}_quantile_"
        points = [(float(k.removeprefix(prefix)), float(f.value)) for k, f in facts.items() if k.startswith(prefix)]
        return QuantileTable(*map(tuple, zip(*points, strict=True)))
    value = {k.removeprefix(f"{which}_"): f.value for k, f in facts.items() if k.startswith(f"{which}_")}
    return Lognormal(
        value["median_tokens"],
        value["sigma"],
        int(value.get("min_tokens", 1)),
        int(value["max_tokens"]) if "max_tokens" in value else None,
        value.get("truncation", "clamp"),
    )


@pytest.mark.parametrize("preset", PRESETS)
def test_each_preset_describes_two_length_laws(preset):
    """Every preset has an input and an output law with whole positive lengths, a correlation and an evidence grade."""
    for which in ("input", "output"):
        tokens = law(preset, which).draw(np.random.default_rng(0), 1000)
        assert tokens.min() >= 1
    assert abs(number("workloads", preset, "rank_correlation")) <= 1
    assert subject("workloads", preset)["evidence"].value in ("strong", "medium", "weak")


@pytest.mark.parametrize("preset", PRESETS)
def test_each_preset_names_arrivals_that_exist(preset):
    """The profile and the burst model that a preset names are subjects of the table."""
    facts = subject("workloads", preset)
    assert facts["arrival_law"].value in ("poisson", "gamma", "weibull", "mmpp")
    for key in ("arrival_profile", "arrival_mmpp"):
        if key in facts:
            assert facts[key].value in table("workloads")


@pytest.mark.parametrize(
    ("preset", "which", "mean"),
    [
        ("reasoning", "input", 1268),
        ("reasoning", "output", 1527),
        ("chat_long", "input", 12_035),
        ("chat_long", "output", 343),
        ("rag", "input", 2944),
        ("code_completion", "input", 2500),
        ("document_batch", "input", 7500),
        ("code_review", "input", 34_400),
        ("chat", "output", 215),
    ],
)
def test_length_laws_have_the_published_means(preset, which, mean):
    """The laws reproduce the mean lengths that their sources state, within 1 %."""
    assert law(preset, which).mean_tokens == pytest.approx(mean, rel=0.01)


def test_code_mmpp_rows_build_the_generator():
    """The rows of the Azure code preset build a process of 2.4 to 2.6 requests per second with IDC(10 s) 60 to 70."""
    name = "azure2023_code"
    k = int(number("workloads", name, "states"))
    rates = [number("workloads", name, f"rate_rps_{i}") for i in range(k)]
    matrix = [[number("workloads", name, f"transition_{i}_{j}") for j in range(k)] for i in range(k)]
    process = Mmpp.from_transition_matrix(rates, matrix, step_s=number("workloads", name, "step_s"))
    assert 2.4 <= process.rate_rps <= 2.6
    assert 60 <= process.dispersion(10.0) <= 70


def test_conversation_mmpp_rows_build_the_generator():
    """The rows of the Azure conversation preset build a process of about 5.5 requests per second."""
    name = "azure2023_conv"
    rates = tuple(number("workloads", name, f"rate_rps_{i}") for i in range(2))
    dwell_s = tuple(number("workloads", name, f"mean_dwell_s_{i}") for i in range(2))
    assert Mmpp(rates, dwell_s).rate_rps == pytest.approx(number("workloads", name, "observed_rate_rps"), rel=0.01)


@pytest.mark.parametrize("name", ["azure2024_code", "azure2024_conv"])
def test_week_rows_average_to_one(name):
    """Hourly loads, weekend factor and day factors are all relative to the same weekly mean."""
    hours = [number("workloads", name, f"weekday_load_{h:02d}") for h in range(24)]
    days = [number("workloads", name, f"day_factor_{day}") for day in DAYS]
    weekend = number("workloads", name, "weekend_factor")
    assert (5 * np.mean(hours) + 2 * weekend) / 7 == pytest.approx(1.0, abs=0.01)
    assert np.mean(days) == pytest.approx(1.0, abs=0.01)
    peak = max(week_profile(1.0, hours, day_factors=days).rates_rps)
    assert peak == pytest.approx(number("workloads", name, "observed_peak_hour_ratio"), rel=0.1)
