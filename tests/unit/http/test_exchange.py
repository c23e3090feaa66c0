"""A request to its final response, over real sockets: whole and streamed responses take the same way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web

from tests.support.fake_api import run
from tests.support.sending import Sender
from tests.support.wire import serving
from yaml_connector._clock import Clock
from yaml_connector._http import client
from yaml_connector._http.request_template import compile_request
from yaml_connector._http.response_policy import SuccessCriteria
from yaml_connector._http.transport import AiohttpTransport
from yaml_connector._spec.requests import Request
from yaml_connector.errors import YamlConnectorError

TOKEN = {"type": "token", "request": "POST /login", "token": "$.token"}


class Api:
    """Answers by path; `POST /login` gives the tokens t1, t2 ... Keeps the path and the token of each request."""

    def __init__(self, answer: Callable[[Api, str, str], web.Response]) -> None:
        self.answer = answer
        self.logins = 0
        self.seen: list[tuple[str, str]] = []

    async def handle(self, request: web.Request) -> web.Response:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        self.seen.append((request.path, token))
        if request.path == "/login":
            self.logins += 1
            return web.json_response({"token": f"t{self.logins}"})
        return self.answer(self, request.path, token)


@dataclass(frozen=True)
class Outcome:
    """What the API saw, and what came of it: the text of the response, or the error."""

    seen: list[tuple[str, str]]
    text: str | None
    error: tuple[str, str] | None

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.seen]


async def read(way: str, url: str, request: Any, connection: Mapping[str, Any]) -> str:
    transport = AiohttpTransport(max_connections=10)
    retry = {"initial_delay": "1ms", "max_attempts": 2}
    sender = Sender(transport, base_url=url, clock=Clock(), **{"retry": retry, "max_response": "2KiB", **connection})
    context = sender.session()
    plan = compile_request(Request.model_validate(request))
    try:
        if way == "whole":
            return (await client.send(context, plan, context.scope, SuccessCriteria())).text
        async with client.stream(context, plan, context.scope, SuccessCriteria(), max_time=5) as response:
            return "".join([text async for text in response.texts()])
    finally:
        await transport.close()


def outcome(
    way: str, answer: Callable[[Api, str, str], web.Response], request: Any = "GET /start", **connection: Any
) -> Outcome:
    async def main() -> Outcome:
        api = Api(answer)
        async with serving(api.handle) as url:
            try:
                text = await read(way, url, request, connection)
            except YamlConnectorError as error:
                return Outcome(api.seen, None, (type(error).__name__, str(error).replace(url, "")))
            return Outcome(api.seen, text, None)

    return run(main())


def redirect(to: str) -> web.Response:
    return web.Response(status=302, headers={"Location": to})


both = pytest.mark.parametrize("way", ["whole", "streamed"])


@both
def test_after_a_401_the_request_is_sent_again_with_a_new_token(way: str) -> None:
    def answer(api: Api, path: str, token: str) -> web.Response:
        return web.Response(text="yes") if token == "t2" else web.Response(status=401)

    found = outcome(way, answer, auth=TOKEN)
    assert found.seen == [("/login", ""), ("/start", "t1"), ("/login", ""), ("/start", "t2")]
    assert found.text == "yes"


@both
def test_credentials_are_renewed_once_only(way: str) -> None:
    found = outcome(way, lambda api, path, token: web.Response(status=401, text="no"), auth=TOKEN)
    assert found.paths == ["/login", "/start", "/login", "/start"]
    assert found.error == ("PermanentError", "GET /start answered 401: no")


@both
def test_after_a_401_behind_a_redirect_the_first_request_is_sent_again(way: str) -> None:
    def answer(api: Api, path: str, token: str) -> web.Response:
        if path == "/start":
            return redirect("/there")
        return web.Response(text="yes") if token == "t2" else web.Response(status=401)

    found = outcome(way, answer, auth=TOKEN, follow_redirects=True)
    assert found.paths == ["/login", "/start", "/there", "/login", "/start", "/there"]
    assert found.text == "yes"


@both
def test_redirects_are_counted_anew_with_new_credentials(way: str) -> None:
    def answer(api: Api, path: str, token: str) -> web.Response:
        hop = 0 if path == "/start" else int(path[1:])
        if hop < 8:
            return redirect(f"/{hop + 1}")
        return web.Response(text="yes") if token == "t2" else web.Response(status=401)

    found = outcome(way, answer, auth=TOKEN, follow_redirects=True)
    assert found.text == "yes"
    assert len(found.seen) == 2 * (1 + 9)


@both
def test_redirects_without_an_end_are_an_error(way: str) -> None:
    found = outcome(way, lambda api, path, token: redirect("/again"), follow_redirects=True)
    assert found.error == ("PermanentError", "GET /start was redirected more than 10 times")
    assert len(found.seen) == 10


@both
def test_a_redirect_that_is_not_followed_is_judged_like_any_response(way: str) -> None:
    found = outcome(way, lambda api, path, token: redirect("/again"))
    assert found.error == ("PermanentError", "GET /start answered 302")
    assert found.paths == ["/start"]


@both
def test_a_redirect_to_a_host_that_is_not_allowed_is_not_followed(way: str) -> None:
    found = outcome(way, lambda api, path, token: redirect("http://elsewhere.test/"), follow_redirects=True)
    assert found.error is not None
    assert found.error[1].startswith("GET /start redirects elsewhere: the host elsewhere.test is not allowed")
    assert found.paths == ["/start"]


@both
def test_a_host_that_is_not_allowed_is_asked_nothing(way: str) -> None:
    found = outcome(way, lambda api, path, token: web.Response(), {"url": "http://elsewhere.test/"})
    assert found.error is not None
    assert found.error[0] == "EvaluationError"
    assert not found.seen


@both
def test_a_failure_that_is_too_long_is_transient(way: str) -> None:
    found = outcome(way, lambda api, path, token: web.Response(status=404, text="x" * 5000))
    message = "GET /start answered 404 with more than 2 KiB (max_response)"
    assert found.error == ("TransientError", message)
    assert found.paths == ["/start", "/start"]


@both
def test_a_transient_failure_is_sent_again(way: str) -> None:
    def answer(api: Api, path: str, token: str) -> web.Response:
        return web.Response(status=503) if len(api.seen) == 1 else web.Response(text="yes")

    assert outcome(way, answer).text == "yes"


@both
def test_nothing_is_sent_after_the_deadline(way: str) -> None:
    found = outcome(way, lambda api, path, token: web.Response(), deadline="0.001ms")
    assert found.error == ("TransientError", "GET /start was not sent: the deadline of this call has passed")
    assert not found.seen
