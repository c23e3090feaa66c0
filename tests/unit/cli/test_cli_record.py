"""`yaml-connector record`: what is written passes right away, and holds no secret."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.command_line import Command
from tests.support.paths import ROOT
from tests.support.real_processes import USER_KEYS

ALICE = ("--secret", "api_key=env:ALICE_KEY")


@pytest.fixture
def spec(here: Path) -> Path:
    """A copy of the demo's spec in the working directory."""
    return Path(shutil.copy(ROOT / "connectors.d" / "batch_job.yaml", here / "batch_job.yaml"))


def render_value(spec: Path) -> dict[str, Any]:
    text = spec.with_suffix(".test.yaml").read_text(encoding="utf-8")
    assert not any(key in text for key in USER_KEYS.values())
    assert text.startswith("# Recorded by `yaml-connector record batch_job`")
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def test_a_recorded_success_passes_right_away(live: Command, spec: Path) -> None:
    done = live("record", "batch_job.yaml", "--input", "name=ops", *ALICE)
    assert done.returncode == 0, done.stderr
    assert "wrote batch_job.test.yaml" in done.stdout
    assert "Before you commit it, check" in done.stdout
    assert live("test", "batch_job.yaml").returncode == 0
    found = render_value(spec)
    assert found["defaults"]["secrets"] == {"api_key": "test-api-key"}
    calls = found["tests"][0]["calls"]
    first = calls[0]["create"]["exchanges"][0]
    assert first["request"]["headers"] == {"Idempotency-Key": "test-key", "Authorization": "Bearer test-api-key"}
    assert first["response"]["json"]["id"] == "job-1"
    assert first["response"]["json"]["created"] == "2026-01-01T00:00:00Z"
    gets = [call["get"]["expect"] for call in calls if "get" in call]
    assert gets[-1] == {"phase": "SUCCEEDED", "message": None, "outputs": {"result": "Hello, ops!"}}


def test_a_text_between_slashes_is_recorded_as_itself(live: Command, spec: Path) -> None:
    done = live("record", "batch_job.yaml", "--input", "name=/fail[/", *ALICE)
    assert done.returncode == 0, done.stderr
    exchange = render_value(spec)["tests"][0]["calls"][0]["create"]["exchanges"][0]
    assert exchange["request"]["json"]["name"] == r"/^/fail\[/$/"
    assert "relaxed" not in done.stdout


def test_a_recorded_failure_passes_too_and_may_have_a_name(live: Command, spec: Path) -> None:
    done = live("record", "batch_job.yaml", "--input", "name=fail", *ALICE, "--name", "an empty table fails the job")
    assert done.returncode == 0
    assert "✓ an empty table fails the job" in live("test", "batch_job.yaml").stdout


def test_a_refused_create_is_recorded_as_a_failed_job(live: Command, spec: Path) -> None:
    done = live("record", "batch_job.yaml", "--input", "name=x", "--secret", "api_key=env:WRONG_KEY")
    assert done.returncode == 0, done.stderr
    assert render_value(spec)["tests"][0]["calls"][0]["create"]["expect"]["phase"] == "FAILED"
    assert live("test", "batch_job.yaml").returncode == 0


def test_what_differs_from_run_to_run_is_relaxed_and_reported(live: Command, spec: Path) -> None:
    text = spec.read_text(encoding="utf-8").replace(
        "name: ${{ inputs.name }}", "name: ${{ inputs.name }} ${{ task.key | sha256 }}"
    )
    spec.write_text(text, encoding="utf-8")
    done = live("record", "batch_job.yaml", "--input", "name=fail", *ALICE)
    assert done.returncode == 0, done.stderr
    source = "(batch_job.yaml:29: create.request.json.name)"
    change = f"json.name accepts any value, because it differed when the test ran {source}"
    assert f"relaxed: call 1 (create), request 1: {change}\n" in done.stdout
    assert live("test", "batch_job.yaml").returncode == 0


def test_gets_that_a_spec_spaces_out_are_spaced_out_in_the_test(live: Command, spec: Path) -> None:
    text = spec.read_text(encoding="utf-8").replace("  message: $.detail", "  poll: {min_interval: 300ms}")
    spec.write_text(text, encoding="utf-8")
    assert live("record", "batch_job.yaml", "--input", "name=ops", *ALICE).returncode == 0
    assert any("after" in call for call in render_value(spec)["tests"][0]["calls"])
    assert live("test", "batch_job.yaml").returncode == 0


def test_a_file_that_is_there_is_not_written_over(live: Command, spec: Path) -> None:
    spec.with_suffix(".test.yaml").write_text("mine", encoding="utf-8")
    done = live("record", "batch_job.yaml", "--input", "name=ops", *ALICE)
    assert done.returncode == 2
    assert "batch_job.test.yaml already exists" in done.stderr
    assert spec.with_suffix(".test.yaml").read_text(encoding="utf-8") == "mine"
