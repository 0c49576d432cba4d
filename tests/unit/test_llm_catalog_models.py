"""Models by name: the catalog answers, suggests, and refuses approximate rows unless asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sim.catalog import models
from sim.catalog.tables import STATUSES, table
from sim.errors import CatalogError, ModelConfigError
from sim.llm.zoo import load_model, spec_from_row


def test_unknown_names_list_the_catalog_and_the_nearest() -> None:
    """A mistyped name lists the models and suggests the closest."""
    with pytest.raises(CatalogError, match=r"'glm-52' is not in the catalog; it has glm-5\.2.*did you mean 'glm-5"):
        models.row("glm-52")
    with pytest.raises(CatalogError, match="did you mean 'mixtral-8x7b'"):
        load_model("mixtral-8x7")


@pytest.mark.parametrize("name", ["deepseek-v4-pro", "deepseek-v4-flash", "kimi-k3"])
def test_approximate_rows_need_consent(name: str) -> None:
    """An approximate row is refused with the way to allow it, and is marked as such once allowed."""
    with pytest.raises(CatalogError, match=f"{name}.*APPROXIMATE.*allow_approximate"):
        load_model(name)
    assert not load_model(name, allow_approximate=True).exact


@pytest.mark.parametrize("name", models.names())
def test_rows_carry_their_provenance(name: str) -> None:
    """Every row has source, date and status; only exact rows are published."""
    row = models.row(name)
    assert row["source"]
    assert row["date"]
    assert row["status"] in STATUSES
    assert (row["status"] == "published") == (row["exact"] == "true")


@pytest.mark.parametrize("name", ["weight_formats", "kv_formats"])
def test_format_rows_carry_their_provenance(name: str) -> None:
    """Every byte count of a format has a source and a date."""
    for subject in table(name).values():
        assert all(fact.source and fact.date and fact.unit for fact in subject.values())


def test_indexer_layers_of_the_zoo() -> None:
    """GLM-5.2 owns indexers in 21 layers, GLM-5 and DeepSeek-V3.2 in all, DeepSeek-V3 in none."""
    assert load_model("glm-5.2").indexer_layers == (0, 1, 2, *range(6, 75, 4))
    assert load_model("glm-5").indexer_layers == tuple(range(78))
    assert load_model("deepseek-v3.2").indexer_layers == tuple(range(61))
    assert load_model("deepseek-v3-r1").indexer_layers == ()


@pytest.mark.parametrize(
    ("column", "text"), [("num_layers", "many"), ("exact", "yes"), ("indexer_layers", "0-3"), ("indexer_layers", "a:b")]
)
def test_unreadable_fields_are_named(column: str, text: str) -> None:
    """A field that cannot be read names its model and column; so does a missing one."""
    row = dict(models.row("glm-5.2"))
    with pytest.raises(CatalogError, match=rf"glm-5\.2\.{column} cannot be '{text}'"):
        spec_from_row(row | {column: text})
    del row[column]
    with pytest.raises(CatalogError, match=column):
        spec_from_row(row)


def test_paths_and_names_do_not_mix(tmp_path: Path) -> None:
    """A path is read as a configuration even when it does not exist; a catalog name never is."""
    with pytest.raises(ModelConfigError, match="cannot be read"):
        load_model(tmp_path / "missing.json")
    with pytest.raises(ModelConfigError, match="cannot be read"):
        load_model("missing.json")
    shape = {"num_hidden_layers": 2, "hidden_size": 64, "vocab_size": 10, "max_position_embeddings": 8}
    values = shape | {"model_type": "llama", "num_attention_heads": 4, "intermediate_size": 8}
    (tmp_path / "config.json").write_text(json.dumps(values), encoding="utf-8")
    assert load_model(str(tmp_path)).num_layers == 2
