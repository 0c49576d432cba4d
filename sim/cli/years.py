"""Commands about years of faults."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sim.cli.shared import Json, ScenarioFile, Set, counts, load, show


def annual(
    scenario: ScenarioFile,
    overrides: Set = None,
    years: Annotated[int, typer.Option(min=1, max=1_000_000, help="Years of faults, without requests.")] = 200,
    replications: Annotated[int, typer.Option(min=1, max=10_000, help="Of each run of requests.")] = 5,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the table and the JSON; nothing is written without.")
    ] = None,
    workers: Annotated[int, typer.Option(min=0, max=4096, help="Processes; 0 for one per core.")] = 0,
    as_json: Json = False,
) -> None:
    """Join years of faults with the response of requests to each; print what a year loses, and to what."""
    from sim.report.annual_text import annual_dict, annual_text
    from sim.report.console import progress_bar
    from sim.report.json_text import to_json
    from sim.study.annual.scenario_year import scenario_year
    from sim.study.files import write_text

    loaded = load(scenario, overrides, None)
    with progress_bar(f"{loaded.name}, a year") as progress:
        found = scenario_year(loaded, years=years, replications=replications, workers=workers, progress=progress)
    text, data = annual_text(found), to_json(annual_dict(found))
    if out is not None:
        write_text(out / f"{loaded.name}_annual.txt", text + "\n")
        write_text(out / f"{loaded.name}_annual.json", data + "\n")
    show(data if as_json else text)


def availability(
    scenario: ScenarioFile,
    overrides: Set = None,
    years: Annotated[float, typer.Option(min=0.01, max=1000.0, help="Life of each fleet, which begins new.")] = 5.0,
    fleets: Annotated[int, typer.Option(min=2, max=1_000_000, help="Independent histories.")] = 200,
    needed: Annotated[int | None, typer.Option(min=1, help="Replicas that must be up; default all.")] = None,
    spares: Annotated[str, typer.Option(help="Numbers of spare nodes to compare, comma-separated.")] = "0,1,2,3",
    what_if: Annotated[bool, typer.Option(help="Also change what it rests on, one by one.")] = True,
    trace: Annotated[
        Path | None, typer.Option(help="Recorded faults to put beside: InfiniteHBD JSON or fault CSV, gzip or not.")
    ] = None,
    trace_nodes: Annotated[
        int | None, typer.Option(min=1, help="Nodes of the recorded fleet, with those that never failed.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for table, JSON and picture; nothing is written without.")
    ] = None,
    workers: Annotated[int, typer.Option(min=0, max=4096, help="Processes; 0 for one per core.")] = 0,
    as_json: Json = False,
) -> None:
    """Run years of faults and repair without requests; print replicas up, causes, spares and on-call load."""
    from sim.faults.trace import read_fault_trace
    from sim.report.availability_plot import save_availability_plot
    from sim.report.availability_text import availability_dict, availability_text
    from sim.report.console import progress_bar
    from sim.report.json_text import to_json
    from sim.study.availability.availability import availability as run_fleets
    from sim.study.files import write_text

    loaded = load(scenario, overrides, None)
    with progress_bar(f"{loaded.name}, availability") as progress:
        found = run_fleets(
            loaded,
            years=years,
            fleets=fleets,
            needed=needed,
            spares=counts("--spares", spares),
            what_if=what_if,
            trace=None if trace is None else read_fault_trace(trace, trace_nodes),
            workers=workers,
            progress=progress,
        )
    text, data = availability_text(found), to_json(availability_dict(found))
    if out is not None:
        write_text(out / f"{loaded.name}_availability.txt", text + "\n")
        write_text(out / f"{loaded.name}_availability.json", data + "\n")
        save_availability_plot(found, out / f"{loaded.name}_availability.png")
    show(data if as_json else text)
