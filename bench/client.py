"""Sends calls to a connector service over one gRPC channel, as Flyte does, and takes their times."""

import asyncio
import itertools
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field

import grpc.aio

from bench.messages import Reply

SERVICE = "/flyteidl2.connector.AsyncConnectorService"
CALL_TIMEOUT = 30.0

Send = Callable[[bytes], Awaitable[Reply]]


class CallError(Exception):
    """A call failed; the message is the service's."""


@dataclass(frozen=True)
class Load:
    """How much to send: `calls` if it is given, else for `seconds`; at least one call from each of `at_once`."""

    at_once: int
    seconds: float = math.inf
    calls: int | None = None


@dataclass
class Timings:
    """What came of a `Load`."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    """Seconds, of each call."""
    replies: set[Reply] = field(default_factory=set)
    """The answers that differ."""


class Client:
    """The calls of one connector service. To be closed."""

    def __init__(self, port: int) -> None:
        # A channel of its own per service: gRPC would share one connection pool among channels otherwise.
        options = [("grpc.use_local_subchannel_pool", 1)]
        self._channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options)
        self._get_logs = self._channel.unary_stream(f"{SERVICE}/GetTaskLogs")
        self.senders: dict[str, Send] = {
            "CreateTask": self._unary("CreateTask"),
            "GetTask": self._unary("GetTask"),
            "DeleteTask": self._unary("DeleteTask"),
            "GetTaskLogs": self._logs,
        }

    async def ready(self) -> None:
        """Returns once the service accepts calls."""
        await self._channel.channel_ready()

    async def close(self) -> None:
        """Closes the channel."""
        await self._channel.close()

    def _unary(self, method: str) -> Send:
        call = self._channel.unary_unary(f"{SERVICE}/{method}")

        async def send(request: bytes) -> Reply:
            return (await call(request, timeout=CALL_TIMEOUT),)

        return send

    def logs(self, request: bytes, timeout: float) -> AsyncIterator[bytes]:
        """The messages of one page of a log, as they come."""
        messages: AsyncIterator[bytes] = aiter(self._get_logs(request, timeout=timeout))
        return messages

    async def _logs(self, request: bytes) -> Reply:
        return tuple([message async for message in self.logs(request, CALL_TIMEOUT)])


async def drive(send: Send, requests: Iterator[bytes], load: Load) -> Timings:
    """Sends `requests` one after the other, so many at once, until the load is through and all are answered.

    Raises:
        CallError: a call failed.
    """
    timings = Timings()
    tickets = itertools.repeat(None) if load.calls is None else itertools.repeat(None, load.calls)
    start = time.perf_counter()
    deadline = start + load.seconds

    async def worker() -> None:
        for _ in tickets:
            sent = time.perf_counter()
            timings.replies.add(await send(next(requests)))
            received = time.perf_counter()
            timings.latencies.append(received - sent)
            if received >= deadline:
                return

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(load.at_once):
                group.create_task(worker())
    except ExceptionGroup as failed:
        error = failed.exceptions[0]
        raise CallError(error.details() if isinstance(error, grpc.aio.AioRpcError) else repr(error)) from error
    timings.seconds = time.perf_counter() - start
    return timings
