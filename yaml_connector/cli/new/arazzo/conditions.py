"""Runtime expressions of Arazzo (`$inputs.x`, `$response.body#/a`), and its criteria as conditions of the spec
language: simple ones, JSONPath as documents write it, and regex."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from yaml_connector.cli.new.jsonpaths import pointer_path
from yaml_connector.cli.new.sketch import Ref, Text, one_line, quoted, with_path

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|(?P<operator>==|!=|<=|>=|<|>|&&|\|\||!|\(|\))|
    (?P<word>\$(?:[^\s()=!<>&|'"\[\]]|\[[^\]]*\])+|\$|@(?:[^\s()=!<>&|'"\[\]]|\[[^\]]*\])*|\#/[^\s()=!<>&|'"]+|[^\s()=!<>&|'"]+))""",
    re.VERBOSE,
)
_FILTER = re.compile(r"\[\?\s*(\((?:[^()]|\([^()]*\))*\)|[^\[\]]*(?:\[[^\]]*\][^\[\]]*)*)\s*\]")
_COUNTED = re.compile(
    r"(?:(?:count|length|size)\(\s*(?P<inside>.*)\)|(?P<path>.*)\.(?:length|size)(?:\(\))?)"
    r"\s*(?P<operator>==|!=|<=|>=|<|>)\s*(?P<number>\d+)",
    re.DOTALL,
)
_WORDS = r"inputs|steps|response|request|statusCode|url|method|workflows|outputs|components|message|self"
_BARE = rf"\$(?:{_WORDS})\b(?:\.[\w-]+|\[[^\]\s]*\])*(?:#/[^\s\"'{{}},;&]*)?"
_INSIDE = re.compile(rf"\{{({_BARE})\}}|({_BARE})")
_WHOLE = re.compile(rf"\{{?({_BARE})\}}?")


@dataclass(frozen=True)
class Operand:
    """What is compared: its expression, and the JSONPath in the body, `status`, or "" for anything else."""

    expression: str
    place: str = ""


@dataclass(frozen=True)
class Compare:
    """A comparison of an operand with a value."""

    operand: Operand
    operator: str
    value: Any


@dataclass(frozen=True)
class Matches:
    """A regular expression that the value at a place matches."""

    operand: Operand
    pattern: str

    @property
    def words(self) -> list[str]:
        """Return the words that it is made of: `^(DONE|FINISHED)$` of two."""
        return re.findall(r"[A-Za-z][A-Za-z_-]*", re.sub(r"\\\\.|\(\?\w+\)|\(\?:", " ", self.pattern))

    @property
    def example(self) -> str | None:
        """Return a text that matches, made of its first words; None if none is simply seen."""
        found = (word for word in self.words if re.search(self.pattern, word))
        return next(found, None)


@dataclass(frozen=True)
class Group:
    """Conditions joined by `and` or `or`."""

    word: str
    items: tuple[Condition, ...]


@dataclass(frozen=True)
class Not:
    """A condition that must be false."""

    item: Condition


@dataclass(frozen=True)
class Truth:
    """An operand that is there, and not false or empty."""

    operand: Operand


Condition = Compare | Matches | Group | Not | Truth


class Untranslatable(Exception):
    """A condition that the spec language cannot say; the message is the reason."""


def jinja(condition: Condition) -> str:
    """Return a condition as the spec has it."""
    if isinstance(condition, Compare):
        value = condition.value
        if value is None:  # what is not there is none, too
            said = f"({condition.operand.expression} | default(none))"
            return f"{said} {'is' if condition.operator == '==' else 'is not'} none"
        if isinstance(value, Operand):
            text = value.expression
        else:
            text = quoted(value) if isinstance(value, str) else json.dumps(value)
        return f"{condition.operand.expression} {condition.operator} {text}"
    if isinstance(condition, Matches):
        return f"{condition.operand.expression} is not none"
    if isinstance(condition, Truth):
        return condition.operand.expression
    if isinstance(condition, Not):
        return f"not ({jinja(condition.item)})"
    inner = [
        f"({jinja(item)})" if isinstance(item, Group) and item.word != condition.word else jinja(item)
        for item in condition.items
    ]
    return f" {condition.word} ".join(inner)


def joined(conditions: list[Condition], word: str = "and") -> Condition | None:
    """Return conditions joined; None if there are none."""
    flat: list[Condition] = []
    for item in conditions:
        flat += item.items if isinstance(item, Group) and item.word == word else [item]
    return None if not flat else flat[0] if len(flat) == 1 else Group(word, tuple(flat))


def leaves(condition: Condition) -> Iterator[Compare | Matches | Truth]:
    """Yield the conditions that are no more made of others."""
    if isinstance(condition, Compare | Truth | Matches):
        yield condition
    else:
        for item in condition.items if isinstance(condition, Group) else (condition.item,):
            yield from leaves(item)


def compares(condition: Condition | None) -> list[Compare]:
    """Return all comparisons in a condition."""
    return [item for item in leaves(condition) if isinstance(item, Compare)] if condition is not None else []


def is_status_only(condition: Condition) -> bool:
    """Return whether a condition looks at the HTTP status alone."""
    return all(item.operand.place == "status" for item in leaves(condition))


def body_operand(path: str) -> Operand:
    """Return a JSONPath in the body as an operand."""
    length = re.fullmatch(r"(.*?)\.length(?:\(\))?", path)
    if length:
        return Operand(f"({body_operand(length[1]).expression} | length)")
    if re.fullmatch(r"\$(\.[\w-]+|\[\d{1,9}\]|\['[^'\]]*'\]|\[\"[^\"\]]*\"\])*", path) is None:
        return Operand(f"(body | jsonpath({quoted(path)}))", path)
    return Operand(with_path("body", path), path)


def parse_condition(text: str, kind: str, context: str, operand: Any) -> Condition:
    """Return a criterion as a condition. `operand` turns a runtime expression into an Operand.

    Raises Untranslatable.
    """
    if kind == "xpath":
        raise Untranslatable("XPath has no counterpart")
    if kind == "regex":
        subject = operand(context or "$statusCode")
        return Matches(Operand(f"({subject.expression} | string | regex({quoted(text)}, 0))", subject.place), text)
    if kind == "jsonpath":
        whole = re.fullmatch(r"\$\[\?\s*\(?(.*?)\)?\s*\]", text.strip(), re.DOTALL)
        if whole and whole[1].count("(") == whole[1].count(")"):  # of an object: `$[?@.a == 'b']` means `$.a == 'b'`
            text = re.sub(r"@(?=[.\[])", "$", whole[1])
        elif "[?" in text:
            return _filtered(text.strip())
    return _Parser(text, kind, operand).parse()


def _filtered(text: str) -> Condition:
    """Return what a path with a filter inside says: it finds something, or so many."""
    counted = _COUNTED.fullmatch(text)
    path = (counted["inside"] or counted["path"]).strip() if counted else text
    for found in _FILTER.finditer(path):
        inner = found[1].strip()
        path = path.replace(found[0], f"[?{inner if inner.startswith('(') else f'({inner})'}]")
    member = re.fullmatch(r"(.*\[\?.*)\)\]((?:\.\w+)+\s*(?:==|!=|<=|>=|<|>)\s*[^\s()]+)", path, re.DOTALL)
    if member and counted is None:  # of what is filtered, what is compared is one more condition
        path = f"{member[1]} && @{member[2]})]"
    rest = _FILTER.sub("", path)
    if re.search(r"==|!=|<|>|&&|\|\||\?", rest) or not path.startswith("$"):
        raise Untranslatable("a filter that is compared")
    operand = Operand(f"(body | jsonpath({quoted(path)}))")
    if counted is None:
        return Truth(operand)
    # The filter `jsonpath` returns a list for such a path; without the list that is filtered it returns nothing.
    length = Operand(f"({operand.expression} | default([]) | length)")
    return Compare(length, counted["operator"], int(counted["number"]))


class _Parser:
    def __init__(self, text: str, kind: str, operand: Any) -> None:
        self.kind = kind
        self.operand = operand
        self.tokens: list[tuple[str, str]] = []
        position = 0
        while position < len(text.rstrip()):
            found = _TOKEN.match(text, position)
            if found is None or len(self.tokens) > 200:
                raise Untranslatable(f"what is {one_line(text[position:])[:40]!r}?")
            self.tokens.append((str(found.lastgroup), found[str(found.lastgroup)]))
            position = found.end()
        self.index = 0

    def parse(self) -> Condition:
        result = self.either()
        if self.index < len(self.tokens):
            raise Untranslatable(f"unexpected {self.tokens[self.index][1]!r}")
        return result

    def next_is(self, *operators: str) -> bool:
        kind, text = self.tokens[self.index] if self.index < len(self.tokens) else ("end", "")
        return (text if kind == "operator" else text.lower() if kind == "word" else "") in operators

    def either(self) -> Condition:
        return self._all_of(self.both, "or", "||")

    def both(self) -> Condition:
        return self._all_of(self.one, "and", "&&")

    def _all_of(self, part: Callable[[], Condition], word: str, sign: str) -> Condition:
        items = [part()]
        while self.next_is(word, sign):
            self.index += 1
            items.append(part())
        found = joined(items, word)
        assert found is not None
        return found

    def one(self) -> Condition:
        if self.next_is("!"):
            self.index += 1
            return Not(self.one())
        if self.next_is("("):
            self.index += 1
            inner = self.either()
            if not self.next_is(")"):
                raise Untranslatable("a ( is not closed")
            self.index += 1
            return inner
        left = self.value()
        if self.next_is("==", "!=", "<", ">", "<=", ">="):
            operator = self.tokens[self.index][1]
            self.index += 1
            right = self.value()
            if not isinstance(left, Operand) and isinstance(right, Operand):
                left, right = right, left
                operator = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}.get(operator, operator)
            if not isinstance(left, Operand):
                raise Untranslatable("two constants are compared")
            if not isinstance(right, Operand) and left.place == "status" and isinstance(right, str) and right.isdigit():
                right = int(right)
            return Compare(left, operator, right)
        if not isinstance(left, Operand):
            raise Untranslatable(f"{left!r} is a constant")
        return Truth(left)

    def value(self) -> Any:
        if self.index >= len(self.tokens):
            raise Untranslatable("something is missing")
        kind, text = self.tokens[self.index]
        if kind == "operator":
            raise Untranslatable(f"unexpected {text!r}")
        self.index += 1
        if kind == "text":
            return re.sub(r"\\(.)", r"\1", text[1:-1])
        if text.startswith("#/"):
            return body_operand(pointer_path(text[1:]))
        if text.startswith("$"):
            if re.match(r"\$(\.|\[|$)", text):
                return body_operand(text)
            return self.operand(text)
        while self.index < len(self.tokens) and self.tokens[self.index][0] == "word" and not self.next_is("and", "or"):
            text += " " + self.tokens[self.index][1]
            self.index += 1
        if text.lower() in ("true", "false", "null"):
            return {"true": True, "false": False, "null": None}[text.lower()]
        return json.loads(text) if re.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?", text) else text


@dataclass(frozen=True)
class Source:
    """What an expression names: inputs (also the output of another workflow, which is `output`), a step's output, or a
    part of the response; with the rest of its path.
    """

    kind: str  # inputs, steps, response, status, url, method, other
    name: str = ""
    output: str = ""
    path: str = ""  # a JSONPath below it: "" for the whole, `$.a[0]` inside


def source_of(text: str) -> Source:
    """Return what an expression names."""
    bare = text.strip().strip("{}")
    head, hash_, pointer = bare.partition("#")
    inside = pointer_path(pointer) if hash_ and pointer.strip("/") else ""
    if bare == "$statusCode":
        return Source("status")
    if head.startswith("$response.header"):
        return Source("response", "header", head.removeprefix("$response.header").lstrip("."))
    if head.startswith("$response.body"):
        rest = head.removeprefix("$response.body")
        return Source("response", "body", path=inside or (f"${rest}" if rest else ""))
    if found := re.match(r"\$inputs\.([\w-]+)(.*)$", head):
        return Source("inputs", found[1], path=inside or (f"${found[2]}" if found[2] else ""))
    if found := re.match(r"\$workflows\.([\w-]+)\.(?:outputs|inputs)\.([\w-]+)(.*)$", head):
        return Source("inputs", found[2], found[1], inside or (f"${found[3]}" if found[3] else ""))
    if found := re.match(r"\$steps\.([\w-]+)\.outputs\.([\w-]+)(.*)$", head):
        return Source("steps", found[1], found[2], inside or (f"${found[3]}" if found[3] else ""))
    if re.match(r"\$(url|method)$", head):
        return Source(head[1:])
    return Source("other", bare)


def text_of_value(value: str, ref: Callable[[Source], Any]) -> Any:
    """Return a text with its expressions replaced; `ref` returns what one of them becomes.

    An expression alone keeps its type. Braces are optional: documents leave them out inside text, too.
    """
    whole = _WHOLE.fullmatch(value.strip())
    if whole is not None:
        found = ref(source_of(whole[1]))
        return Text.of(found) if isinstance(found, Ref) else found
    parts: list[str | Ref | Text] = []
    end = 0
    for match in _INSIDE.finditer(value):
        found = ref(source_of(match[1] or match[2]))
        parts.append(value[end : match.start()])
        parts.append(found if isinstance(found, Ref | Text) else str(found))
        end = match.end()
    return Text.of(*parts, value[end:])


def sources_in(value: Any) -> list[Source]:
    """Return all that the expressions in data name."""
    if isinstance(value, dict):
        return [source for item in value.values() for source in sources_in(item)]
    if isinstance(value, list):
        return [source for item in value for source in sources_in(item)]
    if isinstance(value, str):
        return [source_of(found[1] or found[2]) for found in _INSIDE.finditer(value)]
    return []
