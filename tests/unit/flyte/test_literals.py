"""Values are converted as Flyte converts them, but in a fraction of its time, and never more than the bounds allow."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flyte.connectors._connector import get_resource_proto
from flyte.types import TypeEngine
from flyteidl2.connector.connector_pb2 import CreateTaskRequest
from flyteidl2.connector.connector_pb2 import Resource as ResourceMessage
from flyteidl2.core.interface_pb2 import Variable, VariableEntry
from flyteidl2.core.literals_pb2 import Literal, Primitive, Scalar
from flyteidl2.core.types_pb2 import LiteralType, SimpleType
from flyteidl2.task.common_pb2 import NamedLiteral

from tests.support.loops import Turns
from yaml_connector._expressions.value_types import parse_type
from yaml_connector._jobs.status import Status
from yaml_connector.flyte.admission import RefusedInputError, check_request, plain_inputs
from yaml_connector.flyte.connector import fill_message, resource_of
from yaml_connector.flyte.literals import native_value, plain_input, plain_literal, python_type_of
from yaml_connector.flyte.output_values import OutputValue

MOMENT = datetime(2026, 2, 3, 4, 5, 6, 789123, tzinfo=UTC)
VALUES: list[tuple[str, Any]] = [
    ("int", -(2**63)),
    ("float", 1.5),
    ("str", ""),
    ("str", "é"),
    ("bool", False),
    ("datetime", MOMENT),
    ("duration", timedelta(seconds=-3.5)),
    ("any", {"a": [1, None]}),
    ("any", None),
    ("any?", None),
    ("int?", None),
    ("int?", 0),
    ("datetime?", MOMENT),
    ("list[int]", []),
    ("list[int?]", [1, None]),
    ("list[int]?", [1]),
    ("list[list[float]]", [[1.0], []]),
    ("dict[str, int]", {}),
    ("dict[str, list[str?]?]", {"a": None, "b": ["x", None]}),
    ("dict[str, any]", {"a": None, "b": 3}),
    ("file", "s3://bucket/file"),
    ("list[file?]", ["s3://bucket/file", None]),
    ("dir", "s3://bucket/folder"),
    ("dataframe", "s3://bucket/table"),
]


async def _by_flyte(kind: str, value: Any) -> tuple[Literal, LiteralType, Any]:
    declared = python_type_of(parse_type(kind))
    literal_type = TypeEngine.to_literal_type(declared)
    literal = await TypeEngine.to_literal(native_value(parse_type(kind), value), declared, literal_type)
    back = await TypeEngine.to_python_value(literal, TypeEngine.guess_python_type(literal_type))
    return literal, literal_type, plain_input(back)


@pytest.mark.parametrize(("kind", "value"), VALUES)
def test_an_output_becomes_the_literal_that_flyte_makes_and_an_input_the_value_that_flyte_reads(
    kind: str, value: Any
) -> None:
    async def convert() -> None:
        literal, literal_type, plain = await _by_flyte(kind, value)
        assert await OutputValue(parse_type(kind), value).literal() == literal
        read = plain_literal(literal, literal_type)
        assert (read, type(read)) == (plain, type(plain))

    asyncio.run(convert())


def test_an_integer_for_a_float_is_one_also_in_a_list() -> None:
    whole = Literal(scalar=Scalar(primitive=Primitive(integer=3)))
    literal = Literal()
    literal.collection.literals.append(whole)
    declared = LiteralType(collection_type=LiteralType(simple=SimpleType.FLOAT))
    assert repr(plain_literal(literal, declared)) == "[3.0]"


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("list[int]", [1] * 1_000_000, "it has more than 50,000 items; give a file's URI instead"),
        ("dict[str, int]", {str(n): n for n in range(60_000)}, "it has more than 50,000 items"),
        ("list[file]", ["s3://bucket/file"] * 20_000, "it has more than 50,000 items"),
        ("any", [[]] * 1_000_000, "it has more than 50,000 JSON values; give a file's URI instead"),
        ("any", [{"a": 1}] * 40_000, "it has more than 50,000 JSON values"),
        ("any", [10**4200] * 2000, "its integers have too many digits; give a file's URI instead"),
        ("str", "x" * 4_000_000, "the outputs are larger than 3.5 MB; give a file's URI instead"),
    ],
)
def test_an_output_that_is_too_large_fails_the_job_in_one_sentence(kind: str, value: Any, message: str) -> None:
    given = asyncio.run(resource_of(Status("SUCCEEDED", outputs={"x": (parse_type(kind), value)})))
    assert given.outputs is None
    start = "the job succeeded, but the output 'x' cannot be handed to Flyte: "
    assert str(given.message).startswith(start + message)


@pytest.mark.parametrize("outputs", [{}, {"b": ("int", 3), "a": ("list[str]", ["x"])}])
def test_the_answer_to_a_get_is_that_of_flyte(outputs: dict[str, tuple[str, Any]]) -> None:
    async def both() -> tuple[Any, Any]:
        given = {name: (parse_type(kind), value) for name, (kind, value) in outputs.items()}
        status = Status("SUCCEEDED", "done", [("log", "https://a.test/")], {"n": [1, "x"]}, given)
        message = ResourceMessage()
        await fill_message(message, await resource_of(status))
        return message, await get_resource_proto(await resource_of(status))

    ours, flytes = asyncio.run(both())
    assert ours == flytes
    assert len(ours.outputs.literals) == len(outputs)


@pytest.mark.slow
def test_others_have_their_turn_while_a_large_output_is_converted() -> None:
    others = Turns()

    class Items(list[int]):
        """Items of which every hundredth waits for a turn of the event loop, once they are known to be many."""

        def __iter__(self) -> Iterator[int]:
            for number, item in enumerate(super().__iter__()):
                before, ends = others.count, time.monotonic() + 20
                while number % 100 == 0 and number > 100 and others.count == before:
                    assert time.monotonic() < ends, "the event loop is held up"
                    time.sleep(0)
                yield item

    async def convert() -> Literal:
        async with others:
            return await OutputValue(parse_type("list[int]"), Items(range(50_000))).literal()

    assert len(asyncio.run(convert()).collection.literals) == 50_000
    assert others.count > 400


@pytest.mark.parametrize(
    ("declared", "literal", "message"),
    [
        (None, Literal(scalar=Scalar(primitive=Primitive(integer=1))), "the task does not declare it"),
        (SimpleType.DATETIME, Literal(), "must be in range"),
    ],
)
def test_an_input_that_has_no_value_in_python_is_refused_with_its_name(
    declared: SimpleType.ValueType | None, literal: Literal, message: str
) -> None:
    request = CreateTaskRequest()
    if declared is not None:
        kind = Variable(type=LiteralType(simple=declared))
        request.template.interface.inputs.variables.append(VariableEntry(key="x", value=kind))
        literal.scalar.primitive.datetime.seconds = 2**62
    request.inputs.literals.append(NamedLiteral(name="x", value=literal))
    with pytest.raises(RefusedInputError, match=f"the input 'x' is refused: .*{message}.*; nothing was submitted"):
        plain_inputs(request, check_request(request))
