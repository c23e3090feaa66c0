"""Contract tests: a spec, called as Flyte calls it, against recorded responses.

`load_tests` reads a file of contract tests, `run_tests` runs them. The names below are imported when they are first
used: pytest loads `yaml_connector.testing.pytest_plugin` in every project, and that must be cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from yaml_connector.testing.clock import FakeClock as FakeClock
    from yaml_connector.testing.compare import Difference as Difference
    from yaml_connector.testing.loader import LoadedTests as LoadedTests
    from yaml_connector.testing.loader import load_tests as load_tests
    from yaml_connector.testing.runner import Failure as Failure
    from yaml_connector.testing.runner import FileResult as FileResult
    from yaml_connector.testing.runner import TestResult as TestResult
    from yaml_connector.testing.runner import run_tests as run_tests

_WHERE = {
    "Difference": "compare",
    "Failure": "runner",
    "FakeClock": "clock",
    "FileResult": "runner",
    "LoadedTests": "loader",
    "TestResult": "runner",
    "load_tests": "loader",
    "run_tests": "runner",
}

__all__ = sorted(_WHERE)


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'yaml_connector.testing' has no attribute {name!r}; it has: {', '.join(__all__)}")
    return getattr(import_module(f"yaml_connector.testing.{_WHERE[name]}"), name)


def __dir__() -> list[str]:
    return __all__
