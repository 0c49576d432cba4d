"""Small files in the form of public traces: what is read from them, and what is said when they are damaged."""

from __future__ import annotations

import json

import pytest

from sim.errors import TraceError
from sim.workload.sessions.claude_code import read_sessions
from sim.workload.sessions.recorded import RecordedCall
from sim.workload.trace.reader import read_trace

V1 = """Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type
5,ChatGPT,472,18,490,Conversation log
45,ChatGPT,1087,230,1317,Conversation log
118,GPT-4,417,276,693,Conversation log
119,GPT-4,417,0,417,API log
"""
V3 = """Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type
5,7,1.5,ChatGPT,472,18,490,Conversation log
45,,2.5,ChatGPT,1087,230,1317,API log
"""
CHATS = [
    {"chat_id": 1, "parent_chat_id": -1, "timestamp": 0.5, "input_length": 40, "hash_ids": [1, 2, 3]},
    {"chat_id": 2, "parent_chat_id": 1, "timestamp": 1.5, "input_length": 60, "hash_ids": [1, 2, 9, 8]},
    {"chat_id": 5, "parent_chat_id": 2, "timestamp": 2.5, "input_length": 16, "hash_ids": [1]},
]
SESSION = {
    "id": "s1",
    "block_size": 64,
    "requests": [
        {"t": 0.0, "type": "n", "in": 200, "out": 10, "api_time": 4.0, "think_time": 0.0, "hash_ranges": [[1, 3]]},
        {
            "t": 9.0,
            "type": "n",
            "in": 330,
            "out": 0,
            "api_time": 1.0,
            "think_time": 5.0,
            "hash_ranges": [[1, 3], [7, 8]],
        },
        {
            "t": 30.0,
            "type": "subagent",
            "agent_id": "a",
            "duration_ms": 18_000,
            "requests": [{"t": 1.0, "in": 100, "out": 5, "api_time": 2.0, "hash_ranges": [[20, 20]]}],
        },
        {"t": 34.0, "type": "n", "in": 400, "out": 3, "think_time": 24.0, "hash_ranges": [[1, 6]]},
    ],
}


def write(tmp_path, rows, name="trace.jsonl"):
    path = tmp_path / name
    path.write_text(rows if isinstance(rows, str) else "".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_burstgpt_is_read_by_column_name(tmp_path):
    """Both column orders are read; failed requests are left out, or kept as one token where that is asked for."""
    first = read_trace(write(tmp_path, V1))
    assert first.arrival_s.tolist() == [5, 45, 118]
    assert first.output_tokens.tolist() == [18, 230, 276]
    assert first.session_ids is None
    kept = read_trace(tmp_path / "trace.jsonl", "burstgpt_with_failures")
    assert kept.output_tokens.tolist() == [18, 230, 276, 1]
    third = read_trace(write(tmp_path, V3))
    assert third.input_tokens.tolist() == [472, 1087]
    assert third.session_ids == ("7", None)


def test_bailian_chats_form_sessions(tmp_path):
    """Times are seconds, blocks 16 tokens, and a chat belongs to the session of its first ancestor."""
    trace = read_trace(write(tmp_path, [{**chat, "output_length": 9} for chat in CHATS]))
    assert trace.arrival_s.tolist() == [0.5, 1.5, 2.5]
    assert trace.session_ids == ("1", "1", "1")
    assert list(trace.prefixes()) == [((16, 40),), ((16, 32), (144, 16), (128, 12)), ((16, 16),)]


def test_ragpulse_chains_its_components(tmp_path):
    """Equal components share a prefix only behind equal ones; the lengths come from the table beside the trace."""
    rows = [
        {"timestamp": "9", "input_length": 30, "output_length": 2, "session_id": "x",
         "hash_ids": {"sys_prompt": [1], "passages_ids": [7], "history": [], "web_search": [], "user_input": []}},
        {"timestamp": "2", "input_length": 30, "output_length": 2, "session_id": "x",
         "hash_ids": {"sys_prompt": [1], "passages_ids": [8, 7], "history": [], "web_search": [], "user_input": []}},
    ]  # fmt: skip
    path = write(tmp_path, rows)
    with pytest.raises(TraceError, match=r"needs the lengths of its components in ragpulse_component_lengths\.csv"):
        read_trace(path)
    lengths = "component,id,token_length\nsys_prompt,1,10\npassages_ids,7,9\npassages_ids,8,5\n"
    write(tmp_path, lengths, "ragpulse_component_lengths.csv")
    trace = read_trace(path)
    assert trace.arrival_s.tolist() == [2.0, 9.0], "the file is put in order of time"
    early, late = trace.prefixes()
    assert early[0] == late[0] == (0, 10)
    assert [n for _, n in early] == [10, 5, 9]
    assert early[2][0] != late[1][0], "the same passage at another place is another text"
    write(tmp_path, lengths.replace("passages_ids,8,5\n", ""), "ragpulse_component_lengths.csv")
    with pytest.raises(TraceError, match="passages_ids 8 has no length"):
        read_trace(path)


def test_recorded_session_keeps_its_pauses(tmp_path):
    """Pauses are the client's; a sub-agent starts with its recorded delay, and the call after it follows its end."""
    (session,) = read_sessions(write(tmp_path, [SESSION]))
    first, second, agents, last = session.steps
    assert isinstance(first, RecordedCall)
    assert first == (0.0, 4.0, 0.0, 200, 10, ((64, 192),))
    assert (second.gap_s, second.output_tokens, second.runs) == (5.0, 1, ((64, 192), (448, 128)))
    (agent,) = agents
    assert [(call.start_s, call.gap_s) for call in agent.calls()] == [(13.0, 3.0)]
    assert last.gap_s == 4.0, "from the sub-agent's end at 30 s"
    assert [call.input_tokens for call in session.calls()] == [200, 330, 100, 400]


def test_recorded_sessions_are_a_trace_too(tmp_path):
    """Read as a trace, every call stands at its recorded time, with runs that other sessions do not share."""
    trace = read_trace(write(tmp_path, [SESSION, {**SESSION, "id": "s2"}]))
    assert trace.arrival_s.tolist() == [0, 0, 9, 9, 13, 13, 34, 34]
    assert trace.session_ids[:2] == ("s1", "s2")
    first, other = list(trace.prefixes())[:2]
    assert first[0][1] == other[0][1] == 192
    assert first[0][0] != other[0][0]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"requests": []}, "requests is no list of calls"),
        ({"block_size": 0}, "block_size must be at least 1"),
        ({"requests": [{"t": 0, "in": 5, "out": 1}]}, "hash_ranges is no list"),
        ({"requests": [{"t": 0, "in": 5, "out": 1, "hash_ranges": [[3, 2]]}]}, "hash_ranges must be first and last"),
        ({"requests": [{"t": -1, "in": 5, "out": 1, "hash_ranges": []}]}, "t must not be negative"),
        ({"requests": [{"t": 0, "in": 5, "hash_ranges": []}]}, "out is missing"),
    ],
)
def test_damaged_sessions_are_told_by_line(tmp_path, change, says):
    """A malformed session names its line and what is wrong, once for all readers."""
    path = write(tmp_path, [SESSION, {**SESSION, **change}])
    for read in (read_sessions, read_trace):
        with pytest.raises(TraceError, match=f"line 2 is malformed: {says}") as caught:
            read(path)
        assert "\n" not in str(caught.value)
