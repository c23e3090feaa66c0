"""`yaml-connector explain`: every field is explained, and every spec can be told in plain words."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import Command
from tests.support.fields import every_field
from tests.support.paths import CATALOG, ROOT
from yaml_connector._expressions.filters import FILTERS, FUNCTIONS, explained
from yaml_connector._loading.loader import load_text
from yaml_connector.cli.explain.fields import field_of

BATCH_JOB = str(ROOT / "connectors.d" / "batch_job.yaml")
CANCEL = "  request: {method: POST, path: /stop, json: {signal: KILL, of: ['${{ job.id }}']}}"
SPECS = sorted(str(path) for path in (CATALOG).glob("*.yaml") if ".test." not in path.name)


def test_a_field_is_explained_with_what_is_below_it(command: Command) -> None:
    done = command("explain", "create.adopt")
    assert done.returncode == 0
    assert done.stdout.startswith(
        "create.adopt  <mapping>\n\n  Look for an existing job before submitting one.\n\nFIELDS\n"
    )
    told = " ".join(done.stdout.split())
    assert (
        "job_id The id of a job that exists already. If it is not null, that job is taken over. (required; any" in told
    )


def test_without_a_path_all_sections_are_listed(command: Command) -> None:
    done = command("explain")
    for section in ("connection", "create", "get", "logs"):
        assert f"\n  {section} " in done.stdout


def test_a_duration_and_its_default_are_written_as_in_a_spec(command: Command) -> None:
    done = command("explain", "get.poll.tolerance", "--format", "json")
    assert json.loads(done.stdout)["type"] == "duration"
    assert json.loads(done.stdout)["default"] == "10m"


@pytest.mark.parametrize(
    ("path", "description"),
    [
        ("connection.auth.token", "Log in first: a request returns the token."),
        (
            "connection.auth.token.expires_in",
            "The token's lifetime in seconds. Without it, the token is used until `renew_if` is true.",
        ),
        ("secrets.env", "An environment variable of the connector that holds the value."),
        ("secrets.api_key.env", "An environment variable of the connector that holds the value."),
        ("config.cpus.minimum", "The smallest allowed number."),
        ("get.phase[0].map", "For each phase, the states of the API that mean it."),
        ("create.steps[1].follow", "The URL of the next page, which is fetched until there is no further one."),
    ],
)
def test_names_of_ones_own_and_places_in_lists_may_stand_in_a_path(path: str, description: str) -> None:
    assert field_of(path).description == description


def test_a_field_of_a_contract_test_is_explained_too(command: Command) -> None:
    done = command("explain", "--tests", "tests.calls.create.expect")
    assert "saved The values that create.save stored. (mapping)" in " ".join(done.stdout.split())


def test_a_wrong_path_says_the_closest_name(command: Command) -> None:
    done = command("explain", "get.phse")
    assert done.returncode == 2
    assert "there is no field 'phse' in get; did you mean phase?" in done.stderr


@pytest.mark.parametrize("tests", [False, True], ids=["specs", "tests"])
def test_every_path_that_is_shown_can_be_asked_for(tests: bool) -> None:
    paths = [field.path for field in every_field(tests=tests)]
    assert len(paths) > 40
    for path in paths:
        assert list(field_of(path, tests=tests).lines())


def test_a_spec_is_told_in_plain_words(command: Command) -> None:
    done = command("explain", BATCH_JOB)
    assert done.returncode == 0
    for line in (
        "  with a bearer token (secret api_key)",
        "  config   timeout_seconds (int, default 300)",
        "  secret   api_key (from the task, else the connector's BATCH_API_KEY)",
        "  POST /jobs",
        "  The job's id is $.id",
        "  ├─▶ QUEUED       queued",
        "  └─▶ ■ ABORTED    cancelled",
        "  POST /jobs/${{ job.id }}/cancel",
        "  secrets are never kept",
    ):
        assert f"\n{line}\n" in f"\n{done.stdout}"


@pytest.mark.slow
@pytest.mark.parametrize("spec", SPECS, ids=[Path(spec).stem for spec in SPECS])
def test_every_spec_of_the_catalog_can_be_told(command: Command, spec: str) -> None:
    done = command("explain", spec)
    assert done.returncode == 0
    assert "\nPHASES\n" in done.stdout
    assert "\nKEPT WITH THE JOB\n" in done.stdout


def test_bodies_info_and_the_conditions_of_a_log_are_told_as_they_are_written(command: Command, here: Path) -> None:
    text = Path(BATCH_JOB).read_text(encoding="utf-8")
    text = text.replace("  request: POST /jobs/${{ job.id }}/cancel", CANCEL)
    text = text.replace("  message: $.detail", "  message: $.detail\n  info: {progress: $.progress}")
    text = text.replace("  next: $.next", "  next: $.next\n  more: body.more\n  keep: line.text")
    (here / "mine.yaml").write_text(text, encoding="utf-8")
    told = command("explain", "mine.yaml").stdout
    for line in (
        '       json body: {"signal": "KILL", "of": ["${{ job.id }}"]}',
        "  Info progress: $.progress",
        "  The log goes on if body.more",
        "  A line is returned if line.text",
    ):
        assert f"\n{line}\n" in told


def test_a_long_body_is_cut(command: Command, here: Path) -> None:
    text = Path(BATCH_JOB).read_text(encoding="utf-8")
    body = f"{{method: POST, path: /stop, json: {{why: {'long ' * 100}}}}}"
    (here / "mine.yaml").write_text(text.replace("POST /jobs/${{ job.id }}/cancel", body), encoding="utf-8")
    (line,) = [line for line in command("explain", "mine.yaml").stdout.splitlines() if "long long" in line]
    assert line.startswith('       json body: {"why": "long long')
    assert line.endswith("...")
    assert len(line) < 330


def test_the_end_of_a_long_life_and_of_a_failing_delete_is_told(command: Command, here: Path) -> None:
    text = Path(BATCH_JOB).read_text(encoding="utf-8")
    text = text.replace("get:\n", "get:\n  poll: {timeout: 2h, give_up: RETRYABLE_FAILED}\n", 1)
    text = text.replace("delete:\n", "delete:\n  tolerance: 1h\n", 1)
    (here / "a.yaml").write_text(text, encoding="utf-8")
    told = command("explain", "a.yaml").stdout
    assert "A job that is not over 2h after create is cancelled and becomes RETRYABLE_FAILED." in told
    assert "A delete that fails is repeated for 1h, then it counts as done" in told


def test_a_spec_may_be_named_by_its_task_type(command: Command, here: Path) -> None:
    (here / "connectors.d").mkdir()
    text = Path(BATCH_JOB).read_text(encoding="utf-8")
    (here / "connectors.d" / "a.yaml").write_text(text, encoding="utf-8")
    (here / "connectors.d" / "get.yaml").write_text(text.replace("batch_job", "get"), encoding="utf-8")
    (here / "connectors.d" / "broken.yaml").write_text("{", encoding="utf-8")
    assert command("explain", "batch_job").stdout == command("explain", "connectors.d/a.yaml").stdout
    assert command("explain", "get").stdout.startswith("get  <mapping>")  # fields come first
    wrong = command("explain", "batch_jop")
    assert wrong.returncode == 2
    assert "there is no field 'batch_jop'" in wrong.stderr
    assert "there is no spec 'batch_jop' in /" in wrong.stderr
    assert "connectors.d; did you mean batch_job?" in wrong.stderr
    assert "task type" not in command("explain", "--tests", "nonsense").stderr


BASE: dict[str, Any] = {
    "spec_version": 1,
    "task_type_name": "example",
    "connection": {"base_url": "https://api.test"},
    "config": {"hours": {"type": "int", "default": 2}},
    "create": {"request": "POST /jobs", "job_id": "$.id"},
}
WHOLE: dict[str, Any] = {  # sections that some fields can only stand in
    "get": {"request": "GET /jobs", "phase": {"path": "$.state", "map": {"SUCCEEDED": ["done"]}}},
    "result": {"request": "GET /result"},
    "delete": {"request": "DELETE /jobs"},
    "logs": {"request": "GET /logs", "lines": "$.lines[*]"},
    "outputs": {"result": {"value": "$.result"}},
    "create.adopt": {"request": "GET /jobs", "job_id": "$.id"},
    "create.steps": [{"name": "one", "request": "POST /jobs"}],
    "create.on_failure": [{"request": "DELETE /jobs"}],
    "get.links": [{"name": "a", "url": "$.url"}],
    "get.batch": {"request": "GET /jobs", "items": "$.jobs[*]", "id": "$.id"},
    "connection.auth": {"type": "token", "request": "POST /login", "token": "$.token"},
}


def spec_with(path: str, example: Any) -> dict[str, Any]:
    """A spec with this example at the path of a field."""
    spec = copy.deepcopy(BASE)
    place: Any = spec
    *around, last = path.split(".")
    for index, part in enumerate(around):
        if around[:index] == ["connection", "auth"]:
            continue  # the kind of auth is no key of its own
        if part in ("request", "check"):
            place[part] = {"method": "POST", "path": "/jobs"}
        elif part not in place:
            place[part] = copy.deepcopy(WHOLE.get(".".join(around[: index + 1]), {}))
        if part == "steps":
            place.pop("request", None)
        place = place[part][0] if isinstance(place[part], list) else place[part]
    place[last] = example
    if last == "collect":
        place["follow"] = "$.next"
    return spec


def test_every_example_may_stand_where_it_is_shown() -> None:
    """Those of the requests of every section, too."""
    found = {field.path for field in every_field()}
    sections = ("create", "create.adopt", "get", "get.batch", "result", "delete", "logs", "connection.auth.token")
    found |= {"connection.check", *(f"{section}.request" for section in sections)}
    examples = [(path, example) for path in sorted(found) for example in field_of(path).examples]
    assert len(examples) > 80
    errors = {
        f"{path}: {example}": [str(problem) for problem in problems if problem.severity == "error"]
        for path, example in examples
        for _, problems in [load_text(json.dumps(spec_with(path, example)).encode(), "example.yaml")]
    }
    assert {shown: told for shown, told in errors.items() if told} == {}


def test_what_is_kept_is_told(command: Command, here: Path) -> None:
    text = Path(BATCH_JOB).read_text(encoding="utf-8")
    text = text.replace("  job_id: $.id", "  job_id: $.id\n  save: {region: $.region}")
    text = text.replace("GET /jobs/${{ job.id }}", "GET /jobs/${{ job.id }}?t=${{ config.timeout_seconds }}")
    (here / "mine.yaml").write_text(text.replace("?t=$", "/$"), encoding="utf-8")
    done = command("explain", "mine.yaml")
    assert "  its id, and from the response: region\n  config: timeout_seconds\n" in done.stdout


def test_a_wrong_spec_is_told_and_a_missing_one_too(command: Command, here: Path) -> None:
    (here / "wrong.yaml").write_text("spec_version: 1\n", encoding="utf-8")
    assert "task_type_name: is required" in command("explain", "wrong.yaml").stderr
    assert command("explain", "wrong.yaml").returncode == 1
    assert command("explain", "none.yaml").returncode == 1


@pytest.mark.slow
def test_explaining_needs_neither_flyte_nor_http() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from yaml_connector.cli.main import cli;"
        f"assert CliRunner().invoke(cli, ['explain', {BATCH_JOB!r}]).exit_code == 0;"
        "print({'flyte', 'aiohttp', 'httpx'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("RETRYABLE_FAILED", "Flyte tries again"),
        ("running", "The job is running. The job goes on."),
        ("slug", "at most n characters"),
        ("now()", "epoch seconds"),
        ("task", "task's name"),
        ("task.key", "The same for every try"),
        ("task.container.image", "Its image"),
    ],
)
def test_names_that_are_not_fields_are_explained_too(command: Command, name: str, told: str) -> None:
    done = command("explain", name)
    assert (done.returncode, told in " ".join(done.stdout.split())) == (0, True)


@pytest.mark.parametrize(
    ("name", "told"),
    [("poll", "did you mean get.poll?"), ("adopt", "did you mean create.adopt?"), ("sluug", "did you mean slug?")],
)
def test_a_bare_name_says_where_the_field_is(command: Command, name: str, told: str) -> None:
    done = command("explain", name)
    assert (done.returncode, told in done.stderr) == (2, True)


def test_every_filter_and_function_is_explained() -> None:
    assert explained().keys() == FILTERS.keys() | FUNCTIONS.keys() | {"default"}


def test_a_spec_is_told_with_tokens_waits_proxies_and_the_order_of_its_rules(command: Command, here: Path) -> None:
    (here / "a.yaml").write_text(
        """\
spec_version: 1
task_type_name: a
connection:
  base_url: https://a.test
  auth:
    type: token
    request: POST /login
    token: $.token
    renew_if: status == 403
    save: {host: {value: $.host, sensitive: false}}
  proxy: http://proxy.test:3128
  http2: true
  max_connections: 7
  retry: {retry_after: $.wait, max_retry_after: 1m}
create: {request: POST /jobs, job_id: $.id, idempotent: true}
get:
  request: GET /jobs/${{ job.id }}
  phase:
    - {when: body.over, path: $.code, map: {SUCCEEDED: [0], FAILED: [1]}}
    - {when: body.started, is: RUNNING}
    - {is: QUEUED}
""",
        encoding="utf-8",
    )
    told = command("explain", "a.yaml").stdout
    for line in (
        "a token is renewed if status == 403",
        "auth.host is $.host of the login",
        "through the proxy http://proxy.test:3128",
        "by HTTP/2",
        "At most 7 connections",
        "The API says how long to wait by $.wait, else by Retry-After",
        "A wait that the API asks for is at most 1m",
        "1. if body.over, $.code: SUCCEEDED for 0; FAILED for 1",
        "2. if body.started, RUNNING",
        "3. else QUEUED",
        "$.code is 0, when body.over",
    ):
        assert line in told, told


@pytest.mark.parametrize(
    ("word", "meant"), [("SUCEEDED", "SUCCEEDED"), ("fromjsn", "fromjson"), ("task.attemp", "task.attempt")]
)
def test_a_word_that_is_close_to_a_known_one_is_told_that_first(command: Command, word: str, meant: str) -> None:
    done = command("explain", word)
    assert done.returncode == 2
    assert f"Error: '{word}' is not known here; did you mean {meant}?\n" in done.stderr
    assert "spec_version" not in done.stderr
