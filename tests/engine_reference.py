"""The engine's semantics once more, in the plainest way: every step and every request one by one, no running sums.

One replica under open load without faults or timeouts, with KV tiers (`tests.tier_reference`) or without. It exists to
be compared with `sim.engine`, and shares nothing with it but the plan, the law and the draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf

from sim.engine.plan import EngineLimits
from sim.engine.tier_plan import HostPlan, RemotePlan
from sim.steptime.law import StepLaw
from sim.workload.request import RequestDraw
from tests.prefix_reference import Block, NaiveCache, blocks_of
from tests.tier_reference import Pool, Tiers


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
    fetch: tuple[int, int] = (0, 0)
    lands_s: float = -1.0

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
    tiers: Tiers | None = None

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
    host: HostPlan | None = None
    remote: RemotePlan | None = None
    now: float = 0.0
    host_tokens: int = 0
    remote_tokens: int = 0
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
        if self.host is not None or self.remote is not None:
            pool = Pool(self.remote, self.limits.block_size) if self.remote is not None else None
            for rank in self.ranks:
                rank.tiers = Tiers(self.limits.block_size, self.host, pool)

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
            self.now = now
            while jobs and jobs[0].arrival_s <= now:
                self.enqueue(jobs.pop(0))
            self.land()
            for rank in self.ranks:
                self.form(rank, now)
            if not any(job.chunk or job.state == "decode" for job in self.everybody()):
                now = self.idle(jobs[0].arrival_s if jobs else inf)
                continue
            seconds = self.seconds()
            end = now + seconds
            decoding = [job for rank in self.ranks for job in rank.running if job.state == "decode"]
            self.busy_s += seconds
            self.sequence_s += seconds * len(decoding)
            self.kv_token_s += seconds * self.stored_tokens()
            self.waiting_s += seconds * sum(len(rank.waiting) for rank in self.ranks)
            if any(job.chunk for job in self.everybody()):
                self.prefill_step_s += seconds
            while jobs and jobs[0].arrival_s <= end:
                self.waiting_s += end - jobs[0].arrival_s
                self.enqueue(jobs.pop(0))
            self.steps += 1
            self.now = now = end
            self.finish_step(now)
        for rank in self.ranks:
            self.fit(rank)

    def idle(self, arrival_s: float) -> float:
        """Let time pass until somebody arrives or a transfer is over; returns when that is."""
        here = self.everybody()
        until = min([arrival_s, *(job.lands_s for job in here if job.state == "fetch")])
        self.kv_token_s += (until - self.now) * self.stored_tokens()
        self.waiting_s += (until - self.now) * sum(job.state == "waiting" for job in here)
        self.kv_peak_tokens = max(self.kv_peak_tokens, self.stored_tokens())
        return until

    def land(self) -> None:
        """Transfers that are over: the tokens are there."""
        pairs = [(job, rank) for rank in self.ranks for job in rank.running if job.state == "fetch"]
        for job, rank in sorted(pairs, key=lambda pair: pair[0].lands_s):
            if job.lands_s > self.now:
                return
            assert rank.tiers is not None
            job.stored += sum(job.fetch)
            self.host_tokens += job.fetch[0]
            self.remote_tokens += job.fetch[1]
            rank.tiers.forget(job)
            self.fit(rank, growth=False)
            self.store(rank, job)
            lanes = range(self.limits.pipeline_parallel_size)
            job.lane = min(lanes, key=lambda lane: sum(len(rank.members(lane, s)) for s in ("decode", "prefill")))
            job.state = "prefill"
            if job.stored == job.target:
                self.join(job)

    def join(self, job: Job) -> None:
        job.state = "decode"
        self.joins += 1
        job.joined = self.joins

    def everybody(self) -> list[Job]:
        return [job for rank in self.ranks for job in (*rank.running, *rank.waiting)]

    def enqueue(self, job: Job) -> None:
        load = {id(rank): len(rank.running) + len(rank.waiting) for rank in self.ranks}
        least = min(load.values())
        ranks = [rank for rank in self.ranks if load[id(rank)] <= least + self.limits.affinity_guard]
        max(ranks, key=lambda rank: (self.near(rank, job), -load[id(rank)])).waiting.append(job)

    # ---- the prefix cache ---------------------------------------------------------------------------------------

    def found(self, rank: Rank, job: Job) -> int:
        """Leading blocks that are cached; at least one token is to be computed."""
        self.fit(rank)
        return rank.cache.match(job.names[: (job.target - 1) // self.limits.block_size])

    def sought(self, job: Job) -> list[Block]:
        return job.names[: (job.target - 1) // self.limits.block_size]

    def near(self, rank: Rank, job: Job) -> int:
        """Leading blocks that are on the GPU or its host."""
        found = self.found(rank, job)
        return found if rank.tiers is None else max(found, rank.tiers.near(self.sought(job)))

    def held(self, rank: Rank) -> int:
        """Blocks that running requests hold, shared ones once."""
        return len(rank.cache.holders) + sum(job.blocks - len(job.known) for job in rank.running)

    def stored_tokens(self) -> int:
        size = self.limits.block_size
        known = sum(len(rank.cache.holders) for rank in self.ranks)
        return size * known + sum(job.stored - size * len(job.known) for job in self.everybody())

    def fit(self, rank: Rank, *, growth: bool = True) -> None:
        """Evict what has no room beside the blocks held, and those that decoding takes in this step."""
        free = self.free(rank) if growth else self.limits.num_kv_blocks - self.held(rank)
        gone = rank.cache.evicted(free)
        self.evicted_blocks += len(gone)
        if rank.tiers is not None:
            rank.tiers.spill(gone)

    def store(self, rank: Rank, job: Job) -> None:
        """Make whole blocks known; copies of blocks that are known already are given back."""
        if self.limits.enable_prefix_caching:
            blocks = job.names[len(job.known) : job.stored // self.limits.block_size]
            if blocks and rank.tiers is not None:
                rank.tiers.flush(self.now)
            rank.cache.hold(blocks)
            job.known += blocks

    def let_go(self, rank: Rank, job: Job) -> None:
        if rank.tiers is not None:
            rank.tiers.flush(self.now)
        self.store(rank, job)
        rank.cache.release(job.known)
        job.known = []

    # ---- batch formation ----------------------------------------------------------------------------------------

    def free(self, rank: Rank) -> int:
        """Blocks left once every decoding sequence has its token of this step."""
        return self.limits.num_kv_blocks - self.held(rank) - sum(self.needs_block(job) for job in rank.running)

    def needs_block(self, job: Job) -> bool:
        return job.state == "decode" and job.stored == job.blocks * self.limits.block_size

    def form(self, rank: Rank, now: float) -> None:
        preempted = False
        self.fit(rank)
        while self.free(rank) < 0:
            self.preempt(rank)
            preempted = True
        lanes = range(self.limits.pipeline_parallel_size)
        budget = [self.limits.max_num_batched_tokens - len(rank.members(lane, "decode")) for lane in lanes]
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
            fetch = (0, 0) if rank.tiers is None else rank.tiers.find(job, len(found), self.sought(job), self.now)
            needed = -(-(chunk if rank.tiers is None else job.target - stored) // self.limits.block_size)
            if self.limits.scheduler_reserve_full_isl:
                under_way = [other for other in rank.running if other.state == "prefill"]
                needed = -(-(job.target - stored) // self.limits.block_size)
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
            budget[lane] -= self.begin(rank, job, len(found), fetch, chunk)

    def begin(self, rank: Rank, job: Job, found: int, fetch: tuple[int, int], chunk: int) -> int:
        """Start an admitted job with its first chunk, or with a transfer; returns the tokens of the step it takes."""
        tiers = rank.tiers
        if tiers is not None:
            tiers.flush(self.now)
        if tiers is not None and any(fetch):
            job.state, job.lane, job.fetch = "fetch", -1, fetch
            job.blocks = -(-job.target // self.limits.block_size)
            self.fit(rank)
            tiers.flush(self.now)
            job.lands_s = tiers.start(job.names, found, fetch, self.now)
            return 0
        if tiers is not None:
            tiers.forget(job)
        self.take(job, chunk)
        return chunk

    def more_blocks(self, job: Job, chunk: int) -> int:
        return max(0, -(-(job.stored + chunk) // self.limits.block_size) - job.blocks)

    def take(self, job: Job, chunk: int) -> None:
        job.blocks += self.more_blocks(job, chunk)
        job.chunk = chunk

    def preempt(self, rank: Rank) -> None:
        self.fit(rank)
        job = rank.running[-1]
        self.let_go(rank, job)
        rank.running.pop()
        stored = 0 if job.state == "fetch" else job.stored
        job.state, job.target = "waiting", job.input_tokens + job.out
        if rank.tiers is not None and rank.tiers.swap_out(job, stored, self.now) and job.out:
            job.target -= rank.tiers.swapped[id(job)] == job.target - 1
        job.stored = job.blocks = job.chunk = 0
        job.preemptions += 1
        rank.waiting.insert(0, job)

    # ---- one step -----------------------------------------------------------------------------------------------

    def seconds(self) -> float:
        law, cap = self.law, self.law.attention_cap_tokens
        slowest, most, prefill = 0.0, 0, False
        slots = [0] * self.limits.pipeline_parallel_size
        for rank in self.ranks:
            for slot in range(len(slots)):
                contexts = [job.stored + 1 for job in rank.members(slot, "decode")]
                chunks = [(job.chunk, job.stored) for job in rank.members(slot, "prefill") if job.chunk]
                tokens = len(contexts) + sum(chunk for chunk, _ in chunks)
                if not tokens:
                    continue
                capped = sum(min(context, cap) for context in contexts) if cap else 0
                above = bool(cap) and any(context >= cap for context in contexts)
                slowest = max(slowest, law.mixed_s(len(contexts), sum(contexts), capped, above, chunks))
                most, prefill = max(most, tokens), prefill or bool(chunks)
                slots[slot] += tokens
        return slowest + law.shared_s(max(slots), most, prefill)

    def finish_step(self, now: float) -> None:
        for rank in self.ranks:
            for job in rank.running:
                if job.state == "decode":
                    job.blocks += self.needs_block(job)
                    job.stored += 1
                    self.token(job, now)
                job.stored += job.chunk
                self.prefilled_tokens += job.chunk
        self.kv_peak_tokens = max(self.kv_peak_tokens, self.stored_tokens())
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
            self.join(job)

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
