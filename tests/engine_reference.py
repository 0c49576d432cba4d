"""The engine's semantics once more, in the plainest way: every step and every request one by one, no running sums.

One replica under open load without faults or timeouts. It exists to be compared with `sim.engine`, and shares nothing
with it but the plan, the law and the draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import floor

from sim.engine.plan import EngineLimits
from sim.steptime.law import StepLaw
from sim.workload.request import RequestDraw
from tests.prefix_reference import Block, NaiveCache, blocks_of


@dataclass(eq=False)
class Job:
    """One request."""

    arrival_s: float
    input_tokens: int
    output_tokens: int
    state: str = "waiting"
    out: int = 0
    target: int = 0
    stored: int = 0
    stored_at_join: int = 0
    steps: int = 0
    blocks: int = 0
    chunk: int = 0
    lane: int = 0
    scheduled_s: float = -1.0
    first_s: float = -1.0
    last_s: float = -1.0
    preemptions: int = 0
    names: list[Block] = field(default_factory=list)
    known: list[Block] = field(default_factory=list)
    joined: int = 0

    def __post_init__(self) -> None:
        self.target = self.input_tokens

    def name(self, draw: RequestDraw, block_size: int) -> None:
        """Name the blocks of prompt and output, token by token."""
        tokens: list[object] = [first + i for first, count in draw.prefix or () for i in range(count)]
        tokens = tokens[: self.input_tokens]
        tokens += [(id(self), i) for i in range(self.input_tokens - len(tokens))]
        first = draw.output_first_id
        tokens += [(id(self), -1 - i) if first is None else first + i for i in range(self.output_tokens)]
        self.names = blocks_of(tokens, block_size)


@dataclass
class Rank:
    """One attention rank."""

    waiting: list[Job] = field(default_factory=list)
    running: list[Job] = field(default_factory=list)
    cache: NaiveCache = field(default_factory=NaiveCache)

    def members(self, lane: int, state: str) -> list[Job]:
        return [job for job in self.running if job.lane == lane and job.state == state]


@dataclass
class Reference:
    """The replica; `run` fills the results.

    Attributes
    ----------
    rows : (arrival, TTFT, E2EL, queue time, preemptions) in order of completion.
    gaps : every gap between two tokens of one request.
    """

    limits: EngineLimits
    law: StepLaw
    rows: list[tuple[float, float, float, float, int]] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    steps: int = 0
    busy_s: float = 0.0
    prefill_step_s: float = 0.0
    sequence_s: float = 0.0
    kv_token_s: float = 0.0
    waiting_s: float = 0.0
    kv_peak_tokens: int = 0
    hit_tokens: int = 0
    prefilled_tokens: int = 0
    evicted_blocks: int = 0
    joins: int = 0

    def __post_init__(self) -> None:
        self.ranks = [Rank() for _ in range(self.limits.data_parallel_size)]

    def run(self, draws: Sequence[RequestDraw]) -> None:
        """Serve all draws to the end."""
        jobs = [Job(draw.arrival_s, draw.input_tokens, draw.output_tokens) for draw in draws]
        if self.limits.enable_prefix_caching:
            for job, draw in zip(jobs, draws, strict=True):
                job.name(draw, self.limits.block_size)
        jobs = [job for job in jobs if job.input_tokens + job.output_tokens <= self.limits.longest_request_tokens]
        now = 0.0
        while jobs or self.everybody():
            if not self.everybody():
                now = jobs[0].arrival_s
            while jobs and jobs[0].arrival_s <= now:
                self.enqueue(jobs.pop(0))
            for rank in self.ranks:
                self.form(rank, now)
            seconds = self.seconds()
            end = now + seconds
            decoding = [job for rank in self.ranks for job in rank.running if job.state == "decode"]
            self.busy_s += seconds
            self.sequence_s += seconds * len(decoding)
            self.kv_token_s += seconds * float(self.stored_tokens())
            self.waiting_s += seconds * sum(len(rank.waiting) for rank in self.ranks)
            if any(job.chunk for job in self.everybody()):
                self.prefill_step_s += seconds
            while jobs and jobs[0].arrival_s <= end:
                self.waiting_s += end - jobs[0].arrival_s
                self.enqueue(jobs.pop(0))
            self.steps += 1
            now = end
            self.finish_step(now)
        for rank in self.ranks:
            self.fit(rank)

    def everybody(self) -> list[Job]:
        return [job for rank in self.ranks for job in (*rank.running, *rank.waiting)]

    def enqueue(self, job: Job) -> None:
        load = {id(rank): len(rank.running) + len(rank.waiting) for rank in self.ranks}
        least = min(load.values())
        ranks = [rank for rank in self.ranks if load[id(rank)] <= least + self.limits.affinity_guard]
        max(ranks, key=lambda rank: (self.found(rank, job), -load[id(rank)])).waiting.append(job)

    # ---- the prefix cache ---------------------------------------------------------------------------------------

    def found(self, rank: Rank, job: Job) -> int:
        """Leading blocks that are cached; at least one token is to be computed."""
        self.fit(rank)
        return rank.cache.match(job.names[: (job.target - 1) // self.limits.block_size])

    def held(self, rank: Rank) -> int:
        """Blocks that running requests hold, shared ones once."""
        return len(rank.cache.holders) + sum(job.blocks - len(job.known) for job in rank.running)

    def stored_tokens(self) -> Fraction:
        size = self.limits.block_size
        known = sum(len(rank.cache.holders) for rank in self.ranks)
        return size * known + sum(self.fluid(job) - size * len(job.known) for job in self.everybody())

    def fluid(self, job: Job) -> Fraction:
        """Stored tokens with the part of one that steps of several tokens leave while decoding."""
        if job.state != "decode":
            return Fraction(job.stored)
        return job.stored_at_join + job.steps * self.limits.acceptance_length

    def fit(self, rank: Rank, *, growth: bool = True) -> None:
        """Evict what has no room beside the blocks held, and those that decoding takes in this step."""
        free = self.free(rank) if growth else self.limits.num_kv_blocks - self.held(rank)
        self.evicted_blocks += rank.cache.evict(free)

    def store(self, rank: Rank, job: Job) -> None:
        """Make whole blocks known; copies of blocks that are known already are given back."""
        if self.limits.enable_prefix_caching:
            beyond = job.input_tokens + job.out - 1 if job.state == "decode" else job.stored
            real = min(job.stored, beyond)  # what is verified beyond the end is nobody's
            blocks = job.names[len(job.known) : real // self.limits.block_size]
            rank.cache.hold(blocks)
            job.known += blocks

    def let_go(self, rank: Rank, job: Job) -> None:
        self.store(rank, job)
        rank.cache.release(job.known)
        job.known = []

    # ---- batch formation ----------------------------------------------------------------------------------------

    def free(self, rank: Rank) -> int:
        """Blocks left once every decoding sequence has its token of this step."""
        return self.limits.num_kv_blocks - self.held(rank) - sum(self.needs_blocks(job) for job in rank.running)

    def needs_blocks(self, job: Job) -> int:
        return self.more_blocks(job, self.accepted(job)) if job.state == "decode" else 0

    def accepted(self, job: Job) -> int:
        """Tokens that the next step puts out, should the request want them all."""
        length = self.limits.acceptance_length
        return floor((job.steps + 1) * length) - floor(job.steps * length)

    def form(self, rank: Rank, now: float) -> None:
        preempted = False
        self.fit(rank)
        while self.free(rank) < 0:
            self.preempt(rank)
            preempted = True
        lanes = range(self.limits.pipeline_parallel_size)
        width = 1 + self.limits.num_speculative_tokens
        budget = [self.limits.max_num_batched_tokens - width * len(rank.members(lane, "decode")) for lane in lanes]
        for lane in lanes:
            for job in rank.members(lane, "prefill"):
                if budget[lane] <= 0 or job not in rank.running:
                    continue
                chunk = min(job.target - job.stored, budget[lane])
                while self.more_blocks(job, chunk) > self.free(rank) and job in rank.running:
                    self.preempt(rank)
                    preempted = True
                if job not in rank.running:
                    break
                self.take(job, chunk)
                budget[lane] -= chunk
        while rank.waiting and not preempted and len(rank.running) < self.limits.max_num_seqs:
            lane = min(
                lanes,
                key=lambda lane: (
                    budget[lane] <= 0,
                    len(rank.members(lane, "decode")) + len(rank.members(lane, "prefill")),
                ),
            )
            if budget[lane] <= 0:
                return
            job = rank.waiting[0]
            if self.limits.scheduling_policy == "shortest_prefill":
                job = min(rank.waiting, key=lambda job: job.target)
            found = job.names[: self.found(rank, job)]
            stored = len(found) * self.limits.block_size
            chunk = min(job.target - stored, budget[lane])
            needed = self.blocks_of(chunk)
            if self.limits.scheduler_reserve_full_isl:
                under_way = [other for other in rank.running if other.state == "prefill"]
                needed = self.blocks_of(job.target - stored)
                needed += sum(self.more_blocks(other, other.target - other.stored) for other in under_way)
            if needed + sum(block in rank.cache.idle for block in found) > self.free(rank):
                return
            rank.cache.hold(found)
            job.known, job.blocks, job.stored = list(found), len(found), stored
            self.hit_tokens += stored
            rank.waiting.remove(job)
            rank.running.append(job)
            job.state, job.lane = "prefill", lane
            if job.scheduled_s < 0.0:
                job.scheduled_s = now
            self.take(job, chunk)
            budget[lane] -= chunk

    def more_blocks(self, job: Job, chunk: int) -> int:
        return self.blocks_of(job.stored + chunk) - job.blocks

    def blocks_of(self, tokens: int) -> int:
        """Blocks for these tokens and the drafts behind them."""
        return -(-(tokens + self.limits.num_speculative_tokens) // self.limits.block_size)

    def take(self, job: Job, chunk: int) -> None:
        job.blocks += self.more_blocks(job, chunk)
        job.chunk = chunk

    def preempt(self, rank: Rank) -> None:
        self.fit(rank)
        job = rank.running[-1]
        self.let_go(rank, job)
        rank.running.pop()
        job.state, job.target = "waiting", job.input_tokens + job.out
        job.stored = job.blocks = job.chunk = 0
        job.preemptions += 1
        rank.waiting.insert(0, job)

    # ---- one step -----------------------------------------------------------------------------------------------

    def seconds(self) -> float:
        law, cap = self.law, self.law.attention_cap_tokens
        slowest, most, prefill = 0.0, 0, False
        slots = [0] * self.limits.pipeline_parallel_size
        width = 1 + self.limits.num_speculative_tokens
        seqs = [0]
        for rank in self.ranks:
            for slot in range(len(slots)):
                contexts = [self.fluid(job) + 1 for job in rank.members(slot, "decode")]
                chunks = [(job.chunk, job.stored) for job in rank.members(slot, "prefill") if job.chunk]
                tokens = width * len(contexts) + sum(chunk for chunk, _ in chunks)
                if not tokens:
                    continue
                capped = sum(min(context, cap) for context in contexts) if cap else 0
                above = bool(cap) and any(context >= cap for context in contexts)
                held = [floor(total) if chunks else float(total) for total in (sum(contexts), capped)]
                slowest = max(slowest, law.mixed_s(len(contexts), *held, above, chunks))
                seqs.append(len(contexts))
                most, prefill = max(most, tokens), prefill or bool(chunks)
                slots[slot] += tokens
        drafts_s = law.drafts_s(sum(seqs), max(seqs)) if width > 1 else 0.0
        return slowest + law.shared_s(max(slots), most, prefill) + drafts_s

    def finish_step(self, now: float) -> None:
        for rank in self.ranks:
            for job in rank.running:
                if job.state == "decode":
                    accepted = self.accepted(job)
                    job.blocks += self.needs_blocks(job)
                    job.stored += accepted
                    job.steps += 1
                    for _ in range(min(accepted, job.output_tokens - job.out)):
                        self.token(job, now)
                job.stored += job.chunk
                self.prefilled_tokens += job.chunk
        self.kv_peak_tokens = max(self.kv_peak_tokens, floor(self.stored_tokens()))
        for rank in self.ranks:
            self.fit(rank, growth=False)
            finished = sorted(
                (job for job in rank.running if job.state == "decode" and job.out == job.output_tokens),
                key=lambda job: job.joined,
            )
            for lane in range(self.limits.pipeline_parallel_size):
                for job in rank.members(lane, "prefill"):
                    self.finish_chunk(rank, job, now)
            for job in finished:
                self.leave(rank, job, now)

    def finish_chunk(self, rank: Rank, job: Job, now: float) -> None:
        if not job.chunk:
            return
        job.chunk = 0
        self.store(rank, job)
        if job.stored < job.target:
            return
        self.token(job, now)
        if job.out == job.output_tokens:
            self.leave(rank, job, now)
        else:
            job.state, job.stored_at_join, job.steps = "decode", job.stored, 0
            self.joins += 1
            job.joined = self.joins

    def leave(self, rank: Rank, job: Job, now: float) -> None:
        self.let_go(rank, job)
        rank.running.remove(job)
        self.rows.append(
            (
                job.arrival_s,
                job.first_s - job.arrival_s,
                now - job.arrival_s,
                job.scheduled_s - job.arrival_s,
                job.preemptions,
            )
        )

    def token(self, job: Job, now: float) -> None:
        job.out += 1
        if job.out == 1:
            job.first_s = now
        else:
            self.gaps.append(now - job.last_s)
        job.last_s = now
