"""Which answers lack the JSON that is read from them: "a 2xx that is not the JSON that an extraction needs" (section
6). A page of a gateway's must not look like a job that is not there, or like an unknown state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from yaml_connector._expressions.compile import Extraction
from yaml_connector._expressions.jinja import Reference
from yaml_connector._expressions.scope import NO_RESPONSE, Scope
from yaml_connector.errors import EvaluationError

Lacks = Callable[[Scope], bool]
_NOTHING: tuple[Any, ...] = (None, "", [])


def reads_fields(names: Iterable[Reference], step: str | None) -> bool:
    """Do these names refer to fields of the answer's body, by `body` or by `steps` and the name of its step?"""
    return any(
        len(name) > 1 and (name[0] == "body" or (name[:2] == ("steps", step) and name[2:3] == ("body",)))
        for name in names
    )


def lacking(extraction: Extraction, step: str | None) -> Lacks:
    """Asks an answer that is no JSON whether this extraction needs JSON of it: a JSONPath does; a template that reads
    the body does if there is something and it finds nothing in it. (An empty answer may be how the API says no.)"""
    if extraction.is_path:
        return lambda scope: True
    if not any(name[0] == "body" for name in extraction.names) and not reads_fields(extraction.names, step):
        return lambda scope: False

    def lacks(scope: Scope) -> bool:
        try:
            return has_content(scope) and extraction.first(scope) in _NOTHING
        except EvaluationError:  # whatever it wanted of the body
            return True

    return lacks


def has_content(scope: Scope) -> bool:
    """Is there anything in the answer?"""
    return scope.response is not NO_RESPONSE and bool(scope.response.content)
