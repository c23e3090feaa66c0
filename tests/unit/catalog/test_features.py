"""Every feature of the language is used by a spec of this repository, and every feature of contract tests by a test: so
nothing exists that is only described, and (as the contract tests show) nothing that does not work."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Literal, get_args, get_origin

import pytest

from tests.support.own_specs import all_specs, calls, contract_tests, exchanges, texts
from yaml_connector._expressions.compile import compile_condition, compile_extraction, compile_extractions, compile_tree
from yaml_connector._expressions.filters import FILTERS, FUNCTIONS
from yaml_connector._expressions.jsonpath import compile_path
from yaml_connector._expressions.value_types import SCALARS, ValueType
from yaml_connector._loading.references import ANSWER_NAMES, STEP_NAMES
from yaml_connector._spec import ConnectorSpec
from yaml_connector._spec.fields import Model, slots
from yaml_connector._spec.task_fields import TASK_NAMES
from yaml_connector.testing.model import Call, ContractTests
from yaml_connector.testing.recorded import RecordedResponse

Feature = tuple[Any, ...]  # ("Poll", "give_up") for a field, ("Poll", "give_up", "FAILED") for one of its choices


# --- fields, and the values of those that are a choice ---------------------------------------------------------------


def owner(model: type[Model], field: str) -> str:
    """The model that declares a field. A request of a section is a step like any other: one use of `success`, say, will
    do for all."""
    declaring = next(base.__name__ for base in model.__mro__ if field in inspect.get_annotations(base))
    return "Step" if declaring == "Calls" else declaring


def existing(model: type[Model], seen: set[type[Model]]) -> Iterator[Feature]:
    """The fields and choices of a model and of all models below it."""
    if model in seen:
        return
    seen.add(model)
    for name, field in model.model_fields.items():
        yield owner(model, name), name
        for part in inside(field.annotation):
            if isinstance(part, type) and issubclass(part, Model):
                yield from existing(part, seen)
            else:
                yield owner(model, name), name, part


def inside(annotation: Any) -> Iterator[Any]:
    """The models and the values of literals in an annotation."""
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
    elif isinstance(annotation, type) and issubclass(annotation, Model):
        yield annotation
    else:
        for part in get_args(annotation):
            yield from inside(part)


def used(value: Any) -> Iterator[Feature]:
    """The fields that are given in a model and below it, and the values of its fields, given or by default."""
    if isinstance(value, Model):
        for name in type(value).model_fields:
            field, content = (owner(type(value), name), name), getattr(value, name)
            if name in value.model_fields_set:
                yield field
            for item in content if isinstance(content, dict | list) else [content]:
                if isinstance(item, str | int):
                    yield *field, item
            yield from used(content)
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from used(item)


def unused(model: type[Model], values: list[Model]) -> list[Feature]:
    features = {feature for value in values for feature in used(value)}
    return sorted(set(existing(model, set())) - features, key=str)


def test_every_field_and_every_choice_of_the_language_is_used_by_some_spec() -> None:
    assert unused(ConnectorSpec, [item.spec for item in all_specs()]) == []


@pytest.mark.slow
def test_every_field_and_every_choice_of_contract_tests_is_used_by_some_test() -> None:
    assert unused(ContractTests, [contract_tests(item.file).tests for item in all_specs()]) == []


# --- types, expressions ----------------------------------------------------------------------------------------------


def kinds(kind: ValueType) -> Iterator[str]:
    yield kind.name
    if kind.optional:
        yield "optional"
    if kind.item is not None:
        yield from kinds(kind.item)


@pytest.mark.parametrize("section", ["config", "inputs", "outputs"])
@pytest.mark.parametrize("kind", [*SCALARS, "list", "dict", "optional"])
def test_every_type_is_used_by_some_spec(section: str, kind: str) -> None:
    fields = [field for item in all_specs() for field in (getattr(item.spec, section) or {}).values()]
    assert kind in {name for field in fields for name in kinds(field.type)}


@cache
def expressions() -> str:
    """Every text of every spec that may hold expressions."""
    return "\n".join(
        text for item in all_specs() for _, mark, value in slots(item.spec) if mark for text in texts(value)
    )


@cache
def names() -> set[str]:
    """Every name in an expression of some spec, and every beginning of it; the name of a step is `*`."""
    compilers: dict[str, Callable[[Any], Any]] = {
        "template": compile_tree,
        "extraction": compile_extraction,
        "extractions": compile_extractions,
        "condition": compile_condition,
    }
    found = set()
    for item in all_specs():
        for _, mark, value in slots(item.spec):
            for name in compilers[mark.kind](value).names if mark else ():
                parts = [str(part) for part in (("steps", "*", *name[2:]) if name[0] == "steps" else name)]
                found |= {".".join(parts[: length + 1]) for length in range(len(parts))}
    return found


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_every_filter_is_used_by_some_spec(name: str) -> None:
    assert re.search(rf"\|\s*{name}\b", expressions())


@pytest.mark.parametrize(
    "name",
    [
        *("inputs", "config", "secrets", "env", "base_url", "job.id", "job.created_at", "page.token", "page.lines"),
        *("line", "item", "cursor", "output.name", "output.type", "jobs", "jwt", *FUNCTIONS),
        *(f"task.{name}" for name in TASK_NAMES),
        *(f"task.container.{name}" for name in ("image", "args", "env")),
        *ANSWER_NAMES,
        *(f"steps.*.{name}" for name in (*STEP_NAMES, "saved")),
    ],
)
def test_every_name_is_used_by_some_spec(name: str) -> None:
    assert name in names()


# --- errors ----------------------------------------------------------------------------------------------------------


USUAL_PLACES = ("message", "error.message", "error", "detail", "errors[0].message")


def first_words(response: RecordedResponse) -> tuple[str, str]:
    """Where an answer has the API's words, of their usual places (`error_message`), and the words."""
    for place in USUAL_PLACES:
        words = compile_path(f"$.{place}").value(response.json_body)
        if isinstance(words, str) and words:
            return place, words
    return "text", " ".join((response.text or "").split())


def expects(call: Call, text: str) -> bool:
    """Does the call expect an error or a message that such a text fits?"""
    expected = getattr(getattr(call, call.kind), "expect", None)
    patterns = [getattr(expected, "error", None), getattr(expected, "message", None)]
    return any(pattern and re.search(pattern.strip("/"), text) for pattern in patterns)


@pytest.mark.parametrize("place", [*USUAL_PLACES, "text"])
def test_the_words_of_an_error_are_expected_from_each_of_their_usual_places(place: str) -> None:
    found = set()
    for item in all_specs():
        for _, call in calls(item.file) if item.spec.connection.error_message is None else ():
            for response in (exchange.response for exchange in exchanges(call)):
                where, words = first_words(response)
                if words and expects(call, f"POST {item.spec.connection.base_url} answered {response.status}: {words}"):
                    found.add(where)
    assert place in found
