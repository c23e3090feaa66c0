"""Compiles and runs `create`: one job for one attempt, or a message that says what is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from yaml_connector._clock import clock
from yaml_connector._expressions.budget import TurnOver
from yaml_connector._expressions.compile import Extraction, Value, compile_extraction, compile_extractions
from yaml_connector._expressions.json_text import as_text
from yaml_connector._expressions.scope import NO_RESPONSE, Scope
from yaml_connector._expressions.times import rfc3339
from yaml_connector._http.context import CallContext
from yaml_connector._http.json_need import lacks_json, needed_by, not_json
from yaml_connector._http.messages import Response
from yaml_connector._jobs import metrics
from yaml_connector._jobs.meta import JobMeta
from yaml_connector._jobs.steps import (
    Outcome,
    StepsPlan,
    compile_step,
    compile_steps,
    evaluate,
    read_step,
    run_steps,
)
from yaml_connector._spec.sections import Adopt, Create
from yaml_connector.errors import EvaluationError, PermanentError, TransientError

_MESSAGE_LENGTH = 4000


@dataclass(slots=True)
class CreateValues:
    """What Flyte sends with create: `inputs` and `config` as JSON can hold them, `task` as expressions see it,
    `secrets` of the task by name, `outputs` as the task declares them (name to type). A `local` run is its user's own:
    no project of Flyte's counts."""

    inputs: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    task: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    outputs: Mapping[str, str] = field(default_factory=dict)
    local: bool = False


@dataclass(frozen=True)
class SubmitPlan:
    """Steps whose response has the id of a job: those that submit it, or those that look it up."""

    steps: StepsPlan
    job_id: Extraction
    save: Value | None


@dataclass(frozen=True)
class CreatePlan:
    """The compiled `create` section."""

    task_type: str
    idempotent: bool
    submit: SubmitPlan
    adopt: SubmitPlan | None
    on_failure: tuple[StepsPlan, ...]


def compile_create(create: Create, task_type: str) -> CreatePlan:
    """Compile a `create` section."""
    cleaning = tuple(compile_step(step) for step in create.on_failure)
    return CreatePlan(
        task_type=task_type,
        idempotent=create.idempotent,
        submit=_compile_submit(create),
        adopt=_compile_submit(create.adopt) if create.adopt else None,
        on_failure=tuple(StepsPlan((step,), None, step.names) for step in cleaning),
    )


def _compile_submit(section: Create | Adopt) -> SubmitPlan:
    job_id = compile_extraction(section.job_id)
    return SubmitPlan(
        steps=compile_steps(section, own_save=False, json=needed_by(job_id, read_step(section))),
        job_id=job_id,
        save=compile_extractions(section.save) if section.save is not None else None,
    )


def _read_id(job_id: Extraction, scope: Scope) -> str | None:
    """Return the id in the response of a scope; None if there is none. Raises TransientError if it lacks the JSON that
    the id is read from."""
    identity, response = job_id.first(scope), scope.response
    if identity is None or identity == "":
        reads_body = any(name[0] == "body" for name in job_id.names)
        if reads_body and scope.response is not NO_RESPONSE and lacks_json(response, "not empty"):
            raise not_json(response)
        return None
    if isinstance(identity, list | dict):
        raise EvaluationError(f"job_id is a {type(identity).__name__}, not an id: {as_text(identity)[:200]}")
    return as_text(identity)


class _Adopted(Exception):
    """The look-up after an ambiguous create found the job."""


class AmbiguousOutcome(Exception):
    """The look-up after an ambiguous create (`failure`) failed permanently."""

    def __init__(self, failure: TransientError, look_up: Exception) -> None:
        self.failure = failure
        self.look_up = look_up


class CreateOperation:
    """One create call."""

    def __init__(self, plan: CreatePlan, context: CallContext, scope: Scope, meta: JobMeta) -> None:
        self.plan = plan
        self.context = context
        self.scope = scope
        self.meta = meta

    async def run(self) -> JobMeta:
        """Submit the job, or adopt it. Permanent failures are returned as a failed job. Raises TransientError for what
        Flyte may try again."""
        plan, outcome = self.plan, Outcome()
        try:
            if plan.adopt is not None and await self._adopt(plan.adopt):
                return self.meta
            await run_steps(plan.submit.steps, self.context, self.scope, outcome, should_resend=self._should_resend)
            return await self._submitted(outcome)
        except _Adopted:
            return self.meta
        except AmbiguousOutcome as ambiguous:
            return self._unknown(ambiguous.failure, f"; looking for it failed: {ambiguous.look_up}")
        except TransientError as failure:
            if failure.may_have_been_processed and not plan.idempotent and plan.adopt is None:
                return self._unknown(failure)
            raise
        except (PermanentError, EvaluationError) as failure:
            await self._clean_up(outcome)
            return self._failed(str(failure))

    def _failed(self, message: str) -> JobMeta:
        """Return a job that get reports as FAILED, without another request."""
        self.meta.create_error = self.context.truncate(message, _MESSAGE_LENGTH)
        return self.meta

    async def _should_resend(self, failure: TransientError) -> bool:
        """Decide whether a request that may have been processed is sent again."""
        if self.plan.idempotent:
            return True
        if self.plan.adopt is None:
            return False
        metrics.AMBIGUOUS_CREATES.labels(self.plan.task_type, "looked_up").inc()
        try:
            found = await self._adopt(self.plan.adopt)
        except (PermanentError, EvaluationError) as problem:
            raise AmbiguousOutcome(failure, problem) from None
        if found:
            raise _Adopted
        return True

    def _unknown(self, failure: TransientError, look_up: str = "") -> JobMeta:
        metrics.AMBIGUOUS_CREATES.labels(self.plan.task_type, "unknown").inc()
        when = rfc3339(datetime.fromtimestamp(clock().time(), UTC), "seconds")
        key = self.scope.task.get("key", "")
        return self._failed(
            f"it is unknown whether the job was submitted: {failure} (at {when}; task.key {key}){look_up}. Look for it "
            "there before you run the task again"
            + ("" if look_up else "; `idempotent` or `adopt` in the spec's create would settle this by itself")
        )

    # --- reading the response -----------------------------------------------------------------------------------------

    async def _submitted(self, outcome: Outcome) -> JobMeta:
        if not await self._accept(self.plan.submit, outcome):
            raise EvaluationError(self._no_id(self.plan.submit.job_id, outcome.response))
        return self.meta

    def _no_id(self, job_id: Extraction, response: Any) -> str:
        if response is None:
            return "create was skipped: the `if` of every step was false, so there is no job"
        try:
            shown = self.context.single_line(str(response.text), 300) or "nothing"
        except TurnOver:
            shown = "a large response"
        if "headers" in job_id.text and isinstance(response, Response):
            shown += f" (headers: {', '.join(response.headers)})"
        where = f"answered {response.status} without a job id at {job_id.text or 'job_id'}"
        return f"{response.method} {response.url} {where}: {shown}"

    async def _accept(self, plan: SubmitPlan, outcome: Outcome) -> bool:
        """Take over the job whose id is in the response; False if there is none."""
        read = outcome.scope(self.scope)
        try:
            identity = _read_id(plan.job_id, read)
        except TurnOver:
            identity = await self.context.read_elsewhere(_read_id, plan.job_id, read)
        if identity is None:
            return False
        self.meta.id = identity
        self.meta.created_at = clock().time()
        if plan.save is not None:
            saved = await evaluate(self.context, plan.save, "evaluate", read.with_names(job=self.meta.job)) or {}
            if not isinstance(saved, Mapping):
                raise EvaluationError("create.save must be a mapping")
            self.meta.saved = dict(saved)
        return True

    # --- looking for the job ------------------------------------------------------------------------------------------

    async def _adopt(self, adopt: SubmitPlan) -> bool:
        """Look for the job; True if it is there, and adopted."""
        self.context.events.section("adopt")
        try:
            found = await self._accept(adopt, await run_steps(adopt.steps, self.context, self.scope))
        except PermanentError as failure:
            if failure.status == 404:
                return False
            raise
        except TransientError as failure:
            failure.may_have_been_processed = False  # the look-up failed; it did not submit anything
            raise
        finally:
            self.context.events.section("create")
        if found:
            self.meta.adopted = True
            metrics.ADOPTED.labels(self.plan.task_type).inc()
        return found

    # --- after a failure ----------------------------------------------------------------------------------------------

    async def _clean_up(self, outcome: Outcome) -> None:
        if not outcome.completed:
            return
        for index, steps in enumerate(self.plan.on_failure):
            self.context.events.section(f"on_failure.{index}")
            try:
                await run_steps(steps, self.context, self.scope, Outcome(steps=dict(outcome.steps)))
            except (PermanentError, TransientError, EvaluationError) as failure:
                metrics.logger.warning(
                    "clean-up after a failed create did not work: %s", self.context.redact(str(failure))
                )
