"""An API that answers from a script, a clock that is moved by hand, and a driver that calls as Flyte does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

import httpx

from yaml_connector._clock import Clock, use_clock
from yaml_connector._http.events import Events
from yaml_connector._http.httpx_transport import HttpxTransport
from yaml_connector._jobs.client import JobClient
from yaml_connector._jobs.create import CreateValues
from yaml_connector._jobs.log_lines import LogLine
from yaml_connector._jobs.meta import JobMeta
from yaml_connector._jobs.signing import Signer
from yaml_connector._jobs.status import Status
from yaml_connector._loading.loader import LoadedSpec, load_text
from yaml_connector.testing.clock import FakeClock

T = TypeVar("T")

BASE = "https://api.test"
SIGNER = Signer((b"k" * 32,))

REFUSED = httpx.ConnectError("connection refused")
SILENT = httpx.ReadTimeout("no answer")
BROKEN = httpx.ReadError("connection reset")


def reply(status: int = 200, **response: Any) -> Callable[[httpx.Request], httpx.Response]:
    """An answer that can be given any number of times; `response` is what httpx.Response takes."""
    return lambda request: httpx.Response(status, **response)


class FakeApi:
    """Answers by `METHOD path` (or `METHOD URL` for other hosts): a status, a JSON body, an exception, `reply(...)`, a
    function of the request, or a list of these, of which the last one is repeated. What was sent is kept."""

    def __init__(self, routes: Mapping[str, Any] | None = None) -> None:
        self.routes = {
            key: list(value) if isinstance(value, list) else [value] for key, value in (routes or {}).items()
        }
        self.sent: list[httpx.Request] = []
        self.transport = HttpxTransport(httpx.MockTransport(self._answer))

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request)
        where = str(request.url).partition("?")[0]
        path = request.url.raw_path.decode().partition("?")[0]
        key = next(
            (key for key in (f"{request.method} {path}", f"{request.method} {where}") if key in self.routes), None
        )
        if key is None:
            return httpx.Response(418, json={"message": f"the script has no {request.method} {where}"})
        script = self.routes[key]
        answer = script.pop(0) if len(script) > 1 else script[0]
        while callable(answer):
            answer = answer(request)
            if asyncio.iscoroutine(answer):
                answer = await answer
        if isinstance(answer, BaseException):
            raise answer
        if isinstance(answer, httpx.Response):
            return answer
        return httpx.Response(answer) if isinstance(answer, int) else httpx.Response(200, json=answer)

    @property
    def calls(self) -> list[str]:
        """What was sent, as `METHOD path?query`; the host too if it is not the usual one."""
        return [
            f"{request.method} {str(request.url).removeprefix(BASE) if request.url.host == 'api.test' else request.url}"
            for request in self.sent
        ]

    def body(self, number: int = -1) -> Any:
        """The JSON body of a request that was sent."""
        return json.loads(self.sent[number].content)


def spec_data(**sections: Any) -> dict[str, Any]:
    """A whole simple spec; the sections given replace its own, None leaves one out."""
    data: dict[str, Any] = {
        "spec_version": 1,
        "task_type_name": "batch_job",
        "connection": {"base_url": BASE},
        "create": {"request": {"method": "POST", "path": "/jobs"}, "idempotent": True, "job_id": "$.id"},
        "get": {
            "request": "GET /jobs/${{ job.id }}",
            "phase": {
                "path": "$.state",
                "map": {"QUEUED": ["queued"], "RUNNING": ["running"], "SUCCEEDED": ["done"], "FAILED": ["error"]},
            },
            "message": "$.detail",
        },
        **sections,
    }
    return {name: section for name, section in data.items() if section is not None}


def loaded(data: Mapping[str, Any]) -> LoadedSpec:
    """A spec, which must be good, from its data: JSON is YAML."""
    spec, problems = load_text(json.dumps(data).encode(), "spec.yaml")
    assert spec is not None, "\n".join(map(str, problems))
    return spec


def run(coroutine: Coroutine[Any, Any, T], clock: Clock | None = None) -> T:
    """Run to the end, by a clock of one's own."""

    async def main() -> T:
        if clock is not None:
            use_clock(clock)
        return await coroutine

    return asyncio.run(main())


class Driver:
    """One connector and one job, called as Flyte does: create, get, logs, delete. Keeps the job's bytes in between."""

    def __init__(
        self,
        api: FakeApi,
        *,
        environment: Mapping[str, str] | None = None,
        signer: Signer = SIGNER,
        **sections: Any,
    ) -> None:
        self.api = api
        self.signer = signer
        self.clock = FakeClock()
        self.environment = dict(environment or {})
        self.use(spec_data(**sections))
        self.kept = b""

    def use(self, data: Mapping[str, Any], *, events: Events | None = None) -> None:
        """From here on this spec is the one that is installed."""
        self.data = data
        self.connector = JobClient(
            loaded(data),
            environment=self.environment,
            transport=self.api.transport,
            events=events,
            signer=self.signer,
        )

    def create(self, **values: Any) -> JobMeta:
        values.setdefault("task", {"key": "task-key-1"})
        meta = run(self.connector.create(CreateValues(**values)), self.clock)
        self.kept = self.connector.encode(meta)
        return meta

    def get(self, *, after: float = 0, secrets: Mapping[str, str] | None = None) -> Status:
        self.clock.now += after
        return run(self.connector.get(self.connector.decode(self.kept), secrets), self.clock)

    def delete(self, secrets: Mapping[str, str] | None = None) -> None:
        run(self.connector.delete(self.connector.decode(self.kept), secrets), self.clock)

    def log_lines(self, token: str = "", *, read_on: bool = False) -> tuple[list[LogLine], str | None]:
        """The lines of one log call, and the next token."""

        async def read() -> tuple[list[LogLine], str | None]:
            lines: list[LogLine] = []
            following = None
            async for page in self.connector.logs(self.connector.decode(self.kept), token, read_on=read_on):
                lines += page.lines
                following = page.token
            return lines, following

        return run(read(), self.clock)

    def logs(self, token: str = "", *, read_on: bool = False) -> tuple[list[str], str | None]:
        """The texts of one log call, and the next token."""
        lines, following = self.log_lines(token, read_on=read_on)
        return [line.message for line in lines], following

    def end(self) -> None:
        """Let the job be done, and this process know it."""
        self.api.routes["GET /jobs/7"] = [{"state": "done"}]
        assert self.get().is_terminal
        self.api.sent.clear()

    def restart(self) -> None:
        """Forget what only this process knew."""
        self.connector.cache.clear()


def job(api: FakeApi | Mapping[str, Any], **sections: Any) -> Driver:
    """A driver of one job whose create has gone through already, as job 7."""
    api = api if isinstance(api, FakeApi) else FakeApi(api)
    api.routes.setdefault("POST /jobs", [{"id": 7}])
    driver = Driver(api, **sections)
    driver.create()
    api.sent.clear()
    return driver
