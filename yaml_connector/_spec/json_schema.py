"""JSON Schema of the language, made from the models: what editors complete and explain from."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from yaml_connector._expressions.json_text import as_text
from yaml_connector._expressions.value_types import duration_text
from yaml_connector._spec.phases import PHASES
from yaml_connector._spec.spec import ConnectorSpec


def connector_schema() -> dict[str, Any]:
    """Return the schema of a spec file, with its short forms (`request: GET /jobs`, `inputs: {name: str}`)."""
    schema = ConnectorSpec.model_json_schema(by_alias=True, mode="validation")
    definitions = schema["$defs"]
    kinds = definitions["InputField"]["properties"]["type"]["anyOf"]
    for name, short in {**_SHORT_FORMS, "InputField": kinds, "ConfigField": kinds}.items():
        long = dict(definitions[name])
        definitions[name] = {"description": long.pop("description", ""), "anyOf": [long, *short]}
    for name, example in _REQUESTS.items():
        definitions[name]["properties"]["request"]["examples"] = [example]
    phase = definitions["Get"]["properties"]["phase"]
    rules = {key: phase[key] for key in ("type", "items", "minItems") if key in phase}
    definitions["Get"]["properties"]["phase"] = {
        "description": phase.get("description", ""),
        "anyOf": [{"$ref": "#/$defs/Rule"}, rules],
    }
    for definition in (schema, *definitions.values()):
        for about in definition.get("properties", {}).values():
            if "$ref" in about:  # pydantic leaves out a description that is also the definition's
                about.setdefault("description", definitions[about["$ref"].rpartition("/")[2]]["description"])
    tidy(schema)
    _explain_phases(definitions["Rule"]["properties"])
    return {"$schema": "http://json-schema.org/draft-07/schema#", **schema}


def _explain_phases(rule: dict[str, Any]) -> None:
    """Explain each phase where an editor shows it: as a name in `map`, and as a value of `is`."""
    table = rule["map"]["anyOf"][0]
    states = table.pop("additionalProperties")
    del table["propertyNames"]
    table["properties"] = {phase: {"description": info.meaning, **states} for phase, info in PHASES.items()}
    table["additionalProperties"] = False
    rule["is"]["anyOf"][0]["enumDescriptions"] = [info.meaning for info in PHASES.values()]


_SHORT_FORMS: dict[str, list[dict[str, Any]]] = {
    "Request": [{"type": "string", "pattern": r"^[A-Za-z]+ \S", "examples": ["GET /jobs"]}],
    "OutputField": [{"type": ["string", "number", "boolean", "array", "null"], "examples": ["$.result"]}],
}

# What the one request of a section may look like: what it can see, and whether it needs a method, differs.
_REQUESTS = {
    "Create": "POST /jobs",
    "Adopt": "GET /jobs/${{ task.key }}",
    "Get": "GET /jobs/${{ job.id }}",
    "Result": "GET /jobs/${{ job.id }}/result",
    "Delete": "POST /jobs/${{ job.id }}/cancel",
    "Logs": "GET /jobs/${{ job.id }}/logs",
}

_ANY = ["string", "number", "boolean", "array", "object", "null"]


def tidy(schema: Any) -> None:
    """Change a schema into what an editor can help with.

    It has no titles that repeat a name, no null defaults, and no example where there is a default. Durations and sizes
    are as specs write them. What may be anything has a type (else a completed name has no colon), and free names have
    the schema of their values.
    """
    if isinstance(schema, list):
        for value in schema:
            tidy(value)
    elif isinstance(schema, dict):
        if isinstance(schema.get("title"), str):
            del schema["title"]
        if schema.get("default", 0) is None:
            del schema["default"]
        if isinstance(schema.get("default"), int | float) and "ms|s|m" in schema.get("pattern", ""):
            schema["default"] = duration_text(schema["default"])
        if isinstance(schema.get("default"), int) and "KiB" in schema.get("pattern", ""):
            schema["default"] = f"{schema['default'] // 2**20}MiB"
        if "default" in schema and isinstance(schema.get("examples"), list):
            del schema["examples"]
        if isinstance(schema.get("anyOf"), list):
            schema["anyOf"] = [part for option in schema["anyOf"] for part in _alternatives(option)]
        if isinstance(schema.get("patternProperties"), dict) and len(schema["patternProperties"]) == 1:
            (pattern, values), *_ = schema.pop("patternProperties").items()  # editors complete no values below these
            schema |= {"propertyNames": {"pattern": pattern}, "additionalProperties": values}
        for about in schema["properties"].values() if isinstance(schema.get("properties"), dict) else ():
            if not {"type", "anyOf", "oneOf", "$ref", "enum", "const"} & about.keys():
                about["type"] = _ANY
        for value in schema.values():
            tidy(value)


def _alternatives(option: dict[str, Any]) -> list[dict[str, Any]]:
    return option["anyOf"] if option.keys() == {"anyOf"} else [option]


def tell_defaults(schema: Any) -> Any:
    """Return the schema with the default behind each description: an editor shows nothing but descriptions."""
    if isinstance(schema, list):
        return [tell_defaults(value) for value in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: tell_defaults(value) for name, value in schema.items()}
    if isinstance(found.get("description"), str) and isinstance(found.get("default"), str | int | float):
        found["description"] += f" Default: {as_text(found['default'])}"
    return found


@cache
def schema_text() -> str:
    """Return the schema as the text of the committed file."""
    return json.dumps(tell_defaults(connector_schema()), indent=2, ensure_ascii=False) + "\n"
