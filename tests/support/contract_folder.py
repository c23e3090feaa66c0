"""A folder with the spec of the repository's connectors.d, and contract tests written into it."""

from __future__ import annotations

import json
import shutil
import textwrap
from pathlib import Path
from typing import Any

from tests.support.paths import ROOT
from yaml_connector._loading.loader import read_file
from yaml_connector.errors import Diagnostic
from yaml_connector.testing.loader import load_tests
from yaml_connector.testing.report import file_lines
from yaml_connector.testing.runner import Failure, FileResult, TestResult, run_tests

DEFAULTS: dict[str, Any] = {
    "config": {"timeout_seconds": 60},
    "inputs": {"name": "hello"},
    "secrets": {"api_key": "s3cr3t"},
    "env": {"BATCH_URL": "https://batch.test"},
}
CREATE: dict[str, Any] = {
    "create": {
        "exchanges": [
            {
                "request": {"method": "POST", "url": "https://batch.test/jobs"},
                "response": {"status": 201, "json": {"id": "7", "state": "queued"}},
            }
        ]
    }
}


class Folder:
    """Specs and tests in a folder of their own. What a test gives is YAML text, or data that is written as JSON (which
    is YAML too)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        shutil.copy(ROOT / "connectors.d" / "batch_job.yaml", path / "batch_job.yaml")
        self.file = str(path / "batch_job.test.yaml")

    def write(self, content: str | dict[str, Any], name: str = "batch_job.test.yaml") -> str:
        """Write a file, and give its path."""
        text = textwrap.dedent(content) if isinstance(content, str) else json.dumps(content, indent=1)
        (self.path / name).write_text(text, encoding="utf-8")
        return str(self.path / name)

    def change_spec(self, old: str, new: str) -> None:
        """Replace a text of the spec, which must be there."""
        file = self.path / "batch_job.yaml"
        text = file.read_text(encoding="utf-8")
        assert old in text
        file.write_text(text.replace(old, new), encoding="utf-8")

    def run_file(self, content: str | dict[str, Any]) -> FileResult:
        """Write a file of tests, which must be a good one, and run it."""
        file = self.write(content)
        loaded, problems = load_tests(read_file(file), file)
        assert problems == []
        assert loaded is not None
        assert loaded.spec_problems == []
        return run_tests(loaded)

    def run(self, *calls: dict[str, Any], **fields: Any) -> TestResult:
        """Run one test of these calls, with the defaults above."""
        test = {"name": "one", "calls": list(calls), **fields}
        return self.run_file({"defaults": DEFAULTS, "tests": [test]}).results[0]

    def problems(self, content: str | dict[str, Any]) -> list[Diagnostic]:
        """Write a file of tests, and give what is wrong with it."""
        file = self.write(content)
        return load_tests(read_file(file), file)[1]

    def text(self, content: str | dict[str, Any]) -> str:
        """Run a file of tests, and give the report."""
        return "\n".join(file_lines(self.run_file(content))).replace(str(self.path) + "/", "")


def the_failure(result: TestResult) -> Failure:
    """The one failure of a test that failed."""
    assert len(result.failures) == 1, result
    return result.failures[0]


def differing(result: TestResult) -> dict[str, tuple[Any, Any]]:
    """The fields in which a test failed: expected and found."""
    return {item.field: (item.expected, item.found) for item in the_failure(result).differences}


def get(response: dict[str, Any] | None = None, *, expect: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A get with one exchange."""
    exchange: dict[str, Any] = {"request": {"url": "https://batch.test/jobs/7"}, **more}
    if response is not None:
        exchange["response"] = response
    return {"get": {"exchanges": [exchange], "expect": expect or {}}}


def state(name: str, **more: Any) -> dict[str, Any]:
    """An answer that tells the job's state."""
    return {"json": {"state": name, **more}}
