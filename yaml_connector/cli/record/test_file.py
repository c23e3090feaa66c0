"""Changes the text of a file of contract tests: adds a test, or replaces one. All other lines stay as they are."""

from __future__ import annotations

import os
import re
from itertools import count
from typing import Any

from yaml_connector._loading.document import Document
from yaml_connector._loading.loader import read_file
from yaml_connector.cli.record.relax import as_yaml
from yaml_connector.errors import ConfigError, SpecError
from yaml_connector.testing.loader import load_tests

__test__ = False  # nothing for pytest to collect

_DASH = re.compile(r"( *)- +")


class Addition:
    """A file of tests for a spec, to which a test is added. Raises ConfigError if it is not one, or has errors."""

    def __init__(self, file: str, spec_file: str) -> None:
        content = read_file(file)
        tests, problems = load_tests(content, file)
        if tests is None or problems or not isinstance(content, bytes):
            raise SpecError(problems)
        if os.path.realpath(tests.spec_file) != os.path.realpath(spec_file):
            raise ConfigError(f"{file} has the tests of {tests.spec_file}, not of {spec_file}")
        self._before = content.decode("utf-8-sig")
        self._document = tests.document
        self._names = {test.name for test in tests.tests.tests}

    def new_name(self, name: str) -> str:
        """Return a name that no test of the file has."""
        numbered = (f"{name} ({number})" for number in count(2))
        return name if name not in self._names else next(other for other in numbered if other not in self._names)

    def text(self, recorded: dict[str, Any]) -> str:
        """Return the file with the test of a recorded file at its end."""
        (test,) = recorded["tests"]
        fields = own_fields(recorded.get("defaults") or {}, self._document.data.get("defaults") or {})
        return with_test(self._before, self._document, {"name": test["name"], **fields, "calls": test["calls"]})


def own_fields(given: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a test that the defaults of its file lack or have otherwise. A name that only the defaults
    have is null in the test."""
    fields: dict[str, Any] = {}
    for section in ("config", "inputs", "secrets", "env", "outputs", "task"):
        ours, theirs = given.get(section) or {}, defaults.get(section) or {}
        own = {name: value for name, value in ours.items() if name not in theirs or theirs[name] != value}
        if section in ("inputs", "env", "secrets"):
            own |= {name: None for name in theirs if name not in ours}
        if own:
            fields[section] = own
    return fields


def with_test(text: str, document: Document, test: dict[str, Any], index: int | None = None) -> str:
    """Return the text with a test: in place of number `index` (from 0), else at the end of the list.

    Raises ConfigError if the tests are not written one below the other, each after a dash.
    """
    lines = text.split("\n")
    starts = [document.position(("tests", number))[0] - 1 for number in range(len(document.data["tests"]))]
    dash = _DASH.match(lines[starts[0]])
    if dash is None or any(not _DASH.match(lines[start]) for start in starts):
        raise ConfigError(f"{document.file}: write its tests one below the other, each after a dash")
    later = [line - 1 for (*_, name), (line, _) in _top_keys(document) if line - 1 > starts[0] and name != "tests"]
    starts.append(min(later, default=len(lines)))
    item = [f"{dash[1]}{line}".rstrip() for line in as_yaml([test]).rstrip("\n").split("\n")]
    if index is None:
        end = _content_end(lines, starts[-2], starts[-1])
        return "\n".join([*lines[:end], *item, *(lines[end:] or [""])])
    end = _content_end(lines, starts[index], starts[index + 1])
    return "\n".join([*lines[: starts[index]], *item, *lines[end:]])


def _top_keys(document: Document) -> list[tuple[Any, tuple[int, int]]]:
    document.position(())
    return [(path, place) for path, place in document.keys.items() if len(path) == 1]


def _content_end(lines: list[str], start: int, end: int) -> int:
    """Return where a test ends: comments and empty lines behind it belong to what follows."""
    while end > start + 1 and (not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#")):
        end -= 1
    return end
