"""YAML as specs use it: the core schema of YAML 1.2, with positions, and with bounded work.

Built on PyYAML's events: they have positions, and aliases can be counted before they are expanded. libyaml itself
refuses deep nesting.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import yaml

from yaml_connector._loading.doubts import control_character, not_utf8, odd_character, plain_scalar
from yaml_connector._spec.fields import Path
from yaml_connector._text import short_name
from yaml_connector.errors import Diagnostic

LARGEST_FILE = 2**20  # bytes
DEEPEST = 100
MOST_NODES = 100_000  # after aliases are expanded, as the text, which may not be longer than a file
MOST_PROBLEMS = 200  # reported for one file
_LONGEST_MESSAGE = 1000  # characters
LONGEST_NUMBER = 3000  # digits

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULL = {"", "~", "null", "Null", "NULL"}
_TRUE = {"true", "True", "TRUE"}
_FALSE = {"false", "False", "FALSE"}
_INT = re.compile(r"[-+]?[0-9]+")
_ZEROS = re.compile(r"[-+]?0[0-9]")
_ODD = re.compile(r"[\u00a0\u200b\u2060\ufeff\u00ad]")
_DOUBTFUL = re.compile(r",\Z|\A[\u2018\u201c\u2013\u2014\u2022*-]|[\u201c\u201d]\Z")
_OCTAL = re.compile(r"0o[0-7]+")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = {".inf": float("inf"), "-.inf": float("-inf"), "+.inf": float("inf"), ".nan": float("nan")}

Position = tuple[int, int]  # line and column, from 1


@dataclass
class Document:
    """A parsed file: its `data`, the positions of values and keys, its `text`, and the `problems` found in it.

    `doubts` are about values that are strings to YAML and were probably meant otherwise: each explains whatever else is
    wrong with its value, and is a warning if nothing is.
    """

    file: str
    data: Any = None
    values: dict[Path, Position] = field(default_factory=dict)
    keys: dict[Path, Position] = field(default_factory=dict)
    problems: list[Diagnostic] = field(default_factory=list)
    text: str = ""
    doubts: dict[Path, tuple[Position, str]] = field(default_factory=dict)

    def position(self, path: Path, *, key: bool = False) -> Position:
        """Return the position of the value (or the key) at `path`, or of the nearest parent that exists."""
        if not self.values:
            again = parse(self.text.encode(), self.file)
            self.values, self.keys = again.values, again.keys
        if key and path in self.keys:
            return self.keys[path]
        while path and path not in self.values:
            path = path[:-1]
        return self.values.get(path, (1, 1))

    def at(self, path: Path) -> Any:
        """Return what the file has at a path; None if there is nothing."""
        data = self.data
        for part in path:
            if isinstance(data, dict):
                data = data.get(part)
            else:
                data = data[part] if isinstance(data, list) and isinstance(part, int) else None
        return data

    def item(self, path: Path, index: int) -> Path:
        """Return the path of an item of a list, which the file may have as its only item, without the list."""
        return (*path, index) if isinstance(self.at(path), list) else path

    def all_problems(self) -> list[Diagnostic]:
        """Return all problems in the order of the file: of a field either its doubt, its errors, or its warnings."""
        wrong = {problem.path for problem in self.problems if problem.severity == "error"}
        doubts = [
            self._problem(position, path, message, "error" if show_path(path) in wrong else "warning")
            for path, (position, message) in islice(self.doubts.items(), MOST_PROBLEMS)
        ]
        explained = {doubt.path for doubt in doubts}
        found = [
            problem
            for problem in self.problems
            if problem.path not in explained and (problem.severity == "error" or problem.path not in wrong)
        ]
        return sorted([*found, *doubts])

    def find(self, path: Path, part: str, before: str) -> Position | None:
        """Return where a part of the value at a path is in the file, with this text before it; None if it is not there
        as it is, because of escapes, say."""
        line, column = self.position(path)
        if path not in self.values:  # of a short form
            line, column = self.values.get(path[:-1], (line, column))
        start = 0
        for _ in range(line - 1):
            start = self.text.find("\n", start) + 1
        at = start + column - 2
        for _ in range(before.count(part) + 1):
            at = self.text.find(part, at + 1)
            if at < 0:
                return None
        if at - start - column > 3 * len(before) + 100:
            return None
        return self.text.count("\n", 0, at) + 1, at - self.text.rfind("\n", 0, at)

    def forget_positions(self) -> None:
        """Forget all positions, which take most of a document's memory; `position` parses them again."""
        self.values, self.keys = {}, {}

    def problem(self, path: Path, message: str, *, key: bool = False, severity: str = "error") -> Diagnostic:
        """Return a problem at a path of this file."""
        return self._problem(self.position(path, key=key), path, message, severity)

    def _problem(self, position: Position, path: Path, message: str, severity: str) -> Diagnostic:
        text = " ".join(message.splitlines())
        if len(text) > _LONGEST_MESSAGE:
            text = text[: _LONGEST_MESSAGE - 3] + "..."
        return Diagnostic(self.file, *position, show_path(path), text, severity)

    def report(self, path: Path, message: str, *, key: bool = False, severity: str = "error") -> None:
        """Add a problem at a path to the file's problems; raises TooManyDiagnostics when these are too many."""
        self.report_at(self.position(path, key=key), path, message, severity)

    def report_at(self, position: Position, path: Path, message: str, severity: str = "error") -> None:
        """Add a problem at a position to the file's problems; raises TooManyDiagnostics when these are too many."""
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(self._problem(position, path, message, severity))
            return
        broken = any(problem.severity == "error" for problem in self.problems)
        self.problems.append(self._more("error" if broken else "warning"))
        raise TooManyDiagnostics

    def first_of(self, problems: Iterable[Diagnostic]) -> list[Diagnostic]:
        """Return these problems in the order of the file; of too many only the first, and one that says so."""
        ordered = sorted(problems)
        return ordered if len(ordered) <= MOST_PROBLEMS else [*ordered[:MOST_PROBLEMS], self._more("error")]

    def _more(self, severity: str) -> Diagnostic:
        end = self.text.count("\n") + 1, len(self.text) - self.text.rfind("\n")
        message = f"there are more problems than the {MOST_PROBLEMS} reported here; correct these first"
        return self._problem(end, (), message, severity)


def show_path(path: Path) -> str:
    """Return a path as messages write it: `get.phase[0].map.FAILED`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else ("." if text else "") + short_name(part)
    return text


class TooManyDiagnostics(Exception):
    """There are enough problems, all reported: stop looking for more."""


def parse(content: bytes, file: str) -> Document:
    """Parse one file. Never raises: the problems are in the document; `data` is None if nothing is usable."""
    document = Document(file)
    try:
        _Parser(document, content).run()
    except TooManyDiagnostics:
        document.data = None
    return document


class _Parser:
    def __init__(self, document: Document, content: bytes) -> None:
        self.document = document
        self.nodes = 0
        self.characters = 0  # of all texts, aliases expanded
        self.live = self.events()
        self.recorded: list[yaml.Event] = []  # the events of anchored nodes
        self.open_anchors = 0
        self.anchors: dict[str, slice] = {}  # the part of `recorded`; without an end while it is being read
        self.meant: dict[yaml.AliasEvent, slice] = {}
        if len(content) > LARGEST_FILE:
            self.fail(1, 1, f"the file is larger than {LARGEST_FILE // 2**20} MiB")
        try:
            self.text = document.text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            self.fail(*not_utf8(content, error.start))

    def fail(self, line: int, column: int, message: str) -> None:
        self.note(line, column, (), message)
        raise TooManyDiagnostics

    def note(self, line: int, column: int, path: Path, message: str) -> None:
        self.document.report_at((line, column), path, message)

    def run(self) -> None:
        events = self.live
        try:
            next(events)  # the stream starts
            event = next(events)
            if isinstance(event, yaml.StreamEndEvent):
                self.fail(1, 1, "the file is empty; a spec is a mapping that starts with spec_version: 1")
            self.document.data = self.node(next(events), events, ())
            next(events)  # the document ends
            extra = next(events)
            if not isinstance(extra, yaml.StreamEndEvent):
                self.fail(*_place(extra), "one file holds one document; this is a second")
        except RecursionError:
            self.fail(1, 1, f"nested deeper than {DEEPEST} levels")
        finally:
            self.live.close()  # it refers to this parser: no garbage collection needed

    def events(self) -> Generator[Any, None, None]:
        try:
            for event in yaml.parse(self.text, Loader=_Loader):
                if self.open_anchors:
                    self.recorded.append(event)
                yield event
        except yaml.MarkedYAMLError as error:
            from yaml_connector._loading.yaml_hints import explain

            self.fail(*explain(error, self.text))
        except yaml.YAMLError as error:
            self.fail(*control_character(self.text, str(getattr(error, "reason", None) or error)))
        except ValueError as error:  # what the parser says of characters that YAML does not have
            self.fail(1, 1, f"not YAML: {error}")

    def node(self, event: Any, events: Iterator[Any], path: Path) -> Any:
        self.nodes += 1
        if self.nodes > MOST_NODES:
            self.fail(*_place(event), f"more than {MOST_NODES} values, aliases expanded")
        if len(path) > DEEPEST:
            self.fail(*_place(event), f"nested deeper than {DEEPEST} levels")
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event, path)
        if event.anchor and events is self.live:
            return self.anchored(event, path)
        return self.plain(event, events, path)

    def anchored(self, event: Any, path: Path) -> Any:
        """Return the value of a node that aliases may stand for; keep its events, to be read again in their place."""
        if not self.open_anchors:
            self.recorded.append(event)
        start = len(self.recorded) - 1
        self.anchors[event.anchor] = slice(start, None)
        self.open_anchors += 1
        value = self.plain(event, self.live, path)
        self.open_anchors -= 1
        self.anchors[event.anchor] = slice(start, len(self.recorded))
        return value

    def plain(self, event: Any, events: Iterator[Any], path: Path) -> Any:
        self.document.values.setdefault(path, _place(event))
        if event.tag and event.tag != "!":
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            instead = "leave it out" if tag.startswith("!!") else "put quotes around a string that begins with !"
            self.note(*_place(event), path, f"tags are not allowed: {tag}; {instead}")
        if isinstance(event, yaml.ScalarEvent):
            return self.scalar(event, path)
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Any] = []
            while not isinstance(event := next(events), yaml.SequenceEndEvent):
                items.append(self.node(event, events, (*path, len(items))))
            return items
        return self.mapping(events, path)

    def mapping(self, events: Iterator[Any], path: Path) -> dict[str, Any]:
        data: dict[str, Any] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                hint = ""
                if isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
                    hint = "; if this is a template, put quotes around it: '${{ ... }}'"
                self.fail(*_place(event), f"a key must be a string{hint}")
            key = sys.intern(event.value)  # most keys stand in every spec
            self.count(event)
            if key == "<<" and not event.style:
                message = "merge keys (<<) are not allowed: write the keys themselves here"
                self.note(*_place(event), (*path, key), message)
                self.skip(events)
                continue
            here = (*path, key)
            if key in data:
                first = self.document.keys.get(here, _place(event))
                self.note(*_place(event), here, f"duplicate key, first defined on line {first[0]}")
                self.skip(events)
                continue
            self.document.keys.setdefault(here, _place(event))
            data[key] = None
            value = next(events)
            if ":" in key and isinstance(value, yaml.ScalarEvent) and not (event.style or value.style or value.value):
                self.flow_key(event, here)  # {timeout:60} is one key
            data[key] = self.node(value, events, here)
        return data

    def flow_key(self, event: yaml.ScalarEvent, path: Path) -> None:
        name, _, value = event.value.partition(":")
        if name.isidentifier() and value and value[0] not in ":/ ":
            self.note(*_place(event), path, f"a blank is missing after the colon; write {name}: {value}")

    def skip(self, events: Iterator[Any]) -> None:
        depth = 0
        while True:
            event = next(events)
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            if depth == 0:
                return

    def count(self, event: yaml.ScalarEvent) -> None:
        self.characters += len(event.value)
        if self.characters > LARGEST_FILE:
            self.fail(*_place(event), f"more than {LARGEST_FILE // 2**20} MiB of text, aliases expanded")

    def scalar(self, event: yaml.ScalarEvent, path: Path) -> Any:
        self.count(event)
        value = self.plain_value(event, path)
        if _ODD.search(event.value) and path[-1:] != ("description",):
            self.doubt(event, path, odd_character(event.value))
        return value

    def plain_value(self, event: yaml.ScalarEvent, path: Path) -> Any:
        text = event.value
        if event.style or event.tag == "!":
            return text
        if text in _NULL:
            return None
        if text in _TRUE or text in _FALSE:
            return text in _TRUE
        start: Any = event.start_mark
        end: Any = event.end_mark
        if _DOUBTFUL.search(text) or start.line != end.line:
            self.doubt(event, path, plain_scalar(text, self.text[start.index : end.index], path))
        if text[0] in "\u2018\u201c" and text[-1] in "\u2019\u201d":
            self.note(*_place(event), path, self.document.doubts.pop(path)[1])
        if text[0] in "0123456789-+.":
            return self.number(text, event, path)
        return text

    def doubt(self, event: yaml.ScalarEvent, path: Path, message: str | None) -> None:
        if message is not None:
            self.document.doubts.setdefault(path, (_place(event), message))

    def number(self, text: str, event: yaml.ScalarEvent, path: Path) -> Any:
        if len(text) > LONGEST_NUMBER and any(kind.fullmatch(text) for kind in (_INT, _OCTAL, _HEX, _FLOAT)):
            self.note(*_place(event), path, f"this number has more than {LONGEST_NUMBER} digits; put quotes around it")
            return 0
        if _INT.fullmatch(text):
            if _ZEROS.match(text):
                self.doubt(event, path, f"this is the number {int(text)}; put quotes around it if the zeros count")
            return int(text)
        if _OCTAL.fullmatch(text) or _HEX.fullmatch(text):
            return int(text, 0)
        if _FLOAT.fullmatch(text):
            return float(text)
        return _SPECIAL.get(text.lower(), text)

    def alias(self, event: yaml.AliasEvent, path: Path) -> Any:
        line, column = _place(event)
        if event not in self.meant:  # an anchor's name may be given again before this alias is read again
            self.meant[event] = self.anchored_part(event)
        replay = iter(self.recorded[self.meant[event]])
        self.document.values.setdefault(path, (line, column))
        return self.plain(next(replay), replay, path)

    def anchored_part(self, event: yaml.AliasEvent) -> slice:
        name = str(event.anchor)
        if name not in self.anchors:
            self.fail(*_place(event), f"there is no anchor &{name} before this alias")
        part = self.anchors[name]
        if part.stop is None:
            self.fail(*_place(event), f"the alias *{name} refers to itself")
        return part


def _place(event: Any) -> Position:
    mark = event.start_mark
    return mark.line + 1, mark.column + 1
