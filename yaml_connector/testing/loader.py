"""Reads files of contract tests and the specs that they test. Mistakes are reported with file, line and column."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from yaml_connector._loading.document import MOST_PROBLEMS, Document, parse
from yaml_connector._loading.loader import LoadedSpec, is_test_file, read_file, read_spec
from yaml_connector._loading.validation import build, describe
from yaml_connector._spec.fields import Path
from yaml_connector.errors import Diagnostic
from yaml_connector.testing.compare import regex_problems
from yaml_connector.testing.fixtures import fixtures_of
from yaml_connector.testing.model import ContractTests

ReadSpec = Callable[[str], tuple[LoadedSpec | None, list[Diagnostic]]]


@dataclass(frozen=True)
class LoadedTests:
    """A file of contract tests that fits the models.

    `loaded` is its spec, or None if the spec has errors, which are in `spec_problems`.
    """

    file: str
    tests: ContractTests
    document: Document
    loaded: LoadedSpec | None
    spec_file: str
    spec_problems: list[Diagnostic] = field(default_factory=list)


def load_tests(
    content: bytes | OSError, file: str, spec_of: ReadSpec = read_spec
) -> tuple[LoadedTests | None, list[Diagnostic]]:
    """Load one file of contract tests, and the spec beside it.

    `content` is the file's content, or the error of reading it; `spec_of` reads a spec. Returns the tests, or None if
    the file has errors, and its problems in the order of the file. Problems of the spec are in `spec_problems`.
    """
    if isinstance(content, OSError):
        return None, [Diagnostic(file, 1, 1, "", f"cannot be read: {content.strerror}")]
    if not content.strip():
        return None, [Diagnostic(file, 1, 1, "", "the file is empty; a contract test is a mapping with tests")]
    document = parse(content, file)
    if document.data is not None and not isinstance(document.data, dict):
        message = f"must be a mapping, not {describe(document.data)}; a contract test is a mapping with tests"
        return None, [document.problem((), message)]
    tests = build(ContractTests, document) if document.data is not None else None
    if tests is None or document.problems:
        return None, document.all_problems()
    wrong = [document.problem(path, message) for path, message in _wrong_patterns(document.data)]
    if wrong:
        return None, document.first_of(wrong)
    spec_file = _spec_file(tests.spec, file)
    if spec_file is None:
        message = f"there is no spec {tests.spec or ' or '.join(_same_name(file))} beside this file"
        return None, [document.problem(("spec",), message)]
    loaded, problems = spec_of(spec_file)
    return LoadedTests(file, tests, document, loaded, spec_file, problems), _repeated_names(tests, document)


def load_runnable(
    content: bytes | OSError, file: str, spec_of: ReadSpec = read_spec
) -> tuple[LoadedTests | None, list[Diagnostic]]:
    """As `load_tests`, but return no tests if anything is wrong with them or their spec, and the problems of both."""
    tests, problems = load_tests(content, file, spec_of)
    if tests is not None and tests.loaded is None:
        problems = problems + [problem for problem in tests.spec_problems if problem.severity == "error"]
    return (tests if not problems else None), problems


def test_files(folder: str) -> list[str]:
    """Return the files of contract tests in a folder, sorted by name."""
    return sorted(os.path.join(folder, name) for name in os.listdir(folder) if is_test_file(name) and name[0] != ".")


def tests_of(spec_file: str) -> list[str]:
    """Return the files of contract tests beside a spec that test it.

    These are `NAME.test.yaml`, unless it names another spec, and all files whose `spec` names it. A file that is not
    valid YAML counts by its name.
    """
    name = os.path.basename(spec_file)
    found = []
    for file in test_files(os.path.dirname(spec_file) or "."):
        content = read_file(file)
        if isinstance(content, OSError) or (name.encode() not in content and name not in _same_name(file)):
            continue
        data = parse(content, file).data
        named = data.get("spec") if isinstance(data, dict) else None
        about = _spec_file(named if isinstance(named, str) else None, file)
        if about is not None and os.path.realpath(about) == os.path.realpath(spec_file):
            found.append(os.path.normpath(file))
    return found


def value_problems(loaded: LoadedTests) -> list[Diagnostic]:
    """Return the problems of the values that the tests pass to the connector, in the order of the file."""
    if loaded.loaded is None:
        return []
    found: set[Diagnostic] = set()
    for index in range(len(loaded.tests.tests)):
        found.update(fixtures_of(loaded.tests, index, loaded.loaded.spec, loaded.document)[1])
        if len(found) > MOST_PROBLEMS:
            break
    return loaded.document.first_of(found)


def _spec_file(named: str | None, file: str) -> str | None:
    """Return the path of the spec that a file tests: the one that it names, else the one of its own name, or None."""
    for name in [named] if named is not None else _same_name(file):
        path = os.path.normpath(os.path.join(os.path.dirname(file), name))
        if os.path.isfile(path):
            return path
    return None


def _same_name(file: str) -> list[str]:
    base = os.path.basename(file)
    stem = base.removesuffix(".test.yaml").removesuffix(".test.yml")
    return [f"{stem}.yaml", f"{stem}.yml"]


# in a path that begins and ends with a slash: what a URL never holds as it is sent, or hardly ever
_LIKE_A_REGEX = re.compile(r"[\[\]\\^|{}]|\.[*+?]|\$/\Z")


def _wrong_patterns(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        if key == "expect":
            yield from regex_problems(item, (*path, key))
        elif key == "request":
            fields = item if isinstance(item, dict) else {}
            body = {name: part for name, part in fields.items() if name not in ("url", "path")}
            yield from regex_problems(body, (*path, key))
            target = fields.get("path") if fields else str(item).partition(" ")[2].strip()
            if isinstance(target, str) and target[:1] == target[-1:] == "/" and _LIKE_A_REGEX.search(target):
                where = (*path, key, "path") if fields else (*path, key)
                yield where, f"a path is compared as it was sent: {target} is not a regular expression here"
        elif key not in ("response", "secrets", "inputs", "config"):
            yield from _wrong_patterns(item, (*path, key))


def _repeated_names(tests: ContractTests, document: Document) -> list[Diagnostic]:
    first: dict[str, int] = {}
    problems = []
    for index, test in enumerate(tests.tests):
        if first.setdefault(test.name, index) != index:
            line, _ = document.position(("tests", first[test.name], "name"))
            problems.append(document.problem(("tests", index, "name"), f"duplicate name, first used on line {line}"))
    return document.first_of(problems)
