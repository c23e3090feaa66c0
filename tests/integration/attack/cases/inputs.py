"""Inputs, configs and tasks that no user would send."""

from __future__ import annotations

import os
import pickle
import random
from collections.abc import Mapping
from typing import Any

from flyteidl2.connector.connector_pb2 import CreateTaskRequest
from flyteidl2.core.literals_pb2 import (
    Binary,
    Blob,
    BlobMetadata,
    Literal,
    LiteralCollection,
    LiteralMap,
    LiteralOffloadedMetadata,
    Scalar,
)
from flyteidl2.core.types_pb2 import BlobType, LiteralType, SimpleType

from tests.integration.attack.attacker import Attacker
from tests.integration.attack.cases.base import case, created, job, once
from tests.integration.attack.values import JSON, STRING, Typed, file_of, json_input, string


class WritesAFile:
    """Unpickled, it makes a folder. `PWNED` is looked for at the end."""

    def __reduce__(self) -> Any:
        return os.mkdir, (os.environ.get("ATTACK_PWNED", "PWNED"),)


def pickles() -> list[Typed]:
    """Values that Flyte's conversion would unpickle."""
    data = pickle.dumps(WritesAFile())
    inline = Literal(scalar=Scalar(binary=Binary(value=data, tag="pickle")))
    pickled = BlobType(format="PythonPickle")
    place = Literal(scalar=Scalar(blob=Blob(uri="http://127.0.0.1:1/pkl", metadata=BlobMetadata(type=pickled))))
    binary = LiteralType(simple=SimpleType.BINARY)
    offloaded = LiteralOffloadedMetadata(uri="http://127.0.0.1:1/pkl", size_bytes=3, inferred_type=STRING)
    return [
        (binary, inline),
        (LiteralType(blob=pickled), place),
        (LiteralType(collection_type=binary), Literal(collection=LiteralCollection(literals=[inline]))),
        (LiteralType(map_value_type=STRING), Literal(map=LiteralMap(literals={"a": inline}))),
        (STRING, inline),
        (STRING, place),
        (STRING, Literal(offloaded_metadata=offloaded)),
        (JSON, Literal(scalar=Scalar(binary=Binary(value=b"\xc1" * 100, tag="msgpack")))),
    ]


PLACES = (
    "/etc/passwd",
    "file:///proc/self/environ",
    "/vault/secrets/x",
    "s3://bucket/../../etc/passwd",
    "s3://other-team/x",
    "http://169.254.169.254/latest/meta-data",
    "http://127.0.0.1:1/x",
    "s3://allowed/\x00",
    "s3://allowed/" + "x" * 100_000,
    "s3://user:pass@allowed/x",
    "zip://a::file:///etc/passwd",
    "",
    "memory://x",
    "data:text/plain,x",
)


def _deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@once
def large_inputs() -> list[Mapping[str, Typed]]:
    """Inputs of nearly four megabytes."""
    many = Literal(collection=LiteralCollection(literals=[string("x")] * 400_000))
    return [
        {"x": (STRING, string("x" * 3_800_000))},
        {"x": json_input(["x" * 10] * 300_000)},
        {"x": json_input({f"k{number}": number for number in range(200_000)})},
        {"x": json_input(_deep(400))},
        {"x": json_input([[]] * 3_000_000)},
        {"x": (LiteralType(collection_type=STRING), many)},
        {f"n{number}": (STRING, string("x")) for number in range(40_000)},
        {"x" * 3_000_000: (STRING, string("x"))},
    ]


def _many_outputs(attacker: Attacker) -> None:
    attacker.create("plain", "quiet", outputs={f"o{n}-{random.random()}" + "x" * 100_000: STRING for n in range(30)})


def _odd_names(request: CreateTaskRequest) -> None:
    identity = request.task_execution_metadata.task_execution_id
    identity.node_execution_id.node_id = "n" * 1_000_000
    identity.node_execution_id.execution_id.name = "../\x00\n" + "r" * 500_000
    request.task_execution_metadata.labels["l" * 500_000] = "v" * 500_000
    request.template.type = "plain"


case("pickles", *(created("anything", inputs={"x": typed}) for typed in pickles()))
case("file inputs", *(created("files", inputs={"data": file_of(place)}) for place in PLACES))
case("file prefixes", *(job("plain", "quiet", prefix=place) for place in PLACES))
case("large inputs", lambda attacker: created("anything", inputs=random.choice(large_inputs()))(attacker))
case(
    "large tasks",
    created(
        "plain",
        config="{" + ",".join(f'"k{n}":1' for n in range(250_000)) + "}",
        inputs={"name": (STRING, string("q"))},
    ),
    created("plain", config="[" * 1_000_000, inputs={"name": (STRING, string("q"))}),
    created("written_int", config='{"n":' + "9" * 1_000_000 + "}"),
    _many_outputs,
    job("plain", "quiet", change=_odd_names),
)
