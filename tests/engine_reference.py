"""The engine's semantics once more, in the plainest way: every step and every request one by one, no running sums.

One replica under open load without faults or timeouts, with KV tiers (`tests.tier_reference`) or without. It exists to
be compared with `sim.engine`, and shares nothing with it but the plan, the law and the draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import floor, inf

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
    stored_at_join: int = 0
    steps: int = 0
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
    priority: int = 0
    ticket: int = 0
    fetch: tuple[int, int] = (0, 0)
    lands_s: float = -1.0

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
    ratio: float = 0.0
    fallen: int = 0
    put_back: bool = False  # somebody, in this round
    order: list[tuple[int, Job, int]] = field(default_factory=list)
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
    tickets: int = 0

    bubble_s: float = 0.0

    def __post_init__(self) -> None:
        self.ranks = [Rank() for _ in range(self.limits.data_parallel_size)]
        self.sglang = self.limits.scheduler == "sglang"
        self.no_evict = (
            self.limits.scheduler == "tensorrt-llm" and self.limits.capacity_scheduler_policy == "GUARANTEED_NO_EVICT"
        )
        self.stages = range(self.limits.pipeline_parallel_size)
        self.empty_at(0.0)
        if self.host is not None or self.remote is not None:
            pool = Pool(self.remote, self.limits.block_size) if self.remote is not None else None
            for rank in self.ranks:
                rank.tiers = Tiers(self.limits.block_size, self.host, pool)

    def empty_at(self, now: float) -> None:
        """All stages are free, and every microbatch has left."""
        self.stage_free = [now for _ in self.stages]
        self.left = [now for _ in self.stages]
        self.leaving = list(self.left)
        self.only_decoded = False

    def run(self, draws: Sequence[RequestDraw]) -> None:
        """Serve all draws to the end."""
        jobs = [Job(draw.arrival_s, draw.input_tokens, draw.output_tokens, priority=draw.priority) for draw in draws]
        if self.limits.enable_prefix_caching:
            for job, draw in zip(jobs, draws, strict=True):
                job.name(draw, self.limits.block_size)
        jobs = [job for job in jobs if job.input_tokens + job.output_tokens <= self.limits.longest_request_tokens]
        now = 0.0
        while jobs or self.everybody():
            if not self.everybody():
                now = jobs[0].arrival_s
                self.empty_at(now)
            self.now = now
            while jobs and jobs[0].arrival_s <= now:
                self.enqueue(jobs.pop(0))
            self.land()
            for rank in self.ranks:
                self.form(rank, now)
            if not any(job.chunk or job.state == "decode" for job in self.everybody()):
                if any(rank.put_back for rank in self.ranks):
                    continue  # nothing to compute, so the engine schedules once more at once
                now = self.idle(jobs[0].arrival_s if jobs else inf)
                self.empty_at(now)
                continue
            seconds = self.seconds(now)
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
        job.state, job.stored_at_join, job.steps = "decode", job.stored, 0
        self.joins += 1
        job.joined = self.joins

    def everybody(self) -> list[Job]:
        return [job for rank in self.ranks for job in (*rank.running, *rank.waiting)]

    def enqueue(self, job: Job) -> None:
        load = {id(rank): len(rank.running) + len(rank.waiting) for rank in self.ranks}
        least = min(load.values())
        ranks = [rank for rank in self.ranks if load[id(rank)] <= least + self.limits.affinity_guard]
        rank = max(ranks, key=lambda rank: (self.near(rank, job), -load[id(rank)]))
        if not load[id(rank)] and self.sglang:
            self.set_ratio(rank, self.limits.new_token_ratio.initial)
        self.append(rank, job)

    def append(self, rank: Rank, job: Job) -> None:
        self.tickets += 1
        job.ticket = self.tickets
        rank.waiting.append(job)

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
        gone = rank.cache.evicted(free)
        self.evicted_blocks += len(gone)
        if rank.tiers is not None:
            rank.tiers.spill(gone)

    def store(self, rank: Rank, job: Job) -> None:
        """Make whole blocks known; copies of blocks that are known already are given back."""
        if self.limits.enable_prefix_caching:
            beyond = job.input_tokens + job.out - 1 if job.state == "decode" else job.stored
            real = min(job.stored, beyond)  # what is verified beyond the end is nobody's
            blocks = job.names[len(job.known) : real // self.limits.block_size]
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
        return self.limits.num_kv_blocks - self.held(rank) - sum(self.needs_blocks(job) for job in rank.running)

    def needs_blocks(self, job: Job) -> int:
        return self.more_blocks(job, self.accepted(job)) if job.state == "decode" else 0

    def accepted(self, job: Job) -> int:
        """Tokens that the next step puts out, should the request want them all."""
        length = self.limits.acceptance_length
        return floor((job.steps + 1) * length) - floor(job.steps * length)

    def form(self, rank: Rank, now: float) -> None:
        """Choose the chunks of a rank's microbatches: prompts under way first, then waiting ones."""
        retracted = rank.put_back = False
        self.fit(rank)
        while self.free(rank) < 0:
            self.preempt(rank, self.victim(rank))
            retracted = True
        if retracted and self.sglang:
            decoding = [job for job in rank.running if job.state == "decode"]
            progress = sum(job.out for job in decoding) + self.limits.new_token_ratio.retract_steps * len(decoding)
            self.set_ratio(rank, min(1.0, progress / (sum(self.limit(job) for job in decoding) + 1)))
        rank.order = []
        lanes = self.stages
        width = 1 + self.limits.num_speculative_tokens
        budget = [self.limits.max_num_batched_tokens for _ in lanes]
        if self.limits.enable_mixed_chunk:
            budget = [tokens - width * len(rank.members(lane, "decode")) for lane, tokens in enumerate(budget)]
        for job in [job for job in rank.running if job.state == "prefill"]:
            for lane in lanes:
                chunk = min(job.target - job.stored - job.chunk, budget[lane])
                if chunk <= 0 or job not in rank.running:
                    continue
                while job in rank.running and self.more_blocks(job, chunk) > self.free(rank):
                    self.preempt(rank, self.victim(rank))
                if job in rank.running:
                    self.take(rank, job, lane, chunk)
                    budget[lane] -= chunk
        if not rank.put_back or not rank.running:
            self.admit(rank, budget, now)
        if self.sglang and not retracted and not any(job.chunk for job in rank.running):
            rank.fallen += 1

    def admit(self, rank: Rank, budget: list[int], now: float) -> None:
        lanes = self.stages
        gone: list[Job] = []  # displaced in this step
        while rank.waiting:
            seats = self.limits.max_num_seqs - len(rank.running)
            if not seats:
                went = self.displaced(rank, self.head(rank), 0.0, budget)
                if not went:
                    return
                gone += went
                continue
            if max(budget) <= 0:
                return
            job = self.head(rank)
            if gone and job.priority >= min(other.priority for other in gone):
                return
            lane = min(lanes, key=lambda lane: len(rank.members(lane, "decode")) + len(rank.members(lane, "prefill")))
            found = job.names[: self.found(rank, job)]
            stored = len(found) * self.limits.block_size
            first = lane
            if job.target - stored > budget[lane]:
                first = next(lane for lane in lanes if budget[lane] > 0)
            fetch = (0, 0) if rank.tiers is None else rank.tiers.find(job, len(found), self.sought(job), self.now)
            chunk = min(job.target - stored, budget[first]) if rank.tiers is None else job.target - stored
            short = self.short_tokens(rank, job, found, chunk) if rank.running else 0.0
            if short > 0.0:
                went = self.displaced(rank, job, short, budget)
                if not went:
                    return
                gone += went
                continue
            rank.cache.hold(found)
            job.known, job.blocks, job.stored = list(found), len(found), stored
            self.hit_tokens += stored
            rank.waiting.remove(job)
            rank.running.append(job)
            job.state, job.lane = "prefill", lane
            if job.scheduled_s < 0.0:
                job.scheduled_s = now
            self.begin(rank, job, len(found), fetch, first, budget)

    def begin(self, rank: Rank, job: Job, found: int, fetch: tuple[int, int], first: int, budget: list[int]) -> None:
        """Start an admitted job with its first chunks, or with a transfer."""
        tiers = rank.tiers
        if tiers is not None:
            tiers.flush(self.now)
        if tiers is not None and any(fetch):
            job.state, job.lane, job.fetch = "fetch", -1, fetch
            job.blocks = -(-job.target // self.limits.block_size)
            self.fit(rank)
            tiers.flush(self.now)
            job.lands_s = tiers.start(job.names, found, fetch, self.now)
            return
        if tiers is not None:
            tiers.forget(job)
        for lane in self.stages[first:]:
            chunk = min(job.target - job.stored - job.chunk, budget[lane])
            if chunk > 0:
                if self.more_blocks(job, chunk) > self.free(rank):
                    break
                self.take(rank, job, lane, chunk)
                budget[lane] -= chunk

    def head(self, rank: Rank) -> Job:
        if self.limits.scheduling_policy == "shortest_prefill":
            return min(rank.waiting, key=lambda job: job.target)
        if self.limits.scheduling_policy == "priority":
            return min(rank.waiting, key=lambda job: (job.priority, job.ticket))
        return rank.waiting[0]

    # ---- what the engines ask for -------------------------------------------------------------------------------

    def short_tokens(self, rank: Rank, job: Job, found: list[Block], chunk: int) -> float:
        """Tokens that lack before a job may be admitted beside those who run."""
        size = self.limits.block_size
        stored = len(found) * size
        prefilling = [other for other in rank.running if other.state == "prefill"]
        promised = sum(self.more_blocks(other, other.target - other.stored - other.chunk) for other in prefilling)
        idle = sum(block in rank.cache.idle for block in found)
        needed = self.blocks_of(chunk)
        if self.limits.scheduler_reserve_full_isl or self.sglang or self.no_evict:
            needed = self.blocks_of(job.target - stored) + promised
        watermark = int(self.limits.kv_watermark_frac * self.limits.num_kv_blocks)
        short = float((needed + idle + watermark - self.free(rank)) * size)
        if self.no_evict:
            owed = sum(self.final_blocks(other) - other.blocks for other in rank.running)
            needed = self.final_blocks(job) - len(found) + idle + owed
            short = max(short, float((needed - self.limits.num_kv_blocks + self.held(rank)) * size))
        if self.sglang:
            wanted = job.target - stored + idle * size + promised * size
            wanted += sum(self.further(other) + size for other in (job, *prefilling))
            decoding = [other for other in rank.running if other.state == "decode"]
            room = self.free(rank) * size - self.current_ratio(rank) * sum(self.further(other) for other in decoding)
            if wanted >= room:
                short = max(short, wanted - room + 1.0)
        return short

    def limit(self, job: Job) -> int:
        most = self.limits.longest_request_tokens - job.input_tokens
        return min(max(job.output_tokens, self.limits.max_tokens), most)

    def further(self, job: Job) -> int:
        return min(self.limit(job) - job.out, self.limits.new_token_ratio.clip_tokens)

    def final_blocks(self, job: Job) -> int:
        return -(-(job.input_tokens + self.limit(job) - 1) // self.limits.block_size)

    def set_ratio(self, rank: Rank, ratio: float) -> None:
        rank.ratio, rank.fallen = ratio, 0

    def current_ratio(self, rank: Rank) -> float:
        law = self.limits.new_token_ratio
        return max(rank.ratio - rank.fallen * law.decay, law.minimum) if rank.fallen else rank.ratio

    # ---- who gives way ------------------------------------------------------------------------------------------

    def victim(self, rank: Rank) -> Job:
        by_class = self.limits.scheduling_policy == "priority"
        decoding = [job for job in rank.running if job.state == "decode"]
        if self.sglang and decoding:
            order = sorted(
                decoding, key=lambda job: (-job.priority if by_class else 0, job.out, -job.input_tokens), reverse=True
            )
            return order[-1]
        if by_class and not self.sglang:
            return max(rank.running, key=lambda job: (job.priority, job.ticket))
        return rank.running[-1]

    def displaced(self, rank: Rank, urgent: Job, short: float, budget: list[int]) -> list[Job]:
        """Preempt running jobs of lower classes, lowest and latest first, if enough comes free; who went."""
        threshold = self.limits.priority_preemption_threshold
        if threshold is None:
            return []
        order = sorted(rank.running, key=lambda job: (job.priority, job.ticket), reverse=True)
        leaving: list[Job] = []
        for job in order:
            if job.priority - urgent.priority <= threshold or (leaving and short <= 0.0):
                break
            leaving.append(job)
            blocks = self.final_blocks(job) if self.no_evict else job.blocks
            short -= blocks * self.limits.block_size
        if short > 0.0:
            return []
        for job in leaving:
            if job.state == "decode":
                budget[job.lane] += int(self.limits.enable_mixed_chunk) * (1 + self.limits.num_speculative_tokens)
            for lane, tokens in job.pieces:
                budget[lane] += tokens
            self.preempt(rank, job)
        return leaving

    def more_blocks(self, job: Job, chunk: int) -> int:
        """Blocks that a prompt lacks for a chunk after those it has been given in this round."""
        return max(0, self.blocks_of(job.stored + job.chunk + chunk) - job.blocks)

    def blocks_of(self, tokens: int) -> int:
        """Blocks for these tokens and the drafts behind them."""
        return -(-(tokens + self.limits.num_speculative_tokens) // self.limits.block_size)

    def take(self, rank: Rank, job: Job, lane: int, chunk: int) -> None:
        job.blocks += self.more_blocks(job, chunk)
        job.pieces.append((lane, chunk))
        rank.order.append((lane, job, chunk))

    def preempt(self, rank: Rank, job: Job) -> None:
        self.fit(rank)
        stored = 0 if job.state == "fetch" else job.stored
        if self.sglang:
            rank.cache.release(job.known)
            job.known = []
        else:
            self.let_go(rank, job)
        rank.running.remove(job)
        job.state, job.target = "waiting", job.input_tokens + job.out
        if rank.tiers is not None and rank.tiers.swap_out(job, stored, self.now) and job.out:
            job.target -= rank.tiers.swapped[id(job)] == job.target - 1
        job.stored = job.blocks = 0
        job.pieces = []
        rank.order = [entry for entry in rank.order if entry[1] is not job]
        job.preemptions += 1
        rank.put_back = True
        if self.sglang:
            self.append(rank, job)
        else:
            rank.waiting.insert(0, job)

    # ---- one step -----------------------------------------------------------------------------------------------

    def decodes(self) -> bool:
        """Whether decoding requests take part in the step at hand."""
        return self.limits.enable_mixed_chunk or not any(job.chunk for job in self.everybody())

    def seconds(self, now: float) -> float:
        chunked = any(job.chunk for job in self.everybody())
        slots = [self.slot_seconds(slot, chunks=True) for slot in self.stages]
        if not chunked or len(slots) == 1:
            total = max(tokens for tokens, *_ in slots)
            most = max(most for _, most, *_ in slots)
            slowest = max(seconds for *_, seconds, _ in slots)
            seconds = slowest + self.law.shared_s(total, most, chunked)
            if self.limits.num_speculative_tokens:
                seqs = [len(rank.members(0, "decode")) for rank in self.ranks]
                seconds += self.law.drafts_s(sum(seqs), max(seqs))
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
            contexts = [self.fluid(job) + 1 for job in rank.members(slot, "decode") if self.decodes()]
            new = []
            for lane, job, tokens in rank.order if chunks else ():
                earlier = sum(count for other, count in job.pieces if other < slot)
                if lane == slot:
                    new.append((tokens, job.stored + earlier))
            width = 1 + self.limits.num_speculative_tokens
            tokens = width * len(contexts) + sum(count for count, _ in new)
            each.append(tokens)
            prefill = prefill or bool(new)
            capped = sum(min(context, cap) for context in contexts) if cap else 0
            above = bool(cap) and any(context >= cap for context in contexts)
            held = [floor(total) if new else float(total) for total in (sum(contexts), capped)]
            lanes.append(law.mixed_s(len(contexts), *held, above, new) if tokens else 0.0)
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
        decodes = self.decodes()
        for rank in self.ranks:
            for job in rank.running:
                if job.state == "decode" and decodes:
                    accepted = self.accepted(job)
                    job.blocks += self.needs_blocks(job)
                    job.stored += accepted
                    job.steps += 1
                    for _ in range(min(accepted, job.output_tokens - job.out)):
                        self.token(job, now)
                self.prefilled_tokens += job.chunk
        computed = sum(job.chunk for job in self.everybody())
        self.kv_peak_tokens = max(self.kv_peak_tokens, floor(self.stored_tokens() + computed))
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
            self.join(job)
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
