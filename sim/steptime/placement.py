"""Where the copies of the experts lie: DeepSeek's load balancer (EPLB), for many layers at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Placement:
    """Experts on the GPUs of an expert-parallel group, for each of several layers.

    Attributes
    ----------
    expert : (layers, slots) the expert that each slot holds a copy of.
    rank : (layers, slots) the GPU of each slot.
    copies : (layers, experts) how many copies an expert has.
    ranks : GPUs, each with as many slots.
    """

    expert: Ints
    rank: Ints
    copies: Ints
    ranks: int

    def slot_shares(self, shares: Floats) -> Floats:
        """(layers, slots) share of the tokens that reach each slot when the copies of an expert take turns."""
        return np.asarray(np.take_along_axis(shares / self.copies, self.expert, axis=1))

    def by_rank(self, slots: Floats) -> Floats:
        """(layers, ranks) sums over the slots of each GPU."""
        layers = slots.shape[0]
        bins = np.arange(layers)[:, None] * self.ranks + self.rank
        summed = np.bincount(bins.ravel(), weights=slots.ravel(), minlength=layers * self.ranks)
        return np.asarray(summed.reshape(layers, self.ranks), dtype=float)

    def received(self, before: Placement) -> Floats:
        """(layers, ranks) experts that each GPU must fetch because it did not hold them in another placement."""
        layers = np.arange(self.expert.shape[0])[:, None]
        experts = self.copies.shape[1]
        had = np.zeros((self.expert.shape[0], self.ranks, experts), dtype=bool)
        had[layers, before.rank, before.expert] = True
        wanted = np.zeros_like(had)
        wanted[layers, self.rank, self.expert] = True
        return np.asarray((wanted & ~had).sum(axis=2), dtype=float)


def in_order(layers: int, experts: int, ranks: int) -> Placement:
    """Experts as numbered, as evenly as they divide; the first GPUs get one more where they do not."""
    rank = np.concatenate([np.full(len(part), i) for i, part in enumerate(np.array_split(np.arange(experts), ranks))])
    expert = np.broadcast_to(np.arange(experts), (layers, experts))
    return Placement(expert, np.broadcast_to(rank, (layers, experts)), np.ones((layers, experts), dtype=np.intp), ranks)


def balanced(loads: Floats, ranks: int, slots: int) -> Placement:
    """Copies for the hottest experts, then every slot, heaviest first, to the GPU with least load and room.

    The global policy of DeepSeek's EPLB, which vLLM and SGLang run for models without node-limited groups: each spare
    slot goes to the expert with the highest load per copy.

    Parameters
    ----------
    loads : (layers, experts) tokens that the balancer has counted.
    ranks, slots : GPUs, and slots over all of them; slots a multiple of ranks and not below the number of experts.
    """
    layers, experts = loads.shape
    at = np.arange(layers)
    copies = np.ones((layers, experts), dtype=np.intp)
    expert = np.empty((layers, slots), dtype=np.intp)
    expert[:, :experts] = np.arange(experts)
    for slot in range(experts, slots):
        hottest = np.argmax(loads / copies, axis=1)
        expert[:, slot] = hottest
        copies[at, hottest] += 1
    weights = np.take_along_axis(loads / copies, expert, axis=1)
    order = np.argsort(-weights, axis=1, kind="stable")
    load, room = np.zeros((layers, ranks)), np.full((layers, ranks), slots // ranks)
    rank = np.empty((layers, slots), dtype=np.intp)
    for place in range(slots):
        slot_of = order[:, place]
        lightest = np.argmin(np.where(room > 0, load, np.inf), axis=1)
        rank[at, slot_of] = lightest
        load[at, lightest] += weights[at, slot_of]
        room[at, lightest] -= 1
    return Placement(expert, rank, copies, ranks)
