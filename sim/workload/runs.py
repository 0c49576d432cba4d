"""The content of a prompt, as runs of token identities.

A run (a, n) stands for the n tokens a, a + 1, ..., a + n - 1. Two prompts share the longest leading sequence of
identities that they have in common, so a conversation of any length is one run that grows.
"""

from __future__ import annotations

from collections.abc import Iterable

Run = tuple[int, int]
Runs = tuple[Run, ...]


def merged(runs: Iterable[Run]) -> Runs:
    """The same tokens in the fewest runs; empty runs vanish.

    >>> merged([(0, 512), (512, 512), (9216, 100)])
    ((0, 1024), (9216, 100))
    """
    out: list[Run] = []
    for first, tokens in runs:
        if tokens <= 0:
            continue
        if out and out[-1][0] + out[-1][1] == first:
            out[-1] = (out[-1][0], out[-1][1] + tokens)
        else:
            out.append((first, tokens))
    return tuple(out)


def leading(runs: Iterable[Run], tokens: int) -> Runs:
    """The first `tokens` tokens of the runs, or all of them when there are fewer.

    >>> leading(((0, 100), (500, 100)), 130)
    ((0, 100), (500, 30))
    """
    out: list[Run] = []
    left = tokens
    for first, length in runs:
        if left <= 0:
            break
        out.append((first, min(length, left)))
        left -= length
    return tuple(out)


def length(runs: Iterable[Run]) -> int:
    """Tokens in the runs."""
    return sum(tokens for _, tokens in runs)


def of_blocks(block_ids: Iterable[int], block_tokens: int, input_tokens: int) -> Runs:
    """Runs of a prompt that is known by its blocks: block b is the run (b x block_tokens, block_tokens).

    Where the last block is partial, it ends with the prompt. A source that lists whole blocks only leaves a rest of
    less than a block, which belongs to the request alone.

    >>> of_blocks([0, 1, 7], 512, 1100)
    ((0, 1024), (3584, 76))
    """
    return leading(merged((block * block_tokens, block_tokens) for block in block_ids), input_tokens)
