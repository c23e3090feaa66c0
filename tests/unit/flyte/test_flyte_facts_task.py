"""What this project relies on in Flyte's task side: a release of Flyte that changes one of them is noticed here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import flyte
import pytest
from flyte.connectors import AsyncConnector, AsyncConnectorExecutorMixin, ConnectorRegistry, Resource, ResourceMeta
from flyte.connectors.utils import is_terminal_phase
from flyte.errors import BaseRuntimeError
from flyte.extend import AsyncFunctionTaskTemplate, TaskPluginRegistry, TaskTemplate
from flyte.models import NativeInterface
from flyteidl2.core.execution_pb2 import TaskExecution
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct


@dataclass
class Meta(ResourceMeta):
    id: str


class Plain(AsyncConnector[Meta]):
    """A connector as Flyte's own plugins write it: its jobs are done at once."""

    name = "Plain"
    task_type_name = "plain_fact"
    metadata_type = Meta
    metadata: ClassVar[list[Any]] = []

    async def create(self, task_template: Any, output_prefix: str, **kwargs: Any) -> Meta:
        self.metadata.append(kwargs.get("task_execution_metadata"))
        return Meta("1")

    async def get(self, resource_meta: Meta, **kwargs: Any) -> Resource:
        return Resource(phase=TaskExecution.SUCCEEDED, outputs={"one": 1, "two": "b"})

    async def delete(self, resource_meta: Meta, **kwargs: Any) -> None: ...


class PlainTask(AsyncConnectorExecutorMixin, TaskTemplate):  # type: ignore[type-arg]
    def __init__(self, name: str, task_type: str) -> None:
        interface = NativeInterface({}, {"one": int, "two": str})
        super().__init__(name=name, task_type=task_type, interface=interface, image=None, parent_env_name=name)


@pytest.fixture
def plain() -> Iterator[None]:
    registry = ConnectorRegistry._REGISTRY
    ConnectorRegistry._REGISTRY = dict(registry)
    ConnectorRegistry.register(Plain())
    yield
    ConnectorRegistry._REGISTRY = registry
    ConnectorRegistry._METADATA.pop("Plain")


def run(task: Any) -> Any:
    return flyte.with_runcontext(mode="local").run(task).outputs()


@pytest.mark.slow
def test_flyte_s_own_local_loop_sleeps_three_seconds_after_the_end_too_and_sends_no_metadata(
    plain: None, flyte_home: None
) -> None:
    """Why a local run is our own. It gives the outputs as a tuple, in their order."""
    began = time.monotonic()
    assert tuple(run(PlainTask("plain", "plain_fact"))) == (1, "b")
    assert time.monotonic() - began > 2.9
    assert Plain.metadata == [None]


def test_flyte_s_own_local_loop_does_not_take_retryable_failed_for_an_end() -> None:
    assert not is_terminal_phase(TaskExecution.RETRYABLE_FAILED)
    ends = {TaskExecution.SUCCEEDED, TaskExecution.FAILED, TaskExecution.ABORTED}
    assert {phase for phase in TaskExecution.Phase.values() if is_terminal_phase(phase)} == ends


def test_a_local_run_needs_the_connector_registered_in_the_same_process(flyte_home: None) -> None:
    with pytest.raises(BaseRuntimeError, match="Cannot find connector for task type: nobody_registered_this"):
        run(PlainTask("unregistered", "nobody_registered_this"))


def test_registering_a_task_type_twice_is_an_error_of_flyte_s(plain: None) -> None:
    with pytest.raises(ValueError, match="Duplicate connector for task type: plain_fact"):
        ConnectorRegistry.register(Plain())


def test_custom_is_a_struct_that_makes_every_number_a_double() -> None:
    """Why the config travels as JSON text."""
    custom = Struct()
    custom.update({"three": 3, "large": 2**53 + 1})
    assert repr(MessageToDict(custom)["three"]) == "3.0"
    assert MessageToDict(custom)["large"] != 2**53 + 1


def test_a_task_without_a_flyte_run_around_it_is_not_executed(plain: None, flyte_home: None) -> None:
    async def execute() -> None:
        await PlainTask("outside", "plain_fact").execute()

    with pytest.raises(RuntimeError, match="Task context is not set"):
        asyncio.run(execute())


def test_functions_in_containers_of_their_own_can_still_become_connector_tasks() -> None:
    """`task.container` is reserved for these."""
    assert issubclass(AsyncFunctionTaskTemplate, TaskTemplate)
    assert callable(TaskPluginRegistry.register)
