"""`yaml-connector test --watch` and `validate --watch`: they run again whenever a file changes, until Ctrl-C."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.real_processes import clean_environment, script
from tests.unit.cli.terminal import Terminal

pytestmark = pytest.mark.slow


def test_tests_run_again_after_every_change_until_ctrl_c(tmp_path: Path) -> None:
    for name in ("batch_job.yaml", "batch_job.test.yaml"):
        shutil.copy(ROOT / "connectors.d" / name, tmp_path / name)
    file = tmp_path / "batch_job.yaml"
    good = file.read_text(encoding="utf-8")
    command = [script("yaml-connector"), "test", ".", "--watch"]
    with Terminal(command, tmp_path, clean_environment(tmp_path)) as terminal:
        terminal.expect(" passed\n")
        file.write_text(good.replace("[cancelled]", "[stopped]"), encoding="utf-8")
        terminal.expect(" failed\n")
        file.write_text("spec_version: 1\n", encoding="utf-8")
        terminal.expect("problem")
        file.unlink()
        terminal.expect("problem")
        file.write_text(good, encoding="utf-8")
        terminal.expect(" passed\n")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.end() == 0
        assert "Traceback" not in terminal.text


def test_specs_are_checked_again_after_every_change(tmp_path: Path) -> None:
    file = tmp_path / "batch_job.yaml"
    shutil.copy(ROOT / "connectors.d" / file.name, file)
    good = file.read_text(encoding="utf-8")
    command = [script("yaml-connector"), "validate", file.name, "--watch", "--fix"]
    with Terminal(command, tmp_path, clean_environment(tmp_path)) as terminal:
        terminal.expect("1 spec, 0 problems\n")
        file.write_text(good.replace("job_id: $.id", "job_id: id"), encoding="utf-8")
        terminal.expect("fixed batch_job.yaml:")
        terminal.expect("1 spec, 0 problems\n")
        assert file.read_text(encoding="utf-8") == good
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.end() == 0


def test_on_a_narrow_terminal_a_message_wraps_and_allowed_names_have_lines_of_their_own(tmp_path: Path) -> None:
    text = (ROOT / "connectors.d" / "batch_job.yaml").read_text(encoding="utf-8")
    (tmp_path / "a.yaml").write_text(text.replace("delete:", "cancel:"), encoding="utf-8")
    command = [script("yaml-connector"), "validate", "a.yaml"]
    with Terminal(command, tmp_path, clean_environment(tmp_path, COLUMNS="80"), columns=80) as terminal:
        assert terminal.end() == 1
    lines = terminal.text.splitlines()
    assert lines[0].endswith("unknown key; did you mean delete?")
    assert lines[1].startswith("  allowed: spec_version, task_type_name,")
    assert max(map(len, lines)) <= 80
