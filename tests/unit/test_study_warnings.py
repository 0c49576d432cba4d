"""What a result says about itself: assumed inputs and warnings."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.report.run_text import run_text
from tests.study_cases import POISSON, QUICK_RESTART, VARIED, simulated

GLM = {
    "model": {"name": "glm-5.2", "weights": "fp8_block"},
    "deployment.layout": {"tensor_parallel_size": 8, "pipeline_parallel_size": 2},
    "deployment.engine.kv_cache_dtype": "fp8",
    "workload.arrivals.rate_rps": 1.0,
    "run.horizon_s": 30.0,
}
REVIEW = {"workload": {"preset": "code_review", "arrivals": {"rate_rps": 0.05}}, "run.horizon_s": 120.0}


def assumed(changes: dict[str, object]) -> set[str]:
    return {item.name for item in simulated(changes).assumed_inputs}


def areas(names: set[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


def test_only_rows_that_the_run_uses_are_listed() -> None:
    """No fault rows without faults, no workload rows without a preset, no rows of other GPUs, engines or kernels."""
    names = assumed({})
    assert names
    assert areas(names) <= {"nodes", "engines", "kernels", "prices"}
    assert not any("h200" in name or "vllm" in name or "pipeline" in name for name in names)
    assert any("gqa_decode" in name for name in names)
    pipelined = assumed(GLM)
    assert not any("gqa_decode" in name for name in pipelined)
    assert any("pipeline_send" in name for name in pipelined)


@pytest.mark.parametrize(
    ("changes", "key", "value", "gone"),
    [
        ({}, "deployment.engine.runtime_reserve_gib", 2.0, "engines.sglang.runtime_reserve_gib"),
        ({}, "pricing.tax_frac", 0.05, "prices.ownership.tax_frac"),
        ({}, "pricing.gpu_reserved_3y_usd_per_h", 1.9, "prices.h100-sxm-80gb.gpu_reserved_3y_usd_per_h"),
        ({"hardware.gpu": "a100-sxm-80gb"}, "hardware.gpu", "h100-sxm-80gb", "gpus.a100-sxm-80gb.power_decode_kw"),
        (REVIEW, "workload.input_tokens", {"law": "constant", "tokens": 9}, "workloads.code_review.input_sigma"),
        (REVIEW, "workload.output_tokens", {"law": "constant", "tokens": 9}, "workloads.code_review.output_sigma"),
        (REVIEW, "workload.arrivals", POISSON, "workloads.code_review.arrival_cv"),
        (
            {"reliability.inject": [{"at_s": 20.0}]},
            "reliability.restart",
            QUICK_RESTART["reliability.restart"],
            "reliability.restart.graph_capture_s",
        ),
        ({"reliability.inject": [{"at_s": 20.0}]}, "reliability.detect_s", 1.0, "reliability.restart.detect_s"),
        (
            {"reliability.inject": [{"at_s": 20.0}]},
            "reliability.repair",
            "managed",
            "reliability.repair_urgent.mean_h_2",
        ),
    ],
)
def test_a_value_of_the_scenario_takes_its_row_off_the_list(
    changes: dict[str, object], key: str, value: object, gone: str
) -> None:
    """What the user states is no assumption of the catalog any more."""
    assert gone in assumed(changes)
    assert gone not in assumed(changes | {key: value})


def test_the_classes_of_faults_are_listed_where_a_run_uses_them() -> None:
    """All of them with random faults; of an injected one what it does, but not how often; none of a plain one."""
    everything = assumed({"reliability.faults": True})
    one = assumed({"reliability.inject": [{"at_s": 20.0, "class": "net_link"}]})
    plain = assumed({"reliability.inject": [{"at_s": 20.0}]})

    assert {"reliability.fault_gpu_rma.rate_per_1000_node_days", "reliability.engine_crash.mtbf_days"} <= everything
    assert not any("repair_urgent" in name for name in everything)
    assert {name.split(".")[1] for name in one if name.startswith("reliability.fault_")} == {"fault_net_link"}
    assert not any("rate_per" in name for name in one | plain)
    assert not any("reliability.fault_" in name or "hang" in name for name in plain)


def test_each_assumption_has_a_source() -> None:
    """A name, a value and what it rests on."""
    for item in simulated(GLM).assumed_inputs:
        assert item.name
        assert item.source
        assert item.as_dict()["value"] is not None


def test_a_run_without_a_service_level_says_what_good_means() -> None:
    """Goodput, attainment and cost of a run without limits say nothing about latency, and the run says so."""
    assert any("No service level is set" in note for note in simulated().warnings)
    assert not any("No service level" in note for note in simulated({"slo.e2el_ms": 5000.0}).warnings)


def test_replications_that_cannot_differ_say_so() -> None:
    """Intervals without width look like certainty; only where something is random are there just few of them."""
    same = simulated({"run.replications": 3})
    assert same.metric("ttft_mean_s").low == same.metric("ttft_mean_s").high
    assert any("came out the same" in note for note in same.warnings)
    varied = simulated(VARIED)
    assert not any("came out the same" in note for note in varied.warnings)
    assert any("2 replications give wide intervals" in note for note in varied.warnings)
    single = simulated(VARIED | {"run.replications": 1})
    assert any("One replication gives no interval" in note for note in single.warnings)


def test_a_replayed_trace_is_no_forecast(root: Path) -> None:
    """Once replayed it gives no interval; replayed alike ten times, intervals without meaning."""
    replay = {
        "workload": {"trace": {"path": str(root / "scenarios" / "sample_trace.csv")}},
        "run.warmup_s": 0.0,
        "deployment.engine.max_num_seqs": 256,
        "run.horizon_s": 20000.0,
    }
    once, twice = simulated(replay | {"run.replications": 1}), simulated(replay | {"run.replications": 2})
    assert any("no forecast" in note for note in once.warnings)
    assert any("show no variation of the load" in note for note in twice.warnings)
    thinned = simulated(replay | {"run.replications": 2, "workload.trace.thin_frac": 0.5})
    assert not any("show no variation" in note for note in thinned.warnings)


def test_faults_that_never_came_are_no_evidence() -> None:
    """An hour with the real fault rate sees none, and the run says that this means nothing."""
    found = simulated({"reliability.faults": True})
    assert found.counts["node_faults"] == 0
    assert any("No node failed in the simulated time" in note for note in found.warnings)


def test_a_fault_in_a_spare_is_reported_as_idle() -> None:
    """A fault injected into a node that stands by does nothing, and that is said."""
    found = simulated({"deployment.spare_nodes": 1, "reliability.inject": [{"at_s": 20.0, "node": 1}]})
    assert found.counts["node_faults"] == 0
    assert any("2 injected faults met a node that was not in service" in note for note in found.warnings)


def test_faults_are_reported_by_class() -> None:
    """A hang is noticed after 300 s and costs the restart then; counts, seconds and the summary name its class."""
    changes = QUICK_RESTART | {"run.horizon_s": 400.0, "run.replications": 1}
    inject = [{"at_s": 20.0, "node": 0, "class": "engine_crash"}, {"at_s": 350.0, "node": 0}]
    found = simulated(changes | {"reliability.inject": inject, "deployment.spare_nodes": 1, "run.seed": 3})
    seconds = {metric.metric: metric.value for metric in found.metrics}

    assert (found.counts["node_faults"], found.counts["faults_engine_crash"], found.counts["faults_node_fault"]) == (
        1,
        1,
        1,
    )
    assert any("1 node faults and 1 engine faults fell into" in note for note in found.warnings)
    assert seconds["down_node_fault_s"] == pytest.approx(7.0)
    assert seconds["down_engine_crash_s"] == pytest.approx(7.0 if "hung_engine_crash_s" not in seconds else 5.0)
    words = " ".join(run_text(found, Path("there"), cached=False).split())
    assert "Faults by class: 1 engine crash, 1 node fault" in words
    assert "Replica time down, node fault, per run" in words
    assert "Replica time" not in run_text(simulated(), Path("there"), cached=False)


def test_no_warm_up_is_remarked() -> None:
    """The empty start lowers every figure."""
    assert any("Nothing is cut as warm-up" in note for note in simulated(VARIED | {"run.warmup_s": 0.0}).warnings)


def test_a_system_that_nothing_was_compared_with_says_so(tmp_path: Path) -> None:
    """GLM-5.2 on H100 is carried over from other systems; on H200 it was compared; so is one's own calibration."""
    h200 = {"hardware.gpu": "h200-sxm-141gb", "deployment.layout": {"tensor_parallel_size": 8}}
    sentence = "No measurement of glm-5.2 served on h100-sxm-80gb with sglang was compared"
    assert any(sentence in warning for warning in simulated({**GLM, "deployment.engine.name": "sglang"}).warnings)
    compared = {**GLM, **h200, "deployment.engine.name": "sglang"}
    assert not any("was compared" in warning for warning in simulated(compared).warnings)
    own = tmp_path / "own.csv"
    own.write_text(
        "subject,parameter,value,unit,low,high,source,date,status,note\n"
        "sglang,host_overhead_ms,1.0,ms,,,a pilot,2026-11,measured,\n",
        encoding="utf-8",
    )
    named = {**GLM, "deployment.engine.name": "sglang", "deployment.engine.calibration": str(own)}
    assert not any("was compared" in warning for warning in simulated(named).warnings)
