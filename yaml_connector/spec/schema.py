"""JSON Schema of the language, made from the models: what editors complete and explain from."""

from __future__ import annotations

import json
from typing import Any

from yaml_connector.spec.sections import ConnectorSpec

_TITLE = "yaml_connector spec, version 1"


def connector_schema() -> dict[str, Any]:
    """The schema of a spec file. Short forms (`request: GET /jobs`, `inputs: {name: str}`) are part of it."""
    schema = ConnectorSpec.model_json_schema(by_alias=True, mode="validation")
    definitions = schema["$defs"]
    for name, short in _SHORT_FORMS.items():
        if name in definitions:
            long = definitions[name]
            definitions[name] = {
                "description": long.get("description", ""),
                "anyOf": [{key: value for key, value in long.items() if key != "description"}, short],
            }
    phase = definitions["Get"]["properties"]["phase"]
    rules = {key: phase[key] for key in ("type", "items", "minItems") if key in phase}
    definitions["Get"]["properties"]["phase"] = {
        "description": phase.get("description", ""),
        "anyOf": [{"$ref": "#/$defs/Rule"}, rules],
    }
    tidy(schema)
    return {"$schema": "http://json-schema.org/draft-07/schema#", "title": _TITLE, **schema}


_SHORT_FORMS: dict[str, dict[str, Any]] = {
    "Request": {"type": "string", "pattern": r"^[A-Za-z]+ \S", "examples": ["GET /jobs/${{ job.id }}"]},
    "InputField": {"type": "string", "examples": ["str", "int?", "list[str]"]},
    "ConfigField": {"type": "string", "examples": ["str", "int?", "list[str]"]},
    "OutputField": {"type": ["string", "number", "boolean", "array", "null"], "examples": ["$.result"]},
}


def tidy(schema: Any) -> None:
    """Leave out what a hover need not show: titles that repeat the name, null defaults; write durations as specs do."""
    if isinstance(schema, list):
        for value in schema:
            tidy(value)
    elif isinstance(schema, dict):
        if isinstance(schema.get("title"), str) and {"type", "anyOf", "$ref", "enum", "const"} & schema.keys():
            del schema["title"]
        if "default" in schema and schema["default"] is None:
            del schema["default"]
        if isinstance(schema.get("default"), int | float) and "ms|s|m" in schema.get("pattern", ""):
            schema["default"] = f"{schema['default']:g}s"
        if isinstance(schema.get("default"), int) and "KiB" in schema.get("pattern", ""):
            schema["default"] = f"{schema['default'] // 2**20}MiB"
        for value in schema.values():
            tidy(value)


def schema_text() -> str:
    """The schema as the file that is committed."""
    return json.dumps(connector_schema(), indent=2, ensure_ascii=False) + "\n"
