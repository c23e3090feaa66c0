"""What a contract test cannot see of the corner specs: times and levels of log lines, a signature (for TLS see
test_tls.py)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.support.paths import CORNERS
from yaml_connector._http.httpx_transport import HttpxTransport
from yaml_connector._jobs.client import JobClient
from yaml_connector._jobs.create import CreateValues
from yaml_connector._loading.loader import load

VALUES = CreateValues(task={"key": "k1", "attempt": 0}, secrets={"id": "AKID", "key": "s3cr3t"})


def connector(name: str, answer: Callable[[httpx.Request], httpx.Response]) -> JobClient:
    """The connector of a corner spec, with this API."""
    transport = HttpxTransport(httpx.MockTransport(answer))
    return JobClient(load(CORNERS / f"{name}.yaml")[0], environment={}, transport=transport)


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [
        (
            "log_ndjson",
            '{"text": "one", "at": 1767225600123, "level": "warn"}\n{"text": 2, "at": "2026-01-01T00:00:01Z"}\n7\n',
            [("one", 1767225600.123, "WARN"), ("2", 1767225601, None), ("7", None, None)],
        ),
        (
            "log_text",
            "ERROR 2026-01-01T00:00:01Z one\nINFO 1767225602000 two\nplain\n",
            [("one", 1767225601, "ERROR"), ("two", 1767225602, "INFO"), ("plain", None, "plain")],
        ),
    ],
)
def test_a_log_line_has_a_time_and_a_level(name: str, text: str, lines: list[Any]) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, text=text if "log" in request.url.path else '{"log": "/log"}')

    async def read() -> list[Any]:
        made = connector(name, answer)
        meta = await made.create(VALUES)
        return [line async for page in made.logs(meta, "") for line in page.lines]

    found = asyncio.run(read())
    assert [(line.message, line.timestamp, line.level) for line in found] == lines


def test_a_parameter_that_is_there_twice_is_signed_twice() -> None:
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json={"id": 7})

    asyncio.run(connector("auth_sigv4", answer).create(VALUES))
    headers = {name: sent[0].headers[name] for name in ("Content-Type", "X-Amz-Date")}
    signed = AWSRequest("POST", str(sent[0].url), data=sent[0].content, headers=headers)
    signed.context["timestamp"] = headers["X-Amz-Date"]
    signer = SigV4Auth(Credentials("AKID", "s3cr3t"), "execute-api", "eu-north-1")
    expected = signer.signature(signer.string_to_sign(signed, signer.canonical_request(signed)), signed)
    assert sent[0].url.params.get_list("tag") == ["a", "b"]
    assert sent[0].headers["Authorization"].endswith(f"Signature={expected}")
