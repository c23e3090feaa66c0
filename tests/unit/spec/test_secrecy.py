"""Which secrets are sensitive, and what their value is."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.fake_api import Driver, FakeApi, loaded, spec_data
from yaml_connector._spec.secrecy import one_value, sensitive_secrets, sensitive_values

SECRETS = {"name": {}, "word": {}}
BASIC = {"type": "basic", "username": "${{ secrets.name }}", "password": "${{ secrets.word }}"}
LOGIN = {
    "type": "oauth2_client_credentials",
    "token_url": "https://api.test/token",
    "client_id": "${{ secrets.name }}",
    "client_secret": "${{ secrets.word }}",
}
JWT = {
    "type": "token",
    "request": {"method": "POST", "path": "/login", "json": {"assertion": "${{ jwt }}"}},
    "token": "$.token",
    "jwt": {"key": "${{ secrets.word }}", "key_id": "${{ secrets.name }}"},
}


def sensitive(auth: dict[str, Any] | None, secrets: dict[str, Any] = SECRETS, **sections: Any) -> set[str]:
    connection = {"base_url": "https://api.test", **({"auth": auth} if auth else {})}
    return set(sensitive_secrets(loaded(spec_data(connection=connection, secrets=secrets, **sections)).spec))


@pytest.mark.parametrize("auth", [BASIC, LOGIN, JWT], ids=["username", "client_id", "key_id"])
def test_the_name_of_an_account_is_not_sensitive(auth: dict[str, Any]) -> None:
    assert sensitive(auth) == {"word"}


def test_the_name_of_an_account_that_is_used_elsewhere_is_sensitive() -> None:
    assert sensitive(BASIC | {"password": "${{ secrets.name }}${{ secrets.word }}"}) == {"name", "word"}
    request = {"method": "POST", "path": "/jobs", "json": "${{ secrets }}"}
    assert sensitive(BASIC, create={"request": request, "job_id": "$.id"}) == {"name", "word"}


def test_a_spec_may_say_otherwise() -> None:
    assert sensitive(BASIC, {"name": {"sensitive": True}, "word": {"sensitive": False}}) == {"name"}


def test_a_secret_without_a_use_is_sensitive() -> None:
    assert sensitive(None) == {"name", "word"}


@pytest.mark.parametrize(
    ("text", "value"), [("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("a\r", "a\r"), ("\na", "\na"), ("\n", "")]
)
def test_one_line_break_at_the_end_is_dropped(text: str, value: str) -> None:
    assert one_value(text) == value
    spec = loaded(spec_data(secrets={"k": {}})).spec
    assert sensitive_values(sensitive_secrets(spec), {"k": text}) == {"k": value}


def test_a_value_that_is_not_sensitive_is_seen_in_messages_and_one_that_is_is_masked() -> None:
    api = FakeApi(
        {"POST /jobs": {"id": 7}, "GET /jobs/7": {"state": "error", "detail": "tenant-of-ours has key-of-ours"}}
    )
    driver = Driver(api, secrets={"tenant": {"sensitive": False}, "key": {}})
    driver.create(secrets={"tenant": "tenant-of-ours", "key": "key-of-ours\n"})
    assert driver.get(secrets={"tenant": "tenant-of-ours", "key": "key-of-ours\n"}).message == "tenant-of-ours has ***"
