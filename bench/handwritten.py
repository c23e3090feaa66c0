"""Connectors for the bench's job service as one writes them by hand, for ``c0 --modules bench.handwritten``.

All read the same JSON, map the state, build the `Resource` and turn log lines into Flyte's:

    JobConnector
    ├── Floor              no HTTP at all: what Flyte, gRPC and the mapping alone cost
    └── SharedAiohttp      one aiohttp session: the reference
        └── TextLog        a log that is one big text, read piece by piece and handed on in pages
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
PAGE = 1000
"""Lines of a page of a text log."""

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
    """The work of every connector here; a subclass supplies the client of a call and sends."""

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


class SharedAiohttp(JobConnector[aiohttp.ClientSession]):
    """One session for the life of the process."""

    name = "Bench: shared aiohttp session"
    task_type_name = "bench_aiohttp"
    _client: aiohttp.ClientSession | None = None

    def client(self) -> AbstractAsyncContextManager[aiohttp.ClientSession]:
        """The shared session, which is made in the first call because it needs the running event loop."""
        if self._client is None:
            timeout = aiohttp.ClientTimeout(total=TIMEOUT)
            self._client = aiohttp.ClientSession(BASE_URL, headers=HEADERS, timeout=timeout)
        return nullcontext(self._client)

    async def send(self, client: aiohttp.ClientSession, method: str, path: str, **options: Any) -> Json:
        async with client.request(method, path, **options) as response:
            response.raise_for_status()
            answer: Json = await response.json()
            return answer


class TextLog(SharedAiohttp):
    """Its status is JSON, its log plain text."""

    name = "Bench: shared aiohttp session, text log"
    task_type_name = "bench_text_log"

    async def get_logs(self, resource_meta: JobMeta, **kwargs: Any) -> AsyncIterator[GetTaskLogsResponse]:
        """The whole log, in pages."""
        lines: list[LogLine] = []
        rest = b""
        async with (
            self.client() as client,
            client.get(f"/jobs/{resource_meta.job_id}/logs", timeout=None) as response,
        ):
            response.raise_for_status()
            async for chunk in response.content.iter_any():
                *complete, rest = (rest + chunk).split(b"\n")
                for line in complete:
                    lines.append(LogLine(message=line.decode("utf-8", "replace"), originator=LogLineOriginator.USER))
                    if len(lines) == PAGE:
                        yield GetTaskLogsResponse(body=GetTaskLogsResponseBody(lines=lines))
                        lines = []
        if rest:
            lines.append(LogLine(message=rest.decode("utf-8", "replace"), originator=LogLineOriginator.USER))
        if lines:
            yield GetTaskLogsResponse(body=GetTaskLogsResponseBody(lines=lines))


for connector in (Floor(), SharedAiohttp(), TextLog()):
    ConnectorRegistry.register(connector)
