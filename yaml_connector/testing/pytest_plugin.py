"""pytest runs contract tests: `pytest` in a folder with `*.test.yaml` collects and runs them (section 10).

Another project's files of that name are left alone: a contract test is one that names its spec, or stands beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from yaml_connector.testing.loader import LoadedTests
    from yaml_connector.testing.runner import Failure

_HEAD = 64 * 1024


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A collector for a contract test; nothing for every other file."""
    if not file_path.name.endswith((".test.yaml", ".test.yml")) or not _is_contract_test(file_path):
        return None
    collector: pytest.Collector = ContractFile.from_parent(parent, path=file_path)
    return collector


def _is_contract_test(file: Path) -> bool:
    if not _has(file, rb"^tests[ \t]*:"):
        return False
    beside = [file.with_name(re.sub(r"\.test\.ya?ml$", ending, file.name)) for ending in (".yaml", ".yml")]
    return _has(file, rb"^spec[ \t]*:") or any(_has(spec, rb"^spec_version[ \t]*:") for spec in beside)


def _has(file: Path, pattern: bytes) -> bool:
    try:
        with file.open("rb") as handle:
            return re.search(pattern, handle.read(_HEAD), re.MULTILINE) is not None
    except OSError:
        return False


class ContractFile(pytest.File):
    """The tests of one file."""

    def collect(self) -> Iterator[pytest.Item]:
        """One item for each test; a file that cannot be used is an error with all its problems."""
        from yaml_connector._loading.loader import read_file
        from yaml_connector.testing.loader import load_tests

        tests, problems = load_tests(read_file(str(self.path)), str(self.path))
        if tests is None or problems or tests.loaded is None:
            found = problems or (tests.spec_problems if tests is not None else [])
            raise self.CollectError("\n".join(map(str, found)) or f"{self.path} cannot be used")
        for test in tests.tests.tests:
            yield ContractItem.from_parent(self, name=test.name, tests=tests)


class _Failed(Exception):
    """A test failed: the lines of the report."""


class ContractItem(pytest.Item):
    """One contract test."""

    def __init__(self, *, tests: LoadedTests, **others: Any) -> None:
        super().__init__(**others)
        self.tests = tests
        self.add_marker("contract")

    def runtest(self) -> None:
        """Run it, with a connector, a clock and a memory of its own."""
        from yaml_connector.testing.runner import run_tests

        failures: list[Failure] = []
        for result in run_tests(self.tests, only=lambda name: name == self.name).results:
            failures += result.failures
        if failures:
            from yaml_connector.testing.report import failure_lines

            raise _Failed("\n".join(line for failure in failures for line in failure_lines(failure)))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """What differs, in place of a traceback."""
        if isinstance(excinfo.value, _Failed):
            return str(excinfo.value)
        return super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where it stands, for reports."""
        names = [test.name for test in self.tests.tests.tests]
        line, _ = self.tests.document.position(("tests", names.index(self.name)))
        return self.path, line - 1, self.name


def pytest_configure(config: pytest.Config) -> None:
    """The mark of contract tests: `-m contract` selects them."""
    config.addinivalue_line("markers", "contract: a contract test of a connector's spec")
