"""A pytest plugin: `pytest` in a folder with `*.test.yaml` collects and runs these contract tests.

Files of that name that belong to other tools are ignored: a contract test names its spec, or is beside it.
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
    """Return a collector for a file of contract tests, and None for every other file."""
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
    """The contract tests of one file."""

    def collect(self) -> Iterator[pytest.Item]:
        """Yield an item for each test; raise CollectError with all problems if the file or its spec has errors."""
        from yaml_connector._loading.loader import read_file
        from yaml_connector.testing.loader import load_runnable

        tests, problems = load_runnable(read_file(str(self.path)), str(self.path))
        if tests is None:
            raise self.CollectError("\n".join(map(str, problems)))
        for test in tests.tests.tests:
            yield ContractItem.from_parent(self, name=test.name, tests=tests)


class _Failed(Exception):
    """A contract test failed; the message is the report."""


class ContractItem(pytest.Item):
    """One contract test."""

    def __init__(self, *, tests: LoadedTests, **others: Any) -> None:
        super().__init__(**others)
        self.tests = tests
        self.add_marker("contract")

    def runtest(self) -> None:
        """Run the test."""
        from yaml_connector.testing.runner import run_tests

        failures: list[Failure] = []
        for result in run_tests(self.tests, only=lambda name: name == self.name).results:
            failures += result.failures
        if failures:
            from yaml_connector.testing.report import failure_lines

            raise _Failed("\n".join(line for failure in failures for line in failure_lines(failure)))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Return the report in place of a traceback."""
        if isinstance(excinfo.value, _Failed):
            return str(excinfo.value)
        return super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Return the file, the line (from 0) and the name of the test."""
        names = [test.name for test in self.tests.tests.tests]
        line, _ = self.tests.document.position(("tests", names.index(self.name)))
        return self.path, line - 1, self.name


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker of contract tests: `-m contract` selects them."""
    config.addinivalue_line("markers", "contract: a contract test of a connector's spec")
