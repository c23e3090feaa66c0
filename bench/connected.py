"""A connector service that is up, with a client that is connected to it."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from bench.client import CallError, Client
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
