"""What a hostile value makes of the bytes on the wire, seen by a bare socket: one request, with its own line, its own
headers and its own body, and the credentials where they belong."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any
from urllib.parse import unquote

import pytest

from tests.integration.faults.test_injection import SECRETS, WORDS
from tests.support.loops import run_steadily
from tests.support.sending import Sender
from yaml_connector._http.transport import AiohttpTransport
from yaml_connector.errors import CallError, EvaluationError

SMUGGLED = "x\r\nContent-Length: 0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: evil.test\r\n\r\n"
PLACES: dict[str, dict[str, Any]] = {
    "path": {"path": "/jobs/${{ inputs.x }}/cancel"},
    "path filter": {"path": "/files/${{ inputs.x | path }}"},
    "query": {"path": "/jobs", "query": {"q": "${{ inputs.x }}"}},
    "query name": {"path": "/jobs", "query": "${{ {inputs.x: 'v'} }}"},
    "header": {"path": "/jobs", "headers": {"X-Job": "${{ inputs.x }}"}},
    "header name": {"path": "/jobs", "headers": "${{ {inputs.x: 'v'} }}"},
    "json": {"method": "POST", "path": "/jobs", "json": {"a": "${{ inputs.x }}"}},
    "form": {"method": "POST", "path": "/jobs", "form": {"a": "${{ inputs.x }}"}},
    "text": {"method": "POST", "path": "/jobs", "text": "${{ inputs.x }}"},
    "content type": {"method": "POST", "path": "/jobs", "headers": {"Content-Type": "${{ inputs.x }}"}, "text": "t"},
    "multipart": {"method": "POST", "path": "/jobs", "multipart": {"a": "${{ inputs.x }}"}},
    "file name": {
        "method": "POST",
        "path": "/jobs",
        "multipart": {"a": {"filename": "${{ inputs.x }}", "content": "c", "content_type": "text/plain"}},
    },
    "method": {"method": "${{ inputs.x }}", "path": "/jobs"},
}
USUAL = {"host", "authorization", "accept", "accept-encoding", "user-agent", "content-length", "content-type"}


class BareServer:
    """Answers every connection once, and keeps every byte that came."""

    def __init__(self) -> None:
        self.arrived: list[bytes] = []
        self.port = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = b""
        with suppress(TimeoutError):
            while piece := await asyncio.wait_for(reader.read(2**16), 0.05):
                data += piece
        self.arrived.append(data)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        writer.close()


async def send_all(place: str) -> dict[str, list[bytes]]:
    """What arrives for each word in this place."""
    found: dict[str, list[bytes]] = {}
    for word in (*WORDS, SMUGGLED):
        server = BareServer()
        await server.start()
        transport = AiohttpTransport(max_connections=2)
        sender = Sender(
            transport,
            secrets=SECRETS,
            base_url=f"http://127.0.0.1:{server.port}/v1",
            auth={"type": "bearer", "token": "${{ secrets.key }}"},
        )
        sender.session = lambda word=word, make=sender.session, **given: with_inputs(make(**given), word)  # type: ignore[method-assign,misc]
        with suppress(EvaluationError, CallError):
            await sender.send_now(PLACES[place])
        await transport.close()
        await server.stop()
        found[word] = server.arrived
    return found


def with_inputs(session: Any, word: str) -> Any:
    session.scope = session.scope.with_names(inputs={"x": word})
    return session


@pytest.mark.parametrize("place", PLACES)
def test_a_request_is_one_request_with_its_own_headers(place: str) -> None:
    for word, arrived in run_steadily(send_all(place)).items():
        assert len(arrived) <= 1, word
        for data in arrived:
            head, _, body = data.partition(b"\r\n\r\n")
            line, *headers = head.split(b"\r\n")
            method, target, version = line.split(b" ")
            assert version == b"HTTP/1.1", word
            assert method.isalpha(), word
            names = [header.partition(b":")[0].decode().lower() for header in headers]
            allowed = USUAL | ({"x-job"} if place == "header" else set())
            if place == "header name":
                allowed |= {word.lower()}
            assert set(names) <= allowed, (word, names)
            assert len(names) == len(set(names)), (word, names)
            assert b"\r" not in head.replace(b"\r\n", b""), word
            assert b"\n" not in head.replace(b"\r\n", b""), word
            sent = dict(zip(names, (header.partition(b": ")[2] for header in headers), strict=True))
            assert sent["host"].startswith(b"127.0.0.1:"), word
            assert sent["authorization"] == b"Bearer " + SECRETS["key"].encode(), word
            assert len(body) == int(sent.get("content-length", b"0")), word
            path, _, query = target.decode().partition("?")
            assert path.startswith("/v1/"), word
            assert not {".", ".."} & set(path.split("/")), word
            if place == "path":
                assert unquote(path) == f"/v1/jobs/{word}/cancel"
                assert path.count("/") == 4
            elif place != "path filter":
                assert path == "/v1/jobs", word
            assert (query == "") == (not place.startswith("query")), word
            assert SECRETS["key"].encode() not in data.replace(sent["authorization"], b"", 1), word
