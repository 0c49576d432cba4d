"""The entry point: foreseen errors are one sentence and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated, Any, Final

import typer

from sim.cli import data, proofs, runs, steps, traces, years
from sim.cli.shared import BAD_INPUT, INTERRUPTED, show
from sim.errors import SimError

COMMANDS: Final = (
    runs.run,
    runs.check,
    runs.explain,
    years.availability,
    years.annual,
    proofs.verify,
    proofs.validate,
    proofs.calibrate,
    data.catalog,
    data.schema,
    data.fault_trace,
    data.providers,
)

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
for command in COMMANDS:
    app.command(command.__name__.replace("_", "-"))(command)
for group, commands in (
    (trace_app, (traces.trace_describe, traces.trace_convert)),
    (steps_app, (steps.steps_convert, steps.steps_compare, steps.steps_aic)),
):
    for part in commands:
        group.command(part.__name__.partition("_")[2])(part)


def _show_version(wanted: bool) -> None:
    if wanted:
        import sim

        show(f"moe-capacity-sim {sim.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Capacity simulator for serving very large mixture-of-experts models on GPU clusters."""


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

        show(json.dumps({"error": {"kind": kind, "message": message}}, ensure_ascii=False, indent=2))
    else:
        sys.stderr.write(f"error: {message}\n")
    return BAD_INPUT
