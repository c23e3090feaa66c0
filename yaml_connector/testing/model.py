"""The models of a contract test, `NAME.test.yaml` (section 10): closed, and nothing is coerced."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from yaml_connector._spec.fields import Duration, Model
from yaml_connector._spec.phases import Phase
from yaml_connector._spec.task_fields import Task
from yaml_connector.testing.recorded import Exchange, empty

CALLS = ("create", "get", "logs", "delete")


def _regex(value: str) -> str:
    if value.startswith("/") and value.endswith("/") and len(value) > 1:
        value = value[1:-1]
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"{value!r} is no regular expression: {error}") from None
    return value


class ExpectedLink(Model):
    """A link that the UI shows."""

    name: Annotated[str, Field(description="What the UI calls it.")]
    url: Annotated[str, Field(description="Where it leads.")]


Error = Annotated[str, AfterValidator(_regex), Field(description="A regex on the error that is raised.")]
Links = Annotated[list[ExpectedLink], Field(description="All links, in order.")]
Message = Annotated[str | None, Field(description="The message; null: none.")]


class CreateExpect(Model):
    """What create gives. `phase` and `message` only when it failed for good; `links` are those that show from the
    start."""

    job_id: Annotated[str, Field(description="The job's id.")] = ""
    saved: Annotated[dict[str, Any], Field(description="What create.save kept.")] = Field(default_factory=dict)
    adopted: Annotated[bool, Field(description="Was the job there already, and taken over?")] = False
    phase: Annotated[Literal["FAILED"] | None, Field(description="FAILED if create failed for good, else null.")] = None
    message: Message = None
    links: Links = Field(default_factory=list)
    error: Error = ""


class GetExpect(Model):
    """What get gives."""

    phase: Annotated[Phase, Field(description="The phase.")] = "RUNNING"
    message: Message = None
    outputs: Annotated[dict[str, Any], Field(description="All outputs by name.")] = Field(default_factory=dict)
    links: Links = Field(default_factory=list)
    info: Annotated[dict[str, Any], Field(description="The task's custom info.")] = Field(default_factory=dict)


class LogsExpect(Model):
    """What one call for logs gives."""

    lines: Annotated[list[str], Field(description="The lines' messages.")] = Field(default_factory=list)
    next: Annotated[bool, Field(description="Is there a token for a next page?")] = False
    error: Error = ""


class DeleteExpect(Model):
    """What delete gives: nothing, or an error."""

    error: Error = ""


Exchanges = Annotated[
    list[Exchange], BeforeValidator(lambda value: [] if value is None else value), Field(description="In this order.")
]


class CreateCall(Model):
    """A create."""

    exchanges: Exchanges = Field(default_factory=list)
    expect: Annotated[CreateExpect, BeforeValidator(empty)] = Field(default_factory=CreateExpect)


class GetCall(Model):
    """A get."""

    exchanges: Exchanges = Field(default_factory=list)
    expect: Annotated[GetExpect, BeforeValidator(empty)] = Field(default_factory=GetExpect)


class LogsCall(Model):
    """A call for logs."""

    token: Annotated[str | None, Field(description='Default: the last one given; "": from the start.')] = None
    exchanges: Exchanges = Field(default_factory=list)
    expect: Annotated[LogsExpect, BeforeValidator(empty)] = Field(default_factory=LogsExpect)


class DeleteCall(Model):
    """A delete."""

    exchanges: Exchanges = Field(default_factory=list)
    expect: Annotated[DeleteExpect, BeforeValidator(empty)] = Field(default_factory=DeleteExpect)


class Call(Model):
    """One step of a test: a call of Flyte's, time that goes by, or a restart of the connector."""

    create: Annotated[CreateCall | None, Field(description="Submit the job.")] = None
    get: Annotated[GetCall | None, Field(description="Ask how it is doing.")] = None
    logs: Annotated[LogsCall | None, Field(description="Read its log.")] = None
    delete: Annotated[DeleteCall | None, Field(description="Cancel it.")] = None
    after: Annotated[Duration, Field(description="So much time goes by.")] = 0.0
    restart: Annotated[Literal[True], Field(description="The connector forgets everything.")] = True

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: {} if item is None and key in CALLS else item for key, item in value.items()}
        return value

    @model_validator(mode="after")
    def _one(self) -> Call:
        if len(self.model_fields_set) != 1:
            raise ValueError(f"a call is one of {', '.join(type(self).model_fields)}")
        return self

    @property
    def kind(self) -> str:
        """Which of its fields it is."""
        return next(iter(self.model_fields_set))


class Generate(Model):
    """A secret that is made for the test."""

    generate: Annotated[
        Literal["rsa", "google_service_account"],
        Field(description="A private RSA key in PEM, or the JSON text of a Google service account with such a key."),
    ]


class Fields(Model):
    """What a test gives the connector; `defaults` are replaced by a test's own values key by key."""

    config: Annotated[dict[str, Any], Field(description="The task's config.")] = Field(default_factory=dict)
    inputs: Annotated[dict[str, Any], Field(description="The task's inputs.")] = Field(default_factory=dict)
    secrets: Annotated[
        dict[str, str | Generate | None], Field(description="The task's secrets; null: this one is missing.")
    ] = Field(default_factory=dict)
    env: Annotated[dict[str, str | None], Field(description="The connector's whole environment; null: unset.")] = Field(
        default_factory=dict
    )
    outputs: Annotated[
        dict[str, str], Field(description="The outputs that the task declares; default: the spec's.")
    ] = Field(default_factory=dict)
    task: Annotated[Task, Field(description="What is known of the task.")] = Field(default_factory=Task)


class Test(Fields):
    """One test: calls in order, with a clock and a memory of its own."""

    __test__ = False  # nothing for pytest to collect

    name: Annotated[str, Field(min_length=1, description="What holds, in a sentence.")]
    calls: Annotated[list[Call], Field(min_length=1, description="The calls, in order.")]


class ContractTests(Model):
    """A file of contract tests."""

    spec: Annotated[str | None, Field(description="The spec beside this file; default: the one of the same name.")] = (
        None
    )
    defaults: Annotated[Fields, BeforeValidator(empty), Field(description="What every test has.")] = Field(
        default_factory=Fields
    )
    tests: Annotated[list[Test], Field(min_length=1, description="The tests.")]
