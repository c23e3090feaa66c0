"""The models of a file of contract tests, `NAME.test.yaml`: unknown fields are refused, and no value is coerced."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from yaml_connector._expressions.regex import compile_regex
from yaml_connector._expressions.value_types import parse_duration
from yaml_connector._spec.fields import DURATION, Duration, Model, with_value_error
from yaml_connector._spec.phases import Phase
from yaml_connector._spec.task_fields import Task
from yaml_connector._text import short
from yaml_connector.errors import EvaluationError
from yaml_connector.testing.recorded import RecordedExchange, empty

CALLS = ("create", "get", "logs", "delete")


def _regex(value: str) -> str:
    if value.startswith("/") and value.endswith("/") and len(value) > 1:
        value = value[1:-1]
    with_value_error(compile_regex)(value)
    return value


def _clock_step(value: Any) -> float:
    sign = -1.0 if isinstance(value, str) and value.startswith("-") else 1.0
    try:
        seconds = parse_duration(value[1:] if isinstance(value, str) and value[:1] in ("+", "-") else value)
    except EvaluationError:
        raise ValueError(f"{short(value)} is not a valid step; write it as +1h or -30m") from None
    if seconds > _LARGEST_STEP:
        raise ValueError("a step may not be longer than 3650d")
    return sign * seconds


_LARGEST_STEP = 3650 * 86400.0
ClockStep = Annotated[
    float,
    BeforeValidator(_clock_step),
    WithJsonSchema({"type": "string", "pattern": f"^[+-]?{DURATION}$", "examples": ["+1h", "-30m"]}),
]


class ExpectedLink(Model):
    """A link that the UI shows."""

    name: Annotated[str, Field(description="The name that the UI shows.")]
    url: Annotated[str, Field(description="The URL that it opens.")]


Error = Annotated[
    str, AfterValidator(_regex), Field(description="A regular expression that the raised error must match.")
]
Links = Annotated[list[ExpectedLink], Field(description="All links, in order.")]
Message = Annotated[str | None, Field(description="The message; null: there is none.")]


Submitted = Annotated[bool, Field(description="Whether the job is submitted; false: get tries it again.")]


class CreateExpect(Model):
    """The expected result of create: `phase` and `message` only if it failed permanently, `links` as known from the
    start."""

    job_id: Annotated[str, Field(description="The job's id.")] = ""
    saved: Annotated[dict[str, Any], Field(description="The values that create.save stored.")] = Field(
        default_factory=dict
    )
    adopted: Annotated[bool, Field(description="Whether an existing job was adopted.")] = False
    submitted: Submitted = True
    phase: Annotated[Literal["FAILED"] | None, Field(description="FAILED if create failed permanently, else null.")] = (
        None
    )
    message: Message = None
    links: Links = Field(default_factory=list)
    error: Error = ""


class GetExpect(Model):
    """The expected result of get."""

    phase: Annotated[Phase, Field(description="The phase.")] = "RUNNING"
    submitted: Submitted = True
    message: Message = None
    outputs: Annotated[dict[str, Any], Field(description="All outputs by name.")] = Field(default_factory=dict)
    links: Links = Field(default_factory=list)
    info: Annotated[dict[str, Any], Field(description="The task's custom info.")] = Field(default_factory=dict)


class LogsExpect(Model):
    """The expected result of one call for logs."""

    lines: Annotated[list[str], Field(description="The text of each line.")] = Field(default_factory=list)
    next: Annotated[bool, Field(description="Whether there is a token for the next page.")] = False
    error: Error = ""


class DeleteExpect(Model):
    """The expected result of delete: nothing, or an error."""

    error: Error = ""


Exchanges = Annotated[
    list[RecordedExchange],
    BeforeValidator(lambda value: [] if value is None else value),
    Field(description="The requests and their responses, in order."),
]


EXPECT = Field(description="The result that the call must have. Only the fields that are given are compared.")


class CreateCall(Model):
    """A call of create."""

    exchanges: Exchanges = Field(default_factory=list)
    expect: Annotated[CreateExpect, BeforeValidator(empty), EXPECT] = Field(default_factory=CreateExpect)


class GetCall(Model):
    """A call of get."""

    exchanges: Exchanges = Field(default_factory=list)
    expect: Annotated[GetExpect, BeforeValidator(empty), EXPECT] = Field(default_factory=GetExpect)


class LogsCall(Model):
    """A call of logs."""

    token: Annotated[
        str | None, Field(description='Default: the token that the last call returned; "": from the start.')
    ] = None
    exchanges: Exchanges = Field(default_factory=list)
    expect: Annotated[LogsExpect, BeforeValidator(empty), EXPECT] = Field(default_factory=LogsExpect)


class DeleteCall(Model):
    """A call of delete."""

    exchanges: Exchanges = Field(default_factory=list)
    expect: Annotated[DeleteExpect, BeforeValidator(empty), EXPECT] = Field(default_factory=DeleteExpect)


class Generate(Model):
    """A secret that is generated for the test."""

    generate: Annotated[
        Literal["rsa", "google_service_account"],
        Field(description="A private RSA key in PEM, or the JSON text of a Google service account with such a key."),
    ]


class Call(Model):
    """One step of a test: a call that Flyte makes, time that passes, a step of the wall clock, a restart of the
    connector, or new values of secrets."""

    create: Annotated[CreateCall | None, Field(description="Submit the job.")] = None
    get: Annotated[GetCall | None, Field(description="Read its state.")] = None
    logs: Annotated[LogsCall | None, Field(description="Read its log.")] = None
    delete: Annotated[DeleteCall | None, Field(description="Cancel it.")] = None
    after: Annotated[Duration, Field(description="Let this much time pass.")] = 0.0
    clock: Annotated[ClockStep, Field(description="Set the wall clock forward or backward; no time passes.")] = 0.0
    restart: Annotated[
        Literal[True], Field(description="Restart the connector: it forgets what it has remembered.")
    ] = True
    secrets: Annotated[
        dict[str, str | Generate | None],
        Field(min_length=1, description="New values of the task's secrets; null: this secret is missing from here on."),
    ] = Field(default_factory=dict)

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
        """Return the name of the one field that is set."""
        return next(iter(self.model_fields_set))

    @property
    def exchanges(self) -> list[RecordedExchange]:
        """Return the exchanges of the call; none for what is not a call of Flyte."""
        return getattr(self, self.kind).exchanges if self.kind in CALLS else []


class ContainerError(Model):
    """The error that the container of a task left in Flyte's storage."""

    message: Annotated[str, Field(description="What was raised, and its traceback.")]
    recoverable: Annotated[bool, Field(description="Whether another attempt may succeed.")] = False


class TestTask(Task):
    """The values of `task.*`, and what the task's container left."""

    __test__ = False  # nothing for pytest to collect

    container_error: Annotated[
        ContainerError | None,
        Field(description="With `runs: container`: the error that the container left. Default: it left outputs."),
    ] = None


class Fields(Model):
    """The values that a test passes to the connector. A test's own values replace those of `defaults` key by key."""

    config: Annotated[dict[str, Any], Field(description="The task's config.")] = Field(default_factory=dict)
    inputs: Annotated[dict[str, Any], Field(description="The task's inputs.")] = Field(default_factory=dict)
    secrets: Annotated[
        dict[str, str | Generate | None], Field(description="The task's secrets; null: this secret is missing.")
    ] = Field(default_factory=dict)
    env: Annotated[
        dict[str, str | None],
        Field(description="The environment variables of the connector, all of them; null: this one is not set."),
    ] = Field(default_factory=dict)
    outputs: Annotated[
        dict[str, str], Field(description="The outputs that the task declares; default: the spec's.")
    ] = Field(default_factory=dict)
    task: Annotated[TestTask, Field(description="The values of task.*.")] = Field(default_factory=TestTask)


class Test(Fields):
    """One test: calls in order, with its own clock and its own cache."""

    __test__ = False  # nothing for pytest to collect

    name: Annotated[str, Field(min_length=1, description="What the test shows, in a sentence.")]
    calls: Annotated[list[Call], Field(min_length=1, description="The calls, in order.")]


class ContractTests(Model):
    """A file of contract tests."""

    spec: Annotated[str | None, Field(description="The spec beside this file; default: the one of the same name.")] = (
        None
    )
    defaults: Annotated[Fields, BeforeValidator(empty), Field(description="Values for every test.")] = Field(
        default_factory=Fields
    )
    tests: Annotated[list[Test], Field(min_length=1, description="The tests.")]
