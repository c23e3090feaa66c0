"""Calls whose errors would be read as answers: the API says in the body whether a call went well, and only some of the
sections of the spec ask (section 6, `error`)."""

from __future__ import annotations

from collections.abc import Iterator

from yaml_connector._expressions.compile import compile_condition
from yaml_connector._loading.document import Path
from yaml_connector._spec import ConnectorSpec
from yaml_connector._spec.requests import Calls

# Fields that are in a body only because the status does not tell. Others (`error`, `code`) come with a status, too.
_FLAGS = frozenset({"ok", "success", "succeeded", "successful", "is_success", "isSuccess", "issuccess"})

_LONGEST = 60  # characters of a condition that a message quotes


def missing_error_condition(spec: ConnectorSpec) -> Iterator[tuple[Path, str]]:
    """The path of each section that has no `error` where a section like it asks for a flag in the body, and what would
    come of it. What reads is compared with get, delete with create, and a look-up with both."""
    create, get = ("create", _flag_condition(spec.create)), ("get", _flag_condition(spec.get))
    for path, section, like, harm in (
        (
            ("create", "adopt"),
            spec.create.adopt,
            (create, get),
            'count as "there is no job", and a second be submitted',
        ),
        (("result",), spec.result, (get,), "be read as the result"),
        (("delete",), spec.delete, (create,), "count as cancelled"),
        (("logs",), spec.logs, (get,), "be read as the log"),
    ):
        if section is None or any(condition is not None for condition in _conditions(section)):
            continue
        for name, condition in like:
            if condition is not None:
                told = f": {condition}" if len(condition) <= _LONGEST and condition.isprintable() else ""
                yield (
                    path,
                    f"an error that comes as 200 would {harm}: say {name}'s `error{told}` here too, or `error: false`",
                )
                break


def _conditions(section: Calls) -> list[str | bool | None]:
    return [*(step.error for step in section.steps or ()), section.error]


def _flag_condition(section: Calls | None) -> str | None:
    """The first `error` of a section that asks for a flag of the body, whatever the status is."""
    for condition in _conditions(section) if section is not None else ():
        if isinstance(condition, str):
            names = compile_condition(condition).names
            roots = {name[0] for name in names}
            if roots == {"body"} and any(len(name) > 1 and name[1] in _FLAGS for name in names):
                return condition
    return None
