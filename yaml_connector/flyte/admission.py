"""What a CreateTask may hold, checked before Flyte converts any of it.

Flyte's conversion unpickles some literals, and so runs code of their sender. It looks at the declared type, at the
literal and at the literal's metadata to decide. So all three are held to what the types of the language give, and
everything else is refused, for every task type of the process.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgpack
from flyte.types import TypeEngine
from flyteidl2.connector.connector_pb2 import CreateTaskRequest
from flyteidl2.core.literals_pb2 import Literal, Scalar
from flyteidl2.core.types_pb2 import LiteralType, SimpleType
from google.protobuf.json_format import MessageToDict, SerializeToJsonError
from google.protobuf.struct_pb2 import Struct

from yaml_connector._text import short, truncate
from yaml_connector.errors import YamlConnectorError
from yaml_connector.flyte.literals import PYTHON_TYPES, plain_literal

_PICKLE = "PythonPickle"
_DEEPEST = 16  # lists, mappings and unions inside each other
_DEEPEST_JSON = 100
# Conversion happens on the event loop, so what one task may hold is bounded.
_MOST_TYPES = 1_000
_MOST_ITEMS = 4_000  # a literal costs Flyte some 70 us, where another package's connector is called
_MOST_JSON_ITEMS = 50_000
_LARGEST_JSON = 2**20  # bytes of all JSON values: unpacking them holds up everybody
_LARGEST_STRUCT = 256 * 1024  # bytes
_MOST_COMPARED = 100_000  # values with types: each value of a union with each of its types
_VALUES: dict[int, frozenset[str]] = {
    SimpleType.NONE: frozenset({"none_type"}),
    SimpleType.INTEGER: frozenset({"integer"}),
    SimpleType.FLOAT: frozenset({"float_value", "integer"}),
    SimpleType.STRING: frozenset({"string_value"}),
    SimpleType.BOOLEAN: frozenset({"boolean"}),
    SimpleType.DATETIME: frozenset({"datetime"}),
    SimpleType.DURATION: frozenset({"duration"}),
    SimpleType.STRUCT: frozenset({"generic", "binary"}),
}
_JSON = frozenset({str, int, float, bool})
_SIMPLE_TYPES = frozenset(LiteralType(simple=kind).SerializeToString() for kind in _VALUES)  # and nothing else in them
_TAGS = frozenset({"", "none"}) | {
    TypeEngine.get_transformer(declared).name for declared in (*PYTHON_TYPES, list[str], dict[str, str], dict)
}
_ADVICE = (
    "allowed are str, int, float, bool, datetime, timedelta, None, files, directories and dataframes by their URI, "
    "JSON values, and lists, mappings and optional values of them"
)


class RefusedInputError(YamlConnectorError):
    """A CreateTask holds what no task of this service may send. The message names the input."""


def check_request(request: CreateTaskRequest) -> dict[str, LiteralType]:
    """Raise RefusedInputError unless every type and every value is one of the language's, and they fit each other.
    Returns the declared types by name."""
    admission = _Admission()
    declared: dict[str, LiteralType] = {}
    for entry in request.template.interface.inputs.variables:
        _check(entry.key, admission.of_type(entry.value.type))
        declared[entry.key] = entry.value.type
    for literal in request.inputs.literals:
        _check(literal.name, admission.of_literal(literal.value))
        if literal.name in declared and not admission.fits(declared[literal.name], literal.value):
            _check(literal.name, "its value is not of the type that the task declares")
    return declared


def plain_inputs(request: CreateTaskRequest, declared: Mapping[str, LiteralType]) -> dict[str, Any]:
    """Return the values of a request that was checked, as expressions see them. Raises RefusedInputError."""
    inputs: dict[str, Any] = {}
    for literal in request.inputs.literals:
        if literal.name not in declared:
            _check(literal.name, "the task does not declare it")
        try:
            inputs[literal.name] = plain_literal(literal.value, declared[literal.name])
        except (ValueError, OverflowError, TypeError) as error:
            _check(literal.name, truncate(str(error), 200))
    return inputs


def _check(name: str, wrong: str | None) -> None:
    if wrong is not None:
        raise RefusedInputError(f"the input {short(name)} is refused: {wrong}; nothing was submitted")


def _first(found: Iterable[str | None]) -> str | None:
    return next((text for text in found if text is not None), None)


class _Admission:
    """Says what is wrong with the types and values of one task, and counts what they are made of."""

    def __init__(self) -> None:
        self._types = self._items = self._json_items = self._json_size = self._compared = 0

    def of_type(self, declared: LiteralType, depth: int = 0) -> str | None:
        self._types += 1
        if depth > _DEEPEST:
            return f"its type is more than {_DEEPEST} levels deep"
        if self._types > _MOST_TYPES:
            return f"the types of the task's inputs have more than {_MOST_TYPES} parts"
        if declared.ByteSize() <= 2 and declared.SerializeToString() in _SIMPLE_TYPES:
            return None
        if declared.HasField("metadata") or declared.structure.dataclass_type or declared.structure.tag not in _TAGS:
            return f"it has a type that connectors do not take; {_ADVICE}"
        match declared.WhichOneof("type"):
            case "blob" if declared.blob.format == _PICKLE:
                return "it is declared as a pickle, which is code"
            case "blob" | "structured_dataset_type":
                return None
            case "simple" if declared.simple in _VALUES:
                return None
            case "simple" if declared.simple == SimpleType.BINARY:
                return "it is declared as a pickle, which is code"
            case "collection_type":
                return self.of_type(declared.collection_type, depth + 1)
            case "map_value_type":
                return self.of_type(declared.map_value_type, depth + 1)
            case "union_type":
                return _first(self.of_type(item, depth + 1) for item in declared.union_type.variants)
        return f"it has a type that connectors do not take; {_ADVICE}"

    def of_literal(self, literal: Literal, depth: int = 0) -> str | None:
        self._items += 1
        if depth > _DEEPEST:
            return f"it is more than {_DEEPEST} levels deep; send it as one JSON value"
        if self._items > _MOST_ITEMS:
            return f"the task's inputs have more than {_MOST_ITEMS} items; send them as one JSON value, or as a file"
        if "format" in literal.metadata:  # Flyte takes a struct for the place of a pickle then
            return "its metadata names a format, and pickles are code"
        match literal.WhichOneof("value"):
            case "scalar":
                return self._of_scalar(literal.scalar, depth)
            case "collection":
                return _first(self.of_literal(item, depth + 1) for item in literal.collection.literals)
            case "map":
                return _first(self.of_literal(item, depth + 1) for item in literal.map.literals.values())
            case "offloaded_metadata":
                return "its value is kept elsewhere (offloaded), and a service does not fetch it"
        return f"it has no value; {_ADVICE}"

    def fits(self, declared: LiteralType, literal: Literal) -> bool:
        """Tell whether a value is of a type, as far as Flyte's conversion looks; both are admitted."""
        self._compared += 1
        if self._compared > _MOST_COMPARED:
            return False
        kind, found = declared.WhichOneof("type"), literal.WhichOneof("value")
        if kind == "collection_type":
            items = literal.collection.literals
            return found == "collection" and all(self.fits(declared.collection_type, item) for item in items)
        if kind == "map_value_type":
            values = literal.map.literals.values()
            return found == "map" and all(self.fits(declared.map_value_type, item) for item in values)
        scalar = literal.scalar.WhichOneof("value") if found == "scalar" else ""
        if kind == "union_type" and scalar == "union":
            return self.fits(literal.scalar.union.type, literal.scalar.union.value)
        if kind == "union_type":
            return any(self.fits(variant, literal) for variant in declared.union_type.variants)
        if kind != "simple":
            return str(kind).removesuffix("_type") == scalar
        return (literal.scalar.primitive.WhichOneof("value") or scalar) in _VALUES[declared.simple]

    def _of_scalar(self, scalar: Scalar, depth: int) -> str | None:
        match scalar.WhichOneof("value"):
            case "primitive" | "none_type" | "structured_dataset":
                return None
            case "generic":
                return self._of_struct(scalar.generic)
            case "binary" if scalar.binary.tag == "msgpack":
                return self._of_json(scalar.binary.value)
            case "binary":
                return f"it is binary data with the tag {short(scalar.binary.tag)}, and pickles are code"
            case "blob" if scalar.blob.metadata.type.format == _PICKLE:
                return "it is a file that holds a pickle, which is code"
            case "blob":
                return None
            case "union":
                return self.of_type(scalar.union.type) or self.of_literal(scalar.union.value, depth + 1)
        return f"it is not a value of a connector's types; {_ADVICE}"

    def _of_struct(self, struct: Struct) -> str | None:
        size = struct.ByteSize()
        if size > _LARGEST_STRUCT:
            return f"it is a struct of {size} bytes; at most {_LARGEST_STRUCT}"
        try:
            MessageToDict(struct)
        except (ValueError, SerializeToJsonError):
            return "it holds a number that JSON has not"
        return None

    def _of_json(self, packed: bytes) -> str | None:
        self._json_size += len(packed)
        if self._json_size > _LARGEST_JSON:
            return f"the task's inputs have more than {_LARGEST_JSON} bytes of JSON values; send them as a file"
        longest = {"max_array_len": _MOST_JSON_ITEMS, "max_map_len": _MOST_JSON_ITEMS}
        try:
            level: list[Any] = [msgpack.unpackb(packed, strict_map_key=False, **longest)]
        except ValueError as error:
            if "exceeds max_" not in str(error):
                return "it is not a JSON value that can be read"
            return f"the task's inputs have more than {_MOST_JSON_ITEMS} JSON values; send them as a file"
        except Exception:  # msgpack's own, and those of Python's types
            return "it is not a JSON value that can be read"
        for _ in range(_DEEPEST_JSON):
            self._json_items += len(level)
            if self._json_items > _MOST_JSON_ITEMS:
                return f"the task's inputs have more than {_MOST_JSON_ITEMS} JSON values; send them as a file"
            deeper: list[Any] = []
            for value in level:
                if isinstance(value, dict):
                    deeper += value.values()
                elif isinstance(value, list):
                    deeper += value
                elif value is not None and type(value) not in _JSON:
                    return f"it holds a {type(value).__name__}, which JSON has not"
            if not deeper:
                return None
            level = deeper
        return f"it is more than {_DEEPEST_JSON} levels deep"
