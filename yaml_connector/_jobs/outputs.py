"""Compiles how outputs are read from a response, and reads those that a job declares. No I/O."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from yaml_connector._expressions.absent import absent_in
from yaml_connector._expressions.compile import Extraction, compile_extraction, names_of
from yaml_connector._expressions.jinja import Reference
from yaml_connector._expressions.json_text import texts_in
from yaml_connector._expressions.scope import Scope
from yaml_connector._expressions.value_types import ValueType, convert, parse_type
from yaml_connector._http.context import CallContext
from yaml_connector._http.json_need import Json, lacks_json, needed_by, not_json
from yaml_connector._http.redact import redactor_for
from yaml_connector._spec.interface import OutputField
from yaml_connector._spec.secrecy import SHORTEST_HELD
from yaml_connector.errors import EvaluationError

_LARGE = 2**16  # characters
_REST = "*"  # the name in the spec for every output that it does not name


@dataclass(frozen=True)
class OutputPlan:
    """One output of the spec. `json`: whether the response that it is read from must be JSON."""

    extraction: Extraction
    model: OutputField
    json: Json


@dataclass(frozen=True)
class OutputsPlan:
    """The outputs of the spec, by name. `json`: whether the response that they are read from must be JSON."""

    outputs: Mapping[str, OutputPlan]
    json: Json

    @property
    def names(self) -> frozenset[Reference]:
        """Every name that the outputs refer to."""
        return names_of(*(output.extraction for output in self.outputs.values()))


def compile_outputs(models: Mapping[str, OutputField], step: str | None) -> OutputsPlan:
    """Compile the outputs of a spec; `step` is the name of the step whose response they are read from."""
    outputs = {}
    for name, model in models.items():
        extraction = compile_extraction(model.value)
        outputs[name] = OutputPlan(extraction, model, needed_by(extraction, step))
    kinds = {output.json for output in outputs.values()}
    return OutputsPlan(outputs, "any" if kinds == {"any"} else "not empty" if kinds - {"none"} else "none")


def read_outputs(
    plan: OutputsPlan, declared: list[list[str]], scope: Scope
) -> tuple[dict[str, tuple[ValueType, Any]], list[str]]:
    """Read the declared outputs, each a name and a type, from the response in the scope.

    Returns them by name, with their types, and a message for each that has no value of its type; nothing is redacted.
    Raises TransientError if the response lacks the JSON that an output is read from.
    """
    values: dict[str, tuple[ValueType, Any]] = {}
    problems: list[str] = []
    for name, type_text in declared:
        kind = parse_type(type_text)
        output = plan.outputs.get(name) or plan.outputs.get(_REST)
        if output is None:
            problems.append(f"the spec does not define the output {name!r}")
            continue
        response = scope.response
        if response is not None and lacks_json(response, output.json):
            raise not_json(response)
        try:
            values[name] = kind, _read(output, name, kind, scope)
        except EvaluationError as problem:
            problems.append(str(problem))
    return values, problems


async def held_secrets(values: Mapping[str, tuple[ValueType, Any]], context: CallContext) -> list[str]:
    """Return a message for each secret that an output holds: outputs are never masked.

    Long ones are searched in another thread.
    """
    if not context.secrets:
        return []
    problems = []
    for name, (_, value) in values.items():
        text = value if type(value) is str else "\n".join(texts_in(value))
        if not text:
            continue
        found = _held(text, context) if len(text) <= _LARGE else await asyncio.to_thread(_held, text, context)
        problems += [f"the output {name!r} holds {what}" for what in found]
    return problems


def _held(text: str, context: CallContext) -> list[str]:
    if not redactor_for(context.secrets).holds(text):
        return []
    names = {value: name for name, value in context.sensitive.items()}
    found = [
        value
        for value in sorted(context.secrets)
        if len(value) >= SHORTEST_HELD and redactor_for(frozenset({value})).holds(text)
    ]
    named = sorted(names[value] for value in found if value in names)
    if named:
        return [f"the value of the secret {name!r}: if it may be seen, say `sensitive: false` there" for name in named]
    return ["a value of the login: if it is in `save` and may be seen, say `sensitive: false` there"] if found else []


def _read(output: OutputPlan, name: str, kind: ValueType, scope: Scope) -> Any:
    extraction, model = output.extraction, output.model
    where = extraction.text or "its value"
    seen = scope.with_names(output={"name": name, "type": str(kind)})
    try:
        value = extraction.value(seen) if kind.name in ("list", "dict", "any") else extraction.first(seen)
    except EvaluationError as problem:
        raise EvaluationError(f"the output {name!r}: {problem}") from None
    if value is None:
        if model.has_default:
            value = model.default
        elif not kind.optional and not (kind.name == "any" and extraction.is_path and extraction.every(seen)):
            absent = absent_in(extraction, seen)
            hint = f"; {absent}" if absent is not None and absent.names else ""
            raise EvaluationError(f"the output {name!r} is not at {where}, and has no default{hint}")
    try:
        return convert(value, kind)
    except EvaluationError as problem:
        raise EvaluationError(f"the output {name!r} at {where}: {problem}") from None
