"""The command as it is installed: help, exit codes, no tracebacks, a quick start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tests.support.paths import ROOT
from tests.support.real_processes import clean_environment
from tests.unit.cli.terminal import Terminal
from yaml_connector.cli._files import write_file
from yaml_connector.cli.main import cli
from yaml_connector.errors import ConfigError

COMMAND = str(Path(sys.executable).with_name("yaml-connector"))


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """The installed command, in a process of its own."""
    return subprocess.run(
        [COMMAND, *arguments], cwd=ROOT, env={**os.environ, **environment}, capture_output=True, check=False
    )


@pytest.mark.slow
def test_the_installed_command_checks_and_tests_the_specs_of_this_repository() -> None:
    assert run("validate", "connectors.d").returncode == 0
    done = run("test", "connectors.d")
    assert done.returncode == 0, done.stdout.decode()


@pytest.mark.slow
def test_ctrl_c_before_anything_is_done_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("raise KeyboardInterrupt")
    done = run("validate", PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


def test_help_is_there_with_an_example_for_every_command() -> None:
    assert "yaml-connector validate" in CliRunner().invoke(cli, ["--help"]).output
    for name in cli.list_commands(click.Context(cli)):
        result = CliRunner().invoke(cli, [name, "-h"])
        assert result.exit_code == 0
        assert "Example" in result.output
        assert f"yaml-connector {name}" in result.output


@pytest.mark.parametrize("no_color", ["", "1"])
def test_no_color_means_no_colour(no_color: str) -> None:
    missing = CliRunner().invoke(cli, ["validate", "none.yaml"], color=True, env={"NO_COLOR": no_color})
    assert ("\x1b[" in missing.output) is (no_color == "")


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_the_list_of_commands_cuts_no_sentence(columns: int) -> None:
    listed = CliRunner().invoke(cli, ["--help"], terminal_width=columns).output.split("Commands:\n")[1]
    assert "..." not in listed
    assert len(listed.splitlines()) == len(cli.list_commands(click.Context(cli)))


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["catalog", "list"], ["explain", "get"], ["explain", "connection.auth"]])
def test_what_is_listed_fits_a_narrow_terminal(tmp_path: Path, arguments: list[str]) -> None:
    with Terminal([COMMAND, *arguments], tmp_path, clean_environment(tmp_path, COLUMNS="60"), columns=60) as terminal:
        assert terminal.end() == 0
    lines = terminal.text.splitlines()
    assert len(lines) > 10
    assert [line for line in lines if len(line) > 60] == []


@pytest.mark.slow
def test_the_caret_stands_below_the_place_on_a_narrow_terminal(tmp_path: Path) -> None:
    text = f"spec_version: 1\ntask_type_name: a\ndescription: {{a: {'b' * 70}, wrong: {'c' * 70}}}\n"
    (tmp_path / "a.yaml").write_text(text, encoding="utf-8")
    env = clean_environment(tmp_path, COLUMNS="60")
    with Terminal([COMMAND, "validate", "a.yaml"], tmp_path, env, columns=60) as terminal:
        assert terminal.end() == 1
    lines = terminal.text.splitlines()
    number = next(index for index, line in enumerate(lines) if line.startswith("  3 | "))
    assert len(lines[number]) <= 60
    assert lines[number][lines[number + 1].index("^")] == "{"


@pytest.mark.slow
def test_wrong_usage_gives_exit_code_2() -> None:
    assert run("validat").returncode == 2
    assert run("validate", "--nonsense").returncode == 2
    assert run().returncode == 2


@pytest.mark.slow
def test_the_version_is_told() -> None:
    assert b"version 0." in run("--version").stdout


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ConfigError("this is wrong"), "this is wrong"),
        (OSError(2, "No such file", "x"), "x: No such file"),
        (OSError("odd"), "odd"),
    ],
)
def test_an_error_of_ours_ends_a_command_with_its_message(error: Exception, message: str) -> None:
    @click.command("fail")
    def fail() -> None:
        raise error

    group = type(cli)("cli", commands={"fail": fail})
    result = CliRunner().invoke(group, ["fail"])
    assert result.exit_code == 1
    assert result.output == f"Error: {message}\n"


@pytest.mark.slow
def test_a_terminal_without_the_tick_still_gets_the_report() -> None:
    done = run("test", "connectors.d", PYTHONIOENCODING="latin-1")
    assert done.returncode == 0
    assert b"? runs to success" in done.stdout
    assert run("test", "connectors.d", PYTHONIOENCODING="ascii").returncode == 0


@pytest.mark.slow
def test_there_is_no_colour_but_on_a_terminal() -> None:
    assert b"\x1b" not in run("test", "connectors.d").stdout
    coloured = CliRunner().invoke(cli, ["test", str(ROOT / "connectors.d")], color=True).output
    assert "\x1b[32m✓\x1b[0m runs to success" in coloured


@pytest.mark.slow
@pytest.mark.parametrize(("no_color", "coloured"), [("1", False), ("", True)])
def test_no_color_is_obeyed_on_a_terminal(no_color: str, coloured: bool) -> None:
    with Terminal([COMMAND, "test", "connectors.d"], ROOT, {**os.environ, "NO_COLOR": no_color}) as terminal:
        assert terminal.end() == 0
        assert ("\x1b[32m" in terminal.shown) is coloured


@pytest.mark.slow
def test_help_imports_nothing_heavy() -> None:
    heavy = "{'flyte', 'pydantic', 'httpx', 'yaml', 'jinja2'}"
    code = (
        "import sys; from click.testing import CliRunner; from yaml_connector.cli.main import cli;"
        "CliRunner().invoke(cli, ['--help'], catch_exceptions=False);"
        f"print({heavy} & set(sys.modules), sorted(name for name in sys.modules if 'yaml_connector.cli' in name))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set() ['yaml_connector.cli', 'yaml_connector.cli.main']\n"


@pytest.mark.slow
def test_a_closed_standard_input_or_output_is_an_empty_one(tmp_path: Path) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$0" new a_job <&- >&-', COMMAND],
        capture_output=True,
        text=True,
        check=False,
        env=clean_environment(tmp_path),
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "give --base-url" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["--help"], ["schema"]], ids=" ".join)
def test_a_disk_that_is_full_is_told_without_a_traceback(tmp_path: Path, arguments: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [COMMAND, *arguments], stdout=full, stderr=subprocess.PIPE, check=False, env=clean_environment(tmp_path)
        )
    assert (done.returncode, done.stderr) == (1, b"Error: the output cannot be written: No space left on device\n")


def test_a_file_that_cannot_be_written_stays_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("before", encoding="utf-8")
    file.chmod(0o640)
    link = tmp_path / "b.yaml"
    link.symlink_to("a.yaml")
    with pytest.raises(UnicodeEncodeError):
        write_file(link, "\ud800")
    assert file.read_text(encoding="utf-8") == "before"
    write_file(link, "after")
    assert (link.is_symlink(), file.read_text(encoding="utf-8"), file.stat().st_mode & 0o777) == (True, "after", 0o640)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.yaml", "b.yaml"]
    with pytest.raises(OSError, match="No space left on device") as caught:
        write_file("/dev/full", "text")
    assert caught.value.filename == "/dev/full"
