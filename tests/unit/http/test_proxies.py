"""Requests go through the proxy that the spec or the environment names, logins too, and through no other."""

from __future__ import annotations

import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.support.certificates import certificate
from tests.support.forward_proxy import ForwardProxy
from tests.support.loops import run_steadily
from tests.support.ports import held_port
from yaml_connector._http import client
from yaml_connector._http.connection import Connection
from yaml_connector._http.context import CallContext
from yaml_connector._http.proxies import Proxies
from yaml_connector._jobs.steps import compile_step
from yaml_connector._spec.connection import Connection as ConnectionSpec
from yaml_connector._spec.requests import Step
from yaml_connector.errors import EvaluationError, TransientError

P = "http://proxy.test:3128"


@pytest.mark.parametrize(
    ("environment", "url", "proxy"),
    [
        ({}, "https://api.test/", None),
        ({"HTTPS_PROXY": P}, "https://api.test/", P),
        ({"https_proxy": P}, "https://api.test/", P),
        ({"HTTPS_PROXY": P}, "http://api.test/", None),
        ({"HTTP_PROXY": "proxy.test:3128"}, "http://api.test/", P),
        ({"HTTPS_PROXY": P, "NO_PROXY": "api.test"}, "https://api.test/", None),
        ({"HTTPS_PROXY": P, "NO_PROXY": "other.test, test"}, "https://api.test:8443/", None),
        ({"HTTPS_PROXY": P, "no_proxy": ".test"}, "https://api.test/", None),
        ({"HTTPS_PROXY": P, "NO_PROXY": "*.test"}, "https://api.test/", None),
        ({"HTTPS_PROXY": P, "NO_PROXY": "pi.test"}, "https://api.test/", P),
        ({"HTTPS_PROXY": P, "NO_PROXY": "api.test:8443"}, "https://api.test:8443/", None),
        ({"HTTPS_PROXY": P, "NO_PROXY": "api.test:8443"}, "https://api.test/", P),
        ({"HTTPS_PROXY": P, "NO_PROXY": "10.0.0.0/8"}, "https://10.1.2.3/", None),
        ({"HTTPS_PROXY": P, "NO_PROXY": "10.0.0.0/8"}, "https://11.1.2.3/", P),
        ({"HTTPS_PROXY": P, "NO_PROXY": "*"}, "https://api.test/", None),
        ({"HTTPS_PROXY": P, "NO_PROXY": ",,"}, "https://api.test/", P),
        ({"HTTP_PROXY": P}, "http://localhost:8000/", None),
        ({"HTTP_PROXY": P}, "http://127.0.0.1:8000/", None),
        ({"HTTP_PROXY": P}, "http://[::1]:8000/", None),
    ],
)
def test_the_environment_names_the_proxy_as_usual(environment: dict[str, str], url: str, proxy: str | None) -> None:
    assert Proxies(None, environment, environment).of(url) == proxy


def test_the_spec_is_stronger_than_the_environment() -> None:
    environment = {"HTTPS_PROXY": P, "OWN": "http://own.test:1"}
    assert Proxies("none", environment, environment).of("https://api.test/") is None
    assert Proxies("${{ env.OWN }}", environment, environment).of("https://api.test/") == "http://own.test:1"


@pytest.mark.parametrize("proxy", ["ftp://user:hush-hush@p.test", "http://", "http://user:hush-hush@p.test:99999"])
def test_what_is_no_proxy_is_named_without_its_password(proxy: str) -> None:
    environment = {"HTTPS_PROXY": proxy}
    with pytest.raises(
        EvaluationError, match="HTTPS_PROXY is not the URL of a proxy: write http://HOST:PORT"
    ) as raised:
        Proxies(None, environment, environment).of("https://api.test/")
    assert "hush" not in str(raised.value)


@asynccontextmanager
async def api(tls: Path | None = None) -> AsyncIterator[int]:
    """An API that says which host was asked, also to a login."""

    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"host": request.host, "token": "t1", "bearer": request.headers.get("Authorization")})

    runner = web.ServerRunner(web.Server(answer), shutdown_timeout=0.1)
    await runner.setup()
    context = None
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls / "server.pem", tls / "server.key")
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


async def ask(environment: dict[str, str], **connection: Any) -> Any:
    """The body of one request through a connection of its own."""
    spec = ConnectionSpec.model_validate({"retry": {"max_attempts": 1}, "timeout": "2s", **connection})
    made = Connection(spec, environment)
    context = CallContext(made, config={}, secrets={})
    step = compile_step(Step.model_validate({"request": "GET /jobs"}))
    try:
        return (await client.send(context, step.request, context.scope, step.criteria)).body
    finally:
        await made.transport.close()


def test_a_plain_request_and_its_login_go_through_the_proxy() -> None:
    async def main() -> None:
        async with api() as port:
            proxy = ForwardProxy(port)
            async with proxy.run() as address:
                login = {"type": "token", "request": "POST /login", "token": "$.token"}
                body = await ask({"HTTP_PROXY": address}, base_url="http://api.invalid", auth=login)
            assert (body["host"], body["bearer"]) == ("api.invalid", "Bearer t1")
            assert proxy.asked[0] == "POST http://api.invalid/login HTTP/1.1"

    run_steadily(main())


def test_tls_goes_through_a_tunnel_and_is_verified(tmp_path: Path) -> None:
    certificate(tmp_path)

    async def main() -> None:
        async with api(tls=tmp_path) as port:
            proxy = ForwardProxy(port, user="me:pa ss")
            async with proxy.run() as address:
                to = {"proxy": f"http://me:pa%20ss@{address}", "base_url": "https://127.0.0.1:4711"}
                body = await ask({}, tls={"ca_file": str(tmp_path / "ca.pem")}, **to)
                assert body["host"] == "127.0.0.1:4711"
                with pytest.raises(TransientError, match="its certificate is not trusted"):
                    await ask({}, **to)
            assert set(proxy.asked) == {"CONNECT 127.0.0.1:4711 HTTP/1.1"}

    run_steadily(main())


def test_a_proxy_that_refuses_or_is_away_surely_sent_nothing() -> None:
    async def main() -> None:
        async with api() as port:
            proxy = ForwardProxy(port, user="me:right-password")
            async with proxy.run() as address:
                with pytest.raises(TransientError, match="was not sent: the proxy answered 407 Who Are You") as refused:
                    await ask({"HTTPS_PROXY": f"http://me:wrong-password@{address}"}, base_url="https://api.invalid")
            with held_port() as dead:
                proxies = {"HTTPS_PROXY": f"http://me:right-password@127.0.0.1:{dead}"}
                with pytest.raises(TransientError, match="was not sent: the proxy cannot be connected to") as away:
                    await ask(proxies, base_url="https://api.invalid")
            for error in (refused.value, away.value):
                assert not error.may_have_been_processed
                assert "password" not in str(error)
            encoded = base64.b64encode(b"me:wrong-password").decode()
            assert "Proxy-Authorization: Basic " in str(refused.value)
            assert encoded[-12:] not in str(refused.value)

    run_steadily(main())
