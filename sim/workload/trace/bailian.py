"""Qwen-Bailian's JSON lines: Mooncake's fields with times in seconds, blocks of 16 tokens, and the tree of a chat."""

from __future__ import annotations

from pathlib import Path

from sim.workload.trace.json_record import has_keys, number_of, record_of, whole_ids
from sim.workload.trace.row import Format, Row, RowParser, finite, seconds, token_count

KEYS = ("chat_id", "parent_chat_id", "timestamp", "input_length", "output_length")
BLOCK_TOKENS = 16
NO_PARENT = -1


def _parser(_first: str, _path: Path) -> RowParser:
    first_of_chat: dict[int, int] = {}

    def parse(line: str) -> Row:
        record = record_of(line)
        chat, parent = (_chat(record, key) for key in ("chat_id", "parent_chat_id"))
        ids = record.get("hash_ids")
        row = Row(
            seconds("timestamp", number_of(record, "timestamp")),
            token_count("input_length", number_of(record, "input_length")),
            token_count("output_length", number_of(record, "output_length")),
            str(chat if parent == NO_PARENT else first_of_chat.get(parent, parent)),
            None if ids is None else whole_ids("hash_ids", ids),
        )
        first_of_chat[chat] = chat if parent == NO_PARENT else first_of_chat.get(parent, parent)
        return row

    return parse


def _chat(record: dict[str, object], key: str) -> int:
    number = finite(key, number_of(record, key))
    if number != int(number):
        raise ValueError(f"{key} must be a whole number")
    return int(number)


BAILIAN = Format(
    name="bailian",
    has_header=False,
    recognises=lambda line: has_keys(line, KEYS),
    parser=_parser,
    ticks_per_s=1,
    block_tokens=BLOCK_TOKENS,
)
