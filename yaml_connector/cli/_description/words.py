"""What is told of a spec in plain words, for `explain`, `docs` and `stubs`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from yaml_connector._expressions.json_text import as_text
from yaml_connector._expressions.value_types import duration_text
from yaml_connector._loading.loader import LoadedSpec
from yaml_connector._spec import PHASES, TERMINAL_PHASES, ConnectorSpec
from yaml_connector._spec.auth import AuthModel
from yaml_connector._spec.fields import Model, names_in
from yaml_connector._spec.interface import ConfigField, Secret
from yaml_connector._spec.requests import Calls, Request, Step
from yaml_connector._spec.sections import Create, Get, Poll
from yaml_connector._text import single_line, truncate

_LONGEST, _LONGEST_BODY = 90, 300  # characters of a value that are shown

NO_GET = "The job counts as SUCCEEDED as soon as it is submitted."
NO_DELETE = "When the task is aborted, nothing is sent: the job goes on."
NO_LOGS = "The connector reads no log."


# --- for the author of a task -------------------------------------------------------------------------------------


def limits_of(field: ConfigField) -> list[str]:
    """Return the rules for a config value: `from 1`, `up to 64`, `one of short, long`."""
    rules = [f"from {field.minimum}"] if field.minimum is not None else []
    rules += [f"up to {field.maximum}"] if field.maximum is not None else []
    rules += [f"one of {', '.join(map(str, field.enum))}"] if field.enum is not None else []
    return rules


def sources_of(secret: Secret) -> str:
    """Return where a secret comes from: `the task, else the connector's BATCH_API_KEY`."""
    sources = ["the task"] + ([f"the connector's {secret.env}"] if secret.env else [])
    sources += [f"the file {secret.file}"] if secret.file else []
    return ", else ".join(sources)


def must_be_given(secret: Secret) -> bool:
    """Return whether a task must name this secret, because the connector has no source for it."""
    return secret.required and secret.env is None and secret.file is None


def author_lines(spec: ConnectorSpec) -> Iterator[str]:
    """Yield a line for each input, config field, secret and output."""
    if spec.runs is not None:
        yield "function inputs and outputs are those of the function, which runs in the job's container"
    elif spec.inputs is None:
        yield "input    any: the task declares its own"
    for name, given in (spec.inputs or {}).items():
        yield _author_line("input", name, str(given.type), given.description)
    for name, field in spec.config.items():
        default = "required" if field.required else f"default {_json(field.default)}"
        yield _author_line("config", name, ", ".join([str(field.type), default, *limits_of(field)]), field.description)
    for name, secret in spec.secrets.items():
        source = f"from {sources_of(secret)}" + ("" if secret.required else ", optional")
        yield _author_line("secret", name, source, secret.description)
    for name, output in spec.outputs.items():
        label = "any that the task declares" if name == "*" else name
        source = f"{output.type}, read from {_short(output.value)}"
        source += f", else {_json(output.default)}" if output.has_default else ""
        yield _author_line("output", label, source, output.description)


def _author_line(kind: str, name: str, about: str, description: str | None) -> str:
    text = f": {single_line(description)}" if description else ""
    return f"{kind:<8} {name} ({about.strip(', ')}){text}"


def in_words(text: str) -> str:
    """Return a text with its templates as `{name}`."""
    return re.sub(r"\$\{\{\s*(.*?)\s*\}\}", r"{\1}", text)


# --- phases ---------------------------------------------------------------------------------------------------------


def phase_reasons(spec: ConnectorSpec) -> dict[str, list[str]]:
    """Return each phase that the spec can report, in the order of a job's life, with the reasons for it."""
    found: dict[str, list[str]] = {}
    if spec.get is None:
        return {"SUCCEEDED": ["as soon as it is submitted"]}
    for rule in spec.get.phase:
        if rule.phase is not None:
            found.setdefault(rule.phase, []).append(f"when {rule.when}" if rule.when is not None else "otherwise")
        for phase, values in (rule.map or {}).items():
            shown = ", ".join(as_text(value) or '""' for value in values)
            several = len(spec.get.phase) > 1
            reason = f"{rule.path} is {shown}" if several else shown
            found.setdefault(phase, []).append(reason if rule.when is None else f"{reason}, when {rule.when}")
    return {phase: found[phase] for phase in PHASES if phase in found}


def names_every_state(get: Get) -> bool:
    """Return whether a rule sets the phase of a state that no other rule names."""
    return any(rule.phase is not None and rule.when is None for rule in get.phase)


def phase_lines(spec: ConnectorSpec) -> Iterator[str]:
    """Yield a drawing in text: the phases in which a job goes on, then those in which it ends."""
    reasons = phase_reasons(spec)
    active = [phase for phase in reasons if phase not in TERMINAL_PHASES]
    terminal = [phase for phase in reasons if phase in TERMINAL_PHASES]
    width = max(len(phase) for phase in reasons) + 2
    if spec.get is not None and len(spec.get.phase) == 1 and spec.get.phase[0].path is not None:
        yield f"{spec.get.phase[0].path} is"
    yield "submitted"
    for phase in active:
        last = phase == active[-1] and not terminal
        yield from _branch(last, phase, reasons[phase], width)
    if active and terminal:
        yield "│"
    for phase in terminal:
        yield from _branch(phase == terminal[-1], f"{PHASES[phase].sign} {phase}", reasons[phase], width)
    if spec.get is not None and not names_every_state(spec.get):
        yield "Any other state counts as RUNNING, and the message names it."


def _branch(last: bool, name: str, reasons: list[str], width: int) -> Iterator[str]:
    yield f"{'└─▶' if last else '├─▶'} {name:<{width}}  {reasons[0]}"
    for reason in reasons[1:]:
        yield f"{' ' if last else '│'}   {'':<{width}}  {reason}"


# --- calls ----------------------------------------------------------------------------------------------------------


def lost_response(create: Create) -> str:
    """Return what happens when the response to a create is lost."""
    if create.idempotent:
        return "If its response is lost, the create is sent again; the API deduplicates it."
    if create.adopt is not None:
        return "If its response is lost, the job is looked up, and the create is sent again if there is no job."
    return "If its response is lost, the task fails: it is unknown whether the job was submitted."


def unreadable_job(poll: Poll) -> str:
    """Return what happens to a job whose state cannot be read."""
    tolerance = duration_text(poll.tolerance)
    return f"A job that cannot be read keeps its phase for {tolerance}, then it becomes {poll.give_up}."


def request_text(request: Request, default: str = "GET") -> str:
    """Return `POST /jobs`."""
    return f"{request.method or default} {request.path or request.url}"


def call_lines(section: Calls) -> Iterator[str]:
    """Yield the requests of a section, in order."""
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
    if isinstance(step.success, list):
        yield f"     successful if the status is {', '.join(map(str, step.success))}"
    elif step.success is not None:
        yield f"     successful if {step.success}"
    if step.error is not None:
        yield f"     failed permanently if {step.error}"
    if step.retry_if is not None:
        yield f"     sent again if {step.retry_if}"
    if step.follow is not None:
        yield f"     then its next page, {_short(step.follow)}, for at most {duration_text(step.follow_for)}"
    if step.collect is not None:
        yield f"     taking {_short(step.collect)} from each page"
    if step.optional:
        yield "     skipped if it fails"


# --- a whole spec ---------------------------------------------------------------------------------------------------


def spec_lines(loaded: LoadedSpec) -> Iterator[str]:
    """Yield the description of a spec, section by section."""
    spec = loaded.spec
    version = f", version {spec.task_type_version}" if spec.task_type_version else ""
    yield f"{spec.title} (task type {spec.task_type_name}{version})"
    yield from [single_line(spec.description)] if spec.description else []
    for what in ("projects", "domains"):
        if spec.allow is not None and (names := getattr(spec.allow, what)) is not None:
            yield f"For tasks of the {what} {', '.join(names)} only"
    yield from _section("CONNECTION", _connection(spec))
    yield from _section("WHAT A TASK PROVIDES AND GETS", author_lines(spec))
    yield from _section("CREATE: SUBMIT THE JOB", _create(spec))
    yield from _section("GET: READ THE JOB'S STATE", _get(spec))
    yield from _section("PHASES", phase_lines(spec))
    yield from _section("RESULT: READ WHAT A JOB PRODUCED", _result(spec))
    yield from _section("DELETE: CANCEL THE JOB", _delete(spec))
    yield from _section("LOGS", _logs(spec))
    yield from _section("KEPT WITH THE JOB", _kept(spec))


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    found = [f"  {line}".rstrip() for line in lines]
    if found:
        yield from ["", title, *found]


def _connection(spec: ConnectorSpec) -> Iterator[str]:
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
        yield from _token(connection.auth)
    if connection.proxy is not None:
        yield "without a proxy" if connection.proxy == "none" else f"through the proxy {_short(connection.proxy)}"
    if connection.http2:
        yield "by HTTP/2, where the API speaks it"
    codes = ", ".join(map(str, connection.retry.status_codes))
    attempt, whole = duration_text(connection.timeout), duration_text(connection.deadline)
    yield f"One attempt takes at most {attempt}, a whole call {whole}"
    yield f"Up to {connection.retry.max_attempts} attempts, if there is no response or status {codes}"
    longest = duration_text(connection.retry.max_retry_after)
    if connection.retry.retry_after is not None:
        yield f"The API says how long to wait by {_short(connection.retry.retry_after)}, else by Retry-After"
    if connection.retry.model_fields_set & {"retry_after", "max_retry_after"}:
        yield f"A wait that the API asks for is at most {longest}"
    if "max_connections" in connection.model_fields_set:
        yield f"At most {connection.max_connections} connections are open to one host"
    if connection.rate_limit:
        yield f"At most {connection.rate_limit.requests} requests in {duration_text(connection.rate_limit.per)}"
    if connection.check:
        yield f"`check` sends {request_text(connection.check)}"


def _token(auth: AuthModel) -> Iterator[str]:
    """Yield when a token is renewed, and what is kept of its login."""
    if hasattr(auth, "renew_if"):
        yield f"     a token is renewed if {auth.renew_if or 'status == 401'}"
    for name, value in (getattr(auth, "save", None) or {}).items():
        source = value if isinstance(value, str) else getattr(value, "value", value)
        yield f"     auth.{name} is {_short(source)} of the login"


def _rules(get: Get) -> Iterator[str]:
    """Yield the phase rules in the order in which they are asked."""
    yield "Its phase is that of the first rule that holds:"
    for number, rule in enumerate(get.phase, 1):
        when = f"if {rule.when}, " if rule.when is not None else ""
        if rule.phase is not None:
            yield f"  {number}. {when or 'else '}{rule.phase}"
            continue
        phases = (f"{phase} for {', '.join(map(as_text, values))}" for phase, values in (rule.map or {}).items())
        yield f"  {number}. {when}{_short(rule.path)}: {'; '.join(phases)}"


def _create(spec: ConnectorSpec) -> Iterator[str]:
    create = spec.create
    if create.adopt is not None:
        yield "First an existing job is looked up:"
        yield from (f"  {line}" for line in call_lines(create.adopt))
        yield f"  If {_short(create.adopt.job_id)} is there, that job is adopted, and nothing is submitted. Else:"
    yield from call_lines(create)
    yield f"The job's id is {_short(create.job_id)}"
    yield lost_response(create)
    for step in create.on_failure:
        yield f"If a later step fails: {request_text(step.request)}"


def _get(spec: ConnectorSpec) -> Iterator[str]:
    get = spec.get
    if get is None:
        yield NO_GET
        return
    yield from call_lines(get)
    if get.batch is not None:
        yield f"Up to {get.batch.max} jobs share one request: {request_text(get.batch.request)}"
    if len(get.phase) > 1:
        yield from _rules(get)
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
        yield f"Read at most every {duration_text(poll.min_interval)}"
    yield f"A job that the API does not find is QUEUED for {duration_text(poll.not_found_grace)}, then FAILED"
    yield f"     not found means: {poll.not_found}"
    yield unreadable_job(poll)
    if poll.timeout is not None:
        yield f"A job that is not over {_short(poll.timeout)} after create is cancelled and becomes {poll.give_up}."


def _result(spec: ConnectorSpec) -> Iterator[str]:
    if spec.result is not None:
        yield "Once, when the job has succeeded:"
        yield from call_lines(spec.result)


def _delete(spec: ConnectorSpec) -> Iterator[str]:
    delete = spec.delete
    if delete is None:
        yield NO_DELETE
        return
    yield from call_lines(delete)
    yield "It is sent even to a job that is over" if delete.always else "Nothing is sent to a job that is over"
    yield f"A delete that fails is repeated for {duration_text(delete.tolerance)}, then it counts as done"


def _logs(spec: ConnectorSpec) -> Iterator[str]:
    logs = spec.logs
    if logs is None:
        yield NO_LOGS
        return
    yield from call_lines(logs)
    lines = f", lines from {_short(logs.lines)}" if logs.lines is not None else ""
    yield f"The response is {logs.format}{lines}"
    if logs.next is not None:
        yield f"The next page is {_short(logs.next)}"
    else:
        yield "The whole log is read each time, and only new lines are returned"
    if logs.more is not True:
        yield f"The log goes on if {_short(logs.more)}"
    if logs.keep is not True:
        yield f"A line is returned if {_short(logs.keep)}"


def _kept(spec: ConnectorSpec) -> Iterator[str]:
    """Yield what Flyte keeps with the job between two calls."""
    save = spec.create.save
    yield "its id" + (f", and from the response: {', '.join(save)}" if isinstance(save, dict) else "")
    later: list[Model] = [part for part in (spec.get, spec.result, spec.delete, spec.logs) if part is not None]
    later += [spec.connection, *spec.outputs.values(), *spec.secrets.values()]
    found = {name for part in later for name in names_in(part)}
    for root in ("inputs", "config", "task"):
        names = sorted({str(name[1]) for name in found if name[0] == root and len(name) > 1})
        if any(name[0] == root and len(name) == 1 for name in found):
            yield f"{root}: all of it"
        elif names:
            yield f"{root}: {', '.join(names)}"
    yield "the later sections of this spec: a changed spec does not affect a running job"
    yield "secrets are never kept"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _short(value: Any, longest: int = _LONGEST) -> str:
    """Return a value on one line, its templates as they are written, cut to a length."""
    return truncate(single_line(value if isinstance(value, str) else _json(value)), longest)
