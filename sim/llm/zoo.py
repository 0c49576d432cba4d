"""Models by name: a row of the catalog, or a Hugging Face configuration on disk, as a `ModelSpec`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from sim.catalog import models
from sim.errors import CatalogError
from sim.llm.huggingface import read_config
from sim.llm.spec import ModelSpec

_WORDS: Final = {"true": True, "false": False}


def load_model(name_or_path: str | Path, *, allow_approximate: bool = False) -> ModelSpec:
    """A model of the catalog, or of a `config.json` (or a folder that holds one).

    Text that ends in `.json` or names something that exists on disk is a path; anything else is a catalog name.

    Parameters
    ----------
    allow_approximate : accept rows whose attention or cache is only approximated (DeepSeek-V4, Kimi-K3).

    Raises
    ------
    CatalogError : unknown name, or an approximate row without `allow_approximate`.
    ModelConfigError : the path cannot be read as a configuration.
    """
    text = str(name_or_path)
    if text not in models.names() and _is_path(name_or_path):
        return read_config(name_or_path)
    row = models.row(text)
    spec = spec_from_row(row)
    if not spec.exact and not allow_approximate:
        raise CatalogError(
            f"model {text!r} is only approximate ({row['note']}); set allow_approximate to use it anyway"
        )
    return spec


def spec_from_row(row: Mapping[str, str]) -> ModelSpec:
    """`ModelSpec` of one catalog row.

    Raises
    ------
    CatalogError : a field is missing or cannot be read.
    """
    values: dict[str, Any] = {}
    for item in fields(ModelSpec):
        if item.name not in row:
            raise CatalogError(f"catalog table 'models' lacks the column {item.name!r}")
        try:
            values[item.name] = _value(str(item.type), item.name, row[item.name])
        except (KeyError, ValueError):
            raise CatalogError(
                f"catalog table 'models': {row['name']}.{item.name} cannot be {row[item.name]!r}"
            ) from None
    return ModelSpec(**values)


def _value(type_name: str, name: str, text: str) -> object:
    if name == "indexer_layers":
        return _layers(text)
    if type_name == "int":
        return int(text)
    return _WORDS[text] if type_name == "bool" else text


def _layers(text: str) -> tuple[int, ...]:
    """Layer indices of ranges `first:end[:step]` separated by blanks, with Python's meaning of each."""
    return tuple(layer for part in text.split() for layer in range(*map(int, part.split(":"))))


def _is_path(name_or_path: str | Path) -> bool:
    text = str(name_or_path)
    return isinstance(name_or_path, Path) or text.endswith(".json") or Path(text).exists()
