"""Recorded clients of a service: the published pools, their regeneration, and what leaves with the largest client."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter, ValidationError

import sim
from sim.errors import ScenarioError, TraceError
from sim.scenario.arrivals import Arrivals
from sim.streams import Streams
from sim.workload.arrivals.client_windows import WINDOW_S, ClientWindows, read_client_windows
from sim.workload.arrivals.recorded_clients import RecordedClients
from sim.workload.lengths.quantile_file import read_quantiles
from tests.study_cases import tiny

FILE = "traces/servegen_client_windows.parquet"


def made(rows):
    """Client windows from (client, window, rate, weibull, shape)."""
    client, window, rate, weibull, shape = (np.array(column) for column in zip(*rows, strict=True))
    return ClientWindows("made", client, window, rate.astype(float), weibull.astype(bool), shape.astype(float))


SMALL = made(
    [(0, 0, 0.5, 0, 1.0), (1, 0, 0.1, 1, 0.5), (2, 0, 0.02, 0, 4.0), (0, 2, 1.0, 0, 0.2), (2, 2, 0.05, 1, 0.9)]
)


def written(folder, **columns):
    path = folder / "clients.parquet"
    base = {
        "workload": ["a", "a", "b"],
        "client": [0, 1, 0],
        "window_start_s": [600, 1200, 0],
        "rate_rps": [1.0, 2.0, 3.0],
        "pattern": ["Gamma", "Weibull", "Gamma"],
        "shape": [1.0, 0.5, 2.0],
    }
    frame = pd.DataFrame({key: value for key, value in {**base, **columns}.items() if value is not None})
    frame.to_parquet(path)
    return path


@pytest.mark.traces
@pytest.mark.parametrize(
    ("pool", "clients", "rate_rps", "peak", "shares"),
    [
        ("m-large", 162, 196, 2.98, (16, 43, 63, 85)),
        ("m-mid", 108, 1790, 1.92, (52, 67, 79, 93)),
        ("m-small", 43, 1174, 3.30, (30, 77, 93, 100)),
        ("deepseek-r1", 73, 16.0, 2.66, (29, 53, 68, 93)),
        ("mm-image", 35, 9.5, 1.40, (14, 56, 83, 99)),
    ],
)
def test_published_pools_have_their_published_statistics(shared, pool, clients, rate_rps, peak, shares):
    """Clients, mean rate, ten-minute peak over mean and shares of the largest are those published."""
    recorded = read_client_windows(shared(FILE), pool)
    assert len(recorded.volumes) == clients
    mean = sum(recorded.volumes.values())
    assert mean == pytest.approx(rate_rps, rel=0.005)
    assert recorded.rates_rps.max() / recorded.rates_rps.mean() == pytest.approx(peak, abs=0.006)
    found = [100 * recorded.top_share(count) for count in (1, 5, 10, 29)]
    assert found == pytest.approx(shares, abs=0.55)
    assert RecordedClients(recorded).rate_rps == pytest.approx(mean, rel=1e-9)


@pytest.mark.traces
@pytest.mark.parametrize("pool", ["m-large", "deepseek-r1", "mm-image"])
def test_regenerated_windows_are_smooth_although_clients_are_not(shared, pool):
    """Together, clients of mean cv 2 and more have gaps of cv 1.1 to 1.45 and an IDC over 60 s of 1 to 12."""
    recorded = read_client_windows(shared(FILE), pool)
    process = RecordedClients(recorded)
    cvs, dispersions = [], []
    for window, times_s in enumerate(islice(process.blocks(Streams(3)), 60, 140)):
        assert len(times_s) == pytest.approx(600 * recorded.rates_rps[window + 60], abs=60)
        gaps_s = np.diff(times_s)
        counts = np.histogram(times_s - times_s[0], np.arange(0, 601, 60))[0]
        cvs.append(gaps_s.std() / gaps_s.mean())
        dispersions.append(counts.var(ddof=1) / counts.mean())
    assert 1.1 <= np.median(cvs) <= 1.45
    assert 1.0 <= np.median(dispersions) <= 12.0


@pytest.mark.traces
def test_published_lengths(shared):
    """DeepSeek-R1: median and p99 of 208 and 23,423 input tokens, of 792 and 12,607 output tokens."""
    for column, half, high, mean in (("input_tokens", 208, 23_423, 1268), ("output_tokens", 792, 12_607, 1527)):
        law = read_quantiles(shared("traces/servegen_deepseek_r1_quantiles.csv"), column)
        assert law.quantile(np.array([0.5, 0.99])).tolist() == [half, high]
        assert law.mean_tokens == pytest.approx(mean, rel=0.02)


@pytest.mark.traces
def test_a_scenario_replays_a_pool(shared, tmp_path):
    """Scenario keys lead to the pool and its lengths, and a changed file is a changed scenario."""
    quantiles = str(shared("traces/servegen_deepseek_r1_quantiles.csv"))
    lengths = {
        name: {"law": "quantiles_csv", "path": quantiles, "column": name} for name in ("input_tokens", "output_tokens")
    }
    arrivals = {"process": "servegen", "path": str(shared(FILE)), "pool": "deepseek-r1", "start_s": 6000, "scale": 0.02}
    scenario = tiny({"workload": {"arrivals": {**arrivals, "start_s": 6000.0}, **lengths}, "run.horizon_s": 300.0})
    result = sim.simulate(scenario, workers=1)
    recorded = read_client_windows(shared(FILE), "deepseek-r1")
    assert result.counts["attempted"] / 600 == pytest.approx(0.02 * recorded.rates_rps[10], rel=0.35)
    assert [path.name for path in scenario.input_files()] == [
        "servegen_client_windows.parquet",
        quantiles.rsplit("/", maxsplit=1)[-1],
    ]


def test_counts_of_each_window_are_those_recorded():
    """A client sends rate x 600 s requests per window, rounded at random; silence is kept; the record ends the load."""
    process = RecordedClients(SMALL)
    counts = np.array(
        [np.histogram(np.fromiter(process.times(Streams(seed)), float), [0, 600, 1200, 1800])[0] for seed in range(40)]
    )
    assert set(counts[:, 0]) <= {300 + 60 + 12}
    assert set(counts[:, 1]) == {0}
    assert set(counts[:, 2]) == {600 + 30}
    assert process.rate_rps == pytest.approx((372 + 630) / 1800)
    assert process.rate_within_rps(900.0) == pytest.approx(372 / 900)


def test_burst_of_a_client_follows_its_law():
    """The cv of gaps within a window is that of the Gamma or Weibull law of the shape."""
    for weibull, shape, cv in ((0, 1.0, 1.0), (0, 0.25, 2.0), (1, 0.5, 2.236), (1, 1.0, 1.0)):
        process = RecordedClients(made([(0, 0, 50.0, weibull, shape)]))
        gaps_s = np.concatenate([np.diff(np.fromiter(process.times(Streams(seed)), float)) for seed in range(10)])
        assert gaps_s.std() / gaps_s.mean() == pytest.approx(cv, rel=0.06)


def test_the_others_stay_when_the_largest_leaves_or_comes_twice():
    """Without its largest client a pool sends the others' requests at the same times; with it twice, all of them."""
    full, without, twice = (
        set(RecordedClients(SMALL, without_largest=gone, duplicate_largest=more).times(Streams(5)))
        for gone, more in ((0, 0), (1, 0), (0, 1))
    )
    assert without < full < twice
    assert len(without) == 60 + 12 + 30
    assert len(twice) - len(full) == 300 + 600
    assert RecordedClients(SMALL, without_largest=1).rate_rps == pytest.approx(102 / 1800)


def test_start_and_scale():
    """A start inside the record drops what lies before it; a scale multiplies every client's requests."""
    late = np.fromiter(RecordedClients(SMALL, start_s=1500.0).times(Streams(1)), float)
    whole = np.fromiter(RecordedClients(SMALL, start_s=1200.0).times(Streams(1)), float)
    assert late == pytest.approx(whole[whole >= 300.0] - 300.0)
    assert len(list(RecordedClients(SMALL, scale=2.0).times(Streams(1)))) == 2 * (372 + 630)
    with pytest.raises(ScenarioError, match="after the end of the record"):
        RecordedClients(SMALL, start_s=1800.0)
    with pytest.raises(ScenarioError, match="without_largest"):
        RecordedClients(SMALL, without_largest=3)


def test_files(tmp_path):
    """A pool's windows count from its first; damaged files and unknown pools are named."""
    recorded = read_client_windows(written(tmp_path), "a")
    assert recorded.windows == 2
    assert recorded.span_s == 2 * WINDOW_S
    assert recorded.rates_rps.tolist() == [1.0, 2.0]
    assert list(recorded.volumes) == [1, 0]
    with pytest.raises(ScenarioError, match=r"pool: is no pool.*valid: a, b"):
        read_client_windows(written(tmp_path), "c")
    with pytest.raises(TraceError, match="lacks the column shape"):
        read_client_windows(written(tmp_path, shape=None), "a")
    with pytest.raises(TraceError, match="shape must be positive"):
        read_client_windows(written(tmp_path, shape=[1.0, 0.0, 1.0]), "a")
    with pytest.raises(TraceError, match="Gamma or Weibull"):
        read_client_windows(written(tmp_path, pattern=["Gamma", "Pareto", "Gamma"]), "a")
    (tmp_path / "text.parquet").write_text("nothing")
    with pytest.raises(TraceError, match=r"text.parquet"):
        read_client_windows(tmp_path / "text.parquet", "a")


def test_quantile_files(tmp_path):
    """A column of a CSV is a law; a missing column and a word in it are named with their place."""
    path = tmp_path / "q.csv"
    path.write_text("p,input_tokens\n0.1,10\n0.9,90\n")
    assert read_quantiles(path, "input_tokens").quantile(np.array([0.0, 0.5])).tolist() == [10, 50]
    with pytest.raises(ScenarioError, match=r"column.*no such column"):
        read_quantiles(path, "output_tokens")
    path.write_text("p,input_tokens\n0.1,10\n0.9,many\n")
    with pytest.raises(TraceError, match="line 3"):
        read_quantiles(path, "input_tokens")


def test_section_asks_one_question():
    """Removing and doubling the largest client are two what-ifs."""
    section = {"process": "servegen", "path": "x", "pool": "a", "without_largest": 1, "duplicate_largest": 1}
    with pytest.raises(ValidationError, match="one at a time"):
        TypeAdapter(Arrivals).validate_python(section)
