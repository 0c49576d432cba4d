"""A scenario whose step times come from a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import sim
from sim.errors import ScenarioError
from sim.simulation.build import build
from sim.simulation.explain import explain
from sim.simulation.step_times import step_seconds
from sim.steptime.step_rows import StepRow, read_step_rows
from sim.steptime.tabulated import TabulatedLaw
from sim.study.steps.compare import compare_steps, step_errors
from sim.study.steps.grid import grid_rows
from sim.study.steps.text import steps_text

SCENARIOS = Path(__file__).resolve().parents[2] / "scenarios"
SEQS, CONTEXTS, PROMPTS, PREFIXES = (1, 4, 16, 64, 256), (64, 1024, 4096, 16384), (16, 256, 2048, 8192), (0, 4096)


def mixtral(**changes: object) -> sim.Scenario:
    """A small scenario with given engine keys, briefly simulated."""
    run = {"run.horizon_s": 60.0, "run.warmup_s": 5.0, "run.replications": 2}
    scenario = sim.load(SCENARIOS / "mixtral_8x7b_8xh100.yaml").with_(run)
    return scenario.with_({f"deployment.engine.{key}": value for key, value in changes.items()})


def tabulated(scenario: sim.Scenario) -> list[StepRow]:
    """The scenario's own law at every step of a grid."""
    built = build(scenario)
    steps = [(seqs, context, 0, 0) for seqs in SEQS for context in CONTEXTS]
    steps += [(0, 0, tokens, prefix) for tokens in PROMPTS for prefix in PREFIXES]
    steps += [(seqs, context, tokens, 0) for seqs in SEQS for context in CONTEXTS for tokens in PROMPTS]
    rows = [StepRow(*step, 1.0) for step in steps]
    return [StepRow(*row.step, step_seconds(built.served, built.cluster.limits, row)) for row in rows]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """The law of the small scenario as a file."""
    path = tmp_path / "steps.csv"
    path.write_text(steps_text(tabulated(mixtral())), encoding="utf-8")
    return path


def test_the_law_of_a_scenario_read_back_from_its_own_table_gives_its_results(table: Path) -> None:
    """Round trip: simulated latencies and throughput within 3 % of those of the law that filled the table."""
    own = sim.simulate(mixtral(), workers=1)
    read = sim.simulate(mixtral(step_times=str(table)), workers=1)
    left, right = (result.frame().set_index("metric")["value"] for result in (own, read))
    for metric in ("ttft_p50", "ttft_mean", "tpot_mean", "e2el_mean", "output_throughput"):
        found = [name for name in left.index if name.startswith(metric)]
        assert found, metric
        assert right[found[0]] == pytest.approx(left[found[0]], rel=0.03), metric


def test_twice_the_seconds_are_twice_the_step(table: Path, tmp_path: Path) -> None:
    """Negative twin: a table of steps that take twice as long is not taken for the first."""
    slow = tmp_path / "slow.csv"
    rows = [StepRow(*row.step, 2.0 * row.seconds) for row in read_step_rows(table)]
    slow.write_text(steps_text(rows), encoding="utf-8")
    errors = step_errors(compare_steps(mixtral(step_times=str(slow)), read_step_rows(table)))
    assert [error.kind for error in errors] == ["decode", "prefill", "mixed"]
    for error in errors:
        assert error.median_frac == pytest.approx(1.0, rel=1e-4)


def test_a_table_agrees_with_its_own_law_step_by_step(table: Path) -> None:
    """Every row is met to the digits of the file, and `sim explain` reads it."""
    scenario = mixtral(step_times=str(table))
    for step in compare_steps(scenario, read_step_rows(table)):
        assert step.error_frac == pytest.approx(0.0, abs=1e-5), step.row
    explained = explain(scenario, seqs=16, context_tokens=1024)
    assert [item.bound for item in explained.operations] == ["table"]
    assert explained.step_s == pytest.approx(explain(mixtral(), seqs=16, context_tokens=1024).step_s, rel=0.2)
    assert any("ends at" in line for line in explain(scenario, seqs=16, context_tokens=20000).warnings)


def test_sums_of_kernels_get_the_engine_s_host_times(table: Path) -> None:
    """With the scope `kernels` a decode step is longer by host time of the step and of each sequence."""
    changes = {"host_overhead_ms": 3.0, "sequence_overhead_us": 10.0, "prefill_overhead_ms": 20.0}
    whole = build(mixtral(step_times=str(table))).served
    kernels = build(mixtral(step_times=str(table), step_times_scope="kernels", **changes)).served
    assert isinstance(kernels, TabulatedLaw)
    limits = build(mixtral()).cluster.limits
    for row, added_s in ((StepRow(16, 1024, 0, 0, 1.0), 0.00316), (StepRow(0, 0, 256, 0, 1.0), 0.02301)):
        longer_s = step_seconds(kernels, limits, row) - step_seconds(whole, limits, row)
        assert longer_s == pytest.approx(added_s, rel=1e-6)


def test_a_run_says_where_it_left_the_table(tmp_path: Path) -> None:
    """A warning in the result for steps beyond the rows; none about kernels that were not used."""
    path = tmp_path / "small.csv"
    rows = [StepRow(1, 100, 0, 0, 0.001), StepRow(2, 5000, 0, 0, 0.001), StepRow(0, 0, 64, 0, 0.0001)]
    path.write_text(steps_text(rows))
    result = sim.simulate(mixtral(step_times=str(path)), workers=1)
    steps = [warning for warning in result.warnings if warning.startswith("Step times:")]
    assert any("where the table ends at 2" in warning for warning in steps)
    assert any("prompt tokens in a step, where the table ends at 64" in warning for warning in steps)
    assert any("no steps that decode and prefill at once" in warning for warning in steps)
    assert not any("attention" in warning or "expert" in warning for warning in steps)


def test_a_table_needs_no_assumed_kernels(table: Path) -> None:
    """Assumed inputs of the kernels are not listed where a table takes their place."""
    for scenario, wanted in ((mixtral(), True), (mixtral(step_times=str(table)), False)):
        assert sim.check(scenario).infeasible is None
        keys = {item.name for item in sim.simulate(scenario, workers=1).assumed_inputs}
        assert any(key.startswith("kernels.") for key in keys) is wanted


def test_the_content_of_the_table_is_part_of_the_digest(table: Path) -> None:
    """Another table is another run."""
    scenario = mixtral(step_times=str(table))
    before = scenario.digest()
    table.write_text(table.read_text() + "300,64,0,0,1.0\n")
    assert scenario.digest() != before


def test_what_does_not_go_together_is_refused(table: Path, tmp_path: Path) -> None:
    """Drafts with a table, a scope without one, a missing file, and a table that lacks a kind of steps."""
    with pytest.raises(ScenarioError, match="num_speculative_tokens must be 0"):
        mixtral(step_times=str(table), num_speculative_tokens=1)
    with pytest.raises(ScenarioError, match="there are none"):
        mixtral(step_times_scope="kernels")
    with pytest.raises(ScenarioError, match="no file of that name"):
        build(mixtral(step_times=str(tmp_path / "none.csv")))
    for row, words in (
        (StepRow(1, 10, 0, 0, 0.1), "has no steps with prompt"),
        (StepRow(0, 0, 9, 0, 0.1), "no decode"),
    ):
        path = tmp_path / "half.csv"
        path.write_text(steps_text([row]))
        with pytest.raises(ScenarioError, match=words) as refused:
            build(mixtral(step_times=str(path)))
        assert refused.value.key == "deployment.engine.step_times"


def test_pools_have_tables_of_their_own(tmp_path: Path) -> None:
    """A prefill pool needs no decode steps, a decode pool no prompts."""
    prompts, decodes = tmp_path / "prompts.csv", tmp_path / "decodes.csv"
    prompts.write_text(steps_text([StepRow(0, 0, 16, 0, 0.01), StepRow(0, 0, 8192, 0, 0.5)]))
    decodes.write_text(steps_text([StepRow(1, 100, 0, 0, 0.01), StepRow(256, 10000, 0, 0, 0.05)]))
    scenario = sim.load(SCENARIOS / "deepseek_v3_disagg_8xh200.yaml").with_(
        {
            "deployment.disaggregation.prefill.engine.step_times": str(prompts),
            "deployment.disaggregation.decode.engine.step_times": str(decodes),
        }
    )
    built = build(scenario)
    assert isinstance(built.served, TabulatedLaw)
    assert isinstance(built.decode_served, TabulatedLaw)
    assert {path.name for path in scenario.input_files()} == {"prompts.csv", "decodes.csv"}
    with pytest.raises(ScenarioError, match="has no decode steps"):
        build(scenario.with_({"deployment.disaggregation.decode.engine.step_times": str(prompts)}))


GRID = "model,config,phase,batch_per_rank,ctx_tokens,new_tokens_per_rank,prefix_tokens,step_ms\n"


def test_an_export_becomes_a_table(tmp_path: Path) -> None:
    """Decode and prefill rows of the system that is asked for, in seconds; rows of two systems are not mixed."""
    path = tmp_path / "grid.csv"
    lines = ["m,a,decode,4,1024,,,20.0", "m,a,prefill,,,256,8192,30.0", "m,b,decode,4,1024,,,40.0"]
    path.write_text(GRID + "\n".join(lines) + "\n")
    rows = grid_rows(path, {"config": "a"})
    assert [(row.step, row.seconds) for row in rows] == [((4, 1024, 0, 0), 0.02), ((0, 0, 256, 8192), 0.03)]
    with pytest.raises(ScenarioError, match="config: rows of 2 values fit"):
        grid_rows(path, {"model": "m"})
    with pytest.raises(ScenarioError, match=r"no row fits.*config: a, b"):
        grid_rows(path, {"config": "c"})
    with pytest.raises(ScenarioError, match=r"configs: is no column.*did you mean 'config'"):
        grid_rows(path, {"configs": "a"})
    path.write_text(GRID + "m,a,decode,4,1024,,,fast\n")
    with pytest.raises(ScenarioError, match=r"grid\.csv:2: step_ms: is no positive number"):
        grid_rows(path, {})


def test_a_second_opinion_on_deepseek(shared: Callable[[str], Path], tmp_path: Path) -> None:
    """DeepSeek-V3 on 16 H100 by AIConfigurator 0.12.0 and by the built-in law: decode within 15 %, prompts 20 %.

    The export holds kernels alone, and every layer as MoE; so it is compared without host time. Measured here: decode
    median error -7 % over all rows (those beyond the memory of an H100 included).
    """
    rows = grid_rows(
        shared("reference/aic_grid.csv"), {"model": "DeepSeek-V3", "backend": "sglang", "config": "dp16ep16"}
    )
    assert len(rows) == 104
    path = tmp_path / "aic.csv"
    path.write_text(steps_text(rows))
    neutral = {
        "decode_time_factor": 1.0,
        "prefill_time_factor": 1.0,
        "expert_decode_time_factor": 1.0,
        "expert_prefill_time_factor": 1.0,
        "host_overhead_ms": 0.0,
        "prefill_overhead_ms": 0.0,
        "sequence_overhead_us": 0.0,
    }
    scenario = sim.load(SCENARIOS / "deepseek_v3_fp8_16xh100.yaml")
    scenario = scenario.with_({f"deployment.engine.{key}": value for key, value in neutral.items()})
    by_kind = {error.kind: error for error in step_errors(compare_steps(scenario, read_step_rows(path)))}
    assert by_kind["decode"].median_abs_frac < 0.15
    assert by_kind["prefill"].median_abs_frac < 0.20
    itself = scenario.with_({"deployment.engine.step_times": str(path)})
    for error in step_errors(compare_steps(itself, read_step_rows(path))):
        assert error.p90_abs_frac < 1e-5
