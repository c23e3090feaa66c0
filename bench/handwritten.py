"""Connectors for the bench's job service as one writes them by hand, for ``c0 --modules bench.handwritten``.

They differ in nothing but how they send a request. All read the same JSON, map the state, build the `Resource` and turn
log lines into Flyte's, once, here:

    JobConnector
    ├── Floor            no HTTP at all: what Flyte, gRPC and the mapping alone cost
    ├── SharedAiohttp    one aiohttp session: the one that the others are compared with
    ├── AiohttpPerCall   an aiohttp session per call, as Flyte's own Databricks connector does it
    ├── SharedHttpx      one httpx client
    └── HttpxPerCall     an httpx client per call
"""

import json
import os
from abc import abstractmethod
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

import aiohttp
import httpx
from flyte.connectors import AsyncConnector, ConnectorRegistry, Resource, ResourceMeta
from flyteidl2.connector.connector_pb2 import (
    GetTaskLogsResponse,
    GetTaskLogsResponseBody,
    GetTaskLogsResponseHeader,
    TaskExecutionMetadata,
)
from flyteidl2.core.execution_pb2 import TaskExecution
from flyteidl2.core.tasks_pb2 import TaskTemplate
from flyteidl2.logs.dataplane.payload_pb2 import LogLine, LogLineOriginator
from google.protobuf.json_format import MessageToDict
from google.protobuf.timestamp_pb2 import Timestamp

from bench import backend

BASE_URL = os.environ.get("BENCH_URL", "")
HEADERS = {"Authorization": f"Bearer {os.environ.get('BENCH_API_KEY', '')}"}
TIMEOUT = 5.0

PHASES = {
    "queued": TaskExecution.QUEUED,
    "running": TaskExecution.RUNNING,
    "done": TaskExecution.SUCCEEDED,
    "error": TaskExecution.FAILED,
    "cancelled": TaskExecution.ABORTED,
}

Client = TypeVar("Client")
Json = dict[str, Any]


@dataclass
class JobMeta(ResourceMeta):
    """What Flyte keeps of a job."""

    job_id: str


class JobConnector(AsyncConnector[JobMeta], Generic[Client]):
    """The work of every connector here; a subclass says where a call's client comes from and how it sends."""

    metadata_type = JobMeta

    @abstractmethod
    def client(self) -> AbstractAsyncContextManager[Client]:
        """The client for one connector call, which may make several requests."""

    @abstractmethod
    async def send(self, client: Client, method: str, path: str, **options: Any) -> Json:
        """Sends a request (`options`: `json`, `headers`, `params`) and returns the JSON of a good answer."""

    async def create(
        self,
        task_template: TaskTemplate,
        output_prefix: str,
        inputs: dict[str, Any] | None = None,
        task_execution_metadata: TaskExecutionMetadata | None = None,
        **kwargs: Any,
    ) -> JobMeta:
        """Submits the job."""
        assert inputs is not None
        assert task_execution_metadata is not None
        config = MessageToDict(task_template.custom)
        attempt = task_execution_metadata.task_execution_id
        node = attempt.node_execution_id
        run = node.execution_id
        key = f"{run.project}-{run.domain}-{run.name}-{node.node_id}-{attempt.retry_attempt}"
        async with self.client() as client:
            answer = await self.send(
                client,
                "POST",
                "/jobs",
                json={"name": inputs["name"], "timeout": int(config.get("timeout_seconds", 300))},
                headers={"Idempotency-Key": key},
            )
        return JobMeta(job_id=str(answer["id"]))

    async def get(self, resource_meta: JobMeta, **kwargs: Any) -> Resource:
        """Asks for the state, and for the result once the job is done."""
        path = f"/jobs/{resource_meta.job_id}"
        async with self.client() as client:
            answer = await self.send(client, "GET", path)
            phase = PHASES[answer["state"]]
            outputs = None
            if phase == TaskExecution.SUCCEEDED:
                result = await self.send(client, "GET", f"{path}/result")
                outputs = {"result": str(result["result"])}
        return Resource(phase=phase, message=answer.get("detail"), outputs=outputs)

    async def delete(self, resource_meta: JobMeta, **kwargs: Any) -> None:
        """Cancels the job."""
        async with self.client() as client:
            await self.send(client, "POST", f"/jobs/{resource_meta.job_id}/cancel")

    async def get_logs(self, resource_meta: JobMeta, **kwargs: Any) -> AsyncIterator[GetTaskLogsResponse]:
        """One page of the log, and the token of the next."""
        token = kwargs.get("token")
        params = {"cursor": token} if token else {}
        async with self.client() as client:
            answer = await self.send(client, "GET", f"/jobs/{resource_meta.job_id}/logs", params=params)
        lines = [_log_line(line) for line in answer["lines"]]
        yield GetTaskLogsResponse(body=GetTaskLogsResponseBody(lines=lines))
        if following := answer.get("next"):
            yield GetTaskLogsResponse(header=GetTaskLogsResponseHeader(token=following))


def _log_line(line: Json) -> LogLine:
    timestamp = Timestamp()
    timestamp.FromDatetime(datetime.fromisoformat(line["time"]))
    return LogLine(message=line["text"], timestamp=timestamp, originator=LogLineOriginator.USER)


class Floor(JobConnector[None]):
    """No HTTP: the answers are there already."""

    name = "Bench: no HTTP"
    task_type_name = "bench_floor"

    def __init__(self) -> None:
        self._created: Json = json.loads(backend.CREATE_ANSWER % b"work-0")
        self._created_done: Json = json.loads(backend.CREATE_ANSWER % b"done-0")
        self._running: Json = json.loads(backend.STATUS_ANSWER % (b"work-0", b"running"))
        self._done: Json = json.loads(backend.STATUS_ANSWER % (b"done-0", b"done"))
        self._result: Json = json.loads(backend.RESULT_ANSWER)
        self._logs: Json = json.loads(backend.LOGS_ANSWER)

    def client(self) -> AbstractAsyncContextManager[None]:
        """None is needed."""
        return nullcontext()

    async def send(self, client: None, method: str, path: str, **options: Any) -> Json:
        """The answer that the backend would give."""
        if path == "/jobs":
            return self._created_done if options["json"]["name"].startswith("done") else self._created
        if path.endswith("/logs"):
            return self._logs
        if path.endswith("/result"):
            return self._result
        return self._done if path.startswith("/jobs/done") else self._running


class _Aiohttp(JobConnector[aiohttp.ClientSession]):
    async def send(self, client: aiohttp.ClientSession, method: str, path: str, **options: Any) -> Json:
        async with client.request(method, path, **options) as response:
            response.raise_for_status()
            answer: Json = await response.json()
            return answer

    @staticmethod
    def _new_client() -> aiohttp.ClientSession:
        return aiohttp.ClientSession(BASE_URL, headers=HEADERS, timeout=aiohttp.ClientTimeout(total=TIMEOUT))


class SharedAiohttp(_Aiohttp):
    """One session for the life of the process."""

    name = "Bench: shared aiohttp session"
    task_type_name = "bench_aiohttp"
    _client: aiohttp.ClientSession | None = None

    def client(self) -> AbstractAsyncContextManager[aiohttp.ClientSession]:
        """The shared session, which is made in the first call because it needs the running event loop."""
        if self._client is None:
            self._client = self._new_client()
        return nullcontext(self._client)


class AiohttpPerCall(_Aiohttp):
    """A session, and so a TCP connection, per connector call."""

    name = "Bench: aiohttp session per call"
    task_type_name = "bench_aiohttp_per_call"

    def client(self) -> AbstractAsyncContextManager[aiohttp.ClientSession]:
        """A new session."""
        return self._new_client()


class _Httpx(JobConnector[httpx.AsyncClient]):
    async def send(self, client: httpx.AsyncClient, method: str, path: str, **options: Any) -> Json:
        response = await client.request(method, path, **options)
        response.raise_for_status()
        answer: Json = response.json()
        return answer

    @staticmethod
    def _new_client() -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=BASE_URL, headers=HEADERS, timeout=TIMEOUT)


class SharedHttpx(_Httpx):
    """One client, with httpx's default limits, for the life of the process."""

    name = "Bench: shared httpx client"
    task_type_name = "bench_httpx"
    _client: httpx.AsyncClient | None = None

    def client(self) -> AbstractAsyncContextManager[httpx.AsyncClient]:
        """The shared client."""
        if self._client is None:
            self._client = self._new_client()
        return nullcontext(self._client)


class HttpxPerCall(_Httpx):
    """A client, and so a TLS context with the whole CA list, per connector call."""

    name = "Bench: httpx client per call"
    task_type_name = "bench_httpx_per_call"

    def client(self) -> AbstractAsyncContextManager[httpx.AsyncClient]:
        """A new client."""
        return self._new_client()


for connector in (Floor(), SharedAiohttp(), AiohttpPerCall(), SharedHttpx(), HttpxPerCall()):
    ConnectorRegistry.register(connector)
