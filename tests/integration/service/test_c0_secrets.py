"""Secrets never leave the service: not in what Flyte keeps, not in messages, log lines, outputs, and not in its log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from aiohttp import web

from tests.support.flyte_side import FlyteSide, state
from tests.support.real_api import RealApi, Received
from tests.support.real_processes import OWN_KEY, PLANTED, USER_KEYS, WRONG_KEY

Make = Callable[..., Any]
BEARER = f"Bearer {USER_KEYS['bob']}"


def echo(received: Received) -> Any:
    """An API that shows its users what they sent, wherever it can."""
    shown = received.headers["Authorization"]
    if received.parts[-1] == "logs":
        return {"lines": [f"curl -H 'Authorization: {shown}'"]}
    if received.parts[-1] == "cancel":
        return web.json_response({"message": f"{shown} may not do that"}, status=403)
    return {"id": 1, "state": "done", "detail": f"by {shown}", "token": shown}


@pytest.fixture
def resource_and_job(calls: FlyteSide, api: RealApi, task: Make) -> tuple[Any, Any]:
    api.case("echo", echo)
    made = task("scripted", outputs={"token": str}, secrets={"api_key": "bob-api-key"})
    job = calls.create(made, "echo", case="echo")
    return calls.get(job), job


def test_the_api_gets_the_secret(resource_and_job: Any, api: RealApi) -> None:
    assert {received.headers["Authorization"] for received in api.received("echo")} == {BEARER}


def test_what_flyte_keeps_of_a_job_holds_no_secret(resource_and_job: Any, calls: FlyteSide, batch_job: Make) -> None:
    _, echoed = resource_and_job
    for job in (echoed, calls.create(batch_job(user="alice"), "kept", name="x")):
        for secret in PLANTED:
            assert secret.encode() not in job.kept


def test_messages_info_and_log_lines_hold_no_secret_and_an_output_that_holds_one_fails_the_job(
    resource_and_job: Any, calls: FlyteSide
) -> None:
    resource, job = resource_and_job
    assert state(resource) == "FAILED"  # an output is not masked: it would be another value
    assert "the output 'token' holds the value of the secret 'api_key'" in resource.message
    assert "sensitive: false" in resource.message
    assert resource.custom_info["detail"] == "by Bearer ***"
    assert not resource.outputs.literals
    lines, _ = calls.logs(job)
    assert [line.message for line in lines] == ["curl -H 'Authorization: Bearer ***'"]
    with pytest.raises(grpc.RpcError, match="answered 403: Bearer \\*\\*\\* may not do that"):
        calls.delete(job)


def test_the_service_s_own_output_holds_no_secret_though_everything_is_logged(
    resource_and_job: Any, service: Any, calls: FlyteSide, batch_job: Make, task: Make
) -> None:
    wrong = batch_job()
    wrong.connector_secrets = {"api_key": "wrong-api-key"}
    assert state(calls.get(calls.create(wrong, "wrong-again", name="x"))) == "FAILED"
    calls.run(batch_job(), "own-again", name="x")
    with pytest.raises(grpc.RpcError):
        calls.create(task("scripted", secrets={"api_key": "wrong-api-key"}), "no-case", case="closed", id="x" * 10**7)
    output = service.process.output
    assert "yaml_connector.http" in output  # each request is there
    assert "POST" in output
    assert {secret for secret in (*PLANTED, WRONG_KEY, OWN_KEY) if secret in output} == set()


def test_the_config_is_not_taken_for_a_secret_and_a_secret_not_for_config(
    api: RealApi, calls: FlyteSide, task: Make
) -> None:
    api.case("plain", lambda received: {"id": 1, "state": "running"})
    job = calls.create(task("scripted", config={"settings": {"api_key": "a name, no secret"}}), "plain", case="plain")
    assert state(calls.get(job)) == "RUNNING"
    assert api.received("plain")[0].json["settings"] == {"api_key": "a name, no secret"}
