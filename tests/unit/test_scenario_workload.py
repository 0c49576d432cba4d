"""The workload section: what it accepts, what it builds, and what it says when it is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from sim.catalog.tables import table
from sim.errors import ScenarioError, TraceError
from sim.scenario.workload import WorkloadSection
from sim.scenario.workload_presets import mmpp_presets, profile_presets, workload_presets
from sim.simulation.workload import workload_of
from sim.simulation.workload_facts import workload_facts
from sim.streams import Streams
from sim.workload.arrivals.deterministic import Deterministic
from sim.workload.arrivals.mmpp import Mmpp
from sim.workload.arrivals.operational import OperationalTime
from sim.workload.arrivals.poisson import Poisson
from sim.workload.arrivals.renewal import Renewal
from sim.workload.lengths.constant import Constant
from sim.workload.lengths.lengths import Lengths
from sim.workload.lengths.uniform import Uniform

FIXED = {"law": "constant", "tokens": 100}
BENCHMARK = {
    "arrivals": {"process": "poisson", "rate_rps": 2.0},
    "input_tokens": {"law": "lognormal", "median_tokens": 757.0, "sigma": 0.99, "min_tokens": 1, "max_tokens": 14050},
    "output_tokens": {"law": "lognormal", "median_tokens": 151.0, "sigma": 0.86, "min_tokens": 1, "max_tokens": 1000},
}


@dataclass
class Made:
    """As much of a scenario as a workload needs."""

    workload: WorkloadSection
    base_dir: Path | None = None


def build(section, base_dir=None):
    return workload_of(Made(WorkloadSection.model_validate(section), base_dir))


def with_arrivals(**arrivals):
    return {"arrivals": arrivals, "input_tokens": FIXED, "output_tokens": FIXED}


def with_input(**law):
    return {"arrivals": BENCHMARK["arrivals"], "input_tokens": law, "output_tokens": FIXED}


def problem(section):
    """Messages of the validation errors, with their location."""
    with pytest.raises(ValidationError) as caught:
        WorkloadSection.model_validate(section)
    return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in caught.value.errors())


def test_laws_build_what_they_say():
    """The benchmark's section builds Poisson arrivals with two lognormal laws of its parameters."""
    workload = build(BENCHMARK)
    assert workload.arrivals == Poisson(2.0)
    assert workload.lengths.input_law.median_tokens == 757.0
    assert workload.lengths.output_law.max_tokens == 1000
    assert workload.mean_input_tokens == pytest.approx(1210, rel=0.02)


@pytest.mark.parametrize(
    ("arrivals", "process"),
    [
        ({"process": "poisson", "rate_rps": 3}, Poisson(3.0)),
        ({"process": "deterministic", "rate_rps": 3.0}, Deterministic(3.0)),
        ({"process": "gamma", "rate_rps": 3.0, "cv": 2.0}, Renewal("gamma", 3.0, 2.0)),
        ({"process": "gamma", "rate_rps": 3.0, "burstiness": 0.25}, Renewal("gamma", 3.0, 2.0)),
        ({"process": "weibull", "rate_rps": 3.0, "cv": 2.0}, Renewal("weibull", 3.0, 2.0)),
        ({"process": "mmpp", "rates_rps": [1.0, 9], "mean_dwell_s": [30.0, 10]}, Mmpp((1.0, 9.0), (30.0, 10.0))),
    ],
)
def test_each_process_builds_its_generator(arrivals, process):
    """Every stationary process becomes the generator of the same parameters; burstiness 0.25 is cv 2."""
    assert build(with_arrivals(**arrivals)).arrivals == process


@pytest.mark.parametrize(
    ("law", "built"),
    [
        (FIXED, Constant(100)),
        ({"law": "uniform", "min_tokens": 7, "max_tokens": 1001}, Uniform.between(7, 1001)),
        ({"law": "uniform", "nominal_tokens": 1000, "range_ratio": 0.25}, Uniform(1000, 0.75, 1.25)),
    ],
)
def test_each_length_law_builds(law, built):
    """Length sections become the laws of the same parameters."""
    assert build(with_input(**law)).lengths.input_law == built


@pytest.mark.parametrize(("low", "high"), [(1, 1), (1, 3), (7, 1001), (819, 1024), (333_333, 999_999)])
def test_uniform_bounds_are_exact(low, high):
    """A uniform law between two whole numbers has exactly these bounds."""
    assert Uniform.between(low, high).bounds_tokens == (low, high)


def test_measured_lengths_build():
    """Quantile tables and weighted values draw what they list."""
    quantiles = build(with_input(law="quantiles", probabilities=[0.0, 0.5, 1.0], tokens=[10, 20, 40]))
    assert quantiles.mean_input_tokens == 22.5
    empirical = build(with_input(law="empirical", tokens=[10, 20], weights=[3.0, 1.0]))
    assert empirical.mean_input_tokens == 12.5


def test_mmpp_preset_scales_its_rates():
    """An MMPP preset keeps its own rate, or takes the one asked for with the same dwell times."""
    own = build(with_arrivals(process="mmpp", preset="azure2023_code")).arrivals
    scaled = build(with_arrivals(process="mmpp", preset="azure2023_code", rate_rps=10.0)).arrivals
    assert own.rate_rps == pytest.approx(2.57, abs=0.01)
    assert scaled.rate_rps == pytest.approx(10.0)
    assert scaled.mean_dwell_s == own.mean_dwell_s


def test_profile_preset_follows_the_week():
    """A week preset has the mean asked for, or the observed one; the run may begin at any hour of it."""
    week = build(with_arrivals(process="profile", preset="azure2024_conv", rate_rps=5.0)).arrivals
    assert week.rate_rps == pytest.approx(5.0)
    assert build(with_arrivals(process="profile", preset="azure2024_code")).arrivals.rate_rps == pytest.approx(27.8)
    monday = week.profile.rates_rps
    at_peak = build(with_arrivals(process="profile", preset="azure2024_conv", rate_rps=5.0, start_h=14.0)).arrivals
    counts = [np.searchsorted(next(iter(at_peak.blocks(Streams(seed)))), 300.0) for seed in range(60)]
    assert np.mean(counts) == pytest.approx(300 * monday[14], rel=0.02)


def test_explicit_profile_with_a_bursty_base():
    """A series of rates can be scaled, held at its end, and clustered by a base process at the series' mean rate."""
    section = with_arrivals(
        process="profile",
        edges_s=[0, 60.0],
        rates_rps=[0.0, 4.0],
        interpolation="linear",
        after="hold",
        rate_rps=8.0,
        base={"process": "mmpp", "preset": "azure2023_conv"},
    )
    arrivals = build(section).arrivals
    assert isinstance(arrivals, OperationalTime)
    assert arrivals.profile.rates_rps == (0.0, 8.0)
    assert arrivals.base.rate_rps == pytest.approx(8.0)


def test_closed_loop_builds():
    """A closed loop has callers and a pause and no rate."""
    workload = build(with_arrivals(process="closed_loop", concurrency=64, think_s=1.5))
    assert (workload.closed_loop_concurrency, workload.closed_loop_think_s, workload.mean_rate_rps) == (64, 1.5, None)


def test_preset_is_overridden_key_by_key():
    """A preset gives burst law, lengths and correlation; explicit arrivals or lengths take their place, rest stays."""
    whole = build({"preset": "rag", "arrivals": {"rate_rps": 2.0}})
    assert whole.arrivals == Renewal("weibull", 2.0, 1.4)
    assert whole.lengths.rank_correlation == 0.42
    changed = build({"preset": "rag", "arrivals": {"process": "poisson", "rate_rps": 2.0}, "output_tokens": FIXED})
    assert changed.arrivals == Poisson(2.0)
    assert changed.lengths.input_law == whole.lengths.input_law
    assert changed.lengths.output_law == Constant(100)
    assert changed.lengths.rank_correlation == 0.0
    kept = build({"preset": "rag", "arrivals": {"rate_rps": 2.0}, "rank_correlation": 0.1, "output_scale": 2.0})
    assert (kept.lengths.rank_correlation, kept.lengths.output_scale) == (0.1, 2.0)


def test_building_twice_gives_the_same_load():
    """The section may be built as often as needed: equal workloads, equal requests."""
    first, second = build(BENCHMARK), build(BENCHMARK)
    assert list(islice(first.requests(Streams(1)), 500)) == list(islice(second.requests(Streams(1)), 500))


# ------------------------------------------------------------------ presets against their own parameters


def rate_of(preset):
    return float(
        table("workloads")[preset].get("observed_rate_rps", table("workloads")["chat_long"]["observed_rate_rps"]).value
    )


@pytest.mark.parametrize("preset", workload_presets())
def test_preset_draws_match_its_parameters(preset):
    """20,000 requests of a preset have its rate, its mean lengths, its medians and its rank correlation."""
    from scipy.stats import spearmanr

    rate_rps = rate_of(preset)
    workload = build({"preset": preset, "arrivals": {"rate_rps": rate_rps}})
    rows = np.array([row[:3] for row in islice(workload.requests(Streams(11)), 20_000)])
    facts = table("workloads")[preset]
    error = 4 * float(facts["arrival_cv"].value if "arrival_cv" in facts else 1) / np.sqrt(len(rows))
    if facts["arrival_law"].value == "mmpp":
        error = 4 * np.sqrt(workload.arrivals.dispersion(rows[-1, 0]) / len(rows))
    assert len(rows) / rows[-1, 0] == pytest.approx(rate_rps, rel=error)
    for column, mean in ((1, workload.mean_input_tokens), (2, workload.mean_output_tokens)):
        tokens = rows[:, column]
        assert tokens.mean() == pytest.approx(mean, abs=4 * tokens.std() / np.sqrt(len(tokens)))
    for column, which in ((1, "input"), (2, "output")):
        name = f"{which}_median_tokens" if f"{which}_median_tokens" in facts else f"{which}_quantile_0.5"
        assert np.median(rows[:, column]) == pytest.approx(facts[name].value, rel=0.06)
    wanted = facts["rank_correlation"].value
    assert spearmanr(rows[:, 1], rows[:, 2]).statistic == pytest.approx(wanted, abs=0.03)


@pytest.mark.parametrize("preset", [p for p in workload_presets() if "arrival_cv" in table("workloads")[p]])
def test_preset_gaps_have_its_cv(preset):
    """The gaps of a preset with a renewal law have its coefficient of variation within 5 %."""
    workload = build({"preset": preset, "arrivals": {"rate_rps": 4.0}})
    gaps = np.diff([row.arrival_s for row in islice(workload.requests(Streams(12)), 20_000)])
    assert gaps.std() / gaps.mean() == pytest.approx(table("workloads")[preset]["arrival_cv"].value, rel=0.05)


@pytest.mark.parametrize(
    ("preset", "tolerance"), [("azure2023_code", (0.2, 0.2, 0.45)), ("azure2023_conv", (0.15, 0.25, 0.5))]
)
def test_mmpp_presets_are_near_the_trace(preset, tolerance):
    """Rate within 1 % of the trace's; dispersion near it at 1 and 10 s, at 60 s less so, as the fit allows."""
    arrivals = build(with_arrivals(process="mmpp", preset=preset)).arrivals
    facts = table("workloads")[preset]
    assert arrivals.rate_rps == pytest.approx(facts["observed_rate_rps"].value, rel=0.01)
    for window_s, within in zip((1, 10, 60), tolerance, strict=True):
        assert arrivals.dispersion(float(window_s)) == pytest.approx(
            facts[f"observed_idc_{window_s}s"].value, rel=within
        )


@pytest.mark.parametrize("preset", mmpp_presets())
def test_mmpp_presets_draw_their_own_dispersion(preset):
    """Counts of 20,000 windows have the rate and, at 1, 10 and 60 s, the dispersion of the closed form within 15 %."""
    arrivals = build(with_arrivals(process="mmpp", preset=preset)).arrivals
    times_s, horizon_s = [], 200_000.0
    for block in arrivals.blocks(Streams(5)):
        times_s.append(block)
        if block[-1] > horizon_s:
            break
    stamps_s = np.concatenate(times_s)
    for width_s in (1.0, 10.0, 60.0):
        windows = int(horizon_s // width_s)
        index = (stamps_s // width_s).astype(int)
        counts = np.bincount(index[index < windows], minlength=windows)
        assert counts.mean() / width_s == pytest.approx(arrivals.rate_rps, rel=0.05)
        assert counts.var() / counts.mean() == pytest.approx(arrivals.dispersion(width_s), rel=0.15)


def test_week_of_a_preset():
    """With week_profile a preset follows its service's week around the rate asked for; without it, it is stationary."""
    seasonal = build({"preset": "chat", "arrivals": {"rate_rps": 2.0, "week_profile": True, "start_h": 14.0}}).arrivals
    assert isinstance(seasonal, OperationalTime)
    assert (seasonal.rate_rps, seasonal.start_s) == (pytest.approx(2.0), 14 * 3600)
    assert build({"preset": "chat", "arrivals": {"rate_rps": 2.0}}).arrivals == Renewal("gamma", 2.0, 1.1)


@pytest.mark.parametrize("preset", profile_presets())
def test_week_presets_have_the_published_peak(preset):
    """The peak hour over the weekly mean is the published one within 2 %."""
    arrivals = build(with_arrivals(process="profile", preset=preset, rate_rps=1.0)).arrivals
    published = table("workloads")[preset]["observed_peak_hour_ratio"].value
    assert max(arrivals.profile.rates_rps) == pytest.approx(published, rel=0.02)


def test_quantiles_of_the_reasoning_service():
    """The reasoning preset has input p50 208 and p99 23,423, output p50 792 and p99 12,607."""
    workload = build({"preset": "reasoning"})
    lengths = workload.lengths
    assert isinstance(lengths, Lengths)
    at = np.array([0.5, 0.99])
    assert lengths.input_law.quantile(at).tolist() == [208, 23_423]
    assert lengths.output_law.quantile(at).tolist() == [792, 12_607]
    assert workload.mean_rate_rps == 16.0


def test_facts_are_those_that_count():
    """The rows that a workload depends on are named; what is overridden, or only a sanity value, is not."""
    section = WorkloadSection.model_validate({"preset": "code_review", "arrivals": {"rate_rps": 1.0}})
    facts = workload_facts(section)
    assert facts["workloads.code_review.arrival_cv"].status == "assumed"
    assert "workloads.code_review.input_median_tokens" in facts
    assert not any("sanity" in name or "slo" in name for name in facts)
    own = {"preset": "code_review", **with_arrivals(process="mmpp", preset="azure2023_code")}
    assert {name.split(".")[1] for name in workload_facts(WorkloadSection.model_validate(own))} == {"azure2023_code"}
    assert workload_facts(WorkloadSection.model_validate(BENCHMARK)) == {}


# ------------------------------------------------------------------ traces


ROWS = "arrival_s,input_tokens,output_tokens\n10,5,1\n11,6,2\n14,7,3\n"


def test_trace_is_found_beside_the_scenario(tmp_path, monkeypatch):
    """A relative path is looked for beside the scenario file first, then in the working folder; time starts at zero."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "t.csv").write_text(ROWS)
    (tmp_path / "t.csv").write_text(ROWS.replace("14,7,3\n", ""))
    monkeypatch.chdir(tmp_path)
    beside = build({"trace": {"path": "t.csv"}}, tmp_path / "a")
    assert [tuple(row[:3]) for row in beside.requests(Streams(0))] == [(0, 5, 1), (1, 6, 2), (4, 7, 3)]
    assert len(list(build({"trace": {"path": "t.csv"}}).requests(Streams(0)))) == 2
    assert len(list(build({"trace": {"path": "a/t.csv"}}, tmp_path / "a").requests(Streams(0)))) == 3


def test_changed_trace_is_read_again(tmp_path):
    """A trace is read once while it does not change, and again when it does."""
    path = tmp_path / "t.csv"
    path.write_text(ROWS)
    section = {"trace": {"path": str(path)}}
    assert build(section).lengths.trace.input_tokens is build(section).lengths.trace.input_tokens
    path.write_text(ROWS + "15,8,4\n")
    assert len(build(section).lengths.trace) == 4


def test_trace_takes_its_scalings(tmp_path):
    """Warp, copies and cut change the load as they say, and output_scale the outputs."""
    (tmp_path / "t.csv").write_text(ROWS)
    section = {"trace": {"path": "t.csv", "time_warp": 2.0, "max_requests": 2}, "output_scale": 3.0}
    assert [tuple(row[:3]) for row in build(section, tmp_path).requests(Streams(0))] == [(0, 5, 3), (0.5, 6, 6)]
    copies = build({"trace": {"path": "t.csv", "replicate": 4}}, tmp_path)
    assert len(list(copies.requests(Streams(0)))) == 12


def test_closed_loop_over_a_trace(tmp_path):
    """A closed loop may take its lengths from a trace."""
    (tmp_path / "t.csv").write_text(ROWS)
    section = {"trace": {"path": "t.csv"}, "arrivals": {"process": "closed_loop", "concurrency": 2}}
    workload = build(section, tmp_path)
    assert list(islice(workload.lengths_stream(Streams(0)), 4)) == [(5, 1), (6, 2), (7, 3), (5, 1)]


def test_missing_trace_names_where_it_was_looked_for(tmp_path):
    """A trace that is not there is named with the places searched."""
    with pytest.raises(TraceError, match=r"^absent\.csv: there is no such trace file in .* or in the working folder$"):
        build({"trace": {"path": "absent.csv"}}, tmp_path)


@pytest.mark.parametrize("content", ["", "arrival_s,input_tokens,output_tokens\n"])
def test_empty_trace_is_an_error(tmp_path, content):
    """An empty trace is one sentence, when the workload is built and not while it runs."""
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(TraceError, match=r"empty|no requests"):
        build({"trace": {"path": "t.csv"}}, tmp_path)


def test_trace_thinned_away_is_an_error(tmp_path):
    """A trace of which nothing is left is one sentence."""
    (tmp_path / "t.csv").write_text(ROWS)
    with pytest.raises(TraceError, match=r"thinning to 1e-06 leaves none of its 3 requests"):
        build({"trace": {"path": "t.csv", "thin_frac": 1e-6}}, tmp_path)


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({}, "lacks arrivals, input_tokens, output_tokens; give them, or a preset, or a trace"),
        ({"arrivals": BENCHMARK["arrivals"]}, "lacks input_tokens, output_tokens"),
        ({"preset": "chat"}, "preset 'chat' sets the shape of arrivals, not their rate: give arrivals.rate_rps"),
        ({"preset": "cht"}, "did you mean 'chat'"),
        ({"preset": "deepseek_day"}, "is no workload preset"),
        ({"trace": {"path": "t.csv"}, "preset": "chat"}, "trace brings its own lengths: remove preset"),
        ({"trace": {"path": "t.csv"}, "arrivals": BENCHMARK["arrivals"]}, "trace brings its own arrivals"),
        ({"trace": {"path": "t.csv"}, "output_tokens": FIXED}, "remove output_tokens"),
        ({"trace": {}}, "trace.path: Field required"),
        ({"trace": {"path": ""}}, "trace.path"),
        ({"trace": {"path": "t.csv", "format": "parquet"}}, "'auto', 'azure', 'mooncake', 'csv'"),
        ({"trace": {"path": "t.csv", "thin_frac": 0.0}}, "greater than 0"),
        ({"trace": {"path": "t.csv", "thin_frac": 1.1}}, "less than or equal to 1"),
        ({"trace": {"path": "t.csv", "replicate": 0}}, "greater than or equal to 1"),
        ({"trace": {"path": "t.csv", "time_warp": 0}}, "greater than 0"),
        ({"trace": {"path": "t.csv", "max_requests": 0}}, "greater than or equal to 1"),
        ({"trace": {"path": "t.csv", "dequantise_s": "yes"}}, "must be auto, or seconds above 0"),
        ({"trace": {"path": "t.csv", "dequantise_s": -1.0}}, "must be auto, or seconds above 0"),
        ({"trace": {"path": "t.csv", "dequantise_s": True}}, "must be auto, or seconds above 0"),
        (with_arrivals(process="trace"), "needs a trace section with a path"),
        (with_arrivals(process="preset"), "needs workload.preset"),
        (with_arrivals(process="poison", rate_rps=1.0), "'poisson'"),
        (with_arrivals(rate_rps=1.0), "process"),
        (with_arrivals(process="poisson"), "arrivals.poisson.rate_rps: Field required"),
        (with_arrivals(process="poisson", rate_rps=0.0), "greater than 0"),
        (with_arrivals(process="poisson", rate_rps=-1), "greater than 0"),
        (with_arrivals(process="poisson", rate_rps=float("nan")), "finite"),
        (with_arrivals(process="poisson", rate_rps=float("inf")), "finite"),
        (with_arrivals(process="poisson", rate_rps=1e12), "less than or equal to"),
        (with_arrivals(process="poisson", rate_rps="2"), "valid number"),
        (with_arrivals(process="poisson", rate_rps=True), "valid number"),
        (with_arrivals(process="poisson", rate=2.0), "Extra inputs"),
        (with_arrivals(process="gamma", rate_rps=1.0), "needs either cv or burstiness"),
        (with_arrivals(process="gamma", rate_rps=1.0, cv=2.0, burstiness=0.25), "needs either cv or burstiness"),
        (with_arrivals(process="gamma", rate_rps=1.0, burstiness=0.0), "greater than or equal to"),
        (with_arrivals(process="weibull", rate_rps=1.0, cv=1000.0), "less than or equal to 30"),
        (with_arrivals(process="mmpp"), "needs preset, or both rates_rps and mean_dwell_s"),
        (with_arrivals(process="mmpp", preset="azure"), "is no MMPP preset; valid: azure2023_code, azure2023_conv"),
        (with_arrivals(process="mmpp", preset="azure2023_code", rates_rps=[1, 2]), "preset already sets"),
        (with_arrivals(process="mmpp", rates_rps=[1, 2], mean_dwell_s=[1, 2, 3]), "2 rates_rps but 3 mean_dwell_s"),
        (with_arrivals(process="profile"), "needs preset, or both edges_s and rates_rps"),
        (with_arrivals(process="profile", preset="azure2024_code", edges_s=[0, 1]), "preset already sets"),
        (with_arrivals(process="profile", preset="azure2024_code", after="hold"), "belong to edges_s"),
        (with_arrivals(process="profile", preset="azure2024_cod"), "did you mean 'azure2024_code'"),
        (with_arrivals(process="closed_loop", concurrency=0), "greater than or equal to 1"),
        (with_arrivals(process="closed_loop", concurrency=1.5), "valid integer"),
        (with_arrivals(process="closed_loop", concurrency=4, think_s=-1.0), "greater than or equal to 0"),
        ({"preset": "chat", "arrivals": {"rate_rps": 1.0, "start_h": 3.0}}, "without week_profile"),
        (with_input(law="constant", tokens=0), "greater than or equal to 1"),
        (with_input(law="constant", tokens=10.5), "valid integer"),
        (with_input(law="gaussian", mean=3), "'lognormal'"),
        (with_input(law="uniform", min_tokens=5), "needs either min_tokens and max_tokens"),
        (with_input(law="uniform", min_tokens=5, max_tokens=9, range_ratio=0.5), "needs either"),
        (with_input(law="uniform", min_tokens=9, max_tokens=5), "min_tokens 9 is above max_tokens 5"),
        (with_input(law="uniform", nominal_tokens=9, range_ratio=1.0), "less than 1"),
        (with_input(law="lognormal", median_tokens=9.0, sigma=0.0), "greater than 0"),
        (with_input(law="lognormal", median_tokens=9.0, sigma=1.0, min_tokens=9, max_tokens=5), "is above max_tokens"),
        (with_input(law="quantiles", probabilities=[0.1, 0.9], tokens=[1, 2, 3]), "2 probabilities but 3 tokens"),
        (with_input(law="quantiles", probabilities=[0.9, 0.1], tokens=[1, 2]), "probabilities must increase"),
        (with_input(law="quantiles", probabilities=[0.1, 0.9], tokens=[2, 1]), "tokens must not decrease"),
        (with_input(law="empirical", tokens=[]), "at least 1 item"),
        (with_input(law="empirical", tokens=[3, 2]), "tokens must increase"),
        (with_input(law="empirical", tokens=[3, 4], weights=[0, 0]), "weights must not all be zero"),
        ({**BENCHMARK, "rank_correlation": 2.0}, "less than or equal to 1"),
        ({**BENCHMARK, "output_scale": 0.0}, "greater than 0"),
        ({**BENCHMARK, "rate_rps": 2.0}, "Extra inputs"),
    ],
)
def test_wrong_sections_say_what_is_wrong(section, words):
    """Each mistake in the section is named, with what would be valid."""
    assert words in problem(section)


@pytest.mark.parametrize(
    ("section", "key"),
    [
        (with_arrivals(process="profile", edges_s=[5.0, 1.0], rates_rps=[1.0]), "workload.arrivals.edges_s"),
        (with_arrivals(process="profile", edges_s=[0, 1.0], rates_rps=[1.0, 2.0]), "workload.arrivals.rates_rps"),
        (with_arrivals(process="profile", edges_s=[0, 1.0], rates_rps=[0.0]), "workload.arrivals.rates_rps"),
        (with_arrivals(process="mmpp", rates_rps=[0, 0], mean_dwell_s=[1, 1]), "workload.arrivals.rates_rps"),
        (
            with_arrivals(process="mmpp", rates_rps=[1, 2], mean_dwell_s=[1, 1], jump_probabilities=[[0, 0.5], [1, 0]]),
            "workload.arrivals.jump_probabilities",
        ),
        (with_arrivals(process="gamma", rate_rps=1.0, cv=1e-6), "workload.arrivals.cv"),
        (
            with_input(law="lognormal", median_tokens=10.0, sigma=0.1, min_tokens=9000, truncation="resample"),
            "workload.input_tokens.max_tokens",
        ),
        (
            {"preset": "reasoning", "arrivals": {"rate_rps": 1.0, "week_profile": True}},
            "workload.arrivals.week_profile",
        ),
    ],
)
def test_impossible_parameters_name_their_dotted_key(section, key):
    """What only the generator can tell is a scenario error with the dotted key of the section."""
    with pytest.raises(ScenarioError) as caught:
        build(section)
    assert caught.value.key == key
