"""The laws that a synthetic session is drawn from."""

from __future__ import annotations

from dataclasses import dataclass, field

from sim.errors import ScenarioError
from sim.workload.checks import at_least_one, between, positive
from sim.workload.lengths.law import LengthLaw
from sim.workload.sessions.gaps import Gaps
from sim.workload.sessions.shared_text import SharedText


@dataclass(frozen=True, slots=True)
class SessionLaws:
    """How many calls, how long, how far apart, and what they share.

    Parameters
    ----------
    calls : calls of a session.
    first : prompt of the first call: the whole prompt, which holds as much of the shared text as fits before its last
        token, if `first_is_whole`; otherwise what follows the shared text.
    new : tokens that each later call adds to the history; counted from the end of the prompt before it, so that the
        kept answer is part of them, if `new_includes_answer` (as traces of prompts count), else behind the answer.
    output : generated tokens of each call.
    gaps : pauses between calls.
    shared : text at the start of every prompt.
    keeps_history : whether a call's prompt begins with that of the call before; otherwise every prompt is drawn anew
        from `first` and has only the shared text in common with others.
    output_kept_frac : share of an answer that the next prompt contains; below 1 the model's reasoning is dropped, and
        what stays is computed anew, since it stands at another place.
    break_frac, break_kept_frac : chance of a call that its history was edited, and the share of its own history in
        front of the edit; what follows the edit is in no cache.
    max_context_tokens, compact_to_frac : prompt and answer that would exceed the limit make the agent replace its own
        history by a summary, so that the context falls to this share of the limit.
    rank_correlation : Spearman correlation of prompt and output, where every prompt is drawn anew.
    together_within_s : all calls of a session start within this time and do not wait for each other; None for calls
        that follow one another.
    abandon_after_s : mean of the exponential patience with one answer; None for users who always come back.

    Raises
    ------
    ScenarioError : a value out of range, or a correlation of prompts that are not drawn anew.
    """

    calls: LengthLaw
    first: LengthLaw
    new: LengthLaw
    output: LengthLaw
    gaps: Gaps
    shared: SharedText = field(default_factory=SharedText)
    first_is_whole: bool = True
    new_includes_answer: bool = False
    keeps_history: bool = True
    output_kept_frac: float = 1.0
    break_frac: float = 0.0
    break_kept_frac: float = 0.0
    max_context_tokens: int | None = None
    compact_to_frac: float = 0.5
    rank_correlation: float = 0.0
    together_within_s: float | None = None
    abandon_after_s: float | None = None

    def __post_init__(self) -> None:
        for name in ("output_kept_frac", "break_frac", "break_kept_frac", "compact_to_frac"):
            between(name, getattr(self, name), 0.0, 1.0)
        between("rank_correlation", self.rank_correlation, -1.0, 1.0)
        if self.max_context_tokens is not None:
            at_least_one("max_context_tokens", self.max_context_tokens)
        for name in ("together_within_s", "abandon_after_s"):
            if (value := getattr(self, name)) is not None:
                positive(name, value)
        if self.rank_correlation and self.keeps_history:
            raise ScenarioError(
                "belongs to prompts that are drawn anew for each call",
                key="rank_correlation",
                value=self.rank_correlation,
                valid="0 where sessions keep their history",
            )


@dataclass(frozen=True, slots=True)
class SubAgents:
    """Sub-agents that a session starts now and then, and waits for.

    Parameters
    ----------
    laws : of one sub-agent's own session.
    calls_frac : share of all calls that sub-agents make, in the long run.
    parallel : sub-agents started at a time.

    Raises
    ------
    ScenarioError : share outside [0, 1) or no sub-agent.
    """

    laws: SessionLaws
    calls_frac: float
    parallel: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.calls_frac < 1:
            raise ScenarioError(
                "must be a share below 1", key="calls_frac", value=self.calls_frac, valid="at least 0, below 1"
            )
        at_least_one("parallel", self.parallel)

    @property
    def start_frac(self) -> float:
        """Chance of a call of the main session to be preceded by sub-agents; at most 1."""
        per_start = self.parallel * self.laws.calls.mean_tokens
        return min(1.0, self.calls_frac / (1.0 - self.calls_frac) / per_start)
