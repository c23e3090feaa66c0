"""`yaml-connector check`: what is wrong with a live API, step by step."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from aiohttp import web

from tests.support.command_line import Command
from tests.support.real_api import running_api

ALICE = ("--secret", "api_key=env:ALICE_KEY")


@pytest.fixture
def spec(tmp_path: Path, environment: dict[str, str]) -> str:
    """The demo's spec with a request that tries the credentials."""
    text = Path(environment["YAML_CONNECTOR_PATH"], "batch_job.yaml").read_text(encoding="utf-8")
    file = tmp_path / "checked.yaml"
    file.write_text(text.replace("\n  auth:", "\n  check: GET /jobs\n  auth:"), encoding="utf-8")
    return str(file)


def test_a_good_api_has_a_tick_at_every_step(live: Command, spec: str) -> None:
    done = live("check", spec, *ALICE)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert [line[0] for line in lines] == ["✓", "✓", "✓", "-", "✓", "✓"]
    assert lines[4] == "✓ secrets     api_key from the command line"
    assert "answered 200" in lines[5]


def test_without_a_check_request_the_credentials_are_not_tried(live: Command) -> None:
    done = live("check", "batch_job", *ALICE)
    assert done.returncode == 0
    assert "- credentials not tried: the spec has no connection.check" in done.stdout


@pytest.mark.parametrize(
    ("condition", "answer", "told"),
    [
        ("body.message or body.code if body.ok == false", {"ok": False, "code": "E_BUSY"}, "failure: E_BUSY"),
        ("body.ok == false", {"ok": False, "message": "busy now"}, "failure: busy now"),
        ("body.ok == false", {"ok": True}, None),
        ("not body.jobs", {"ok": False}, None),
        ("status == 200 and not body.ok", {"ok": False}, None),
        ("body.ok == false", [1], None),
    ],
)
def test_an_answer_that_another_section_calls_a_failure_is_marked(
    command: Command, tmp_path: Path, condition: str, answer: object, told: str | None
) -> None:
    with running_api() as api:
        api.case("flags", lambda _: answer)
        spec = {
            "spec_version": 1,
            "task_type_name": "flags",
            "connection": {"base_url": f"{api.url}/flags", "check": "GET /jobs"},
            "create": {"request": "POST /jobs", "error": condition, "job_id": "$.id"},
        }
        (tmp_path / "flags.yaml").write_text(json.dumps(spec), encoding="utf-8")
        done, data = command("check", "flags.yaml"), command("check", "flags.yaml", "--format", "json")
    assert done.returncode == 0
    step = json.loads(data.stdout)["steps"][-1]
    assert (step["step"], step["good"]) == ("credentials", True)
    if told is None:
        assert "✓ credentials" in done.stdout
        assert step["warning"] is None
    else:
        assert "! credentials" in done.stdout
        assert step["warning"] == f"by create.error this response is a {told}"
        assert done.stdout.splitlines()[-1].strip() == step["warning"]


def test_wrong_credentials_are_told_with_the_apis_words(live: Command, spec: str) -> None:
    done = live("check", spec, "--secret", "api_key=env:WRONG_KEY", "--verbose")
    assert done.returncode == 1
    assert "✗ credentials" in done.stdout
    assert "answered 401: a valid bearer token is needed; the API does not accept these credentials" in done.stdout
    assert "> Authorization: ***" in done.stdout


@pytest.mark.parametrize(
    ("url", "step", "told"),
    [
        ("http://127.0.0.1:1", "connection", "nothing listens there"),
        ("http://nowhere.invalid", "name", "nowhere.invalid cannot be resolved"),
        ("ftp://127.0.0.1", "base_url", "it must start with http:// or https://"),
    ],
)
def test_the_first_step_that_is_wrong_says_why(live: Command, spec: str, url: str, step: str, told: str) -> None:
    done = live("check", spec, *ALICE, "--format", "json", BATCH_URL=url)
    assert done.returncode == 1
    last = json.loads(done.stdout)["steps"][-1]
    assert (last["step"], last["good"]) == (step, False)
    assert told in last["detail"]


def test_an_api_that_speaks_no_tls_is_told(live: Command, spec: str, environment: dict[str, str]) -> None:
    url = environment["BATCH_URL"].replace("http:", "https:")
    done = live("check", spec, *ALICE, BATCH_URL=url)
    assert done.returncode == 1
    assert "✗ TLS" in done.stdout
    assert f"the port speaks plain HTTP: write {environment['BATCH_URL']} in base_url" in done.stdout


@pytest.mark.parametrize(
    ("title", "code", "mark", "told"),
    [
        ("Sign in - Acme &amp; Sons", 1, "✗", "with a login page, 'Sign in - Acme & Sons'"),
        ("Welcome", 0, "!", "this is a web page, 'Welcome', not what an API answers"),
    ],
)
def test_a_web_page_is_no_tick_and_is_told_with_its_title(
    live: Command, spec: str, title: str, code: int, mark: str, told: str
) -> None:
    with running_api() as api:
        page = f"<!doctype html><html><title>{title}</title><form></form></html>"
        api.case("shop", lambda _: web.Response(text=page, content_type="text/html"))
        done = live("check", spec, *ALICE, BATCH_URL=f"{api.url}/shop")
    assert done.returncode == code, done.stdout
    assert f"{mark} credentials" in done.stdout
    assert told in done.stdout


def test_a_missing_secret_is_told_with_the_ways_to_give_it(live: Command, spec: str) -> None:
    done = live("check", spec)
    assert done.returncode == 1
    assert "set BATCH_API_KEY in the connector's environment" in done.stdout
    assert "--secret NAME=env:VARIABLE" in done.stdout
