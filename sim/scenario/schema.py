"""The JSON Schema of scenarios, for editors."""

from __future__ import annotations

import json
from typing import Any

from sim.scenario.scenario import Scenario


def schema() -> dict[str, Any]:
    """JSON Schema of a scenario file, the `base:` key included; a file with a base need not name model and workload."""
    document = Scenario.model_json_schema()
    document["properties"]["base"] = {
        "type": "string",
        "description": "Another scenario file, relative to this one, whose values hold unless given here.",
    }
    required = document.pop("required", [])
    document["anyOf"] = [{"required": ["base"]}, {"required": required}]
    document["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    document["title"] = "moe-capacity-sim scenario"
    return document


def schema_text() -> str:
    """The schema as it is committed: sorted, indented, one trailing newline."""
    return json.dumps(schema(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
