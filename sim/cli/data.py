"""Commands that print what results rest on: catalog, schema, fault histories, providers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sim.cli.shared import Json, counts, show


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

    show(to_json(catalog_dict(area, subject)) if as_json else catalog_text(area, subject))


def schema(
    out: Annotated[Path | None, typer.Option(help="Write it to this file instead of printing it.")] = None,
    as_json: Json = False,  # noqa: ARG001 - the schema is JSON either way; the flag exists on every command
) -> None:
    """Print the JSON Schema of scenario files, for editors."""
    from sim.scenario.schema import schema_text

    if out is None:
        show(schema_text().rstrip("\n"))
        return
    from sim.study.files import write_text

    write_text(out, schema_text())


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
    cells = replay(trace, counts("--needed", needed), counts("--spares", spares), subsets, seed)
    summary = summarise(trace)
    if as_json:
        show(to_json(fault_trace_dict(trace, summary, cells)))
    else:
        show(fault_trace_text(trace, summary, cells, named=nodes is not None))


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
        show(to_json(data | ({} if tier is None or limited is None else {"limits": limits_dict(tier, limited)})))
        return
    show(providers_text(found, customer, years, replications))
    if tier is not None and limited is not None:
        show(limits_text(tier, limited))
