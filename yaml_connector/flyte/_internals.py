"""Every private name of Flyte that this package uses, with its purpose.

Flyte may change these names in any minor release. So the rest of the package imports them from here only (ruff's
banned-api sees to that), the dependency is pinned below the next minor release, and `test_internals.py` and
`test_flyte_facts_*.py` hold what is expected of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import grpc
from flyte._cache.cache import VersionParameters
from flyte._context import internal_ctx
from flyte._internal.runtime.convert import convert_from_native_to_inputs, convert_outputs_to_native
from flyte._internal.runtime.io import load_outputs, upload_inputs
from flyte._internal.runtime.task_serde import get_proto_task
from flyte.connectors import AsyncConnector, ConnectorRegistry
from flyte.connectors import utils as _connector_utils
from flyte.connectors._connector import ConnectorRegistryKey, FlyteConnectorNotFound, get_resource_proto
from flyte.connectors._server import (
    AsyncConnectorService,
    ConnectorMetadataService,
    _handle_exception,
    input_literal_size,
    request_latency,
    request_success_count,
)


def in_progress_display() -> bool:
    """Tell whether Flyte shows a local run in its own progress display: then nothing else should be printed."""
    return internal_ctx().data.tracker is not None


def show_links(action: str, links: Sequence[tuple[str, str]]) -> None:
    """Show the links of a local run's action (name, URL) in Flyte's progress display, if there is one."""
    tracker = internal_ctx().data.tracker
    if links and tracker is not None:
        tracker.record_log_links(action_id=action, log_links=list(links))


def load_installed_connectors() -> None:
    """Import the connectors of other packages, from the entry points of the group `flyte.connectors`, as `c0` does."""
    _connector_utils._load_connectors(None)


def hand_over_bytes(handlers_of: Callable[[Any], grpc.GenericRpcHandler]) -> None:
    """Let `c0`, which imports our module before it makes its server, serve by handlers that get requests as bytes."""

    def add(servicer: Any, server: Any) -> None:
        server.add_generic_rpc_handlers((handlers_of(servicer),))

    vars(_connector_utils)["add_AsyncConnectorServiceServicer_to_server"] = add


def put_connector(connector: AsyncConnector[Any]) -> None:
    """Register a connector, in place of the one of the same task type and version if there is one.

    Flyte's own `register` would list a replaced connector twice. Calls from other threads always find one of the two.
    """
    _unlist(connector.task_type_name, connector.task_type_version)
    ConnectorRegistry.register(connector, override=True)


def put_unlisted_connector(connector: AsyncConnector[Any], task_type: str) -> None:
    """Register a connector for a task type that ListConnectors does not name."""
    ConnectorRegistry._REGISTRY[ConnectorRegistryKey(task_type, 0)] = connector


def find_connector(task_type: str, version: int) -> AsyncConnector[Any] | None:
    """Return the connector of a task type and version, if there is one."""
    return ConnectorRegistry._REGISTRY.get(ConnectorRegistryKey(task_type, version))


class CallMeter:
    """Flyte's own metrics of one operation (`create`, `get`, `delete`) of a task type.

    They are looked up once: with each call, as Flyte does it, that takes longer than all counting.
    """

    def __init__(self, task_type: str, operation: str) -> None:
        self._of = (task_type, operation)
        self.took = request_latency.labels(task_type=task_type, operation=operation).observe
        self.succeeded = request_success_count.labels(task_type=task_type, operation=operation).inc

    @cached_property
    def took_inputs(self) -> Callable[[int], None]:
        """Notes how many bytes the inputs of a create have."""
        observe: Callable[[int], None] = input_literal_size.labels(task_type=self._of[0]).observe
        return observe

    def failed(self, error: Exception, context: Any) -> None:
        """Count a call that failed, and put its error into gRPC's context."""
        _handle_exception(error, context, *self._of)


def remove_connector(task_type: str, version: int) -> None:
    """Unregister the connector of a task type and version: later calls for it are answered with NOT_FOUND."""
    _unlist(task_type, version)
    ConnectorRegistry._REGISTRY.pop(ConnectorRegistryKey(task_type, version), None)


def _unlist(task_type: str, version: int) -> None:
    for name, listed in list(ConnectorRegistry._METADATA.items()):
        for category in listed.supported_task_categories:
            if (category.name, category.version) == (task_type, version):
                listed.supported_task_categories.remove(category)
                break
        if not listed.supported_task_categories:
            del ConnectorRegistry._METADATA[name]


__all__ = [
    "AsyncConnectorService",  # the servicer that looks up the connector and converts literals
    "CallMeter",
    "ConnectorMetadataService",  # the servicer that lists the connectors
    "FlyteConnectorNotFound",  # raised for a task type that no connector is registered for
    "VersionParameters",  # what a cache policy is called with
    "convert_from_native_to_inputs",  # Python values as the literals of a CreateTask
    "convert_outputs_to_native",  # what a container left as Python values
    "find_connector",
    "get_proto_task",  # a task as the template that Flyte's backend sends
    "get_resource_proto",  # a Resource as the message that answers a get
    "hand_over_bytes",  # where `c0` adds its servicer to its server
    "in_progress_display",
    "load_installed_connectors",
    "load_outputs",  # what a container left, from storage
    "put_connector",
    "put_unlisted_connector",
    "remove_connector",
    "show_links",
    "upload_inputs",  # the literals that a container reads, to storage
]
