"""No task runs code in the service: what Flyte's conversion would unpickle is refused before it is converted."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import msgpack
import pytest
from flyteidl2.connector.connector_pb2 import CreateTaskRequest
from flyteidl2.connector.service_pb2_grpc import AsyncConnectorServiceStub
from flyteidl2.core.interface_pb2 import Variable, VariableEntry
from flyteidl2.core.literals_pb2 import (
    Binary,
    Blob,
    BlobMetadata,
    Literal,
    LiteralCollection,
    LiteralMap,
    LiteralOffloadedMetadata,
    Primitive,
    Scalar,
    Union,
    Void,
)
from flyteidl2.core.security_pb2 import Connection
from flyteidl2.core.types_pb2 import BlobType, EnumType, LiteralType, SimpleType, TypeStructure, UnionType
from flyteidl2.task.common_pb2 import Inputs, NamedLiteral
from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

from tests.support.flyte_side import FlyteSide, Job, metadata_of, template_of
from tests.support.real_api import RealApi
from tests.support.serving import serving
from yaml_connector import task_from_spec

SPECS = Path(__file__).parent / "connectors.d"
MULTIPART = BlobType.BlobDimensionality.MULTIPART
STRUCT = LiteralType(simple=SimpleType.STRUCT)
JSON = LiteralType(simple=SimpleType.STRUCT, structure=TypeStructure(tag="yaml_connector.Json"))
BINARY = LiteralType(simple=SimpleType.BINARY)
PICKLED_FILE = LiteralType(blob=BlobType(format="PythonPickle"))
NOTHING = Literal(scalar=Scalar(none_type=Void()))
Wrap = tuple[Callable[[LiteralType], LiteralType], Callable[[Literal, LiteralType], Literal]]


class WritesAFile:
    """Unpickled, it writes a file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (self.path,)


def binary(value: bytes, tag: str = "") -> Literal:
    return Literal(scalar=Scalar(binary=Binary(value=value, tag=tag)))


def blob(uri: str, kind: BlobType) -> Literal:
    return Literal(scalar=Scalar(blob=Blob(uri=uri, metadata=BlobMetadata(type=kind))))


def union_of(declared: LiteralType) -> LiteralType:
    return LiteralType(union_type=UnionType(variants=[declared, LiteralType(simple=SimpleType.NONE)]))


WRAPS: dict[str, Wrap] = {
    "alone": (lambda declared: declared, lambda literal, declared: literal),
    "list": (
        lambda declared: LiteralType(collection_type=declared),
        lambda literal, declared: Literal(collection=LiteralCollection(literals=[literal])),
    ),
    "map": (
        lambda declared: LiteralType(map_value_type=declared),
        lambda literal, declared: Literal(map=LiteralMap(literals={"key": literal})),
    ),
    "union": (
        union_of,
        lambda literal, declared: Literal(scalar=Scalar(union=Union(value=literal, type=declared))),
    ),
    "map of lists": (
        lambda declared: LiteralType(map_value_type=LiteralType(collection_type=declared)),
        lambda literal, declared: Literal(
            map=LiteralMap(literals={"key": Literal(collection=LiteralCollection(literals=[literal]))})
        ),
    ),
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, api: RealApi) -> Iterator[FlyteSide]:
    """The service as `serve` starts it."""
    with (
        serving(tmp_path_factory.mktemp("no_code"), SPECS / "any_inputs.yaml", REAL_API=api.url) as service,
        FlyteSide(service.port) as calls,
    ):
        yield calls


@pytest.fixture(params=["serve", "c0"])
def create(request: pytest.FixtureRequest, api: RealApi) -> Callable[..., None]:
    """Sends a create of one input `x`, with a declared type and a literal, and wants it to be refused."""
    calls: FlyteSide = request.getfixturevalue("served" if request.param == "serve" else "calls")
    task = task_from_spec(SPECS / "any_inputs.yaml")
    api.case("inputs", lambda received: {"id": "1"})

    def send(declared: LiteralType, literal: Literal | None, task_type: str = "any_inputs") -> None:
        template = template_of(task)
        template.type = task_type
        template.interface.inputs.variables.append(VariableEntry(key="x", value=Variable(type=declared)))
        message = CreateTaskRequest(
            template=template,
            inputs=Inputs(literals=[NamedLiteral(name="x", value=literal)] if literal is not None else []),
            output_prefix="s3://bucket/x",
            task_execution_metadata=metadata_of(task, "no-code"),
        )
        with pytest.raises(grpc.RpcError) as raised:
            AsyncConnectorServiceStub(calls.channel).CreateTask(message, timeout=10)
        assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT, raised.value.details()
        assert raised.value.details().startswith("the input 'x' is refused: ")
        assert raised.value.details().endswith("; nothing was submitted")
        assert api.received("inputs") == []

    return send


@pytest.mark.parametrize("wrap", WRAPS)
@pytest.mark.parametrize("sent_as", ["pickle", "", "msgpack", "file", "folder", "declared a file", "struct"])
def test_a_pickle_is_refused_wherever_it_stands(
    create: Callable[..., None], tmp_path: Path, wrap: str, sent_as: str
) -> None:
    """Each of these would write a file, where Flyte's conversion reads it as a pickle."""
    written = tmp_path / "written"
    code = pickle.dumps(WritesAFile(str(written)))
    stored = tmp_path / "stored.pickle"
    stored.write_bytes(code)
    struct = Struct()
    struct.update({"pickle_file": str(stored)})
    declared, literal = {
        "pickle": (BINARY, binary(code, "pickle")),
        "": (BINARY, binary(code)),
        "msgpack": (BINARY, binary(code, "msgpack")),
        "file": (PICKLED_FILE, blob(str(stored), PICKLED_FILE.blob)),
        "folder": (
            LiteralType(blob=BlobType(format="PythonPickle", dimensionality=MULTIPART)),
            blob(str(tmp_path), BlobType(format="PythonPickle", dimensionality=MULTIPART)),
        ),
        "declared a file": (PICKLED_FILE, blob(str(stored), BlobType())),
        "struct": (STRUCT, Literal(scalar=Scalar(generic=struct), metadata={"format": "pickle"})),
    }[sent_as]
    of_type, of_literal = WRAPS[wrap]
    create(of_type(declared), of_literal(literal, declared))
    assert not written.exists()


@pytest.mark.parametrize("wrap", WRAPS)
def test_a_pickle_is_refused_under_any_honest_type(create: Callable[..., None], wrap: str) -> None:
    of_type, of_literal = WRAPS[wrap]
    code = binary(pickle.dumps("x"), "pickle")
    for declared in (LiteralType(simple=SimpleType.STRING), JSON, STRUCT, LiteralType(blob=BlobType())):
        create(of_type(declared), of_literal(code, declared))


@pytest.mark.parametrize("of", ["served", "calls"])
def test_a_request_of_very_many_parts_is_refused_before_it_is_parsed(of: str, request: pytest.FixtureRequest) -> None:
    calls: FlyteSide = request.getfixturevalue(of)
    message = CreateTaskRequest()
    message.task_execution_metadata.labels.update({f"k{number}": "" for number in range(60_000)})
    with pytest.raises(grpc.RpcError) as raised:
        AsyncConnectorServiceStub(calls.channel).CreateTask(message, timeout=10)
    assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert raised.value.details().startswith("the request has more than 60000 parts")


@pytest.mark.parametrize("task_type", ["never_heard_of", "any_inputs"])
def test_every_task_type_is_guarded(create: Callable[..., None], task_type: str) -> None:
    create(BINARY, binary(b"x", "pickle"), task_type)


def nested(depth: int) -> tuple[LiteralType, Literal]:
    declared, literal = STRUCT, binary(msgpack.packb(1), "msgpack")
    for _ in range(depth):
        declared = LiteralType(collection_type=declared)
        literal = Literal(collection=LiteralCollection(literals=[literal]))
    return declared, literal


def deep_json(depth: int) -> bytes:
    return b"\x91" * depth + b"\xc0"


def test_a_value_that_is_not_fetched_is_refused(create: Callable[..., None]) -> None:
    offloaded = LiteralOffloadedMetadata(uri="s3://bucket/value.pb", size_bytes=1, inferred_type=STRUCT)
    create(STRUCT, Literal(offloaded_metadata=offloaded))
    create(LiteralType(collection_type=STRUCT), Literal(collection={"literals": [{"offloaded_metadata": offloaded}]}))


def test_types_that_make_classes_are_refused(create: Callable[..., None]) -> None:
    """Flyte makes a class of a schema, with names that the caller chooses."""
    schema = Struct()
    schema.update({"title": "A:\n pass\nimport os", "type": "object", "properties": {"a": {"type": "integer"}}})
    create(LiteralType(simple=SimpleType.STRUCT, metadata=schema), None)
    create(LiteralType(simple=SimpleType.STRUCT, structure=TypeStructure(tag="FlytePickle")), None)
    create(LiteralType(enum_type=EnumType(values=["__class__"])), None)
    create(LiteralType(simple=SimpleType.ERROR), None)
    create(LiteralType(), None)


def test_what_is_too_deep_or_too_much_is_refused(create: Callable[..., None]) -> None:
    create(*nested(20))
    create(JSON, binary(deep_json(101), "msgpack"))
    create(JSON, binary(deep_json(5_000), "msgpack"))
    create(JSON, binary(b"\xc1", "msgpack"))
    create(JSON, binary(msgpack.packb({"a": b"bytes"}), "msgpack"))
    create(JSON, binary(msgpack.packb([0] * 200_001), "msgpack"))
    number = Literal(scalar=Scalar(primitive=Primitive(integer=1)))
    many = Literal(collection=LiteralCollection(literals=[number] * 10_001))
    create(LiteralType(collection_type=LiteralType(simple=SimpleType.INTEGER)), many)
    create(LiteralType(union_type=UnionType(variants=[STRUCT] * 1_001)), None)
    large = Struct()
    large.update({"a": "x" * 300_000})
    create(STRUCT, Literal(scalar=Scalar(generic=large)))
    create(STRUCT, Literal())
    endless = Struct()
    endless.update({"a": [float("inf")]})
    create(STRUCT, Literal(scalar=Scalar(generic=endless)))


def test_a_value_of_another_type_than_the_declared_one_is_refused(create: Callable[..., None]) -> None:
    """Flyte's conversion would raise, and quote the whole value."""
    number = Literal(scalar=Scalar(primitive=Primitive(integer=1)))
    text = LiteralType(simple=SimpleType.STRING)
    create(text, number)
    create(text, Literal(collection=LiteralCollection(literals=[number])))
    create(LiteralType(collection_type=text), Literal(collection=LiteralCollection(literals=[number])))
    create(LiteralType(map_value_type=text), Literal(map=LiteralMap(literals={"a": number})))
    create(LiteralType(blob=BlobType()), number)
    create(union_of(text), number)
    create(union_of(text), Literal(scalar=Scalar(union=Union(value=number, type=text))))


def test_a_union_of_many_types_costs_no_more_than_its_parts(create: Callable[..., None]) -> None:
    number = Literal(scalar=Scalar(primitive=Primitive(integer=1)))
    many = LiteralType(union_type=UnionType(variants=[LiteralType(simple=SimpleType.STRING)] * 900))
    create(LiteralType(collection_type=many), Literal(collection=LiteralCollection(literals=[number] * 9_000)))


def test_a_secret_with_the_name_of_an_argument_harms_no_call(served: FlyteSide, api: RealApi) -> None:
    api.case("inputs", lambda received: {"id": "1"})
    job = served.create(task_from_spec(SPECS / "any_inputs.yaml"), "reserved-secrets")
    for name in ("resource_meta", "self", "inputs"):
        job.connection.secrets[name] = job.connection.configs[name] = "x"
    assert served.get(job).message == ""
    served.delete(job)


@pytest.mark.parametrize(
    ("simple", "value"),
    [
        (SimpleType.DATETIME, Primitive(datetime=Timestamp(seconds=2**62))),
        (SimpleType.DATETIME, Primitive(datetime=Timestamp(nanos=-5))),
        (SimpleType.DURATION, Primitive(duration=Duration(seconds=2**62))),
    ],
)
def test_a_time_that_python_does_not_have_is_refused(
    create: Callable[..., None], simple: SimpleType, value: Primitive
) -> None:
    create(LiteralType(simple=simple), Literal(scalar=Scalar(primitive=value)))


def test_a_message_that_quotes_its_caller_is_cut_to_what_grpc_takes(served: FlyteSide) -> None:
    task = task_from_spec(SPECS / "any_inputs.yaml")
    task.task_type = "💥" * 100_000
    for call, code in ((served.delete, grpc.StatusCode.INTERNAL), (served.logs, grpc.StatusCode.NOT_FOUND)):
        with pytest.raises(grpc.RpcError) as raised:
            call(Job(task, b"{}", Connection()))
        assert raised.value.code() == code
        assert len(raised.value.details()) < 3000


def test_a_struct_as_a_console_sends_it_and_a_null_pass(served: FlyteSide, api: RealApi) -> None:
    api.case("inputs", lambda received: {"id": "1"})
    task = task_from_spec(SPECS / "any_inputs.yaml")
    template = template_of(task)
    for key, declared in (("x", STRUCT), ("y", union_of(STRUCT))):
        template.interface.inputs.variables.append(VariableEntry(key=key, value=Variable(type=declared)))
    struct = Struct()
    struct.update({"a": [1, {"b": None}]})
    literals = [
        NamedLiteral(name="x", value=Literal(scalar=Scalar(generic=struct), metadata={"a": "b"})),
        NamedLiteral(name="y", value=NOTHING),
    ]
    message = CreateTaskRequest(template=template, inputs=Inputs(literals=literals), output_prefix="s3://bucket/x")
    AsyncConnectorServiceStub(served.channel).CreateTask(message, timeout=10)
    assert api.received("inputs", "POST")[-1].json["x"] == {"a": [1, {"b": None}]}
