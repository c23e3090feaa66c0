"""Which connector serves a call, where Flyte's registry of task types does not tell.

With a shared task type, all specs have the task type of the variable, and each task names its spec. Later calls find
the spec by what is kept of the job. So do calls for a task type that this service does not have (any more, or yet): a
removed spec still serves its jobs. For every other job get answers, since an error of get blinds a job sooner or later,
and delete fails for a while only, since Flyte would repeat it without an end.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

from flyte.connectors import AsyncConnector, Resource
from flyteidl2.connector.connector_pb2 import (
    CreateTaskRequest,
    DeleteTaskRequest,
    GetTaskLogsRequest,
    GetTaskLogsResponse,
    GetTaskMetricsRequest,
    GetTaskRequest,
    TaskCategory,
)
from flyteidl2.core.tasks_pb2 import TaskTemplate

from yaml_connector._jobs.meta import JobMeta, decode_kept
from yaml_connector._jobs.signing import Signer
from yaml_connector._loading.loader import load_text
from yaml_connector._loading.shared_type import SHARED_VARIABLE, shared_type
from yaml_connector._spec.interface import RESERVED_SECRETS
from yaml_connector._text import did_you_mean, short_name
from yaml_connector.errors import YamlConnectorError
from yaml_connector.flyte import registry
from yaml_connector.flyte._internals import find_connector, put_connector, put_unlisted_connector
from yaml_connector.flyte.connector import JobResourceMeta, YamlConnector

SPEC_KEY = "spec"  # of a task template's `custom`: the spec that a task of the shared type belongs to
FALLBACK = TaskCategory()  # without a name: not the task type of any spec

_WITHOUT_CONNECTION = (GetTaskLogsRequest, GetTaskMetricsRequest)
_RESERVED = (*RESERVED_SECRETS, "self")
_REFERENCE = re.compile(r"([A-Za-z][A-Za-z0-9_.-]{0,199})(?::([0-9]{1,9}))?")
# It is never sent anything: what it says of jobs that no spec is found for is what is said of unreadable jobs.
_NO_SPEC = b"""
spec_version: 1
task_type_name: unknown
connection: {base_url: "http://127.0.0.1:1"}
create: {request: POST /, job_id: $.id}
"""


class UnknownSpecError(YamlConnectorError):
    """A task is of a task type, or names a spec, that this service does not have. Nothing was submitted."""


def reference_to(task_type: str, version: int) -> str:
    """Return how a task of the shared type names its spec: `batch_job`, or `batch_job:2` for another version than 0."""
    return f"{task_type}:{version}" if version else task_type


def drop_inputs_of_container(request: CreateTaskRequest) -> bool:
    """Drop the inputs of a task whose container reads them itself: they may be of any type, and are not converted.
    Returns whether the task is of a spec with `runs: container`.
    """
    template = request.template
    key: tuple[str, int] | None = (template.type, template.task_type_version)
    if template.type == shared_type():
        key = _named_spec(template)
    connector = registry.find(*key) if key is not None else None
    if connector is None or connector.loaded.spec.runs is None:
        return False
    request.ClearField("inputs")
    template.interface.ClearField("inputs")
    return True


def _named_spec(template: TaskTemplate) -> tuple[str, int] | None:
    """Return the task type, and its version, that a task of the shared type names."""
    given = template.custom.fields[SPEC_KEY].string_value if SPEC_KEY in template.custom.fields else ""
    found = _REFERENCE.fullmatch(given)
    return None if found is None else (found[1], int(found[2] or 0))


def find_spec_of_task(template: TaskTemplate) -> AsyncConnector[Any] | None:
    """Put the task type of its spec into a template of the shared type. Returns the connector. Raises UnknownSpecError.

    The template may name any spec that this service has, as it may name any task type.
    """
    name, version = template.type, template.task_type_version
    connector = find_connector(name, version)
    if connector is not None and not isinstance(connector, JobRouter):
        return connector
    if name != shared_type():
        raise UnknownSpecError(f"Cannot find connector for task type: {_missing(name, version)}; nothing was submitted")
    named = _named_spec(template)
    if named is None:
        raise UnknownSpecError(
            f"the task is of the shared type {name}, and does not name its spec: was it built with "
            f"{SHARED_VARIABLE}? Nothing was submitted"
        )
    name, version = named
    if registry.find(name, version) is None:
        raise UnknownSpecError(f"this service has no spec {_missing(name, version)}; nothing was submitted")
    template.type, template.task_type_version = name, version
    return find_connector(name, version)


def _missing(name: str, version: int) -> str:
    specs = registry.registered()
    versions = [str(other) for known, other in specs if known == name]
    if versions:
        return f"{short_name(name)} in version {version}; there is version {', '.join(versions)}"
    return short_name(name) + did_you_mean(name, sorted({known for known, _ in specs}), what="served")


class JobRouter(AsyncConnector[JobResourceMeta]):
    """Finds the spec of each job by what is kept of it, and lets its connector serve the call.

    `signer` is that of the connectors, `task_type` the one that all specs share.
    """

    name = "YAML connector"
    metadata_type = JobResourceMeta

    def __init__(self, signer: Signer, task_type: str | None) -> None:
        self.task_type_name = task_type or FALLBACK.name
        self._signer = signer
        loaded, _ = load_text(_NO_SPEC, "")
        assert loaded is not None
        self._without_spec = YamlConnector(loaded, environment={})

    def find(self, data: bytes) -> tuple[YamlConnector | None, JobMeta]:
        """Return the connector of a job, and what is kept of it; without a connector, the latter says why.

        A removed spec serves the jobs that this service has signed, and so has made itself.
        """
        meta = decode_kept(data, self._signer)
        why = meta.decode_error
        if why is None:
            spec = (meta.task_type, meta.task_version)
            connector = registry.find(*spec) or (registry.find_removed(*spec) if meta.verified else None)
            if connector is not None:
                return connector, meta
            why = f"this service has no spec {short_name(meta.task_type)} in version {meta.task_version}"
        return None, JobMeta.foreign(data, why)

    async def create(self, *_: Any, **__: Any) -> JobResourceMeta:
        """Raise UnknownSpecError: `find_spec_of_task` has sent every other task to the connector of its spec."""
        raise UnknownSpecError("the task does not name its spec; nothing was submitted")

    async def get(self, resource_meta: JobResourceMeta, **kwargs: Any) -> Resource:
        """Return how the job is doing. Never raises; a job without a spec here is unreadable."""
        connector, job = self._find(resource_meta)
        return await connector.get(job, **kwargs)

    async def delete(self, resource_meta: JobResourceMeta, **kwargs: Any) -> None:
        """Cancel the job. Raises YamlConnectorError if that failed, or if there is no spec for it."""
        connector, job = self._find(resource_meta)
        await connector.delete(job, **kwargs)

    def get_logs(self, resource_meta: JobResourceMeta, **kwargs: Any) -> AsyncIterator[GetTaskLogsResponse]:
        """Read the job's log from a token on. Raises YamlConnectorError."""
        connector, job = self._find(resource_meta)
        return connector.get_logs(job, **kwargs)

    def _find(self, kept: JobResourceMeta) -> tuple[YamlConnector, JobResourceMeta]:
        connector, meta = self.find(kept.data)
        return connector or self._without_spec, JobResourceMeta(kept.data, meta)


def install_router(signer: Signer, shared: str | None) -> None:
    """Register a router: for the shared type, if there is one, and for calls that Flyte's registry cannot place."""
    router = JobRouter(signer, shared)
    if shared is not None:
        put_connector(router)
    put_unlisted_connector(router, FALLBACK.name)


def prepare(request: Any) -> AsyncConnector[Any] | None:
    """Put the task type that serves a call into its request, before Flyte looks for it, and return its connector.
    Raises UnknownSpecError.

    Of what the caller sends beside the job, only secrets are left, without those that no spec can have: Flyte passes
    them as arguments of these names itself.
    """
    kind = type(request)
    if kind is CreateTaskRequest:
        connector = find_spec_of_task(request.template)
    else:
        category = request.task_category
        connector = find_connector(category.name, category.version)
        if connector is None:
            router = find_connector(FALLBACK.name, FALLBACK.version)
            answers = kind is GetTaskRequest or kind is DeleteTaskRequest
            if answers or (isinstance(router, JobRouter) and router.find(request.resource_meta)[0] is not None):
                category.CopyFrom(FALLBACK)
                connector = router
    if kind not in _WITHOUT_CONNECTION and request.HasField("connection"):
        given = request.connection
        if isinstance(connector, YamlConnector | JobRouter):
            given.ClearField("configs")  # Flyte would hand them over as if they were the task's secrets
        for values in (given.secrets, given.configs):
            if values:
                _drop_reserved(values)
    return connector


def _drop_reserved(values: Any) -> None:
    for name in _RESERVED:
        if name in values:
            del values[name]
