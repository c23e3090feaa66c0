"""Between the language's types and Flyte's: Python types, literal types, and values."""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgpack
from flyte.io import DataFrame, Dir, File
from flyte.types import TypeEngine, TypeTransformer
from flyteidl2.core.literals_pb2 import Binary, Literal, Scalar
from flyteidl2.core.types_pb2 import BlobType, LiteralType, SimpleType, TypeStructure

from yaml_connector._expressions.value_types import ValueType, as_plain
from yaml_connector.errors import ConfigError

# What one output may hold is bounded, since converting it holds up others.
LARGEST_OUTPUTS = 3_500_000  # bytes: gRPC takes 4 MiB, and there is more in a message than what is counted
TOO_LARGE = f"the outputs are larger than {LARGEST_OUTPUTS / 1e6:g} MB; give a file's URI instead"
MOST_VALUES = 50_000  # of a list, a mapping or a JSON value
_MOST_BITS = 1_000_000  # of the integers of a JSON value that become text
_JSON_TAG = "yaml_connector.Json"


class Json:
    """The type `any` in Python: any JSON value, sent as Flyte's struct and never as a pickle.

    A task that takes such a value may declare it as `Json`, or as `dict` if it is a mapping.
    """


class _JsonTransformer(TypeTransformer[Any]):
    """Converts `Json`. Its literal type is Flyte's struct, with the transformer's name as its tag.

    By the tag the connector service knows it from a `dict`, which takes mappings alone.
    """

    def __init__(self) -> None:
        super().__init__(_JSON_TAG, Json, enable_type_assertions=False)

    def get_literal_type(self, t: type[Any]) -> LiteralType:
        return LiteralType(simple=SimpleType.STRUCT, structure=TypeStructure(tag=self.name))

    def guess_python_type(self, literal_type: LiteralType) -> type[Any]:
        if literal_type.simple == SimpleType.STRUCT and literal_type.structure.tag == self.name:
            return Json
        raise ValueError(f"{literal_type} is not a valid JSON value")

    async def to_literal(self, python_val: Any, python_type: type[Any], expected: LiteralType) -> Literal:
        from yaml_connector._http.thread import LARGE, in_thread_if  # tasks do not need it

        large = isinstance(python_val, list | dict) or (isinstance(python_val, str) and len(python_val) > LARGE)
        return await in_thread_if(large, _json_literal, python_val)

    async def to_python_value(self, lv: Literal, expected_python_type: type[Any]) -> Any:
        return json_value(lv)


def _json_literal(value: Any) -> Literal:
    return Literal(scalar=Scalar(binary=Binary(value=msgpack.packb(_Packing().pack(value)), tag="msgpack")))


class _Packing:
    """Makes one JSON value what msgpack takes, in bounded time."""

    def __init__(self) -> None:
        self._values = self._bits = self._characters = 0

    def pack(self, value: Any) -> Any:
        # msgpack has no integers beyond 64 bits: those become text, as APIs send them, rather than lose digits
        if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**64:
            self._bits += value.bit_length()
            if self._bits > _MOST_BITS:
                raise ValueError("its integers have too many digits; give a file's URI instead")
            return str(value)
        if isinstance(value, str):
            self._characters += len(value)
            if self._characters > LARGEST_OUTPUTS:
                raise ValueError(TOO_LARGE)
        if not isinstance(value, list | tuple | dict):
            return value
        self._values += len(value)
        if self._values > MOST_VALUES:
            raise ValueError(f"it has more than {MOST_VALUES:,} JSON values; give a file's URI instead")
        if isinstance(value, dict):
            return {key: self.pack(item) for key, item in value.items()}
        return [self.pack(item) for item in value]


def json_value(literal: Literal) -> Any:
    """Return the JSON value of a struct literal."""
    if literal.scalar.HasField("binary"):
        return msgpack.unpackb(literal.scalar.binary.value, strict_map_key=False)
    from google.protobuf.json_format import MessageToDict

    return MessageToDict(literal.scalar.generic)


TypeEngine.register(_JsonTransformer())

_PYTHON: dict[str, Any] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": bool,
    "any": Json,
    "datetime": datetime,
    "duration": timedelta,
    "file": File,
    "dir": Dir,
    "dataframe": DataFrame,
}
PYTHON_TYPES = tuple(_PYTHON.values())
_ANY = ValueType("any")
_SIMPLE = {
    SimpleType.INTEGER: ValueType("int"),
    SimpleType.FLOAT: ValueType("float"),
    SimpleType.STRING: ValueType("str"),
    SimpleType.BOOLEAN: ValueType("bool"),
    SimpleType.DATETIME: ValueType("datetime"),
    SimpleType.DURATION: ValueType("duration"),
    SimpleType.STRUCT: ValueType("any"),
}


def python_type_of(kind: ValueType) -> Any:
    """Return the Python type that a task declares for a type of the language."""
    if kind.name == "list":
        base: Any = list[python_type_of(kind.item)] if kind.item else list  # type: ignore[misc]
    elif kind.name == "dict":
        base = dict[str, python_type_of(kind.item)] if kind.item else dict  # type: ignore[misc]
    else:
        base = _PYTHON[kind.name]
    return typing.Optional[base] if kind.optional else base  # noqa: UP045 - made at run time


def kind_of_python(annotation: Any, *, where: str) -> ValueType:
    """Return the type of the language for a Python type. Raises ConfigError with `where` and what is allowed."""
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType) and len(args) == 2 and type(None) in args:
        inner = kind_of_python(next(arg for arg in args if arg is not type(None)), where=where)
        return dataclasses.replace(inner, optional=True)
    if origin is list and args:
        return ValueType("list", kind_of_python(args[0], where=where))
    if origin is dict and len(args) == 2 and args[0] is str:
        return ValueType("dict", kind_of_python(args[1], where=where))
    if annotation in (dict, Any, Json) or origin is dict:
        return ValueType("any")
    if origin is File:
        return ValueType("file")
    for name, python in _PYTHON.items():
        if annotation is python:
            return ValueType(name)
    shown = getattr(annotation, "__name__", str(annotation))
    raise ConfigError(
        f"{where}: the type {shown} cannot be used; allowed are str, int, float, bool, datetime, timedelta, "
        "flyte.io.File, Dir and DataFrame, dict or yaml_connector.Json (any JSON value), and list[T], dict[str, T], "
        "T | None of them"
    )


def never_pickled(annotation: Any) -> Any:
    """Return the annotation with `Any` as `Json`: Flyte would pickle an `Any`, and a connector cannot read that."""
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is Any:
        return Json
    if origin not in (list, dict, typing.Union, types.UnionType) or not any(_is_any(arg) for arg in args):
        return annotation
    inner = tuple(never_pickled(arg) for arg in args)
    return origin[inner] if origin in (list, dict) else typing.Union[inner]  # noqa: UP007 - made at run time


def _is_any(annotation: Any) -> bool:
    return annotation is Any or any(_is_any(arg) for arg in typing.get_args(annotation))


def kind_of_literal(literal_type: LiteralType) -> ValueType:
    """Return the type of the language that a task's interface declares: `any` for a type that it does not have."""
    match literal_type.WhichOneof("type"):
        case "simple":
            return _SIMPLE.get(literal_type.simple, _ANY)
        case "collection_type":
            return ValueType("list", kind_of_literal(literal_type.collection_type))
        case "map_value_type":
            return ValueType("dict", kind_of_literal(literal_type.map_value_type))
        case "blob":
            multipart = literal_type.blob.dimensionality == BlobType.BlobDimensionality.MULTIPART
            return ValueType("dir" if multipart else "file")
        case "structured_dataset_type":
            return ValueType("dataframe")
        case "union_type":
            every = literal_type.union_type.variants
            variants = [item for item in every if item.simple != SimpleType.NONE or _typed(item)]
            inner = kind_of_literal(variants[0]) if variants else ValueType("any")
            return dataclasses.replace(inner, optional=len(variants) < len(every))
    return ValueType("any")


def _typed(item: LiteralType) -> bool:
    return bool(item.WhichOneof("type") != "simple")


def native_value(kind: ValueType, value: Any) -> Any:
    """Return a converted output as Python code sees it: URIs become files, directories and dataframes."""
    if value is None:
        return None
    if kind.name == "list" and kind.item:
        return [native_value(kind.item, item) for item in value]
    if kind.name == "dict" and kind.item:
        return {key: native_value(kind.item, item) for key, item in value.items()}
    if kind.name == "file":
        return File.from_existing_remote(value)
    if kind.name == "dir":
        return Dir.from_existing_remote(value)
    return DataFrame.from_existing_remote(value) if kind.name == "dataframe" else value


def plain_literal(literal: Literal, declared: LiteralType) -> Any:
    """Return an input that the guard has admitted, of a declared type, as `plain_input` would after Flyte's conversion,
    which takes thirty times as long. Raises ValueError or OverflowError for a time that Python does not have, TypeError
    for JSON that is not a mapping, where one is declared."""
    found = literal.WhichOneof("value")
    if found == "collection":
        return [plain_literal(item, declared.collection_type) for item in literal.collection.literals]
    if found == "map":
        return {key: plain_literal(item, declared.map_value_type) for key, item in literal.map.literals.items()}
    scalar = literal.scalar
    match scalar.WhichOneof("value"):
        case "union":
            return plain_literal(scalar.union.value, scalar.union.type)
        case "blob":
            return scalar.blob.uri
        case "structured_dataset":
            return scalar.structured_dataset.uri
        case "binary" | "generic":
            value = json_value(literal)
            if not isinstance(value, dict) and declared.structure.tag != _JSON_TAG:
                raise TypeError(f"it is a {type(value).__name__}, not a mapping")
            return value
    primitive = scalar.primitive
    match primitive.WhichOneof("value"):
        case None:
            return None
        case "datetime":
            return as_plain(primitive.datetime.ToDatetime(UTC))
        case "duration":
            return primitive.duration.ToTimedelta().total_seconds()
        case "integer" if declared.simple == SimpleType.FLOAT:
            return float(primitive.integer)
        case kind:
            return getattr(primitive, kind)


def plain_input(value: Any) -> Any:
    """Return an input as expressions see it: a file, directory or dataframe is its URI, a duration its seconds."""
    if value is None or type(value) in (str, int, float, bool):
        return value
    if isinstance(value, File | Dir):
        return value.path
    if isinstance(value, DataFrame):
        return value.uri
    if isinstance(value, enum.Enum):
        return plain_input(value.value)
    if isinstance(value, list | tuple | set | frozenset):
        return [plain_input(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): plain_input(item) for key, item in value.items()}
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain_input(dataclasses.asdict(value))
    return as_plain(value)
