"""Runs `get` and `result`: how a job is doing, and what a failed call says of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf

from yaml_connector._clock import clock
from yaml_connector._expressions.budget import TurnOver
from yaml_connector._expressions.compile import Value, compile_condition, compile_text, if_given
from yaml_connector._expressions.json_text import to_json
from yaml_connector._expressions.scope import Scope
from yaml_connector._expressions.times import rfc3339
from yaml_connector._http.context import CallContext
from yaml_connector._http.json_need import Json
from yaml_connector._jobs import metrics
from yaml_connector._jobs.batch import Batcher
from yaml_connector._jobs.cache import JobState
from yaml_connector._jobs.container import ContainerFiles, judge_end
from yaml_connector._jobs.meta import JobMeta
from yaml_connector._jobs.outputs import OutputsPlan, compile_outputs, held_secrets, read_outputs
from yaml_connector._jobs.status import Status, StatusPlan, compile_status, read_links, read_status
from yaml_connector._jobs.steps import Outcome, StepsPlan, compile_steps, read_step, run_steps
from yaml_connector._jobs.time_limit import limit_running
from yaml_connector._spec import TERMINAL_PHASES, ConnectorSpec
from yaml_connector._spec.sections import Poll as PollSettings
from yaml_connector._text import truncate
from yaml_connector.errors import CallError, EvaluationError

_PAUSE_AFTER_429 = 10.0  # seconds
_MESSAGE_LENGTH = 2000
_PROBLEM_LENGTH = 300  # of what is remembered of it


@dataclass(frozen=True)
class PollPlan:
    """The compiled `get`, `result` and `outputs`. A job that declares no outputs has steps of its own: nothing is read
    from its result, so that need not be JSON."""

    task_type: str
    settings: PollSettings
    status: StatusPlan
    outputs: OutputsPlan
    get: StepsPlan | None
    get_without_outputs: StepsPlan | None
    batcher: Batcher | None
    result: StepsPlan | None
    result_without_outputs: StepsPlan | None
    timeout: Value | None
    runs_container: bool


def compile_poll(spec: ConnectorSpec) -> PollPlan:
    """Compile the sections of a spec that tell how a job is doing."""
    get, result = spec.get, spec.result
    last = result or get
    status = compile_status(get) if get else StatusPlan()
    outputs = compile_outputs(spec.outputs, read_step(last) if last else None)
    # a response of get that can only mean success is read for the outputs, too
    only_success = all(rule.json == "none" and rule.phase == "SUCCEEDED" for rule in status.rules)
    json = outputs.json if only_success and result is None else status.json

    def get_steps(json: Json | None) -> StepsPlan | None:
        return compile_steps(get, not_found=compile_condition(get.poll.not_found), json=json) if get else None

    return PollPlan(
        task_type=spec.task_type_name,
        settings=get.poll if get else PollSettings(),
        status=status,
        outputs=outputs,
        get=get_steps(json),
        get_without_outputs=get_steps(status.json),
        batcher=if_given(Batcher, get.batch) if get else None,
        result=compile_steps(result, json=outputs.json) if result else None,
        result_without_outputs=compile_steps(result) if result else None,
        timeout=if_given(compile_text, get.poll.timeout) if get else None,
        runs_container=spec.runs is not None,
    )


async def poll(
    plan: PollPlan,
    meta: JobMeta,
    state: JobState,
    context: CallContext,
    scope: Scope,
    container_files: ContainerFiles | None = None,
) -> Status:
    """Ask how a job is doing; without `container_files`, the API's word on a container counts. Raises CallError or
    EvaluationError if the job cannot be read."""
    outcome = Outcome()
    status = await ask(plan, meta, state, context, scope, outcome, plan.batcher)
    if status.phase == "SUCCEEDED" or (plan.runs_container and status.phase in TERMINAL_PHASES):
        try:
            if not plan.runs_container:
                await _read_result(plan, meta, context, scope, outcome, status)
            elif container_files is not None:
                await judge_end(meta, status, context, container_files)
        except (CallError, EvaluationError):
            state.phase = "RUNNING"  # whatever was known before: the job is over, but its result is not there
            raise
    if context.not_before:
        state.next_poll = max(state.next_poll, context.not_before)
    if state.unreadable_since is not None:
        readable_again(plan, state)
    return status


async def ask(
    plan: PollPlan,
    meta: JobMeta,
    state: JobState,
    context: CallContext,
    scope: Scope,
    outcome: Outcome,
    batcher: Batcher | None = None,
) -> Status:
    """Read the job's status without its result; note in its state whether it is over. Raises as `poll` does."""
    steps = plan.get if meta.outputs else plan.get_without_outputs
    if steps is None:
        state.is_over = True
        return Status("SUCCEEDED")
    try:
        if batcher is not None and not state.asked_alone:
            group = (context.endpoint.base_url, to_json(scope.config), context.secrets)  # those that share requests
            is_last = _tolerated_until(plan, state) <= clock().monotonic()
            answer = await batcher.ask(context, scope, scope.job, group, pauses=not is_last)
            outcome.response, state.asked_alone = answer.response, answer.refused
        if outcome.response is None:
            await run_steps(steps, context, scope, outcome)
    except CallError as failure:
        if not failure.unknown_job:
            raise
        return _not_found(plan, state, scope, failure)
    finally:
        if outcome.cursor is not None:  # also after a page that could not be fetched: the next get goes on there
            state.cursor = outcome.cursor
    try:
        reading = read_status(plan.status, outcome.scope(scope))
    except TurnOver:
        reading = await context.read_elsewhere(read_status, plan.status, outcome.scope(scope))
    state.is_over = reading.phase in TERMINAL_PHASES
    if not state.is_over:
        state.alive_at = clock().monotonic()
        if meta.timeout and state.running_since is None and reading.phase in ("RUNNING", None):
            state.running_since = state.alive_at
            limit_running(meta, state)
    if reading.phase is None:
        metrics.UNKNOWN_STATE.labels(plan.task_type).inc()
        unmapped = context.truncate(f"{reading.state}; no phase rule of the spec maps it")
        message: str | None = f"unknown state: {unmapped}"
        state.problem = truncate(unmapped, _PROBLEM_LENGTH)
    else:
        if state.problem:
            state.problem = ""
        if reading.rule is not None:
            context.events.rule(reading.rule, reading.state)
        message = reading.message
        if message is not None:
            message = context.truncate(message, _MESSAGE_LENGTH)
    links = reading.links
    if links:
        links = [(context.redact(name), context.redact(url)) for name, url in links]
    info = context.redact_tree(reading.info) if reading.info else reading.info
    return Status(reading.phase or "RUNNING", message, links, info)


async def _read_result(
    plan: PollPlan, meta: JobMeta, context: CallContext, scope: Scope, outcome: Outcome, status: Status
) -> None:
    """Read the outputs of a job that succeeded into its status; without one of them, the job failed."""
    steps = plan.result if meta.outputs else plan.result_without_outputs
    if steps is not None:
        context.events.section("result")
        outcome = await run_steps(steps, context, scope, Outcome(steps=dict(outcome.steps)))
    try:
        values, problems = read_outputs(plan.outputs, meta.outputs, outcome.scope(scope))
    except TurnOver:
        read = outcome.scope(scope)
        values, problems = await context.read_elsewhere(read_outputs, plan.outputs, meta.outputs, read)
    problems += await held_secrets(values, context)
    if problems:
        response = outcome.response
        where = f" (read from {response.method} {response.url})" if response is not None else ""
        status.phase = "FAILED"
        status.message = context.truncate(f"the job succeeded, but {'; '.join(problems)}{where}", _MESSAGE_LENGTH)
    else:
        status.outputs = values


def _not_found(plan: PollPlan, state: JobState, scope: Scope, failure: CallError) -> Status:
    links = read_links(plan.status, scope, static=True)
    reason = truncate(str(failure), _MESSAGE_LENGTH)
    if not state.is_deleted and clock().monotonic() - state.grace_from < plan.settings.not_found_grace:
        return Status("QUEUED", f"the API does not know the job yet ({reason})", links)
    state.is_over = True
    if state.is_deleted:
        return Status("ABORTED", f"the job was cancelled: {reason}", links)
    return Status("FAILED", f"the job no longer exists: {reason}", links)


def readable_again(plan: PollPlan, state: JobState) -> None:
    """Note that a job was read again, or will not be read any more."""
    if state.unreadable_since is not None:
        metrics.no_longer_unreadable(plan.task_type, state, clock().monotonic() - state.unreadable_since)
    state.unreadable_since, state.problem = None, ""


def _tolerated_until(plan: PollPlan, state: JobState) -> float:
    """Return when a job that cannot be read is given up, of the clock's `monotonic`; never if it can be read."""
    return inf if state.unreadable_since is None else state.unreadable_since + plan.settings.tolerance


def unreadable(
    plan: PollPlan, state: JobState, failure: Exception, scope: Scope | None = None, *, not_before: float = 0.0
) -> Status:
    """Return the status of a job that could not be read: the last phase known, until the tolerance is over.

    `scope` is what its links see, `not_before` when the API may be asked again.
    """
    settings, now = plan.settings, clock().monotonic()
    links = read_links(plan.status, scope, static=True) if scope is not None else []
    if state.unreadable_since is None:
        state.unreadable_since, state.unreadable_at = now, clock().time()
        metrics.became_unreadable(plan.task_type, state)
    since, state.problem = state.unreadable_since, truncate(str(failure), _PROBLEM_LENGTH)
    if isinstance(failure, CallError) and (failure.retry_after or failure.status == 429):
        not_before = max(not_before, now + (failure.retry_after or _PAUSE_AFTER_429))
    # however long the API wants to be left alone: before the job is given up, it is asked for once more
    state.next_poll = min(max(state.next_poll, not_before), _tolerated_until(plan, state))
    metrics.UNREADABLE.labels(plan.task_type).inc()
    when = rfc3339(datetime.fromtimestamp(state.unreadable_at, UTC), "seconds")
    message = f"unreadable since {when}: {truncate(str(failure), _MESSAGE_LENGTH)}"
    if now >= _tolerated_until(plan, state):
        metrics.no_longer_unreadable(plan.task_type, state, now - since)
        return Status(settings.give_up, f"given up after {now - since:.0f} s: {message}", links)
    phase = state.phase or "RUNNING"
    return Status("RUNNING" if phase == "SUCCEEDED" else phase, message, links)
