"""Values of tasks as Flyte sends them."""

from __future__ import annotations

from typing import Any

import msgpack
from flyteidl2.core.literals_pb2 import Binary, Blob, BlobMetadata, Literal, LiteralCollection, Primitive, Scalar
from flyteidl2.core.types_pb2 import BlobType, LiteralType, SimpleType, TypeStructure

STRING = LiteralType(simple=SimpleType.STRING)
JSON = LiteralType(simple=SimpleType.STRUCT, structure=TypeStructure(tag="yaml_connector.Json"))
FILE = LiteralType(blob=BlobType())
INTEGERS = LiteralType(collection_type=LiteralType(simple=SimpleType.INTEGER))
Typed = tuple[LiteralType, Literal]


def string(value: str) -> Literal:
    """A string."""
    return Literal(scalar=Scalar(primitive=Primitive(string_value=value)))


def numbers(count: int) -> Literal:
    """A list of so many integers."""
    one = Literal(scalar=Scalar(primitive=Primitive(integer=1)))
    return Literal(collection=LiteralCollection(literals=[one] * count))


def file_of(uri: str) -> Typed:
    """A file at a URI."""
    return FILE, Literal(scalar=Scalar(blob=Blob(uri=uri, metadata=BlobMetadata(type=BlobType()))))


def json_input(value: Any) -> Typed:
    """A JSON value."""
    return JSON, Literal(scalar=Scalar(binary=Binary(value=msgpack.packb(value), tag="msgpack")))
