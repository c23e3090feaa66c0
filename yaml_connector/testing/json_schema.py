"""The JSON Schema of contract tests, made from the models."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from yaml_connector._spec.json_schema import tell_defaults, tidy
from yaml_connector.testing.model import CALLS, ContractTests

_SHORT_REQUEST = {"type": "string", "pattern": r"^[A-Za-z]+ \S", "examples": ["GET https://api.test/jobs/7"]}
_EMPTY_MEANS_NOTHING = {
    **{f"{name.title()}Call": ("exchanges", "expect") for name in CALLS},
    "RecordedExchange": ("response",),
    "Call": CALLS,
}


def contract_schema() -> dict[str, Any]:
    """Return the schema of a test file. It allows short forms and keys without a value (`- get:`)."""
    schema = ContractTests.model_json_schema(by_alias=True, mode="validation")
    definitions = schema["$defs"]
    request = definitions["RecordedRequest"]
    definitions["RecordedRequest"] = {
        "description": request.get("description", ""),
        "anyOf": [{key: value for key, value in request.items() if key != "description"}, _SHORT_REQUEST],
    }
    for name, fields in _EMPTY_MEANS_NOTHING.items():
        for field in fields:
            _allow_null(definitions[name]["properties"], field)
    _allow_null(schema["properties"], "defaults")
    for name in ("Call", *(name for name in definitions if name.endswith("Expect"))):
        for about in definitions[name]["properties"].values():
            about.pop("default", None)  # a field that is left out is not compared
    call = definitions["Call"]
    call.update(minProperties=1, maxProperties=1)
    tidy(schema)
    return {"$schema": "http://json-schema.org/draft-07/schema#", **schema}


def _allow_null(properties: dict[str, Any], field: str) -> None:
    about = dict(properties[field])
    if {"type": "null"} in about.get("anyOf", []):
        return
    description = about.pop("description", "")
    properties[field] = {"description": description, "anyOf": [about, {"type": "null"}]}


@cache
def schema_text() -> str:
    """Return the schema as the text of the committed file."""
    return json.dumps(tell_defaults(contract_schema()), indent=2, ensure_ascii=False) + "\n"
