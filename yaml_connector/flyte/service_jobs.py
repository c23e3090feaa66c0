"""Drives a job by a running connector service, with the calls of a JobClient: for `run --service`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import grpc
from flyte.models import SerializationContext
from flyte.types import TypeEngine
from flyteidl2.connector.connector_pb2 import Resource
from google.protobuf.json_format import MessageToDict

from yaml_connector._expressions.value_types import ValueType, parse_type
from yaml_connector._jobs.create import CreateValues
from yaml_connector._jobs.log_lines import LogLine
from yaml_connector._jobs.log_reader import LogPage
from yaml_connector._jobs.meta import JobMeta
from yaml_connector._jobs.status import Status
from yaml_connector._loading.loader import LoadedSpec
from yaml_connector.errors import CallError, PermanentError
from yaml_connector.flyte.literals import Json, native_value, plain_input, python_type_of
from yaml_connector.flyte.service_client import ServiceClient, ServiceJob, attempt_of, phase_of
from yaml_connector.flyte.task import YamlConnectorTask, plugin_of

_PATIENCE = 10.0  # seconds until the service must have answered
_MOST_FAILURES = 5  # of get, as Flyte counts them
_ANY = parse_type("any")


class ServiceJobClient:
    """Drives one job by the service at an address, HOST:PORT, or https://HOST:PORT over TLS.

    Raises PermanentError if no service answers there within 10 s, or `patience` seconds if that is less.
    """

    def __init__(
        self, address: str, loaded: LoadedSpec, values: CreateValues, *, patience: float | None = None
    ) -> None:
        patience = _PATIENCE if patience is None else min(patience, _PATIENCE)
        self.spec = loaded.spec
        self._task = _task(loaded, values)
        self._failures = 0
        self._job: ServiceJob | None = None
        self._secrets = dict(values.secrets)
        task = values.task
        self._context = SerializationContext(
            project=task["project"], domain=task["domain"], version=task["version"] or "v1", org=""
        )
        self._run = (str(task["execution_id"]), int(task["attempt"]))
        secure, _, where = address.rpartition("://")
        try:
            self._client = ServiceClient(
                where,
                credentials=grpc.ssl_channel_credentials() if secure == "https" else None,
                context=self._context,
                patience=patience,
            )
        except grpc.FutureTimeoutError:
            ways = "write HOST:PORT, or https://HOST:PORT for TLS"
            if secure == "https":
                ways = "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH names the authorities whose certificates are trusted"
            message = f"no connector service answers at {address} within {patience:g} s; {ways}"
            raise PermanentError(message) from None

    async def close(self) -> None:
        """Close the channel."""
        self._client.close()

    async def create(self, values: CreateValues) -> JobMeta:
        """Submit the job. Raises CallError, and does not try again: to Flyte, it is a failed attempt."""
        run, attempt = self._run
        metadata = attempt_of(self._task, run, attempt=attempt, context=self._context)
        kinds = {name: field.type for name, field in (self.spec.inputs or {}).items()}
        inputs = {name: native_value(kinds.get(name, _ANY), value) for name, value in values.inputs.items()}
        self._job = await _called(self._client.create, self._task, inputs, metadata, self._secrets)
        return JobMeta.decode(self._job.kept)

    async def get(self, meta: JobMeta, secrets: Mapping[str, str] | None = None) -> Status:
        """Read the job. Raises CallError at the sixth error, when Flyte stops asking."""
        try:
            resource = await _called(self._client.get, self._job)
        except CallError as error:
            self._failures += 1
            if self._failures > _MOST_FAILURES:
                raise
            return Status(
                "RUNNING", f"{error} (error {self._failures} of get; after {_MOST_FAILURES} Flyte stops asking)"
            )
        links = [(link.name, link.uri) for link in resource.log_links]
        info = MessageToDict(resource.custom_info)
        return Status(phase_of(resource), resource.message or None, links, info, await self._outputs(resource))

    async def _outputs(self, resource: Resource) -> dict[str, tuple[ValueType, Any]]:
        found = {}
        types = self._task.native_interface.outputs
        for item in resource.outputs.literals:
            value = await TypeEngine.to_python_value(item.value, types.get(item.name, Json))
            found[item.name] = (_ANY, plain_input(value))
        return found

    async def delete(self, meta: JobMeta, secrets: Mapping[str, str] | None = None) -> None:
        """Cancel the job. Raises CallError."""
        await _called(self._client.delete, self._job)

    async def logs(self, meta: JobMeta, token: str, *, read_on: bool = False) -> AsyncIterator[LogPage]:
        """Read one page of the log; the service knows when it has ended. Raises CallError."""
        lines, following = await _called(self._client.logs, self._job, token)
        yield LogPage([LogLine(line.message) for line in lines], token=following or None, last=True)


def _task(loaded: LoadedSpec, values: CreateValues) -> YamlConnectorTask:
    """Build the task as a workflow author would. The names of its secrets are never used: Flyte's store is not."""
    plugin = plugin_of(loaded)
    return plugin(
        str(values.task["name"]),
        plugin_config=values.config,
        inputs=None if loaded.spec.inputs is not None else dict.fromkeys(values.inputs, Json),
        outputs={name: python_type_of(parse_type(str(kind))) for name, kind in values.outputs.items()},
        connector_secrets={name: name for name in values.secrets},
    )


async def _called(method: Any, *args: Any) -> Any:
    """Make a call of the service client in a thread. Raises CallError with the service's words."""
    try:
        return await asyncio.to_thread(method, *args)
    except grpc.RpcError as error:
        raise CallError(f"the service answered {error.code().name}: {error.details()}") from None
