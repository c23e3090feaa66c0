"""A forward proxy on a real port: plain requests and tunnels (CONNECT), each to where `origins` says."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class ForwardProxy:
    """`asked` are the first lines of the requests that came. With `user` (`name:password`), others get a 407 that
    says what they sent."""

    def __init__(self, port: int, *, user: str | None = None) -> None:
        self.port = port  # of the server that stands for every host
        self.asked: list[str] = []
        self._wanted = f"basic {base64.b64encode(user.encode()).decode()}".lower() if user else None

    @asynccontextmanager
    async def run(self) -> AsyncIterator[str]:
        """Serve, and yield the address as HOST:PORT."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        try:
            yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.asked.append(head.partition(b"\r\n")[0].decode())
            if self._wanted is not None and f"proxy-authorization: {self._wanted}" not in head.decode().lower():
                sent = next((line for line in head.decode().splitlines() if line.lower().startswith("proxy-auth")), "")
                writer.write(f"HTTP/1.1 407 Who Are You {sent}\r\nContent-Length: 0\r\n\r\n".encode())
                return
            there, back = await asyncio.open_connection("127.0.0.1", self.port)
            if head.startswith(b"CONNECT "):
                writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
            else:
                back.write(head)
            await asyncio.gather(_pipe(reader, back), _pipe(there, writer))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


async def _pipe(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        target.write(data)
        await target.drain()
    target.close()
