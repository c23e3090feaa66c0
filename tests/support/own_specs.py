"""The specs of this repository with their contract tests, each loaded once in a process."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from tests.support.paths import CATALOG, CORNERS, ROOT
from yaml_connector._loading.loader import LoadedSpec, is_test_file, read_file, read_spec
from yaml_connector.testing.loader import LoadedTests, load_tests
from yaml_connector.testing.model import Call, Test
from yaml_connector.testing.recorded import RecordedExchange

FOLDERS = (ROOT / "connectors.d", CATALOG, CORNERS)


def spec_files(folder: Path) -> list[Path]:
    """The spec files of a folder."""
    return sorted(file for file in folder.glob("*.yaml") if not is_test_file(file.name))


def spec_of(file: Path) -> LoadedSpec:
    """The spec of a file, which must be a good one."""
    found, problems = read(str(file))
    assert found is not None, [str(problem) for problem in problems]
    return found


def specs(folder: Path) -> list[LoadedSpec]:
    """All specs of a folder."""
    return [spec_of(file) for file in spec_files(folder)]


read = cache(read_spec)


@cache
def contract_tests(spec_file: str) -> LoadedTests:
    """The contract tests beside a spec; they must be there, and good ones."""
    file = spec_file.removesuffix(".yaml") + ".test.yaml"
    loaded, problems = load_tests(read_file(file), file, read)
    assert [str(problem) for problem in problems] == []
    assert loaded is not None
    return loaded


def all_specs() -> list[LoadedSpec]:
    """The specs of all folders."""
    return [spec for folder in FOLDERS for spec in specs(folder)]


def calls(spec_file: str, kind: str | None = None) -> Iterator[tuple[Test, Call]]:
    """The calls of a spec's contract tests, all or of one kind (create, get, logs, delete), each with its test."""
    for test in contract_tests(spec_file).tests.tests:
        for call in test.calls:
            if kind is None or call.kind == kind:
                yield test, call


def exchanges(call: Call) -> list[RecordedExchange]:
    """What a call sends and gets; empty for `after` and `restart`."""
    return list(getattr(getattr(call, call.kind), "exchanges", []))


def texts(value: Any) -> Iterator[str]:
    """Every text in plain data."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)
