"""Text that many sessions begin with: a system prompt, and what the sessions of one group have in common."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.workload.checks import at_least_one, between, not_negative
from sim.workload.lengths.law import Floats, Tokens
from sim.workload.runs import Runs, merged
from sim.workload.sessions.identities import group_first_id, root_first_id


@dataclass(frozen=True, slots=True)
class SharedText:
    """What a session's prompts begin with before its own text.

    Parameters
    ----------
    root_tokens : system prompt and tools.
    root_frac : share of sessions that begin with it; the others begin with text of their own.
    group_tokens : text that the sessions of one group share behind the root: a repository, a customer, a document set.
    groups, group_zipf : number of groups, and the exponent of their popularity: group k is drawn in proportion to
        k^-group_zipf; zero makes all alike.
    root_number : tells the root apart from that of other kinds of sessions in the same run.

    Raises
    ------
    ScenarioError : negative lengths or exponent, a share outside [0, 1], or no group.
    """

    root_tokens: int = 0
    root_frac: float = 1.0
    group_tokens: int = 0
    groups: int = 1
    group_zipf: float = 0.0
    root_number: int = 0

    def __post_init__(self) -> None:
        not_negative("root_tokens", self.root_tokens)
        between("root_frac", self.root_frac, 0.0, 1.0)
        not_negative("group_tokens", self.group_tokens)
        at_least_one("groups", self.groups)
        not_negative("group_zipf", self.group_zipf)

    def group_of(self, uniforms: Floats) -> Tokens:
        """Group of each session, from 0, the most popular first."""
        ladder = np.cumsum(np.arange(1, self.groups + 1, dtype=np.float64) ** -self.group_zipf)
        return np.searchsorted(ladder / ladder[-1], uniforms, side="right").astype(np.int64)

    def runs(self, *, has_root: bool, group: int) -> Runs:
        """The shared text of one session."""
        root = (root_first_id(self.root_number), self.root_tokens if has_root else 0)
        return merged((root, (group_first_id(group), self.group_tokens)))
