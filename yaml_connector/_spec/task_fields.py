"""`task.*`, what an expression can see of the task: one table of names, types, meanings and values without Flyte.

A new name is a field here, and how it is read from Flyte's messages in `flyte/task_context.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, Field, SerializerFunctionWrapHandler, model_serializer

from yaml_connector._spec.fields import Duration, Model


@dataclass(frozen=True)
class Local:
    """Marks a field with its value in a run from the terminal. In a string, `{type}` is the task type and `{run}` the
    run's own id."""

    value: Any


def whole_number(value: float) -> float:
    """Return a whole number as an int, so that it is written without a fraction."""
    return int(value) if value == int(value) else value


class Resources(Model):
    """What the container asks for; what it does not ask for is undefined."""

    cpu: Annotated[int | float | None, Field(gt=0, description="How many cores. It can be a fraction.")] = None
    memory: Annotated[int | None, Field(ge=1, description="Bytes of memory.")] = None
    gpu: Annotated[int | None, Field(ge=1, description="How many GPUs.")] = None
    gpu_type: Annotated[str | None, Field(description="The kind of GPU, such as `nvidia-tesla-a100`.")] = None
    disk: Annotated[int | None, Field(ge=1, description="Bytes of disk.")] = None

    @model_serializer(mode="wrap")
    def _asked(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in dump(self).items() if value is not None}


class Container(Model):
    """The container of the task."""

    image: Annotated[str, Field(description="Its image.")] = "registry.test/image:1"
    command: Annotated[list[str], Field(description="Its command; empty: that of the image.")] = Field(
        default_factory=list
    )
    args: Annotated[list[str], Field(description="Its arguments.")] = Field(default_factory=list)
    env: Annotated[
        dict[str, str],
        Field(description="Its environment variables: the task's own, and those that Flyte sets for the run."),
    ] = Field(default_factory=dict)
    resources: Annotated[Resources, Field(description="What it asks for.")] = Field(default_factory=Resources)


class Task(Model):
    """What is known of the task. The defaults are its values in a contract test."""

    name: Annotated[str, Local("{type}_run"), Field(description="The task's name.")] = "test-task"
    type: Annotated[str, Local("{type}"), Field(description="The task type. Default: the spec's.")] = ""
    project: Annotated[str, Local("local"), Field(description="The run's project.")] = "test-project"
    domain: Annotated[str, Local("local"), Field(description="The run's domain.")] = "test-domain"
    version: Annotated[str, Local("1"), Field(description="The task's version.")] = "test-version"
    execution_id: Annotated[str, Local("{run}"), Field(description="The run's name.")] = "test-execution"
    attempt: Annotated[int, Local(0), Field(ge=0, description="The number of the attempt, from 0.")] = 0
    namespace: Annotated[str, Local("local"), Field(description="The run's Kubernetes namespace.")] = "test-namespace"
    labels: Annotated[dict[str, str], Local({}), Field(description="The run's labels.")] = Field(default_factory=dict)
    annotations: Annotated[dict[str, str], Local({}), Field(description="The run's annotations.")] = Field(
        default_factory=dict
    )
    output_prefix: Annotated[
        str, Local("file:///tmp/{run}"), Field(description="The folder in which Flyte keeps the task's outputs.")
    ] = "s3://test-bucket/test-execution/0"
    container: Annotated[
        Container,
        Local({"image": "", "command": [], "args": [], "env": {}, "resources": {}}),
        Field(description="The task's container."),
    ] = Field(default_factory=Container)
    sql: Annotated[str | None, Local(None), Field(description="The statement of a SQL task.")] = None
    timeout: Annotated[
        Annotated[Duration, AfterValidator(whole_number)] | None,
        Local(None),
        Field(description="The `timeout` of the task: the longest time in RUNNING, in seconds; null: there is none."),
    ] = None
    key: Annotated[
        str,
        Local("{run}"),
        Field(description="The same for every try at one attempt of one task, and different for every other."),
    ] = "test-key"


def _names_below(model: type[Model]) -> dict[str, Any]:
    return {
        name: _names_below(field.annotation) if field.annotation in (Container, Resources) else None
        for name, field in model.model_fields.items()
    }


TASK_NAMES: dict[str, Mapping[str, Any] | None] = _names_below(Task)
"""The names below `task`, each with those below it; None: anything."""


def local_task(task_type: str, run: str) -> dict[str, Any]:
    """Return the values of `task.*` in a run from the terminal; `run` is the run's own id."""
    task: dict[str, Any] = {}
    for name, field in Task.model_fields.items():
        (value,) = (mark.value for mark in field.metadata if isinstance(mark, Local))
        task[name] = value.format(type=task_type, run=run) if isinstance(value, str) else deepcopy(value)
    return task
