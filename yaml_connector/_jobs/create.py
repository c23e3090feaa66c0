"""Create (section 7): one job for one attempt, or a message that says what is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from yaml_connector._clock import clock
from yaml_connector._expressions.json_text import as_text
from yaml_connector._expressions.scope import Scope
from yaml_connector._http.context import CallContext
from yaml_connector._http.messages import Response
from yaml_connector._jobs import metrics
from yaml_connector._jobs.compiled_spec import CompiledSpec
from yaml_connector._jobs.meta import JobMeta
from yaml_connector._jobs.reading import lacking
from yaml_connector._jobs.steps import CallPlan, Outcome, run_calls
from yaml_connector.errors import EvaluationError, PermanentError, TransientError


@dataclass(slots=True)
class CreateValues:
    """What Flyte sends with create: `inputs` and `config` as JSON can hold them, `task` as section 3 lists it,
    `secrets` of the task by name, `outputs` as the task declares them (name to type)."""

    inputs: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    task: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    outputs: Mapping[str, str] = field(default_factory=dict)


class _Adopted(Exception):
    """The look-up after a doubtful create found the job."""


class AmbiguousOutcome(Exception):
    """The look-up after a doubtful create (`failure`) failed for good."""

    def __init__(self, failure: TransientError, look_up: Exception) -> None:
        self.failure = failure
        self.look_up = look_up


class CreateOperation:
    """One create call."""

    def __init__(
        self, plan: CompiledSpec, values: CreateValues, session: CallContext, names: Scope, meta: JobMeta
    ) -> None:
        self.plan = plan
        self.values = values
        self.session = session
        self.names = names
        self.meta = meta
        self.task_type = plan.spec.task_type_name

    async def run(self) -> JobMeta:
        """Submit the job, or take it over. Raises TransientError for what Flyte may try again; what no retry mends
        comes back as a job that failed."""
        progress = Outcome()
        try:
            if self.plan.adopt is not None and await self._adopt():
                return self.meta
            outcome = await run_calls(
                self.plan.create,
                self.session,
                self.names,
                unsure=self._should_resend,
                lacks=self.plan.job_id_lacks,
                progress=progress,
            )
            return self._submitted(outcome)
        except _Adopted:
            return self.meta
        except AmbiguousOutcome as doubt:
            return self._unknown(doubt.failure, f"; looking for it failed: {doubt.look_up}")
        except TransientError as failure:
            if failure.may_have_been_processed and not self.plan.spec.create.idempotent and self.plan.adopt is None:
                return self._unknown(failure)
            raise
        except (PermanentError, EvaluationError) as failure:
            await self._clean_up(progress)
            return self.failed(str(failure))

    def failed(self, message: str) -> JobMeta:
        """A job that get reports as FAILED, without another request."""
        self.meta.failed = self.session.truncate(message, 4000)
        return self.meta

    async def _should_resend(self, failure: TransientError) -> bool:
        """Is a request sent again that may have arrived?"""
        if self.plan.spec.create.idempotent:
            return True
        if self.plan.adopt is None:
            return False
        metrics.AMBIGUOUS_CREATES.labels(self.task_type, "looked_up").inc()
        try:
            found = await self._adopt()
        except (PermanentError, EvaluationError) as problem:
            raise AmbiguousOutcome(failure, problem) from None
        if found:
            raise _Adopted
        return True

    def _unknown(self, failure: TransientError, look_up: str = "") -> JobMeta:
        metrics.AMBIGUOUS_CREATES.labels(self.task_type, "unknown").inc()
        when = datetime.fromtimestamp(clock().time(), UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        key = self.values.task.get("key", "")
        return self.failed(
            f"it is unknown whether the job was submitted: {failure} (at {when}; task.key {key}){look_up}. Look for it "
            "there before you run the task again"
            + ("" if look_up else "; `idempotent` or `adopt` in the spec's create would settle this by itself")
        )

    # --- reading the answer ---------------------------------------------------------------------------------------

    def _submitted(self, outcome: Outcome) -> JobMeta:
        scope = outcome.scope(self.names)
        identity = self.plan.job_id.first(scope)
        if identity is None or identity == "":
            raise EvaluationError(self._no_id(outcome))
        self._take(identity, outcome, self.plan.save)
        return self.meta

    def _no_id(self, outcome: Outcome) -> str:
        answer, path = outcome.answer, self.plan.job_id.text
        if answer is None:
            return "create was skipped: the `if` of every step was false, so there is no job"
        shown = self.session.single_line(str(answer.text), 300) or "nothing"
        if "headers" in path and isinstance(answer, Response):
            shown += f" (headers: {', '.join(answer.headers)})"
        return f"{answer.method} {answer.url} answered {answer.status} without a job id at {path or 'job_id'}: {shown}"

    def _take(self, identity: Any, outcome: Outcome, save: Any) -> None:
        if type(identity) is not str:
            if isinstance(identity, list | dict):
                raise EvaluationError(f"job_id is a {type(identity).__name__}, not an id: {as_text(identity)[:200]}")
            identity = as_text(identity)
        self.meta.id = identity
        self.meta.created_at = clock().time()
        if save is not None:
            saved = save.evaluate(outcome.scope(self.names, job=self.meta.job)) or {}
            if not isinstance(saved, Mapping):
                raise EvaluationError("create.save must give a mapping")
            self.meta.saved = self.session.redact_tree(dict(saved))

    # --- looking for the job ----------------------------------------------------------------------------------------

    async def _adopt(self) -> bool:
        """Look for the job; True if it is there, and taken over."""
        assert self.plan.adopt is not None
        assert self.plan.adopt_id is not None
        try:
            lacks = lacking(self.plan.adopt_id, self.plan.adopt.read_step)
            outcome = await run_calls(self.plan.adopt, self.session, self.names, lacks=lacks)
        except PermanentError as failure:
            if failure.status == 404:
                return False
            raise
        except TransientError as failure:
            failure.may_have_been_processed = False  # the look-up failed; nothing was submitted by it
            raise
        identity = self.plan.adopt_id.first(outcome.scope(self.names))
        if identity is None or identity == "":
            return False
        self._take(identity, outcome, self.plan.adopt_save)
        self.meta.adopted = True
        metrics.ADOPTED.labels(self.task_type).inc()
        return True

    # --- after a failure --------------------------------------------------------------------------------------------

    async def _clean_up(self, progress: Outcome) -> None:
        if not progress.went_through:
            return
        for step in self.plan.on_failure:
            try:
                await run_calls(CallPlan((step,), None, step.names), self.session, self.names, before=progress)
            except (PermanentError, TransientError, EvaluationError) as failure:
                metrics.logger.warning(
                    "clean-up after a failed create did not work: %s", self.session.redact(str(failure))
                )
