"""Cancels a job, and asks first whether it is over: nothing is sent to a job that is."""

from __future__ import annotations

from collections.abc import Mapping

from yaml_connector._clock import clock
from yaml_connector._http.context import redacted_errors
from yaml_connector._jobs import metrics
from yaml_connector._jobs.cache import JobState
from yaml_connector._jobs.compiled_spec import CompiledSpec
from yaml_connector._jobs.contexts import CallContexts
from yaml_connector._jobs.delete import FRESH, DeletePlan, run_delete
from yaml_connector._jobs.meta import JobMeta
from yaml_connector._jobs.poll import ask
from yaml_connector._jobs.steps import Outcome
from yaml_connector.errors import CallError, ConfigError, EvaluationError

ASKING = 3.0  # seconds, at most, for asking


async def is_over(
    contexts: CallContexts,
    plan: CompiledSpec,
    meta: JobMeta,
    state: JobState,
    secrets: Mapping[str, str] | None = None,
    fresh: float = FRESH,
) -> bool:
    """Tell whether a job is over; the API is asked if this process has not heard of it for more than `fresh` seconds.
    `secrets` are the task's (default: as they were last seen). Never raises."""
    now = clock().monotonic()
    if state.is_over or now - state.alive_at <= fresh:
        return state.is_over
    try:
        deadline = min(ASKING, plan.connection.spec.deadline / 2)
        secrets = secrets or state.secrets_at(now)
        context, scope = contexts.later("get", plan, meta, state, secrets, deadline=deadline, max_attempts=1)
        await ask(plan.poll, meta, state, context, scope, Outcome())
    except (CallError, EvaluationError, ConfigError) as failure:
        metrics.logger.debug("get cannot tell whether the job %s is over: %s", meta.name, failure)
    return state.is_over


async def send_delete(
    contexts: CallContexts, plan: CompiledSpec, delete: DeletePlan, meta: JobMeta, state: JobState, until: float
) -> None:
    """Cancel the job, by the time `until` of the clock's `monotonic`. Raises CallError, EvaluationError or ConfigError,
    without secrets."""
    now = clock().monotonic()
    context, scope = contexts.later("delete", plan, meta, state, state.secrets_at(now), deadline=until - now)
    with redacted_errors(context):
        await run_delete(delete, context, scope, state)
