"""`yaml-connector schema`: the committed JSON Schemas are what the command prints."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from tests.support.paths import ROOT
from yaml_connector.cli.main import cli
from yaml_connector.testing.json_schema import contract_schema


@pytest.mark.parametrize(("arguments", "file"), [((), "connector.v1.json"), (("--tests",), "connector-test.v1.json")])
def test_the_committed_schema_is_what_the_command_prints(arguments: tuple[str, ...], file: str) -> None:
    printed = CliRunner().invoke(cli, ["schema", *arguments])
    assert printed.exit_code == 0
    committed = (ROOT / "schema" / file).read_text(encoding="utf-8")
    told = f"run: .venv/bin/yaml-connector schema {' '.join(arguments)} > schema/{file}"
    assert committed == printed.output, told


def test_every_object_of_a_test_file_is_closed() -> None:
    open_ones = [name for name, model in contract_schema()["$defs"].items() for part in objects(model) if is_open(part)]
    assert open_ones == []


def test_every_field_that_a_call_may_have_is_explained() -> None:
    schema = contract_schema()
    for name in ("Call", "CreateExpect", "GetExpect", "LogsExpect", "RecordedExchange", "RecordedResponse"):
        fields = schema["$defs"][name]["properties"]
        assert [field for field, about in fields.items() if not about.get("description")] == []


def test_a_call_is_exactly_one_thing_and_may_be_without_a_value() -> None:
    call = contract_schema()["$defs"]["Call"]
    assert (call["minProperties"], call["maxProperties"]) == (1, 1)
    assert {"type": "null"} in call["properties"]["get"]["anyOf"]
    assert "pattern" in json.dumps(call["properties"]["after"])


def objects(model: dict[str, Any]) -> list[dict[str, Any]]:
    return [part for part in model.get("anyOf", [model]) if "properties" in part]


def is_open(part: dict[str, Any]) -> bool:
    return part.get("additionalProperties") is not False
