"""Evaluates one expression on a response: its value, and if it is not there, which names are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from jinja2.runtime import Undefined

from yaml_connector._expressions.absent import Absent, absent_in, absent_of, unknown_name
from yaml_connector._expressions.compile import (
    compile_condition,
    compile_extraction,
    compile_text,
    has_template,
    is_path,
    parse_text,
)
from yaml_connector._expressions.jinja import to_plain
from yaml_connector._expressions.scope import Scope
from yaml_connector._http.messages import Response
from yaml_connector.errors import EvaluationError


@dataclass
class Evaluated:
    """The value of an expression. If it was not `found`: the `names` that are there, and a sentence about them."""

    value: Any
    found: bool = True
    names: list[str] = field(default_factory=list)
    why: str | None = None


def evaluate(text: str, response: Response) -> Evaluated:
    """Evaluate an extraction (`$.a.b`, `${{ ... }}`) or a bare condition on a response.

    Raises EvaluationError if the text is not one.
    """
    scope = Scope(response=response)
    if is_path(text):
        path = compile_extraction(text)
        try:
            value, is_there = path.value(scope), bool(path.every(scope))
        except EvaluationError as error:
            return Evaluated(None, found=False, why=str(error))
        return Evaluated(value) if is_there else _not_found(value, absent_in(path, scope), response, text)
    template = parse_text(text, answer=True) if has_template(text) else None
    whole = template.whole if template is not None else compile_condition(text)
    part = whole if whole is not None else compile_text(text, answer=True)
    problem = None
    try:
        value = part.evaluate(scope)
        if not isinstance(value, Undefined):
            return Evaluated(to_plain(value))
    except EvaluationError as error:
        problem = str(error)
    absent = unknown_name(part.names, scope) or absent_of(part.names, scope)
    if problem is not None and absent is None:
        return Evaluated(None, found=False, why=problem)
    return _not_found(None, absent, response, text)


def _not_found(value: Any, absent: Absent | None, response: Response, text: str) -> Evaluated:
    if not response.is_json and (absent is None or not absent.names):
        kind = response.headers.get("Content-Type")
        why = f"the response is not JSON{f' (its Content-Type is {kind})' if kind else ''}"
    else:
        why = str(absent) if absent is not None else f"{text} has no value"
    return Evaluated(value, found=False, names=absent.names if absent is not None else [], why=why)
