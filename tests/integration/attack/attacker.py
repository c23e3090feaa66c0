"""Sends a connector service what nobody's Flyte would send: any bytes, in the messages of the protocol."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import grpc
from flyteidl2.connector.connector_pb2 import CreateTaskRequest
from flyteidl2.core.interface_pb2 import Variable, VariableEntry
from flyteidl2.core.security_pb2 import Connection
from flyteidl2.core.tasks_pb2 import TaskTemplate
from flyteidl2.core.types_pb2 import LiteralType
from flyteidl2.task.common_pb2 import Inputs, NamedLiteral

from tests.integration.attack.values import STRING, Typed, string
from yaml_connector.flyte.service_client import ServiceClient, ServiceJob, attempt_of, phase_of

TIMEOUT = 20.0  # seconds that the attacker waits for an answer: longer than Flyte, to see what takes longer
NAME_OF_A_TASK = "hostile"


@dataclass
class Answered:
    """One call: what it is called, what was answered (in short), and how many seconds it took."""

    call: str
    answer: str
    seconds: float


class Attacker:
    """Sends calls to the service on a port; `heard` is told of each."""

    def __init__(self, port: int, heard: Callable[[Answered], None]) -> None:
        self._client = ServiceClient(f"127.0.0.1:{port}", timeout=TIMEOUT)
        self._heard = heard

    def close(self) -> None:
        self._client.close()

    def create(
        self,
        task_type: str,
        name: str = "",
        *,
        config: Any = None,
        inputs: Mapping[str, Typed] | None = None,
        outputs: Mapping[str, LiteralType] | None = None,
        secrets: Mapping[str, str] | None = None,
        run: str = "",
        prefix: str = "s3://bucket/x",
        change: Callable[[CreateTaskRequest], None] = lambda request: None,
    ) -> ServiceJob:
        """Create a job with a name. `config` is sent as it is if it is a string."""
        given = dict(inputs or {}) or ({"name": (STRING, string(name))} if name else {})
        template = TaskTemplate(type=task_type)
        template.id.name, template.id.project, template.id.domain = NAME_OF_A_TASK, "p", "d"
        if config is not None:
            template.custom["config"] = config if isinstance(config, str) else json.dumps(config)
        for declared, listed in ((template.interface.inputs, given), (template.interface.outputs, outputs or {})):
            for key, value in listed.items():
                kind = value if isinstance(value, LiteralType) else value[0]
                declared.variables.append(VariableEntry(key=key, value=Variable(type=kind)))
        task = task_of(task_type)
        request = CreateTaskRequest(
            template=template,
            inputs=Inputs(literals=[NamedLiteral(name=key, value=value) for key, (_, value) in given.items()]),
            output_prefix=prefix,
            task_execution_metadata=attempt_of(task, run or f"a{random.getrandbits(60):x}"),
            connection=Connection(secrets=secrets or {}),
        )
        change(request)
        return self._told("create", lambda: (self._client.submit(task, request), "taken"))

    def get(self, job: ServiceJob) -> str:
        """Read the job; return the phase and the beginning of the message."""

        def read() -> tuple[str, str]:
            resource = self._client.get(job)
            answer = f"{phase_of(resource)} {short(resource.message)}".rstrip()
            return answer, answer

        return self._told("get", read)

    def delete(self, job: ServiceJob) -> str:
        """Delete the job."""
        return self._told("delete", lambda: (self._client.delete(job), "done") and ("done", "done"))

    def logs(self, job: ServiceJob, token: str = "") -> str:
        """Read one page of the log; return how many lines it has."""

        def read() -> tuple[str, str]:
            lines, following = self._client.logs(job, token)
            answer = f"{len(lines)} lines{', more' * bool(following)}"
            return answer, answer

        return self._told("logs", read)

    def _told(self, call: str, make: Callable[[], tuple[Any, str]]) -> Any:
        began = time.monotonic()
        try:
            result, answer = make()
        except grpc.RpcError as error:
            answer = f"{error.code().name} {short(error.details() or '')}".rstrip()
            raise
        finally:
            self._heard(Answered(call, answer, time.monotonic() - began))
        return result


def task_of(task_type: str) -> Any:
    """What the client needs to know of a task: its type and its name."""
    return SimpleNamespace(task_type=task_type, task_type_version=0, name=NAME_OF_A_TASK)


def forged(task_type: str, kept: bytes, secrets: Mapping[str, str] | None = None) -> ServiceJob:
    """A job whose resource_meta is of the attacker's own making."""
    return ServiceJob(task_of(task_type), kept, Connection(secrets=secrets or {}), "s3://bucket/x")


def short(text: str) -> str:
    """A message without what differs from one job to the next."""
    return re.sub(r"\d{4,}[-T:\d]*Z?", "...", " ".join(text[:1000].split()))[:100]
