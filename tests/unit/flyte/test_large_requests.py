"""Large requests of `serve`: what they are made of is counted before they are parsed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress

import pytest
from flyteidl2.connector.connector_pb2 import CreateTaskRequest, DeleteTaskRequest, GetTaskRequest
from flyteidl2.core.interface_pb2 import Variable, VariableEntry
from flyteidl2.core.literals_pb2 import Literal, LiteralCollection, LiteralMap, Primitive, Scalar, Union
from flyteidl2.core.security_pb2 import Connection
from flyteidl2.core.tasks_pb2 import TaskTemplate
from flyteidl2.core.types_pb2 import LiteralType, SimpleType
from flyteidl2.task.common_pb2 import Inputs, NamedLiteral
from google.protobuf.message import DecodeError, Message
from hypothesis import given
from hypothesis import strategies as st

from yaml_connector.errors import TransientError
from yaml_connector.flyte.admission import RefusedInputError
from yaml_connector.flyte.large_requests import parse, read_large

ONE = Literal(scalar=Scalar(primitive=Primitive(integer=1)))

literals = st.recursive(
    st.one_of(
        st.text().map(lambda text: Literal(scalar=Scalar(primitive=Primitive(string_value=text)))),
        st.integers(-(2**63), 2**63 - 1).map(
            lambda number: Literal(scalar=Scalar(primitive=Primitive(integer=number)))
        ),
        st.floats().map(lambda number: Literal(scalar=Scalar(primitive=Primitive(float_value=number)))),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: Literal(collection=LiteralCollection(literals=items))),
        st.dictionaries(st.text(), inner, max_size=3).map(lambda items: Literal(map=LiteralMap(literals=items))),
        inner.map(lambda item: Literal(scalar=Scalar(union=Union(value=item, type=LiteralType(simple=1))))),
    ),
    max_leaves=8,
)


def create_of(*inputs: Literal) -> CreateTaskRequest:
    named = [NamedLiteral(name=f"n{number}" * 40, value=value) for number, value in enumerate(inputs)]
    return CreateTaskRequest(inputs=Inputs(literals=named), template=TaskTemplate(type="t"), output_prefix="s3://b/x")


@given(st.lists(literals, max_size=4), st.text())
def test_a_request_is_read_as_protobuf_reads_it(inputs: list[Literal], prefix: str) -> None:
    request = create_of(*inputs)
    request.output_prefix = prefix
    assert str(parse(CreateTaskRequest, request.SerializeToString())) == str(request)  # NaN is not equal to itself


@given(st.binary(max_size=200), st.sampled_from([CreateTaskRequest, GetTaskRequest, DeleteTaskRequest]))
def test_any_bytes_are_a_request_or_not(data: bytes, kind: type[Message]) -> None:
    with suppress(DecodeError):
        assert str(parse(kind, data)) == str(kind.FromString(data))


@given(st.data())
def test_a_request_that_is_cut_is_a_request_or_not(data: st.DataObject) -> None:
    whole = create_of(ONE, Literal(collection=LiteralCollection(literals=[ONE] * 3))).SerializeToString()
    cut = whole[: data.draw(st.integers(0, len(whole)))]
    with suppress(DecodeError):
        assert str(parse(CreateTaskRequest, cut)) == str(CreateTaskRequest.FromString(cut))


NAMES = [f"k{number}" for number in range(60_000)]


def with_labels() -> CreateTaskRequest:
    request = CreateTaskRequest()
    request.task_execution_metadata.labels.update(dict.fromkeys(NAMES, ""))
    return request


MANY: dict[str, Callable[[], CreateTaskRequest | GetTaskRequest]] = {
    "items": lambda: create_of(Literal(collection=LiteralCollection(literals=[ONE] * 100_000))),
    "inputs": lambda: create_of(*[ONE] * 30_000),
    "labels": with_labels,
    "secrets": lambda: GetTaskRequest(connection=Connection(secrets=dict.fromkeys(NAMES, ""))),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MANY)
def test_a_request_of_very_many_parts_is_refused_before_it_is_parsed(name: str) -> None:
    request = MANY[name]()
    with pytest.raises(RefusedInputError, match="more than 60000 parts; send inputs of many items as one JSON value"):
        parse(type(request), request.SerializeToString())


def test_what_is_admitted_has_few_enough_parts() -> None:
    variant = LiteralType(simple=1)
    request = create_of(*[Literal(scalar=Scalar(union=Union(value=ONE, type=variant)))] * 2000)
    assert parse(CreateTaskRequest, request.SerializeToString()) == request


def test_the_names_of_an_execution_have_a_bound() -> None:
    request = create_of()
    request.task_execution_metadata.task_execution_id.node_execution_id.node_id = "n" * 300_000
    with pytest.raises(RefusedInputError, match="names, labels and annotations of the task's execution have 3000"):
        parse(CreateTaskRequest, request.SerializeToString())


@pytest.mark.parametrize("times", [1, 2])  # protobuf puts the parts together
def test_outputs_that_take_long_to_look_at_are_refused_before_they_are(times: int) -> None:
    request = CreateTaskRequest()
    kind = Variable(type=LiteralType(simple=SimpleType.STRING))
    entries = [VariableEntry(key="o" * 20, value=kind) for _ in range(9000 // times)]
    request.template.interface.outputs.variables.extend(entries)
    with pytest.raises(RefusedInputError, match=r"outputs are declared by \d+ bytes, and 262144 are the most"):
        parse(CreateTaskRequest, request.SerializeToString() * times)


@given(st.lists(literals, max_size=4), st.text())
def test_a_part_is_measured_as_protobuf_measures_it(inputs: list[Literal], key: str) -> None:
    request = create_of(*inputs)
    outputs = request.template.interface.outputs
    outputs.variables.append(VariableEntry(key=key, value=Variable(type=LiteralType(simple=SimpleType.STRING))))
    data = request.SerializeToString()
    assert asyncio.run(read_large(CreateTaskRequest, data)).inputs_size == request.inputs.ByteSize()


@pytest.mark.slow
def test_few_large_creates_are_served_at_a_time_and_the_others_wait_for_a_while() -> None:
    data = CreateTaskRequest(output_prefix=os.urandom(1_900_000).hex()).SerializeToString()

    async def main() -> None:
        held = [await read_large(CreateTaskRequest, data) for _ in range(2)]
        with pytest.raises(TransientError, match="other large requests are being served"):
            await read_large(CreateTaskRequest, data)
        await read_large(GetTaskRequest, GetTaskRequest(resource_meta=data).SerializeToString())  # of another kind
        waiting = asyncio.create_task(read_large(CreateTaskRequest, data))
        await asyncio.sleep(0)
        held.pop()
        await waiting

    asyncio.run(main())
