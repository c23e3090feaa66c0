"""What this project relies on in Flyte's service: a release of Flyte that changes one of them is noticed here."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from flyte.connectors import Resource
from flyte.connectors._connector import get_resource_proto
from flyte.connectors._server import _get_connection_kwargs
from flyteidl2.connector import connector_pb2
from flyteidl2.core.execution_pb2 import TaskExecution
from flyteidl2.core.identifier_pb2 import NodeExecutionIdentifier, TaskExecutionIdentifier
from flyteidl2.core.security_pb2 import Connection
from google.protobuf.json_format import MessageToDict

from tests.support.flyte_side import FlyteSide, template_of
from yaml_connector._spec import PHASES
from yaml_connector._spec.interface import RESERVED_SECRETS

Make = Callable[..., Any]


def fields(message: Any) -> set[str]:
    return {field.name for field in message.DESCRIPTOR.fields}


def literal_of(value: Any) -> Any:
    """How Flyte converts an output that a connector hands over just so."""
    resource = Resource(phase=TaskExecution.SUCCEEDED, outputs={"x": value})
    return asyncio.run(get_resource_proto(resource)).outputs.literals[0].value


def test_get_and_delete_are_sent_what_create_kept_and_no_task_template() -> None:
    assert fields(connector_pb2.GetTaskRequest) == {"resource_meta", "task_category", "output_prefix", "connection"}
    assert fields(connector_pb2.DeleteTaskRequest) == {"resource_meta", "task_category", "connection"}
    assert fields(connector_pb2.CreateTaskResponse) == {"resource_meta"}


def test_logs_and_metrics_are_asked_for_without_secrets() -> None:
    for request in (connector_pb2.GetTaskLogsRequest, connector_pb2.GetTaskMetricsRequest):
        assert "connection" not in fields(request)
    assert {"resource_meta", "token"} <= fields(connector_pb2.GetTaskLogsRequest)


def test_the_identity_of_an_attempt_is_in_the_metadata_of_create() -> None:
    assert "task_execution_id" in fields(connector_pb2.TaskExecutionMetadata)
    assert {"node_execution_id", "retry_attempt"} <= fields(TaskExecutionIdentifier)
    assert {"node_id", "execution_id"} <= fields(NodeExecutionIdentifier)


def test_the_phases_are_those_of_the_language_and_undefined() -> None:
    assert set(TaskExecution.Phase.keys()) == {*PHASES, "UNDEFINED"}


def test_flyte_converts_an_output_by_the_type_of_its_value_alone() -> None:
    """Why outputs are handed over in a class of their own, with the type that they were declared with."""
    assert literal_of(3).scalar.primitive.WhichOneof("value") == "integer"  # also where a float was declared
    as_list = literal_of([1, 2])
    assert not as_list.HasField("collection")
    assert pickle.loads(as_list.scalar.binary.value) == [1, 2]


def test_whatever_create_raises_reaches_flyte_as_an_internal_error_which_it_retries(
    calls: FlyteSide, task: Make
) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        calls.create(task("nowhere"), "raises")
    assert raised.value.code() == grpc.StatusCode.INTERNAL
    assert raised.value.details().startswith("failed to create nowhere task with error:")


def test_the_top_of_custom_is_read_as_a_connection_so_all_that_stands_there_must_be_texts(
    calls: FlyteSide, batch_job: Make
) -> None:
    made = batch_job(user="alice", config={"timeout_seconds": 60})
    custom = MessageToDict(template_of(made).custom)
    assert custom["secrets"] == {"api_key": "alice-api-key"}
    assert {type(value) for name, value in custom.items() if name != "secrets"} == {str}
    assert not {"configs", "task_type"} & set(custom)
    assert fields(Connection) == {"secrets", "configs", "task_type"}


@pytest.mark.parametrize("name", sorted(RESERVED_SECRETS))
def test_secrets_come_as_keyword_arguments_so_these_names_are_taken(
    calls: FlyteSide, batch_job: Make, name: str
) -> None:
    """No spec can have such a secret, and the guard leaves it out: Flyte would pass two arguments of one name."""
    assert _get_connection_kwargs(Connection(secrets={name: "x"})) == {name: "x"}
    made = batch_job(user="alice")
    job = calls.create(made, f"reserved-{name}", name="x")
    job.connection.secrets[name] = "x"
    assert "multiple values" not in calls.get(job).message
    with FlyteSide(calls.port) as taken:
        taken.connection = lambda template: job.connection  # type: ignore[method-assign]
        assert taken.create(made, f"reserved-again-{name}", name="x").kept


def test_an_unknown_task_type_is_flyte_s_own_error(calls: FlyteSide, batch_job: Make) -> None:
    made = batch_job()
    made.task_type = "never_heard_of"
    with pytest.raises(grpc.RpcError, match="Cannot find connector for task type: never_heard_of"):
        calls.create(made, "unknown", name="x")
