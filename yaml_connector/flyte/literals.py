"""Between the language's types and Flyte's: Python types, literal types, and values."""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import msgpack
from flyte.io import DataFrame, Dir, File
from flyte.types import TypeEngine, TypeTransformer
from flyteidl2.core.literals_pb2 import Binary, Literal, Scalar
from flyteidl2.core.types_pb2 import BlobType, LiteralType, SimpleType, TypeStructure

from yaml_connector._expressions.value_types import ValueType, as_plain
from yaml_connector._http.turns import next_turn
from yaml_connector.errors import ConfigError

# What one output may hold is bounded, since converting it holds up others.
LARGEST_OUTPUTS = 3_500_000  # bytes: gRPC takes 4 MiB, and there is more in a message than what is counted
TOO_LARGE = f"the outputs are larger than {LARGEST_OUTPUTS / 1e6:g} MB; give a file's URI instead"
_MOST_VALUES = 50_000  # of a list, a mapping or a JSON value
_MOST_BITS = 1_000_000  # of the integers of a JSON value that become text
_AT_ONCE = 100  # items of a list or mapping, some microseconds each; more of them are converted in a thread
_LARGE_JSON = 16 * 1024  # bytes
_FEW = 5  # items that Flyte converts; then others have their turn
_SLOW = 20  # items that one counts as which Flyte converts
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
        from yaml_connector._http.thread import LARGE, in_thread  # tasks do not need it

        large = isinstance(python_val, list | dict) or (isinstance(python_val, str) and len(python_val) > LARGE)
        return await in_thread(_json_literal, python_val) if large else _json_literal(python_val)

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
        if self._values > _MOST_VALUES:
            raise ValueError(f"it has more than {_MOST_VALUES:,} JSON values; give a file's URI instead")
        if isinstance(value, dict):
            return {key: self.pack(item) for key, item in value.items()}
        return [self.pack(item) for item in value]


def json_value(literal: Literal) -> Any:
    """Return the JSON value of a struct literal."""
    if literal.scalar.HasField("binary"):
        return msgpack.unpackb(literal.scalar.binary.value, strict_map_key=False)
    from google.protobuf.json_format import MessageToDict

    return MessageToDict(literal.scalar.generic)


class OutputValue:
    """An output with its declared type.

    Flyte converts outputs by the type of the value, and this type's transformer converts it as declared.
    """

    def __init__(self, kind: ValueType, value: Any) -> None:
        self.kind = kind
        self.value = value
        self.is_large = False  # once there is a literal
        self._literal: Literal | None = None

    async def literal(self) -> Literal:
        """Return the literal of the declared type; a large one is made beside the event loop. Raises ValueError if it
        would have too many items, and whatever Flyte and protobuf raise for a value that they cannot hold."""
        if self._literal is None:
            filling = _Filling(_AT_ONCE)
            try:
                literal = filling.literal_of(self.kind, self.value)
            except ValueError:
                from yaml_connector._http.thread import in_thread  # tasks do not need it

                self.is_large, filling = True, _Filling(_MOST_VALUES)
                literal = await in_thread(filling.literal_of, self.kind, self.value)
            await filling.convert()
            self._literal = literal
            self.is_large = self.is_large or len(literal.scalar.binary.value) > _LARGE_JSON
        return self._literal

    def native(self) -> Any:
        """Return the value as Python code sees it."""
        return native_value(self.kind, self.value)

    def __repr__(self) -> str:
        return f"OutputValue({self.kind})"


class _Filling:
    """Fills a literal with one output of so many items. It makes what Flyte's conversion makes, in a twentieth of the
    time."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._items = 0
        self._by_flyte: list[tuple[Literal, ValueType, Any]] = []

    def literal_of(self, kind: ValueType, value: Any) -> Literal:
        """Return the literal of a value, but for what `convert` adds. Raises ValueError if there are too many items."""
        literal = Literal()
        self._fill(literal, kind, value)
        return literal

    async def convert(self) -> None:
        """Let Flyte convert what it alone can: files and the like, a few at a time."""
        for number, (literal, kind, value) in enumerate(self._by_flyte):
            if number % _FEW == _FEW - 1:
                await next_turn()
            declared, expected = python_type_of(kind), _literal_type(kind)
            literal.CopyFrom(await TypeEngine.to_literal(native_value(kind, value), declared, expected))

    def _fill(self, literal: Literal, kind: ValueType, value: Any) -> None:
        if kind.optional:
            inner = _NONE if value is None else dataclasses.replace(kind, optional=False)
            literal.scalar.union.type.CopyFrom(_variant(inner))
            literal = literal.scalar.union.value
            if value is None:
                literal.scalar.none_type.SetInParent()
                return
            kind = inner
        if kind.name == "list" and kind.item is not None:
            literal.collection.SetInParent()
            for item in value:
                self._count()
                self._fill(literal.collection.literals.add(), kind.item, item)
        elif kind.name == "dict" and kind.item is not None:
            literal.map.SetInParent()
            for key, item in value.items():
                self._count()
                self._fill(literal.map.literals[key], kind.item, item)
        elif kind.name in _FIELDS:
            if type(value) is str and len(value) > LARGEST_OUTPUTS:
                raise ValueError(TOO_LARGE)
            setattr(literal.scalar.primitive, _FIELDS[kind.name], value)
        elif kind.name == "datetime":
            literal.scalar.primitive.datetime.FromDatetime(value)
        elif kind.name == "duration":
            literal.scalar.primitive.duration.FromTimedelta(value)
        else:
            self._count(_SLOW)
            self._by_flyte.append((literal, kind, value))

    def _count(self, items: int = 1) -> None:
        self._items += items
        if self._items > self._most:
            raise ValueError(f"it has more than {self._most:,} items; give a file's URI instead")


_NONE = ValueType("none")
_FIELDS = {"str": "string_value", "int": "integer", "float": "float_value", "bool": "boolean"}


@lru_cache(maxsize=256)
def _literal_type(kind: ValueType) -> LiteralType:
    return TypeEngine.to_literal_type(python_type_of(kind))


@lru_cache(maxsize=256)
def _variant(kind: ValueType) -> LiteralType:
    """Return the type of an optional value that is there (or is not) as Flyte marks it in the literal."""
    python = type(None) if kind is _NONE else python_type_of(kind)
    transformer = TypeEngine.get_transformer(python)
    marked = LiteralType()
    marked.CopyFrom(transformer.get_literal_type(python))
    marked.structure.CopyFrom(TypeStructure(tag=transformer.name))
    return marked


class _OutputTransformer(TypeTransformer[OutputValue]):
    def __init__(self) -> None:
        super().__init__("OutputValue", OutputValue, enable_type_assertions=False)

    def get_literal_type(self, t: type[OutputValue]) -> LiteralType:
        return LiteralType(simple=SimpleType.NONE)

    async def to_literal(self, python_val: OutputValue, python_type: Any, expected: LiteralType) -> Literal:
        return await python_val.literal()

    async def to_python_value(self, lv: Literal, expected_python_type: Any) -> OutputValue:
        raise NotImplementedError("a downstream task declares its own type")


TypeEngine.register(_JsonTransformer())
TypeEngine.register(_OutputTransformer())

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
