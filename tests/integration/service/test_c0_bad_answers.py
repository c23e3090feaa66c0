"""What goes wrong while jobs run: each time one clear sentence reaches Flyte, with the call, its URL and its status."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import grpc
import pytest
from aiohttp import web
from flyteidl2.connector.connector_pb2 import Resource

from tests.support.flyte_side import FlyteSide, outputs_of, state
from tests.support.real_api import Answers, RealApi, Received
from tests.support.real_processes import WRONG_KEY

Make = Callable[..., Any]


def html(status: int = 200) -> web.Response:
    return web.Response(status=status, text="<html><body>Please log in</body></html>", content_type="text/html")


def answers(*, create: Any = None, get: Any = None) -> Answers:
    """A case that makes the job 7 unless it says otherwise."""

    def answer(received: Received) -> Any:
        if received.method == "POST":
            return create() if callable(create) else create or {"id": 7}
        return get() if callable(get) else get

    return answer


@pytest.fixture
def first_get(calls: FlyteSide, api: RealApi, task: Make, request: pytest.FixtureRequest) -> Callable[..., Resource]:
    """Creates a job of a case of its own, and gives what Flyte gets when it first asks for it."""
    case = f"bad-{abs(hash(request.node.name))}"

    def get(spec: str = "scripted", *, outputs: Any = None, secrets: Any = None, **behaviour: Any) -> Resource:
        api.case(case, answers(**behaviour))
        made = task(spec, outputs=outputs, secrets=secrets)
        resource = calls.get(calls.create(made, case, case=case))
        resource.message = resource.message.replace(f"{api.url}/{case}", "API")
        return resource

    return get


def test_wrong_credentials_fail_the_job_with_the_api_s_words_and_without_the_credentials(
    calls: FlyteSide, batch_job: Make, first_get: Callable[..., Resource], job_service_url: str
) -> None:
    task = batch_job()
    task.connector_secrets = {"api_key": "wrong-api-key"}
    resource = calls.get(calls.create(task, "wrong", name="x"))
    assert state(resource) == "FAILED"
    assert resource.message == f"POST {job_service_url}/jobs answered 401: a valid bearer token is needed"

    def echo() -> web.Response:  # an API that quotes what it was sent, in every way it can
        forms = {"message": f"bad token {WRONG_KEY}, {quote(WRONG_KEY, safe='')} and {json.dumps(WRONG_KEY)}"}
        return web.json_response(forms, status=403)

    resource = first_get(secrets={"api_key": "wrong-api-key"}, create=echo)
    assert resource.message == 'POST API/jobs answered 403: bad token ***, *** and "***"'


def test_a_page_of_html_is_no_state(first_get: Callable[..., Resource]) -> None:
    resource = first_get(get=html)
    assert state(resource) == "RUNNING"
    assert resource.message.startswith("unreadable since ")
    assert resource.message.endswith(": GET API/jobs/7 answered 200 with no JSON (text/html; charset=utf-8)")


def test_an_empty_body_is_no_state(first_get: Callable[..., Resource]) -> None:
    resource = first_get(get=lambda: web.Response())
    assert state(resource) == "RUNNING"
    assert resource.message.endswith(": GET API/jobs/7 answered 200 with nothing")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            {"status": "fine"},
            "unknown state: nothing at $.state (there is no state in $; did you mean status? there is: status); "
            "no phase rule of the spec maps it",
        ),
        ({"state": None}, "unknown state: 'null' at $.state; no phase rule of the spec maps it"),
        ({"state": "melting"}, "unknown state: 'melting' at $.state; no phase rule of the spec maps it"),
        ([], "unknown state: nothing at $.state; no phase rule of the spec maps it"),
    ],
    ids=["no state", "null", "unheard of", "no object"],
)
def test_json_without_a_state_that_is_known_says_what_was_there(
    first_get: Callable[..., Resource], body: Any, message: str
) -> None:
    resource = first_get(get=lambda: web.json_response(body))
    assert (state(resource), resource.message) == ("RUNNING", message)


def test_an_answer_without_an_id_fails_the_job(first_get: Callable[..., Resource]) -> None:
    resource = first_get(create={"identity": 7})
    assert state(resource) == "FAILED"
    assert resource.message == 'POST API/jobs answered 200 without a job id at $.id: {"identity": 7}'


def test_a_create_that_is_answered_with_html_is_tried_again_by_get_where_that_is_safe(
    calls: FlyteSide, api: RealApi, task: Make
) -> None:
    api.case("html-create", answers(create=html))
    job = calls.create(task("scripted"), "html-create", case="html-create")
    assert len(api.received("html-create")) == 2  # max_attempts
    resource = calls.get(job)
    assert state(resource) == "QUEUED"
    url = f"{api.url}/html-create/jobs"
    assert resource.message.startswith("not submitted yet")
    assert f"POST {url} answered 200 with no JSON (text/html; charset=utf-8)" in resource.message


@pytest.mark.parametrize("how", ["html", "silence", "broken"])
def test_a_create_that_may_have_arrived_and_is_not_repeatable_fails_and_says_so(
    first_get: Callable[..., Resource], how: str
) -> None:
    async def silence() -> Any:
        await asyncio.sleep(10)

    async def broken() -> Any:
        return web.Response(status=502, text="bad gateway")

    resource = first_get("once", create={"html": html, "silence": silence, "broken": broken}[how])
    assert state(resource) == "FAILED"
    assert resource.message.startswith("it is unknown whether the job was submitted: POST API/jobs ")
    told = {
        "html": "answered 200 with no JSON (text/html; charset=utf-8)",
        "silence": "gave no complete answer within 1 s",
        "broken": "answered 502: bad gateway",
    }[how]
    assert told in resource.message
    assert "task.key bad-" in resource.message


@pytest.mark.parametrize(
    ("declared", "sent", "message"),
    [
        (int, "many", "the output 'rows' at ${{ body[output.name] }}: 'many' is not a valid int"),
        (list[int], {"a": 1}, "the output 'rows' at ${{ body[output.name] }}: {'a': 1} is not a valid list[int]"),
        (float, None, "the output 'rows' is not at ${{ body[output.name] }}, and has no default"),
        (dict[str, bool], {"a": 2}, "the output 'rows' at ${{ body[output.name] }}: 2 is not a valid bool"),
    ],
    ids=["int", "list", "missing", "inside a dict"],
)
def test_an_output_of_another_type_fails_the_job_and_says_which_and_where(
    first_get: Callable[..., Resource], declared: Any, sent: Any, message: str
) -> None:
    resource = first_get(outputs={"rows": declared}, get={"state": "done", "rows": sent})
    assert state(resource) == "FAILED"
    assert resource.message == f"the job succeeded, but {message} (read from GET API/jobs/7)"


@pytest.mark.parametrize(
    ("declared", "sent"),
    [(int, 2**70), (str, "half a \ud83d character"), (list[str], ["\udc00"])],
    ids=["an int of 70 bits", "a lone surrogate", "one in a list"],
)
def test_an_output_that_flyte_cannot_hold_ends_the_job_and_never_raises(
    first_get: Callable[..., Resource], declared: Any, sent: Any
) -> None:
    resource = first_get(outputs={"good": int, "rows": declared}, get={"state": "done", "rows": sent, "good": 1})
    assert state(resource) == "FAILED"
    assert resource.message.startswith("the job succeeded, but the output 'rows' ")
    assert outputs_of(resource) == {}


def test_texts_that_utf_8_cannot_hold_reach_flyte_all_the_same(first_get: Callable[..., Resource]) -> None:
    resource = first_get(get={"state": "running", "detail": "cut \ud83d"})
    assert (state(resource), resource.message) == ("RUNNING", "cut ?")


def test_log_lines_that_utf_8_cannot_hold_reach_flyte_all_the_same(calls: FlyteSide, api: RealApi, task: Make) -> None:
    api.case("bad-lines", lambda received: {"id": 1, "lines": ["cut \ud83d", "next"]})
    lines, _ = calls.logs(calls.create(task("scripted"), "bad-lines", case="bad-lines"))
    assert [line.message for line in lines] == ["cut ?", "next"]


def test_a_job_that_is_not_found_is_failed_when_the_grace_is_over(first_get: Callable[..., Resource]) -> None:
    resource = first_get(get=lambda: web.json_response({"message": "never heard of it"}, status=404))
    assert state(resource) == "FAILED"
    assert resource.message == "the job no longer exists: GET API/jobs/7 answered 404: never heard of it"


def test_a_host_that_does_not_resolve_is_said_to_flyte_which_tries_again(calls: FlyteSide, task: Make) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        calls.create(task("nowhere"), "nowhere")
    assert raised.value.code() == grpc.StatusCode.INTERNAL
    # by the name server, which may take its time
    told = r"POST http://no-such-host\.invalid/v1/jobs (cannot be connected to: |could not connect within )"
    assert re.search(told, raised.value.details())


def test_an_api_that_is_down_leaves_the_job_as_it_was(calls: FlyteSide, api: RealApi, task: Make) -> None:
    states = iter([{"state": "queued"}, 503, 500, {"state": "done"}])
    api.case("down", lambda received: {"id": 1} if received.method == "POST" else next(states))
    job = calls.create(task("scripted"), "down", case="down")
    assert state(calls.get(job)) == "QUEUED"
    resource = calls.get(job)  # two attempts
    assert state(resource) == "QUEUED"
    assert f"GET {api.url}/down/jobs/1 answered 500" in resource.message
    assert state(calls.get(job)) == "SUCCEEDED"


@pytest.mark.parametrize(
    "identity", ["a/b", "../jobs/8", "100%", "%2e%2e", "two words", "ü?x=1&y#z", "a:b;c,d", "..a", "-", "a\\b", "+"]
)
def test_an_odd_job_id_reaches_the_api_as_it_is(calls: FlyteSide, api: RealApi, task: Make, identity: str) -> None:
    case = "odd-ids"
    api.case(case, lambda received: {"id": received.json["id"]} if received.body else {"state": "done", "id": "x"})
    job = calls.create(task("scripted", outputs={"id": str}), f"odd-{identity.encode().hex()}", case=case, id=identity)
    assert state(calls.get(job)) == "SUCCEEDED"
    calls.delete(job)
    arrived = [item.parts for item in api.received(case)[1:]]
    assert arrived == [("jobs", identity), ("jobs", identity, "cancel")]
    assert [dict(item.query) for item in api.received(case)] == [{}, {}, {}]


@pytest.mark.parametrize("identity", [".", ".."])
def test_a_job_id_that_would_leave_the_path_is_refused_with_a_reason(
    calls: FlyteSide, api: RealApi, task: Make, identity: str
) -> None:
    case = f"dots-{len(identity)}"
    api.case(case, lambda received: {"id": identity})
    job = calls.create(task("scripted"), case, case=case)
    resource = calls.get(job)
    assert len(api.received(case)) == 1
    assert f"'{identity}'" in resource.message
    assert "path" in resource.message
