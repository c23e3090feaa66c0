"""Compiles and runs `delete`, which cancels a job.

Flyte sends a delete for an abort, before each retry, and for every job some time after its end. One that fails is sent
again every ten seconds, without an end: so it counts as done once it has failed for its `tolerance`.
"""

from __future__ import annotations

from dataclasses import dataclass

from yaml_connector._clock import clock
from yaml_connector._expressions.jinja import Reference
from yaml_connector._expressions.scope import Scope
from yaml_connector._expressions.value_types import duration_text
from yaml_connector._http.context import CallContext
from yaml_connector._jobs import metrics
from yaml_connector._jobs.cache import JobState
from yaml_connector._jobs.meta import JobMeta
from yaml_connector._jobs.steps import StepsPlan, compile_steps, run_steps
from yaml_connector._spec.sections import Delete

FRESH = 10.0  # seconds: a job that was read as running no longer ago is cancelled without asking
_DELETED = frozenset({"2xx", "404", "409", "410"})
_TOLERANCE: float = Delete.model_fields["tolerance"].default


@dataclass(frozen=True)
class DeletePlan:
    """The compiled `delete` section."""

    steps: StepsPlan
    always: bool
    tolerance: float

    @property
    def names(self) -> frozenset[Reference]:
        return self.steps.names


def compile_delete(delete: Delete) -> DeletePlan:
    """Compile a `delete` section."""
    return DeletePlan(compile_steps(delete, success=_DELETED), delete.always, delete.tolerance)


async def run_delete(plan: DeletePlan, context: CallContext, scope: Scope, state: JobState) -> None:
    """Cancel the job. Raises CallError or EvaluationError."""
    state.is_cancelled = True
    await run_steps(plan.steps, context, scope.with_names(job={**scope.job, "cancelled": True}))
    state.is_deleted = True


def delete_failed(plan: DeletePlan | None, task_type: str, meta: JobMeta, state: JobState, failure: Exception) -> bool:
    """Note that a delete failed; True if that went on for its tolerance, so that it counts as done."""
    now, tolerance = clock().monotonic(), _TOLERANCE if plan is None else plan.tolerance
    if state.delete_failing_since is None:
        state.delete_failing_since = now
    if now - state.delete_failing_since < tolerance:
        return False
    metrics.DELETES_GIVEN_UP.labels(task_type).inc()
    metrics.logger.warning(
        "delete of %s failed for %s and counts as done; the job %s may still be running: %s",
        meta.name,
        duration_text(tolerance),
        meta.id,
        failure,
    )
    return True
