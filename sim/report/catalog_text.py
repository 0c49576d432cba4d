"""`sim catalog`: every number with its unit, source, date and status."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from rich.console import RenderableType
from rich.text import Text

from sim.catalog import models, tables
from sim.catalog.tables import Fact, Subject
from sim.errors import CatalogError, nearest
from sim.llm.parameters import active_parameters, checkpoint_parameters, main_parameters, parameters_by_component
from sim.llm.spec import ModelSpec
from sim.llm.zoo import spec_from_row
from sim.report.figures import plain_number, plural
from sim.report.terminal import bullets, columns, heading, marked, pairs, paragraph, render, two_lines
from sim.units import GB

MODELS: Final = "models"
MISSES: Final = "misses"
AREAS: Final = (
    MODELS,
    "gpus",
    "nodes",
    "engines",
    "kernels",
    "prices",
    "workloads",
    "reliability",
    "providers",
    "weight_formats",
    "kv_formats",
    "speculation",
    "measurements",
    "launches",
    "reported_ratios",
    "engine_uncertainty",
    "accuracy_targets",
    MISSES,
)
MODEL_HEAD: Final = (
    "model",
    "total G",
    "with MTP G",
    "active G",
    "experts",
    "context",
    "weights",
    "status",
    "date",
    "src",
)
FACT_HEAD: Final = ("", "value, range", "unit", "status", "date", "src")


class Sources:
    """Sources by number, in order of first use."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def mark(self, source: str) -> str:
        """The number of a source, as `[3]`."""
        return f"[{self.numbers.setdefault(source, len(self.numbers) + 1)}]"

    def parts(self) -> list[RenderableType]:
        """The list of sources."""
        items = ((f"[{number}]", source) for source, number in self.numbers.items())
        return [heading("Sources"), *marked(items, "dim")]


def catalog_text(area: str, subject: str | None) -> str:
    """One area of the catalog, or all facts about one subject.

    Raises
    ------
    CatalogError : unknown area or subject; the message lists what there is and the nearest.
    """
    _check(area)
    if area == MODELS:
        return render(_models() if subject is None else _model(subject))
    chosen = _subjects(area, subject)
    if area == MISSES and subject is None:
        return render([paragraph(_title(area, chosen), "bold", 0), *_sentences(chosen)])
    sources = Sources()
    cells: list[tuple[str | Text, ...]] = []
    for name, facts in chosen.items():
        cells += [(Text(name, style="bold"), *[""] * 5), *_fact_cells(facts, sources)]
    parts: list[RenderableType] = [paragraph(_title(area, chosen), "bold", 0), Text("")]
    parts.append(columns(FACT_HEAD, cells, "lrllll", wrap=(1, 2), gap=1))
    if subject is not None:
        notes = [f"{parameter}: {fact.note}" for parameter, fact in chosen[subject].items() if fact.note]
        parts += [heading("Notes"), *bullets(notes)] if notes else []
    return render([*parts, *sources.parts()])


def _sentences(chosen: Mapping[str, Subject]) -> list[RenderableType]:
    """An area whose facts are sentences: subjects and their notes, with their sources."""
    parts: list[RenderableType] = []
    sources = Sources()
    for name, facts in chosen.items():
        parts.append(heading(name))
        parts += bullets([f"{fact.note} {sources.mark(fact.source)}" for fact in facts.values() if fact.note])
    return [*parts, *sources.parts()]


def catalog_dict(area: str, subject: str | None) -> dict[str, Any]:
    """The same as plain data: {area, subjects: {name: {parameter: fact}}}.

    Raises
    ------
    CatalogError : as in `catalog_text`.
    """
    _check(area)
    if area == MODELS:
        found = models.rows() if subject is None else {subject: models.row(subject)}
        return {"area": area, "subjects": {name: _model_dict(row) for name, row in found.items()}}
    chosen = _subjects(area, subject)
    return {
        "area": area,
        "subjects": {
            name: {parameter: asdict(fact) for parameter, fact in facts.items()} for name, facts in chosen.items()
        },
    }


def _check(area: str) -> None:
    if area not in AREAS:
        close = nearest(area, AREAS)
        hint = f"; did you mean {close!r}?" if close else ""
        raise CatalogError(f"the catalog has no area {area!r}; it has {', '.join(AREAS)}{hint}")


def _subjects(area: str, subject: str | None) -> Mapping[str, Subject]:
    return tables.table(area) if subject is None else {subject: tables.subject(area, subject)}


def _title(area: str, chosen: Mapping[str, Subject]) -> str:
    facts = [fact for subject in chosen.values() for fact in subject.values()]
    by_status = {status: sum(fact.status == status for fact in facts) for status in tables.STATUSES}
    parts = ", ".join(f"{count:,} {status}" for status, count in by_status.items() if count)
    return f"{area}: {plural(len(chosen), 'subject')}, {plural(len(facts), 'fact')} ({parts})"


def _fact_cells(facts: Subject, sources: Sources) -> list[tuple[str | Text, ...]]:
    return [
        (
            f"  {parameter}",
            two_lines(_shown(fact.value), _span(fact)),
            "" if fact.unit == "-" else fact.unit,
            Text(fact.status, style="yellow" if fact.status == "assumed" else ""),
            fact.date,
            sources.mark(fact.source),
        )
        for parameter, fact in facts.items()
    ]


def _shown(value: float | str) -> str:
    return value if isinstance(value, str) else plain_number(value)


def _span(fact: Fact) -> str:
    return "" if fact.low is None or fact.high is None else f"{plain_number(fact.low)} to {plain_number(fact.high)}"


def _models() -> list[RenderableType]:
    sources = Sources()
    rows = []
    for name, row in models.rows().items():
        spec = spec_from_row(row)
        total, active = main_parameters(spec) / GB, active_parameters(spec).matmul / GB
        whole = checkpoint_parameters(spec) / GB
        about = "" if spec.exact else "~"
        experts = f"{spec.num_experts_per_token}/{spec.num_experts}" if spec.num_experts else "dense"
        rows.append(
            (
                name,
                f"{about}{total:,.1f}",
                f"{about}{whole:,.1f}" if whole != total else "",
                f"{about}{active:,.1f}",
                experts,
                f"{spec.max_context_tokens:,}",
                spec.native_weights,
                row["status"],
                row["date"],
                sources.mark(row["source"]),
            )
        )
    notes = (
        "Parameters in billions: total without multi-token-prediction (MTP) layers, and that of the checkpoint with "
        "them where it has some; active ones with the head, without the "
        "embedding. ~ marks rows that are only approximate and refuse to be used without allow_approximate. "
        "A Hugging Face config.json works wherever a name does."
    )
    title = paragraph(f"models: {len(rows)}", "bold", 0)
    return [title, columns(MODEL_HEAD, rows, "lrrrrrlllr", gap=1), paragraph(notes, "dim"), *sources.parts()]


def _model(name: str) -> list[RenderableType]:
    row = models.row(name)
    spec = spec_from_row(row)
    active, checkpoint = active_parameters(spec), checkpoint_parameters(spec)
    counts = [
        (
            "parameters, without MTP layers" if checkpoint != main_parameters(spec) else "parameters",
            main_parameters(spec),
        ),
        *((f"  {part}", count) for part, count in parameters_by_component(spec).items() if count),
        *([("checkpoint, with MTP layers", checkpoint)] if checkpoint != main_parameters(spec) else []),
        ("active on one token", active.matmul),
    ]
    fields = [(key, text) for key, text in row.items() if text not in {"", "0", "false"} and key != "name"]
    return [
        paragraph(name, "bold", 0),
        heading("Parameters"),
        columns(("", "count"), [(label, f"{count:,}") for label, count in counts], "lr"),
        heading("Catalog row (zeros left out)"),
        pairs(fields),
    ]


def _model_dict(row: Mapping[str, str]) -> dict[str, Any]:
    spec: ModelSpec = spec_from_row(row)
    return {
        **row,
        "parameters": main_parameters(spec),
        "parameters_by_component": parameters_by_component(spec),
        "active_parameters": active_parameters(spec).matmul,
        "exact": spec.exact,
    }
