"""Steps: compiled at load, run one after the other within one session (section 6)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from yaml_connector._clock import clock
from yaml_connector._expressions.compile import (
    Expression,
    Extraction,
    Value,
    compile_condition,
    compile_extraction,
    compile_extractions,
)
from yaml_connector._expressions.jinja import Reference
from yaml_connector._expressions.scope import Scope
from yaml_connector._http import client
from yaml_connector._http.context import CallContext
from yaml_connector._http.hosts import resolve_url
from yaml_connector._http.messages import Response
from yaml_connector._http.request_template import RequestPlan, compile_request
from yaml_connector._http.response_policy import SuccessCriteria
from yaml_connector._jobs.reading import Lacks
from yaml_connector._spec.requests import Calls, Request, Step
from yaml_connector.errors import CallError, TransientError

Unsure = Callable[[TransientError], Awaitable[bool]]
_NO_NAMES: frozenset[Reference] = frozenset()


@dataclass(frozen=True)
class StepPlan:
    """One compiled step."""

    name: str | None
    when: Expression | None
    request: RequestPlan
    follow_request: RequestPlan | None
    judge: SuccessCriteria
    save: Value | None
    save_names: tuple[str, ...]
    optional: bool
    each: Extraction | None
    follow: Extraction | None
    follow_for: float
    names: frozenset[Reference]


@dataclass(frozen=True)
class CallPlan:
    """The compiled steps of a section, and the one whose answer is read (None: the last that ran)."""

    steps: tuple[StepPlan, ...]
    read: str | None
    names: frozenset[Reference]

    @property
    def read_step(self) -> str | None:
        """The name of the step whose answer is read if no step is skipped."""
        return self.read or (self.steps[-1].name if self.steps else None)


class EachAnswer:
    """The answers of a step with `each`: every name is a list, the saves are lists by name. `names` are the saves that
    the spec names: they are there without any item, too."""

    def __init__(self, answers: list[Response], names: Iterable[str]) -> None:
        self.answers = answers
        self.method = answers[-1].method if answers else "GET"
        self.status = [answer.status for answer in answers]
        self.headers = [answer.headers for answer in answers]
        self.url = [answer.url for answer in answers]
        keys = dict.fromkeys([*names, *(key for answer in answers for key in answer.saved)])
        self.saved = {key: [answer.saved.get(key) for answer in answers] for key in keys}

    is_json = True

    @property
    def body(self) -> list[Any]:
        return [answer.body if answer.is_json else None for answer in self.answers]

    @property
    def text(self) -> list[str]:
        return [answer.text for answer in self.answers]

    def __getitem__(self, key: str) -> Any:
        if key in ("status", "headers", "body", "text", "url", "saved"):
            return getattr(self, key)
        raise KeyError(key)


@dataclass(slots=True)
class Outcome:
    """What a call gave: the answers by step, the one that is read (None: skipped), and the last URL to follow."""

    steps: dict[str, Any] = field(default_factory=dict)
    answer: Any = None
    cursor: str | None = None
    went_through: int = 0

    def scope(self, names: Scope, **more: Any) -> Scope:
        """What extractions of this call see."""
        return names.with_names(steps=self.steps, **more).with_response(self.answer)


def compile_calls(
    section: Calls,
    *,
    default_success: frozenset[str] = frozenset({"2xx"}),
    not_found: Expression | None = None,
    own_save: bool = True,
) -> CallPlan:
    """Compile a section's request or steps."""
    models = section.as_steps(save=own_save)
    steps = tuple(compile_step(step, default_success=default_success, not_found=not_found) for step in models)
    return CallPlan(steps, section.read, frozenset().union(*(step.names for step in steps)))


def compile_step(
    step: Step,
    *,
    default_success: frozenset[str] = frozenset({"2xx"}),
    not_found: Expression | None = None,
) -> StepPlan:
    """Compile one step."""
    when = _condition(step.when)
    error = _condition(step.error)
    retry_if = _condition(step.retry_if)
    save = compile_extractions(step.save) if step.save is not None else None
    each = compile_extraction(step.each) if step.each is not None else None
    follow = compile_extraction(step.follow) if step.follow is not None else None
    request = compile_request(step.request)
    saves_by_path = isinstance(step.save, dict) and any(
        isinstance(item, str) and item.startswith("$") and not item.startswith("${{") for item in step.save.values()
    )
    return StepPlan(
        name=step.name,
        when=when,
        request=request,
        follow_request=_follow_request(step.request) if follow else None,
        judge=SuccessCriteria(
            success=frozenset(map(str, step.success)) if step.success else default_success,
            error=error,
            retry_if=retry_if,
            requires_json=saves_by_path or (follow is not None and follow.is_path),
            not_found=not_found,
        ),
        save=save,
        save_names=tuple(step.save) if isinstance(step.save, dict) else (),
        optional=step.optional,
        each=each,
        follow=follow,
        follow_for=step.follow_for,
        names=request.names.union(
            *(part.names for part in (when, error, retry_if, save, each, follow) if part is not None),
        ),
    )


def _follow_request(request: Request) -> RequestPlan:
    keep = {"headers", "timeout", "auth", "follow_redirects"} & request.model_fields_set
    fields = {name: getattr(request, name) for name in keep}
    followed = Request.model_construct(keep | {"method", "url"}, method="GET", url="${{ follow_url }}", **fields)
    return compile_request(followed)


def _condition(source: str | bool | None) -> Expression | None:
    return compile_condition(source) if source is not None else None


async def run_calls(
    plan: CallPlan,
    session: CallContext,
    names: Scope,
    *,
    unsure: Unsure | None = None,
    lacks: Lacks | None = None,
    before: Outcome | None = None,
    progress: Outcome | None = None,
) -> Outcome:
    """Run a call. `names` is what expressions see; `unsure` decides whether a request that may have arrived is sent
    again (default: yes); `lacks` is asked whether an answer that is no JSON, in the step that is read, lacks what is
    read from it; `before` are steps that are in sight too; `progress` is filled step by step, for those who need to
    know how far a failed call came.

    Raises PermanentError, TransientError or EvaluationError; steps that are optional are skipped instead.
    """
    outcome = progress if progress is not None else Outcome()
    if before is not None:
        outcome.steps.update(before.steps)
    last: Any = None
    for number, step in enumerate(plan.steps):
        scope = names.with_names(steps=outcome.steps).with_response(last)
        if step.when is not None and not step.when.evaluate(scope):
            continue
        is_read = step.name == plan.read if plan.read is not None else number == len(plan.steps) - 1
        asked = _asking(step, lacks, scope) if lacks is not None and is_read else None
        try:
            if step.each is None:
                answer: Any = await _run_step(step, session, scope, unsure, asked, outcome)
            else:
                items = [scope.with_names(item=item) for item in step.each.every(scope)]
                answers = [await _run_step(step, session, each, unsure, asked, outcome) for each in items]
                answer = EachAnswer(answers, step.save_names)
        except CallError:
            if step.optional:
                continue
            raise
        last = answer
        outcome.went_through += 1
        if step.name is not None:
            outcome.steps[step.name] = answer
        if plan.read is None or plan.read == step.name:
            outcome.answer = answer
    return outcome


def _asking(step: StepPlan, lacks: Lacks, scope: Scope) -> Callable[[Response], bool]:
    def asked(answer: Response) -> bool:
        steps = scope.steps if step.name is None else {**scope.steps, step.name: answer}
        return lacks(scope.with_names(steps=steps).with_response(answer))

    return asked


async def _run_step(
    step: StepPlan,
    session: CallContext,
    scope: Scope,
    unsure: Unsure | None,
    lacks: Callable[[Response], bool] | None,
    outcome: Outcome,
) -> Response:
    began = clock().monotonic() if step.follow is not None else 0.0
    answer = await client.send(session, step.request, scope, step.judge, should_resend=unsure, lacks=lacks)
    if step.follow is not None and step.follow_request is not None:
        while (link := step.follow.first(scope.with_response(answer))) is not None and link != "":
            url = outcome.cursor = resolve_url(answer.url, str(link))
            if clock().monotonic() - began >= step.follow_for:
                break
            followed = scope.with_names(follow_url=url).with_response(answer)
            answer = await client.send(session, step.follow_request, followed, step.judge, lacks=lacks)
    if step.save is not None:
        answer.saved = step.save.evaluate(scope.with_response(answer)) or {}
    return answer
