"""The engine against a plain simulator that walks through every step and every request."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings

from sim.engine.plan import ClientPolicy
from tests.engine_cases import Case, cases
from tests.engine_reference import Reference


def assert_agrees(case: Case) -> None:
    plan = replace(
        case.plan,
        replicas=1,
        client=ClientPolicy(request_timeout_s=1e6),
        horizon_s=1e6,
        warmup_s=0.0,
    )
    outcome = replace(case, plan=plan, concurrency=None).run()
    reference = Reference(plan.limits, case.law, host=plan.host, remote=plan.remote)
    reference.run(list(case.draws()))
    totals, record = outcome.record.totals, outcome.record

    assert record.rows is not None
    mine = sorted((row[0], row[4], row[5], row[3], row[7]) for row in record.rows)
    assert len(mine) == len(reference.rows)
    for left, right in zip(mine, sorted(reference.rows), strict=True):
        assert left == pytest.approx(right, rel=1e-9, abs=1e-9)
    assert totals.steps == reference.steps
    for name in ("busy_s", "bubble_s", "prefill_step_s", "sequence_s", "kv_token_s", "waiting_s"):
        assert getattr(totals, name) == pytest.approx(getattr(reference, name), rel=1e-9, abs=1e-9), name
    itl = record.histograms["itl_s"]
    assert itl.count == len(reference.gaps)
    assert itl.sum == pytest.approx(sum(reference.gaps), rel=1e-9)
    assert record.kv_peak_tokens == reference.kv_peak_tokens
    assert totals.prefilled_tokens == reference.prefilled_tokens
    assert totals.cached_prompt_tokens == reference.hit_tokens
    assert (totals.host_tokens, totals.remote_tokens) == (reference.host_tokens, reference.remote_tokens)
    assert totals.evicted_tokens == reference.evicted_blocks * plan.limits.block_size


@given(cases())
@settings(max_examples=60)
def test_agrees_with_the_plain_simulator(case: Case) -> None:
    """Request times, steps, token gaps and every time integral agree to 1e-9."""
    assert_agrees(case)


@given(cases(tight=True))
@settings(max_examples=60)
def test_agrees_under_kv_pressure(case: Case) -> None:
    """The same with a KV pool barely larger than one request, where preemption is the rule."""
    assert_agrees(case)


@given(cases(caching=True))
@settings(max_examples=100)
def test_agrees_with_prefix_caching(case: Case) -> None:
    """The same, and tokens found, computed and evicted, when requests begin alike and blocks are cached."""
    assert_agrees(case)


@given(cases(caching=True, tight=True))
@settings(max_examples=150)
def test_agrees_with_prefix_caching_under_kv_pressure(case: Case) -> None:
    """The same when the cache fights for room with requests that preempt each other."""
    assert_agrees(case)


@given(cases(drafting=True))
@settings(max_examples=60)
def test_agrees_with_speculative_decoding(case: Case) -> None:
    """The same when a step puts out any ratio of tokens per sequence."""
    assert_agrees(case)


@given(cases(drafting=True, tight=True))
@settings(max_examples=60)
def test_agrees_with_speculative_decoding_under_kv_pressure(case: Case) -> None:
    """The same when what drafts reserve makes requests preempt each other."""
    assert_agrees(case)


@given(cases(drafting=True, caching=True, tight=True))
@settings(max_examples=100)
def test_agrees_with_speculative_decoding_and_prefix_caching(case: Case) -> None:
    """The same with a prefix cache in a pool that is too small: only tokens that the request wants are cached."""
    assert_agrees(case)


@given(cases(flavours=True, tight=True))
@settings(max_examples=150)
def test_agrees_under_the_rules_of_every_engine(case: Case) -> None:
    """The same for vLLM, SGLang and TensorRT-LLM, with classes of priority, displacement and watermark."""
    assert_agrees(case)


@given(cases(flavours=True, caching=True))
@settings(max_examples=60)
def test_agrees_under_the_rules_of_every_engine_in_a_roomy_pool(case: Case) -> None:
    """The same with prefix caching, where admission rules bind before the pool does."""
    assert_agrees(case)


@given(cases(flavours=True, caching=True, tight=True))
@settings(max_examples=100)
def test_agrees_under_the_rules_of_every_engine_with_prefix_caching(case: Case) -> None:
    """The same where the cache fights for room."""
    assert_agrees(case)


@given(cases(caching=True, tiers=True), cases(caching=True, tight=True, tiers=True))
@settings(max_examples=100)
def test_agrees_with_tiers_below_the_cache(roomy: Case, tight: Case) -> None:
    """The same, and tokens fetched from each tier, with host memory, a remote pool, and swap."""
    for case in (roomy, tight):
        assert_agrees(case)


@pytest.mark.long
@given(cases(caching=True, tiers=True), cases(caching=True, tight=True, tiers=True))
@settings(max_examples=1500)
def test_agrees_with_tiers_at_length(roomy: Case, tight: Case) -> None:
    """The same over many more clusters with tiers."""
    for case in (roomy, tight):
        assert_agrees(case)


@pytest.mark.long
@given(cases(), cases(tight=True), cases(caching=True), cases(caching=True, tight=True))
@settings(max_examples=1500)
def test_agrees_with_the_plain_simulator_at_length(roomy: Case, tight: Case, cached: Case, both: Case) -> None:
    """The same over many more clusters."""
    for case in (roomy, tight, cached, both):
        assert_agrees(case)


@pytest.mark.long
@given(cases(drafting=True), cases(drafting=True, tight=True), cases(drafting=True, caching=True, tight=True))
@settings(max_examples=500)
def test_agrees_with_speculative_decoding_at_length(roomy: Case, tight: Case, both: Case) -> None:
    """Speculative decoding over many more clusters."""
    for case in (roomy, tight, both):
        assert_agrees(case)


@pytest.mark.long
@given(
    cases(flavours=True, tight=True), cases(flavours=True, caching=True), cases(flavours=True, caching=True, tight=True)
)
@settings(max_examples=1000)
def test_agrees_under_the_rules_of_every_engine_at_length(tight: Case, cached: Case, both: Case) -> None:
    """Every engine's rules over many more clusters."""
    for case in (tight, cached, both):
        assert_agrees(case)
