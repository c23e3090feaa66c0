"""The commands as a person at a terminal has them, and one job service for all tests that need a live API."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.support.command_line import Command, Done
from tests.support.paths import ROOT
from tests.support.real_processes import OWN_KEY, USER_KEYS, clean_environment
from yaml_connector.cli.main import cli


@pytest.fixture
def environment(tmp_path: Path, job_service_url: str) -> dict[str, str]:
    """The environment of a person at a terminal: the URL, and alice's key in a variable."""
    return clean_environment(
        tmp_path,
        BATCH_URL=job_service_url,
        ALICE_KEY=USER_KEYS["alice"],
        WRONG_KEY=OWN_KEY,
        YAML_CONNECTOR_PATH=str(ROOT / "connectors.d"),
    )


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def command(here: Path) -> Command:
    """A command that needs no API, run in an empty folder; wrong input never gives a traceback."""

    def run(*arguments: str, **variables: str) -> Done:
        result = CliRunner().invoke(cli, list(arguments), env=variables)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Done(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def live(command: Command, environment: dict[str, str]) -> Command:
    """A command with the job service; nothing that it writes may hold a key."""

    def run(*arguments: str, **variables: str) -> Done:
        done = command(*arguments, **{**environment, **variables})
        for key in (*USER_KEYS.values(), OWN_KEY):
            assert key not in done.stdout + done.stderr
        return done

    return run
