"""What is kept of a job that is not submitted yet: the values that create refers to, and what earlier steps gave."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from multidict import CIMultiDict, CIMultiDictProxy

from yaml_connector._expressions.budget import limited
from yaml_connector._expressions.scope import Scope
from yaml_connector._http.context import CallContext
from yaml_connector._http.memory import SMALL
from yaml_connector._http.messages import Response
from yaml_connector._jobs.compiled_spec import CompiledSpec
from yaml_connector._jobs.create import Submission
from yaml_connector._jobs.create_plan import CreatePlan
from yaml_connector._jobs.meta import json_to_keep, parse_kept
from yaml_connector._jobs.steps import EachResponse, Outcome
from yaml_connector._spec.task_values import check_inputs, recheck_config
from yaml_connector.errors import EvaluationError

LARGEST = 32 * 1024  # bytes as JSON


def create_digest(plan: CompiledSpec, base_url: str) -> str:
    """Return a digest of what is sent where: a job that is not submitted is submitted by the very same create."""
    text = json.dumps([plan.data.get("create"), base_url], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def values_to_keep(plan: CompiledSpec, scope: Scope) -> dict[str, Any] | None:
    """Return the values that create refers to; None if they cannot be kept."""
    names = plan.submitting
    values = {root: names.of(root, getattr(scope, root)) for root in ("inputs", "config", "task")}
    return values if _fits(values) else None


def _fits(values: dict[str, Any]) -> bool:
    """Tell whether values can be kept, and read again: no more than LARGEST, and not nested too deeply."""
    try:
        data = json_to_keep(values)
        if len(data) <= LARGEST:
            parse_kept(data)
    except (TypeError, ValueError, RecursionError):
        return False
    return len(data) <= LARGEST


def forget_large_steps(submission: Submission) -> None:
    """Forget the steps that went through if a response of one of them is large, so that the next try repeats them: it
    would take the room of other responses for as long as the job is not submitted."""
    for given in submission.outcome.steps.values():
        responses = (
            given.responses if isinstance(given, EachResponse) else [given] if isinstance(given, Response) else []
        )
        if any(len(response.content) > SMALL for response in responses):
            submission.outcome = Outcome()
            return


def pending_of(
    plan: CompiledSpec, values: Mapping[str, Any], submission: Submission, context: CallContext
) -> dict[str, Any]:
    """Return what is kept with the job: JSON, without secrets."""
    kept = {
        "digest": create_digest(plan, context.endpoint.base_url),
        **values,
        "doubtful": submission.may_have_arrived,
    }
    outcome = submission.outcome
    with limited():  # a body that another process has parsed is parsed here once more
        steps = {name: _kept_step(plan.create, name, given) for name, given in outcome.steps.items() if given}
    # Otherwise another process repeats the steps: the masked or missing part may be what the next one needs.
    if _fits(steps) and context.redact_tree(steps) == steps:
        kept |= {"steps": steps, "position": outcome.position}
    return kept


def _kept_step(plan: CreatePlan, name: str, given: Any) -> Any:
    if isinstance(given, EachResponse):
        return [_kept_step(plan, name, response) for response in given.responses]
    kept = {"method": given.method, "url": given.url, "status": given.status, "saved": given.saved}
    references = {reference[2:] for reference in plan.names if reference[:2] == ("steps", name)}
    roots = {reference[0] for reference in references if reference} | {"body" for _ in references if () in references}
    keys = {reference[1] for reference in references if len(reference) > 1 and reference[0] == "body"}
    if plan.submit.steps.read == name or any(reference in ((), ("text",), ("body",)) for reference in references):
        return kept | {"headers": dict(given.headers), "text": given.text}
    if "headers" in roots:
        kept["headers"] = dict(given.headers)
    if keys:
        body = given.body
        kept["text"] = (
            json.dumps({key: body[key] for key in keys if key in body}) if isinstance(body, dict) else given.text
        )
    return kept


def outcome_of(pending: Mapping[str, Any], plan: CreatePlan) -> Outcome:
    """Return the steps that went through in the call that created the job. Raises EvaluationError."""
    steps, position = pending.get("steps", {}), pending.get("position", 0)
    names = {step.name: step for step in plan.submit.steps.steps}
    outcome = Outcome()
    try:
        if not 0 <= position < max(1, len(names)) or not steps.keys() <= names.keys():
            raise ValueError("steps")
        for step in plan.submit.steps.steps[:position]:
            if step.name not in steps:
                outcome.skip(step)
        for name, kept in steps.items():
            if isinstance(kept, list):
                outcome.last = EachResponse([_restored(item) for item in kept], names[name].save_names)
            else:
                outcome.last = _restored(kept)
            outcome.steps[name] = outcome.last
            if plan.submit.steps.read in (None, name):
                outcome.response = outcome.last
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise EvaluationError("what is kept of the job's create cannot be read") from error
    outcome.position, outcome.completed = position, len(steps)
    return outcome


def _restored(kept: Mapping[str, Any]) -> Response:
    headers = CIMultiDictProxy(CIMultiDict({str(name): str(value) for name, value in kept.get("headers", {}).items()}))
    content = str(kept.get("text", "")).encode("utf-8", "surrogatepass")
    response = Response(str(kept["method"]), str(kept["url"]), int(kept["status"]), headers, content)
    response.saved = kept["saved"]
    return response


def scope_of(plan: CompiledSpec, pending: Mapping[str, Any], *, is_ours: bool) -> Scope:
    """Return what the expressions of create see, but for secrets. `is_ours`: create has checked the inputs.
    Raises ConfigError if the config is not valid, EvaluationError if an input is not."""
    inputs = pending["inputs"]
    if not is_ours:
        inputs, problems = check_inputs(plan.spec, inputs)
        if problems:
            raise EvaluationError("; ".join(problems.values()))
    names = plan.submitting.config
    config = recheck_config(plan.spec, pending["config"], plan.spec.config if names is None else names)
    return Scope(inputs=inputs, config=config, task=pending["task"], steps={})
