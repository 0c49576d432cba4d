"""How much of the prompts a prefix cache could have served."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import numpy.typing as npt

from sim.errors import TraceError
from sim.workload.prefix_tree import PrefixTree
from sim.workload.trace.trace import Trace


def prefix_hit_tokens(trace: Trace, capacity_blocks: int | None = None) -> npt.NDArray[np.int64]:
    """Prompt tokens of each request that lie in blocks seen before, in file order.

    A hit is the contiguous run of cached blocks from the start of the prompt, capped at the prompt's length because the
    last block is partial. Then the request's blocks are touched from last to first, and the cache is cut back to its
    capacity, least recently used first.

    Checked on Mooncake's FAST'25 conversation trace: 37.36 % of tokens hit without a limit, 21.57 % with 10,000
    and 33.22 % with 30,000 blocks; synthetic trace 65.12 % without a limit.

    Parameters
    ----------
    capacity_blocks : size of the cache; without a limit when None.

    Raises
    ------
    TraceError : the trace does not tell prefixes, or tells them without blocks where a capacity is given in those.
    """
    blocks = trace.blocks
    if trace.prompts is not None:
        if capacity_blocks is not None:
            raise TraceError(f"{trace.source}: has no blocks of fixed size, so a cache cannot be measured in them")
        tree = PrefixTree()
        return np.array([tree.add(runs) for runs in trace.prompts.rows()], dtype=np.int64)
    if blocks is None:
        raise TraceError(f"{trace.source}: has no hash_ids, so prefix sharing is unknown")
    cached: OrderedDict[int, None] = OrderedDict()
    runs = []
    for row in blocks.rows():
        run = 0
        for block in row:
            if block not in cached:
                break
            run += 1
        runs.append(run)
        for block in reversed(row):
            cached[block] = None
            cached.move_to_end(block)
        while capacity_blocks is not None and len(cached) > capacity_blocks:
            cached.popitem(last=False)
    return np.minimum(np.array(runs, dtype=np.int64) * blocks.block_tokens, trace.input_tokens)


def prefix_hit_frac(trace: Trace, capacity_blocks: int | None = None, *, skip: int = 0) -> float:
    """Share of prompt tokens that hit, over all requests but the first `skip`, which still fill the cache.

    Raises
    ------
    TraceError : the trace has no hashed blocks.
    """
    hits = prefix_hit_tokens(trace, capacity_blocks)
    return float(hits[skip:].sum() / trace.input_tokens[skip:].sum())
