"""HTTP/2 and SOCKS proxies go through httpx, and keep every rule of a connection."""

from __future__ import annotations

import asyncio
import gzip
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpcore
import hypercorn.asyncio
import hypercorn.config
import pytest

from tests.support.certificates import certificate
from tests.support.loops import Turns, run_steadily
from tests.support.ports import held_port
from tests.support.sending import Sender
from yaml_connector._clock import Clock
from yaml_connector._http.httpx_transport import HttpxSockets, PacedStream
from yaml_connector._http.proxies import Proxies
from yaml_connector._http.tls import TlsSettings
from yaml_connector._spec.connection import Tls
from yaml_connector.errors import EvaluationError, TransientError

Send = Callable[[dict[str, Any]], Awaitable[None]]


async def _app(scope: dict[str, Any], receive: Callable[[], Awaitable[dict[str, Any]]], send: Send) -> None:
    """Say how it was asked; `/large` is more than 1 MiB, `/slow` never ends, `/gzip` is packed."""
    if scope["type"] != "http":
        return
    sent = b""
    while (message := await receive())["type"] == "http.request":
        sent += message["body"]
        if not message["more_body"]:
            break
    if scope["path"] == "/slow":
        await asyncio.sleep(30)
    headers = [(name, value) for name, value in scope["headers"] if name != b":authority"]
    answer = {
        "http": scope["http_version"],
        "client": scope["client"][1],
        "body": sent.decode(),
        "headers": {name.decode(): value.decode() for name, value in headers},
    }
    body = json.dumps(answer).encode() + b" " * (2**20 if scope["path"] == "/large" else 0)
    extra: list[tuple[bytes, bytes]] = []
    if scope["path"] == "/gzip":
        body, extra = gzip.compress(body), [(b"content-encoding", b"gzip")]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"set-cookie", b"a=1"), *extra]})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def server(folder: Path | None) -> AsyncIterator[int]:
    """Hypercorn on a port of its own: HTTP/2 with TLS, HTTP/1.1 without."""
    config = hypercorn.config.Config()
    config.loglevel = "CRITICAL"
    config.graceful_timeout = 0.1  # seconds: `/slow` never ends
    stop = asyncio.Event()
    with held_port() as port:
        config.bind = [f"127.0.0.1:{port}"]
        if folder is not None:
            config.certfile, config.keyfile = str(folder / "server.pem"), str(folder / "server.key")
        running = asyncio.ensure_future(hypercorn.asyncio.serve(_app, config, shutdown_trigger=stop.wait))  # type: ignore[arg-type]
        for _ in range(200):
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                break
        try:
            yield port
        finally:
            stop.set()
            await running


@asynccontextmanager
async def sender(
    url: str, *, http2: bool = True, ca: Path | None = None, proxy: str | None = None
) -> AsyncIterator[Sender]:
    tls = TlsSettings(Tls(ca_file=str(ca)), {}) if ca is not None else None
    transport = HttpxSockets(max_connections=2, http2=http2, tls=tls, proxies=Proxies(proxy, {}, {}))
    connection = {"retry": {"max_attempts": 1}, "timeout": "1s", "max_response": "512KiB"}
    try:
        yield Sender(transport, base_url=url, clock=Clock(), **connection)
    finally:
        await transport.close()


def test_http2_is_spoken_over_one_connection_and_a_host_without_tls_gets_http_1(tmp_path: Path) -> None:
    certificate(tmp_path)

    async def main() -> None:
        async with server(tmp_path) as port, sender(f"https://127.0.0.1:{port}", ca=tmp_path / "ca.pem") as sends:
            request = {"method": "POST", "path": "/gzip", "json": {"k": 1}, "headers": {"X-Own": "1"}}
            answers = await asyncio.gather(*(sends.send_now(request) for _ in range(20)))
            assert {(answer.body["http"], answer.body["body"]) for answer in answers} == {("2", '{"k":1}')}
            assert len({answer.body["client"] for answer in answers}) <= 2
            assert answers[0].body["headers"]["x-own"] == "1"
            assert answers[0].headers["Set-Cookie"] == "a=1"
        async with server(None) as port, sender(f"http://127.0.0.1:{port}") as sends:
            assert (await sends.send_now()).body["http"] == "1.1"

    run_steadily(main())


@pytest.mark.slow
def test_limits_timeouts_and_certificates_hold_as_they_do_for_http_1(tmp_path: Path) -> None:
    certificate(tmp_path)

    async def main() -> None:
        async with server(tmp_path) as port:
            url = f"https://127.0.0.1:{port}"
            async with sender(url, ca=tmp_path / "ca.pem") as sends:
                for path, what in (("/large", r"more than 512 KiB"), ("/slow", "gave no complete answer within 1 s")):
                    with pytest.raises(TransientError, match=what) as raised:
                        await sends.send_now(f"POST {path}")
                    assert raised.value.may_have_been_processed
            async with sender(url) as sends:
                with pytest.raises(TransientError, match="its certificate is not trusted") as raised:
                    await sends.send_now()
                assert not raised.value.may_have_been_processed
        with held_port() as port:
            async with sender(f"https://127.0.0.1:{port}") as sends:
                with pytest.raises(TransientError, match="cannot be connected to") as raised:
                    await sends.send_now()
                assert not raised.value.may_have_been_processed

    run_steadily(main())


@pytest.mark.parametrize("host", ["xn--a.acme.test", "xn--9999999999.acme.test", "xn--" + "a" * 59 + ".test"])
def test_a_host_that_is_no_idn_is_an_error_of_its_request(host: str) -> None:
    async def main() -> None:
        async with sender(f"https://{host}") as sends:
            await sends.send_now()

    with pytest.raises(EvaluationError, match=f"'{host}' is not a valid host name"):
        asyncio.run(main())


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """A frame of HTTP/2."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (frame(1, 5, 1, b"\x08\x03" + b"20x"), "broke off: its answer cannot be read (ValueError)"),
        (frame(7, 0, 0, bytes(8)), "broke off: "),
        (frame(5, 4, 1, b"\0\0\0\2\x88"), "broke off: "),
        (frame(8, 0, 0, b"\x7f\xff\xff\xff") * 2, "broke off: "),
        (b"", "broke off: Server disconnected"),
        (bytes(500), "broke off: "),
    ],
    ids=["a status that is no number", "goodbye", "a push", "a window that overflows", "nothing", "zeros"],
)
def test_what_is_not_an_answer_in_http2_is_a_transient_failure(tmp_path: Path, answer: bytes, told: str) -> None:
    certificate(tmp_path)

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(2**16)
        writer.write(frame(4, 0, 0, b"") + answer)
        await writer.drain()
        writer.close()

    async def main() -> str:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
        tls.set_alpn_protocols(["h2"])
        async with await asyncio.start_server(speak, "127.0.0.1", 0, ssl=tls) as listening:
            url = f"https://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
            async with sender(url, ca=tmp_path / "ca.pem") as sends:
                with pytest.raises(TransientError) as raised:
                    await sends.send_now()
                return str(raised.value)

    assert told in run_steadily(main())


def test_what_arrives_at_once_is_parsed_in_small_parts_and_others_have_turns_between() -> None:
    """A piece of 64 KiB may hold 4,000 PINGs, which h2 takes 100 ms for."""
    pings = frame(6, 0, 0, b"12345678") * 4000

    async def main() -> list[tuple[bytes, int]]:
        stream = PacedStream(httpcore.AsyncMockStream([pings]))
        parts = []
        async with Turns() as others:
            while part := await stream.read(2**16):
                parts.append((part, others.count))
        return parts

    parts = asyncio.run(main())
    assert b"".join(part for part, _ in parts) == pings
    assert max(len(part) for part, _ in parts) == 4096
    assert all(before < after for (_, before), (_, after) in pairwise(parts[:-1]))


class SocksProxy:
    """A SOCKS5 proxy with user and password, which resolves every name to this machine."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.asked: list[str] = []

    @asynccontextmanager
    async def run(self) -> AsyncIterator[str]:
        listener = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        try:
            yield f"127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        finally:
            listener.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, count = await reader.readexactly(2)
        await reader.readexactly(count)
        writer.write(b"\x05\x02")
        _, length = await reader.readexactly(2)
        user = await reader.readexactly(length)
        password = await reader.readexactly((await reader.readexactly(1))[0])
        good = (user, password) == (b"me", b"pa ss")
        writer.write(b"\x01\x00" if good else b"\x01\x01")
        if good:
            kind = (await reader.readexactly(4))[3]
            host = await reader.readexactly(4 if kind == 1 else (await reader.readexactly(1))[0])
            await reader.readexactly(2)
            self.asked.append(host.decode() if kind == 3 else ".".join(map(str, host)))
            there, back = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00")
            await asyncio.gather(_pipe(reader, back), _pipe(there, writer))
        writer.close()


async def _pipe(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        target.write(data)
    target.close()


def test_a_socks_proxy_is_asked_for_the_name_and_a_wrong_password_sends_nothing() -> None:
    async def main() -> None:
        async with server(None) as port:
            proxy = SocksProxy(port)
            async with proxy.run() as address:
                through = f"socks5h://me:pa%20ss@{address}"
                async with sender("http://api.invalid", http2=False, proxy=through) as sends:
                    assert (await sends.send_now("GET /jobs")).body["headers"]["host"] == "api.invalid"
                assert proxy.asked == ["api.invalid"]
                through = f"socks5h://me:wrong-password@{address}"
                async with sender("http://api.invalid", http2=False, proxy=through) as sends:
                    with pytest.raises(TransientError, match="was not sent: the proxy") as raised:
                        await sends.send_now()
                assert not raised.value.may_have_been_processed
                assert "wrong-password" not in str(raised.value)

    run_steadily(main())


def test_a_name_that_resolves_to_a_metadata_address_is_refused(tmp_path: Path) -> None:
    class Loop(asyncio.SelectorEventLoop):
        async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Any:
            return await super().getaddrinfo("169.254.169.254" if host == "api.test" else host, port, **options)

    async def main() -> None:
        async with sender("http://api.test") as sends:
            with pytest.raises(TransientError, match="resolves to a link-local or metadata address"):
                await sends.send_now()

    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(main())


@pytest.mark.parametrize(
    "answer", [b"\x05\x00" + b"\x05\x63\x00\x01" + bytes(6), b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x05"]
)
def test_what_is_not_socks_is_a_failure_like_any_other(answer: bytes) -> None:
    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()
        writer.close()

    async def main() -> None:
        listening = await asyncio.start_server(proxy, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        async with listening, sender("http://api.test", http2=False, proxy=f"socks5h://127.0.0.1:{port}") as sends:
            with pytest.raises(TransientError, match=r"GET http://api\.test/ (broke off|was not sent)"):
                await sends.send_now()

    run_steadily(main())
