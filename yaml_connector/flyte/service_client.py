"""Plays Flyte over gRPC: sends a connector service what Flyte's backend sends it, made by Flyte's own code."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

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
    Identifier,
    NodeExecutionIdentifier,
    TaskExecutionIdentifier,
    WorkflowExecutionIdentifier,
)
from flyteidl2.core.security_pb2 import Connection
from flyteidl2.core.tasks_pb2 import TaskTemplate

from yaml_connector._jobs.follower import JobFollower
from yaml_connector._jobs.log_lines import LogLine
from yaml_connector._jobs.log_reader import LogPage
from yaml_connector._jobs.status import Status
from yaml_connector.flyte._internals import (
    convert_from_native_to_inputs,
    convert_outputs_to_native,
    get_proto_task,
    load_outputs,
    upload_inputs,
)

CONTEXT = SerializationContext(project="flytesnacks", domain="development", org="acme", version="v1")
_TIMEOUT = 15.0  # seconds for a call; Flyte waits 10

Lines: TypeAlias = list[Any]  # Flyte's LogLine messages
TaskTypes: TypeAlias = list[tuple[str, int]]  # with their versions


@dataclass
class ServiceJob:
    """One job: what Flyte keeps of it between its calls. `kept` is the resource_meta that create returned."""

    task: Any
    kept: bytes
    connection: Connection
    output_prefix: str = ""


class ServiceClient:
    """A client of the connector service at an address (host:port), over TLS if `credentials` are given.

    `context` says whose tasks it sends: project, domain, organization, and the tasks' version. `timeout` is that of a
    call, in seconds, `options` are more of the channel's. Each call raises grpc.RpcError if the service answers with an
    error.
    """

    def __init__(
        self,
        address: str,
        *,
        credentials: grpc.ChannelCredentials | None = None,
        context: SerializationContext = CONTEXT,
        patience: float = 30.0,
        timeout: float = _TIMEOUT,
        options: Sequence[tuple[str, Any]] = (),
    ) -> None:
        self.context = context
        self._timeout = timeout
        # a pool of its own: gRPC would keep using a connection to a service that is gone
        options = [("grpc.use_local_subchannel_pool", 1), *options]
        if credentials is None:
            self.channel = grpc.insecure_channel(address, options)
        else:
            self.channel = grpc.secure_channel(address, credentials, options)
        grpc.channel_ready_future(self.channel).result(timeout=patience)
        self._connector = AsyncConnectorServiceStub(self.channel)
        self._metadata = ConnectorMetadataServiceStub(self.channel)

    def close(self) -> None:
        """Close the channel."""
        self.channel.close()

    def list(self) -> dict[str, TaskTypes]:
        """Return each connector's name, with its task types and versions."""
        listed = self._metadata.ListConnectors(ListConnectorsRequest(), timeout=self._timeout).connectors
        return {item.name: [(one.name, one.version) for one in item.supported_task_categories] for item in listed}

    def create(
        self,
        task: Any,
        inputs: Mapping[str, Any],
        metadata: TaskExecutionMetadata,
        secrets: Mapping[str, str] | None = None,
    ) -> ServiceJob:
        """Submit a task with inputs as Python values, for one attempt (`attempt_of`); `secrets` are names to values."""
        node = metadata.task_execution_id.node_execution_id
        place = (self.context.project, self.context.domain, node.execution_id.name, node.node_id)
        prefix = "s3://bucket/" + "/".join(map(str, place))
        literals = asyncio.run(convert_from_native_to_inputs(task.native_interface, **inputs))
        return self._submit(task, template_of(task, self.context), literals.proto_inputs, prefix, metadata, secrets)

    def create_function(
        self,
        task: Any,
        inputs: Mapping[str, Any],
        metadata: TaskExecutionMetadata,
        storage: str,
        secrets: Mapping[str, str] | None = None,
    ) -> ServiceJob:
        """Submit a decorated function: its inputs are put below `storage`, a place in an object store, and its outputs
        will be.

        As Flyte's executor does, this fills in the arguments of the container, and hands over the variables that its
        entry point needs.
        """
        node = metadata.task_execution_id.node_execution_id
        run, action = node.execution_id.name, node.node_id
        base = f"{storage}/{run}"
        prefix = f"{base}/{action}/{metadata.task_execution_id.retry_attempt}"
        literals = asyncio.run(convert_from_native_to_inputs(task.native_interface, **inputs))
        asyncio.run(upload_inputs(literals, f"{base}/{action}/inputs.pb"))
        template = template_of(task, self.context)
        values = {
            "{{.input}}": f"{base}/{action}/inputs.pb",
            "{{.outputPrefix}}": prefix,
            "{{.rawOutputDataPrefix}}": f"{prefix}/raw",
            "{{.checkpointOutputPrefix}}": f"{prefix}/_flytecheckpoints",
            "{{.prevCheckpointPrefix}}": "",
            "{{.runName}}": run,
            "{{.actionName}}": action,
            "{{.runStartTime}}": "2026-01-01T00:00:00Z",
        }
        template.container.args[:] = [values.get(word, word) for word in template.container.args]
        metadata.environment_variables.update(
            {"_U_RUN_BASE": base, "_U_ORG_NAME": self.context.org or "", "RUN_NAME": run, "ACTION_NAME": action}
        )
        return self._submit(task, template, literals.proto_inputs, prefix, metadata, secrets)

    def _submit(
        self,
        task: Any,
        template: TaskTemplate,
        inputs: Any,
        output_prefix: str,
        metadata: TaskExecutionMetadata,
        secrets: Mapping[str, str] | None,
    ) -> ServiceJob:
        request = CreateTaskRequest(
            template=template,
            inputs=inputs,
            output_prefix=output_prefix,
            task_execution_metadata=metadata,
            connection=Connection(secrets=secrets or {}),
        )
        return self.submit(task, request)

    def submit(self, task: Any, request: CreateTaskRequest) -> ServiceJob:
        """Send a request that creates a job of the task."""
        answer = self._connector.CreateTask(request, timeout=self._timeout)
        return ServiceJob(task, bytes(answer.resource_meta), request.connection, request.output_prefix)

    def get(self, job: ServiceJob) -> Resource:
        """Return the job's phase, message, links and outputs."""
        request = GetTaskRequest(
            resource_meta=job.kept,
            task_category=_category(job.task),
            output_prefix=job.output_prefix,
            connection=job.connection,
        )
        return self._connector.GetTask(request, timeout=self._timeout).resource

    def delete(self, job: ServiceJob) -> None:
        """Abort the job."""
        request = DeleteTaskRequest(
            resource_meta=job.kept, task_category=_category(job.task), connection=job.connection
        )
        self._connector.DeleteTask(request, timeout=self._timeout)

    def logs(self, job: ServiceJob, token: str = "") -> tuple[Lines, str]:
        """Return the lines of one log call, and the next call's token ("": there are no more for now)."""
        lines: Lines = []
        following = ""
        request = GetTaskLogsRequest(resource_meta=job.kept, task_category=_category(job.task), token=token)
        for message in self._connector.GetTaskLogs(request, timeout=self._timeout):
            lines += message.body.lines
            if message.HasField("header"):
                following = message.header.token
        return lines, following

    async def follow(
        self, job: ServiceJob, tell: Callable[[str, str], None], stop: asyncio.Event | None = None
    ) -> Resource:
        """Follow the job to its end, as JobFollower does, and return the last response of get."""
        last = Resource()

        async def get() -> Status:
            nonlocal last
            last = await asyncio.to_thread(self.get, job)
            links = [(link.name, link.uri) for link in last.log_links]
            return Status(phase_of(last), last.message or None, links)

        async def logs(token: str, *, read_on: bool) -> AsyncIterator[LogPage]:
            lines, following = await asyncio.to_thread(self.logs, job, token)
            yield LogPage([LogLine(line.message) for line in lines], token=following or None, last=True)

        await JobFollower(get=get, logs=logs, tell=tell).follow(stop)
        return last


def returned_by(job: ServiceJob) -> Any:
    """Return what a function that succeeded has returned, from storage."""
    outputs = asyncio.run(load_outputs(f"{job.output_prefix}/outputs.pb"))
    return asyncio.run(convert_outputs_to_native(job.task.native_interface, outputs))


def template_of(task: Any, context: SerializationContext = CONTEXT) -> TaskTemplate:
    """Return a task as Flyte registers it, after a round trip through the bytes of the wire."""
    return TaskTemplate.FromString(get_proto_task(task, context).SerializeToString())


def attempt_of(
    task: Any, run: str, action: str = "a0", attempt: int = 0, context: SerializationContext = CONTEXT
) -> TaskExecutionMetadata:
    """Return the identity of one attempt of a run's action, as Flyte fills it."""
    project, domain, org = context.project, context.domain, context.org
    identity = TaskExecutionIdentifier(
        task_id=Identifier(project=project, domain=domain, org=org, name=task.name, version=context.version),
        retry_attempt=attempt,
        node_execution_id=NodeExecutionIdentifier(
            node_id=action,
            execution_id=WorkflowExecutionIdentifier(project=project, domain=domain, org=org, name=run),
        ),
    )
    return TaskExecutionMetadata(
        task_execution_id=identity,
        namespace=f"{project}-{domain}",
        labels={"run": run, "action": action, "attempt": str(attempt + 1), "task-name": task.name},
        k8s_service_account="default",
    )


def phase_of(resource: Resource) -> str:
    """Return the phase's name."""
    return str(TaskExecution.Phase.Name(resource.phase))


def _category(task: Any) -> TaskCategory:
    return TaskCategory(name=task.task_type, version=task.task_type_version)
