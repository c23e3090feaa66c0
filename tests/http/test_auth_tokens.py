"""Credentials (section 4, auth) with a token that is fetched: once for all who wait, kept, renewed, never mixed."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any, ClassVar
from urllib.parse import parse_qs

import httpx
import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from fake_api import BROKEN, REFUSED, SILENT, START, FakeApi, reply, run
from sending import Sender

from yaml_connector.errors import CallError, FailedForGood, Passing, ValueProblem

OAUTH: dict[str, Any] = {
    "type": "oauth2_client_credentials",
    "token_url": "https://login.test/token",
    "client_id": "${{ config.id }}",
    "client_secret": "${{ secrets.k }}",
}
TOKEN: dict[str, Any] = {
    "type": "token",
    "request": {"method": "POST", "path": "/login", "json": {"user": "${{ config.id }}", "key": "${{ secrets.k }}"}},
    "token": "$.token",
    "expires_in": "$.expires_in",
}
KINDS = pytest.mark.parametrize("auth", [OAUTH, TOKEN], ids=["oauth2", "token"])


class Tokens:
    """An API whose tokens are numbered; `good` are those it takes (None: all)."""

    def __init__(self, **answer: Any) -> None:
        self.given = 0
        self.good: set[str] | None = None
        self.answer = answer
        self.logins: list[httpx.Request] = []
        self.api = FakeApi({"POST https://login.test/token": self.login, "POST /login": self.login, "GET /": self.data})

    async def login(self, request: httpx.Request) -> httpx.Response:
        self.given += 1
        self.logins.append(request)
        token = f"t{self.given}"
        await asyncio.sleep(0.01)
        return httpx.Response(200, json={"access_token": token, "token": token, **self.answer})

    def data(self, request: httpx.Request) -> Any:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return 401 if self.good is not None and token not in self.good else {"token": token}

    def sender(self, auth: dict[str, Any], **more: Any) -> Sender:
        given: dict[str, Any] = {
            "secrets": {"k": "s3cr3t"},
            "config": {"id": "me"},
            "allowed_hosts": ["login.test"],
            **more,
        }
        return Sender(self.api, auth=auth, **given)


def used(sender: Sender, **given: Any) -> Any:
    return sender.send(**given).body["token"]


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

    @pytest.mark.parametrize(("lifetime", "good_for"), [(3600, 3540), (100, 75), ("40", 30)])
    def test_is_renewed_shortly_before_it_expires(self, auth: dict[str, Any], lifetime: Any, good_for: float) -> None:
        sender = Tokens(expires_in=lifetime).sender(auth)
        assert used(sender) == "t1"
        sender.clock.now += good_for - 0.1
        assert used(sender) == "t1"
        sender.clock.now += 0.2
        assert used(sender) == "t2"

    @pytest.mark.parametrize("answer", [{}, {"expires_in": None}, {"expires_in": "soon"}])
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
        with pytest.raises(FailedForGood, match=r"GET https://api\.test/ answered 401"):
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
        with pytest.raises(FailedForGood, match=r"what is \*\*\*\?"):
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
        with pytest.raises(Passing) as raised:
            tokens.sender(auth).send("POST /jobs")
        assert not raised.value.arrived
        assert "s3cr3t" not in str(raised.value)
        assert all("/jobs" not in call for call in tokens.api.calls)

    def test_that_is_refused_fails_for_good_with_the_apis_own_words(self, auth: dict[str, Any]) -> None:
        tokens = Tokens()
        for route in ("POST https://login.test/token", "POST /login"):
            tokens.api.routes[route] = [reply(401, json={"error": "invalid_client"})]
        with pytest.raises(FailedForGood, match="answered 401: invalid_client"):
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
        with pytest.raises(Passing, match="max_response"):
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

    def test_go_to_no_host_that_is_not_allowed(self) -> None:
        tokens = Tokens()
        with pytest.raises(ValueProblem, match=r"the host login\.test is not allowed"):
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


class TestAJwt:
    PEM: ClassVar[dict[str, str]] = {}

    @classmethod
    def key(cls, kind: str) -> str:
        if kind not in cls.PEM:
            made: Any = (
                rsa.generate_private_key(public_exponent=65537, key_size=2048)
                if kind == "rsa"
                else ec.generate_private_key(ec.SECP256R1())
            )
            cls.PEM[kind] = made.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ).decode()
        return cls.PEM[kind]

    def read(self, token: str, kind: str, algorithm: str) -> dict[str, Any]:
        private: Any = serialization.load_pem_private_key(self.key(kind).encode(), None)
        claims: dict[str, Any] = pyjwt.decode(
            token,
            private.public_key(),
            [algorithm],
            options={"verify_exp": False, "verify_aud": False, "verify_iat": False},
        )
        return claims

    @pytest.mark.parametrize(("kind", "algorithm"), [("rsa", "RS256"), ("rsa", "PS512"), ("ec", "ES256")])
    def test_is_signed_and_has_its_times(self, kind: str, algorithm: str) -> None:
        auth = {
            "type": "jwt",
            "algorithm": algorithm,
            "key": "${{ secrets.k }}",
            "key_id": "kid-1",
            "lifetime": "10m",
            "claims": {"iss": "${{ config.id }}", "none": "${{ config.none }}", "n": 5},
        }
        sender = Tokens().sender(auth, secrets={"k": self.key(kind)}, config={"id": "me", "none": None})
        token = used(sender)
        assert self.read(token, kind, algorithm) == {"iss": "me", "n": 5, "iat": START, "exp": START + 600}
        assert pyjwt.get_unverified_header(token) == {"alg": algorithm, "kid": "kid-1", "typ": "JWT"}

    def test_is_used_until_shortly_before_its_end(self) -> None:
        sender = Tokens().sender({"type": "jwt", "algorithm": "HS256", "key": "k" * 32, "lifetime": "100s"})
        first = used(sender)
        sender.clock.now += 70
        assert used(sender) == first
        sender.clock.now += 10
        assert used(sender) != first

    @pytest.mark.parametrize("algorithm", ["RS256", "ES256", "NOPE", "none"])
    def test_with_a_key_that_does_not_fit_is_an_error_that_does_not_show_it(self, algorithm: str) -> None:
        sender = Tokens().sender(
            {"type": "jwt", "algorithm": algorithm, "key": "${{ secrets.k }}"}, secrets={"k": "no-key-at-all"}
        )
        with pytest.raises(ValueProblem, match=f"cannot be signed with {algorithm}") as raised:
            used(sender)
        assert "no-key" not in str(raised.value)

    def test_can_be_what_a_login_sends(self) -> None:
        tokens = Tokens(expires_in=3600)
        auth = {
            **TOKEN,
            "request": {"method": "POST", "path": "/login", "form": {"assertion": "${{ jwt }}"}},
            "jwt": {"key": "${{ secrets.k }}", "claims": {"aud": "https://login.test"}},
        }
        assert used(tokens.sender(auth, secrets={"k": self.key("rsa")})) == "t1"
        assertion = parse_qs(tokens.logins[0].content.decode())["assertion"][0]
        assert self.read(assertion, "rsa", "RS256") == {"aud": "https://login.test", "iat": START, "exp": START + 3600}


class TestGoogle:
    def account(self, **more: Any) -> str:
        return json.dumps(
            {
                "type": "service_account",
                "client_email": "me@p.iam.test",
                "private_key": TestAJwt.key("rsa"),
                "private_key_id": "kid",
                "token_uri": "https://login.test/token",
                **more,
            }
        )

    @pytest.mark.parametrize(
        ("scopes", "sent"),
        [(None, "https://www.googleapis.com/auth/cloud-platform"), (["a", "b"], "a b"), ("one", "one")],
    )
    def test_trades_a_signed_assertion_for_a_token(self, scopes: Any, sent: str) -> None:
        tokens = Tokens(expires_in=3600)
        sender = tokens.sender(
            {"type": "google", "key": "${{ secrets.k }}", "scopes": scopes}, secrets={"k": self.account()}
        )
        assert [used(sender), used(sender)] == ["t1", "t1"]
        form = parse_qs(tokens.logins[0].content.decode())
        assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
        assert TestAJwt().read(form["assertion"][0], "rsa", "RS256") == {
            "iss": "me@p.iam.test",
            "scope": sent,
            "aud": "https://login.test/token",
            "iat": START,
            "exp": START + 3600,
        }

    def test_asks_no_host_that_is_not_allowed(self) -> None:
        tokens = Tokens()
        sender = tokens.sender(
            {"type": "google", "key": "${{ secrets.k }}"}, secrets={"k": self.account(token_uri="https://evil.test/")}
        )
        with pytest.raises(ValueProblem, match=r"the host evil\.test is not allowed"):
            used(sender)

    @pytest.mark.parametrize("key", ["no json", "{}", '{"private_key": "x"}', "[1]"])
    def test_with_a_key_that_is_none_is_an_error_that_does_not_show_it(self, key: str) -> None:
        with pytest.raises(ValueProblem, match="no service account's JSON") as raised:
            used(Tokens().sender({"type": "google", "key": "${{ secrets.k }}"}, secrets={"k": key}))
        assert "private_key" not in str(raised.value)
