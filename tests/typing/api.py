"""The public API as a user's code calls it. mypy checks it in strict mode; nothing here is run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml_connector
from yaml_connector import (
    ConfigError,
    Diagnostic,
    Json,
    SpecError,
    YamlConnector,
    YamlConnectorEnvironment,
    YamlConnectorError,
    load,
    register,
    task_files,
    task_from_spec,
    task_plugin,
)
from yaml_connector.testing import (
    Difference,
    Failure,
    FakeClock,
    FileResult,
    LoadedTests,
    TestResult,
    load_tests,
    run_tests,
)

version: str = yaml_connector.__version__


def tasks() -> None:
    """Tasks of workflow authors, and what their bundle needs."""
    task = task_from_spec(
        "batch_job",
        name="nightly",
        config={"timeout_seconds": 60},
        inputs={"name": str, "rows": Json},
        outputs={"result": str},
        secrets={"api_key": "vault-key"},
        retries=3,
    )
    name: str = task.name
    plugin = task_plugin(Path("connectors.d") / "batch_job.yaml")
    other = plugin(name, plugin_config=None)
    included: tuple[str, ...] = task_files()
    included = task_files(["connectors.d/batch_job.yaml"])
    YamlConnectorEnvironment(name="connector", specs="connectors.d", include=included)
    print(other.name)


def specs() -> None:
    """Specs, their problems, and their connectors in this process."""
    try:
        for loaded in load("connectors.d"):
            task_type: str = loaded.spec.task_type_name
            print(task_type)
        connectors: Sequence[YamlConnector] = register(environment={"BATCH_URL": "https://api.test"})
        print([connector.name for connector in connectors])
    except SpecError as error:
        problem: Diagnostic
        for problem in error.problems:
            place: tuple[str, int, int] = problem.file, problem.line, problem.column
            print(place, problem.path, problem.message, problem.severity)
    except ConfigError as error:
        is_value_error: ValueError = error
        print(is_value_error)
    except YamlConnectorError as error:
        print(error)


def contract_tests(file: Path) -> bool:
    """Contract tests without the command line."""
    tests: LoadedTests | None
    tests, problems = load_tests(file.read_bytes(), str(file))
    if tests is None or problems:
        return False
    result: FileResult = run_tests(tests, only=lambda name: name.startswith("a job"))
    test: TestResult
    for test in result.results:
        failure: Failure
        for failure in test.failures:
            difference: Difference
            for difference in failure.differences:
                print(difference.field, difference.expected, difference.found)
    clock = FakeClock()
    clock.move(3.0)
    return all(test.passed for test in result.results)
