"""A connector service that is up, with a client that is connected to it."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from bench import messages
from bench.client import CallError, Client, Load, drive
from bench.messages import WrongAnswerError
from bench.services import Service, ServiceError, Services, free_ports

FAILURES = (ServiceError, CallError, WrongAnswerError)
"""What a service that does not do its work raises."""

START_TIMEOUT = 120.0
_LOOK_EVERY = 0.02


async def until_ready(service: Service, client: Client) -> None:
    """Returns once the service accepts calls; raises `ServiceError` if it ends or takes too long."""
    ready = asyncio.ensure_future(client.ready())
    deadline = time.perf_counter() + START_TIMEOUT
    try:
        while time.perf_counter() < deadline:
            service.check_alive()
            if (await asyncio.wait([ready], timeout=_LOOK_EVERY))[0]:
                return
    finally:
        ready.cancel()
    raise ServiceError(f"not ready after {START_TIMEOUT:.0f} s: {service.last_words()}")


def until_listening(service: Service) -> None:
    """Returns once the service's port is open: sooner than gRPC notices, which waits between its tries."""
    deadline = time.perf_counter() + START_TIMEOUT
    while time.perf_counter() < deadline:
        service.check_alive()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", service.port)) == 0:
                return
        time.sleep(0.005)
    raise ServiceError(f"not listening after {START_TIMEOUT:.0f} s: {service.last_words()}")


@asynccontextmanager
async def connected(
    services: Services, name: str, module: str | None, env: Mapping[str, str] | None = None
) -> AsyncIterator[tuple[Service, Client]]:
    """Starts `c0` with a module (or none), waits until it accepts calls, and stops it at the end."""
    port, prometheus_port = free_ports(2)
    service = services.start_connector(name, module, port, prometheus_port, env)
    client = Client(port)
    try:
        await until_ready(service, client)
        yield service, client
    finally:
        await client.close()
        service.stop()


async def running_jobs(client: Client, kind: str, custom: Mapping[str, str | int], number: int) -> list[bytes]:
    """What Flyte keeps of that many jobs. One is created by a call; the others are that one with other ids, because a
    rate limit counts creates too."""
    create = messages.create_request(kind, custom, "training", 1)
    timings = await drive(client.senders["CreateTask"], iter([create]), Load(1, calls=1))
    reply = timings.replies.pop()
    meta, first = messages.resource_meta(reply), b"work-%08d" % 1
    return [meta.replace(first, b"work-%08d" % each) for each in range(1, number + 1)]


async def get_requests(client: Client, kind: str, custom: Mapping[str, str | int], number: int) -> Sequence[bytes]:
    """The polls of that many running jobs."""
    return [messages.get_request(kind, meta) for meta in await running_jobs(client, kind, custom, number)]
