"""Reading a file of contract tests, and the spec that it is about; mistakes are `file:line:column` problems (section
2)."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from yaml_connector.contract.given import given_of
from yaml_connector.contract.model import ContractTests
from yaml_connector.errors import Problem
from yaml_connector.loading.loader import LoadedSpec, read_spec
from yaml_connector.loading.models import build, describe
from yaml_connector.loading.yaml12 import MOST_PROBLEMS, Document, parse

ReadSpec = Callable[[str], tuple[LoadedSpec | None, list[Problem]]]


@dataclass(frozen=True)
class LoadedTests:
    """A file of contract tests that fits the models. `loaded` is its spec, None if that cannot be used; then
    `spec_problems` says why."""

    file: str
    tests: ContractTests
    document: Document
    loaded: LoadedSpec | None
    spec_file: str
    spec_problems: list[Problem] = field(default_factory=list)


def load_tests(
    content: bytes | OSError, file: str, spec_of: ReadSpec = read_spec
) -> tuple[LoadedTests | None, list[Problem]]:
    """Load one file of contract tests from its content. Gives it if its tests can be run or be named, and its problems
    in the order of the file; the spec's own problems stay with the spec."""
    if isinstance(content, OSError):
        return None, [Problem(file, 1, 1, "", f"cannot be read: {content.strerror}")]
    if not content.strip():
        return None, [Problem(file, 1, 1, "", "the file is empty; a contract test is a mapping with tests")]
    document = parse(content, file)
    if document.data is not None and not isinstance(document.data, dict):
        message = f"must be a mapping, not {describe(document.data)}; a contract test is a mapping with tests"
        return None, [document.problem((), message)]
    tests = build(ContractTests, document) if document.data is not None else None
    if tests is None or document.problems:
        return None, sorted(document.problems)
    spec_file = _spec_file(tests, file)
    if spec_file is None:
        message = f"there is no spec {tests.spec or ' or '.join(_same_name(file))} beside this file"
        return None, [document.problem(("spec",), message)]
    loaded, problems = spec_of(spec_file)
    return LoadedTests(file, tests, document, loaded, spec_file, problems), _repeated_names(tests, document)


def value_problems(loaded: LoadedTests) -> list[Problem]:
    """What is wrong with the values that the tests give, in the order of the file."""
    if loaded.loaded is None:
        return []
    found: set[Problem] = set()
    for index in range(len(loaded.tests.tests)):
        found.update(given_of(loaded.tests, index, loaded.loaded.spec, loaded.document)[1])
        if len(found) > MOST_PROBLEMS:
            break
    return loaded.document.first_of(found)


def _spec_file(tests: ContractTests, file: str) -> str | None:
    names = [tests.spec] if tests.spec is not None else _same_name(file)
    for name in names:
        path = os.path.normpath(os.path.join(os.path.dirname(file), name))
        if os.path.isfile(path):
            return path
    return None


def _same_name(file: str) -> list[str]:
    base = os.path.basename(file)
    stem = base.removesuffix(".test.yaml").removesuffix(".test.yml")
    return [f"{stem}.yaml", f"{stem}.yml"]


def _repeated_names(tests: ContractTests, document: Document) -> list[Problem]:
    first: dict[str, int] = {}
    problems = []
    for index, test in enumerate(tests.tests):
        if first.setdefault(test.name, index) != index:
            line, _ = document.position(("tests", first[test.name], "name"))
            problems.append(
                document.problem(("tests", index, "name"), f"there is a test of this name already, in line {line}")
            )
    return document.first_of(problems)
