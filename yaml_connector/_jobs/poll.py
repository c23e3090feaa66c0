"""Get (section 8): the phase, and whatever a failed call means. It never raises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from yaml_connector._clock import clock
from yaml_connector._expressions.json_text import as_text, to_json
from yaml_connector._expressions.scope import NO_RESPONSE, Scope
from yaml_connector._expressions.value_types import ValueType, convert, parse_type
from yaml_connector._http.context import CallContext
from yaml_connector._http.response_policy import retry_after
from yaml_connector._jobs import metrics
from yaml_connector._jobs.batch import Batcher
from yaml_connector._jobs.cache import JobState
from yaml_connector._jobs.compiled_spec import CompiledSpec, GetPlan, RulePlan
from yaml_connector._jobs.meta import JobMeta
from yaml_connector._jobs.reading import lacking
from yaml_connector._jobs.steps import CallPlan, Outcome, run_calls
from yaml_connector._spec import TERMINAL_PHASES
from yaml_connector._spec.sections import Poll as PollSettings
from yaml_connector.errors import CallError, EvaluationError, TransientError

_PAUSE_AFTER_429 = 10.0
_MESSAGE_LENGTH = 2000


@dataclass(slots=True)
class Status:
    """What get found: `links` as (name, url), `outputs` as name to (type, value) in the declared order."""

    phase: str
    message: str | None = None
    links: list[tuple[str, str]] = field(default_factory=list)
    info: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, tuple[ValueType, Any]] = field(default_factory=dict)

    @property
    def is_terminal(self) -> bool:
        return self.phase in TERMINAL_PHASES


_NO_GET = GetPlan(CallPlan((), None, frozenset()), (), None, None, ())


class Poll:
    """One get call of one job."""

    def __init__(self, plan: CompiledSpec, meta: JobMeta, memory: JobState, session: CallContext, names: Scope) -> None:
        self.plan = plan
        self.get: GetPlan = plan.get or _NO_GET
        self.settings = plan.spec.get.poll if plan.spec.get else PollSettings()
        self.meta = meta
        self.memory = memory
        self.session = session
        self.names = names

    async def run(self) -> Status:
        """Ask, and read the answer."""
        self.names = self.names.with_names(cursor=self.memory.cursor)
        outcome = Outcome()
        try:
            if self.plan.get is None:
                status = Status("SUCCEEDED")
            else:
                batched = await self._ask_batch(self.plan.batcher) if self.plan.batcher is not None else None
                if batched is not None:
                    outcome = batched
                else:
                    await run_calls(self.get.calls, self.session, self.names, lacks=self._lacks, progress=outcome)
                self._respect_retry_after(outcome.answer)
                status = self._read(outcome)
            if status.phase == "SUCCEEDED":
                await self._succeeded(status, outcome)
        except CallError as failure:
            if not failure.unknown_job:
                raise
            status = self._not_found(failure)
        finally:  # also a page that could not be fetched is where the next get goes on
            if outcome.cursor is not None:
                self.memory.cursor = outcome.cursor
        readable_again(self.plan, self.memory)
        return status

    def _respect_retry_after(self, answer: Any) -> None:
        """Do not ask again before the API wants it."""
        wait = retry_after(answer) if answer is not None and hasattr(answer.headers, "get") else None
        if wait:
            self.memory.next_poll = max(self.memory.next_poll, clock().time() + wait)

    async def _ask_batch(self, batcher: Batcher) -> Outcome | None:
        """The job's item of a request for many jobs; None if its answer lacks the job."""
        session = self.session
        group = (session.endpoint.base_url, to_json(self.names.config), session.secrets)
        answer = await batcher.ask(session, self.names, self.meta.job, group)
        return None if answer is None else Outcome(answer=answer)

    def _not_found(self, failure: CallError) -> Status:
        if clock().time() - self.meta.created_at < self.settings.not_found_grace:
            return Status(
                "QUEUED", f"the API does not know the job yet ({failure})", static_links(self.get, self.names)
            )
        return Status("FAILED", f"the job no longer exists: {failure}", static_links(self.get, self.names))

    def _read(self, outcome: Outcome) -> Status:
        scope = outcome.scope(self.names)
        phase, rule, state, lacks_json = self._phase(scope)
        if phase is None:
            if lacks_json:
                raise _no_json(outcome.answer)
            metrics.UNKNOWN_STATE.labels(self.plan.spec.task_type_name).inc()
            message: str | None = self.session.truncate(f"unknown state: {state}; no phase rule of the spec maps it")
        else:
            message = self._text(self.get.message, scope)
            if message is None and phase in ("FAILED", "RETRYABLE_FAILED", "ABORTED"):
                message = f"the API reports {_said(rule, state)}"
        return Status(phase or "RUNNING", message, self._links(scope), self._info(scope))

    # --- the phase --------------------------------------------------------------------------------------------------

    def _phase(self, scope: Scope) -> tuple[str | None, RulePlan | None, str, bool]:
        """The phase, the rule that gave it and the state that it mapped (without a phase: what was there instead), and
        whether a rule lacked the JSON that it reads."""
        unmapped: list[str] = []
        lacks_json = False
        no_json = _is_no_json(scope.response)
        for rule in self.get.rules:
            if no_json and rule.lacks is not None and rule.lacks(scope):
                lacks_json = True
                continue
            if rule.path is None:
                if rule.when is None and lacks_json:
                    continue  # a page that is no JSON must not look like an unknown state
                if rule.when is None or rule.when.evaluate(scope):
                    return rule.phase, rule, "", lacks_json
                continue
            found = rule.path.value(scope)
            phase = rule.states.get(found.casefold()) if type(found) is str else None
            if phase is not None:
                return phase, rule, found, lacks_json
            matches = rule.path.every(scope)
            phase, state = _mapped(rule, matches)
            if phase is not None:
                return phase, rule, state, lacks_json
            shown = ", ".join(repr(as_text(value)) for value in matches[:5]) if matches else "nothing"
            unmapped.append(f"{shown} at {rule.path.text}")
        return None, None, "; ".join(unmapped) or "no rule holds", lacks_json

    def _lacks(self, scope: Scope) -> bool:
        """Does this answer lack JSON that the phase is read from, or the outputs of a job that is over?"""
        phase, _, _, lacks_json = self._phase(scope)
        if phase is None:
            return lacks_json
        return phase == "SUCCEEDED" and self.plan.result is None and self._outputs_lack(scope)

    # --- what is shown ------------------------------------------------------------------------------------------------

    def _text(self, extraction: Any, scope: Scope) -> str | None:
        if extraction is None:
            return None
        try:
            value = extraction.first(scope)
        except EvaluationError as problem:
            metrics.logger.debug("get.message of %s: %s", self.meta.name, problem)
            return None
        return None if value is None or value == "" else self.session.truncate(as_text(value), _MESSAGE_LENGTH)

    def _info(self, scope: Scope) -> dict[str, Any]:
        if self.get.info is None:
            return {}
        try:
            info = self.get.info.evaluate(scope)
            to_json(info)
        except EvaluationError as problem:
            metrics.logger.debug("get.info of %s: %s", self.meta.name, problem)
            return {}
        return self.session.redact_tree(info) if isinstance(info, Mapping) else {}

    def _links(self, scope: Scope) -> list[tuple[str, str]]:
        if not self.get.links:
            return []
        redact = self.session.redact
        return [(redact(name), redact(url)) for name, url in links_of(self.get, scope, all_links=True)]

    # --- success ------------------------------------------------------------------------------------------------------

    async def _succeeded(self, status: Status, outcome: Outcome) -> None:
        """Read the outputs of a job that is over."""
        try:
            await self._read_outputs(status, outcome)
        except (CallError, EvaluationError):
            self.memory.phase = "RUNNING"  # whatever was known before: the job is over, and its result is not there
            raise

    async def _read_outputs(self, status: Status, outcome: Outcome) -> None:
        read = outcome
        if self.plan.result is not None:
            self.session.events.section("result")
            read = await run_calls(self.plan.result, self.session, self.names, lacks=self._outputs_lack, before=outcome)
        scope = read.scope(self.names)
        answer = read.answer
        if _is_no_json(answer) and self._outputs_lack(scope):
            raise _no_json(answer)
        problems = []
        for name, type_text in self.meta.outputs:
            kind_ = parse_type(type_text)
            try:
                value = self._output(name, kind_, scope)
            except EvaluationError as problem:
                problems.append(str(problem))
                continue
            status.outputs[name] = (kind_, self.session.redact_tree(value))
        if problems:
            where = f" (read from {answer.method} {answer.url})" if answer is not None else ""
            status.phase = "FAILED"
            status.outputs = {}
            status.message = self.session.truncate(
                f"the job succeeded, but {'; '.join(problems)}{where}", _MESSAGE_LENGTH
            )

    def _outputs_lack(self, scope: Scope) -> bool:
        """Does this answer lack JSON that a declared output is read from?"""
        calls = self.plan.result or self.get.calls
        for name, kind in self.meta.outputs:
            found = self._extraction(name)
            on_output = scope.with_names(output={"name": name, "type": kind})
            if found is not None and lacking(found[0], calls.read_step)(on_output):
                return True
        return False

    def _extraction(self, name: str) -> Any:
        source = name if name in self.plan.outputs else "*"
        return (self.plan.outputs[source], self.plan.spec.outputs[source]) if source in self.plan.outputs else None

    def _output(self, name: str, kind: ValueType, scope: Any) -> Any:
        found = self._extraction(name)
        if found is None:
            raise EvaluationError(f"the spec says nothing of the output {name!r}")
        extraction, model = found
        where = extraction.text or "its value"
        scope = scope.with_names(output={"name": name, "type": str(kind)})
        try:
            value = extraction.value(scope) if kind.name in ("list", "dict", "any") else extraction.first(scope)
        except EvaluationError as problem:
            raise EvaluationError(f"the output {name!r}: {problem}") from None
        if value is None:
            if model.has_default:
                value = model.default
            elif not kind.optional and not (kind.name == "any" and extraction.is_path and extraction.every(scope)):
                raise EvaluationError(f"the output {name!r} is not at {where}, and has no default")
        try:
            return convert(value, kind)
        except EvaluationError as problem:
            raise EvaluationError(f"the output {name!r} at {where}: {problem}") from None


def _said(rule: RulePlan | None, state: str) -> str:
    """What the API says, by the rule that holds."""
    if rule is not None and rule.path is not None:
        return f"state {state!r}"
    return rule.when.source if rule is not None and rule.when is not None else "a state that is not mapped"


def _is_no_json(answer: Any) -> bool:
    """Is this a 2xx without JSON? Outside 2xx, that is just no body."""
    return answer is not None and answer is not NO_RESPONSE and not answer.is_json and 200 <= answer.status < 300


def _no_json(answer: Any) -> TransientError:
    kind = answer.headers.get("Content-Type") or "no content type"
    return TransientError(
        f"{answer.method} {answer.url} answered {answer.status} with no JSON ({kind})",
        may_have_been_processed=True,
        status=answer.status,
    )


def _mapped(rule: RulePlan, found: list[Any]) -> tuple[str | None, str]:
    """Of the matches that are mapped, the phase listed first in the map."""
    if len(found) == 1:
        text = as_text(found[0]) if not isinstance(found[0], list) else None
        if text is not None:
            return rule.states.get(text.casefold()), text
    phases: dict[str, str] = {}
    for value in found:
        for item in value if isinstance(value, list) else (value,):
            text = as_text(item)
            phase = rule.states.get(text.casefold())
            if phase is not None:
                phases.setdefault(phase, text)
    first = next((phase for phase in rule.order if phase in phases), None)
    return first, phases[first] if first is not None else ""


def links_of(get: GetPlan, scope: Scope, *, all_links: bool) -> list[tuple[str, str]]:
    """The links that can be shown; one that has no URL is left out."""
    found = []
    for link in get.links:
        if not (all_links or link.from_start):
            continue
        try:
            if link.when is not None and not link.when.evaluate(scope):
                continue
            url = link.url.first(scope)
            if url:
                found.append((as_text(link.name.evaluate(scope)), as_text(url)))
        except EvaluationError as problem:
            metrics.logger.debug("a link has no value: %s", problem)
    return found


def static_links(get: GetPlan, names: Scope) -> list[tuple[str, str]]:
    """The links that need no answer."""
    return links_of(get, names, all_links=False)


def readable_again(plan: CompiledSpec, memory: JobState) -> None:
    """The job was read, or nobody asks for it any more."""
    if memory.unreadable_since is not None:
        _counts_no_more(plan, memory, memory.unreadable_since)
    memory.unreadable_since = None


def _counts_no_more(plan: CompiledSpec, memory: JobState, since: float) -> None:
    metrics.no_longer_unreadable(plan.spec.task_type_name, memory, clock().time() - since)


def unreadable(plan: CompiledSpec, memory: JobState, failure: Exception, links: list[tuple[str, str]]) -> Status:
    """The status of a job that could not be read: the last phase known, until the tolerance is over."""
    settings = plan.spec.get.poll if plan.spec.get else PollSettings()
    now = clock().time()
    if memory.unreadable_since is None:
        memory.unreadable_since = now
        metrics.became_unreadable(plan.spec.task_type_name, memory)
    since = memory.unreadable_since
    if isinstance(failure, CallError) and (failure.retry_after or failure.status == 429):
        memory.next_poll = max(memory.next_poll, now + (failure.retry_after or _PAUSE_AFTER_429))
    metrics.UNREADABLE.labels(plan.spec.task_type_name).inc()
    when = datetime.fromtimestamp(since, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    message = f"unreadable since {when}: {failure}"
    if now - since >= settings.tolerance:
        _counts_no_more(plan, memory, since)
        return Status(settings.give_up, f"given up after {now - since:.0f} s: {message}", links)
    phase = memory.phase or "RUNNING"
    return Status("RUNNING" if phase == "SUCCEEDED" else phase, message, links)
