"""Flyte's side of a connector service in the tests: the service client, with a secret store."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from flyte.models import SerializationContext
from flyteidl2.connector.connector_pb2 import Resource, TaskExecutionMetadata
from flyteidl2.core.security_pb2 import Connection
from flyteidl2.core.tasks_pb2 import TaskTemplate
from google.protobuf.json_format import MessageToDict, ParseDict

from yaml_connector.flyte import service_client
from yaml_connector.flyte.service_client import ServiceClient, attempt_of
from yaml_connector.flyte.service_client import ServiceJob as Job
from yaml_connector.flyte.service_client import phase_of as state

CONTEXT = SerializationContext(project="flytesnacks", domain="development", org="acme", version="v7")
ENDS = {"SUCCEEDED", "FAILED", "RETRYABLE_FAILED", "ABORTED"}


def template_of(task: Any) -> TaskTemplate:
    """A task as Flyte registers it."""
    return service_client.template_of(task, CONTEXT)


def metadata_of(task: Any, run: str, action: str = "a0", attempt: int = 0) -> TaskExecutionMetadata:
    """The identity of one attempt, with what a user's project may add to it."""
    metadata = attempt_of(task, run, action, attempt, CONTEXT)
    metadata.annotations["team"] = "data"
    metadata.max_attempts = 3
    return metadata


class FlyteSide:
    """A client of the service on a port of this machine. `store` is Flyte's secret store, names to values."""

    def __init__(self, port: int, store: Mapping[str, str] | None = None) -> None:
        self.port = port
        self.store = store or {}
        self.client = ServiceClient(f"127.0.0.1:{port}", context=CONTEXT)
        self.channel = self.client.channel
        self.connectors = self.client.list
        self.get, self.delete, self.logs = self.client.get, self.client.delete, self.client.logs

    def __enter__(self) -> FlyteSide:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def connection(self, template: TaskTemplate) -> Connection:
        """`custom` read as Flyte's backend reads it, with the secrets' values instead of their names."""
        named = ParseDict(MessageToDict(template.custom), Connection(), ignore_unknown_fields=True)
        return Connection(secrets={name: self.store[key] for name, key in named.secrets.items()})

    def create(self, task: Any, run: str, /, action: str = "a0", attempt: int = 0, **inputs: Any) -> Job:
        """CreateTask for one attempt of an action of a run, with the secrets that the task names."""
        secrets = dict(self.connection(template_of(task)).secrets)
        return self.client.create(task, inputs, metadata_of(task, run, action, attempt), secrets)

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


def outputs_of(resource: Resource) -> dict[str, Any]:
    """The literals by name."""
    return {item.name: item.value for item in resource.outputs.literals}


__all__ = ["ENDS", "FlyteSide", "Job", "metadata_of", "outputs_of", "state", "template_of"]
