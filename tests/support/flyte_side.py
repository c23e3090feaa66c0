"""Flyte's side of a connector service, over gRPC: what it sends is made by its own code, secrets come from a store."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc
from flyte._internal.runtime.convert import convert_from_native_to_inputs
from flyte._internal.runtime.task_serde import get_proto_task
from flyte.models import SerializationContext
from flyteidl2.connector.connector_pb2 import (
    CreateTaskRequest,
    DeleteTaskRequest,
    GetTaskLogsRequest,
    GetTaskRequest,
    ListConnectorsRequest,
    Resource,
    TaskCategory,
    TaskExecutionMetadata,
)
from flyteidl2.connector.service_pb2_grpc import AsyncConnectorServiceStub, ConnectorMetadataServiceStub
from flyteidl2.core.execution_pb2 import TaskExecution
from flyteidl2.core.identifier_pb2 import (
    Identifier,
    NodeExecutionIdentifier,
    TaskExecutionIdentifier,
    WorkflowExecutionIdentifier,
)
from flyteidl2.core.security_pb2 import Connection
from flyteidl2.core.tasks_pb2 import TaskTemplate
from google.protobuf.json_format import MessageToDict, ParseDict

from yaml_connector.flyte.task import YamlConnectorTask

PROJECT, DOMAIN, ORG = "flytesnacks", "development", "acme"
CONTEXT = SerializationContext(project=PROJECT, domain=DOMAIN, org=ORG, version="v7")
ENDS = {"SUCCEEDED", "FAILED", "RETRYABLE_FAILED", "ABORTED"}


def template_of(task: Any) -> TaskTemplate:
    """A task as Flyte registers it, once through the wire's bytes."""
    return TaskTemplate.FromString(get_proto_task(task, CONTEXT).SerializeToString())


def metadata_of(task: Any, run: str, action: str = "a0", attempt: int = 0) -> TaskExecutionMetadata:
    """The identity of one attempt, as Flyte fills it."""
    identity = TaskExecutionIdentifier(
        task_id=Identifier(project=PROJECT, domain=DOMAIN, org=ORG, name=task.name, version="v7"),
        retry_attempt=attempt,
        node_execution_id=NodeExecutionIdentifier(
            node_id=action,
            execution_id=WorkflowExecutionIdentifier(project=PROJECT, domain=DOMAIN, org=ORG, name=run),
        ),
    )
    return TaskExecutionMetadata(
        task_execution_id=identity,
        namespace=f"{PROJECT}-{DOMAIN}",
        labels={"run": run, "action": action, "attempt": str(attempt + 1), "task-name": task.name},
        annotations={"team": "data"},
        k8s_service_account="default",
        max_attempts=3,
    )


def state(resource: Resource) -> str:
    """The phase's name."""
    return str(TaskExecution.Phase.Name(resource.phase))


@dataclass
class Job:
    """One job: what Flyte keeps of it between its calls."""

    task: YamlConnectorTask
    kept: bytes
    connection: Connection
    run: str = ""


@dataclass
class FlyteSide:
    """A channel to one connector service, and a secret store (a secret's name to its value)."""

    port: int
    store: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # A pool of its own: gRPC would keep using a connection to a service that is gone.
        self.channel = grpc.insecure_channel(f"127.0.0.1:{self.port}", [("grpc.use_local_subchannel_pool", 1)])
        grpc.channel_ready_future(self.channel).result(timeout=30)
        self._connector = AsyncConnectorServiceStub(self.channel)
        self._metadata = ConnectorMetadataServiceStub(self.channel)

    def __enter__(self) -> FlyteSide:
        return self

    def __exit__(self, *_: object) -> None:
        self.channel.close()

    def connectors(self) -> dict[str, list[tuple[str, int]]]:
        """Each connector's name, with its task types and versions."""
        listed = self._metadata.ListConnectors(ListConnectorsRequest(), timeout=10).connectors
        return {item.name: [(one.name, one.version) for one in item.supported_task_categories] for item in listed}

    def connection(self, template: TaskTemplate) -> Connection:
        """`custom` read as Flyte's backend reads it, with the secrets' values instead of their names."""
        named = ParseDict(MessageToDict(template.custom), Connection(), ignore_unknown_fields=True)
        return Connection(secrets={name: self.store[key] for name, key in named.secrets.items()})

    def create(self, task: Any, run: str, /, action: str = "a0", attempt: int = 0, **inputs: Any) -> Job:
        """CreateTask for one attempt of an action of a run."""
        template = template_of(task)
        connection = self.connection(template)
        request = CreateTaskRequest(
            template=template,
            inputs=asyncio.run(convert_from_native_to_inputs(task.native_interface, **inputs)).proto_inputs,
            output_prefix=f"s3://bucket/{PROJECT}/{DOMAIN}/{run}/{action}",
            task_execution_metadata=metadata_of(task, run, action, attempt),
            connection=connection,
        )
        answer = self._connector.CreateTask(request, timeout=15)
        return Job(task, bytes(answer.resource_meta), connection, run)

    def get(self, job: Job) -> Resource:
        """GetTask: Flyte sends what it kept, and no template."""
        request = GetTaskRequest(
            resource_meta=job.kept,
            task_category=_category(job.task),
            output_prefix=f"s3://bucket/{PROJECT}/{DOMAIN}/{job.run}/a0",
            connection=job.connection,
        )
        return self._connector.GetTask(request, timeout=15).resource

    def delete(self, job: Job) -> None:
        """DeleteTask."""
        request = DeleteTaskRequest(
            resource_meta=job.kept, task_category=_category(job.task), connection=job.connection
        )
        self._connector.DeleteTask(request, timeout=15)

    def logs(self, job: Job, token: str = "") -> tuple[list[Any], str]:
        """One log call: its lines, and the next call's token ("": there is no more for now). It carries no secrets."""
        lines: list[Any] = []
        following = ""
        request = GetTaskLogsRequest(resource_meta=job.kept, task_category=_category(job.task), token=token)
        for message in self._connector.GetTaskLogs(request, timeout=15):
            lines += message.body.lines
            if message.HasField("header"):
                following = message.header.token
        return lines, following

    def until(self, job: Job, *phases: str, patience: float = 20) -> Resource:
        """Ask again and again until the job is in one of these phases (none named: at its end)."""
        deadline = time.monotonic() + patience
        while True:
            resource = self.get(job)
            if state(resource) in (phases or ENDS):
                return resource
            assert state(resource) not in ENDS, f"{state(resource)}: {resource.message}"
            assert time.monotonic() < deadline, f"{state(resource)}: {resource.message}"
            time.sleep(0.05)

    def run(self, task: Any, run: str, /, **inputs: Any) -> Resource:
        """A job from its create to its end."""
        return self.until(self.create(task, run, **inputs))


def _category(task: Any) -> TaskCategory:
    return TaskCategory(name=task.task_type, version=task.task_type_version)


def outputs_of(resource: Resource) -> dict[str, Any]:
    """The literals by name."""
    return {item.name: item.value for item in resource.outputs.literals}
