"""The committed JSON Schema is the models'."""

import pytest

from tests.support.paths import ROOT
from yaml_connector._spec.json_schema import connector_schema, schema_text


def test_the_committed_schema_is_current() -> None:
    committed = (ROOT / "schema" / "connector.v1.json").read_text(encoding="utf-8")
    assert committed == schema_text(), "run: .venv/bin/yaml-connector schema > schema/connector.v1.json"


@pytest.mark.parametrize("name", ["ConnectorSpec", "Get", "Poll", "Request", "Logs"])
def test_every_object_is_closed_and_every_field_explained(name: str) -> None:
    schema = connector_schema()
    model = schema if name == "ConnectorSpec" else schema["$defs"][name]
    model = next((part for part in model.get("anyOf", []) if "properties" in part), model)
    assert model["additionalProperties"] is False
    unexplained = [field for field, about in model["properties"].items() if not about.get("description")]
    assert unexplained == []
