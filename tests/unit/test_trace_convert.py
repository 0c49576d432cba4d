"""Writing traces, and reading them back."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.errors import TraceError
from sim.workload.trace.blocks import HashBlocks
from sim.workload.trace.convert import write_mooncake
from sim.workload.trace.prefix import prefix_hit_tokens
from sim.workload.trace.reader import read_trace
from sim.workload.trace.trace import Trace


@st.composite
def traces(draw):
    """Traces with times in whole milliseconds, with or without blocks and sessions."""
    n = draw(st.integers(1, 12))
    stamps_ms = sorted(draw(st.lists(st.integers(0, 10**9), min_size=n, max_size=n)))
    inputs = draw(st.lists(st.integers(1, 3000), min_size=n, max_size=n))
    outputs = draw(st.lists(st.integers(1, 10**6), min_size=n, max_size=n))
    sessions = draw(st.none() | st.lists(st.none() | st.text(min_size=1, max_size=8), min_size=n, max_size=n))
    blocks = None
    if draw(st.booleans()):
        rows = [draw(st.lists(st.integers(0, 2**63 - 1), max_size=-(-tokens // 512))) for tokens in inputs]
        offsets = np.cumsum([0, *map(len, rows)])
        blocks = HashBlocks(np.array([b for row in rows for b in row], dtype=np.int64), offsets, 512)
    if sessions is not None and not any(sessions):
        sessions = None
    return Trace(
        np.array(stamps_ms) / 1000,
        np.array(inputs),
        np.array(outputs),
        "made",
        None if sessions is None else tuple(sessions),
        blocks,
    )


@given(trace=traces(), suffix=st.sampled_from([".jsonl", ".jsonl.gz"]))
def test_what_is_written_reads_back(trace, suffix):
    """A trace written in Mooncake's form and read again is the same: times, lengths, sessions and blocks."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"trace{suffix}"
        assert write_mooncake(trace, path) == len(trace)
        again = read_trace(path)
        assert [item.name for item in Path(folder).iterdir()] == [path.name]
    np.testing.assert_array_equal(again.arrival_s, trace.arrival_s)
    np.testing.assert_array_equal(again.input_tokens, trace.input_tokens)
    np.testing.assert_array_equal(again.output_tokens, trace.output_tokens)
    assert again.session_ids == trace.session_ids
    if trace.blocks is not None:
        assert again.blocks.rows() == trace.blocks.rows()


def small(n=40):
    rng = np.random.default_rng(5)
    return Trace(np.sort(rng.random(n) * 100), rng.integers(1, 2000, n), rng.integers(1, 99, n), "made")


def test_a_trace_without_blocks_shares_nothing(tmp_path):
    """Without hashed blocks each request gets ids of its own, ceil(input / 512) of them: no prefix hits."""
    trace = small()
    write_mooncake(trace, tmp_path / "t.jsonl")
    again = read_trace(tmp_path / "t.jsonl")
    np.testing.assert_array_equal(np.diff(again.blocks.offsets), np.ceil(trace.input_tokens / 512))
    assert prefix_hit_tokens(again).sum() == 0


def test_times_are_rounded_to_the_millisecond(tmp_path):
    """Times change by half a millisecond at most, and stay whole numbers in the file."""
    trace = small()
    write_mooncake(trace, tmp_path / "t.jsonl")
    again = read_trace(tmp_path / "t.jsonl")
    assert 0 < abs(again.arrival_s - trace.arrival_s).max() <= 0.0005 + 1e-12
    first = json.loads((tmp_path / "t.jsonl").read_text().splitlines()[0])
    assert type(first["timestamp"]) is int
    assert set(first) == {"timestamp", "input_length", "output_length", "hash_ids"}


def test_equal_traces_make_equal_files(tmp_path):
    """Packed or not, the same trace gives the same bytes."""
    for name in ("a.jsonl.gz", "b.jsonl.gz", "a.jsonl", "b.jsonl"):
        write_mooncake(small(), tmp_path / name)
    assert (tmp_path / "a.jsonl.gz").read_bytes() == (tmp_path / "b.jsonl.gz").read_bytes()
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()


def test_a_file_that_cannot_be_written(tmp_path):
    """A folder that is not there, or a folder in the file's place, is one sentence, and nothing is left behind."""
    with pytest.raises(TraceError, match="cannot be written"):
        write_mooncake(small(), tmp_path / "absent" / "t.jsonl")
    (tmp_path / "taken").mkdir()
    with pytest.raises(TraceError, match="cannot be written"):
        write_mooncake(small(), tmp_path / "taken")
    assert [item.name for item in tmp_path.iterdir()] == ["taken"]


@pytest.mark.traces
def test_azure_converts_with_its_lengths(tmp_path, shared):
    """The Azure code trace in Mooncake's form keeps its 8,819 requests and lengths, and times to half a millisecond."""
    trace = read_trace(shared("traces/azure_llm_2023_code.csv.gz"))
    write_mooncake(trace, tmp_path / "code.jsonl.gz")
    again = read_trace(tmp_path / "code.jsonl.gz")
    assert len(again) == 8819
    np.testing.assert_array_equal(again.input_tokens, trace.input_tokens)
    np.testing.assert_array_equal(again.output_tokens, trace.output_tokens)
    assert abs(again.arrival_s - trace.arrival_s).max() <= 0.0005 + 1e-9
