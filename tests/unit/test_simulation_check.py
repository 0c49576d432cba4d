"""What is said of a scenario without simulating it: too long requests, steps explained, the load as a trace."""

from __future__ import annotations

from itertools import islice

import pytest

import sim
from sim.errors import ScenarioError, SimError
from sim.simulation.build import build
from sim.simulation.check import check
from sim.streams import Streams
from sim.study.sampled import sampled_trace
from tests.study_cases import POISSON, VARIED, simulated, tiny


def test_requests_longer_than_max_model_len_are_named_with_the_length_they_need() -> None:
    """When not even the shortest request is admitted there is nothing to run, and the message holds the number."""
    found = check(tiny({"deployment.engine.max_model_len": 64}))
    assert found.too_long_frac == 1.0
    assert found.infeasible is not None
    assert found.infeasible.kind == "request_too_long"
    assert "the shortest has 120 tokens" in found.infeasible.problem
    assert "accepts at most 64" in found.infeasible.problem
    assert "Raise max_model_len to at least 120" in found.infeasible.smallest
    assert check(tiny({"deployment.engine.max_model_len": 120})).infeasible is None
    assert simulated({"deployment.engine.max_model_len": 64}).status == "infeasible"


def test_requests_longer_than_the_cache_are_named_with_what_would_hold_them() -> None:
    """One rank must hold a whole request; a cache that is too small asks for other layouts, not for max_model_len."""
    room = check(tiny()).planned.memory.kv_tokens_per_rank
    long = {"model": {"name": "glm-5.2", "weights": "fp8_block"}, "deployment.engine.kv_cache_dtype": "fp8"}
    wide = {"deployment.layout": {"tensor_parallel_size": 8, "pipeline_parallel_size": 2}}
    reserve = {"deployment.engine.runtime_reserve_gib": 18.0}
    plan = check(tiny(long | wide | reserve)).planned
    limit = plan.longest_request_tokens
    assert limit < plan.spec.max_context_tokens
    assert room > 0
    too_long = {"workload.input_tokens.tokens": limit, "workload.arrivals.rate_rps": 1e-4}
    found = check(tiny(long | wide | reserve | too_long))
    assert found.infeasible is not None
    assert found.infeasible.kind == "request_too_long"
    assert "KV pool of one attention rank" in found.infeasible.problem
    assert "Shard the cache" in found.infeasible.smallest
    fits = too_long | {"workload.input_tokens.tokens": limit - 20}
    assert check(tiny(long | wide | reserve | fits)).too_long_frac == 0.0


def test_requests_longer_than_the_context_of_the_model_must_be_shortened() -> None:
    """No setting helps where the model itself ends."""
    context = check(tiny()).planned.spec.max_context_tokens
    found = check(tiny({"workload.input_tokens.tokens": context, "workload.arrivals.rate_rps": 0.01}))
    assert found.infeasible is not None
    assert found.infeasible.smallest.startswith("Shorten requests")
    assert f"{context:,}" in found.infeasible.smallest


def test_the_share_of_too_long_requests_is_that_which_a_run_refuses() -> None:
    """What the check counts among the first requests is what the engine refuses."""
    changes = VARIED | {"deployment.engine.max_model_len": 300, "run.horizon_s": 300.0}
    found = check(tiny(changes))
    assert found.infeasible is None
    counts = simulated(changes).counts
    assert found.too_long_frac == pytest.approx(counts["refused"] / counts["attempted"], abs=0.03)
    assert found.planned.longest_request_tokens == 300


def test_requests_that_are_refused_do_not_make_a_load_hopeless() -> None:
    """A flood of requests that no engine admits costs it nothing; the others are carried, and the check lets it run."""
    mixed = {
        "workload.input_tokens": {"law": "empirical", "tokens": [10, 20000], "weights": [0.5, 0.5]},
        "workload.arrivals": {"process": "poisson", "rate_rps": 50.0},
        "deployment.engine.max_model_len": 1000,
    }
    assert check(tiny(mixed)).infeasible is None
    found = simulated(mixed)
    assert found.status == "completed"
    assert found.counts["refused"] > 0.4 * found.counts["attempted"]
    hopeless = check(tiny(mixed | {"deployment.engine.max_model_len": None}))
    assert hopeless.infeasible is not None
    assert hopeless.infeasible.kind == "over_capacity"


def test_a_model_that_does_not_fit_is_named_with_the_smallest_layout_that_does() -> None:
    """The layout named as the smallest that fits does fit, and there is no bound nor anything to run without one."""
    found = check(tiny({"deployment.layout.tensor_parallel_size": 1}))
    assert found.infeasible is not None
    assert found.infeasible.kind == "does_not_fit"
    assert found.built is None
    assert found.bound is None
    assert "TP8" in found.infeasible.smallest
    assert check(tiny({"deployment.layout.tensor_parallel_size": 8})).infeasible is None


@pytest.mark.parametrize(("prefill", "prefix"), [(0, 0), (512, 0), (512, 2048)])
def test_the_parts_of_a_step_add_up_to_the_law_that_the_run_uses(prefill: int, prefix: int) -> None:
    """What explain prints, operation by operation, is the duration that the engine takes for the same step."""
    scenario = tiny()
    law = build(scenario).law
    found = sim.explain(scenario, seqs=8, context_tokens=1000, prefill_tokens=prefill, prefix_tokens=prefix)
    chunks = ((prefill, prefix),) if prefill else ()
    engine_s = law.mixed_s(8, 8000, 8000, any_above=False, prefills=chunks)
    engine_s += law.shared_s(8 + prefill, 8 + prefill, prefill=bool(prefill))
    assert found.step_s == pytest.approx(engine_s, rel=1e-9)
    assert found.step_s == pytest.approx(sum(operation.seconds for operation in found.operations), rel=1e-12)
    assert all(operation.seconds >= 0.0 for operation in found.operations)


def test_explaining_needs_weights_that_fit() -> None:
    """Without a layout that fits there is a reason instead of operations; an overload does not hinder."""
    misfit = sim.explain(tiny({"deployment.layout.tensor_parallel_size": 1}))
    assert misfit.operations == ()
    assert misfit.infeasible is not None
    busy = sim.explain(tiny({"workload.arrivals.rate_rps": 1e4}))
    assert busy.infeasible is None
    assert busy.step_s > 0.0
    assert (busy.decode_seqs, busy.context_tokens) == (16, 4096)


def test_a_step_that_the_engine_never_runs_is_remarked() -> None:
    """More sequences, tokens or cache than the limits of the engine are explained, and said to be beyond them."""
    scenario = tiny()
    assert not any("never runs" in note for note in sim.explain(scenario, seqs=4, prefill_tokens=2044).warnings)
    beyond = sim.explain(scenario, seqs=500, context_tokens=32_000, prefill_tokens=2044).warnings
    sentences = [note.partition(": ")[2] for note in beyond if "never runs" in note]
    assert sentences[:2] == [
        "500 sequences per rank, where it admits 4.",
        "2,544 tokens in one step, where it admits 2,048.",
    ]
    assert sentences[2].startswith("16,000,000 tokens in the cache of one rank")


@pytest.mark.parametrize("limit", [None, 50])
def test_a_sampled_trace_holds_the_requests_that_the_run_sends(limit: int | None) -> None:
    """Times and lengths of the first replication, one by one, up to the horizon or the number asked for."""
    changes = VARIED | {"run.max_requests": limit, "run.warmup_s": 0.0}
    trace = sampled_trace(tiny(changes))
    found = simulated(changes | {"deployment.engine.max_num_seqs": 64, "run.replications": 1})
    rows = found.requests_frame().sort_values("arrival_s")
    assert len(trace.arrival_s) == found.counts["attempted"] == (limit or len(trace.arrival_s))
    done = len(rows)
    assert done >= len(trace.arrival_s) - 4
    sent = {
        (float(at), int(new), int(out))
        for at, new, out in zip(trace.arrival_s, trace.input_tokens, trace.output_tokens, strict=True)
    }
    for row in rows.itertuples():
        assert (row.arrival_s, row.input_tokens, row.output_tokens) in sent


def test_a_closed_loop_has_no_trace_to_sample() -> None:
    """Its arrivals depend on the cluster."""
    with pytest.raises(ScenarioError, match="closed loop"):
        sampled_trace(tiny({"workload.arrivals": {"process": "closed_loop", "concurrency": 4}}))


def test_the_lengths_of_a_check_are_those_of_the_first_replication() -> None:
    """The check reads the same stream as the run, so both see the same first request."""
    scenario = tiny(VARIED)
    workload = build(scenario).workload
    lengths = list(islice(workload.lengths_stream(Streams(scenario.run.seed)), 20))
    trace = sampled_trace(scenario)
    assert lengths == list(zip(trace.input_tokens[:20].tolist(), trace.output_tokens[:20].tolist(), strict=True))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"hardware.gpu": "h1000"}, "hardware.gpu"),
        ({"hardware.node": "hgx-h200-8"}, "holds h200-sxm-141gb, not h100-sxm-80gb"),
        ({"model.name": "nosuch"}, "nosuch"),
        ({"model.name": "nosuch.json"}, "there is no file of that name (value 'nosuch.json')"),
        ({"model.weights": "fp3"}, "model.weights"),
        ({"deployment.engine.max_model_len": 10**8}, "exceeds the context"),
        ({"deployment.layout.tensor_parallel_size": 7}, "deployment.layout"),
        ({"reliability.inject": [{"at_s": 1.0, "node": 5}]}, "reliability.inject.0.node: there is no such node"),
        ({"reliability.inject": [{"at_s": 60.0}]}, "reliability.inject.0.at_s"),
        ({"workload": {"trace": {"path": "nosuch.csv"}}}, "nosuch.csv"),
    ],
)
def test_names_and_values_that_cannot_be_resolved_are_refused_by_key(changes: dict[str, object], words: str) -> None:
    """One sentence of this package, whatever room finds the fault."""
    with pytest.raises(SimError) as caught:
        check(tiny(changes))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_arrivals_that_describe_no_process_name_their_key() -> None:
    """The dotted key is that of the scenario."""
    mmpp = {"process": "mmpp", "rates_rps": [0.0, 0.0], "mean_dwell_s": [1.0, 1.0]}
    with pytest.raises(ScenarioError, match=r"workload\.arrivals"):
        check(tiny({"workload.arrivals": mmpp}))


def test_the_named_rate_of_a_poisson_load_is_offered() -> None:
    """The number of requests of a run is that of its rate."""
    found = simulated({"workload.arrivals": POISSON, "run.horizon_s": 200.0})
    assert found.counts["attempted"] == pytest.approx(2 * 200 * 10, rel=0.06)
