"""`yaml-connector docs`: the page says what an author must know."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
from pathlib import Path

import pytest

from tests.support.command_line import Command
from tests.support.docs_page import SPEC, TYPED, Parsed, code_blocks, spec_of
from tests.support.own_specs import all_specs
from tests.support.paths import CATALOG, ROOT
from yaml_connector._loading.loader import LoadedSpec, load
from yaml_connector.cli._description.page import connectors
from yaml_connector.cli._description.states import states
from yaml_connector.cli.docs.render import html_text, markdown_text


@pytest.fixture(scope="module")
def specs() -> list[LoadedSpec]:
    return all_specs()


@pytest.fixture(scope="module")
def page(specs: list[LoadedSpec]) -> Parsed:
    return Parsed(html_text(connectors(specs)))


def test_the_page_has_no_path_of_the_machine_that_made_it(here: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("elsewhere") / "job.yaml"
    file.write_bytes((ROOT / "connectors.d" / "batch_job.yaml").read_bytes())
    text = markdown_text(connectors([load(str(file))[0]]))
    assert "from `job.yaml`." in text
    assert str(file.parent) not in text


@pytest.mark.slow
def test_every_connector_is_in_the_contents_and_has_all_sections(page: Parsed, specs: list[LoadedSpec]) -> None:
    titles = [item.spec.title for item in specs]
    assert len(page.all("article")) == len(specs) > 30
    assert page.texts("h2")[1:] == titles
    nav = [element for element in page.all("a") if "nav" in element["parents"]]
    assert [element["text"].split(" version ")[0] for element in nav] == titles
    for article in page.all("article"):
        for section in ("Use it", "Inputs", "Config", "Outputs", "Secrets", "What a run does", "Phases", "States"):
            assert section in article["text"]


@pytest.mark.slow
def test_the_page_is_one_sound_file_that_loads_nothing(page: Parsed) -> None:
    assert page.all("html")[0]["attributes"]["lang"] == "en"
    assert len(page.all("h1")) == len(page.all("main")) == 1
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in [
        element["attributes"] for element in page.all("meta")
    ]
    ids = page.values("id")
    assert len(set(ids)) == len(ids)
    targets = page.values("href", "src", "action", "data", "srcset", "xlink:href")
    assert {target.removeprefix("#") for target in targets} - {"data:,"} <= set(ids)
    for labels in page.values("aria-labelledby"):
        assert set(labels.split()) <= set(ids)
    assert page.values("style", "onclick", "onload", "onerror") == []
    levels = [int(element["tag"][1]) for element in page.elements if re.fullmatch(r"h[1-6]", element["tag"])]
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert all(element["attributes"].get("scope") in ("col", "row") for element in page.all("th"))
    style, program = page.texts("style")[0], page.texts("script")[0]
    assert "url(" not in style
    assert "@import" not in style
    policy = next(value for value in page.values("content") if value.startswith("default-src"))
    for text in (style, program):
        assert f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" in policy


def test_what_a_task_takes_and_gives_stands_in_tables(command: Command) -> None:
    done = command("docs", TYPED, "--output", "-")
    assert (done.returncode, done.stderr) == (0, "")
    rows = Parsed(done.stdout).rows()
    for row in (
        ["Name", "Type", "Default", "Allowed", "Description"],
        ["account", "str", "required", "", "Who pays."],
        ["cpus", "int", "1", "from 1, up to 64", "How many."],
        ["queue", "str", '"short"', "one of short, long", ""],
        ["wait", "duration", '"5m"', "", "As text (5m), seconds or a timedelta."],
        ["data", "flyte.io.File | None", "no", ""],
        ["count", "int"],
        ["api_key", "Of the job service. From the task, else the connector's TYPED_API_KEY."],
    ):
        assert row in rows


def test_a_run_and_its_phases_are_told_in_words_and_drawn(command: Command) -> None:
    page = Parsed(command("docs", str(ROOT / "connectors.d"), "--output", "-").stdout)
    (picture,) = page.all("svg")
    assert picture["attributes"]["role"] == "img"
    words = "A job is submitted. It goes on through QUEUED, RUNNING. It ends as SUCCEEDED, FAILED or ABORTED."
    assert words in page.texts("title")
    assert page.texts("text") == [
        "submitted", "QUEUED", "RUNNING", "✓ SUCCEEDED", "✗ FAILED", "■ ABORTED",
    ]  # fmt: skip
    assert page.texts("dt") == ["QUEUED", "RUNNING", "SUCCEEDED", "FAILED", "ABORTED"]
    assert page.texts("dd")[3] == "The job has failed; Flyte does not try again."
    article = page.texts("article")[0]
    assert "A local run has no store: there the value of my-api-key is in the variable MY_API_KEY." in article
    steps = "".join(page.texts("ol"))
    assert "If its response is lost, the create is sent again; the API deduplicates it." in steps
    assert "POST /jobs/{job.id}/cancel" in steps
    links = Parsed(command("docs", str(CATALOG / "databricks_job.yaml"), "--output", "-").stdout)
    assert "In Flyte's UI a run links to:\nDatabricks run" in links.texts("article")[0]


def test_a_table_tells_which_state_becomes_which_phase_with_what_message(command: Command) -> None:
    page = Parsed(command("docs", str(ROOT / "connectors.d"), "--output", "-").stdout)
    rows = page.rows()
    assert rows[rows.index(["The job", "Phase in Flyte", "Message"]) + 1 :] == [
        ["the API cannot take it now; it is submitted again for 10m", "QUEUED", "not submitted yet: ..."],
        ["$.state is queued", "QUEUED", "the API's message"],
        ["$.state is running", "RUNNING", "the API's message"],
        ["$.state is done", "SUCCEEDED", "the API's message"],
        ["$.state is error", "FAILED", "the API's message"],
        ["$.state is cancelled", "ABORTED", "the API's message"],
        ["any other state", "RUNNING", "unknown state: ..."],
        ["it has succeeded, and an output is missing", "FAILED", "the job succeeded, but ..."],
        [
            "the API does not know it (status in [404, 410]) for 1m after create",
            "QUEUED",
            "the API does not know the job yet (...)",
        ],
        ["the API does not know it (status in [404, 410]) later", "FAILED", "the job no longer exists: ..."],
        ["the API does not know it (status in [404, 410]) after a cancel", "ABORTED", "the job was cancelled: ..."],
        ["its state cannot be read", "stays", "unreadable since ..."],
        ["its state cannot be read for 10m", "FAILED", "given up after ..."],
        ["it runs longer than the task's timeout", "FAILED", "timed out after ..."],
    ]
    assert "The API's message is read from $.detail." in page.texts("article")[0]


def test_the_table_of_states_has_the_rules_in_their_order_with_their_conditions() -> None:
    mapped = "{path: $.s, map: {RUNNING: [1, '']}, when: status == 200}"
    rules = f"[{{when: body.late, is: RETRYABLE_FAILED}}, {mapped}, {{is: QUEUED}}]"
    spec = spec_of(
        more=f"get: {{request: GET /jobs, phase: {rules}, poll: {{timeout: 2h, give_up: RETRYABLE_FAILED}}}}"
    )
    rows = Parsed(html_text(connectors([spec]))).rows()
    rows = rows[rows.index(["The job", "Phase in Flyte", "Message"]) + 2 :]
    assert rows[:3] == [
        ["body.late", "RETRYABLE_FAILED", ""],
        ['$.s is 1, "", and status == 200', "RUNNING", ""],
        ["anything else", "QUEUED", ""],
    ]
    assert ["it is not over 2h after create", "RETRYABLE_FAILED", "timed out after ..."] in rows
    assert "any other state" not in [row[0] for row in rows]


def test_the_messages_in_the_table_are_those_of_the_connector() -> None:
    source = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "yaml_connector" / "_jobs").glob("*.py"))
    said = [
        state.message[0][0]
        for item in all_specs()
        for state in states(item.spec)
        if state.message and state.message[0][1]
    ]
    assert len(set(said)) > 9
    assert [message for message in said if message.partition("...")[0] not in source] == []


def test_what_flyte_shows_besides_is_named(command: Command, here: Path) -> None:
    get = "get: {request: GET /jobs, phase: {is: SUCCEEDED}, info: {progress: $.p, 'a*b': $.b}}"
    (here / "a.yaml").write_text(SPEC.format(name="a", more=get), encoding="utf-8")
    assert "<ul><li>progress</li><li>a*b</li></ul>" in command("docs", "a.yaml", "--output", "-").stdout
    markdown = command("docs", "a.yaml", "--format", "markdown", "--output", "-").stdout
    assert "custom info:\n\n- progress\n- a\\*b\n" in markdown


def test_what_a_spec_leaves_out_is_said(command: Command, here: Path) -> None:
    (here / "a.yaml").write_text(SPEC.format(name="a", more="").replace(", idempotent: true", ""), encoding="utf-8")
    text = Parsed(command("docs", "a.yaml", "--output", "-").stdout).texts("article")[0]
    for sentence in (
        "Any that you declare.",
        "Nothing to configure.",
        "If its response is lost, the task fails: it is unknown whether the job was submitted.",
        "The job counts as SUCCEEDED as soon as it is submitted.",
        "The connector reads no log.",
        "When the task is aborted, nothing is sent: the job goes on.",
    ):
        assert sentence in text


def test_every_version_of_a_task_type_has_its_place_and_is_named_by_its_file() -> None:
    specs = [spec_of(more=f"task_type_version: {version}", file=f"connectors.d/a{version}.yaml") for version in (0, 2)]
    page = Parsed(html_text(connectors(specs)))
    assert [element["attributes"]["id"] for element in page.all("article")] == ["a:0", "a:2"]
    assert '"connectors.d/a2.yaml"' in code_blocks(page)[3]


def test_all_problems_of_bad_specs_are_said_and_nothing_is_written(command: Command, here: Path) -> None:
    (here / "a.yaml").write_text("spec_version: 1\n", encoding="utf-8")
    (here / "b.yaml").write_text(SPEC.format(name="b", more="config: {x: strr}"), encoding="utf-8")
    done = command("docs", ".", "nowhere")
    assert (done.returncode, done.stdout) == (1, "")
    for problem in (
        "a.yaml:1:1: connection: is required",
        "b.yaml:5:13: config.x: there is no type",
        "nowhere:1:1: there is no",
    ):
        assert problem in done.stderr
    assert sorted(path.name for path in here.iterdir()) == ["a.yaml", "b.yaml"]
    assert command("docs", "--format", "pdf").returncode == 2
    assert command("docs", TYPED, "--output", "no/such/folder.html").returncode == 1
