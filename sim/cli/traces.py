"""Commands on request traces."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sim.cli.shared import (
    Format,
    Json,
    Sort,
    load,
    show,
)


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
    show(to_json(describe_dict(summary)) if as_json else describe_text(summary))


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

        source = sampled_trace(load(file, None, None))
    else:
        source = read_trace(file, trace_format, sort=sort)
    requests = write_mooncake(source, out)
    show(to_json({"out": str(out), "requests": requests}) if as_json else f"{requests:,} requests written to {out}")
