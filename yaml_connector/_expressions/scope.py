"""What an expression can see, and what a name is that it cannot see.

A `Scope` has a field for each name of the language. Its readers never change it: the `with_...` methods return a new
one. It holds plain data, so it can be pickled and sent to another process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any

from jinja2 import runtime
from jinja2.runtime import ChainableUndefined, Undefined
from jinja2.utils import missing

from yaml_connector._expressions.budget import consume
from yaml_connector._text import did_you_mean

_COMPARED = 1500  # nanoseconds
MISSING = missing  # Jinja's own, so that it is the same object in every process
RESPONSE_NAMES = ("status", "headers", "body", "text", "size", "cookies", "url")
_ATTRIBUTES = {**{name: name for name in RESPONSE_NAMES}, "headers": "joined_headers"}


class StrictUndefined(runtime.StrictUndefined):
    """A name that does not exist, in a request. Every use except `default(...)` and `is defined` is an error; the same
    holds for its fields."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __getitem__(self, key: Any) -> Any:
        return self

    @property
    def _undefined_message(self) -> str:
        if self._undefined_hint:
            return self._undefined_hint
        explain = getattr(self._undefined_obj, "explain_missing", None)
        if explain is not None:
            return str(explain(str(self._undefined_name)))
        if isinstance(self._undefined_obj, Mapping):
            tail = did_you_mean(str(self._undefined_name), map(str, self._undefined_obj), what="there is")
            return f"'{self._undefined_name}' does not exist{tail}"
        if self._undefined_obj is MISSING:
            return f"'{self._undefined_name}' does not exist here"
        return f"'{self._undefined_name}' does not exist: the value is {_kind(self._undefined_obj)}"


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list"}
    return names.get(type(value), "a mapping" if isinstance(value, Mapping) else "not a mapping")


def _false(self: Undefined, other: Any) -> bool:
    consume(_COMPARED)  # a long list of them may be sorted
    return False


def _not_a_number(self: Undefined) -> Any:
    raise TypeError("a missing field is not a number")  # the filters `int` and `float` then return their default


class LenientUndefined(ChainableUndefined):
    """A field that a response does not have. It is false, and so is every comparison with it; its fields are undefined,
    too."""

    __slots__ = ()
    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = _false  # type: ignore[assignment]
    __hash__ = Undefined.__hash__

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __call__
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __call__
    __int__ = __float__ = _not_a_number
    __neg__ = __pos__ = __pow__ = __rpow__ = __call__


class _NoJson(LenientUndefined):
    """The body of a response that is not JSON: one object, in every process."""

    __slots__ = ()

    def __reduce__(self) -> str:
        return "UNDEFINED"


UNDEFINED = _NoJson(name="value")


class SkippedStep(dict[str, Any]):
    """A step that did not run. It is false and not defined, and of it there are only its saves, all null."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False


class NoResponse:
    """The response of a scope that has none: one object, in every process."""

    __slots__ = ()
    status = headers = joined_headers = body = text = size = cookies = url = UNDEFINED

    def __reduce__(self) -> str:
        return "NO_RESPONSE"


NO_RESPONSE = NoResponse()


class Scope:
    """The values that an expression can use, given by name; MISSING for a name that is not there.

    `response` is the response that is read: it has the attributes `status`, `joined_headers`, `body`, `text`, `size`,
    `cookies` and `url`, which expressions see as names (`headers` are the joined ones). `login`, `jwt` and
    `follow_url` are for requests that the connector itself makes.

    A call makes several scopes, so one holds only what it was given: the rest are the class's defaults.
    """

    inputs: Mapping[str, Any] = MISSING
    config: Mapping[str, Any] = MISSING
    task: Mapping[str, Any] = MISSING
    job: Mapping[str, Any] = MISSING
    secrets: Mapping[str, str | None] = MISSING
    env: Mapping[str, str] = MISSING
    base_url: str = MISSING
    steps: Mapping[str, Any] = MISSING
    response: Any = NO_RESPONSE
    item: Any = MISSING
    cursor: str | None = MISSING
    output: Mapping[str, str] = MISSING
    page: Mapping[str, Any] = MISSING
    line: Any = MISSING
    jobs: Sequence[Mapping[str, Any]] = MISSING
    auth: Mapping[str, Any] = MISSING
    login: Mapping[str, Any] = MISSING
    jwt: str = MISSING
    follow_url: str = MISSING

    def __init__(self, **names: Any) -> None:
        self.__dict__.update(names)

    def with_response(self, response: Any) -> Scope:
        """Return this scope with another response to read; None for no response."""
        scope = Scope(**self.__dict__)
        scope.response = NO_RESPONSE if response is None else response
        return scope

    def with_steps(self, steps: Mapping[str, Any], response: Any) -> Scope:
        """Return this scope after some steps ran: their responses by name, and the response to read."""
        scope = Scope(**self.__dict__)
        scope.steps = steps
        scope.response = NO_RESPONSE if response is None else response
        return scope

    def with_names(self, **names: Any) -> Scope:
        """Return this scope with these names too, or with other values for them."""
        return Scope(**{**self.__dict__, **names})

    def get(self, name: str) -> Any:
        """Return the value of a name as an expression writes it; MISSING if it is not there."""
        if name in RESPONSE_NAMES:
            return getattr(self.response, _ATTRIBUTES[name])
        return getattr(self, name) if name in _NAMES else MISSING


_NAMES = frozenset(Scope.__annotations__) - {"response"}


def reader(name: str) -> Callable[[Scope], Any]:
    """Return a function that reads one name of a scope, as `get` does, but faster."""
    if name in RESPONSE_NAMES:
        return attrgetter(f"response.{_ATTRIBUTES[name]}")
    return attrgetter(name) if name in _NAMES else lambda scope: scope.get(name)
