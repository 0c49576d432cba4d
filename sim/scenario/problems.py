"""From pydantic's errors to one clear sentence."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from sim.errors import ScenarioError, nearest

Lines = Mapping[str, tuple[str, int]]  # dotted key to the file and line where it stands
_LIMITS = (("ge", ">= "), ("gt", "> "), ("le", "<= "), ("lt", "< "))


def first_problem(
    error: ValidationError, kind: type[BaseModel], raw: Mapping[str, Any], file: str, lines: Lines
) -> ScenarioError:
    """The most telling problem of a failed validation: an unknown key first, since it often explains the others."""
    details = sorted(error.errors(include_url=False), key=lambda item: item["type"] != "extra_forbidden")
    detail, others = details[0], len(details) - 1
    words = _words(detail, kind)
    more = f" (and {others} more problem{'s' if others > 1 else ''})" if others else ""
    dotted = _dotted(detail["loc"], raw, missing=detail["type"] == "missing")
    key = ".".join(part for part in (dotted, words.key_end) if part)
    place = _place(key, lines) or (file, None)
    return ScenarioError(
        words.problem + more,
        key=key,
        value=detail["input"] if words.with_value else ...,
        valid=words.valid,
        file=place[0],
        line=place[1],
        nearest=words.nearest,
    )


class _Words(NamedTuple):
    """What to say of one problem.

    Attributes
    ----------
    problem, valid, nearest : as in `ScenarioError`.
    with_value : whether the offending value helps.
    key_end : a key below the location that pydantic reports.
    """

    problem: str
    valid: str = ""
    nearest: str = ""
    with_value: bool = True
    key_end: str = ""


def _words(detail: ErrorDetails, kind: type[BaseModel]) -> _Words:
    """One pydantic error in the words of this package."""
    context = detail.get("ctx", {})
    match detail["type"]:
        case "extra_forbidden":
            names = _siblings(kind, detail["loc"])
            words = _Words("unknown key", ", ".join(names), nearest(str(detail["loc"][-1]), names), with_value=False)
        case "missing":
            words = _Words("is missing", with_value=False)
        case "literal_error":
            expected = str(context.get("expected", "")).replace(" or ", ", ")
            choices = [part.strip("' ") for part in expected.split(",")]
            words = _Words("is not one of the choices", ", ".join(choices), nearest(str(detail["input"]), choices))
        case "union_tag_invalid":
            tags = [tag.strip("' ") for tag in str(context["expected_tags"]).split(",")]
            tag, name = str(context["tag"]), str(context["discriminator"]).strip("'")
            words = _Words(f"{tag!r} is unknown", ", ".join(tags), nearest(tag, tags), with_value=False, key_end=name)
        case "union_tag_not_found":
            words = _Words(f"needs the key {context['discriminator']}", with_value=False)
        case "value_error":
            inner = context["error"]
            if isinstance(inner, ScenarioError):
                words = _Words(inner.problem, inner.valid, inner.nearest)
            else:
                words = _Words(str(inner), with_value=not isinstance(detail["input"], Mapping | BaseModel))
        case _:
            words = _Words(_plain(detail), _range(kind, detail["loc"]))
    return words


def _siblings(kind: type[BaseModel], loc: Sequence[int | str]) -> list[str]:
    """Valid keys beside the offending one."""
    fields = (pair for holder in _models_at(kind, loc[:-1]) for pair in holder.model_fields.items())
    return list(dict.fromkeys(info.alias or name for name, info in fields))


def _range(kind: type[BaseModel], loc: Sequence[int | str]) -> str:
    """The allowed range of a field, from its constraints."""
    for holder in _models_at(kind, loc[:-1]):
        info = holder.model_fields.get(str(loc[-1]))
        if info is not None:
            limits = dict(_limits([*info.metadata, *_annotations(info.annotation)]))
            return ", ".join(sign + f"{limits[name]:g}" for name, sign in _LIMITS if name in limits)
    return ""


def _plain(detail: ErrorDetails) -> str:
    """A pydantic message in the words of this package."""
    words = {
        "greater_than": "is too small",
        "greater_than_equal": "is too small",
        "less_than": "is too large",
        "less_than_equal": "is too large",
        "finite_number": "must be a finite number",
        "int_type": "must be a whole number",
        "float_type": "must be a number",
        "bool_type": "must be true or false",
        "bool_parsing": "must be true or false",
        "string_type": "must be text",
        "string_too_short": "must not be empty",
        "model_type": "must be a mapping of keys",
        "model_attributes_type": "must be a mapping of keys",
        "dict_type": "must be a mapping of keys",
        "tuple_type": "must be a list",
        "list_type": "must be a list",
        "too_short": "has too few entries",
        "too_long": "has too many entries",
    }
    text = detail["msg"]
    return words.get(detail["type"], text[:1].lower() + text[1:])


def _dotted(loc: Sequence[int | str], raw: object, *, missing: bool) -> str:
    """The dotted key of an error: its location without the tags of unions; only a missing key is not in the data."""
    parts: list[str] = []
    for index, element in enumerate(loc):
        last = index == len(loc) - 1
        if isinstance(raw, Mapping) and element in raw:
            parts.append(str(element))
            raw = raw[element]
        elif isinstance(raw, Sequence) and isinstance(element, int):
            parts.append(str(element))
            raw = raw[element] if element < len(raw) else None
        elif last and missing:
            parts.append(str(element))
    return ".".join(parts)


def _place(key: str, lines: Lines) -> tuple[str, int] | None:
    """File and line of the key, or of the nearest key above it."""
    while key:
        if key in lines:
            return lines[key]
        key = key.rpartition(".")[0]
    return None


def _models_at(kind: type[BaseModel], loc: Sequence[int | str]) -> list[type[BaseModel]]:
    """The sections that may stand at a location."""
    models: list[type[BaseModel]] = [kind]
    for element in loc:
        inner = [
            found
            for model in models
            if element in model.model_fields
            for found in _models_in(model.model_fields[str(element)].annotation)
        ]
        tagged = [model for model in models if _has_tag(model, element)]
        models = inner or tagged or models
    return models


def _has_tag(model: type[BaseModel], tag: object) -> bool:
    return any(
        tag in get_args(field.annotation) for field in model.model_fields.values() if _is_literal(field.annotation)
    )


def _is_literal(annotation: object) -> bool:
    return get_origin(annotation) is Literal


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in {Union, types.UnionType, Annotated, tuple, list, dict}:
        for argument in get_args(annotation):
            yield from _models_in(argument)


def _annotations(annotation: object) -> Iterator[object]:
    """Metadata of `Annotated` types inside an annotation."""
    if get_origin(annotation) is Annotated:
        _, *metadata = get_args(annotation)
        yield from metadata
    for argument in get_args(annotation):
        yield from _annotations(argument)


def _limits(metadata: Sequence[object]) -> Iterator[tuple[str, float]]:
    for item in metadata:
        for piece in (item, *getattr(item, "metadata", ())):
            for name, _ in _LIMITS:
                value = getattr(piece, name, None)
                if isinstance(value, int | float):
                    yield name, value
