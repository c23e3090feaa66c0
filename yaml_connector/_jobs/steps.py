"""Compiles the steps of a section, and runs them one after the other within one call."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from yaml_connector._clock import clock
from yaml_connector._expressions.budget import DECODED, TurnOver, consume_reading
from yaml_connector._expressions.compile import (
    Expression,
    Extraction,
    Value,
    compile_condition,
    compile_extraction,
    compile_extractions,
    if_given,
    names_of,
)
from yaml_connector._expressions.jinja import Reference
from yaml_connector._expressions.json_text import any_json
from yaml_connector._expressions.scope import Scope, SkippedStep
from yaml_connector._expressions.units import size_text
from yaml_connector._http import client
from yaml_connector._http.context import CallContext
from yaml_connector._http.hosts import resolve_url
from yaml_connector._http.json_need import Json, needed_by, strongest
from yaml_connector._http.memory import SMALL, Room
from yaml_connector._http.messages import CollectedResponse, Response
from yaml_connector._http.request_template import RequestPlan, compile_request
from yaml_connector._http.response_policy import SUCCESS, SuccessCriteria, compile_success
from yaml_connector._spec.requests import Calls, Request, Step
from yaml_connector._text import short
from yaml_connector.errors import CallError, EvaluationError, PermanentError, TransientError


@dataclass(frozen=True)
class StepPlan:
    """One compiled step."""

    name: str | None
    when: Expression | None
    request: RequestPlan
    follow_request: RequestPlan | None
    criteria: SuccessCriteria
    save: Value | None
    save_names: tuple[str, ...]
    optional: bool
    each: Extraction | None
    follow: Extraction | None
    follow_for: float
    collect: Extraction | None
    names: frozenset[Reference]


@dataclass(frozen=True)
class StepsPlan:
    """The compiled steps of a section, and the name of the step whose response is read (None: the last that ran)."""

    steps: tuple[StepPlan, ...]
    read: str | None
    names: frozenset[Reference]


class EachResponse:
    """The responses of a step with `each`: every name is a list, the saves are lists by name.

    `names` are the saves that the spec names: they exist without any item, too.
    """

    def __init__(self, responses: list[Response], names: Iterable[str]) -> None:
        self.responses = responses
        self.method = responses[-1].method if responses else "GET"
        self.status = [response.status for response in responses]
        self.headers = [response.joined_headers for response in responses]
        self.url = [response.url for response in responses]
        keys = dict.fromkeys([*names, *(key for response in responses for key in response.saved)])
        self.saved = {key: [response.saved.get(key) for response in responses] for key in keys}

    def forget_body(self) -> None:
        for response in self.responses:
            response.forget_body()

    @property
    def size(self) -> int:
        return sum(response.size for response in self.responses)

    @property
    def body(self) -> list[Any]:
        return [response.body if response.is_json else None for response in self.responses]

    @property
    def text(self) -> list[str]:
        return [response.text for response in self.responses]

    def __getitem__(self, key: str) -> Any:
        if key in ("status", "headers", "body", "text", "url", "saved"):
            return getattr(self, key)
        raise KeyError(key)


@dataclass(slots=True)
class Outcome:
    """How far the steps of a section came: the responses by step name (at first, those of steps that ran before), the
    response that is read (None: its step was skipped), the last URL that was followed, how many steps ran, which is
    next, and the last response."""

    steps: dict[str, Any] = field(default_factory=dict)
    response: Any = None
    cursor: str | None = None
    completed: int = 0
    position: int = 0
    last: Any = None

    def skip(self, step: StepPlan) -> None:
        """Go on after a step that is skipped: of it there is nothing but its saves, which are null."""
        self.position += 1
        if step.name is not None and step.save_names:
            self.steps[step.name] = SkippedStep(saved=dict.fromkeys(step.save_names))

    def scope(self, scope: Scope) -> Scope:
        """Return what the extractions of the section see."""
        return scope.with_steps(self.steps, self.response)


# --- compiling --------------------------------------------------------------------------------------------------------


def compile_steps(
    section: Calls,
    *,
    success: frozenset[str] = SUCCESS,
    not_found: Expression | None = None,
    own_save: bool = True,
    json: Json | None = "none",
) -> StepsPlan:
    """Compile a section's request or steps. `success` are the statuses of success of a step that names none; `json`
    says whether the response that is read must be JSON because of what the section reads; None: it is text."""
    return compile_models(section.as_steps(save=own_save), section.read, success, not_found, json)


def compile_models(
    models: Sequence[Step],
    read: str | None,
    success: frozenset[str] = SUCCESS,
    not_found: Expression | None = None,
    json: Json | None = "none",
) -> StepsPlan:
    """Compile steps, of which `read` names the one whose response is read (None: the last); see `compile_steps`."""
    steps = []
    for model in models:
        is_read = model.name == read if read else model is models[-1]
        steps.append(compile_step(model, success=success, not_found=not_found, json=json if is_read else "none"))
    return StepsPlan(tuple(steps), read, names_of(*steps))


def compile_step(
    step: Step, *, success: frozenset[str] = SUCCESS, not_found: Expression | None = None, json: Json | None = "none"
) -> StepPlan:
    """Compile one step; see `compile_steps`."""
    when = if_given(compile_condition, step.when)
    save = if_given(compile_extractions, step.save)
    each = if_given(compile_extraction, step.each)
    follow = if_given(compile_extraction, step.follow)
    request = compile_request(step.request)
    criteria = SuccessCriteria(
        success=compile_success(step.success, success),
        error=if_given(compile_condition, step.error),
        retry_if=if_given(compile_condition, step.retry_if),
        not_found=not_found,
    )
    saved = step.save.values() if isinstance(step.save, dict) else [step.save]
    collect = if_given(compile_extraction, step.collect)
    readers = [*criteria.conditions, follow, collect, *map(compile_extraction, saved)]
    if json is None:  # a condition may read the body of an error
        readers = readers[len(criteria.conditions) :]
    needs = [json or "none", *(needed_by(reader, step.name) for reader in readers)]
    return StepPlan(
        name=step.name,
        when=when,
        request=request,
        follow_request=_follow_request(step.request) if follow else None,
        criteria=replace(criteria, json=strongest(needs)),
        save=save,
        save_names=tuple(step.save) if isinstance(step.save, dict) else (),
        optional=step.optional,
        each=each,
        follow=follow,
        follow_for=step.follow_for,
        collect=collect,
        names=names_of(request, *criteria.conditions, when, save, each, follow, collect),
    )


def _follow_request(request: Request) -> RequestPlan:
    keep = {"headers", "timeout", "auth", "follow_redirects", "decode"} & request.model_fields_set
    fields = {name: getattr(request, name) for name in keep}
    followed = Request.model_construct(keep | {"method", "url"}, method="GET", url="${{ follow_url }}", **fields)
    return compile_request(followed)


def read_step(section: Calls) -> str | None:
    """Return the name of the step whose response is read if no step is skipped."""
    return section.read or section.as_steps()[-1].name


# --- running ----------------------------------------------------------------------------------------------------------


async def run_steps(
    plan: StepsPlan,
    context: CallContext,
    scope: Scope,
    outcome: Outcome | None = None,
    *,
    resend: client.Resend | None = None,
) -> Outcome:
    """Run the steps of a section and return their outcome: the given one, which is filled step by step. After a
    failure, the same outcome goes on with the step that failed.

    `resend` decides whether a request that failed for now is sent again. Raises PermanentError, TransientError or
    EvaluationError; an optional step that fails is skipped instead.
    """
    if outcome is None:
        outcome = Outcome()
    for step in plan.steps[outcome.position :]:
        last = outcome.last
        seen = scope if last is None and not outcome.steps else scope.with_steps(outcome.steps, last)
        if step.when is not None and not await evaluate(context, step.when, "evaluate", seen):
            outcome.skip(step)
            continue
        if last is not None:
            last.forget_body()
        try:
            if step.each is None:
                response: Any = await _run_step(step, context, seen, outcome, resend)
            else:
                items = [seen.with_names(item=item) for item in await evaluate(context, step.each, "every", seen)]
                responses = []
                for each in items:
                    responses.append(await _run_step(step, context, each, outcome, resend))
                    responses[-1].forget_body()
                response = EachResponse(responses, step.save_names)
        except CallError:
            if step.optional:
                outcome.skip(step)
                continue
            raise
        outcome.last = response
        outcome.completed += 1
        outcome.position += 1
        if step.name is not None:
            outcome.steps[step.name] = response
        if plan.read is None or plan.read == step.name:
            outcome.response = response
    return outcome


async def _run_step(
    step: StepPlan, context: CallContext, scope: Scope, outcome: Outcome, resend: client.Resend | None
) -> Response:
    context.events.step(step.name)
    until = clock().monotonic() + step.follow_for if step.follow is not None else 0.0
    response = await client.send(context, step.request, scope, step.criteria, resend=resend)
    if step.collect is not None:
        response = await _collect(step, context, scope, response, until)
    elif step.follow is not None and step.follow_request is not None:
        while (url := await _following(step.follow, context, scope.with_response(response))) is not None:
            outcome.cursor = url
            if clock().monotonic() >= until:
                break
            seen = scope.with_names(follow_url=url).with_response(response)
            response = await client.send(context, step.follow_request, seen, step.criteria)
    if step.save is not None:
        found = await evaluate(context, step.save, "evaluate", scope.with_response(response)) or {}
        response.saved = dict.fromkeys(step.save_names) | found
    return response


async def _collect(step: StepPlan, context: CallContext, scope: Scope, page: Response, until: float) -> Response:
    """Read on from the first page to the last; return a response whose body is the list of what all pages have.

    Raises TransientError if that is cut short: by the time `until` of the clock's `monotonic`, the largest response, or
    a page that is refused. A shorter list would look like the whole.
    """
    assert step.collect is not None
    assert step.follow is not None
    assert step.follow_request is not None
    parts: list[bytes] = []
    rooms: list[Room] = []
    size = collected = 0
    largest = context.connection.spec.max_response
    while True:
        seen = scope.with_response(page)
        try:
            part = _collected(step.collect, seen)
        except TurnOver:
            part = await context.read_elsewhere(_collected, step.collect, seen)
        size, collected = size + page.size, collected + len(part)
        if max(size, collected) > largest:
            raise _cut_short(context, page, f"its pages have more than {size_text(largest)} (max_response)")
        if part:
            parts.append(part)
        if collected > SMALL:
            rooms.append(await context.room_for(page, len(part)))
        url = await _following(step.follow, context, seen)
        if url is None:
            return CollectedResponse(page, b"[%b]" % b",".join(parts), rooms)
        if clock().monotonic() >= until:
            raise _cut_short(context, page, f"there are pages left after {step.follow_for:g} s (follow_for)")
        following = scope.with_names(follow_url=url).with_response(page)
        try:
            page = await client.send(context, step.follow_request, following, step.criteria)
        except PermanentError as failure:
            raise TransientError(str(failure), may_have_been_processed=False, status=failure.status) from None


def _collected(collect: Extraction, scope: Scope) -> bytes:
    """Return what a page has as JSON, without the brackets of the list: that takes a tenth of the memory, and the
    responses of several pages are read where the one of a single page would be."""
    found = collect.every(scope)
    consume_reading(DECODED * scope.response.size)
    return any_json(found)[1:-1]


async def _following(follow: Extraction, context: CallContext, scope: Scope) -> str | None:
    """Return the URL of the page after the response of a scope; None if that is the last one. Raises EvaluationError if
    it is not a URL."""
    link = await evaluate(context, follow, "first", scope)
    if link is None or link == "" or link is False:
        return None
    if not isinstance(link, str):
        raise EvaluationError(f"follow ({follow.text}) is {short(link)}, which is not a URL")
    return resolve_url(scope.response.url, link)


def _cut_short(context: CallContext, page: Response, why: str) -> TransientError:
    return TransientError(
        context.describe(page, f"was not read to the last page: {why}"), may_have_been_processed=False
    )


async def evaluate(context: CallContext, part: Expression | Extraction | Value, how: str, scope: Scope) -> Any:
    """Return what a part of a spec reads: by its method `how`, here or elsewhere."""
    try:
        return _evaluated(part, how, scope)
    except TurnOver:
        return await context.read_elsewhere(_evaluated, part, how, scope)


def _evaluated(part: Expression | Extraction | Value, how: str, scope: Scope) -> Any:
    return getattr(part, how)(scope)
