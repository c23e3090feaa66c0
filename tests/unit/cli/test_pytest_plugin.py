"""`pytest` in a folder with contract tests runs them, and leaves the files of others alone."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.real_processes import clean_environment

pytestmark = pytest.mark.slow


def run_pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """pytest with the plugin alone, in a process of its own."""
    command = [sys.executable, "-m", "pytest", "-p", "no:yaml_connector", "-p", "yaml_connector.testing.pytest_plugin"]
    command += ["-p", "no:cacheprovider", "--rootdir", ".", *arguments]
    env = clean_environment(folder, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the demo's spec and its test."""
    for name in ("batch_job.yaml", "batch_job.test.yaml"):
        shutil.copy(ROOT / "connectors.d" / name, tmp_path / name)
    return tmp_path


def test_contract_tests_are_collected_and_run_by_name(folder: Path) -> None:
    done = run_pytest(folder, "-v")
    assert done.returncode == 0, done.stdout
    assert "batch_job.test.yaml::runs to success PASSED" in done.stdout
    chosen = run_pytest(folder, "-v", "-k", "success", "-m", "contract")
    assert "1 passed" in chosen.stdout


def test_a_failure_is_told_as_the_difference_and_not_as_a_traceback(folder: Path) -> None:
    file = folder / "batch_job.test.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("timeout: 60}", "timeout: 61}", 1), encoding="utf-8")
    done = run_pytest(folder)
    assert done.returncode == 1
    assert "json.timeout" in done.stdout
    assert "Traceback" not in done.stdout


def test_a_wrong_file_is_an_error_with_its_place(folder: Path) -> None:
    (folder / "batch_job.test.yaml").write_text("tests:\n  - nme: x\n", encoding="utf-8")
    done = run_pytest(folder)
    assert done.returncode == 2
    assert "batch_job.test.yaml:2:5: tests[0].nme: unknown key; did you mean name?" in done.stdout


def test_the_files_of_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "other.test.yaml").write_text("tests: [not, ours]\n", encoding="utf-8")
    (tmp_path / "more.test.yaml").write_text("- a list\n", encoding="utf-8")
    done = run_pytest(tmp_path)
    assert done.returncode == 5, done.stdout  # nothing collected


def test_the_plugin_imports_nothing_of_the_connector_until_there_is_a_test() -> None:
    code = (
        "import sys, yaml_connector.testing.pytest_plugin as _; "
        "print({'pydantic', 'yaml', 'aiohttp', 'flyte'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
