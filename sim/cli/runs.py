"""Commands that simulate a scenario, or look at it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sim.cli.shared import (
    CANNOT_WORK,
    Json,
    ScenarioFile,
    Set,
    load,
    show,
)


def run(
    scenario: ScenarioFile,
    overrides: Set = None,
    trace: Annotated[Path | None, typer.Option(help="Replay this trace instead of the scenario's workload.")] = None,
    out: Annotated[Path | None, typer.Option(help="Run directory; default runs/<scenario>-<hash>.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace the run directory if it exists.")] = False,
    workers: Annotated[int, typer.Option(min=0, max=4096, help="Processes; 0 for one per core.")] = 0,
    report: Annotated[bool, typer.Option(help="Write report.html into the run directory.")] = True,
    as_json: Json = False,
) -> None:
    """Simulate a scenario; print the summary and write the run directory."""
    from sim.report.console import progress_bar
    from sim.report.json_text import to_json
    from sim.report.run_text import run_text
    from sim.study.simulate import simulate
    from sim.study.store import RunDirectory

    loaded = load(scenario, overrides, trace)
    directory = RunDirectory.prepare(out, loaded, overwrite=overwrite)
    cached = directory.cached(loaded)
    if cached is not None:
        result = cached
    else:
        with progress_bar(loaded.name) as progress:
            result = simulate(loaded, workers=workers, progress=progress)
    html = None
    if report:
        from sim.report.html import html_report

        html = html_report(result)
    path = directory.write(result, html)
    show(to_json(result.as_dict()) if as_json else run_text(result, path, cached is not None))
    if result.infeasible is not None:
        raise typer.Exit(CANNOT_WORK)


def check(scenario: ScenarioFile, overrides: Set = None, as_json: Json = False) -> None:
    """Plan the memory of a scenario without simulating: what fits, and what would."""
    from sim.report.check_text import check_dict, check_text
    from sim.report.json_text import to_json
    from sim.simulation.check import check as check_scenario

    loaded = load(scenario, overrides, None)
    found = check_scenario(loaded)
    show(to_json(check_dict(loaded, found)) if as_json else check_text(loaded, found))
    if found.infeasible is not None:
        raise typer.Exit(CANNOT_WORK)


def explain(
    scenario: ScenarioFile,
    overrides: Set = None,
    seqs: Annotated[int | None, typer.Option(min=0, help="Decoding sequences per attention rank.")] = None,
    context: Annotated[int | None, typer.Option(min=1, help="Context tokens of each of them.")] = None,
    prefill: Annotated[int, typer.Option(min=0, help="Prompt tokens computed in the step, per rank.")] = 0,
    prefix: Annotated[int, typer.Option(min=0, help="Tokens of that prompt that are computed already.")] = 0,
    picture: Annotated[Path | None, typer.Option(help="Also draw the breakdown into this file (.png, .svg).")] = None,
    as_json: Json = False,
) -> None:
    """Show how long one engine step takes, operation by operation, and what bounds each."""
    from sim.report.explain_text import explain_dict, explain_text
    from sim.report.json_text import to_json
    from sim.simulation.explain import explain as explain_scenario

    loaded = load(scenario, overrides, None)
    found = explain_scenario(loaded, seqs=seqs, context_tokens=context, prefill_tokens=prefill, prefix_tokens=prefix)
    if picture is not None:
        from sim.report.explain_plot import save_explain_plot

        save_explain_plot(found, picture)
    show(to_json(explain_dict(loaded, found)) if as_json else explain_text(loaded, found))
    if found.infeasible is not None:
        raise typer.Exit(CANNOT_WORK)
