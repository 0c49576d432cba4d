"""What an engine wants to see free beside the prompt itself before it admits a request.

vLLM asks for nothing more: it admits while the prompt fits and preempts when decoding has outgrown the pool. The two
rules here look ahead to the output, as the engine believes it to be: the `max_tokens` of the request, which is its own
output length unless the scenario says that clients ask for more; an engine cuts it to what fits.

A rank that runs nothing admits whatever fits, so that no request waits for ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush

from sim.engine.blocks import BlockPool
from sim.engine.lane import Lane
from sim.engine.plan import EngineLimits, NewTokenRatio
from sim.engine.request import Request, State, blocks_held, output_tokens


class Admission:
    """A rule of one rank, told of everything that changes what it promised."""

    __slots__ = ()

    def opens(self, lanes: Sequence[Lane], step: int) -> None:
        """A round of admissions begins; the prompts under way have their chunks of `step`."""

    def short_tokens(self, request: Request, found: int, idle: int) -> float:
        """Tokens that lack for a request that finds `found` blocks cached, `idle` of them idle; zero or less admits."""
        raise NotImplementedError

    def admitted(self, request: Request, found: int, need: int) -> None:
        """A request entered; it found `found` blocks and is about to take `need`."""

    def credit_tokens(self, request: Request, blocks: int) -> float:
        """Tokens that come free if a running request which holds `blocks` leaves."""
        raise NotImplementedError

    def decodes(self, request: Request, step: int) -> None:
        """A request begins to decode at `step`."""

    def leaves(self, request: Request, step: int) -> None:
        """A request stops running before `step`."""

    def was_idle(self) -> None:
        """A request arrived at a rank where nobody was."""

    def retracted(self, running: dict[Request, None], step: int) -> None:
        """Requests were put back for lack of blocks; `running` are left."""

    def chunked(self, step: int) -> None:
        """The step computes prompt tokens."""

    def steps_until(self, step: int, steps: int) -> int:
        """Of `steps` steps that only decode, those before the head of the queue may find room."""
        del step
        return steps

    def clear(self, step: int) -> None:
        """The replica died."""
        raise NotImplementedError


class Outputs:
    """The output that an engine expects of requests."""

    __slots__ = ("_longest", "_max_tokens")

    def __init__(self, limits: EngineLimits) -> None:
        self._max_tokens = limits.max_tokens
        self._longest = limits.longest_request_tokens

    def of(self, request: Request) -> int:
        """Its `max_tokens`, cut to what the engine can hold."""
        most = request.output_tokens  # with its prompt it fits, or it would have been refused
        return most if most >= self._max_tokens else min(self._max_tokens, self._longest - request.input_tokens)


class NoEvict(Admission):
    """TensorRT-LLM's GUARANTEED_NO_EVICT: every request is promised the blocks of prompt and whole output.

    Nobody who runs can lack a block, so nobody is ever put back. What is promised and not yet taken is a running sum:
    it falls by every block that is allocated, hence the pool's counter in it. The last token is sampled but never
    cached, so the blocks are those of one token less. While sequences decode, free and promised blocks fall alike.
    """

    __slots__ = ("_outputs", "_owed", "_pool")

    def __init__(self, limits: EngineLimits, pool: BlockPool) -> None:
        self._outputs = Outputs(limits)
        self._pool = pool
        self._owed = pool.allocated

    def _blocks(self, request: Request) -> int:
        return -(-(request.input_tokens + self._outputs.of(request) - 1) // self._pool.block_size)

    def short_tokens(self, request: Request, found: int, idle: int) -> float:
        """As in `Admission`."""
        pool = self._pool
        promised = self._owed - pool.allocated
        return (self._blocks(request) - found + idle + promised - pool.free) * pool.block_size

    def admitted(self, request: Request, found: int, _need: int) -> None:
        """As in `Admission`."""
        self._owed += self._blocks(request) - found

    def credit_tokens(self, request: Request, _blocks: int) -> float:
        """As in `Admission`: what it holds and what it was promised."""
        return self._blocks(request) * self._pool.block_size

    def leaves(self, request: Request, step: int) -> None:
        """As in `Admission`."""
        self._owed -= self._blocks(request) - blocks_held(request, step, self._pool.block_size)

    def clear(self, _step: int) -> None:
        """As in `Admission`."""
        self._owed = self._pool.allocated


class ExpectedTokens(Admission):
    """SGLang's rule (`PrefillAdder.add_one_req`): prompt and whole output of the newcomer beside what others will take.

    A request enters if its uncached prompt, its remaining `max_tokens` (at most `clip_tokens`) and one block are less
    than the free tokens, less the same of prompts under way, less `new_token_ratio` times what decoding requests may
    still generate (each at most `clip_tokens`). The ratio starts high, falls with every step that only decodes, jumps
    to the progress of the batch when requests are retracted, and starts again when nobody is here.

    The sum over decoding requests advances by steps: one whose remainder is at the clip does not change it until the
    step at which the remainder falls below, kept in a heap.
    """

    __slots__ = (
        "_above",
        "_below",
        "_crossings",
        "_ends",
        "_excluded",
        "_excluded_step",
        "_law",
        "_order",
        "_origin",
        "_outputs",
        "_pending_tokens",
        "_pool",
        "_refused_tokens",
        "_restart",
        "_start",
    )

    def __init__(self, limits: EngineLimits, law: NewTokenRatio, pool: BlockPool) -> None:
        self._law = law
        self._pool = pool
        self._outputs = Outputs(limits)
        self._order = 0
        self.clear(0)

    def clear(self, step: int) -> None:
        """As in `Admission`."""
        self._above = self._below = self._ends = self._pending_tokens = 0
        self._crossings: list[tuple[int, int, Request, int]] = []
        self._refused_tokens: int | None = None
        self._start = self._law.initial
        self._excluded = 0  # steps so far that did not let the ratio fall
        self._excluded_step = -1
        self._origin = step  # steps that count, when the ratio was `_start`
        self._restart = False

    def ratio(self, step: int) -> float:
        """The new-token ratio with which the batch of `step` forms."""
        fallen = step - self._excluded - self._origin
        return self._start if fallen <= 0 else max(self._start - fallen * self._law.decay, self._law.minimum)

    def remaining_tokens(self, step: int) -> int:
        """Sum over decoding requests of the tokens that they may still generate from `step` on, each clipped."""
        crossings = self._crossings
        while crossings and crossings[0][0] <= step:
            cross, _, request, epoch = heappop(crossings)
            if request.epoch == epoch:
                self._above -= 1
                self._below += 1
                self._ends += cross + self._law.clip_tokens
        return self._above * self._law.clip_tokens + self._ends - self._below * step

    def opens(self, lanes: Sequence[Lane], step: int) -> None:
        """As in `Admission`."""
        if self._restart:
            self._restart = False
            self._start = self._law.initial
            self._origin = step - self._excluded
        self._refused_tokens = None
        size = self._pool.block_size
        pending_tokens = 0
        for lane in lanes:
            for request in lane.prefilling:
                pending_tokens += (-(-request.target_tokens // size) - request.blocks) * size + self._further(request)
        self._pending_tokens = pending_tokens

    def _further(self, request: Request) -> int:
        """Tokens charged beside the prompt of a request that is not decoding yet."""
        left, clip_tokens = self._outputs.of(request) - request.generated, self._law.clip_tokens
        return (left if left < clip_tokens else clip_tokens) + self._pool.block_size  # noqa: FURB136 - min costs more

    def short_tokens(self, request: Request, found: int, idle: int) -> float:
        """As in `Admission`; SGLang wants strictly less than what is free."""
        pool = self._pool
        size, step = pool.block_size, pool.step
        wanted = request.target_tokens + (idle - found) * size + self._further(request) + self._pending_tokens
        room = (pool.free - pool.growth()) * size - self.ratio(step) * self.remaining_tokens(step)
        if wanted < room:
            return 0.0
        self._refused_tokens = wanted
        return wanted - room + 1.0

    def admitted(self, request: Request, found: int, need: int) -> None:
        """As in `Admission`."""
        size = self._pool.block_size
        blocks = -(-request.target_tokens // size) - found - need
        self._pending_tokens += blocks * size + self._further(request)

    def credit_tokens(self, _request: Request, blocks: int) -> float:
        """As in `Admission`."""
        return blocks * self._pool.block_size

    def decodes(self, request: Request, step: int) -> None:
        """As in `Admission`."""
        left = self._outputs.of(request) - request.generated
        cross = step + left - self._law.clip_tokens
        if cross <= step:
            self._below += 1
            self._ends += step + left
            return
        self._above += 1
        self._order += 1
        heappush(self._crossings, (cross, self._order, request, request.epoch))

    def leaves(self, request: Request, step: int) -> None:
        """As in `Admission`."""
        if request.state is not State.DECODE:
            return
        if self._crossings:
            self.remaining_tokens(step)
        left = self._outputs.of(request) - request.generated - step + request.join_step
        if left > self._law.clip_tokens:
            self._above -= 1
        else:
            self._below -= 1
            self._ends -= step + left

    def was_idle(self) -> None:
        """As in `Admission`."""
        self._restart = True

    def retracted(self, running: dict[Request, None], step: int) -> None:
        """As in `Admission`: the ratio is the progress that decoding requests will have after `retract_steps` more."""
        decoding = [request for request in running if request.state is State.DECODE]
        done = sum(output_tokens(request, step) for request in decoding)
        most = sum(self._outputs.of(request) for request in decoding)
        self._start = min(1.0, (done + self._law.retract_steps * len(decoding)) / (most + 1))
        self._exclude(step)
        self._origin = step + 1 - self._excluded

    def chunked(self, step: int) -> None:
        """As in `Admission`: SGLang lowers the ratio only in steps without prompts."""
        self._exclude(step)

    def _exclude(self, step: int) -> None:
        if self._excluded_step != step:
            self._excluded_step = step
            self._excluded += 1

    def steps_until(self, step: int, steps: int) -> int:
        """As in `Admission`: the ratio falls, and so does what is left to generate, while blocks run out."""
        wanted = self._refused_tokens
        if wanted is None:
            return steps
        tokens = self.remaining_tokens(step)
        if self._crossings:
            steps = min(steps, self._crossings[0][0] - step)
        pool = self._pool
        size, phases, free = pool.block_size, pool.phases, pool.free
        least = min(self._start, self.ratio(step + steps)) * (tokens - steps * self._below)
        if wanted >= free * size - least:
            return steps
        for ahead in range(1, steps):
            free -= phases[(step + ahead - 1) % size]
            tokens -= self._below
            if wanted < (free - phases[(step + ahead) % size]) * size - self.ratio(step + ahead) * tokens:
                return ahead
        return steps


def admission_of(limits: EngineLimits, pool: BlockPool) -> Admission | None:
    """The rule of an engine, or None for one that looks at prompts only."""
    if limits.scheduler == "sglang":
        assert limits.new_token_ratio is not None
        return ExpectedTokens(limits, limits.new_token_ratio, pool)
    if limits.scheduler == "tensorrt-llm" and limits.capacity_scheduler_policy == "GUARANTEED_NO_EVICT":
        return NoEvict(limits, pool)
    return None
