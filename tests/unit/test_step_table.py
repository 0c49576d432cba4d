"""A table of step times: what it says at its rows, between them and beyond, and what the engine makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.engine.piecewise_lane import PiecewiseLane
from sim.errors import ScenarioError
from sim.steptime.law import PiecewiseLaw
from sim.steptime.step_rows import StepRow, read_step_rows
from sim.steptime.step_table import StepTable
from sim.steptime.tabulated import HostTime, TabulatedLaw, table_caveats
from tests.unit.test_engine_semantics import limits, run

DECODE = [
    StepRow(1, 100, 0, 0, 1.0),
    StepRow(1, 200, 0, 0, 2.0),
    StepRow(1, 400, 0, 0, 8.0),
    StepRow(5, 100, 0, 0, 3.0),
    StepRow(5, 400, 0, 0, 9.0),
]
PROMPTS = [
    StepRow(0, 0, 10, 0, 2.0),
    StepRow(0, 0, 30, 0, 4.0),
    StepRow(0, 0, 10, 50, 3.0),
    StepRow(0, 0, 30, 50, 6.0),
]
MIXED = [StepRow(5, 100, 10, 0, 4.0), StepRow(5, 100, 30, 0, 6.5), StepRow(5, 400, 10, 0, 10.5)]


def written(path: Path, *lines: str) -> Path:
    """A table in a file."""
    path.write_text("decode_seqs,context_tokens,prefill_tokens,prefix_tokens,seconds\n" + "\n".join(lines) + "\n")
    return path


def test_rows_are_met_and_what_lies_between_is_linear() -> None:
    """Hand-computed: at every row its seconds; between two rows their mean in the middle, in each direction."""
    table = StepTable([*DECODE, *PROMPTS, *MIXED])
    for row in DECODE:
        assert table.decode_s(row.decode_seqs, row.context_tokens) == pytest.approx(row.seconds)
    for row in PROMPTS:
        assert table.prefill_s(row.prefill_tokens, row.prefix_tokens) == pytest.approx(row.seconds)
    for row in MIXED:
        assert table.mixed_s(*row.step) == pytest.approx(row.seconds)
    assert table.decode_s(1, 150) == pytest.approx(1.5)
    assert table.decode_s(3, 100) == pytest.approx(2.0)
    assert table.decode_s(3, 200) == pytest.approx(0.5 * (2.0 + 5.0))
    assert table.prefill_s(20, 25) == pytest.approx(0.25 * (2.0 + 4.0 + 3.0 + 6.0))
    assert table.mixed_s(5, 100, 20, 0) == pytest.approx(5.25)
    assert table.mixed_s(5, 100, 5, 0) == pytest.approx(3.5)  # half of what ten tokens add


def test_beyond_its_rows_a_step_never_gets_cheaper() -> None:
    """As at the first row below it; in proportion to sequences and prompt tokens; along the last rows in context."""
    table = StepTable([*DECODE, *PROMPTS])
    assert table.decode_s(1, 7) == 1.0
    assert table.decode_s(10, 100) == pytest.approx(6.0)
    assert table.decode_s(1, 500) == pytest.approx(11.0)
    assert table.prefill_s(60, 0) == pytest.approx(8.0)
    assert table.prefill_s(30, 100) == pytest.approx(8.0)
    assert table.prefill_s(3, 0) == 2.0


def test_mixed_steps_are_composed_where_none_was_measured() -> None:
    """Decoding sequences count as tokens of the prompt step, and add what their contexts add; never below decoding."""
    table = StepTable([*DECODE, *PROMPTS])
    assert table.mixed_s(5, 400, 15, 0) == pytest.approx(3.0 + (9.0 - 3.0))
    assert table.mixed_s(1, 400, 1, 0) == pytest.approx(2.0 + 7.0)
    assert StepTable([*DECODE, StepRow(0, 0, 10, 0, 0.1)]).mixed_s(5, 100, 5, 0) == pytest.approx(3.0)


def test_pieces_of_a_law_are_its_steps() -> None:
    """Base and slope of the piece at hand give the seconds of every step up to the knot that it names."""
    law = TabulatedLaw(StepTable([*DECODE, *PROMPTS]), HostTime(sequence_s=0.01))
    assert isinstance(law, PiecewiseLaw)
    for seqs in (1, 2, 5, 9):
        held = seqs
        while held < seqs * 600:
            base_s, context_s, until = law.piece(seqs, held)
            assert until > held
            for context_tokens in (held, int(min(until, seqs * 700))):
                stepped_s = law.mixed_s(seqs, context_tokens, 0, any_above=False, prefills=())
                assert base_s + context_s * context_tokens == pytest.approx(stepped_s, rel=1e-12)
            held = int(min(until, seqs * 700))


def test_a_lone_request_walks_over_the_knots() -> None:
    """Hand-computed: a prompt, then steps at contexts 99 to 202: flat to 100, 10 ms more each to 200, then 30 ms."""
    law = TabulatedLaw(StepTable([*DECODE, StepRow(0, 0, 98, 0, 7.0)]))
    outcome = run([(0.0, 98, 105)], law=law)  # type: ignore[arg-type]
    assert outcome.record.rows is not None
    ramps_s = [1.0, 1.0, *(1.0 + 0.01 * step for step in range(1, 101)), 2.03, 2.06]
    assert outcome.record.rows[0][5] == pytest.approx(7.0 + sum(ramps_s), rel=1e-12)
    assert outcome.record.totals.boundaries < 10


def test_without_the_cut_at_knots_the_walk_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative twin: a span that never asks for the next piece goes on flat."""
    monkeypatch.setattr("sim.engine.batches.steps_to_knot", lambda lanes, step, steps: steps)
    law = TabulatedLaw(StepTable([*DECODE, StepRow(0, 0, 98, 0, 7.0)]))
    outcome = run([(0.0, 98, 105)], law=law)  # type: ignore[arg-type]
    assert outcome.record.rows is not None
    assert outcome.record.rows[0][5] == pytest.approx(7.0 + 104.0)


def test_lanes_of_other_laws_know_no_knots() -> None:
    """The plain lane is used where a law has no pieces."""
    outcome = run([(0.0, 98, 105)], engine=limits())
    assert outcome.record.rows is not None
    assert outcome.record.rows[0][5] == pytest.approx(105.0)
    assert "linear_until" in PiecewiseLane.__slots__


def test_rows_of_one_step_are_averaged_and_small_falls_flattened() -> None:
    """Two runs of a step count as their mean; a fall of 2 % with context is scatter, and said."""
    table = StepTable([StepRow(1, 10, 0, 0, 1.0), StepRow(1, 10, 0, 0, 3.0), StepRow(1, 20, 0, 0, 1.96)])
    assert table.decode_s(1, 20) == 2.0
    assert table.fall_frac == pytest.approx(0.02)
    said = list(table_caveats(table, decode_seqs=1, context_tokens=15, prefill_tokens=0, prefix_tokens=0, ranks=1))
    assert len(said) == 1
    assert "2.0%" in said[0]


def test_what_lies_outside_is_said() -> None:
    """Each quantity beyond the table, a missing prefix, missing mixed steps, and ranks in lockstep."""
    table = StepTable([*DECODE, *PROMPTS[:2]])
    inside = {"decode_seqs": 5, "context_tokens": 300, "prefill_tokens": 20, "prefix_tokens": 0, "ranks": 1}
    assert len(list(table_caveats(table, **inside))) == 1  # no mixed steps
    for key, value, words in (
        ("decode_seqs", 6, "6 decoding sequences per rank, where the table ends at 5"),
        ("context_tokens", 401, "ends at 400"),
        ("context_tokens", 50, "begins at 100"),
        ("prefill_tokens", 31, "ends at 30"),
        ("prefix_tokens", 1, "no rows with a prefix"),
        ("ranks", 2, "all 2 ranks"),
    ):
        assert any(words in caveat for caveat in table_caveats(table, **{**inside, key: value})), key
    assert not list(table_caveats(StepTable([*DECODE, *PROMPTS, *MIXED]), **inside))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("1,0,0,0,0.1", "context of at least 1"),
        ("0,0,0,0,0.1", "both are 0"),
        ("1,10,0,0,0", "longer than no time"),
        ("1,10,0,5,0.1", "there are none"),
        ("1,ten,0,0,0.1", "context_tokens: is no number"),
        ("1.5,10,0,0,0.1", "decode_seqs: is no whole number"),
        ("1,10,-1,0,0.1", "prefill_tokens: is no number of at least 0"),
    ],
)
def test_rows_that_say_nothing_sensible_are_refused(tmp_path: Path, line: str, words: str) -> None:
    """The message names file and line."""
    with pytest.raises(ScenarioError, match=words) as refused:
        read_step_rows(written(tmp_path / "steps.csv", "1,10,0,0,0.1", line))
    assert "steps.csv:3" in str(refused.value)


def test_tables_that_cannot_be_interpolated_are_refused(tmp_path: Path) -> None:
    """A steep fall with context, mixed steps without decode steps, a prefix in a mixed step, no rows, no column."""
    with pytest.raises(ScenarioError, match="gets shorter by 50%"):
        StepTable([StepRow(1, 10, 0, 0, 1.0), StepRow(1, 20, 0, 0, 0.5)])
    with pytest.raises(ScenarioError, match="none that only decode"):
        StepTable([StepRow(1, 10, 5, 0, 1.0)])
    with pytest.raises(ScenarioError, match="prefix_tokens of a step that also decodes"):
        StepTable([*DECODE, StepRow(1, 10, 5, 5, 1.0)])
    with pytest.raises(ScenarioError, match="holds no steps"):
        read_step_rows(written(tmp_path / "empty.csv"))
    other = tmp_path / "other.csv"
    other.write_text("decode_seqs,context_tokens,seconds\n1,10,0.1\n")
    with pytest.raises(ScenarioError, match="prefill_tokens: lacks a column"):
        read_step_rows(other)
    with pytest.raises(ScenarioError, match="cannot be read"):
        read_step_rows(tmp_path / "missing.csv")
