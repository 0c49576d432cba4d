"""Small clusters for engine tests: a law with every term the interface allows, and random scenarios."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from hypothesis import strategies as st

from sim.engine.cluster import Cluster, Load, Outcome
from sim.engine.plan import ClientPolicy, ClusterPlan, EngineLimits, NewTokenRatio
from sim.engine.tier_plan import HostPlan, RemotePlan
from sim.faults.fault_class import FaultClass
from sim.faults.fleet_plan import FleetPlan, Recovery, Spares
from sim.faults.phases import Phases
from sim.faults.timeline import Timeline
from sim.faults.transition import Transition
from sim.steptime.law import DecodeCoefficients
from sim.streams import Streams
from sim.workload.request import RequestDraw
from sim.workload.runs import leading, length, merged


@dataclass(frozen=True)
class KinkedLaw:
    """Base, context, capped and above-cap terms, prompt chunks, and a shared part that depends on tokens."""

    attention_cap_tokens: int = 40
    base_s: float = 0.01
    seq_s: float = 1e-3
    context_s: float = 1e-5
    capped_s: float = 3e-5
    above_s: float = 2e-4
    chunk_token_s: float = 1e-4
    shared_base_s: float = 4e-3
    draft_s: float = 7e-4

    def decode(self, seqs: int) -> DecodeCoefficients:
        """Affine in the number of sequences."""
        return DecodeCoefficients(self.base_s + self.seq_s * seqs, self.context_s, self.capped_s, self.above_s)

    def mixed_s(
        self,
        seqs: int,
        context_tokens: int,
        capped_tokens: int,
        any_above: bool,
        prefills: Sequence[tuple[int, int]],
    ) -> float:
        """The decode form plus a cost per prompt token that grows with the prefix."""
        seconds = self.base_s + self.seq_s * seqs + self.context_s * context_tokens + self.capped_s * capped_tokens
        seconds += self.above_s * any_above
        for new, prefix in prefills:
            seconds += self.chunk_token_s * new * (1.0 + 1e-3 * prefix)
        return seconds

    def shared_s(self, total_tokens: int, busiest_lane_tokens: int, prefill: bool) -> float:
        """Grows with the tokens of all lanes."""
        return self.shared_base_s + 1e-5 * total_tokens + 2e-5 * busiest_lane_tokens + 1e-3 * prefill

    def drafts_s(self, total_seqs: int, busiest_lane_seqs: int) -> float:
        """Grows with the decoding sequences."""
        return self.draft_s + 3e-6 * total_seqs + 5e-6 * busiest_lane_seqs


# Coefficients without round sums: under round ones boundaries of two replicas coincide by chance, and the last bit of a
# span's closed form decides which of them sees a caller who comes from the other
UNEVEN = KinkedLaw(
    base_s=0.0100000137,
    seq_s=1.00071e-3,
    context_s=1.00313e-5,
    capped_s=3.00517e-5,
    above_s=2.00737e-4,
    chunk_token_s=1.00931e-4,
    shared_base_s=4.01103e-3,
)


def draws(seed: int, rate_rps: float, count: int, max_input: int, max_output: int) -> Iterator[RequestDraw]:
    """`count` requests with exponential gaps and uniform lengths."""
    rng = Streams(seed).generator("case")
    now = 0.0
    for _ in range(count):
        now += float(rng.exponential(1.0 / rate_rps))
        yield RequestDraw(now, int(rng.integers(1, max_input + 1)), int(rng.integers(1, max_output + 1)))


def shared_draws(seed: int, rate_rps: float, count: int, max_input: int, max_output: int) -> Iterator[RequestDraw]:
    """Requests that begin alike: a root, repeated prompts, and conversations that go on, branch and break."""
    rng = Streams(seed).generator("shared case")
    ids = itertools.count(1000, 1000)
    histories: list[tuple[tuple[int, int], ...]] = [((0, int(rng.integers(1, max_input + 1))),)]
    now = 0.0
    for _ in range(count):
        now += float(rng.exponential(1.0 / rate_rps))
        kind = int(rng.integers(0, 6))
        input_tokens, output_tokens = int(rng.integers(1, max_input + 1)), int(rng.integers(1, max_output + 1))
        session_id = None
        prefix: tuple[tuple[int, int], ...] | None = None
        output_first_id: int | None = next(ids) if rng.random() < 0.7 else None
        if kind:  # part of a history, then something new or nothing
            number = int(rng.integers(0, len(histories)))
            session_id = str(number) if rng.random() < 0.5 else None
            prefix = leading(histories[number], input_tokens if kind < 3 else int(rng.integers(1, input_tokens + 1)))
            if kind == 1:
                input_tokens = length(prefix)
            elif kind == 4:
                prefix = leading((*prefix, (next(ids), max_input)), input_tokens)
        if length(prefix or ()) == input_tokens and output_first_id is not None:
            grown = merged((*(prefix or ()), (output_first_id, output_tokens)))
            if kind == 5 or len(histories) < 3:
                histories.append(grown)
            else:
                histories[int(rng.integers(0, len(histories)))] = grown
        yield RequestDraw(now, input_tokens, output_tokens, session_id, prefix, output_first_id)


@dataclass(frozen=True)
class Case:
    """One random cluster with its load."""

    plan: ClusterPlan
    law: KinkedLaw
    seed: int
    rate_rps: float
    count: int
    max_input: int
    max_output: int
    concurrency: int | None = None

    def draws(self) -> Iterator[RequestDraw]:
        """Its requests; they share prefixes where the cluster caches them."""
        make = shared_draws if self.plan.limits.enable_prefix_caching else draws
        made = make(self.seed, self.rate_rps, self.count, self.max_input, self.max_output)
        if self.plan.limits.scheduling_policy != "priority":
            return made
        classes = Streams(self.seed).generator("classes")
        return (draw._replace(priority=int(classes.integers(0, 4))) for draw in made)

    def run(self, *, coalesce: bool = True, **changes: object) -> Outcome:
        """Run it; identities are asserted inside."""
        plan = replace(self.plan, coalesce=coalesce, record_requests=True, **changes)  # type: ignore[arg-type]
        load = Load(self.draws(), self.concurrency)
        return Cluster(plan, self.law, load, Streams(self.seed)).run()


@st.composite
def engine_rules(draw: st.DrawFn) -> dict[str, object]:
    """Rules of admission and preemption of any engine, with constants small enough to matter here."""
    policy = draw(st.sampled_from(["fcfs", "shortest_prefill", "priority", "priority"]))
    initial = draw(st.sampled_from([0.7, 0.31]))
    return {
        "scheduler": draw(st.sampled_from(["vllm", "sglang", "sglang", "tensorrt-llm"])),
        "capacity_scheduler_policy": draw(st.sampled_from(["GUARANTEED_NO_EVICT", "MAX_UTILIZATION"])),
        "scheduling_policy": policy,
        "new_token_ratio": NewTokenRatio(
            initial=initial,
            minimum=0.14 * initial,
            decay=0.86 * initial / draw(st.sampled_from([600, 17])),
            clip_tokens=draw(st.sampled_from([4096, 23])),
            retract_steps=draw(st.sampled_from([20, 3])),
        ),
        "max_tokens": draw(st.sampled_from([0, 0, 50, 5000])),
        "kv_watermark_frac": draw(st.sampled_from([0.0, 0.0, 0.1])),
        "priority_preemption_threshold": draw(st.sampled_from([None, 0, 1])) if policy == "priority" else None,
    }


@st.composite
def tier_plans(draw: st.DrawFn, one_request: int) -> dict[str, HostPlan | RemotePlan | None]:
    """Tiers of a few requests behind links of any speed; rates without round sums, as in `UNEVEN`."""
    rates = st.sampled_from([71.0371, 1013.907, 100_003.1])
    backlog = st.sampled_from([0.05, 1.0])
    kind = draw(st.sampled_from(["host", "remote", "both"]))
    host = HostPlan(
        num_blocks=draw(st.integers(1, 6)) * one_request,
        token_bytes=draw(st.sampled_from([1.0, 1.7])),
        read_bytes_per_s=draw(rates),
        write_bytes_per_s=draw(rates),
        max_write_backlog_s=draw(backlog),
        swap=draw(st.booleans()),
    )
    remote = RemotePlan(
        num_blocks=draw(st.integers(1, 12)) * one_request,
        read_token_bytes=draw(st.sampled_from([1.0, 1.7])),
        write_token_bytes=1.0,
        bytes_per_s=draw(rates),
        latency_s=draw(st.sampled_from([0.0, 0.010037])),
        max_write_backlog_s=draw(backlog),
    )
    return {"host": host if kind != "remote" else None, "remote": remote if kind != "host" else None}


@st.composite
def node_faults(
    draw: st.DrawFn, nodes: Sequence[int], restart_s: Sequence[float], horizon_s: float
) -> tuple[Transition, ...]:
    """What becomes of replicas whose nodes fail, at random times and at some that are chosen; half of some hang first.

    Parameters
    ----------
    nodes, restart_s : of each replica.
    """
    spares = draw(st.integers(0, 1))
    node = st.integers(0, sum(nodes) + spares - 1)
    injected = draw(st.lists(st.tuples(st.floats(0.0, horizon_s), node), max_size=4))
    kind = FaultClass(
        "fault",
        draw(st.sampled_from([0.0, 0.05])),
        Phases((0.5, 0.5), (1.0, 10.0)),
        hang_frac=draw(st.sampled_from([0.0, 0.5])),
    )
    plan = FleetPlan(
        nodes=tuple(nodes),
        recovery=Recovery(draw(st.sampled_from([0.0, 0.5])), 0.7, tuple(restart_s)),
        node_classes=(kind,),
        spares=Spares(spares, fail=draw(st.booleans())),
        injected=tuple((at_s, which, "") for at_s, which in injected),
    )
    timeline = Timeline(plan, Streams(draw(st.integers(0, 10_000))), record=True)
    timeline.run(horizon_s)
    return timeline.transitions


@st.composite
def cases(
    draw: st.DrawFn,
    *,
    faults: bool = False,
    tight: bool = False,
    caching: bool = False,
    tiers: bool = False,
    drafting: bool = False,
    flavours: bool = False,
) -> Case:
    """Random clusters: `tight` gives a KV pool barely larger than one request, `faults` injects node failures.

    `caching` turns the prefix cache on, for requests that begin alike; `tiers` puts host memory, a remote pool, or both
    below it. `drafting` turns speculative decoding on. `flavours` draws the rules of every engine, and requests of
    several classes.
    """
    drafts = draw(st.integers(1, 4)) if drafting else 0
    parts = draw(st.integers(1, 7)) if drafting else 1
    acceptance_length = Fraction(draw(st.integers(parts, parts * (1 + drafts))) if drafting else 1, parts)
    block_size = draw(st.sampled_from([1, 4, 16]))
    max_input, max_output = draw(st.integers(1, 60)), draw(st.integers(1, 80))
    one_request = -(-(max_input + max_output + 2 * drafts) // block_size)
    spare = draw(st.integers(0, 3)) if tight else draw(st.integers(0, 20)) * one_request
    max_num_seqs = draw(st.integers(1, 8))
    limits = EngineLimits(
        max_num_seqs=max_num_seqs,
        max_num_batched_tokens=max_num_seqs * (1 + drafts) + draw(st.integers(0, 40)),
        block_size=block_size,
        num_kv_blocks=one_request + spare,
        max_model_len=draw(st.sampled_from([10_000, 70])),
        data_parallel_size=draw(st.integers(1, 3)),
        pipeline_parallel_size=1 if drafting else draw(st.integers(1, 4)),
        scheduling_policy=draw(st.sampled_from(["fcfs", "shortest_prefill"])),
        scheduler_reserve_full_isl=draw(st.booleans()),
        enable_prefix_caching=caching,
        affinity_guard=draw(st.sampled_from([0, 2])) if caching else 8,
        num_speculative_tokens=drafts,
        acceptance_length=acceptance_length,
    )
    if flavours:
        limits = replace(limits, **draw(engine_rules()))
        if limits.scheduler == "sglang" and draw(st.booleans()):
            limits = replace(limits, enable_mixed_chunk=False, data_parallel_size=1, pipeline_parallel_size=1)
    routers = ["round_robin", "least_outstanding", "power_of_two"]
    if caching:
        routers += ["prefix_affinity", "session_sticky"]
    replicas = draw(st.integers(1, 3))
    nodes = draw(st.integers(1, 2))
    horizon_s = draw(st.sampled_from([3.0, 20.0, 200.0]))
    restart_s = draw(st.sampled_from([0.0, 2.0]))
    lost = draw(node_faults([nodes] * replicas, [restart_s] * replicas, horizon_s)) if faults else ()
    client = ClientPolicy(
        max_retries=draw(st.integers(0, 3)),
        retry_backoff_s=draw(st.sampled_from([0.0, 0.3])),
        # no multiple of what steps last: which of two events at one instant comes first is a matter of rounding
        request_timeout_s=draw(st.sampled_from([0.7001234567, 5.0001234567, 600.0])),
    )
    return Case(
        plan=ClusterPlan(
            limits=limits,
            replicas=replicas,
            nodes_per_replica=nodes,
            horizon_s=horizon_s,
            warmup_s=draw(st.sampled_from([0.0, 1.0])),
            router=draw(st.sampled_from(routers)),
            client=client,
            transitions=lost,
            **(draw(tier_plans(one_request)) if tiers else {}),
        ),
        law=replace(
            UNEVEN if caching or drafting else KinkedLaw(), attention_cap_tokens=draw(st.sampled_from([0, 40]))
        ),
        seed=draw(st.integers(0, 10_000)),
        rate_rps=draw(st.sampled_from([0.5, 3.0, 30.0])),
        count=draw(st.integers(1, 60)),
        max_input=max_input,
        max_output=max_output,
        concurrency=draw(st.sampled_from([None, None, 1, 5])),
    )
