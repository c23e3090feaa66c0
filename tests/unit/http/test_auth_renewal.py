"""A token that the API refuses is renewed once for all, a login that is refused is held back, and what a login says
beside the token can be used in requests."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from tests.support.fake_api import FakeApi, reply, run
from tests.support.sending import Sender
from tests.unit.http.token_api import OAUTH, TOKEN, Tokens, used
from yaml_connector.errors import LoginHeldBackError, PermanentError

KINDS = pytest.mark.parametrize("auth", [OAUTH, TOKEN], ids=["oauth2", "token"])
WRONG = "status == 403 or body.code == 498"


class Refusing(Tokens):
    """An API that says in its own way that a token is not `good`."""

    def __init__(self, how: Any, **answer: Any) -> None:
        super().__init__(**answer)
        self.how = how

    def data(self, request: httpx.Request) -> Any:
        found = super().data(request)
        return self.how if found == 401 else found


@KINDS
@pytest.mark.parametrize("how", [403, reply(200, json={"code": 498})], ids=["403", "200"])
class TestARefusal:
    def test_by_renew_if_is_answered_by_a_new_token(self, auth: dict[str, Any], how: Any) -> None:
        tokens = Refusing(how)
        sender = tokens.sender({**auth, "renew_if": WRONG})
        assert used(sender) == "t1"
        tokens.good = {"t2"}
        assert used(sender) == "t2"

    def test_to_many_at_once_makes_one_login(self, auth: dict[str, Any], how: Any) -> None:
        tokens = Refusing(how)
        sender = tokens.sender({**auth, "renew_if": WRONG})
        used(sender)
        tokens.good = {"t2"}

        async def together() -> list[Any]:
            return await asyncio.gather(*(sender.send_now() for _ in range(12)))

        assert {answer.body["token"] for answer in run(together(), sender.clock)} == {"t2"}
        assert tokens.given == 2

    def test_of_the_new_token_too_is_an_answer_like_any_other_and_renews_nothing_for_a_minute(
        self, auth: dict[str, Any], how: Any
    ) -> None:
        tokens = Refusing(how)
        tokens.good = set()
        sender = tokens.sender({**auth, "renew_if": WRONG})
        step = {"error": "body.code == 498"}
        for seconds, logins in ((0, 2), (59, 2), (2, 3)):
            sender.clock.now += seconds
            with pytest.raises(PermanentError):
                sender.send(step=step)
            assert tokens.given == logins


def test_a_401_is_no_refusal_if_renew_if_says_otherwise() -> None:
    tokens = Tokens()
    sender = tokens.sender({**TOKEN, "renew_if": "status == 403"})
    tokens.good = set()
    with pytest.raises(PermanentError, match="401"):
        sender.send()
    assert tokens.given == 1


class TestALogin:
    @pytest.mark.parametrize("status", [400, 401, 403])
    def test_that_is_refused_is_held_back_longer_each_time(self, status: int) -> None:
        api = FakeApi({"POST /login": [reply(status, json={"message": "wrong password"})] * 20})
        sender = Sender(api, auth=TOKEN, secrets={"k": "s3cr3t"}, config={"id": "me"})
        for pause in (60, 120, 240, 480, 900, 900):
            sent = len(api.sent)
            with pytest.raises(PermanentError, match="wrong password"):
                sender.send()
            sender.clock.now += pause - 1
            with pytest.raises(LoginHeldBackError, match=r"not sent again for 1 s: .*wrong password"):
                sender.send()
            assert len(api.sent) == sent + 1
            sender.clock.now += 1

    def test_with_another_secret_is_sent_at_once(self) -> None:
        def login(request: httpx.Request) -> Any:
            return 403 if b"old" in request.content else reply(200, json={"token": "t1"})

        api = FakeApi({"POST /login": login, "GET /": {}})
        sender = Sender(api, auth=TOKEN, config={"id": "me"})
        with pytest.raises(PermanentError):
            sender.send(secrets={"k": "old-password"})
        sender.send(secrets={"k": "new-password"})
        with pytest.raises(LoginHeldBackError):
            sender.send(secrets={"k": "old-password"})

    def test_that_succeeds_ends_the_longer_pauses(self) -> None:
        wrong, right = reply(403), reply(200, json={"token": "t1", "expires_in": 4})
        api = FakeApi({"POST /login": [wrong, wrong, right, wrong, right], "GET /": {}})
        sender = Sender(api, auth=TOKEN, secrets={"k": "s3cr3t"}, config={"id": "me"})
        for seconds, refused in ((0, True), (60, True), (120, False), (5, True), (60, False)):
            sender.clock.now += seconds
            if refused:
                with pytest.raises(PermanentError):
                    sender.send()
            else:
                sender.send()

    @pytest.mark.parametrize("status", [404, 500, 503])
    def test_that_fails_otherwise_is_sent_again_with_the_next_call(self, status: int) -> None:
        api = FakeApi({"POST /login": [status] * 3 + [reply(200, json={"token": "t1"})], "GET /": {}})
        sender = Sender(api, auth=TOKEN, secrets={"k": "s3cr3t"}, config={"id": "me"}, retry={"max_attempts": 1})
        for _ in range(3):
            with pytest.raises(Exception, match=str(status)):
                sender.send()
        sender.send()


SAVE = {
    "host": {"value": "$.instance", "sensitive": False},
    "csrf": "$.csrf",
    "missing": "$.nothing",
}


class TestWhatALoginSaves:
    @KINDS
    def test_is_seen_in_requests_from_the_first_on(self, auth: dict[str, Any]) -> None:
        tokens = Tokens(instance="eu1", csrf="csrf-value-1")
        tokens.api.routes["POST /eu1"] = [{}]
        sender = tokens.sender({**auth, "save": SAVE})
        request = {
            "method": "POST",
            "path": "/${{ auth.host }}",
            "headers": {"X-CSRF": "${{ auth.csrf }}"},
            "json": {"missing": "${{ auth.missing is none }}"},
        }
        sender.send(request)
        sent = tokens.api.sent[-1]
        assert (sent.url.path, sent.headers["X-CSRF"], sent.content) == ("/eu1", "csrf-value-1", b'{"missing":true}')

    def test_is_read_anew_when_the_token_is_renewed_and_the_request_is_built_anew(self) -> None:
        tokens = Tokens(instance="eu1")
        sender = tokens.sender({**TOKEN, "save": SAVE})
        tokens.api.routes["GET /eu1"] = tokens.api.routes["GET /eu2"] = [tokens.data]
        assert sender.send("GET /${{ auth.host }}").url.endswith("/eu1")
        tokens.good, tokens.answer = {"t2"}, {"instance": "eu2"}
        assert sender.send("GET /${{ auth.host }}").url.endswith("/eu2")

    def test_is_masked_unless_it_is_not_sensitive(self) -> None:
        tokens = Tokens(instance="instance-eu1", csrf="csrf-value-1")
        tokens.api.routes["GET /instance-eu1"] = [reply(400, text="csrf-value-1 is not for instance-eu1")]
        sender = tokens.sender({**TOKEN, "save": SAVE})
        with pytest.raises(PermanentError, match=r"/instance-eu1 answered 400: \*\*\* is not for instance-eu1"):
            sender.send("GET /${{ auth.host }}")

    def test_is_null_without_credentials(self) -> None:
        tokens = Tokens(instance="eu1")
        tokens.api.routes["GET /none"] = [{}]
        sender = tokens.sender({**TOKEN, "save": SAVE})
        sender.send({"path": "/${{ auth.host | default('none', true) }}", "auth": False})
        assert tokens.given == 0
        sender.send({"path": "/${{ auth.host | default('none', true) }}"}, secrets={"k": None})
        assert tokens.given == 0
