"""Commands on tables of step times."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sim.cli.shared import (
    Json,
    ScenarioFile,
    Set,
    load,
    pair,
    show,
)


def steps_convert(
    file: Annotated[Path, typer.Argument(metavar="GRID", help="Step times exported from AIConfigurator (CSV).")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Table of steps to write; a scenario names it.")],
    where: Annotated[
        list[str] | None,
        typer.Option("--where", metavar="COLUMN=VALUE", help="Rows to take, such as config=dp16ep16. May be repeated."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Turn an export of AIConfigurator into a table of steps (deployment.engine.step_times)."""
    from sim.report.json_text import to_json
    from sim.study.files import write_text
    from sim.study.steps.grid import grid_rows
    from sim.study.steps.text import steps_text

    rows = grid_rows(file, dict(pair("--where", item) for item in where or []))
    write_text(out, steps_text(rows))
    show(to_json({"out": str(out), "steps": len(rows)}) if as_json else f"{len(rows):,} steps written to {out}")


def steps_compare(
    scenario: ScenarioFile,
    file: Annotated[Path, typer.Argument(metavar="TABLE", help="Table of steps (CSV).")],
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Print what the law of a scenario says of every step of a table: a second opinion on either."""
    from sim.report.json_text import to_json
    from sim.report.steps_text import steps_text
    from sim.steptime.step_rows import read_step_rows
    from sim.study.steps.compare import compare_steps, step_errors

    loaded = load(scenario, overrides, None)
    steps = compare_steps(loaded, read_step_rows(file))
    data = [{slot: getattr(errors, slot) for slot in errors.__slots__} for errors in step_errors(steps)]
    show(to_json({"steps": data}) if as_json else steps_text(loaded.name, file, steps))


def steps_aic(
    scenario: ScenarioFile,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Table of steps to write; a scenario names it.")],
    overrides: Set = None,
    model: Annotated[str | None, typer.Option(help="Name of the model in AIConfigurator, on Hugging Face.")] = None,
    as_json: Json = False,
) -> None:
    """Ask NVIDIA AIConfigurator for the step times of a scenario's layout (optional extra: aic)."""
    from sim.report.json_text import to_json
    from sim.study.files import write_text
    from sim.study.steps.aic import aic_steps
    from sim.study.steps.text import steps_text

    asked = aic_steps(load(scenario, overrides, None), model)
    write_text(out, steps_text(asked.rows))
    refused = f"; {asked.refused:,} were refused: {asked.reason}" if asked.refused else ""
    data = {"out": str(out), "steps": len(asked.rows), "refused": asked.refused, "reason": asked.reason}
    show(to_json(data) if as_json else f"{len(asked.rows):,} steps written to {out}{refused}")
