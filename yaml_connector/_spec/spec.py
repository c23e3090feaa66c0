"""The spec as a whole: whose tasks may use it, and its sections."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from yaml_connector._spec.connection import Connection
from yaml_connector._spec.fields import Model, Name, Path
from yaml_connector._spec.interface import ConfigField, InputField, OutputField, Secret
from yaml_connector._spec.requests import Calls
from yaml_connector._spec.sections import Create, Delete, Get, Logs, Result
from yaml_connector._text import short

CALLS = ("create", "get", "result", "delete", "logs")
"""The sections that send requests, in the order of a job's life."""


class Allow(Model):
    """Whose tasks may use the connector. A list that is not given allows all."""

    projects: Annotated[
        list[str] | None,
        Field(min_length=1, description="The projects whose tasks are accepted.", examples=[["data", "ml"]]),
    ] = None
    domains: Annotated[
        list[str] | None,
        Field(min_length=1, description="The domains whose tasks are accepted.", examples=[["production"]]),
    ] = None

    def refusal(self, project: str, domain: str) -> str | None:
        """Say why a task of this project and domain is not accepted; None if it is."""
        for what, name, names in (("project", project, self.projects), ("domain", domain, self.domains)):
            if names is not None and name not in names:
                return f"tasks of the {what} {short(name)} may not use this connector; it allows: {', '.join(names)}"
        return None


class ConnectorSpec(Model):
    """A connector: how to run jobs of one asynchronous job API."""

    spec_version: Annotated[Literal[1], Field(description="The version of the spec language: 1.")]
    task_type_name: Annotated[
        str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.-]*$", description="The task type in Flyte. It names the connector.")
    ]
    task_type_version: Annotated[int, Field(ge=0, lt=2**31, description="The version of the task type.")] = 0
    name: Annotated[str | None, Field(min_length=1, description="A title for people.")] = None
    description: Annotated[str | None, Field(description="A description for people.")] = None
    runs: Annotated[
        Literal["container"] | None,
        Field(
            description="`container`: the jobs run the task's own container, so that a decorated Python function runs "
            "there. Its inputs and outputs pass through Flyte's storage, not through the spec."
        ),
    ] = None
    allow: Annotated[
        Allow | None,
        Field(description="The projects and domains whose tasks may use the connector. Default: all."),
    ] = None
    connection: Annotated[
        Connection, Field(description="Where requests go, with which credentials, and how failures are handled.")
    ]
    secrets: Annotated[dict[Name, Secret], Field(description="The secrets that requests can use.")] = Field(
        default_factory=dict
    )
    config: Annotated[dict[Name, ConfigField], Field(description="The fields of the task's typed configuration.")] = (
        Field(default_factory=dict)
    )
    inputs: Annotated[
        dict[Name, InputField] | None,
        Field(description="The inputs of the task. Without this section, each task declares its own."),
    ] = None
    outputs: Annotated[
        dict[str, OutputField], Field(description="The outputs of the task, and where they are read.")
    ] = Field(default_factory=dict)
    create: Annotated[Create, Field(description="Submit the job.")]
    get: Annotated[Get | None, Field(description="Ask about the state of the job.")] = None
    result: Annotated[Result | None, Field(description="Fetch the outputs, once, after the job has succeeded.")] = None
    delete: Annotated[Delete | None, Field(description="Cancel the job.")] = None
    logs: Annotated[Logs | None, Field(description="Read the log of the job.")] = None

    @property
    def title(self) -> str:
        """The title for people: `name`, else the task type."""
        return self.name or self.task_type_name

    def calls(self) -> Iterator[tuple[Path, Calls]]:
        """Yield every section that sends requests, with its path: those of `CALLS` that there are, and `adopt`."""
        for name in CALLS:
            if (section := getattr(self, name)) is not None:
                yield (name,), section
            if name == "create" and self.create.adopt is not None:
                yield ("create", "adopt"), self.create.adopt
