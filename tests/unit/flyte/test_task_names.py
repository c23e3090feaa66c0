"""`task.*` is read from Flyte's messages, and is a mapping like any other to templates."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import flyte
import pytest
from flyte._internal.runtime.task_serde import get_proto_max_runtime, get_proto_timeout_strategy
from flyteidl2.connector.connector_pb2 import TaskExecutionMetadata
from flyteidl2.core.identifier_pb2 import (
    Identifier,
    NodeExecutionIdentifier,
    TaskExecutionIdentifier,
    WorkflowExecutionIdentifier,
)
from flyteidl2.core.literals_pb2 import KeyValuePair
from flyteidl2.core.tasks_pb2 import Container, TaskMetadata, TaskTemplate

from yaml_connector._expressions.compile import compile_text, compile_tree
from yaml_connector._expressions.scope import Scope
from yaml_connector._spec.task_fields import TASK_NAMES
from yaml_connector.errors import EvaluationError
from yaml_connector.flyte.task_context import TaskContext, task_key

TEMPLATE = TaskTemplate(
    type="x",
    id=Identifier(name="flow.task", project="own", domain="own-domain", version="v1"),
    container=Container(image="image:1", command=["c"], args=["a", "b"], env=[KeyValuePair(key="K", value="v")]),
)
EXECUTION = TaskExecutionIdentifier(
    retry_attempt=2,
    node_execution_id=NodeExecutionIdentifier(
        node_id="a0", execution_id=WorkflowExecutionIdentifier(project="p", domain="d", name="r1")
    ),
)
METADATA = TaskExecutionMetadata(
    task_execution_id=EXECUTION,
    namespace="p-d",
    labels={"l": "1"},
    annotations={"n": "2"},
    environment_variables={"RUN_NAME": "r1"},
)
TASK = TaskContext(TEMPLATE, "s3://out", METADATA)


def text(template: str, task: TaskContext = TASK) -> Any:
    return compile_text(template).evaluate(Scope(task=task))


def test_it_has_the_names_of_the_language_and_no_other() -> None:
    assert sorted(TASK) == sorted(TASK_NAMES)
    assert len(TASK) == len(TASK_NAMES)


def test_every_name_has_its_value() -> None:
    assert dict(TASK) == {
        "name": "flow.task",
        "type": "x",
        "project": "p",
        "domain": "d",
        "version": "v1",
        "execution_id": "r1",
        "attempt": 2,
        "namespace": "p-d",
        "labels": {"l": "1"},
        "annotations": {"n": "2"},
        "output_prefix": "s3://out",
        "container": {
            "image": "image:1",
            "command": ["c"],
            "args": ["a", "b"],
            "env": {
                "K": "v",
                "RUN_NAME": "r1",
                "FLYTE_INTERNAL_EXECUTION_PROJECT": "p",
                "FLYTE_INTERNAL_EXECUTION_DOMAIN": "d",
            },
            "resources": {},
        },
        "sql": None,
        "timeout": None,
        "key": task_key("", "p", "d", "r1", "a0", 2),
    }


@pytest.mark.parametrize(
    ("timeout", "seconds"),
    [
        (None, None),
        (0, None),  # no limit, for Flyte too
        (20, 20),
        (timedelta(milliseconds=1500), 1.5),
        (flyte.Timeout(max_runtime=timedelta(minutes=2), deadline=9, max_queued_time=9), 120),
        (flyte.Timeout(deadline=9), None),
    ],
)
def test_the_timeout_is_the_longest_time_in_running(timeout: Any, seconds: float | None) -> None:
    metadata = TaskMetadata(timeout=get_proto_max_runtime(timeout), timeouts=get_proto_timeout_strategy(timeout))
    assert TaskContext(TaskTemplate(metadata=metadata), "", None)["timeout"] == seconds


def test_without_an_execution_the_names_are_the_templates_and_the_key_stays_the_same() -> None:
    task = TaskContext(TEMPLATE, "", None)
    assert (task["project"], task["domain"], task["execution_id"], task["attempt"]) == ("own", "own-domain", "", 0)
    assert (task["labels"], task["annotations"], task["namespace"]) == ({}, {}, "")
    assert task["key"].startswith("local-")
    assert task["key"] == task["key"]
    assert task["key"] != TaskContext(TEMPLATE, "", None)["key"]


def test_a_run_without_a_project_leaves_the_tasks_own() -> None:
    bare = TaskExecutionMetadata(task_execution_id=TaskExecutionIdentifier(retry_attempt=1))
    task = TaskContext(TEMPLATE, "", bare)
    assert (task["project"], task["domain"], task["attempt"]) == ("own", "own-domain", 1)


def test_a_template_may_take_all_of_it() -> None:
    assert text("${{ task }}") == dict(TASK)
    assert json.loads(text("all: ${{ task }}").removeprefix("all: ")) == dict(TASK)
    assert compile_tree({"t": "${{ task }}"}).evaluate(Scope(task=TASK)) == {"t": dict(TASK)}
    assert json.loads(text("${{ task | json }}")) == dict(TASK)


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("${{ task.labels.l }}", "1"),
        ("${{ task['container']['env'].K }}", "v"),
        ("${{ 'key' in task }}", True),
        ("${{ task | length }}", len(TASK_NAMES)),
        ("${{ task | kv | length }}", len(TASK_NAMES)),
        ("${{ (task | items | list)[0] }}", ["name", "flow.task"]),
        ("${{ task | dictsort | first }}", ["annotations", {"n": "2"}]),
        ("${{ task is mapping }}", True),
        ("${{ {'a': task}.a.name }}", "flow.task"),
        ("${{ task.name ~ '-' ~ task.attempt }}", "flow.task-2"),
    ],
)
def test_expressions_see_a_mapping(template: str, value: Any) -> None:
    assert text(template) == value


def test_a_name_that_is_not_there_is_an_error_that_names_the_closest_one() -> None:
    with pytest.raises(EvaluationError, match="'nam' does not exist; did you mean name"):
        text("${{ task.nam }}")


def test_keys_differ_by_every_part_of_the_identity() -> None:
    parts = ("o", "p", "d", "r1", "a0", 0)
    others: list[tuple[Any, ...]] = [(*parts[:place], f"{parts[place]}2", *parts[place + 1 :]) for place in range(5)]
    others += [(*parts[:5], 1), ("o", "p'", "d", "r1", "a0", 0), ("o", "p', 'd", "", "r1", "a0", 0), ("", *parts[1:])]
    keys = {task_key(*each) for each in (parts, *others)}
    assert len(keys) == len(others) + 1
    assert task_key(*parts) in keys
