"""The sections of a job's life: create, get, result, delete, logs (sections 7 to 9), and the spec as a whole."""

from __future__ import annotations

from math import isfinite
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from yaml_connector._expressions.json_text import as_text
from yaml_connector._spec.connection import Connection
from yaml_connector._spec.fields import Condition, Duration, Extract, ExtractMap, Model, Name, Text
from yaml_connector._spec.interface import RESERVED_SECRETS, ConfigField, InputField, OutputField, Secret
from yaml_connector._spec.phases import Phase
from yaml_connector._spec.requests import Calls, Request, Step
from yaml_connector._text import short

Scalar = str | int | float | bool | None


class Adopt(Calls):
    """Look for the job before it is submitted."""

    job_id: Annotated[Extract, Field(description="Not null: this job is taken over.")]
    save: Annotated[ExtractMap | None, Field(description="Kept as `job.NAME` of a job that was taken over.")] = None


class Create(Calls):
    """Submit the job."""

    job_id: Annotated[Extract, Field(description="Becomes `job.id`, a string.", examples=["$.id"])]
    save: Annotated[ExtractMap | None, Field(description="Kept as `job.NAME`.")] = None
    idempotent: Annotated[bool, Field(description="The API makes one job of the same create sent twice.")] = False
    adopt: Annotated[Adopt | None, Field(description="Look for the job first.")] = None
    on_failure: Annotated[list[Step], Field(description="Cleans up after an earlier step went through.")] = Field(
        default_factory=list
    )


class Rule(Model):
    """A phase rule: `path` and `map`, or `is` with an optional `when`."""

    path: Annotated[Extract, Field(description="Where the state is read.", examples=["$.status"])] = None
    map: Annotated[dict[Phase, list[Scalar]] | None, Field(description="A phase to the states that mean it.")] = None
    when: Annotated[Condition | None, Field(description="When the rule holds; default: always.")] = None
    phase: Annotated[Phase | None, Field(alias="is", description="The phase then.")] = None

    @model_validator(mode="after")
    def _one_form(self) -> Rule:
        if self.phase is not None:
            if self.path is not None or self.map is not None:
                raise ValueError("a rule has either path and map, or when and is")
        elif self.path is None or self.map is None:
            missing = "is" if self.when is not None else "map" if self.path is not None else "path"
            raise ValueError(f"a rule has either path and map, or when and is: {missing} is missing")
        seen: dict[str, str] = {}
        for phase, values in (self.map or {}).items():
            for value in values:
                if isinstance(value, float) and not isfinite(value):
                    raise ValueError(f"{value} is no state")
                key = as_text(value).casefold()
                if seen.setdefault(key, phase) != phase:
                    raise ValueError(f"the value {short(value)} stands under {seen[key]} and under {phase}")
        return self


class Link(Model):
    """A link that the UI shows."""

    name: Annotated[Text, Field(description="What the UI calls it.")]
    url: Annotated[Extract, Field(description="Where it leads; null: no link.", examples=["$.url"])]
    when: Annotated[Condition | None, Field(alias="if", description="Shown if this is true.")] = None


class Poll(Model):
    """How often the job is asked for, and what a failed call means."""

    min_interval: Annotated[Duration, Field(description="Earlier gets are answered from memory.")] = 0.0
    not_found: Annotated[Condition, Field(description="True of an answer: the API does not know the job.")] = (
        "status in [404, 410]"
    )
    not_found_grace: Annotated[Duration, Field(description="Not found this soon after create: QUEUED.")] = 60.0
    tolerance: Annotated[Duration, Field(description="How long a job may be unreadable.")] = 600.0
    give_up: Annotated[Literal["FAILED", "RETRYABLE_FAILED"], Field(description="The phase after that.")] = "FAILED"


class Batch(Model):
    """Many jobs in one request."""

    request: Annotated[Request, Field(description="The request; `jobs` are those asked for.")]
    items: Annotated[Extract, Field(description="The list of jobs in the answer.", examples=["$.jobs[*]"])]
    id: Annotated[Extract, Field(description="The id of an item.", examples=["$.id"])]
    max: Annotated[int, Field(ge=1, description="Jobs in one request.")] = 100
    window: Annotated[Duration, Field(description="Gets that arrive within it share a request.")] = 0.05
    success: Annotated[list[int | str] | None, Field(description="What counts as an answer.")] = None


class Get(Calls):
    """Ask how the job is doing."""

    phase: Annotated[list[Rule], Field(min_length=1, description="One rule or a list: the first that holds counts.")]
    message: Annotated[Extract, Field(description="What the job says of itself.", examples=["$.message"])] = None
    info: Annotated[ExtractMap | None, Field(description="Shown as the task's custom info.")] = None
    links: Annotated[list[Link], Field(description="Links for the UI.")] = Field(default_factory=list)
    poll: Annotated[Poll, Field(description="How often, and what failures mean.")] = Field(default_factory=Poll)
    batch: Annotated[Batch | None, Field(description="Many jobs in one request.")] = None

    @model_validator(mode="before")
    @classmethod
    def _one_rule(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("phase"), dict):
            return {**value, "phase": [value["phase"]]}
        return value


class Result(Calls):
    """Called once when the job has succeeded; outputs read its answer."""


class Delete(Calls):
    """Cancel the job."""


class Logs(Calls):
    """Read the job's log."""

    format: Annotated[Literal["json", "text", "ndjson", "sse"], Field(description="The answer's form.")] = "json"
    lines: Annotated[Extract, Field(description="The list of lines; required for json.", examples=["$.lines[*]"])] = (
        None
    )
    keep: Annotated[Condition, Field(description="Lines for which this is false are left out.")] = True
    message: Annotated[Extract, Field(description="A line's text; default: the whole line.", examples=["$.text"])] = (
        None
    )
    timestamp: Annotated[Extract, Field(description="A line's time.", examples=["$.time"])] = None
    level: Annotated[Extract, Field(description="A line's level.", examples=["$.level"])] = None
    next: Annotated[Extract, Field(description="The next page's `page.token`; null ends.", examples=["$.next"])] = None
    more: Annotated[Condition, Field(description="false ends the paging here.")] = True
    reverse: Annotated[bool, Field(description="The API gives the newest line first.")] = False
    max_time: Annotated[Duration, Field(description="For streams that stay open.")] = 5.0

    @model_validator(mode="after")
    def _lines_for_json(self) -> Logs:
        if self.format == "json" and self.lines is None:
            raise ValueError("lines is required for format json")
        return self

    def _check_calls(self) -> None:
        if self.each is not None and self.steps is not None:
            if self.request is None:
                raise ValueError("each needs a request beside the steps, made for each item")
            self._check_steps_alone(("follow", "follow_for"))
            return
        super()._check_calls()

    def steps_before(self) -> list[Step]:
        """The steps that find the items of `each`; none without it."""
        return list(self.steps or []) if self.each is not None else []

    def item_step(self) -> Step:
        """The request that is made for each item."""
        step = self._own_step(save=True)
        return step.model_copy(update={"each": None})


class ConnectorSpec(Model):
    """A connector: how one asynchronous job API is driven."""

    spec_version: Annotated[Literal[1], Field(description="The version of the language: 1.")]
    task_type_name: Annotated[
        str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.-]*$", description="Flyte's name of the task type.")
    ]
    task_type_version: Annotated[int, Field(ge=0, description="Flyte's version of the task type.")] = 0
    name: Annotated[str | None, Field(min_length=1, description="What people call it.")] = None
    description: Annotated[str | None, Field(description="What it does.")] = None
    connection: Annotated[Connection, Field(description="Where requests go.")]
    secrets: Annotated[dict[Name, Secret], Field(description="The secrets that requests may use.")] = Field(
        default_factory=dict
    )
    config: Annotated[dict[Name, ConfigField], Field(description="The task's typed configuration.")] = Field(
        default_factory=dict
    )
    inputs: Annotated[dict[Name, InputField] | None, Field(description="The task's inputs; without: any.")] = None
    outputs: Annotated[dict[str, OutputField], Field(description="The task's outputs.")] = Field(default_factory=dict)
    create: Annotated[Create, Field(description="How a job is submitted.")]
    get: Annotated[Get | None, Field(description="Ask how it is doing.")] = None
    result: Annotated[Result | None, Field(description="Fetch what it gave.")] = None
    delete: Annotated[Delete | None, Field(description="Cancel it.")] = None
    logs: Annotated[Logs | None, Field(description="Read its log.")] = None

    @property
    def title(self) -> str:
        """What people call it."""
        return self.name or self.task_type_name

    @model_validator(mode="after")
    def _secret_names(self) -> ConnectorSpec:
        for name in RESERVED_SECRETS:
            if name in self.secrets:
                raise ValueError(f"a secret cannot be called {name!r}: Flyte passes something else by that name")
        return self
