"""Fault traces: both formats, their errors, and small histories worked out by hand."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from sim.errors import ScenarioError, TraceError
from sim.faults.replay import enough_frac, enough_frac_of_all_sets
from sim.faults.trace import down_table, read_fault_trace
from sim.faults.trace_summary import gamma_shape, summarise
from sim.study.fault_replay import replay

HEADER = "t_start_h,t_end_h,node_id,class,domain,severity\n"
ROWS = "0,10,a,gpu,rack1,1\n5,20,b,nic,rack1,0.5\n6,8,a,fan,rack1,\n90,,c,gpu,rack2,1\n"


def written(folder: Path, text: str, name: str = "faults.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def event(node: str, day: float, kind: str, fault: str = "GPU") -> dict[str, object]:
    return {"node_id": node, "event_time": day, "event_type": kind, "fault_type": {"Class": fault}}


def test_a_csv_by_hand(tmp_path: Path) -> None:
    """Four episodes on four nodes of 100 h: overlaps count once, an open episode lasts to the end."""
    trace = read_fault_trace(written(tmp_path, HEADER + ROWS), nodes=4, to_h=100.0)
    table = down_table(trace)

    assert (trace.format, trace.nodes, trace.open_ended, trace.length_h) == ("csv", 4, 1, 100.0)
    assert table.availability == pytest.approx(1.0 - (10 + 15 + 10) / 400)
    assert table.length_h.sum() == pytest.approx(100.0)
    both = np.array([[0, 1]])  # a and b: none down for 100 - 20 h, at most one down but for 5 h
    assert enough_frac(table, both, 2, 0) == pytest.approx(0.80)
    assert enough_frac(table, both, 1, 1) == pytest.approx(0.95)


def test_the_mean_over_all_sets_is_that_of_every_pair(tmp_path: Path) -> None:
    """The hypergeometric mean equals the six pairs of four nodes taken one by one."""
    table = down_table(read_fault_trace(written(tmp_path, HEADER + ROWS), nodes=4, to_h=100.0))
    pairs = np.array([[i, j] for i in range(4) for j in range(i + 1, 4)])

    for needed, spares in ((2, 0), (1, 1)):
        exact = enough_frac_of_all_sets(table, needed, spares)
        assert exact == pytest.approx(enough_frac(table, pairs, needed, spares).mean(), abs=1e-12)


def test_events_pair_by_node_and_fault(tmp_path: Path) -> None:
    """Two faults of one node at a time are told apart by their type; gzip or not; the record begins with the first."""
    events = [
        event("a", 1.0, "fault_start"),
        event("a", 1.5, "fault_start", "Fan"),
        event("a", 2.0, "fault_end"),
        event("a", 4.0, "fault_end", "Fan"),
    ]
    path = tmp_path / "trace.json.gz"
    path.write_bytes(gzip.compress(json.dumps(events).encode()))
    trace = read_fault_trace(path)

    assert [(e.start_h, e.end_h, e.fault_class) for e in trace.episodes] == [(24.0, 48.0, "GPU"), (36.0, 96.0, "Fan")]
    assert (trace.from_h, trace.to_h, trace.format) == (24.0, 96.0, "infinitehbd")


def test_shifted_histories_keep_their_down_time(tmp_path: Path) -> None:
    """Moving a node's history around the end of the record changes nothing but when it was down."""
    trace = read_fault_trace(written(tmp_path, HEADER + ROWS), nodes=4, to_h=100.0)
    plain, shifted = down_table(trace), down_table(trace, np.array([95.0, 3.0, 50.0, 0.0]))

    assert shifted.down.T @ shifted.length_h == pytest.approx(plain.down.T @ plain.length_h)
    assert not np.array_equal(shifted.length_h, plain.length_h)


def test_summary_by_hand(tmp_path: Path) -> None:
    """Rates, returns, bursts and merged faults of a history of four episodes on one of two nodes."""
    rows = "0,1,a,x,\n0.1,0.2,b,x,\n13,14,a,y,\n14,15,a,y,\n"
    trace = read_fault_trace(written(tmp_path, "t_start_h,t_end_h,node_id,class,domain\n" + rows), to_h=240.0)
    found = summarise(trace)

    assert found.per_1000_node_days == pytest.approx(4 / 20 * 1000)
    assert [seen for seen, _ in found.returns] == [0.5, 0.5, 0.5]
    assert found.returns[0][1] == pytest.approx(1 - np.exp(-0.2))
    assert found.burst_max == 2
    assert found.burst_frac == 0.0
    assert [m.first_faults_per_1000_node_days for m in found.merged] == pytest.approx([150.0, 100.0, 100.0, 100.0])
    assert [(c.name, c.episodes) for c in found.classes] == [("x", 2), ("y", 2)]
    assert found.down_max == 2


def test_equal_counts_have_no_gamma_shape() -> None:
    """Counts that vary no more than a Poisson law's say nothing about unequal nodes."""
    assert gamma_shape(np.array([2, 2, 2, 2])) is None
    assert gamma_shape(np.array([0, 0, 0, 8])) == pytest.approx(4 / (16 - 2))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("a,b\n1,2\n", r"line 1 lacks t_start_h.*known: InfiniteHBD JSON"),
        (HEADER, "has no faults"),
        (HEADER + "x,2,a,gpu,r,1\n", "line 2 is malformed: has t_start_h 'x', which is no number"),
        (HEADER + "0,1,a,gpu,r,1\n5,2,a,gpu,r,1\n", "line 3 is malformed: ends before it starts"),
        (HEADER + "-1,2,a,gpu,r,1\n", "starts before zero"),
        (HEADER + "1,2,,gpu,r,1\n", "names no node"),
        (HEADER + "1,2,a,gpu,r,2\n", "severity 2"),
        (HEADER + "1,2,a\n", "has 3 cells where the header has 6"),
        ("[{]", "line 1 is no JSON"),
        ('[{"node_id": "a"}]', "event 0 is malformed: lacks event_time, event_type, fault_type"),
        (json.dumps([event("a", 1.0, "fault_end")]), "ends a fault that has not started"),
        (json.dumps([event("a", 1.0, "fault_over")]), "valid: fault_start, fault_end"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, text: str, message: str) -> None:
    """Each with the file, the place and the reason."""
    path = written(tmp_path, text)
    with pytest.raises(TraceError, match=message) as caught:
        read_fault_trace(path)
    assert str(path) in str(caught.value)


def test_a_fleet_or_a_record_too_small_is_refused(tmp_path: Path) -> None:
    """Fewer nodes than the file names, a record that ends before the last fault, a missing file."""
    path = written(tmp_path, HEADER + ROWS)
    with pytest.raises(TraceError, match="give at least 3 nodes"):
        read_fault_trace(path, nodes=2)
    with pytest.raises(TraceError, match="outside a record"):
        read_fault_trace(path, to_h=50.0)
    with pytest.raises(TraceError, match="No such file"):
        read_fault_trace(tmp_path / "none.csv")
    whole = gzip.compress((HEADER + ROWS).encode())
    for broken in (whole[:-12], whole[:12] + bytes(20) + whole[32:], b"\xff\xfe\xff"):
        (tmp_path / "broken.csv.gz").write_bytes(broken)
        with pytest.raises(TraceError, match=r"broken.csv.gz: (cannot be read|is no UTF-8)"):
            read_fault_trace(tmp_path / "broken.csv.gz")
    trace = read_fault_trace(path)
    for needed, spares, sets, message in (([3], [1], 9, "needed"), ([1], [-1], 9, "spares"), ([1], [0], 1, "subsets")):
        with pytest.raises(ScenarioError, match=message):
            replay(trace, needed, spares, sets, 1)
