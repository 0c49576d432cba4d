"""Commands that hold the simulator against theory and measurement, and fit it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sim.cli.shared import (
    CHECK_FAILED,
    Json,
    Set,
    load,
    show,
)


def verify(
    quick: Annotated[bool, typer.Option(help="Fewer replications, a few seconds.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Root of all random streams.")] = 1,
    workers: Annotated[int, typer.Option(min=0, max=4096, help="Processes; 0 for one per core.")] = 0,
    as_json: Json = False,
) -> None:
    """Run the engine on cases with closed forms; print theory beside simulation."""
    from sim.report.console import progress_bar
    from sim.report.json_text import to_json
    from sim.report.verify_text import verify_dict, verify_text
    from sim.study.verify.verify import verify as run_checks

    with progress_bar("verify") as progress:
        checks = run_checks(quick=quick, seed=seed, workers=workers, progress=progress)
    show(to_json(verify_dict(checks)) if as_json else verify_text(checks))
    if not all(item.passed for item in checks):
        raise typer.Exit(CHECK_FAILED)


def validate(
    points: Annotated[Path, typer.Option("--points", help="CSV of measured points; columns in docs/files.md.")],
    out: Annotated[Path, typer.Option(help="Folder for table, points and picture.")] = Path("runs/validation"),
    workers: Annotated[int, typer.Option(min=0, max=4096, help="Processes; 0 for one per core.")] = 0,
    intervals: Annotated[
        bool,
        typer.Option("--intervals", help="Also how many points lie in the 80 % model interval; ten times as long."),
    ] = False,
    page: Annotated[
        Path | None, typer.Option(help="Also a Markdown page: table between its marks, picture and misses beside it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Simulate measured serving points; print the error by family, and draw predicted against measured."""
    from sim.report.console import progress_bar
    from sim.report.json_text import to_json
    from sim.report.validate_page import around_table, write_table
    from sim.report.validate_plot import save_validate_plot
    from sim.report.validate_text import validate_text
    from sim.study.files import write_text
    from sim.study.validate.coverage import DRAWS
    from sim.study.validate.miss import misses_text
    from sim.study.validate.validate import validate as run_points

    if page is not None:
        around_table(page)  # before the simulation, not after it
    draws = DRAWS if intervals else 0
    with progress_bar("validate") as progress:
        found = run_points(points, cache=out / "points", workers=workers, progress=progress, draws=draws)
    text, data, missed = validate_text(found), to_json(found.as_dict()), misses_text(found.misses)
    write_text(out / f"{points.stem}.txt", text + "\n")
    write_text(out / f"{points.stem}.json", data + "\n")
    write_text(out / f"{points.stem}_misses.csv", missed)
    save_validate_plot(found, out / f"{points.stem}.png")
    if page is not None:
        write_table(page, text)
        write_text(page.with_name(f"{page.stem}_misses.csv"), misses_text(found.misses))
        save_validate_plot(found, page.with_suffix(".png"))
    show(data if as_json else text)


def calibrate(
    scenario: Annotated[
        Path | None,
        typer.Argument(metavar="[SCENARIO]", help="Cluster that was measured: model, GPUs, layout, engine limits."),
    ] = None,
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILES]...", help="Further results, after --bench FILE.")
    ] = None,
    bench: Annotated[
        list[Path] | None,
        typer.Option(help="Results of vLLM bench serve, InferenceX, aiperf, or a CSV of steps; may be repeated."),
    ] = None,
    points: Annotated[
        Path | None, typer.Option(help="CSV of points of many systems; columns in docs/files.md.")
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Time kernels on this machine's GPUs (extra: measure).")
    ] = False,
    overrides: Set = None,
    out: Annotated[Path, typer.Option(help="Calibration file to write; a scenario names it.")] = Path(
        "runs/calibration.csv"
    ),
    uncertainty: Annotated[
        Path | None, typer.Option(help="With --points: also write what they leave open, the rows behind model draws.")
    ] = None,
    workers: Annotated[int, typer.Option(min=0, max=4096, help="Processes; 0 for one per core.")] = 0,
    as_json: Json = False,
) -> None:
    """Fit the constants of an engine: on results of one cluster, on points of many, or on kernels timed here."""
    from sim.errors import ScenarioError
    from sim.report.calibration import calibrate_bench, calibrate_measure, calibrate_points
    from sim.report.json_text import to_json

    given = {"--bench": bool(bench), "--points": points is not None, "--measure": measure}
    if sum(given.values()) != 1:
        raise ScenarioError("takes one of " + ", ".join(given), key="sim calibrate")
    if (files and not bench) or (points is not None and scenario is not None):
        raise ScenarioError("goes with --bench alone", value=str(scenario))
    if uncertainty is not None and points is None:
        raise ScenarioError("--uncertainty goes with --points", value=str(uncertainty))
    cluster = None if scenario is None else load(scenario, overrides, None)
    if points is not None:
        text, data = calibrate_points(points, out, workers, uncertainty)
    elif measure:
        text, data = calibrate_measure(cluster, out)
    elif cluster is None:
        raise ScenarioError("--bench needs the scenario of the cluster that was measured as first argument")
    else:
        text, data = calibrate_bench(cluster, [*(bench or []), *(files or [])], out, workers)
    show(to_json(data) if as_json else text)
