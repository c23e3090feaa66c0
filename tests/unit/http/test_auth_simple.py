"""Credentials that need no token: bearer, basic, api_key, aws_sigv4, and where they go."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any, ClassVar
from urllib.parse import parse_qsl, quote

import httpx
import pytest

from tests.support.fake_api import FakeApi, reply
from tests.support.sending import Sender
from yaml_connector._http.auth import AUTH_KINDS
from yaml_connector._http.auth.cloud import aws_host
from yaml_connector._spec import auth as spec
from yaml_connector.errors import EvaluationError, PermanentError

KEY = {"secrets": {"k": "s3cr3t-value"}}
BEARER = {"type": "bearer", "token": "${{ secrets.k }}"}
BASIC = {"type": "basic", "username": "user", "password": "${{ secrets.k }}"}


def sent_with(auth: dict[str, Any], request: Any = "GET /", *, secrets: Any = None, **connection: Any) -> httpx.Request:
    """The request as it is sent with these credentials."""
    api = FakeApi({"GET /": 200, "POST /": 200})
    Sender(api, auth=auth, secrets=KEY["secrets"] if secrets is None else secrets, **connection).send(request)
    return api.sent[0]


def test_a_bearer_token_stands_in_authorization() -> None:
    assert sent_with(BEARER).headers["Authorization"] == "Bearer s3cr3t-value"


def test_basic_is_user_and_password_in_base64() -> None:
    assert sent_with(BASIC).headers["Authorization"] == "Basic " + base64.b64encode(b"user:s3cr3t-value").decode()


def test_an_api_key_stands_in_a_header_or_in_the_query() -> None:
    auth = {"type": "api_key", "name": "X-Key", "value": "Key ${{ secrets.k }}"}
    assert sent_with({**auth, "in": "header"}).headers["X-Key"] == "Key s3cr3t-value"
    assert str(sent_with({**auth, "in": "query"}, "GET /?a=1").url) == "https://api.test/?a=1&X-Key=Key%20s3cr3t-value"


@pytest.mark.parametrize(
    "auth",
    [
        BEARER,
        BASIC,
        {"type": "api_key", "name": "X-Key", "in": "header", "value": "${{ secrets.k }}"},
        {"type": "api_key", "name": "X-Key", "in": "query", "value": "${{ secrets.k }}"},
        {"type": "oauth2_client_credentials", "token_url": "/t", "client_id": "c", "client_secret": "${{ secrets.k }}"},
        {"type": "token", "request": {"path": "/t", "headers": {"K": "${{ secrets.k }}"}}, "token": "$.t"},
        {"type": "jwt", "algorithm": "HS256", "key": "${{ secrets.k }}"},
        {"type": "google", "key": "${{ secrets.k }}"},
    ],
    ids=lambda auth: f"{auth['type']}-{auth.get('in', '')}",
)
class TestEveryKind:
    def test_whose_secret_is_null_sends_nothing(self, auth: dict[str, Any]) -> None:
        request = sent_with(auth, secrets={"k": None})
        assert not {"authorization", "x-key"} & set(request.headers)
        assert not request.url.query

    def test_is_left_out_by_auth_false(self, auth: dict[str, Any]) -> None:
        request = sent_with(auth, {"path": "/", "auth": False})
        assert not {"authorization", "x-key"} & set(request.headers)
        assert not request.url.query

    def test_whose_secret_is_not_valid_utf_8_is_an_error_with_words(self, auth: dict[str, Any]) -> None:
        # this is how Python reads a byte of an environment variable that is not UTF-8
        with pytest.raises(EvaluationError) as raised:
            sent_with(auth, secrets={"k": "s3cr3t-\udce9-value"})
        assert "s3cr3t" not in str(raised.value)

    def test_shows_its_secret_in_no_repr(self, auth: dict[str, Any]) -> None:
        sender = Sender(FakeApi(), auth=auth, **KEY)
        assert "s3cr3t" not in repr(sender.connection.auth)


def test_a_header_of_the_requests_own_in_another_case_is_not_sent_twice() -> None:
    request = {"path": "/", "headers": {"authorization": "mine", "x-default": "mine"}}
    sent = sent_with(BEARER, request, headers={"X-Default": "theirs"})
    assert [name for name, _ in sent.headers.multi_items()].count("authorization") == 1
    assert sent.headers["X-Default"] == "mine"


def test_a_token_with_a_line_break_is_an_error() -> None:
    with pytest.raises(EvaluationError, match="line break"):
        sent_with(BEARER, secrets={"k": "token\r\nX-Evil: 1"})


@pytest.mark.parametrize("auth", [BEARER, BASIC])
def test_a_401_that_no_new_token_can_mend_is_not_sent_again(auth: dict[str, Any]) -> None:
    api = FakeApi({"GET /": 401})
    with pytest.raises(PermanentError, match="answered 401"):
        Sender(api, auth=auth, **KEY).send()
    assert len(api.sent) == 1


def test_the_basic_pair_is_a_secret_too() -> None:
    pair = base64.b64encode(b"user:s3cr3t-value").decode()
    api = FakeApi({"GET /": reply(400, text=f"bad header: Basic {pair}")})
    with pytest.raises(PermanentError) as raised:
        Sender(api, auth=BASIC, **KEY).send()
    assert pair not in str(raised.value)


class TestSigV4:
    AUTH: ClassVar[dict[str, Any]] = {
        "type": "aws_sigv4",
        "access_key_id": "AKID",
        "secret_access_key": "${{ secrets.k }}",
    }

    def sent(self, host: str, request: Any, **auth: Any) -> httpx.Request:
        api = FakeApi(
            {
                f"{method} https://{host}{path}": 200
                for method in ("GET", "POST", "PUT")
                for path in ("/", "/a%2Fb/c%20d", "/x")
            }
        )
        Sender(
            api,
            base_url=f"https://{host}",
            auth={**self.AUTH, **auth},
            headers={"X-Default": "d"},
            query={"q": "é /"},
            **KEY,
        ).send(request)
        return api.sent[0]

    REQUESTS = (
        "GET /",
        {
            "method": "POST",
            "path": "/",
            "json": {"a": "ü"},
            "headers": {"X-Amz-Target": "Glue.StartJobRun", "X-Spaces": " a   b "},
        },
        {"path": "/${{ 'a/b' }}/c d", "query": {"z": ["2", "1"], "A": "~x", "e": ""}},
        {"method": "PUT", "path": "/x", "text": ""},
    )

    @pytest.mark.parametrize("request_", REQUESTS, ids=range(len(REQUESTS)))
    @pytest.mark.parametrize(
        ("host", "service"), [("glue.eu-west-1.amazonaws.com", "glue"), ("s3.eu-west-1.amazonaws.com", "s3")]
    )
    @pytest.mark.parametrize("session_token", [None, "session-token"])
    def test_signs_what_a_server_reads(self, request_: Any, host: str, service: str, session_token: str | None) -> None:
        given = {"session_token": session_token} if session_token else {}
        sent = self.sent(host, request_, **given)
        assert sent.headers.get("X-Amz-Security-Token") == session_token
        assert (
            signature_of(sent, "s3cr3t-value", "eu-west-1", service)
            == sent.headers["Authorization"].rpartition("Signature=")[2]
        )

    @pytest.mark.parametrize("request_", REQUESTS, ids=range(len(REQUESTS)))
    def test_signs_as_botocore_does(self, request_: Any) -> None:
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        sent = self.sent("glue.eu-west-1.amazonaws.com", request_)
        signed = sent.headers["Authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
        again = AWSRequest(
            method=sent.method,
            url=str(sent.url).partition("?")[0],
            data=sent.content,
            headers={name: sent.headers[name] for name in signed},
        )
        again.params = parse_qsl(sent.url.query.decode(), keep_blank_values=True)
        again.context["timestamp"] = sent.headers["X-Amz-Date"]
        signer = SigV4Auth(Credentials("AKID", "s3cr3t-value"), "glue", "eu-west-1")
        signature = signer.signature(signer.string_to_sign(again, signer.canonical_request(again)), again)
        assert signature == sent.headers["Authorization"].rpartition("Signature=")[2]

    def test_takes_service_and_region_from_the_spec_before_the_host(self) -> None:
        sent = self.sent("api.internal.test", "GET /", service="execute-api", region="us-east-1")
        assert "/us-east-1/execute-api/aws4_request" in sent.headers["Authorization"]
        with pytest.raises(
            EvaluationError, match=r"set service and region; the host api\.internal\.test does not name them"
        ):
            self.sent("api.internal.test", "GET /")

    @pytest.mark.parametrize(
        ("host", "service", "region"),
        [
            ("glue.eu-west-1.amazonaws.com", "glue", "eu-west-1"),
            ("glue.cn-north-1.amazonaws.com.cn", "glue", "cn-north-1"),
            ("x.y.batch.us-east-1.amazonaws.com", "batch", "us-east-1"),
            ("amazonaws.com", None, None),
            ("evil-amazonaws.com", None, None),
            ("a.b.test", None, None),
        ],
    )
    def test_reads_hosts(self, host: str, service: str | None, region: str | None) -> None:
        assert aws_host(host) == (service, region)

    def test_without_keys_asks_botocores_own_chain(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "CHAINKEY")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "chain-secret")
        for auth in ({"access_key_id": None, "secret_access_key": None}, {"secret_access_key": "${{ secrets.none }}"}):
            api = FakeApi({"GET /": 200})
            given = {name: value for name, value in {**self.AUTH, **auth}.items() if value is not None}
            Sender(api, auth={**given, "service": "x", "region": "r"}, secrets={"k": "v", "none": None}).send()
            assert "Credential=CHAINKEY/" in api.sent[0].headers["Authorization"]

    def test_cannot_sign_what_it_cannot_read(self) -> None:
        with pytest.raises(EvaluationError, match="cannot sign a streamed body"):
            self.sent("glue.eu-west-1.amazonaws.com", {"method": "PUT", "path": "/x", "file": "s3://f"})


def signature_of(request: httpx.Request, secret: str, region: str, service: str) -> str:
    """AWS signature version 4 of a request as its server reads it, from AWS' description."""
    signed = request.headers["Authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    headers = "".join(f"{name}:{' '.join(request.headers[name].split())}\n" for name in signed)
    path = request.url.raw_path.decode().partition("?")[0]
    encoded = path if service == "s3" else quote(path, safe="/-_.~")
    pairs = parse_qsl(request.url.query.decode(), keep_blank_values=True)
    query = "&".join(sorted(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in pairs))
    body = request.headers.get("X-Amz-Content-SHA256") or hashlib.sha256(request.content).hexdigest()
    canonical = "\n".join([request.method, encoded, query, headers, ";".join(signed), body])
    moment = request.headers["X-Amz-Date"]
    scope = f"{moment[:8]}/{region}/{service}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{secret}".encode()
    for part in (moment[:8], region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


def test_every_kind_that_a_spec_may_name_has_its_class() -> None:
    assert set(AUTH_KINDS) == set(spec.AUTH_KINDS.values())
