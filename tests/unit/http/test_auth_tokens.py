"""Credentials with a token that is fetched: once for all who wait, kept, renewed, never mixed."""

from __future__ import annotations

import asyncio
import base64
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from tests.support.fake_api import BROKEN, REFUSED, SILENT, reply, run
from tests.unit.http.token_api import OAUTH, TOKEN, Tokens, used
from yaml_connector.errors import CallError, EvaluationError, PermanentError, TransientError

KINDS = pytest.mark.parametrize("auth", [OAUTH, TOKEN], ids=["oauth2", "token"])


@KINDS
class TestAToken:
    def test_is_fetched_once_and_kept(self, auth: dict[str, Any]) -> None:
        tokens = Tokens(expires_in=3600)
        sender = tokens.sender(auth)
        assert [used(sender) for _ in range(3)] == ["t1", "t1", "t1"]

    def test_is_fetched_once_for_all_who_wait(self, auth: dict[str, Any]) -> None:
        tokens = Tokens(expires_in=3600)
        sender = tokens.sender(auth)

        async def together() -> list[Any]:
            return await asyncio.gather(*(sender.send_now() for _ in range(20)))

        assert {answer.body["token"] for answer in run(together(), sender.clock)} == {"t1"}
        assert tokens.given == 1

    def test_is_fetched_for_the_others_too_when_the_first_one_gives_up(self, auth: dict[str, Any]) -> None:
        tokens = Tokens(expires_in=3600)
        sender = tokens.sender(auth)

        async def together() -> list[Any]:
            first = asyncio.ensure_future(sender.send_now())
            others = [asyncio.ensure_future(sender.send_now()) for _ in range(3)]
            await asyncio.sleep(0.002)
            first.cancel()
            return await asyncio.gather(*others)

        assert {answer.body["token"] for answer in run(together(), sender.clock)} == {"t1"}
        assert tokens.given == 1

    def test_is_not_read_from_a_login_of_more_than_a_quarter_of_a_mebibyte(self, auth: dict[str, Any]) -> None:
        assert used(Tokens(more="x" * (2**18 - 100)).sender(auth)) == "t1"
        with pytest.raises(TransientError, match=r"more than 256 KiB which is too long for a login") as raised:
            Tokens(more="x" * 2**18).sender(auth).send()
        assert not raised.value.may_have_been_processed

    @pytest.mark.parametrize(("lifetime", "good_for"), [(3600, 3540), (100, 75), ("40", 30)])
    def test_is_renewed_shortly_before_it_expires(self, auth: dict[str, Any], lifetime: Any, good_for: float) -> None:
        sender = Tokens(expires_in=lifetime).sender(auth)
        assert used(sender) == "t1"
        sender.clock.now += good_for - 0.1
        assert used(sender) == "t1"
        sender.clock.now += 0.2
        assert used(sender) == "t2"

    @pytest.mark.parametrize(
        "answer",
        [{}, {"expires_in": None}, {"expires_in": "soon"}, {"expires_in": 10**400}, {"expires_in": "nan"}],
    )
    def test_without_a_lifetime_is_kept_until_a_401(self, auth: dict[str, Any], answer: dict[str, Any]) -> None:
        tokens = Tokens(**answer)
        sender = tokens.sender(auth)
        assert used(sender) == "t1"
        sender.clock.now += 10**9
        assert used(sender) == "t1"
        tokens.good = {"t2"}
        assert used(sender) == "t2"

    def test_is_fetched_anew_only_once_after_a_401(self, auth: dict[str, Any]) -> None:
        tokens = Tokens(expires_in=3600)
        tokens.good = set()
        with pytest.raises(PermanentError, match=r"GET https://api\.test/ answered 401"):
            used(tokens.sender(auth))
        assert tokens.given == 2
        assert [request.method for request in tokens.api.sent].count("GET") == 2

    def test_of_other_credentials_never_mixes(self, auth: dict[str, Any]) -> None:
        tokens = Tokens(expires_in=3600)
        sender = tokens.sender(auth)
        given = [
            {"secrets": {"k": "alice"}},
            {"secrets": {"k": "bob"}},
            {"secrets": {"k": "alice"}, "config": {"id": "you"}},
        ]

        async def together() -> list[Any]:
            return await asyncio.gather(*(sender.send_now(**given[number % 3]) for number in range(9)))

        answers = [answer.body["token"] for answer in run(together(), sender.clock)]
        assert len(set(answers)) == 3
        assert answers == answers[:3] * 3
        assert [used(sender, **values) for values in given] == answers[:3]

    def test_that_is_refused_does_not_take_the_others_with_it(self, auth: dict[str, Any]) -> None:
        tokens = Tokens(expires_in=3600)
        sender = tokens.sender(auth)
        assert [used(sender, secrets={"k": key}) for key in ("alice", "bob")] == ["t1", "t2"]
        tokens.good = {"t2", "t3"}
        assert [used(sender, secrets={"k": key}) for key in ("alice", "bob")] == ["t3", "t2"]

    def test_that_is_refused_to_many_calls_one_after_the_other_is_fetched_anew_once(self, auth: dict[str, Any]) -> None:
        tokens = Tokens(expires_in=3600)
        sender = tokens.sender(auth)
        assert used(sender) == "t1"
        tokens.good = {"t2"}
        refused = 0

        async def late(request: httpx.Request) -> Any:
            nonlocal refused
            answer = tokens.data(request)
            if answer == 401:
                refused += 1
                await asyncio.sleep(0.01 * refused)
            return answer

        tokens.api.routes["GET /"] = [late]

        async def together() -> list[Any]:
            return await asyncio.gather(*(sender.send_now() for _ in range(8)))

        assert {answer.body["token"] for answer in run(together(), sender.clock)} == {"t2"}
        assert (refused, tokens.given) == (8, 2)

    def test_request_carries_no_default_headers_query_or_credentials(self, auth: dict[str, Any]) -> None:
        tokens = Tokens()
        used(tokens.sender(auth, headers={"X-Default": "d"}, query={"q": "1"}))
        assert "x-default" not in tokens.logins[0].headers
        assert not tokens.logins[0].url.query
        assert not tokens.logins[0].headers.get("Authorization", "").startswith("Bearer")

    def test_is_masked_from_then_on(self, auth: dict[str, Any]) -> None:
        tokens = Tokens(access_token="very-long-token", token="very-long-token")
        tokens.api.routes["GET /"] = [reply(400, text="what is very-long-token?")]
        with pytest.raises(PermanentError, match=r"what is \*\*\*\?"):
            tokens.sender(auth).send()

    @pytest.mark.parametrize(
        "failure", [REFUSED, SILENT, BROKEN, 500, 503, reply(200, html="<p>"), reply(200, json={"no": "token"})]
    )
    def test_that_cannot_be_fetched_now_is_passing_and_nothing_arrived(
        self, auth: dict[str, Any], failure: Any
    ) -> None:
        tokens = Tokens()
        for route in ("POST https://login.test/token", "POST /login"):
            tokens.api.routes[route] = [failure]
        with pytest.raises(TransientError) as raised:
            tokens.sender(auth).send("POST /jobs")
        assert not raised.value.may_have_been_processed
        assert "s3cr3t" not in str(raised.value)
        assert all("/jobs" not in call for call in tokens.api.calls)

    def test_that_is_refused_fails_for_good_with_the_apis_own_words(self, auth: dict[str, Any]) -> None:
        tokens = Tokens()
        for route in ("POST https://login.test/token", "POST /login"):
            tokens.api.routes[route] = [reply(401, json={"error": "invalid_client"})]
        with pytest.raises(PermanentError, match="answered 401: invalid_client"):
            tokens.sender(auth).send()

    def test_goes_on_after_a_fetch_that_failed(self, auth: dict[str, Any]) -> None:
        tokens = Tokens()
        for route in ("POST https://login.test/token", "POST /login"):
            tokens.api.routes[route] = [503, tokens.login]
        assert used(tokens.sender(auth)) == "t1"

    def test_answer_is_bounded(self, auth: dict[str, Any]) -> None:
        tokens = Tokens()
        for route in ("POST https://login.test/token", "POST /login"):
            tokens.api.routes[route] = [reply(200, content=b" " * 5000)]
        with pytest.raises(TransientError, match="max_response"):
            tokens.sender(auth, max_response="1KiB").send()


class TestClientCredentials:
    def login(self, **auth: Any) -> httpx.Request:
        tokens = Tokens()
        used(tokens.sender({**OAUTH, **auth}, secrets={"k": "a/b c:é"}, config={"id": "me", "none": None}))
        return tokens.logins[0]

    def test_are_sent_as_basic_each_encoded_by_itself(self) -> None:
        request = self.login()
        pair = base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")).decode()
        assert pair == "me:a%2Fb%20c%3A%C3%A9"
        assert parse_qs(request.content.decode()) == {"grant_type": ["client_credentials"]}

    def test_are_sent_in_the_body_with_scopes_and_params(self) -> None:
        request = self.login(send_as="body", scopes=["a", "b"], params={"audience": "x", "none": "${{ config.none }}"})
        assert "Authorization" not in request.headers
        assert parse_qs(request.content.decode()) == {
            "grant_type": ["client_credentials"],
            "client_id": ["me"],
            "client_secret": ["a/b c:é"],
            "scope": ["a b"],
            "audience": ["x"],
        }

    def test_is_fetched_where_the_spec_says_whatever_a_task_puts_into_the_url(self) -> None:
        tokens = Tokens(expires_in=60)
        tokens.api.routes["POST https://login.test/a%2Fb%3Fx%3D%23/token"] = [tokens.login]
        auth = {**OAUTH, "token_url": "https://login.test/${{ config.id }}/token"}
        assert used(tokens.sender(auth, config={"id": "a/b?x=#"})) == "t1"
        with pytest.raises(EvaluationError, match="must not contain the segments"):
            tokens.sender(auth, config={"id": ".."}).send()
        assert tokens.given == 1

    @pytest.mark.parametrize("url", ["https://bücher.test/token", "https://${{ config.id }}.test/token"])
    def test_go_to_a_host_with_letters_beyond_ascii(self, url: str) -> None:
        tokens = Tokens()
        tokens.api.routes["POST https://xn--bcher-kva.test/token"] = [tokens.login]
        sender = tokens.sender({**OAUTH, "token_url": url}, config={"id": "bücher"}, allowed_hosts=["bücher.test"])
        assert used(sender) == "t1"

    def test_go_up_from_base_url_where_the_spec_says_so(self) -> None:
        tokens = Tokens()
        tokens.api.routes["POST /oauth/token"] = [tokens.login]
        sender = tokens.sender({**OAUTH, "token_url": "../oauth/token"}, base_url="https://api.test/v1")
        tokens.api.routes["GET /v1/"] = [tokens.data]
        assert used(sender) == "t1"

    def test_go_to_no_host_that_is_not_allowed(self) -> None:
        tokens = Tokens()
        with pytest.raises(EvaluationError, match=r"the host login\.test is not allowed"):
            tokens.sender(OAUTH, allowed_hosts=None).send()
        assert not tokens.api.sent


class TestALogin:
    @pytest.mark.parametrize("key", ["${{ secrets['k' ~ ''] }}", "${{ secrets | jsonpath('$.k') }}"])
    def test_whose_secret_is_named_in_a_roundabout_way_does_not_mix_tokens(self, key: str) -> None:
        tokens = Tokens()
        sender = tokens.sender({**TOKEN, "request": {"method": "POST", "path": "/login", "json": {"k": key}}})
        assert [used(sender, secrets={"k": name}) for name in ("alice", "bob", "alice")] == ["t1", "t2", "t1"]

    def test_of_another_place_does_not_mix_tokens(self) -> None:
        tokens = Tokens()
        for host in ("eu", "us"):
            tokens.api.routes[f"POST https://{host}.test/login"] = [tokens.login]
            tokens.api.routes[f"GET https://{host}.test/"] = [tokens.data]
        sender = tokens.sender(
            {**TOKEN, "request": "POST /login"},
            base_url="https://${{ config.id }}.test",
            allowed_hosts=["eu.test", "us.test"],
        )
        assert [used(sender, config={"id": name}) for name in ("eu", "us", "eu")] == ["t1", "t2", "t1"]

    def test_whose_token_depends_on_the_config_does_not_mix_tokens(self) -> None:
        tokens = Tokens(a="of-a", b="of-b")
        sender = tokens.sender({**TOKEN, "request": "POST /login", "token": "${{ body[config.id] }}"})
        assert [used(sender, config={"id": name}) for name in ("a", "b", "a")] == ["of-a", "of-b", "of-a"]

    def test_puts_its_token_where_the_spec_says(self) -> None:
        tokens = Tokens()
        tokens.api.routes["GET /"] = [{"ok": 1}]
        tokens.sender({**TOKEN, "header": "X-Token", "prefix": ""}).send()
        assert tokens.api.sent[-1].headers["X-Token"] == "t1"

    def test_may_give_its_token_in_a_header_or_as_text(self) -> None:
        for token, answer in (
            ("${{ headers['x-token'] }}", reply(201, headers={"X-Token": "abc"})),
            ("${{ text | trim }}", reply(200, text="abc\n")),
            ("$", reply(200, json="abc")),
        ):
            tokens = Tokens()
            tokens.api.routes["POST /login"] = [answer]
            assert used(tokens.sender({**TOKEN, "token": token, "expires_in": None})) == "abc"

    def test_without_a_token_shows_no_secret_of_its_url(self) -> None:
        tokens = Tokens()
        tokens.api.routes["GET /login"] = [{"nothing": 1}]
        with pytest.raises(CallError) as raised:
            tokens.sender({**TOKEN, "request": {"path": "/login", "query": {"k": "${{ secrets.k }}"}}}).send()
        assert "without a token" in str(raised.value)
        assert "s3cr3t" not in str(raised.value)
