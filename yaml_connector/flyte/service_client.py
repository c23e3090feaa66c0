"""Flyte's part, played over gRPC: templates serialized by Flyte's own code, secrets in the connection, polling,
logs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import click
import grpc
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
    NodeExecutionIdentifier,
    TaskExecutionIdentifier,
    WorkflowExecutionIdentifier,
)
from flyteidl2.core.security_pb2 import Connection

from yaml_connector.flyte._internals import convert_from_native_to_inputs, get_proto_task
from yaml_connector.flyte.task import YamlConnectorTask

_ENDS = (TaskExecution.SUCCEEDED, TaskExecution.FAILED, TaskExecution.RETRYABLE_FAILED, TaskExecution.ABORTED)
_EVERY = 0.5  # Flyte asks about every 30 s; a tour is more impatient


class FlyteClient:
    """A client of a connector service on this machine."""

    def __init__(self, port: int) -> None:
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        grpc.channel_ready_future(self._channel).result(timeout=20)
        self._connector = AsyncConnectorServiceStub(self._channel)
        self._metadata = ConnectorMetadataServiceStub(self._channel)

    def __enter__(self) -> FlyteClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def task_types(self) -> list[str]:
        """The task types that the service drives."""
        connectors = self._metadata.ListConnectors(ListConnectorsRequest()).connectors
        return [category.name for connector in connectors for category in connector.supported_task_categories]

    def create(
        self,
        task: YamlConnectorTask,
        inputs: Mapping[str, Any],
        secrets: Mapping[str, str],
        *,
        run: str,
        attempt: int = 0,
    ) -> bytes:
        """Submit a task as Flyte does; gives the resource_meta that Flyte would keep."""
        context = SerializationContext(project="flytesnacks", domain="development", org="demo", version="1")
        identity = TaskExecutionIdentifier(
            retry_attempt=attempt,
            node_execution_id=NodeExecutionIdentifier(
                node_id="a0",
                execution_id=WorkflowExecutionIdentifier(project="flytesnacks", domain="development", name=run),
            ),
        )
        request = CreateTaskRequest(
            template=get_proto_task(task, context),
            inputs=asyncio.run(convert_from_native_to_inputs(task.native_interface, **inputs)).proto_inputs,
            output_prefix="s3://bucket/outputs",
            task_execution_metadata=TaskExecutionMetadata(task_execution_id=identity),
            connection=Connection(secrets=secrets),
        )
        return bytes(self._connector.CreateTask(request).resource_meta)

    def get(self, task: YamlConnectorTask, kept: bytes, secrets: Mapping[str, str]) -> Resource:
        """Ask for the job's phase, message, links and outputs."""
        request = GetTaskRequest(
            resource_meta=kept, task_category=_category(task), connection=Connection(secrets=secrets)
        )
        return self._connector.GetTask(request).resource

    def delete(self, task: YamlConnectorTask, kept: bytes, secrets: Mapping[str, str]) -> None:
        """Abort the job."""
        request = DeleteTaskRequest(
            resource_meta=kept, task_category=_category(task), connection=Connection(secrets=secrets)
        )
        self._connector.DeleteTask(request)

    def logs(self, task: YamlConnectorTask, kept: bytes, token: str = "") -> tuple[list[Any], str]:
        """One page of the log, and the token of the next one ("": there is no more for now)."""
        lines: list[Any] = []
        request = GetTaskLogsRequest(resource_meta=kept, task_category=_category(task), token=token)
        token = ""
        for message in self._connector.GetTaskLogs(request):
            lines += message.body.lines
            token = message.header.token or token
        return lines, token

    def follow(
        self,
        task: YamlConnectorTask,
        inputs: Mapping[str, Any],
        secrets: Mapping[str, str],
        *,
        run: str,
        abort_after: float | None = None,
    ) -> None:
        """Submit a task and show its life until it is over: phases, pages of the log, outputs or message."""
        began = time.monotonic()
        kept = self.create(task, inputs, secrets, run=run)
        click.echo(f"   create: {len(kept)} bytes are kept with the job")
        shown, aborted = None, False
        while True:
            resource = self.get(task, kept, secrets)
            if resource.phase != shown:
                shown = resource.phase
                message = f": {resource.message}" if resource.message else ""
                click.echo(f"   {time.monotonic() - began:4.1f} s {TaskExecution.Phase.Name(resource.phase)}{message}")
            if resource.phase in _ENDS:
                break
            if abort_after is not None and not aborted and time.monotonic() - began > abort_after:
                aborted = True
                click.echo(f"   {time.monotonic() - began:4.1f} s abort")
                self.delete(task, kept, secrets)
            time.sleep(_EVERY)
        self._show_log(task, kept)
        for output in resource.outputs.literals:
            click.echo(f"   output {output.name} = {output.value.scalar.primitive.string_value!r}")

    def _show_log(self, task: YamlConnectorTask, kept: bytes) -> None:
        token, number = "", 0
        while True:
            lines, token = self.logs(task, kept, token)
            number += 1
            for line in lines:
                click.echo(f"   log page {number} | {line.timestamp.ToDatetime():%H:%M:%S} {line.message}")
            if not token:
                return


def _category(task: YamlConnectorTask) -> TaskCategory:
    return TaskCategory(name=task.task_type, version=task.task_type_version)
