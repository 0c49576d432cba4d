"""Clients of different size: shares, bursts, and what happens when the largest leaves."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from sim.errors import ScenarioError
from sim.scenario.arrivals import Arrivals
from sim.simulation.workload_arrivals import open_arrivals
from sim.streams import Streams
from sim.workload.arrivals.clients import ClientArrivals


def times(process, count=40_000, seed=1):
    return np.array(list(islice(process.times(Streams(seed)), count)))


def cv(process):
    gaps_s = np.diff(times(process))
    return gaps_s.std() / gaps_s.mean()


def test_shares_are_zipf_and_the_rate_is_kept():
    """Ten of a hundred clients have 68 % of the traffic at exponent 1.2, and all together the rate asked for."""
    process = ClientArrivals(5.0, 100, 1.2, 2.0)
    rates_rps = process.rates_rps()
    assert sum(rates_rps) == pytest.approx(5.0)
    assert sum(rates_rps[:10]) / 5.0 == pytest.approx(0.68, abs=0.005)
    arrivals_s = times(process)
    assert np.all(np.diff(arrivals_s) >= 0)
    assert len(arrivals_s) / arrivals_s[-1] == pytest.approx(5.0, rel=0.05)


def test_aggregation_smooths():
    """One client has its own cv; a skewed pool of a hundred is smoother, an equal one more so, a thousand most."""
    assert cv(ClientArrivals(5.0, 1, 1.2, 3.0)) == pytest.approx(3.0, rel=0.1)
    pools = [
        ClientArrivals(5.0, 100, 1.2, 3.0),
        ClientArrivals(5.0, 100, 0.0, 3.0),
        ClientArrivals(5.0, 1000, 0.0, 3.0),
    ]
    skewed, equal, many = map(cv, pools)
    assert 1.0 < many < equal < skewed < 2.7
    assert many < 1.6


def test_the_others_stay_when_the_largest_leaves():
    """Without the largest client the arrivals are those of the others, at the very same times."""
    full, without = ClientArrivals(5.0, 20, 1.2, 2.0), ClientArrivals(5.0, 20, 1.2, 2.0, 1)
    assert without.rate_rps == pytest.approx(5.0 - full.rates_rps()[0])
    assert np.isin(times(without, 5000), times(full, 20_000)).all()


def test_section_builds_the_process():
    """The section of a scenario becomes the process of its parameters, and refuses to leave nobody."""
    section = {"process": "clients", "rate_rps": 5.0, "clients": 20, "zipf": 1.2, "cv": 2.0, "without_largest": 1}
    read = TypeAdapter(Arrivals).validate_python
    assert open_arrivals(read(section)) == ClientArrivals(5.0, 20, 1.2, 2.0, 1)
    with pytest.raises(ValidationError, match="leaves none of 20 clients"):
        read({**section, "without_largest": 20})
    with pytest.raises(ScenarioError, match="leaves no client"):
        ClientArrivals(5.0, 20, 1.2, 2.0, 20)
