"""The outputs of a job as Flyte's literals: what Flyte's own conversion makes, in a twentieth of the time."""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from typing import Any

from flyte.types import TypeEngine, TypeTransformer
from flyteidl2.core.literals_pb2 import Literal
from flyteidl2.core.types_pb2 import LiteralType, SimpleType, TypeStructure

from yaml_connector._expressions.value_types import ValueType
from yaml_connector._http.thread import in_thread
from yaml_connector._http.turns import next_turn
from yaml_connector.flyte.literals import LARGEST_OUTPUTS, MOST_VALUES, TOO_LARGE, native_value, python_type_of

_AT_ONCE = 100  # items of a list or mapping, some microseconds each; more of them are converted in a thread
_LARGE_JSON = 16 * 1024  # bytes
_FEW = 5  # items that Flyte converts; then others have their turn
_SLOW = 20  # items that one counts as which Flyte converts


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
                self.is_large, filling = True, _Filling(MOST_VALUES)
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


TypeEngine.register(_OutputTransformer())
