"""The engine's semantics once more, in the plainest way: every step and every request one by one, no running sums.

One replica under open load without faults or timeouts. It exists to be compared with `sim.engine`, and shares nothing
with it but the plan, the law and the draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

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
    blocks: int = 0
    pieces: list[tuple[int, int]] = field(default_factory=list)
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

    def new_at(self, now: float) -> bool:
        """Whether it was scheduled for the first time now."""
        return self.scheduled_s == now

    @property
    def chunk(self) -> int:
        """Prompt tokens of this round, over all lanes."""
        return sum(tokens for _, tokens in self.pieces)

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
    order: list[tuple[int, Job, int]] = field(default_factory=list)

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

    bubble_s: float = 0.0

    def __post_init__(self) -> None:
        self.ranks = [Rank() for _ in range(self.limits.data_parallel_size)]
        self.stages = range(self.limits.pipeline_parallel_size)
        self.empty_at(0.0)

    def empty_at(self, now: float) -> None:
        """All stages are free, and every microbatch has left."""
        self.stage_free = [now for _ in self.stages]
        self.left = [now for _ in self.stages]
        self.leaving = list(self.left)
        self.only_decoded = False

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
                self.empty_at(now)
            while jobs and jobs[0].arrival_s <= now:
                self.enqueue(jobs.pop(0))
            for rank in self.ranks:
                self.form(rank, now)
            seconds = self.seconds(now)
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

    def stored_tokens(self) -> int:
        size = self.limits.block_size
        known = sum(len(rank.cache.holders) for rank in self.ranks)
        return size * known + sum(job.stored - size * len(job.known) for job in self.everybody())

    def fit(self, rank: Rank, *, growth: bool = True) -> None:
        """Evict what has no room beside the blocks held, and those that decoding takes in this step."""
        free = self.free(rank) if growth else self.limits.num_kv_blocks - self.held(rank)
        self.evicted_blocks += rank.cache.evict(free)

    def store(self, rank: Rank, job: Job) -> None:
        """Make whole blocks known; copies of blocks that are known already are given back."""
        if self.limits.enable_prefix_caching:
            blocks = job.names[len(job.known) : job.stored // self.limits.block_size]
            rank.cache.hold(blocks)
            job.known += blocks

    def let_go(self, rank: Rank, job: Job) -> None:
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
        """Choose the chunks of a rank's microbatches: prompts under way first, then waiting ones."""
        preempted = False
        self.fit(rank)
        while self.free(rank) < 0:
            self.preempt(rank)
            preempted = True
        rank.order = []
        lanes = self.stages
        budget = [self.limits.max_num_batched_tokens - len(rank.members(lane, "decode")) for lane in lanes]
        for job in [job for job in rank.running if job.state == "prefill"]:
            for lane in lanes:
                chunk = min(job.target - job.stored - job.chunk, budget[lane])
                if chunk <= 0 or job not in rank.running:
                    continue
                while job in rank.running and self.more_blocks(job, chunk) > self.free(rank):
                    self.preempt(rank)
                    preempted = True
                if job in rank.running:
                    self.take(rank, job, lane, chunk)
                    budget[lane] -= chunk
        if not preempted:
            self.admit(rank, budget, now)

    def admit(self, rank: Rank, budget: list[int], now: float) -> None:
        lanes = self.stages
        while rank.waiting and len(rank.running) < self.limits.max_num_seqs:
            if max(budget) <= 0:
                return
            lane = min(lanes, key=lambda lane: len(rank.members(lane, "decode")) + len(rank.members(lane, "prefill")))
            job = rank.waiting[0]
            if self.limits.scheduling_policy == "shortest_prefill":
                job = min(rank.waiting, key=lambda job: job.target)
            found = job.names[: self.found(rank, job)]
            stored = len(found) * self.limits.block_size
            first = lane
            if job.target - stored > budget[lane]:
                first = next(lane for lane in lanes if budget[lane] > 0)
            chunk = min(job.target - stored, budget[first])
            needed = -(-chunk // self.limits.block_size)
            if self.limits.scheduler_reserve_full_isl:
                under_way = [other for other in rank.running if other.state == "prefill"]
                needed = -(-(job.target - stored) // self.limits.block_size)
                needed += sum(self.more_blocks(other, other.target - other.stored - other.chunk) for other in under_way)
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
            for lane in lanes[first:]:
                chunk = min(job.target - job.stored - job.chunk, budget[lane])
                if chunk > 0:
                    if self.more_blocks(job, chunk) > self.free(rank):
                        break
                    self.take(rank, job, lane, chunk)
                    budget[lane] -= chunk

    def more_blocks(self, job: Job, chunk: int) -> int:
        """Blocks that a prompt lacks for a chunk after those it has been given in this round."""
        return -(-(job.stored + job.chunk + chunk) // self.limits.block_size) - job.blocks

    def take(self, rank: Rank, job: Job, lane: int, chunk: int) -> None:
        job.blocks += self.more_blocks(job, chunk)
        job.pieces.append((lane, chunk))
        rank.order.append((lane, job, chunk))

    def preempt(self, rank: Rank) -> None:
        self.fit(rank)
        job = rank.running[-1]
        self.let_go(rank, job)
        rank.running.pop()
        job.state, job.target = "waiting", job.input_tokens + job.out
        job.stored = job.blocks = 0
        job.pieces = []
        rank.order = [entry for entry in rank.order if entry[1] is not job]
        job.preemptions += 1
        rank.waiting.insert(0, job)

    # ---- one step -----------------------------------------------------------------------------------------------

    def seconds(self, now: float) -> float:
        chunked = any(job.chunk for job in self.everybody())
        slots = [self.slot_seconds(slot, chunks=True) for slot in self.stages]
        if not chunked or len(slots) == 1:
            total = max(tokens for tokens, *_ in slots)
            most = max(most for _, most, *_ in slots)
            slowest = max(seconds for *_, seconds, _ in slots)
            seconds = slowest + self.law.shared_s(total, most, chunked)
            self.only_decoded = True
        else:
            seconds = self.through_the_stages(slots, now)
        if len(slots) > 1:
            busy = sum(mean + shared for _, _, shared, _, mean in slots)
            self.bubble_s += seconds - busy / len(slots)
        return seconds

    def slot_seconds(self, slot: int, *, chunks: bool) -> tuple[int, int, float, float, float]:
        """(tokens, of the fullest rank, shared seconds, seconds of the slowest rank, mean over ranks) of a slot."""
        law, cap = self.law, self.law.attention_cap_tokens
        each, lanes, prefill = [], [], False
        for rank in self.ranks:
            contexts = [job.stored + 1 for job in rank.members(slot, "decode")]
            new = []
            for lane, job, tokens in rank.order if chunks else ():
                earlier = sum(count for other, count in job.pieces if other < slot)
                if lane == slot:
                    new.append((tokens, job.stored + earlier))
            tokens = len(contexts) + sum(count for count, _ in new)
            each.append(tokens)
            prefill = prefill or bool(new)
            capped = sum(min(context, cap) for context in contexts) if cap else 0
            above = bool(cap) and any(context >= cap for context in contexts)
            lanes.append(law.mixed_s(len(contexts), sum(contexts), capped, above, new) if tokens else 0.0)
        if not sum(each):
            return 0, 0, 0.0, 0.0, 0.0
        return sum(each), max(each), law.shared_s(sum(each), max(each), prefill), max(lanes), sum(lanes) / len(lanes)

    def through_the_stages(self, slots: list[tuple[int, int, float, float, float]], now: float) -> float:
        """Send every microbatch through every stage, one after the other; the round ends when the last has left."""
        last = len(slots) - 1
        if self.only_decoded:
            decoding = [self.slot_seconds(slot, chunks=False) for slot in self.stages]
            stage = [(shared + slowest) / len(slots) for _, _, shared, slowest, _ in decoding]
            self.left = [now - sum(stage[slot + 1 :]) for slot in self.stages]
            latest = next((seconds for seconds in reversed(stage) if seconds), 0.0)
            self.stage_free = [now - last * latest, *[-1e9] * (last - 1), now]
            self.only_decoded = False
        for slot, (tokens, _, shared, slowest, _) in enumerate(slots):
            if not tokens:
                continue
            clock = -1e9
            for rank in self.ranks:
                if rank.members(slot, "decode"):
                    clock = max(clock, self.left[slot])
                clock = max(
                    [clock, *(job.arrival_s for lane, job, _ in rank.order if lane == slot and job.new_at(now))]
                )
            for stage in self.stages:
                clock = max(clock, self.stage_free[stage]) + (slowest + shared) / len(slots)
                self.stage_free[stage] = clock
            self.left[slot] = clock
        self.leaving = list(self.left)
        return max(self.stage_free) - now

    def finish_step(self, now: float) -> None:
        for rank in self.ranks:
            for job in rank.running:
                if job.state == "decode":
                    job.blocks += self.needs_block(job)
                    job.stored += 1
                    self.token(job, now)
                self.prefilled_tokens += job.chunk
        computed = sum(job.chunk for job in self.everybody())
        self.kv_peak_tokens = max(self.kv_peak_tokens, self.stored_tokens() + computed)
        for rank in self.ranks:
            self.fit(rank, growth=False)
            finished = sorted(
                (job for job in rank.running if job.state == "decode" and job.out == job.output_tokens),
                key=lambda job: job.joined,
            )
            for lane, job, tokens in sorted(rank.order, key=lambda entry: entry[0]):
                self.finish_chunk(rank, job, lane, tokens, now)
            for job in finished:
                self.leave(rank, job, now)

    def finish_chunk(self, rank: Rank, job: Job, lane: int, tokens: int, now: float) -> None:
        assert job.pieces.pop(0) == (lane, tokens)
        job.stored += tokens
        self.store(rank, job)
        if job.stored < job.target:
            return
        self.token(job, now)
        if job.out == job.output_tokens:
            self.leave(rank, job, now)
        else:
            job.state = "decode"
            self.joins += 1
            job.joined = self.joins
            self.left[job.lane] = max(self.left[job.lane], self.leaving[lane])

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
