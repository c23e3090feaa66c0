"""The check of one field: compiles it, and checks the names in it and how much there is of it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from math import isfinite
from typing import Any

from yaml_connector._expressions.compile import (
    ascii_only_in,
    compile_field,
    compile_text,
    find_templates,
    has_expression,
    has_template,
)
from yaml_connector._expressions.jinja import Reference
from yaml_connector._loading.document import Document, TooManyDiagnostics
from yaml_connector._loading.references import Names
from yaml_connector._spec.fields import Model, Path, Slot, slots
from yaml_connector._text import short, short_name, short_yaml
from yaml_connector.errors import EvaluationError

_LOOKALIKE = re.compile(
    r"(?<!\$)\{\{\s*([^{}]{1,100}?)\s*\}\}"  # {{ x }}
    r"|(?<!\{)\$?\{\s*([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\s*\}(?!\})"  # ${x}, {x}
    r"|(?<=/):([A-Za-z_]\w*)(?=/|\?|\Z)|(?<=/)<([A-Za-z_]\w*)>"  # /:x, /<x>
)
_JQ = re.compile(r"\.[A-Za-z_]\w*(?:\[\d+\]|(?: \| )?\.[A-Za-z_]\w*)*|(?:/[A-Za-z_]\w*)+")  # .job.id, /job/id
_FIELD = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*|\[(?:\d+|\*)\])*")

MOST_EXPRESSIONS = 2_000  # of one spec; each takes a part of a millisecond to compile
MOST_CHARACTERS = 100_000  # of all of them
_MADE_ELSEWHERE = frozenset({"job", "steps", "item", "jwt", "auth"})  # names that other parts of the spec declare


class FieldChecker:
    """Checks fields of one spec.

    `partial`: the spec is what is left of an invalid one, so nothing is reported as missing. `used` collects all names
    that the fields refer to.
    """

    def __init__(self, document: Document, partial: bool) -> None:
        self.document = document
        self.partial = partial
        self.used: set[Reference] = set()
        self.counted: set[str] = set()
        self.expressions = 0
        self.characters = 0

    def report(self, path: Path, message: str, *, key: bool = False) -> None:
        """Report a problem of something that is there."""
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
        if path[-1] in ("path", "url", "query", "base_url") or path == ("get", "message"):
            self.warn_of_lookalikes(path, value, names)
        if mark.kind == "template":
            self.tree(path, value, names)
            return
        if mark.kind == "extractions" and isinstance(value, dict):
            for key, item in value.items():
                self.template_key((*path, key), key)
                self.slot((*path, key), Slot("extraction"), item, names, root=root)
            return
        try:
            if mark.kind == "condition" and isinstance(value, str) and has_template(value):
                raise EvaluationError("a condition is a bare expression: leave ${{ and }} out")
            if not mark.literal and not has_expression(value):
                raise EvaluationError(_literal(value))
            found = compile_field(mark.kind, value, root=root).names
        except EvaluationError as problem:
            self.report(path, str(problem))
            return
        if isinstance(value, str):
            if path[0] == "outputs" and value.startswith(".") and _JQ.fullmatch(value):
                self.warn(path, _literal(value))
            self.warn_of_ascii(path, value, bare=mark.kind == "condition")
        self.check_references(path, found, names)

    def warn_of_ascii(self, path: Path, value: str, *, bare: bool = False) -> None:
        """Warn of a part of a regular expression that knows ASCII letters only."""
        found = ascii_only_in(value, bare=bare)
        if found is not None:
            instead = r"[\pL\d_] is any letter, [A-Za-z0-9_] says that only these are meant"
            self.warn(path, f"in a regular expression {found} knows ASCII letters only: {instead}")

    def warn_of_lookalikes(self, path: Path, value: Any, names: Names) -> None:
        """Warn of what other tools take for a template, in a URL or its query."""
        for item in value.values() if isinstance(value, dict) else [value]:
            found = _LOOKALIKE.search(item) if isinstance(item, str) else None
            if found is not None:
                name = short_name(names.full(next(filter(None, found.groups()))))
                if path == ("connection", "base_url") and name.isupper():
                    name = f"env.{name}"
                done = "shown" if path[-1] == "message" else "sent"
                self.warn(path, f"{short(found[0])} is {done} as it is written; ${{{{ {name} }}}} was meant")

    def tree(self, path: Path, value: Any, names: Names) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                self.template_key((*path, key), key)
                self.tree((*path, key), item, names)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                self.tree((*path, index), item, names)
        elif isinstance(value, str) and has_template(value):
            try:
                found = compile_text(value).names
            except EvaluationError as problem:
                self.report(path, str(problem))
                return
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
        if self.partial:  # steps and what they save may have been removed
            references = [name for name in references if name[0] not in _MADE_ELSEWHERE]
        for message in names.unknown(references):
            self.report(path, message)

    def template_key(self, path: Path, key: str) -> None:
        if has_template(key):
            self.report(path, "a key may not contain a template", key=True)

    def no_template(self, path: Path, value: Any) -> None:
        if isinstance(value, str) and has_template(value):
            self.report(path, "templates are not allowed in this field")

    def fields(self, model: Model, path: Path, names: Names, **roots: str) -> None:
        """Check every field below a model with the same names."""
        for here, mark, value in slots(model, path):
            self.slot(here, mark, value, names, root=roots.get(str(here[len(path)]), "body") if roots else "body")


def _literal(value: Any) -> str:
    """Say what is wrong with a literal where something is read from a response, and what to write instead."""
    instead = "a JSONPath such as $.id, or a template"
    if isinstance(value, str) and _FIELD.fullmatch(value):
        instead = f"$.{value}"
    elif isinstance(value, str) and _JQ.fullmatch(value):
        instead = "$." + re.sub(r"[./| ]+", ".", value.strip("./ "))
    elif isinstance(value, str) and value.startswith("{{"):
        instead = f"${value}"
    return f"{short_yaml(value)} is the same for every response; to read it from the response, write {instead}"
