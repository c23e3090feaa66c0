"""What is known of an API: a spec as data, questions about it, and calls for its test.

Curl commands, Arazzo workflows and OpenAPI documents fill a `Sketch`; `render` writes it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from yaml_connector.cli.new.jsonpaths import TEST_URL, keys_of
from yaml_connector.cli.new.names import variable_name

Path = tuple[str | int, ...]
_SECTIONS = ("connection", "secrets", "config", "inputs", "outputs", "create", "get", "result", "delete", "logs")


def quoted(text: str) -> str:
    """Return a text as a string of an expression, in quotes."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def with_path(expression: str, path: str) -> str:
    """Return an expression for a JSONPath below another expression."""
    for key in keys_of(path):
        if isinstance(key, int):
            expression += f"[{key}]"
        else:
            expression += f".{key}" if re.fullmatch(r"[A-Za-z_]\w*", key) else f"[{quoted(key)}]"
    return expression


@dataclass(frozen=True)
class Ref:
    """A template expression."""

    expression: str


@dataclass(frozen=True)
class Text:
    """Text with templates in it. A single template without text around it keeps its type."""

    parts: tuple[str | Ref, ...]

    @classmethod
    def of(cls, *parts: str | Ref | Text) -> Text:
        """Return the text that these make together."""
        flat: list[str | Ref] = []
        for part in parts:
            for piece in part.parts if isinstance(part, Text) else (part,):
                if isinstance(piece, str) and flat and isinstance(flat[-1], str):
                    flat[-1] += piece
                elif piece != "":
                    flat.append(piece)
        return cls(tuple(flat))

    @property
    def refs(self) -> Iterator[Ref]:
        """Yield the templates."""
        return (part for part in self.parts if isinstance(part, Ref))

    @property
    def template(self) -> str:
        """Return the text as the spec has it."""
        return "".join(
            part.replace("${{", "${{ '${{' }}") if isinstance(part, str) else f"${{{{ {part.expression} }}}}"
            for part in self.parts
        )


def each_leaf(value: Any, change: Callable[[Any], Any]) -> Any:
    """Return data with every leaf changed: in mappings, lists, and pairs of a name and a value."""
    if isinstance(value, dict):
        return {key: each_leaf(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [each_leaf(item, change) for item in value]
    if isinstance(value, tuple):
        return (value[0], each_leaf(value[1], change))
    return change(value)


def text_of(value: str | Ref | Text) -> Text:
    """Return any text as a Text."""
    return value if isinstance(value, Text) else Text.of(value)


def as_template(value: Any) -> Any:
    """Return data, keys included, as the spec has it: every Text is a string with `${{ }}` in it."""
    if isinstance(value, dict):
        return {str(as_template(key)): as_template(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_template(item) for item in value]
    return text_of(value).template if isinstance(value, Ref | Text) else value


def literal(value: str) -> str | Text:
    """Return a text that holds a `${{`, as a text or a key, so that it is text in the spec, too."""
    return Text.of(value) if "${{" in value else value


def add_value(fields: dict[str, Any], name: str, value: Any) -> None:
    """Add a field; one that is there already has several values then."""
    if name in fields:
        value = [*(fields[name] if isinstance(fields[name], list) else [fields[name]]), value]
    fields[name] = value


@dataclass(frozen=True)
class Exchange:
    """A request of the spec, and the response that a test has for it."""

    request: Any
    response: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Play:
    """One call of a contract test: create, get, delete or logs; or `after`, with the time that passes in `expect`."""

    kind: str
    exchanges: tuple[Exchange, ...]
    expect: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Unused:
    """Something of the source that has no counterpart in the spec, and the line where it is."""

    what: str
    file: str
    line: int


@dataclass
class Sketch:
    """A spec to be written, with all that is known.

    `spec` has its sections in order; strings in it may be Text. `decide` are questions for a person, and `remarks`
    other comments, each by the path of the field above which they are written. `fixtures` are the values of the
    contract test: env, secrets, config, inputs. `tests` are its tests by name. `warnings` are printed.
    """

    name: str
    spec: dict[str, Any] = field(default_factory=dict)
    head: list[str] = field(default_factory=list)
    decide: dict[Path, list[str]] = field(default_factory=dict)
    remarks: dict[Path, list[str]] = field(default_factory=dict)
    fixtures: dict[str, dict[str, Any]] = field(default_factory=dict)
    tests: dict[str, list[Play]] = field(default_factory=dict)
    not_used: list[Unused] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def begin(self, head: str, description: str) -> None:
        """Write the beginning of the spec, with sections that may stay empty."""
        self.head = [head]
        self.spec = {
            "spec_version": 1,
            "task_type_name": self.name,
            "name": self.name.replace("_", " ").capitalize(),
            "description": " ".join(description.replace("${{", "{{").split())[:200] or "Describe here what it runs.",
            **{section: {} for section in ("connection", "secrets", "config", "inputs", "outputs")},
        }

    def finish(self) -> None:
        """Put the sections of the spec in their order, and leave out those that are empty."""
        filled = [pair for pair in self.spec.items() if pair[1]]
        self.spec = dict(sorted(filled, key=lambda pair: _SECTIONS.index(pair[0]) if pair[0] in _SECTIONS else -1))

    def base_url(self, url: str) -> Text:
        """Return a base URL: a variable of the connector's environment, with a default."""
        name = variable_name(f"{self.name}_URL")
        self.fixture("env", name, TEST_URL)
        return Text.of(Ref(f"env.{name} | default({quoted(url)})"))

    def ask(self, path: Path, question: str) -> None:
        """Add a question about the field at a path."""
        questions = self.decide.setdefault(path, [])
        if (text := one_line(question)) not in questions:
            questions.append(text)

    def remark(self, path: Path, text: str) -> None:
        """Add a comment above the field at a path."""
        self.remarks.setdefault(path, []).append(one_line(text))

    def secret(self, name: str, env: str | None = None, **more: Any) -> Ref:
        """Declare a secret, if it is not yet, and return it."""
        self.spec["secrets"].setdefault(name, {"env": env or variable_name(f"{self.name}_{name}"), **more})
        self.fixture("secrets", name, f"test-{name}")
        return Ref(f"secrets.{name}")

    def input(self, name: str, declared: Any, sample: Any) -> Ref:
        """Declare an input, with its value in the contract test, and return it."""
        self.spec["inputs"][name] = declared
        self.fixture("inputs", name, sample)
        return Ref(f"inputs.{name}")

    def fixture(self, kind: str, name: str, value: Any) -> None:
        """Set a value of the contract test."""
        self.fixtures.setdefault(kind, {})[name] = value


def one_line(text: str) -> str:
    """Return a text as a comment can hold it: printable, on one line."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
