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

    def __post_init__(self) -> None:
        self.target = self.input_tokens


@dataclass
class Rank:
    """One attention rank."""

    waiting: list[Job] = field(default_factory=list)
    running: list[Job] = field(default_factory=list)

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

    def __post_init__(self) -> None:
        self.ranks = [Rank() for _ in range(self.limits.data_parallel_size)]

    def run(self, draws: Sequence[RequestDraw]) -> None:
        """Serve all draws to the end."""
        jobs = [Job(draw.arrival_s, draw.input_tokens, draw.output_tokens) for draw in draws]
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
            self.kv_token_s += seconds * sum(job.stored for job in self.everybody())
            self.waiting_s += seconds * sum(len(rank.waiting) for rank in self.ranks)
            if any(job.chunk for job in self.everybody()):
                self.prefill_step_s += seconds
            while jobs and jobs[0].arrival_s <= end:
                self.waiting_s += end - jobs[0].arrival_s
                self.enqueue(jobs.pop(0))
            self.steps += 1
            now = end
            self.finish_step(now)

    def everybody(self) -> list[Job]:
        return [job for rank in self.ranks for job in (*rank.running, *rank.waiting)]

    def enqueue(self, job: Job) -> None:
        min(self.ranks, key=lambda rank: len(rank.running) + len(rank.waiting)).waiting.append(job)

    # ---- batch formation ----------------------------------------------------------------------------------------

    def free(self, rank: Rank) -> int:
        """Blocks left once every decoding sequence has its token of this step."""
        held = sum(job.blocks for job in rank.running)
        return self.limits.num_kv_blocks - held - sum(self.needs_block(job) for job in rank.running)

    def needs_block(self, job: Job) -> bool:
        return job.state == "decode" and job.stored == job.blocks * self.limits.block_size

    def form(self, rank: Rank, now: float) -> None:
        preempted = False
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
            chunk = min(job.target, budget[lane])
            needed = self.more_blocks(job, chunk)
            if self.limits.scheduler_reserve_full_isl:
                under_way = [other for other in rank.running if other.state == "prefill"]
                needed = self.more_blocks(job, job.target)
                needed += sum(self.more_blocks(other, other.target - other.stored) for other in under_way)
            if needed > self.free(rank):
                return
            rank.waiting.remove(job)
            rank.running.append(job)
            job.state, job.lane = "prefill", lane
            if job.scheduled_s < 0.0:
                job.scheduled_s = now
            self.take(job, chunk)
            budget[lane] -= chunk

    def more_blocks(self, job: Job, chunk: int) -> int:
        return -(-(job.stored + chunk) // self.limits.block_size) - job.blocks

    def take(self, job: Job, chunk: int) -> None:
        job.blocks += self.more_blocks(job, chunk)
        job.chunk = chunk

    def preempt(self, rank: Rank) -> None:
        job = rank.running.pop()
        job.state, job.target = "waiting", job.input_tokens + job.out
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
                elif job.chunk:
                    job.stored += job.chunk
                    job.chunk = 0
                    if job.stored == job.target:
                        job.state = "decode"
                        self.token(job, now)
        stored = sum(job.stored for job in self.everybody())
        self.kv_peak_tokens = max(self.kv_peak_tokens, stored)
        for rank in self.ranks:
            for job in [job for job in rank.running if job.out == job.output_tokens]:
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
