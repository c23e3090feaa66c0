"""The sections of a job's life: create, get, result, delete, logs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from yaml_connector._expressions.value_types import parse_duration
from yaml_connector._spec.fields import (
    DURATION,
    Condition,
    Duration,
    DurationText,
    Extract,
    ExtractMap,
    GivenExtract,
    Model,
    ReadExtract,
    Text,
)
from yaml_connector._spec.phases import Phase
from yaml_connector._spec.requests import Calls, Request, Step, Success
from yaml_connector._text import short_yaml
from yaml_connector.errors import EvaluationError

Scalar = str | int | float | bool | None


def _idempotent(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    try:
        return parse_duration(value)
    except EvaluationError:
        words = {"yes": "; write true", "true": "; write true", "no": "; write false", "false": "; write false"}
        meant = words.get(str(value).strip(" ,;.").lower(), "")
        raise ValueError(f"must be true, false or a duration such as 24h, not {short_yaml(value)}{meant}") from None


Idempotent = Annotated[
    bool | float,
    BeforeValidator(_idempotent),
    WithJsonSchema(
        {
            "anyOf": [{"type": "boolean"}, {"type": "string", "pattern": f"^{DURATION}$"}],
            "examples": [True, "90d"],
        }
    ),
]
_IDEMPOTENT = 86400.0  # seconds that `idempotent: true` stands for: most APIs keep keys for a day


class Adopt(Calls):
    """Look for an existing job before submitting one."""

    job_id: Annotated[
        GivenExtract,
        Field(description="The id of a job that exists already. If it is not null, that job is taken over."),
    ]
    save: Annotated[
        ExtractMap | None,
        Field(description="Values to keep from the response, as `job.NAME`, if the job is taken over."),
    ] = None


class Create(Calls):
    """Submit the job."""

    job_id: Annotated[
        GivenExtract, Field(description="The id of the new job, kept as the string `job.id`.", examples=["$.id"])
    ]
    save: Annotated[ExtractMap | None, Field(description="Values to keep from the response, as `job.NAME`.")] = None
    idempotent: Annotated[
        Idempotent,
        Field(
            description="The API deduplicates repeated create requests, so it is safe to send one again: "
            "for this long, or for 24h if true.",
        ),
    ] = False
    adopt: Annotated[Adopt | None, Field(description="Look for an existing job before submitting one.")] = None
    on_failure: Annotated[
        list[Step],
        Field(
            description="Requests that clean up after an earlier step succeeded, when a later one fails permanently or "
            "the job ends without having been submitted."
        ),
    ] = Field(default_factory=list)
    tolerance: Annotated[
        Duration,
        Field(
            description="How long get goes on trying to submit a job, if its create is repeatable "
            "(`idempotent` or `adopt`)."
        ),
    ] = 600.0

    @property
    def idempotent_for(self) -> float:
        """How long a repeated create makes no second job, in seconds; 0 if it may make one."""
        if isinstance(self.idempotent, bool):
            return _IDEMPOTENT if self.idempotent else 0.0
        return self.idempotent


class Rule(Model):
    """A phase rule: `path` and `map`, or `is` with an optional `when`."""

    path: Annotated[
        ReadExtract, Field(description="Where the job's state is in the response.", examples=["$.status"])
    ] = None
    map: Annotated[
        dict[Phase, list[Scalar]] | None, Field(description="For each phase, the states of the API that mean it.")
    ] = None
    when: Annotated[
        Condition | None, Field(description="The condition under which the rule holds. Default: always.")
    ] = None
    phase: Annotated[Phase | None, Field(alias="is", description="The phase of the job if the rule holds.")] = None

    @model_validator(mode="after")
    def _one_form(self) -> Rule:
        if self.phase is not None:
            if self.path is not None or self.map is not None:
                raise ValueError("a rule has either path and map, or when and is")
        elif self.path is None or self.map is None:
            missing = "is" if self.when is not None else "map" if self.path is not None else "path"
            raise ValueError(f"a rule has either path and map, or when and is: {missing} is missing")
        return self


class Link(Model):
    """A link that Flyte's UI shows."""

    name: Annotated[Text, Field(description="The name of the link in the UI.")]
    url: Annotated[
        Extract, Field(description="The URL of the link. If it is null, there is no link.", examples=["$.url"])
    ]
    when: Annotated[
        Condition | None, Field(alias="if", description="If this condition is false, the link is not shown.")
    ] = None


class Poll(Model):
    """How often the API is asked about the job, and what a failed request means."""

    min_interval: Annotated[
        Duration, Field(description="Minimum time between polls; earlier polls return the cached status.")
    ] = 0.0
    not_found: Annotated[
        Condition, Field(description="If true for a response that is not a success, the API does not know the job.")
    ] = "status in [404, 410]"
    not_found_grace: Annotated[
        Duration, Field(description="How long after create an unknown job counts as QUEUED. Later it counts as FAILED.")
    ] = 60.0
    tolerance: Annotated[Duration, Field(description="How long a job may stay unreadable before it is given up.")] = (
        600.0
    )
    give_up: Annotated[
        Literal["FAILED", "RETRYABLE_FAILED"], Field(description="The phase of a job that is given up.")
    ] = "FAILED"
    timeout: Annotated[
        DurationText | None,
        Field(
            description="The time limit of a job, counted from create. A job that has not ended by then is "
            "cancelled and given up. A duration, or a template over `config` that returns one, or "
            "seconds; null: no limit.",
            examples=["2h", "${{ config.hours * 3600 }}"],
        ),
    ] = None


class Batch(Model):
    """Ask about many jobs in one request."""

    request: Annotated[Request, Field(description="The request. `jobs` is the list of jobs to ask about.")]
    items: Annotated[GivenExtract, Field(description="The list of jobs in the response.", examples=["$.jobs[*]"])]
    id: Annotated[GivenExtract, Field(description="The job id of an item of that list.", examples=["$.id"])]
    max: Annotated[int, Field(ge=1, description="The most jobs in one request.")] = 100
    window: Annotated[Duration, Field(description="How long a poll waits for others to share its request.")] = 0.05
    success: Annotated[
        Success | None, Field(description="The statuses that count as success, or a condition. Default: [2xx].")
    ] = None


class Get(Calls):
    """Ask about the state of the job."""

    phase: Annotated[
        list[Rule],
        Field(
            min_length=1,
            description="How the state is mapped to a phase: one rule, or a list of rules, of which the first "
            "that holds counts.",
        ),
    ]
    message: Annotated[
        Extract, Field(description="A message about the job's state, for the UI.", examples=["$.message"])
    ] = None
    info: Annotated[
        ExtractMap | None,
        Field(
            description="Values that Flyte keeps as the task's custom info. Numbers that a double cannot hold "
            "are strings."
        ),
    ] = None
    links: Annotated[list[Link], Field(description="Links that Flyte's UI shows.")] = Field(default_factory=list)
    poll: Annotated[
        Poll, Field(description="How often the API is asked about the job, and what a failed request means.")
    ] = Field(default_factory=Poll)
    batch: Annotated[Batch | None, Field(description="Ask about many jobs in one request.")] = None

    @model_validator(mode="before")
    @classmethod
    def _one_rule(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("phase"), dict):
            return {**value, "phase": [value["phase"]]}
        return value


class Result(Calls):
    """Fetch the outputs, once, after the job has succeeded."""


class Delete(Calls):
    """Cancel the job."""

    always: Annotated[
        bool,
        Field(
            description="If true, the requests are sent even if the job is over, and without asking get "
            "first. For a phase rule that fails a job that still runs."
        ),
    ] = False
    tolerance: Annotated[
        Duration,
        Field(description="How long a delete that fails is repeated. After that it counts as done."),
    ] = 600.0


class Logs(Calls):
    """Read the log of the job."""

    format: Annotated[Literal["json", "text", "ndjson", "sse"], Field(description="The format of the response.")] = (
        "json"
    )
    lines: Annotated[
        ReadExtract,
        Field(description="The list of log lines in the response. Required for json.", examples=["$.lines[*]"]),
    ] = None
    keep: Annotated[Condition, Field(description="A condition on each line. If it is false, the line is left out.")] = (
        True
    )
    message: Annotated[
        Extract, Field(description="The text of a line. Default: the whole line.", examples=["$.text"])
    ] = None
    timestamp: Annotated[Extract, Field(description="The time of a line.", examples=["$.time"])] = None
    level: Annotated[Extract, Field(description="The level of a line.", examples=["$.level"])] = None
    next: Annotated[
        ReadExtract,
        Field(
            description="The token of the next page, whose request sees it as `page.token`. Null on the last "
            "page; under `each`, the last page is read again.",
            examples=["$.next"],
        ),
    ] = None
    more: Annotated[
        Condition,
        Field(
            description="If this condition is false, this page is the last one; under `each`, the last one of its item."
        ),
    ] = True
    reverse: Annotated[bool, Field(description="If true, the API returns the newest line first.")] = False
    max_time: Annotated[Duration, Field(description="How long a stream that stays open is read in one call.")] = 5.0
    settle: Annotated[
        Duration,
        Field(
            description="After the end of the job, local runs and `run` read its log until nothing new has "
            "come for this long, at most 30 s."
        ),
    ] = 3.0

    @model_validator(mode="after")
    def _lines_for_json(self) -> Logs:
        if self.format == "json" and self.lines is None:
            raise ValueError("lines is required for format json")
        return self

    def _check_calls(self) -> None:
        if self.each is not None and self.steps is not None:
            if self.request is None:
                raise ValueError("each needs a request beside the steps, made for each item")
            self._check_steps_alone(("follow", "follow_for", "collect"))
            return
        super()._check_calls()

    def steps_before(self) -> list[Step]:
        """Return the steps that find the items of `each`; none without it."""
        return list(self.steps or []) if self.each is not None else []

    def item_step(self) -> Step:
        """Return the request that is made for each item, as a step."""
        return self.model_copy(update={"each": None})
