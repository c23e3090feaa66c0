"""`yaml-connector run`: real jobs of the real job service, from the terminal."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import pytest

from tests.support.command_line import Command
from tests.support.loops import steady_loops
from tests.support.ports import held_port
from tests.support.real_processes import script, started

ALICE = ("--secret", "api_key=env:ALICE_KEY")


def test_a_job_is_followed_to_its_outputs(live: Command) -> None:
    done = live("run", "batch_job", "--input", "name=ops", "--config", "timeout_seconds=60", *ALICE)
    assert done.returncode == 0, done.stdout
    texts = [re.sub(r"^ *[\d.]+ s  ", "", line) for line in done.stdout.splitlines()]
    assert re.fullmatch(r"submitted as job-\w+", texts[0])
    assert "| [1/8] connecting to the input table" in texts
    assert texts[-4:] == ["| [8/8] done", "SUCCEEDED", "outputs", '  result = "Hello, ops!"']
    assert [text for text in texts if text.startswith("| ")] == sorted({text for text in texts if text[:2] == "| "})


def test_a_job_that_fails_gives_the_apis_message_and_exit_code_1(live: Command) -> None:
    done = live("run", "batch_job", "--input", "name=fail", *ALICE, "--json")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert found["phase"] == "FAILED"
    assert found["message"] == "exit code 3: the input table is empty"
    assert found["log"][-1] == "the input table is empty"
    assert found["phases"][-1]["phase"] == "FAILED"
    assert found["left_running"] is False
    assert done.stderr == ""


def test_a_wrong_key_is_a_failed_job_and_not_a_secret_told(live: Command) -> None:
    done = live("run", "batch_job", "--input", "name=x", "--secret", "api_key=env:WRONG_KEY")
    assert done.returncode == 1
    assert "FAILED: create failed" in done.stdout or "401: a valid bearer token is needed" in done.stdout


def test_a_dry_run_shows_the_request_and_sends_nothing(live: Command) -> None:
    done = live("run", "batch_job", "--input", "name=ops", *ALICE, "--dry-run", BATCH_URL="http://127.0.0.1:1")
    assert done.returncode == 0
    assert done.stdout.startswith("POST http://127.0.0.1:1/jobs\nAuthorization: Bearer ***\nIdempotency-Key: run-")
    assert '{"name":"ops","timeout":300}' in done.stdout
    assert "nothing was sent" in done.stdout


def test_a_dry_run_for_programs_is_json(live: Command) -> None:
    done = live("run", "batch_job", "--input", "name=ops", *ALICE, "--dry-run", "--format", "json")
    found = json.loads(done.stdout)
    assert found["requests"][0]["method"] == "POST"
    assert found["problem"] is None


def test_verbose_shows_every_exchange_without_secrets(live: Command) -> None:
    done = live("run", "batch_job", "--input", "name=ops", *ALICE, "--verbose")
    assert re.search(r"> POST http://127.0.0.1:\d+/jobs$", done.stdout, re.MULTILINE)
    assert "> Authorization: ***" in done.stdout
    assert '< {"id": "job-' in done.stdout


def test_a_secret_can_be_read_from_a_file(live: Command, tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "key").write_text(environment["ALICE_KEY"] + "\n", encoding="utf-8")
    done = live("run", "batch_job", "--input", "name=fail", "--secret", "api_key=file:key")
    assert "the input table is empty" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["batch_job"], "batch_job needs: --input name=<str>"),
        (["batch_job", "--input", "nme=x"], "no input 'nme'; did you mean name?"),
        (["batch_job", "--input", "name"], "write it as NAME=VALUE"),
        (
            ["batch_job", "--input", "name=x", "--config", "timeout_seconds=soon"],
            "'timeout_seconds': 'soon' is not a valid int",
        ),
        (["batch_job", "--input", "name=x", "--config", "timeout=1"], "no config field 'timeout'"),
        (["batch_job", "--input", "name=x"], "the secret 'api_key' is missing: --secret api_key=env:VARIABLE"),
        (["batch_job", "--input", "name=x", "--secret", "api_key=abc"], "write it as api_key=env:VARIABLE or"),
        (["batch_job", "--input", "name=x", "--secret", "api_key=env:NOT_THERE"], "NOT_THERE is not set"),
        (["batch_job", "--input", "name=x", "--secret", "api_key=file:none"], "none cannot be read"),
        (["batch_job", "--input", "name=x", "--secret", "key=env:HOME"], "no secret 'key'"),
        (["batch_job", "--input", "name=x", "--output", "other=str"], "no output 'other'"),
        (["batch_job", "--input", "name=x", "--task", "image=a"], "there is no task.image"),
    ],
)
def test_wrong_usage_says_what_is_right(live: Command, arguments: list[str], told: str) -> None:
    done = live("run", *arguments)
    assert done.returncode == 2
    assert told in done.stderr


def test_all_that_is_missing_or_wrong_is_told_at_once(live: Command, tmp_path: Path) -> None:
    spec = tmp_path / "demanding.yaml"
    spec.write_text(
        "spec_version: 1\ntask_type_name: demanding\nconnection: {base_url: 'http://127.0.0.1:1'}\n"
        "secrets: {key: {}, other: {env: OTHER_KEY}, third: {}}\ninputs: {name: str, rows: int}\n"
        "config: {zone: str, size: {type: int, default: 1}}\n"
        "create: {request: POST /jobs, job_id: $.id}\n"
        "get: {request: 'GET /jobs/${{ job.id }}', phase: {path: $.s, map: {SUCCEEDED: [d], FAILED: [e]}}}\n",
        encoding="utf-8",
    )
    wrong = ("--input", "rows=[1", "--config", "size=big", "--secret", "key=env:NOT_THERE", "--task", "image=a")
    done = live("run", str(spec), *wrong, "--output", "x=str", "--input", "name")
    assert done.returncode == 2
    told = done.stderr.split("Error: ")[1].splitlines()
    assert told.pop(5).startswith("  there is no task.image; allowed: ")
    assert told == [
        "9 things are missing or wrong",
        "  --input 'name': write it as NAME=VALUE",
        "  demanding needs: --input name=<str>",
        "  the input 'rows': '[1' is not a valid int",
        "  config field 'zone' (str) is required; config field 'size': 'big' is not a valid int (--config NAME=VALUE)",
        "  the secret 'key': the variable NOT_THERE is not set",
        "  demanding has no output 'x'; allowed: none",
        "  the secret 'other' is missing: --secret other=env:VARIABLE, or set OTHER_KEY",
        "  the secret 'third' is missing: --secret third=env:VARIABLE",
    ]


def test_an_unknown_name_says_which_there_are_and_where_they_were_looked_for(live: Command) -> None:
    done = live("run", "batch_jo")
    assert done.returncode == 1
    assert "there is no spec 'batch_jo' in" in done.stderr
    assert "did you mean batch_job?" in done.stderr


def test_a_folder_is_no_spec(command: Command, here: Path) -> None:
    (here / "specs").mkdir()
    for name in ("run", "record", "check"):
        done = command(name, "specs")
        assert done.returncode == 1
        assert done.stderr == "Error: specs is a folder: name one spec, by its file or its task type\n"


def test_an_api_that_is_not_there_is_tried_and_told(live: Command) -> None:
    done = live("run", "batch_job", "--input", "name=x", *ALICE, BATCH_URL="http://127.0.0.1:1")
    assert done.returncode == 1
    assert "not submitted, tried again" in done.stdout
    assert "cannot be connected to" in done.stderr


def long_job(environment: dict[str, str]) -> tuple[list[str], dict[str, str]]:
    command = [script("yaml-connector"), "run", "batch_job", "--input", "name=sleep-60", *ALICE]
    return command, {**environment, "PYTHONUNBUFFERED": "1"}


def test_ctrl_c_cancels_the_job(tmp_path: Path, environment: dict[str, str]) -> None:
    command, env = long_job(environment)
    with started(command, cwd=tmp_path, env=env, log=tmp_path / "log") as process:
        process.wait_for("RUNNING")
        process.send(signal.SIGINT)
        assert process.wait() == 1
        assert re.search(r"cancelling the job job-\w+ \(Ctrl-C again leaves it running\)", process.output)
        assert "ABORTED" in process.output
        assert "Traceback" not in process.output


def test_ctrl_c_twice_leaves_the_job_and_says_how_to_find_it(tmp_path: Path, environment: dict[str, str]) -> None:
    spec = tmp_path / "uncancelled.yaml"
    original = Path(environment["YAML_CONNECTOR_PATH"], "batch_job.yaml").read_text(encoding="utf-8")
    spec.write_text(re.sub(r"(?m)^delete:\n  .*\n", "", original), encoding="utf-8")
    command, env = long_job(environment)
    command[2] = str(spec)
    with started(command, cwd=tmp_path, env=env, log=tmp_path / "log") as process:
        process.wait_for("RUNNING")
        process.send(signal.SIGINT)
        process.send(signal.SIGINT)
        assert process.wait() == 1
        assert re.search(r"the job job-\w+ is left running; ask for it with GET http://\S+/jobs/job-", process.output)


@pytest.mark.slow
def test_a_job_that_is_not_submitted_in_time_is_told_so_with_the_reason(command: Command, here: Path) -> None:
    # Each create sends one request: at 0, 0.5, 1.5, and 3 s. So the time is over in a pause; were it over while a
    # request is under way, it would be unknown what comes of that.
    with held_port() as port, steady_loops():
        (here / "dead.yaml").write_text(
            "spec_version: 1\ntask_type_name: dead\n"
            f"connection: {{base_url: 'http://127.0.0.1:{port}', retry: {{max_attempts: 1}}}}\n"
            "create: {request: POST /jobs, idempotent: true, job_id: $.id}\n",
            encoding="utf-8",
        )
        done = command("run", "dead.yaml", "--timeout", "2500ms")
    assert done.returncode == 1
    why = r"^Error: not submitted within \S+s, after 3 requests: POST \S+ cannot be connected to: connection refused$"
    assert re.search(why, done.stderr, re.M)
