"""Credentials that the connector signs itself: JSON web tokens, and Google's, traded for a token."""

from __future__ import annotations

import json
from typing import Any, ClassVar
from urllib.parse import parse_qs

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.unit.http.token_api import TOKEN, Tokens, used
from yaml_connector.errors import EvaluationError
from yaml_connector.testing.clock import START


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
        with pytest.raises(EvaluationError, match=f"cannot be signed with {algorithm}") as raised:
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
        with pytest.raises(EvaluationError, match=r"the host evil\.test is not allowed"):
            used(sender)

    @pytest.mark.parametrize("key", ["no json", "{}", '{"private_key": "x"}', "[1]"])
    def test_with_a_key_that_is_none_is_an_error_that_does_not_show_it(self, key: str) -> None:
        with pytest.raises(EvaluationError, match="not a service account's JSON") as raised:
            used(Tokens().sender({"type": "google", "key": "${{ secrets.k }}"}, secrets={"k": key}))
        assert "private_key" not in str(raised.value)
