"""`yaml-connector run --service`: the job of a running service, from the terminal, as Flyte drives it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.support.loops import steady_loops
from tests.support.paths import ROOT
from tests.support.ports import held_port
from tests.support.real_processes import USER_KEYS
from tests.support.serving import serving
from yaml_connector.cli.main import cli
from yaml_connector.flyte import service_jobs

SPEC = str(ROOT / "connectors.d" / "batch_job.yaml")
Run = Callable[..., Result]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, job_service_url: str) -> Iterator[str]:
    """A service that signs its jobs, and has a key of its own for the API."""
    variables = {
        "BATCH_URL": job_service_url,
        "BATCH_API_KEY": USER_KEYS["bob"],
        "YAML_CONNECTOR_SIGNING_KEY": "a-key-of-this-test-0123456789abcdef",
    }
    with serving(tmp_path_factory.mktemp("run_by_service"), ROOT / "connectors.d", **variables) as service:
        yield f"127.0.0.1:{service.port}"


@pytest.fixture
def run(address: str) -> Run:
    """The command, without a variable of the API in its environment; it never shows a key."""

    def invoke(*arguments: str, **variables: str) -> Result:
        env = {"BATCH_URL": None, "BATCH_API_KEY": None, **variables}
        done = CliRunner().invoke(cli, ["run", SPEC, "--service", address, *arguments], env=env)
        assert not [key for key in USER_KEYS.values() if key in done.output]
        return done

    return invoke


def test_the_job_runs_with_the_services_own_address_and_key_and_its_outputs_are_shown(run: Run) -> None:
    done = run("--input", "name=ops", "--json")
    found = json.loads(done.stdout)
    assert (done.exit_code, found["phase"], found["outputs"]) == (0, "SUCCEEDED", {"result": "Hello, ops!"})
    assert found["job_id"].startswith("job-")
    assert found["log"][-1] == "[8/8] done"


def test_a_secret_of_the_caller_goes_with_the_calls(run: Run) -> None:
    done = run("--input", "name=x", "--secret", "api_key=env:KEY", KEY="wrong-key-1234567")
    assert done.exit_code == 1
    assert "401: a valid bearer token is needed" in done.output


def test_a_job_that_takes_longer_than_the_timeout_is_cancelled_with_exit_code_1(run: Run) -> None:
    with steady_loops():
        done = run("--input", "name=sleep-60", "--timeout", "3s", "--json")
    found = json.loads(done.stdout)
    assert (done.exit_code, found["phase"], found["timed_out"]) == (1, "ABORTED", True)
    assert "the job takes longer than 3s" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--timeout", "3"], "--timeout: '3' is not a valid duration; write it as 500ms"),
        (["--dry-run"], "--service shows no requests"),
        (["--input", "nme=x"], "did you mean name?"),
    ],
)
def test_what_is_wrong_on_the_command_line_is_told(run: Run, arguments: list[str], told: str) -> None:
    done = run("--input", "name=x", *arguments)
    assert (done.exit_code, told in done.output) == (2, True)


def test_an_address_without_a_service_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_jobs, "_PATIENCE", 0.2)
    with held_port() as port:
        done = CliRunner().invoke(cli, ["run", SPEC, "--service", f"127.0.0.1:{port}", "--input", "name=x"])
    assert done.exit_code == 1
    assert f"no connector service answers at 127.0.0.1:{port} within 0.2 s" in done.output


def test_a_service_without_the_task_type_says_so(tmp_path: Path, address: str) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(Path(SPEC).read_text().replace("task_type_name: batch_job", "task_type_name: other_job"))
    done = CliRunner().invoke(cli, ["run", str(other), "--service", address, "--input", "name=x"])
    assert done.exit_code == 1
    assert "the service answered NOT_FOUND" in done.output
    assert "other_job" in done.output
