"""A spec in plain words: what is sent, how it is judged, what is kept with a job, what a task's author gives."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from yaml_connector._expressions.value_types import duration_text
from yaml_connector._loading.loader import LoadedSpec
from yaml_connector._loading.references import names_in
from yaml_connector._spec import ConnectorSpec
from yaml_connector._spec.fields import Model
from yaml_connector._spec.requests import Calls, Request, Step
from yaml_connector.cli._description.author_words import limits_of, sources_of
from yaml_connector.cli._description.picture import phase_lines

_LONGEST, _LONGEST_BODY = 90, 300  # characters of a value that are shown


def spec_lines(loaded: LoadedSpec) -> Iterator[str]:
    """All that a spec says, for people who read no YAML."""
    spec = loaded.spec
    version = f", version {spec.task_type_version}" if spec.task_type_version else ""
    yield f"{spec.title} (task type {spec.task_type_name}{version})"
    yield from [" ".join(spec.description.split())] if spec.description else []
    yield from _section("WHERE", _where(spec))
    yield from _section("A TASK'S AUTHOR GIVES", author_lines(spec))
    yield from _section("CREATE: SUBMIT THE JOB", _create(spec))
    yield from _section("GET: HOW THE JOB IS DOING", _get(spec))
    yield from _section("PHASES", phase_lines(spec))
    yield from _section("RESULT: WHAT IT GAVE", _result(spec))
    yield from _section("DELETE: CANCEL IT", _delete(spec))
    yield from _section("LOGS", _logs(spec))
    yield from _section("KEPT WITH THE JOB", kept_lines(spec))


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    found = [f"  {line}".rstrip() for line in lines]
    if found:
        yield from ["", title, *found]


def _where(spec: ConnectorSpec) -> Iterator[str]:
    connection = spec.connection
    yield f"Requests go to {connection.base_url}"
    if connection.allowed_hosts:
        yield f"and may go to {', '.join(connection.allowed_hosts)}"
    if connection.public_hosts:
        yield f"and, without credentials, to {', '.join(connection.public_hosts)}"
    if connection.auth is None:
        yield "without credentials"
    else:
        names = sorted(str(name[1]) for name in names_in(connection) if name[0] == "secrets" and len(name) > 1)
        used = f" ({', '.join(f'secret {name}' for name in names)})" if names else ""
        yield f"with {connection.auth.words}{used}"
    codes = ", ".join(map(str, connection.retry.status_codes))
    attempt, whole = duration_text(connection.timeout), duration_text(connection.deadline)
    yield f"One attempt takes at most {attempt}, a whole call {whole}"
    yield f"{connection.retry.max_attempts} attempts, after no answer or status {codes}"
    if connection.rate_limit:
        yield f"At most {connection.rate_limit.requests} requests in {duration_text(connection.rate_limit.per)}"
    if connection.check:
        yield f"`check` tries {request_text(connection.check)}"


def author_lines(spec: ConnectorSpec) -> Iterator[str]:
    """Config, inputs, outputs and secrets as a task's author sees them."""
    if spec.inputs is None:
        yield "input    any: the task declares its own"
    for name, given in (spec.inputs or {}).items():
        yield _named("input", name, str(given.type), given.description)
    for name, field in spec.config.items():
        must = "required" if field.required else f"default {json.dumps(field.default, ensure_ascii=False)}"
        yield _named("config", name, ", ".join([str(field.type), must, *limits_of(field)]), field.description)
    for name, secret in spec.secrets.items():
        kind = f"from {sources_of(secret)}" + ("" if secret.required else ", may be missing")
        yield _named("secret", name, kind, secret.description)
    for name, output in spec.outputs.items():
        label = "any that the task declares" if name == "*" else name
        read = f"{output.type}, read from {_short(output.value)}"
        read += f", else {json.dumps(output.default, ensure_ascii=False)}" if output.has_default else ""
        yield _named("output", label, read, output.description)


def _named(what: str, name: str, about: str, description: str | None) -> str:
    text = f": {' '.join(description.split())}" if description else ""
    return f"{what:<8} {name} ({about.strip(', ')}){text}"


def request_text(request: Request, default: str = "GET") -> str:
    """`POST /jobs`."""
    return f"{request.method or default} {request.path or request.url}"


def call_lines(section: Calls) -> Iterator[str]:
    """The requests of a section, in order."""
    steps = section.as_steps(save=False)
    for number, step in enumerate(steps, 1):
        yield from _step(step, f"{number}. " if len(steps) > 1 else "")
    if section.steps is not None and section.each is not None and section.request is not None:
        yield f"then, for each of {_short(section.each)}: {request_text(section.request)}"


def _step(step: Step, number: str) -> Iterator[str]:
    conditions = [f"if {step.when}"] if step.when is not None else []
    conditions += [f"for each of {_short(step.each)}"] if step.each is not None else []
    name = f" (step {step.name})" if step.name else ""
    yield f"{number}{request_text(step.request)}{name}{', ' + ', '.join(conditions) if conditions else ''}"
    request = step.request
    for kind, value in (("query", request.query), ("header", request.headers)):
        if isinstance(value, dict):
            for key, item in value.items():
                yield f"     {kind} {key}: {_short(item)}"
    for kind in request.bodies:
        value = request.json_body if kind == "json" else getattr(request, kind)
        yield f"     {kind} body: {_short(value, _LONGEST_BODY)}"
    if step.success:
        yield f"     an answer is: {', '.join(map(str, step.success))}"
    if step.error is not None:
        yield f"     failed for good if {step.error}"
    if step.retry_if is not None:
        yield f"     sent again if {step.retry_if}"
    if step.follow is not None:
        yield f"     then its next page, {_short(step.follow)}, for at most {duration_text(step.follow_for)}"
    if step.optional:
        yield "     a failure counts as skipped"


def _create(spec: ConnectorSpec) -> Iterator[str]:
    create = spec.create
    if create.adopt is not None:
        yield "First it looks for the job:"
        yield from (f"  {line}" for line in call_lines(create.adopt))
        yield f"  If {_short(create.adopt.job_id)} is there, that job is taken over, and nothing is submitted. Else:"
    yield from call_lines(create)
    yield f"The job's id is {_short(create.job_id)}"
    if create.idempotent:
        yield "The API makes one job of the same create sent twice: after a broken answer it is sent again"
    elif create.adopt is not None:
        yield "After a broken answer the job is looked for, then the create is sent again"
    else:
        yield "After a broken answer the job FAILS: it is unknown whether it was submitted"
    for step in create.on_failure:
        yield f"If a later step fails: {request_text(step.request)}"


def _get(spec: ConnectorSpec) -> Iterator[str]:
    get = spec.get
    if get is None:
        yield "Nothing is asked: the job is SUCCEEDED as soon as it is submitted"
        return
    yield from call_lines(get)
    if get.batch is not None:
        yield f"Up to {get.batch.max} jobs share one request: {request_text(get.batch.request)}"
    if get.message is not None:
        yield f"The job's message is {_short(get.message)}"
    if isinstance(get.info, dict):
        for name, value in get.info.items():
            yield f"Info {name}: {_short(value)}"
    elif get.info is not None:
        yield f"Info: {_short(get.info)}"
    for link in get.links:
        yield f"Link {link.name}: {_short(link.url)}"
    poll = get.poll
    if poll.min_interval:
        yield f"Asked at most every {duration_text(poll.min_interval)}"
    yield f"A job that the API does not know is QUEUED for {duration_text(poll.not_found_grace)}, then FAILED"
    yield f"     not known means: {poll.not_found}"
    yield f"A job that cannot be read keeps its phase for {duration_text(poll.tolerance)}, then it is {poll.give_up}"


def _result(spec: ConnectorSpec) -> Iterator[str]:
    if spec.result is not None:
        yield "Once the job has succeeded:"
        yield from call_lines(spec.result)


def _delete(spec: ConnectorSpec) -> Iterator[str]:
    if spec.delete is None:
        yield "Nothing is sent: an aborted job goes on running"
        return
    yield from call_lines(spec.delete)


def _logs(spec: ConnectorSpec) -> Iterator[str]:
    logs = spec.logs
    if logs is None:
        yield "No log is read"
        return
    yield from call_lines(logs)
    lines = f", lines from {_short(logs.lines)}" if logs.lines is not None else ""
    yield f"The answer is {logs.format}{lines}"
    if logs.next is not None:
        yield f"The next page is {_short(logs.next)}"
    else:
        yield "The whole log is read each time, and what is new is given"
    if logs.more is not True:
        yield f"There is more as long as {_short(logs.more)}"
    if logs.keep is not True:
        yield f"A line is given if {_short(logs.keep)}"


def kept_lines(spec: ConnectorSpec) -> Iterator[str]:
    """What Flyte keeps with the job between two calls."""
    yield "its id" + (
        f", and from the answer: {', '.join(spec.create.save)}" if isinstance(spec.create.save, dict) else ""
    )
    later: list[Model] = [part for part in (spec.get, spec.result, spec.delete, spec.logs) if part is not None]
    later += [spec.connection, *spec.outputs.values(), *spec.secrets.values()]
    found = {name for part in later for name in names_in(part)}
    for root in ("inputs", "config", "task"):
        names = sorted({str(name[1]) for name in found if name[0] == root and len(name) > 1})
        if any(name[0] == root and len(name) == 1 for name in found):
            yield f"{root}: all of it"
        elif names:
            yield f"{root}: {', '.join(names)}"
    yield "this spec's later sections: a changed spec does not change a running job"
    yield "secrets are never kept"


def _short(value: Any, longest: int = _LONGEST) -> str:
    """A value on one line, its templates as they are written, cut if it is longer than so many characters."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    text = " ".join(text.split())
    return text if len(text) <= longest else text[: longest - 3] + "..."
