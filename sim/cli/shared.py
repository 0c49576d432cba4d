"""What all commands share: options, the scenario with its overrides, output, exit codes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

OWN_LOAD = ("preset", "arrivals", "input_tokens", "output_tokens", "rank_correlation")
BAD_INPUT, CANNOT_WORK, CHECK_FAILED, INTERRUPTED = 2, 3, 1, 130

ScenarioFile = Annotated[Path, typer.Argument(metavar="SCENARIO", help="Scenario file (YAML).")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key, such as --set run.seed=2. May be repeated."),
]
Format = Annotated[str, typer.Option("--format", help="auto, azure, mooncake, csv, or another name in docs/files.md.")]
Sort = Annotated[bool, typer.Option("--sort", help="Put unsorted requests in order of time instead of refusing them.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]


def load(path: Path, overrides: list[str] | None, trace: Path | None) -> Any:
    """The scenario with its overrides."""
    from sim.scenario.document import parse_value
    from sim.scenario.load import load as load_scenario

    changes: dict[str, Any] = {}
    if trace is not None:  # what a trace brings goes; how it is scaled stays, and --set comes last
        changes = dict.fromkeys(f"workload.{key}" for key in OWN_LOAD)
        changes["workload.trace.path"] = str(trace.absolute())
    for item in overrides or []:
        key, value = pair("--set", item, "such as --set run.seed=2")
        changes[key] = parse_value(value)
    return load_scenario(path, changes)


def pair(option: str, item: str, valid: str = "") -> tuple[str, str]:
    """Key and value of an option that takes KEY=VALUE."""
    from sim.errors import ScenarioError

    key, equals, value = item.partition("=")
    if not equals or not key.strip():
        raise ScenarioError(f"{option} takes KEY=VALUE", value=item, valid=valid)
    return key.strip(), value


def counts(option: str, text: str) -> list[int]:
    """Whole numbers between commas."""
    from sim.errors import ScenarioError

    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ScenarioError(f"{option} takes whole numbers", value=text, valid="such as 2,4,8") from None


def show(text: str) -> None:
    """Print a text or a JSON object."""
    sys.stdout.write(text + "\n")
