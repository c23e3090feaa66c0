"""Warnings about what is valid in a spec, and was probably not meant."""

from __future__ import annotations

import re
from collections.abc import Iterator, Set

from yaml_connector._expressions.compile import compile_condition
from yaml_connector._expressions.jinja import Reference
from yaml_connector._expressions.value_types import duration_text
from yaml_connector._loading.connection_checks import connection_warnings, literal_credentials
from yaml_connector._loading.document import Document
from yaml_connector._spec import ConnectorSpec
from yaml_connector._spec.fields import Path
from yaml_connector._spec.requests import Calls, Request
from yaml_connector._spec.sections import Create
from yaml_connector._text import short

Mistake = tuple[Path, str]
"""The path of a value, and the message about it."""

_USUAL_TOLERANCE: float = Create.model_fields["tolerance"].default
_PATTERN = re.compile(r"/.+/|\^.*|.*\$|[*]|.+\*|\*.+")
# Fields that are in a body only because the status does not tell. Others (`error`, `code`) come with a status, too.
_FLAGS = frozenset({"ok", "success", "succeeded", "successful", "is_success", "isSuccess", "issuccess"})

_LONGEST = 60  # characters of a condition that a message quotes

# For each section: the sections that an error would look alike in, and what it would be taken for.
_UNNOTICED: dict[str | int, tuple[tuple[str, ...], str]] = {
    "adopt": (("create", "get"), 'count as "there is no job", and a second be submitted'),
    "result": (("get",), "be read as the result"),
    "delete": (("create",), "count as cancelled"),
    "logs": (("get",), "be read as the log"),
}


def likely_mistakes(spec: ConnectorSpec, document: Document, used: Set[Reference]) -> Iterator[Mistake]:
    """Yield what is probably a mistake in a valid spec, which is that of `document`. `used` are all names in it."""
    yield from _create(spec)
    yield from _phases(spec)
    yield from _missing_error_condition(spec)
    yield from _container(spec, used)
    unused = _unused_secrets(spec, used)
    meant = unused[0] if len(unused) == 1 and literal_credentials(spec.connection) else None
    for name in unused:
        if name != meant:  # else it is told where it belongs
            yield ("secrets", name), "this secret is never used"
    for section, value in document.data.items():
        if value is None:
            yield (section,), f"{section} is empty, which is the same as leaving it out"
    yield from connection_warnings(spec.connection, meant)
    yield from _bodies(spec)
    yield from _values(spec, document)


def _create(spec: ConnectorSpec) -> Iterator[Mistake]:
    create = spec.create
    if "idempotent" not in create.model_fields_set and create.adopt is None:
        yield (
            ("create",),
            "neither idempotent nor adopt: after a broken connection it can be unknown whether a job was submitted",
        )
    if create.tolerance > _USUAL_TOLERANCE and all(step.error is None for step in create.as_steps()):
        yield (
            ("create", "tolerance"),
            f"a create that never works is tried for {duration_text(create.tolerance)}, too, if the API answers it "
            "with 500; name such an answer, for example error: status == 500 and body.code == 'INVALID_ARGUMENT'",
        )


def _phases(spec: ConnectorSpec) -> Iterator[Mistake]:
    if spec.get is not None:
        reached = {phase for rule in spec.get.phase for phase in (*(rule.map or ()), rule.phase) if phase}
        if not reached & {"FAILED", "RETRYABLE_FAILED", "ABORTED"}:
            yield ("get", "phase"), "no rule maps to FAILED: failed jobs would stay RUNNING"
        if "SUCCEEDED" not in reached:
            yield ("get", "phase"), "no rule maps to SUCCEEDED: no job would ever succeed"
    elif spec.delete is not None and not spec.delete.always:
        yield ("delete",), "without get, a job is over as soon as create returns: there is nothing to cancel"


def _container(spec: ConnectorSpec, used: Set[Reference]) -> Iterator[Mistake]:
    """Yield why the container cannot have run: without its arguments and variables, or without waiting for it."""
    for part in ("args", "env") if spec.runs is not None else ():
        if not used & {("task",), ("task", "container"), ("task", "container", part)}:
            yield ("runs",), f"task.container.{part} is never used: a function does not start without it"
    if spec.runs is not None and spec.get is None:
        yield ("runs",), "without get, a job is over as soon as create returns, before its container has run"


def _unused_secrets(spec: ConnectorSpec, used: Set[Reference]) -> list[str]:
    names = {name[1] for name in used if name[0] == "secrets" and len(name) > 1}
    return [name for name in spec.secrets if name not in names] if ("secrets",) not in used else []


def _missing_error_condition(spec: ConnectorSpec) -> Iterator[Mistake]:
    """Yield the path of each section without `error` where a similar one checks a flag in the body, with a message.

    Sections that read are compared with get, delete with create, and a look-up with both.
    """
    flags = {"create": _flag_condition(spec.create), "get": _flag_condition(spec.get)}
    for path, section in spec.calls():
        like, harm = _UNNOTICED.get(path[-1], ((), ""))
        name = next((name for name in like if flags[name] is not None), None)
        if name is None or any(condition is not None for condition in _conditions(section)):
            continue
        condition = str(flags[name])
        told = f": {condition}" if len(condition) <= _LONGEST and condition.isprintable() else ""
        yield path, f"an error that comes as 200 would {harm}: say {name}'s `error{told}` here too, or `error: false`"


def _bodies(spec: ConnectorSpec) -> Iterator[Mistake]:
    """Yield the path and the message of bodies that are probably not what was meant."""
    for path, request in _requests(spec):
        if isinstance(request.json_body, str) and request.json_body.strip()[:1] in ("{", "["):
            yield (
                (*path, "json"),
                "this JSON is a string, and is sent as one; write it as YAML, without quotes around it, or use `text`",
            )
    logs = spec.logs
    if logs is None or logs.keep is not True or logs.format == "json":
        return
    step = logs.as_steps()[-1]
    others = [str(status) for status in step.success or () if str(status)[:1] != "2"]
    if isinstance(step.success, list) and others:
        told = ", ".join(others)
        here: Path = ("logs", "success") if logs.steps is None else ("logs", "steps", len(logs.steps) - 1, "success")
        yield here, f"the body of a response with {told} is read as lines, too; add `keep: status == 200`"


def _values(spec: ConnectorSpec, document: Document) -> Iterator[Mistake]:
    """Yield the path and the message of values that mean only themselves, and were probably meant to mean more."""
    for name, output in spec.outputs.items():
        if output.value is None:
            yield ("outputs", name), f"this output is always null; write a JSONPath such as $.{name}"
    for name, secret in spec.secrets.items():
        if secret.file is not None and re.match(r"~|\$(?!\{\{)|%", secret.file):
            yield ("secrets", name, "file"), f"{short(secret.file)} is taken as it is written; write the whole path"
    rules = spec.get.phase if spec.get is not None else []
    for index, rule in enumerate(rules):
        for phase, states in (rule.map or {}).items():
            for state in states:
                if isinstance(state, str) and _PATTERN.fullmatch(state):
                    told = f"{short(state)} is compared as it is written: write the states, or a rule with when and is"
                    yield (*document.item(("get", "phase"), index), "map", phase), told


def _requests(spec: ConnectorSpec) -> Iterator[tuple[Path, Request]]:
    """Yield every request of the sections, each with its path."""
    for path, section in spec.calls():
        if section.request is not None:
            yield (*path, "request"), section.request
        for index, step in enumerate(section.steps or ()):
            yield (*path, "steps", index, "request"), step.request


def _conditions(section: Calls) -> list[str | bool | None]:
    return [*(step.error for step in section.steps or ()), section.error]


def _flag_condition(section: Calls | None) -> str | None:
    """Return the first `error` of a section that checks only a flag of the body, whatever the status is."""
    for condition in _conditions(section) if section is not None else ():
        if isinstance(condition, str):
            names = compile_condition(condition).names
            roots = {name[0] for name in names}
            if roots == {"body"} and any(len(name) > 1 and name[1] in _FLAGS for name in names):
                return condition
    return None
