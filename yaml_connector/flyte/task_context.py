"""What a task is called, and whose it is: `task.*`, read from Flyte's messages when it is asked for."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from flyteidl2.connector.connector_pb2 import TaskExecutionMetadata
from flyteidl2.core.tasks_pb2 import TaskTemplate

from yaml_connector._expressions.filters import slug
from yaml_connector._spec.task_fields import whole_number
from yaml_connector.flyte.files import check_place
from yaml_connector.flyte.resources import requested_resources


class TaskContext(Mapping[str, Any]):
    """`task.*`.

    `metadata` may be missing, or without an execution: then the task runs on its own, and its key is as good as random.
    """

    def __init__(self, template: TaskTemplate, output_prefix: str, metadata: TaskExecutionMetadata | None) -> None:
        self.template = template
        self.output_prefix = output_prefix
        self.metadata = metadata
        execution = metadata.task_execution_id if metadata is not None else None
        self.execution = execution if metadata is not None and metadata.HasField("task_execution_id") else None
        self._read: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._read:
            self._read[name] = _NAMES[name](self)
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_NAMES)

    def __len__(self) -> int:
        return len(_NAMES)

    def _run(self, name: str) -> str:
        """Return a field of the run's identity, else of the task's own."""
        run = self.execution.node_execution_id.execution_id if self.execution is not None else None
        return getattr(run, name, "") or getattr(self.template.id, name)

    def _key(self) -> str:
        if self.execution is None:
            return f"local-{uuid.uuid4().hex[:16]}"
        node = self.execution.node_execution_id
        run = node.execution_id
        return task_key(run.org, run.project, run.domain, run.name, node.node_id, self.execution.retry_attempt)

    def _output_prefix(self) -> str:
        """Return the output prefix. Requests are made of it, so it is a place that the service may read."""
        if self.output_prefix:
            check_place(self.output_prefix, what="the output prefix")
        return self.output_prefix

    def _timeout(self) -> float | None:
        """Return the task's `max_runtime` in seconds; None for 0, as in Flyte."""
        timeout = self.template.metadata.timeout
        seconds = timeout.seconds + timeout.nanos / 1e9
        return whole_number(seconds) if seconds > 0 else None

    def _container(self) -> dict[str, Any]:
        container = self.template.container
        env = {pair.key: pair.value for pair in container.env}
        if self.metadata is not None:
            env |= self.metadata.environment_variables
        if self.execution is not None:
            env |= {_PROJECT: self._run("project"), _DOMAIN: self._run("domain")}
        return {
            "image": container.image,
            "command": list(container.command),
            "args": list(container.args),
            "env": env,
            "resources": requested_resources(self.template),
        }


# as Flyte's entry point reads them; what else it needs is in the metadata's variables
_PROJECT, _DOMAIN = "FLYTE_INTERNAL_EXECUTION_PROJECT", "FLYTE_INTERNAL_EXECUTION_DOMAIN"

_NAMES: dict[str, Callable[[TaskContext], Any]] = {
    "name": lambda task: task.template.id.name,
    "type": lambda task: task.template.type,
    "project": lambda task: task._run("project"),
    "domain": lambda task: task._run("domain"),
    "version": lambda task: task.template.id.version,
    "execution_id": lambda task: (
        task.execution.node_execution_id.execution_id.name if task.execution is not None else ""
    ),
    "attempt": lambda task: task.execution.retry_attempt if task.execution is not None else 0,
    "namespace": lambda task: task.metadata.namespace if task.metadata is not None else "",
    "labels": lambda task: dict(task.metadata.labels) if task.metadata is not None else {},
    "annotations": lambda task: dict(task.metadata.annotations) if task.metadata is not None else {},
    "output_prefix": lambda task: task._output_prefix(),
    "container": lambda task: task._container(),
    "sql": lambda task: task.template.sql.statement if task.template.HasField("sql") else None,
    "timeout": lambda task: task._timeout(),
    "key": lambda task: task._key(),
}


def task_key(organization: str, project: str, domain: str, run: str, action: str, attempt: int) -> str:
    """Return `task.key`: the same for every try at one attempt of one execution, and different for every other.

    It has at most 63 characters of a-z0-9-, starts with a letter, and ends with a letter or digit.
    """
    identity = repr((organization, project, domain, run, action, attempt))  # in quotes: no two are written the same
    digest = hashlib.blake2s(identity.encode(), digest_size=10).hexdigest()
    readable = slug(f"{run}-{action}"[:1000], 40)
    return f"{readable}-{digest}" if readable[:1].isalpha() else f"f-{readable}-{digest}".replace("--", "-")
