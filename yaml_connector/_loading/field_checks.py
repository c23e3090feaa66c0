"""The check of one field: compiles it, and checks the names in it and how much there is of it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from math import isfinite
from typing import Any

from yaml_connector._expressions.compile import (
    CLOSE,
    OPEN,
    Expression,
    compile_condition,
    compile_field,
    compile_text,
    find_templates,
    has_expression,
    has_template,
    is_path,
    parse_text,
)
from yaml_connector._expressions.jinja import ANSWER, Reference, parse, patterns
from yaml_connector._expressions.regex import ascii_only
from yaml_connector._loading.document import Document, TooManyDiagnostics
from yaml_connector._loading.literals import described, is_literal, literal_doubt, lookalikes, path_doubt, repaired_path
from yaml_connector._loading.references import STEP_NAMES, Names
from yaml_connector._spec.fields import Model, Path, Slot, slots
from yaml_connector._text import short
from yaml_connector.errors import EvaluationError

_IN_TEMPLATE = re.compile(r"in the template at character (\d+): |(?<=the template that starts )at character (\d+)")
_SHOWN = 30  # characters of a template that is looked for in the file
_URLS = frozenset({"path", "url", "query", "base_url", "token_url"})

MOST_EXPRESSIONS = 2_000  # of one spec; each takes a part of a millisecond to compile
MOST_CHARACTERS = 100_000  # of all of them
_MADE_ELSEWHERE = frozenset({"job", "steps", "item", "jwt", "auth"})  # names that other parts of the spec declare
_OF_A_STEP = frozenset({*STEP_NAMES, "saved"})


class FieldChecker:
    """Checks fields of one spec.

    `partial`: the spec is what is left of an invalid one, so nothing is reported as missing. `used` collects all names
    that the fields refer to.
    """

    def __init__(self, document: Document, partial: bool) -> None:
        self.document = document
        self.partial = partial
        self.used: set[Reference] = set()
        self.written = _words(document.data) | _OF_A_STEP if partial else frozenset()
        self.counted: set[str] = set()
        self.expressions = 0
        self.characters = 0

    def report(self, path: Path, message: str, *, key: bool = False, text: Any = None) -> None:
        """Report a problem of something that is there: of a template in a `text`, at its own place."""
        found = _IN_TEMPLATE.search(message) if isinstance(text, str) else None
        if found is not None:
            start = int(found[1] or found[2]) - 1
            place = self.document.find(path, text[start : start + _SHOWN].split("\n")[0], text[:start])
            if place is not None:
                message = message.replace(found[0], "" if found[1] else "here")
                self.document.report_at(place, path, message)
                return
        self.document.report(path, message, key=key)

    def report_missing(self, path: Path, message: str) -> None:
        """Report that something is missing."""
        if not self.partial:
            self.document.report(path, message)

    def warn(self, path: Path, message: str) -> None:
        self.document.report(path, message, severity="warning")

    def slot(self, path: Path, mark: Slot | None, value: Any, names: Names, *, root: str = "body") -> None:
        """Compile one field and check the names in it."""
        if mark is None:
            self.no_template(path, value)
            return
        self.count(path, value, mark.kind)
        if mark.kind == "template":
            self.tree(path, value, names, is_url=not _URLS.isdisjoint(path[-1:]))
            return
        if mark.kind == "extractions" and isinstance(value, dict):
            for key, item in value.items():
                self.template_key((*path, key), key)
                self.slot((*path, key), Slot("extraction"), item, names, root=root)
            return
        try:
            if mark.kind == "condition" and isinstance(value, str) and has_template(value):
                raise EvaluationError("a condition is a bare expression: leave ${{ and }} out")
            if mark.kind == "condition" and isinstance(value, str) and is_path(value):
                raise EvaluationError(f"a condition is an expression, not a JSONPath; write body{value.strip()[1:]}")
            if mark.kind == "extractions" and isinstance(value, str) and not has_template(value):
                raise EvaluationError(f"must be a mapping, or one template, not the string {short(value)}")
            if not mark.literal and not (isinstance(value, str) and has_expression(value)):
                raise EvaluationError(is_literal(value))
            found = compile_field(mark.kind, value, root=root).names
        except EvaluationError as problem:
            repaired = repaired_path(value) if mark.kind == "extraction" and is_path(value) else None
            told = f"{short(value)} is not a valid JSONPath; write {repaired}" if repaired else str(problem)
            self.report(path, told, text=value)
            return
        self.doubt(path, mark, value, names, found)
        self.check_references(path, found, names)

    def doubt(self, path: Path, mark: Slot, value: Any, names: Names, found: frozenset[Reference]) -> None:
        """Warn of what is valid in a condition or an extraction, and surely not meant."""
        if not isinstance(value, str):
            return
        is_condition = mark.kind == "condition"
        for told in sorted(_warnings_in(mark.kind, value)):
            self.warn(path, told)
        if is_condition and not found and value.strip().lower() not in ("true", "false"):
            self.warn(path, f"{short(value)} is the same for every response: no name is in it")
        if mark.kind == "extraction":
            doubtful = path_doubt(path, value) if is_path(value) else literal_doubt(path, value, names)
            if doubtful is not None:
                self.warn(path, doubtful)
            elif not is_path(value) and path[-1] not in ("timestamp", "level"):
                self.warn_of_lookalikes(
                    path, value, names, is_url=path[-1] in ("message", "url") or path[0] == "outputs"
                )
        self.warn_of_ascii(path, value, bare=is_condition)

    def warn_of_ascii(self, path: Path, value: str, *, bare: bool = False) -> None:
        """Warn of a part of a regular expression that knows ASCII letters only."""
        found = _ascii_only_in(value, bare=bare)
        if found is not None:
            instead = r"[\pL\d_] is any letter, [A-Za-z0-9_] says that only these are meant"
            self.warn(path, f"in a regular expression {found} knows ASCII letters only: {instead}")

    def warn_of_lookalikes(self, path: Path, value: str, names: Names, *, is_url: bool, whole: bool = False) -> None:
        """Warn of what other tools take for a template."""
        is_base = path == ("connection", "base_url")
        parts = lookalikes(value, names, is_url=is_url, is_query="query" in path, whole=whole, any_name=is_base)
        for found, name in parts:
            if is_base and name is not None and name.isupper():
                name = f"env.{name}"
            if name is not None and name.startswith("secrets."):
                self.used.add(tuple(name.split(".")))  # so that it is not called unused, too
            done = "shown" if path[-1] == "message" else "sent"
            place = self.document.find(path, found, value[: value.find(found)]) or self.document.position(path)
            self.document.report_at(place, path, described(found, name, done=done, names=names), "warning")

    def tree(self, path: Path, value: Any, names: Names, *, is_url: bool = False) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                self.template_key((*path, key), key)
                self.tree((*path, key), item, names, is_url=is_url)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                self.tree((*path, index), item, names, is_url=is_url)
        elif isinstance(value, str):
            self.warn_of_lookalikes(path, value, names, is_url=is_url, whole=not is_url)
            if not has_template(value):
                return
            try:
                found = compile_text(value).names
            except EvaluationError as problem:
                self.report(path, str(problem), text=value)
                return
            for told in sorted(_warnings_in("template", value)):
                self.warn(path, told)
            self.warn_of_ascii(path, value)
            self.check_references(path, found, names)
        elif isinstance(value, float) and not isfinite(value):
            self.report(path, f"{value} cannot be sent as JSON")

    def count(self, path: Path, value: Any, kind: str) -> None:
        """Count expressions, and raise TooManyDiagnostics before compiling them would take long."""
        if isinstance(value, dict | list):
            for item in value.values() if isinstance(value, dict) else value:
                self.count(path, item, kind)
        if not isinstance(value, str) or value in self.counted:
            return
        a_path = value.startswith("$") and kind in ("extraction", "extractions")
        if not (a_path or kind == "condition" or has_template(value)):
            return
        self.counted.add(value)
        try:
            lengths = [end - start for start, end in find_templates(value)] or [len(value)]
        except EvaluationError:
            return  # compiling it reports the same
        self.expressions += len(lengths)
        self.characters += sum(lengths)
        if self.expressions > MOST_EXPRESSIONS or self.characters > MOST_CHARACTERS:
            self.report(
                path,
                f"the templates, paths and conditions up to here are more than {MOST_EXPRESSIONS} different ones, or "
                f"longer than {MOST_CHARACTERS} characters",
            )
            raise TooManyDiagnostics

    def check_references(self, path: Path, references: Iterable[Reference], names: Names) -> None:
        self.used.update(references)
        if self.partial:
            references = [name for name in references if not self._may_be_made(name, names)]
        for message in names.unknown(references):
            self.report(path, message)

    def _may_be_made(self, name: Reference, names: Names) -> bool:
        """Tell whether a part that is not in the partial spec may declare a name: the file has it, or a step without
        a valid name."""
        if name[0] == "steps" and not self.written >= (names.roots.get("steps") or {}).keys():
            return True
        return name[0] in _MADE_ELSEWHERE and self.written.issuperset(name[1:])

    def template_key(self, path: Path, key: str) -> None:
        if has_template(key):
            self.report(path, "a key may not contain a template", key=True)

    def no_template(self, path: Path, value: Any) -> None:
        if isinstance(value, str) and has_template(value):
            self.report(path, "templates are not allowed in this field")

    def fields(self, model: Model, path: Path, names: Names, *only: str, root: str = "body") -> None:
        """Check the fields of a model that see the same names: those of `only`, else all."""
        for here, mark, value in slots(model, path):
            if not only or here[len(path)] in only:
                self.slot(here, mark, value, names, root=root)


def _ascii_only_in(text: str, *, bare: bool) -> str | None:
    """Return the part of a field's regular expressions that knows ASCII letters only, or None; `bare`: the
    field is an expression without braces."""
    if is_path(text):
        return ascii_only(text) if "=~" in text or "sub(" in text else None
    if "regex" not in text or "\\" not in text:
        return None
    spans = [(0, len(text))] if bare else [(at + len(OPEN), end - len(CLOSE)) for at, end in find_templates(text)]
    for start, end in spans:
        for pattern in patterns(parse(ANSWER, text[start:end])):
            if (found := ascii_only(pattern)) is not None:
                return found
    return None


def _warnings_in(kind: str, raw: Any) -> frozenset[str]:
    """Return the warnings about likely mistakes in the expressions of a valid field; `kind` as in `compile_field`."""
    if kind == "condition":
        return frozenset(compile_condition(raw).warnings)
    if not isinstance(raw, str) or not has_template(raw):
        return frozenset()
    parts = parse_text(raw, answer=kind != "template").parts
    return frozenset(warning for part in parts if isinstance(part, Expression) for warning in part.warnings)


def _words(data: Any) -> frozenset[Any]:
    """Return all keys and texts of a file's data."""
    found: set[Any] = set()
    waiting = [data]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            found.update(part)
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)
        elif isinstance(part, str):
            found.add(part)
    return frozenset(found)
