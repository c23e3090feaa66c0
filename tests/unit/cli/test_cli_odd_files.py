"""Paths that are no files that can be read: a message, no traceback, and no waiting."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_line import Command
from tests.support.paths import ROOT
from tests.support.real_processes import clean_environment, script


def test_a_pipe_is_not_waited_for(command: Command) -> None:
    Path("f").mkdir()
    os.mkfifo("f/x.yaml")
    os.mkfifo("f/x.test.yaml")
    done = command("validate", "f")
    assert done.stdout.splitlines() == [
        "f/x.yaml:1:1: this is neither a file nor a folder",
        "f/x.test.yaml:1:1: cannot be read: not a regular file",
        "1 spec, 1 test file, 2 problems",
    ]
    assert command("test", "f").returncode == 1
    for name in ("validate", "docs", "stubs", "run", "check", "explain"):
        done = command(name, "f/x.yaml")
        assert done.returncode == 1
        assert "f/x.yaml:1:1: this is neither a file nor a folder" in done.stdout + done.stderr


def test_a_name_that_steers_a_terminal_is_shown_escaped(command: Command) -> None:
    name = "a\x1b[2J\nfake.yaml:1:1: \u202eb.yaml"
    Path(name).write_text("x: 1", encoding="utf-8")
    for verb in ("validate", "test", "docs"):
        done = command(verb, name)
        assert f"{name!r}:1:1: " in done.stdout + done.stderr
        assert "\x1b" not in done.stdout + done.stderr


def test_a_link_that_leads_to_itself_or_nowhere_is_said(command: Command) -> None:
    for name, target in (("a.yaml", "b.yaml"), ("b.yaml", "a.yaml"), ("c.yaml", "gone.yaml")):
        Path(name).symlink_to(target)
    assert command("validate", ".").stdout.splitlines() == [
        "a.yaml:1:1: broken symbolic link",
        "b.yaml:1:1: broken symbolic link",
        "c.yaml:1:1: broken symbolic link",
        "3 specs, 3 problems",
    ]


def test_a_folder_with_the_name_of_a_spec_is_none(command: Command) -> None:
    Path("specs/x.yaml").mkdir(parents=True)
    Path("specs/x.yaml/inner.yaml").write_text("not: a spec", encoding="utf-8")
    assert "specs:1:1: there is no spec (*.yaml) in this folder" in command("validate", "specs").stdout
    Path("specs/good.yaml").write_text((ROOT / "connectors.d" / "batch_job.yaml").read_text(encoding="utf-8"), "utf-8")
    assert command("validate", "specs").stdout == "1 spec, 0 problems\n"
    Path("specs/x.test.yaml").mkdir()
    assert "specs/x.test.yaml:1:1: cannot be read: not a regular file" in command("validate", "specs").stdout


@pytest.fixture
def closed() -> Iterator[Path]:
    """A folder that everybody may look into, with a spec in it, and one in a folder of it, that nobody may read."""
    with tempfile.TemporaryDirectory() as name:
        here = Path(name)
        here.chmod(0o755)
        (here / "inner").mkdir()
        for file in (here / "x.yaml", here / "inner" / "y.yaml"):
            file.write_text("spec_version: 1\n", encoding="utf-8")
        (here / "x.yaml").chmod(0)
        (here / "inner").chmod(0)
        yield here
        (here / "inner").chmod(0o700)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["validate", "."], "x.yaml:1:1: cannot be read: Permission denied"),
        (["run", "x.yaml"], "x.yaml:1:1: cannot be read: Permission denied"),
        (["explain", "x.yaml"], "x.yaml:1:1: cannot be read: Permission denied"),
        (["validate", "x.yaml"], "'x.yaml' is not readable"),
        (["validate", "inner/y.yaml"], "Error: inner/y.yaml: Permission denied"),
        (["explain", "inner/y.yaml"], "Error: inner/y.yaml: Permission denied"),
        (["catalog", "add", "slurm", "--to", "inner"], "Error: inner/slurm.test.yaml: Permission denied"),
    ],
)
def test_what_may_not_be_read_is_said(closed: Path, arguments: list[str], told: str) -> None:
    # the administrator may read everything, so the command runs as nobody
    other = ["setpriv", "--reuid", "65534", "--clear-groups"] if os.geteuid() == 0 else []

    def run(*given: str) -> subprocess.CompletedProcess[str]:
        line = [*other, script("yaml-connector"), *given]
        return subprocess.run(
            line, cwd=closed, env=clean_environment(closed), capture_output=True, text=True, check=False, timeout=60
        )

    if other and (shutil.which("setpriv") is None or run("--version").returncode):
        pytest.skip("nobody can run the command here")
    done = run(*arguments)
    assert done.returncode in (1, 2)
    assert told in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
