"""One connector, as Flyte drives it, in front of one fault server: real sockets, short times."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

from tests.integration.faults.fault_server import FAULTS, FaultServer
from tests.support.fake_api import loaded
from tests.support.loops import now
from yaml_connector._http.transport import AiohttpTransport
from yaml_connector._jobs.client import JobClient
from yaml_connector._jobs.create import CreateValues
from yaml_connector._jobs.meta import JobMeta
from yaml_connector._jobs.status import Status
from yaml_connector._loading.loader import LoadedSpec

DEADLINE = 4.0
SECRET = "planted-login-secret-91"
CONNECTION: dict[str, Any] = {
    "base_url": "${{ env.BASE }}",
    "auth": {
        "type": "token",
        "request": {"method": "POST", "path": "/token", "json": {"secret": "${{ secrets.key }}"}},
        "token": "$.token",
        "expires_in": "$.expires",
    },
    "timeout": "1500ms",
    "deadline": f"{DEADLINE:g}s",
    "retry": {"initial_delay": "20ms", "max_delay": "40ms"},
    "max_response": "1MiB",
    "follow_redirects": True,
}
POST_JOB: dict[str, Any] = {"method": "POST", "path": "/jobs", "json": {"key": "${{ task.key }}"}}
WITH_KEY = {**POST_JOB, "headers": {"Idempotency-Key": "${{ task.key }}"}}
CREATES: dict[str, dict[str, Any]] = {
    "idempotent": {"request": WITH_KEY, "idempotent": True, "job_id": "$.id"},
    "adopt": {
        "request": POST_JOB,
        "job_id": "$.id",
        "adopt": {"request": {"path": "/find", "query": {"key": "${{ task.key }}"}}, "job_id": "$.found"},
    },
    "neither": {"request": POST_JOB, "job_id": "$.id"},
    "steps": {
        "steps": [
            {"name": "upload", "request": "POST /uploads", "save": {"file": "$.file"}},
            {"name": "submit", "request": WITH_KEY},
        ],
        "idempotent": True,
        "job_id": "$.id",
    },
}
GET: dict[str, Any] = {
    "request": "GET /jobs/${{ job.id }}",
    "phase": {"path": "$.state", "map": {"RUNNING": ["running"], "SUCCEEDED": ["done"], "ABORTED": ["cancelled"]}},
}
BATCH = {"request": {"path": "/jobs", "query": {"ids": "${{ jobs | map(attribute='id') | join(',') }}"}}}
PAGES = {
    "request": {"path": "/jobs/${{ job.id }}/pages", "query": {"cursor": "${{ page.token }}"}},
    "lines": "$.lines[*]",
    "next": "$.next",
}


@lru_cache
def spec(create: str = "idempotent", batch: bool = False, logs: str = "pages", tolerance: str = "10m") -> LoadedSpec:
    """A whole spec with the parts named."""
    get = {**GET, "poll": {"tolerance": tolerance}}
    if create == "adopt":  # what may have arrived is committed at once, or not at all
        get["poll"]["not_found_grace"] = "0s"
    if batch:
        get["batch"] = {**BATCH, "items": "$.jobs[*]", "id": "$.id", "window": "10ms"}
    document = {"request": "GET /jobs/${{ job.id }}/document", "format": "text", "max_time": "3200ms"}
    return loaded(
        {
            "spec_version": 1,
            "task_type_name": "faulty",
            "connection": CONNECTION,
            "secrets": {"key": {"env": "KEY"}},
            "outputs": {"uri": "$.uri"},
            "create": CREATES[create],
            "get": get,
            "result": {"request": "GET /jobs/${{ job.id }}/result"},
            "delete": {"request": "POST /jobs/${{ job.id }}/cancel"},
            "logs": PAGES if logs == "pages" else document,
        }
    )


class TestResolver(AbstractResolver):
    """`api.test` and `other.test` are this machine, unless DNS fails."""

    __test__ = False

    def __init__(self) -> None:
        self.failures: float = 0
        self.addresses = {"api.test": "127.0.0.1", "other.test": "127.0.0.1"}

    async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_INET) -> list[ResolveResult]:
        if self.failures > 0 or host not in self.addresses:
            self.failures -= 1
            raise OSError(None, "the name is not known")
        where = self.addresses[host]
        found = ResolveResult(hostname=host, host=where, port=port, family=socket.AF_INET, proto=0, flags=0)
        return [found]

    async def close(self) -> None:
        pass


class Rig:
    """Calls as Flyte's; `longest` is how long the longest of them took, by the loop's clock (see SteadyLoop)."""

    def __init__(self, server: FaultServer, loaded_spec: LoadedSpec) -> None:
        self.server = server
        self.spec = loaded_spec
        self.longest = 0.0
        self.kept = b""
        self.used: list[JobClient] = []
        self.restart()

    def restart(self) -> None:
        """A new connector service, with an empty memory and no connection."""
        self.resolver = TestResolver()
        transport = AiohttpTransport(max_connections=10, resolver=self.resolver)
        environment = {"BASE": f"http://api.test:{self.server.port}", "KEY": SECRET}
        self.connector = JobClient(self.spec, environment=environment, transport=transport)
        self.used.append(self.connector)

    async def timed(self, call: Any) -> Any:
        began = now()
        try:
            return await call
        finally:
            self.longest = max(self.longest, now() - began)

    async def create(self) -> JobMeta:
        meta: JobMeta = await self.timed(
            self.connector.create(CreateValues(task={"key": "k1"}, outputs={"uri": "str"}))
        )
        self.kept = meta.encode()
        return meta

    async def get(self) -> Status:
        status: Status = await self.timed(self.connector.get(JobMeta.decode(self.kept)))
        return status

    async def until_submitted(self, patience: float = 6.0) -> JobMeta | None:
        """Get until the job is submitted, which create has not done; returns it."""
        meta = self.connector.decode(self.kept)
        deadline = now() + patience
        while self.connector.cache.get(meta).submitted is None and now() < deadline:
            await self.get()
            await asyncio.sleep(0.05)
        return self.connector.cache.get(meta).submitted

    async def until_end(self, patience: float = 6.0) -> Status:
        deadline = now() + patience
        while True:
            status = await self.get()
            if status.is_terminal or now() > deadline:
                return status
            await asyncio.sleep(0.1)

    async def delete(self) -> None:
        await self.timed(self.connector.delete(JobMeta.decode(self.kept)))

    async def logs(self, token: str) -> tuple[list[str], str | None]:
        async def read() -> tuple[list[str], str | None]:
            lines: list[str] = []
            following = None
            async for page in self.connector.logs(JobMeta.decode(self.kept), token):
                lines += [line.message for line in page.lines]
                following = page.token
            return lines, following

        result: tuple[list[str], str | None] = await self.timed(read())
        return result

    async def fail(self, name: str, method: str, path: str, *, times: int | None = None) -> None:
        """Requests of this method whose path ends so fail from here on."""
        if name == "dns_fails":
            self.restart()
            self.resolver.failures = float("inf") if times is None else times
        await self.server.fail(FAULTS[name], lambda m, p: m == method and p.endswith(path), times)

    async def heal(self) -> None:
        self.resolver.failures = 0
        await self.server.heal()


@asynccontextmanager
async def rig(loaded_spec: LoadedSpec) -> AsyncIterator[tuple[Rig, FaultServer]]:
    """A rig, and another server to which nothing may go."""
    server, other = FaultServer(), FaultServer()
    await server.start()
    await other.start()
    server.other_port = other.port
    made = Rig(server, loaded_spec)
    try:
        yield made, other
    finally:
        for connector in made.used:
            await connector.close()
        await server.heal()
        await server.stop()
        await other.stop()
