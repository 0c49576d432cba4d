"""The catalog's workload rows describe workloads that can be built."""

from __future__ import annotations

import numpy as np
import pytest

from sim.catalog.tables import number, subject, table
from sim.simulation.workload_preset import preset_length, preset_mmpp
from sim.workload.arrivals.profile import week_profile

PRESETS = [name for name, facts in table("workloads").items() if "input_law" in facts]
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@pytest.mark.parametrize("preset", PRESETS)
def test_each_preset_describes_two_length_laws(preset):
    """Every preset has an input and an output law with whole positive lengths, a correlation and an evidence grade."""
    for which in ("input", "output"):
        tokens = preset_length(preset, which).draw(np.random.default_rng(0), 1000)
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
    assert preset_length(preset, which).mean_tokens == pytest.approx(mean, rel=0.01)


def test_code_mmpp_rows_build_the_generator():
    """The rows of the Azure code preset build a process of 2.4 to 2.6 requests per second with IDC(10 s) 60 to 70."""
    process = preset_mmpp("azure2023_code")
    assert 2.4 <= process.rate_rps <= 2.6
    assert 60 <= process.dispersion(10.0) <= 70


def test_conversation_mmpp_rows_build_the_generator():
    """The rows of the Azure conversation preset build a process of about 5.5 requests per second."""
    observed_rps = number("workloads", "azure2023_conv", "observed_rate_rps")
    assert preset_mmpp("azure2023_conv").rate_rps == pytest.approx(observed_rps, rel=0.01)


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
