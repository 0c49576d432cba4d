"""The command line: thin, imports lazily.

Exit codes: 0 done; 2 bad input; 3 the scenario cannot work, with the smallest thing that would; 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from sim.errors import SimError

OWN_LOAD = ("preset", "arrivals", "input_tokens", "output_tokens", "rank_correlation")
BAD_INPUT, CANNOT_WORK, CHECK_FAILED, INTERRUPTED = 2, 3, 1, 130

app = typer.Typer(
    name="sim",
    help="Capacity simulator for serving very large mixture-of-experts models on GPU clusters.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
trace_app = typer.Typer(help="Describe and convert request traces.", no_args_is_help=True)
app.add_typer(trace_app, name="trace")
steps_app = typer.Typer(help="Tables of step times: convert, and compare with the law.", no_args_is_help=True)
app.add_typer(steps_app, name="steps")

ScenarioFile = Annotated[Path, typer.Argument(metavar="SCENARIO", help="Scenario file (YAML).")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key, such as --set run.seed=2. May be repeated."),
]
Format = Annotated[str, typer.Option("--format", help="auto, azure, mooncake, csv, or another name in docs/files.md.")]
Sort = Annotated[bool, typer.Option("--sort", help="Put unsorted requests in order of time instead of refusing them.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]


def _show_version(wanted: bool) -> None:
    if wanted:
        import sim

        _print(f"moe-capacity-sim {sim.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Capacity simulator for serving very large mixture-of-experts models on GPU clusters."""


@app.command()
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

    loaded = _load(scenario, overrides, trace)
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
    _print(to_json(result.as_dict()) if as_json else run_text(result, path, cached is not None))
    if result.infeasible is not None:
        raise typer.Exit(CANNOT_WORK)


@app.command()
def check(scenario: ScenarioFile, overrides: Set = None, as_json: Json = False) -> None:
    """Plan the memory of a scenario without simulating: what fits, and what would."""
    from sim.report.check_text import check_dict, check_text
    from sim.report.json_text import to_json
    from sim.simulation.check import check as check_scenario

    loaded = _load(scenario, overrides, None)
    found = check_scenario(loaded)
    _print(to_json(check_dict(loaded, found)) if as_json else check_text(loaded, found))
    if found.infeasible is not None:
        raise typer.Exit(CANNOT_WORK)


@app.command()
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

    loaded = _load(scenario, overrides, None)
    found = explain_scenario(loaded, seqs=seqs, context_tokens=context, prefill_tokens=prefill, prefix_tokens=prefix)
    if picture is not None:
        from sim.report.explain_plot import save_explain_plot

        save_explain_plot(found, picture)
    _print(to_json(explain_dict(loaded, found)) if as_json else explain_text(loaded, found))
    if found.infeasible is not None:
        raise typer.Exit(CANNOT_WORK)


@app.command()
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

    loaded = _load(scenario, overrides, None)
    with progress_bar(f"{loaded.name}, a year") as progress:
        found = scenario_year(loaded, years=years, replications=replications, workers=workers, progress=progress)
    text, data = annual_text(found), to_json(annual_dict(found))
    if out is not None:
        write_text(out / f"{loaded.name}_annual.txt", text + "\n")
        write_text(out / f"{loaded.name}_annual.json", data + "\n")
    _print(data if as_json else text)


@app.command()
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
    _print(to_json(verify_dict(checks)) if as_json else verify_text(checks))
    if not all(item.passed for item in checks):
        raise typer.Exit(CHECK_FAILED)


@app.command()
def validate(
    points: Annotated[Path, typer.Option("--points", help="CSV of measured points; columns in docs/files.md.")],
    out: Annotated[Path, typer.Option(help="Folder for table, points and picture.")] = Path("runs/validation"),
    workers: Annotated[int, typer.Option(min=0, max=4096, help="Processes; 0 for one per core.")] = 0,
    as_json: Json = False,
) -> None:
    """Simulate measured serving points; print the error by family, and draw predicted against measured."""
    from sim.report.console import progress_bar
    from sim.report.json_text import to_json
    from sim.report.validate_plot import save_validate_plot
    from sim.report.validate_text import validate_text
    from sim.study.files import write_text
    from sim.study.validate.validate import validate as run_points

    with progress_bar("validate") as progress:
        found = run_points(points, cache=out / "points", workers=workers, progress=progress)
    text, data = validate_text(found), to_json(found.as_dict())
    write_text(out / f"{points.stem}.txt", text + "\n")
    write_text(out / f"{points.stem}.json", data + "\n")
    save_validate_plot(found, out / f"{points.stem}.png")
    _print(data if as_json else text)


@app.command()
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
    cluster = None if scenario is None else _load(scenario, overrides, None)
    if points is not None:
        text, data = calibrate_points(points, out, workers)
    elif measure:
        text, data = calibrate_measure(cluster, out)
    elif cluster is None:
        raise ScenarioError("--bench needs the scenario of the cluster that was measured as first argument")
    else:
        text, data = calibrate_bench(cluster, [*(bench or []), *(files or [])], out, workers)
    _print(to_json(data) if as_json else text)


@app.command()
def catalog(
    area: Annotated[
        str,
        typer.Argument(help="models, gpus, nodes, engines, kernels, prices, workloads, reliability, providers, ..."),
    ],
    subject: Annotated[str | None, typer.Argument(help="Only this subject, with all its facts.")] = None,
    as_json: Json = False,
) -> None:
    """Print the catalog: every number with its unit, source, date and status."""
    from sim.report.catalog_text import catalog_dict, catalog_text
    from sim.report.json_text import to_json

    _print(to_json(catalog_dict(area, subject)) if as_json else catalog_text(area, subject))


@app.command()
def schema(
    out: Annotated[Path | None, typer.Option(help="Write it to this file instead of printing it.")] = None,
    as_json: Json = False,  # noqa: ARG001 - the schema is JSON either way; the flag exists on every command
) -> None:
    """Print the JSON Schema of scenario files, for editors."""
    from sim.scenario.schema import schema_text

    if out is None:
        _print(schema_text().rstrip("\n"))
        return
    from sim.study.files import write_text

    write_text(out, schema_text())


@app.command("fault-trace")
def fault_trace(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="InfiniteHBD JSON or fault CSV, gzip or not.")],
    nodes: Annotated[int | None, typer.Option(min=1, help="Nodes of the fleet, with those that never failed.")] = None,
    from_day: Annotated[float | None, typer.Option(help="Day the record begins; default the first fault.")] = None,
    to_day: Annotated[float | None, typer.Option(help="Day the record ends; default the last event.")] = None,
    needed: Annotated[str, typer.Option(help="Nodes that must be up, comma-separated.")] = "2,4,8,16",
    spares: Annotated[str, typer.Option(help="Spare nodes, comma-separated.")] = "0,1,2",
    subsets: Annotated[int, typer.Option(min=2, max=1_000_000, help="Random sets of nodes.")] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="Root of all random streams.")] = 1,
    as_json: Json = False,
) -> None:
    """Describe a recorded fault history, and replay it as small fleets beside the binomial law."""
    from sim.faults.trace import read_fault_trace
    from sim.faults.trace_summary import summarise
    from sim.report.fault_trace_text import fault_trace_dict, fault_trace_text
    from sim.report.json_text import to_json
    from sim.study.fault_replay import replay
    from sim.units import DAY_S, HOUR_S

    hours = DAY_S / HOUR_S
    window = [None if day is None else day * hours for day in (from_day, to_day)]
    trace = read_fault_trace(file, nodes, *window)
    cells = replay(trace, _counts("--needed", needed), _counts("--spares", spares), subsets, seed)
    summary = summarise(trace)
    if as_json:
        _print(to_json(fault_trace_dict(trace, summary, cells)))
    else:
        _print(fault_trace_text(trace, summary, cells, named=nodes is not None))


@app.command()
def providers(
    vendor: Annotated[list[str] | None, typer.Option(help="Only this service; may be repeated. Default all.")] = None,
    years: Annotated[int, typer.Option(min=1, max=1000, help="Years in each replication.")] = 5,
    replications: Annotated[int, typer.Option(min=2, max=1_000_000, help="Independent replications.")] = 200,
    rates: Annotated[
        str, typer.Option(help="Rare events: none, low, base, high, or drawn from their posterior.")
    ] = "base",
    exposed: Annotated[bool, typer.Option(help="The customer can be cut off by region or ownership.")] = False,
    national: Annotated[bool, typer.Option(help="A national regulator can suspend the service.")] = False,
    withdrawal: Annotated[bool, typer.Option(help="Stress case: the model is withdrawn once.")] = False,
    migration_days: Annotated[float | None, typer.Option(help="From notice until served elsewhere.")] = None,
    tier: Annotated[str | None, typer.Option(help="Also show what this tier's rate limits refuse.")] = None,
    rate_rps: Annotated[float, typer.Option(help="Load for --tier, requests per second.")] = 1.0,
    input_tokens: Annotated[float, typer.Option(help="Mean input tokens of a request for --tier.")] = 2000.0,
    output_tokens: Annotated[float, typer.Option(help="Mean output tokens of a request for --tier.")] = 500.0,
    seed: Annotated[int, typer.Option(min=0, help="Root of all random streams.")] = 1,
    as_json: Json = False,
) -> None:
    """Simulate API providers as systems with failures: incidents, withdrawals, retirements, rate limits."""
    from sim.report.console import progress_bar
    from sim.report.json_text import to_json
    from sim.report.providers_text import limits_dict, limits_text, providers_dict, providers_text
    from sim.study.load_sample import refused_share
    from sim.study.provider_catalog import SERVICES, Circumstances, rate_limits
    from sim.study.providers import simulate_providers

    customer = Circumstances(rates, exposed, national, withdrawal, migration_days)  # type: ignore[arg-type]  # checked there
    limited = None
    if tier is not None:
        load = {"rate_rps": rate_rps, "input_tokens": input_tokens, "output_tokens": output_tokens}
        limited = refused_share(rate_limits(tier), **load, replications=min(replications, 10), seed=seed)
    with progress_bar("providers") as progress:
        found = simulate_providers(
            vendor or SERVICES, customer, years=years, replications=replications, seed=seed, progress=progress
        )
    if as_json:
        data = providers_dict(found, customer, years, replications)
        _print(to_json(data | ({} if tier is None or limited is None else {"limits": limits_dict(tier, limited)})))
        return
    _print(providers_text(found, customer, years, replications))
    if tier is not None and limited is not None:
        _print(limits_text(tier, limited))


@trace_app.command("describe")
def trace_describe(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Azure CSV, Mooncake JSONL or plain CSV, gzip or not.")],
    trace_format: Format = "auto",
    sort: Sort = False,
    as_json: Json = False,
) -> None:
    """Print a trace's rate, burstiness, lengths and sharing."""
    from sim.report.json_text import to_json
    from sim.report.trace_text import describe_dict, describe_text
    from sim.workload.trace.describe import describe
    from sim.workload.trace.reader import read_trace

    summary = describe(read_trace(file, trace_format, sort=sort))
    _print(to_json(describe_dict(summary)) if as_json else describe_text(summary))


@trace_app.command("convert")
def trace_convert(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Trace to read, or a scenario file to sample from.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Mooncake JSONL to write; .gz compresses.")],
    trace_format: Format = "auto",
    sort: Sort = False,
    as_json: Json = False,
) -> None:
    """Write a trace, or the load of a scenario, as Mooncake JSONL that load generators fire at a real cluster."""
    from sim.report.json_text import to_json
    from sim.workload.trace.convert import write_mooncake
    from sim.workload.trace.reader import read_trace

    if file.suffix in {".yaml", ".yml"}:
        from sim.study.sampled import sampled_trace

        source = sampled_trace(_load(file, None, None))
    else:
        source = read_trace(file, trace_format, sort=sort)
    requests = write_mooncake(source, out)
    _print(to_json({"out": str(out), "requests": requests}) if as_json else f"{requests:,} requests written to {out}")


@steps_app.command("convert")
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

    rows = grid_rows(file, dict(_pair("--where", item) for item in where or []))
    write_text(out, steps_text(rows))
    _print(to_json({"out": str(out), "steps": len(rows)}) if as_json else f"{len(rows):,} steps written to {out}")


@steps_app.command("compare")
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

    loaded = _load(scenario, overrides, None)
    steps = compare_steps(loaded, read_step_rows(file))
    data = [{slot: getattr(errors, slot) for slot in errors.__slots__} for errors in step_errors(steps)]
    _print(to_json({"steps": data}) if as_json else steps_text(loaded.name, file, steps))


@steps_app.command("aic")
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

    asked = aic_steps(_load(scenario, overrides, None), model)
    write_text(out, steps_text(asked.rows))
    refused = f"; {asked.refused:,} were refused: {asked.reason}" if asked.refused else ""
    data = {"out": str(out), "steps": len(asked.rows), "refused": asked.refused, "reason": asked.reason}
    _print(to_json(data) if as_json else f"{len(asked.rows):,} steps written to {out}{refused}")


def _pair(option: str, item: str) -> tuple[str, str]:
    """Key and value of an option that takes KEY=VALUE."""
    from sim.errors import ScenarioError

    key, equals, value = item.partition("=")
    if not equals or not key.strip():
        raise ScenarioError(f"{option} takes KEY=VALUE", value=item)
    return key.strip(), value


def _counts(option: str, text: str) -> list[int]:
    """Whole numbers between commas."""
    from sim.errors import ScenarioError

    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ScenarioError(f"{option} takes whole numbers", value=text, valid="such as 2,4,8") from None


def _load(path: Path, overrides: list[str] | None, trace: Path | None) -> Any:
    """The scenario with its overrides."""
    from sim.errors import ScenarioError
    from sim.scenario.document import parse_value
    from sim.scenario.load import load

    changes: dict[str, Any] = {}
    if trace is not None:  # what a trace brings goes; how it is scaled stays, and --set comes last
        changes = dict.fromkeys(f"workload.{key}" for key in OWN_LOAD)
        changes["workload.trace.path"] = str(trace.absolute())
    for item in overrides or []:
        key, equals, value = item.partition("=")
        if not equals or not key.strip():
            raise ScenarioError("--set takes KEY=VALUE", value=item, valid="such as --set run.seed=2")
        changes[key.strip()] = parse_value(value)
    return load(path, changes)


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")


def main(arguments: list[str] | None = None) -> None:
    """Entry point: every foreseen error is one sentence on stderr and exit code 2."""
    words = sys.argv[1:] if arguments is None else arguments
    sys.exit(_guarded(lambda: app(words, prog_name="sim", standalone_mode=False), as_json="--json" in words))


def run_script(script: Callable[[], Any]) -> None:
    """Run the body of a study script as a command runs: foreseen errors are one sentence and exit code 2."""
    sys.exit(_guarded(script, as_json=False))


def _guarded(command: Callable[[], Any], as_json: bool) -> int:
    # typer brings its own click in newer versions; the root of usage errors is reached through a public subclass
    usage_error: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
    try:
        code = command()
    except SimError as error:
        return _failed(str(error), type(error).__name__, as_json)
    except (typer.Abort, KeyboardInterrupt):
        return _interrupted()
    except usage_error as error:
        error.show()
        return BAD_INPUT
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    if code == INTERRUPTED:  # newer versions of typer turn Ctrl-C into this exit code
        return _interrupted()
    return code if isinstance(code, int) else 0


def _interrupted() -> int:
    sys.stderr.write("interrupted: nothing was written\n")
    return INTERRUPTED


def _failed(message: str, kind: str, as_json: bool) -> int:
    if as_json:
        import json

        _print(json.dumps({"error": {"kind": kind, "message": message}}, ensure_ascii=False, indent=2))
    else:
        sys.stderr.write(f"error: {message}\n")
    return BAD_INPUT


if __name__ == "__main__":
    main()
