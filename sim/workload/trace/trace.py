"""A request trace in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sim.errors import TraceError
from sim.workload.runs import Runs, of_blocks
from sim.workload.trace.blocks import HashBlocks
from sim.workload.trace.prompt_runs import PromptRuns


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """Requests in order of arrival, one array per column.

    Attributes
    ----------
    arrival_s : seconds on the trace's own clock, not decreasing, not negative.
    input_tokens, output_tokens : lengths in tokens of the trace's own tokenizer, at least 1.
    source : file name or origin, for messages and reports.
    session_ids : conversation of each request, where the trace has them.
    blocks : hashed prompt blocks, where the trace has them.
    prompts : prompts as runs of token identities, where the trace has those instead.

    Raises
    ------
    TraceError : no requests, columns of unequal length, times not finite, negative or unsorted, lengths below 1.
    """

    arrival_s: npt.NDArray[np.float64]
    input_tokens: npt.NDArray[np.int64]
    output_tokens: npt.NDArray[np.int64]
    source: str
    session_ids: tuple[str | None, ...] | None = None
    blocks: HashBlocks | None = None
    prompts: PromptRuns | None = None

    def __post_init__(self) -> None:
        n = len(self.arrival_s)
        if n == 0:
            raise TraceError(f"{self.source}: has no requests")
        columns = (self.input_tokens, self.output_tokens, self.session_ids, self.blocks, self.prompts)
        if any(column is not None and len(column) != n for column in columns):
            raise TraceError(f"{self.source}: columns have unequal lengths")
        if not np.all(np.isfinite(self.arrival_s)) or self.arrival_s.min() < 0:
            raise TraceError(f"{self.source}: arrival times must be finite and not negative")
        if np.any(np.diff(self.arrival_s) < 0):
            raise TraceError(f"{self.source}: arrival times are not sorted")
        if self.input_tokens.min() < 1 or self.output_tokens.min() < 1:
            raise TraceError(f"{self.source}: input and output lengths must be at least 1 token")

    def __len__(self) -> int:
        return len(self.arrival_s)

    @property
    def span_s(self) -> float:
        """Time from the first to the last arrival."""
        return float(self.arrival_s[-1] - self.arrival_s[0])

    def take(self, requests: npt.NDArray[np.intp]) -> Trace:
        """The chosen requests, whose order must be that of arrival."""
        return Trace(
            arrival_s=self.arrival_s[requests],
            input_tokens=self.input_tokens[requests],
            output_tokens=self.output_tokens[requests],
            source=self.source,
            session_ids=None if self.session_ids is None else tuple(self.session_ids[i] for i in requests.tolist()),
            blocks=None if self.blocks is None else self.blocks.take(requests),
            prompts=None if self.prompts is None else self.prompts.take(requests),
        )

    def retimed(self, arrival_s: npt.NDArray[np.float64]) -> Trace:
        """The same requests at other times."""
        return replace(self, arrival_s=arrival_s)

    def from_zero(self) -> Trace:
        """The same requests with the first one at time zero."""
        return self.retimed(self.arrival_s - self.arrival_s[0])

    @property
    def knows_prefixes(self) -> bool:
        """Whether the trace tells what prompts have in common."""
        return self.blocks is not None or self.prompts is not None

    def prefixes(self) -> Iterator[Runs]:
        """Each prompt as runs of token identities; empty ones where the trace tells nothing."""
        if self.prompts is not None:
            yield from self.prompts.rows()
        elif self.blocks is not None:
            size = self.blocks.block_tokens
            for ids, tokens in zip(self.blocks.rows(), self.input_tokens.tolist(), strict=True):
                yield of_blocks(ids, size, tokens)
        else:
            for _ in range(len(self)):
                yield ()
