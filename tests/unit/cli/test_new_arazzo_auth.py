"""`yaml-connector new --from-arazzo`: credentials that only the OpenAPI document has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import Command
from tests.support.yaml_data import yaml_data
from tests.unit.cli.test_new_arazzo import GOTO, OPENAPI, decided, document, imported, poll, start


def with_scheme(scheme: dict[str, Any]) -> dict[str, Any]:
    return {**OPENAPI, "components": {**OPENAPI["components"], "securitySchemes": {"own": scheme}}}


def test_client_credentials_of_the_document_are_those_of_the_spec(command: Command) -> None:
    flows = {"clientCredentials": {"tokenUrl": "https://login.example/token", "scopes": {}}}
    steps = start(parameters=[]), poll(onSuccess=GOTO, parameters=poll()["parameters"][1:])
    spec, done = imported(command, document(*steps), openapi=with_scheme({"type": "oauth2", "flows": flows}))
    assert spec["connection"]["auth"] == {
        "type": "oauth2_client_credentials",
        "token_url": "https://login.example/token",
        "client_id": "${{ secrets.client_id }}",
        "client_secret": "${{ secrets.client_secret }}",
    }
    assert spec["connection"]["allowed_hosts"] == ["login.example"]
    assert "these are of the OpenAPI document" in decided(done)
    recorded = yaml_data(Path("connectors.d/mine.test.yaml"))["tests"][0]["calls"][0]["create"]
    assert recorded["exchanges"][0]["request"] == {"method": "POST", "url": "https://login.example/token"}


@pytest.mark.parametrize("name", ['X-"Key"', "X-${{ secrets.api_key }}", "X: a\n  b", "<in>", "*key"])
def test_a_name_of_a_key_is_never_read_as_yaml_or_as_a_template(command: Command, name: str) -> None:
    scheme = {"type": "apiKey", "in": "query", "name": name}
    steps = start(parameters=[]), poll(onSuccess=GOTO, parameters=poll()["parameters"][1:])
    spec, _ = imported(command, document(*steps), openapi=with_scheme(scheme))
    assert spec["connection"]["auth"]["name"] == name.replace("${{", "${{ '${{' }}")
