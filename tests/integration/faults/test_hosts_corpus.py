"""Nasty URLs in every place where one may come from: allowed and normalised, or refused before anything is sent."""

from __future__ import annotations

import asyncio
import socket
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fake_api import Driver, FakeApi, reply
from yaml_connector._http.messages import HttpRequest, TransportError
from yaml_connector._http.transport import AiohttpTransport
from yaml_connector.errors import CallError, EvaluationError

CORPUS = [
    tuple(line.split(" -> "))
    for line in (Path(__file__).parent / "corpus" / "urls.txt").read_text().splitlines()
    if not line.startswith("#")
]
BASE = "https://api.test/v1"
CONNECTION: dict[str, Any] = {
    "base_url": BASE,
    "allowed_hosts": ["*.ok.test", "alt.test:8443", "[2001:db8::1]", "bücher.test"],
    "auth": {"type": "bearer", "token": "planted-bearer-token"},
    "follow_redirects": True,
    "retry": {"max_attempts": 1},
}
GOOD = {"id": "1", "state": "running"}


def hosts(api: FakeApi) -> set[str]:
    return {request.url.host for request in api.sent}


def check(api: FakeApi, expected: str) -> None:
    """What was sent last went where the corpus says, or to no other host at all."""
    sent = [str(request.url) for request in api.sent]
    if expected == "no":
        assert all(url.startswith("https://api.test/v1/") for url in sent), sent
    else:
        assert httpx.URL(expected) in [request.url for request in api.sent], sent


class Anything(FakeApi):
    """Answers every request: first what is scripted, then what is good."""

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        script = self.routes.get(f"{request.method} {request.url.raw_path.decode()}")
        if script is None or request.url.host != "api.test":
            self.sent.append(request)
            return httpx.Response(200, json={**GOOD, "access_token": "tok-123456"})
        return await super()._answer(request)


def drive(api: FakeApi, **sections: Any) -> None:
    sections.setdefault("connection", CONNECTION)
    driver = Driver(api, **sections)
    with suppress(CallError, EvaluationError):
        driver.create()
        driver.get()


@pytest.mark.parametrize(("url", "expected"), CORPUS)
class TestACorpusOfUrls:
    def test_as_the_url_of_a_request(self, url: str, expected: str) -> None:
        api = Anything()
        create = {"request": {"method": "POST", "url": "${{ config.target }}"}, "idempotent": True, "job_id": "$.id"}
        driver = Driver(api, connection=CONNECTION, create=create, config={"target": "str"})
        driver.create(config={"target": url})
        check(api, expected)

    def test_as_the_location_of_a_redirect(self, url: str, expected: str) -> None:
        api = Anything({"POST /v1/jobs": reply(307, headers={b"Location": url.encode()})})
        drive(api)
        if expected != "no" or "bücher" in url:
            check(api, expected)
        assert "evil.test" not in hosts(api)
        assert not any(host.startswith("169.254") for host in hosts(api))

    def test_as_the_next_uri_that_a_step_follows(self, url: str, expected: str) -> None:
        api = Anything({"GET /v1/jobs/1": {"state": "running", "next": url}})
        phase = {"path": "$.state", "map": {"RUNNING": ["running"]}}
        drive(
            api,
            get={"steps": [{"name": "a", "request": "GET /jobs/${{ job.id }}", "follow": "$.next"}], "phase": phase},
        )
        check(api, expected)

    def test_as_the_token_url(self, url: str, expected: str) -> None:
        api = Anything()
        auth = {"type": "oauth2_client_credentials", "token_url": url, "client_id": "i", "client_secret": "planted-s"}
        with (
            pytest.raises(AssertionError, match="backslash") if "\\" in url else nullcontext()
        ):  # the spec is not loaded
            drive(api, connection={**CONNECTION, "auth": auth})
        if expected == "no":
            check(api, expected)
        else:
            assert httpx.URL(expected) == api.sent[0].url

    def test_as_the_base_url_from_config(self, url: str, expected: str) -> None:
        api = Anything()
        allowed = [*CONNECTION["allowed_hosts"], "api.test:443"]
        connection = {**CONNECTION, "base_url": "${{ config.base }}", "allowed_hosts": allowed}
        driver = Driver(api, connection=connection, config={"base": "str"})
        with suppress(CallError, EvaluationError):
            driver.create(config={"base": url})
        if expected == "no" and not url.startswith("http://"):
            assert not api.sent


class Resolver(AbstractResolver):
    def __init__(self, address: str) -> None:
        self.address = address

    async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_INET) -> list[ResolveResult]:
        return [ResolveResult(hostname=host, host=self.address, port=port, family=family, proto=0, flags=0)]

    async def close(self) -> None:
        pass


ADDRESSES = (
    "169.254.169.254",
    "169.254.0.1",
    "fe80::1",
    "fd00:ec2::254",
    "::ffff:169.254.169.254",
    "100.100.100.200",
    "0.0.0.0",
)


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_name_that_resolves_to_a_link_local_or_metadata_address_is_refused(address: str) -> None:
    async def main() -> None:
        transport = AiohttpTransport(max_connections=1, resolver=Resolver(address))
        with pytest.raises(TransportError, match="refused") as raised:
            async with transport.exchange(HttpRequest("GET", "http://api.test/"), 1.0):
                pass
        assert not raised.value.may_have_been_processed
        await transport.close()

    asyncio.run(main())


NASTY = st.text(max_size=40) | st.sampled_from(
    [
        "${{ secrets.key }}",
        "{{ 7 * 7 }}",
        "../../x",
        "a\r\nX-Evil: 1",
        "https://evil.test/",
        "@evil.test",
        "a/b?c=d#e",
        "%2e%2e",
    ]
)


@given(value=NASTY)
def test_no_input_adds_a_header_changes_the_shape_of_the_path_or_is_evaluated(value: str) -> None:
    api = Anything()
    create = {
        "request": {
            "method": "POST",
            "path": "/a/${{ inputs.v }}/z",
            "query": {"q": "${{ inputs.v }}"},
            "headers": {"X-V": "${{ inputs.v }}"},
            "json": {"v": "${{ inputs.v }}", "k": "x-${{ inputs.v }}"},
        },
        "idempotent": True,
        "job_id": "$.id",
    }
    driver = Driver(
        api, connection=CONNECTION, create=create, secrets={"key": {"env": "KEY"}}, environment={"KEY": "planted-key-1"}
    )
    driver.create(inputs={"v": value})
    assert hosts(api) <= {"api.test"}
    for request in api.sent:
        path = request.url.raw_path.decode().partition("?")[0]
        assert len(path.split("/")) == 5
        assert path.endswith("/z")
        assert {name for name in request.headers if name.startswith("x-")} == {"x-v"}
        assert dict(request.url.params)["q"] == value
        assert api.body() == {"v": value, "k": f"x-{value}"}
        assert b"planted-key-1" not in request.content
