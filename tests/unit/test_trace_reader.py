"""Trace files that cannot be used: one sentence each, never a traceback."""

from __future__ import annotations

import errno
import gzip
import json
import os
from pathlib import Path

import numpy as np
import pytest

from sim.errors import TraceError
from sim.workload.trace.reader import read_trace

CSV = "arrival_s,input_tokens,output_tokens\n"
AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
AZURE_ROWS = "2023-11-16 18:17:03.9799600,4808,10\n2023-11-16 18:17:04.0319600,3180,8\n"


def line(timestamp=0, input_length=600, output_length=5, **more):
    return (
        json.dumps({"timestamp": timestamp, "input_length": input_length, "output_length": output_length, **more})
        + "\n"
    )


def write(tmp_path, content, name="trace.txt"):
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def complaint(path, form="auto", **options):
    """The error's text, which must be one line that names the file."""
    with pytest.raises(TraceError) as caught:
        read_trace(path, form, **options)
    text = str(caught.value)
    assert "\n" not in text
    assert str(path) in text
    assert caught.value.__cause__ is None
    return text


def test_formats_are_told_from_the_first_line(tmp_path):
    """Azure, Mooncake and plain CSV are recognised, also packed, with a byte-order mark, CRLF or blank lines."""
    azure = read_trace(write(tmp_path, AZURE + AZURE_ROWS))
    np.testing.assert_allclose(azure.arrival_s, [0.0, 0.052], atol=1e-12)
    assert azure.input_tokens.tolist() == [4808, 3180]
    mooncake = read_trace(write(tmp_path, line(0, 600, 5, hash_ids=[1, 2]) + "\n" + line(1500, 512, 1, hash_ids=[1])))
    assert (mooncake.arrival_s.tolist(), mooncake.blocks.rows()) == ([0.0, 1.5], [[1, 2], [1]])
    plain = read_trace(write(tmp_path, b"\xef\xbb\xbf" + (CSV + "0.5,10,2\r\n1e1,12.0,3\r\n\r\n").encode()))
    assert (plain.arrival_s.tolist(), plain.input_tokens.tolist()) == ([0.5, 10.0], [10, 12])
    packed = read_trace(write(tmp_path, gzip.compress((CSV + "0,10,2\n").encode()), "no_suffix"))
    assert len(packed) == 1


def test_columns_are_found_by_name(tmp_path):
    """Columns in another order, extra columns and sessions are read; a missing session is None."""
    header = "session_id,output_tokens,note,arrival_s,input_tokens\n"
    trace = read_trace(write(tmp_path, header + "a,1,x,0,10\n,2,y,1,20\n"))
    assert (trace.session_ids, trace.output_tokens.tolist()) == (("a", None), [1, 2])


def test_the_unit_of_time_belongs_to_the_format(tmp_path):
    """The same lines mean milliseconds as Mooncake's and seconds as vLLM's timed trace."""
    path = write(tmp_path, line(0) + line(2000))
    assert read_trace(path, "mooncake").span_s == 2.0
    assert read_trace(path, "vllm_timed_trace").span_s == 2000.0


def test_missing_file(tmp_path):
    """A file that is not there is named."""
    assert "there is no such trace file" in complaint(tmp_path / "absent.csv")


def test_directory_instead_of_a_file(tmp_path):
    """A folder is told as one."""
    assert "directory" in complaint(tmp_path)


def test_unreadable_file(tmp_path, monkeypatch):
    """A file without permission to read is told as such."""

    def refuse(path, *args):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    path = write(tmp_path, CSV)
    monkeypatch.setattr(Path, "open", refuse)
    assert "cannot be read: Permission denied" in complaint(path)


@pytest.mark.parametrize("content", ["", "\n\n  \n"])
def test_empty_file(tmp_path, content):
    """A file without a line, or with blank ones only, is empty."""
    assert "the file is empty" in complaint(write(tmp_path, content))


@pytest.mark.parametrize("content", [CSV, AZURE])
def test_header_without_requests(tmp_path, content):
    """A header alone is no trace."""
    assert "has a header but no requests" in complaint(write(tmp_path, content))


def test_truncated_gzip(tmp_path):
    """A packed file cut off in the middle is told as truncated, with the last line that came out."""
    rows = CSV + "".join(f"{i},{i % 7919 + 1},{i * i % 977 + 1}\n" for i in range(20_000))
    packed = gzip.compress(rows.encode())
    text = complaint(write(tmp_path, packed[: len(packed) // 2]))
    assert "compressed data end early, after line " in text
    assert "truncated" in text


def test_damaged_gzip(tmp_path):
    """A packed file with a flipped byte is told as damaged."""
    packed = bytearray(gzip.compress((CSV + "0,1,1\n" * 1000).encode()))
    packed[len(packed) // 2] ^= 0xFF
    assert "compressed data are damaged" in complaint(write(tmp_path, bytes(packed)))


def test_truncated_last_line(tmp_path):
    """A last JSON line cut off in the middle is named by its number."""
    text = complaint(write(tmp_path, line(0) + line(10) + line(20)[:25]))
    assert "line 3 is malformed: is no JSON" in text
    assert "1 malformed line in all" in text


def test_truncated_last_row(tmp_path):
    """A last CSV row cut off in the middle is named by its number."""
    text = complaint(write(tmp_path, CSV + "0,10,2\n1,10"))
    assert "line 3 is malformed: has 2 fields where the header has 3" in text


BAD_VALUES = [
    ("0", "must be at least 1"),
    ("-5", "must be at least 1"),
    ("nan", "is not finite"),
    ("inf", "is not finite"),
    ("1e400", "is not finite"),
    ("2.5", "must be a whole number"),
    ("many", "is not a number"),
    ("", "is missing"),
    ("1e30", "is too large"),
]


@pytest.mark.parametrize(("value", "reason"), BAD_VALUES)
@pytest.mark.parametrize("column", [1, 2])
def test_lengths_that_are_none(tmp_path, value, reason, column):
    """Zero, negative, NaN, infinite, fractional, textual, absent and absurd lengths are row errors with their line."""
    cells = ["1", "10", "10"]
    cells[column] = value
    text = complaint(write(tmp_path, CSV + "0,10,10\n" + ",".join(cells) + "\n"))
    assert f"line 3 is malformed: {('input_tokens', 'output_tokens')[column - 1]} {reason}" in text


@pytest.mark.parametrize(
    ("value", "reason"), [("-1", "must not be negative"), ("nan", "is not finite"), ("", "is missing")]
)
def test_times_that_are_none(tmp_path, value, reason):
    """Negative, NaN and absent arrival times are row errors."""
    assert f"arrival_s {reason}" in complaint(write(tmp_path, CSV + f"{value},10,10\n"))


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"input_length": 0}, "input_length must be at least 1"),
        ({"output_length": 0}, "output_length must be at least 1"),
        ({"timestamp": -1}, "timestamp must not be negative"),
        ({"timestamp": None}, "timestamp is missing"),
        ({"timestamp": "7"}, "timestamp is text, not a number"),
        ({"input_length": True}, "input_length is not a number"),
        ({"input_length": float("nan")}, "input_length is not finite"),
        ({"hash_ids": "abc"}, "hash_ids is no list"),
        ({"hash_ids": [1, -2]}, "hash_ids must be whole numbers"),
        ({"hash_ids": [1.5]}, "hash_ids must be whole numbers"),
        ({"hash_ids": [1, 2, 3]}, "has 3 hash_ids where 600 tokens make 2 blocks of 512"),
    ],
)
def test_records_that_are_none(tmp_path, row, reason):
    """JSON records with a wrong type, a wrong value or too many blocks are row errors with their line."""
    good = line(0, hash_ids=[1]) if "hash_ids" in row else line(0)
    assert f"line 2 is malformed: {reason}" in complaint(write(tmp_path, good + line(**row)))


@pytest.mark.parametrize("second", ["[1, 2]\n", "7\n", "not json\n", '{"timestamp": 1\n', "[" * 100_000 + "\n"])
def test_lines_that_are_no_records(tmp_path, second):
    """A line of JSON that is no object, or of no JSON at all, is a row error."""
    assert "line 2 is malformed" in complaint(write(tmp_path, line(0) + second))


def test_malformed_rows_are_counted(tmp_path):
    """Many malformed rows make one sentence: the first one's line, and how many there are."""
    text = complaint(write(tmp_path, CSV + "0,10,10\n1,0,10\n2,10,x\n3,1,1\n4,,\n"))
    assert "line 3 is malformed: input_tokens must be at least 1" in text
    assert "3 malformed lines in all" in text


def test_undecodable_rows(tmp_path):
    """Bytes that are no text are told by line, in the header as in a row."""
    assert "line 1 is no UTF-8 text" in complaint(write(tmp_path, b"\xff\xfe\x00binary\n"))
    assert "line 2 is malformed: is no UTF-8 text" in complaint(write(tmp_path, CSV.encode() + b"\xff,1,1\n"))


def test_unknown_layout_lists_the_formats(tmp_path):
    """A file of no known format is refused with its first line and the list of formats."""
    text = complaint(write(tmp_path, "time;in;out\n1;2;3\n"))
    assert "line 1 belongs to no known trace format: 'time;in;out'" in text
    assert "known: azure, claude_code, ragpulse, bailian, mooncake, burstgpt, csv, vllm_timed_trace" in text


def test_header_that_lacks_a_column(tmp_path):
    """A header that lacks a column of the format asked for says which."""
    text = complaint(write(tmp_path, "arrival_s,input_tokens\n1,2\n"), "csv")
    assert "the header lacks output_tokens" in text


@pytest.mark.parametrize(
    ("content", "form"), [(CSV + "0,1,1\n", "azure"), (AZURE + AZURE_ROWS, "csv"), (CSV, "mooncake")]
)
def test_wrong_format(tmp_path, content, form):
    """A file read as a format that it is not is refused."""
    assert "line 1" in complaint(write(tmp_path, content), form)


def test_unknown_format_name(tmp_path):
    """A format that does not exist is refused with the list and the nearest one."""
    with pytest.raises(TraceError, match=r"'moncake' is no trace format; known: auto, azure.*did you mean 'mooncake'"):
        read_trace(write(tmp_path, CSV), "moncake")


def test_unsorted_times_are_refused_unless_sorting_is_asked_for(tmp_path):
    """Times that go back are refused with the first line and the count; sorted on demand, ties as in the file."""
    path = write(tmp_path, CSV + "5,1,1\n3,2,1\n4,3,1\n3,4,1\n")
    text = complaint(path)
    assert "line 3 is earlier than the line before it; times go back 2 times in all" in text
    trace = read_trace(path, sort=True)
    assert (trace.arrival_s.tolist(), trace.input_tokens.tolist()) == ([3, 3, 4, 5], [2, 4, 3, 1])


def test_azure_stamps_are_exact(tmp_path):
    """Stamps of 100 ns survive: differences are exact to the digit, across midnight too; a bad stamp is a row error."""
    rows = "2023-11-16 23:59:59.9999999,1,1\n2023-11-17 00:00:00.0000001,1,1\n"
    assert read_trace(write(tmp_path, AZURE + rows)).span_s == 2e-7
    text = complaint(write(tmp_path, AZURE + rows + "yesterday,1,1\n"))
    assert "line 4 is malformed: TIMESTAMP is not a date and time" in text
    assert "line 2 is malformed" in complaint(write(tmp_path, AZURE + "2023-13-16 18:17:03.9,1,1\n"))
