"""`yaml-connector docs`: the page says what an author must know, its Python runs, and a spec's texts stay texts."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
import shlex
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import flyte
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tests.support.command_line import Command
from tests.support.paths import CATALOG, CORNERS, ROOT
from tests.support.real_processes import USER_KEYS, clean_environment, script
from yaml_connector._loading.loader import LoadedSpec, load, load_text
from yaml_connector.cli._description.page import connectors
from yaml_connector.cli._description.snippet import sample
from yaml_connector.cli._description.states import states
from yaml_connector.cli._diagnostics import printable
from yaml_connector.cli.docs.render import html_text, markdown_text

TYPED = str(ROOT / "tests" / "unit" / "flyte" / "connectors.d" / "typed.yaml")
FOLDERS = [ROOT / "connectors.d", CATALOG, CORNERS]
VOID = {"meta", "link", "br", "hr", "img", "input"}

SPEC = """
spec_version: 1
task_type_name: {name}
connection: {{base_url: "http://127.0.0.1:1"}}
{more}
create: {{request: POST /jobs, job_id: $.id, idempotent: true}}
"""


class Parsed(HTMLParser):
    """A page: its elements with their attributes and text, in order; an element that is not closed fails."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[dict[str, Any]] = []
        self.elements: list[dict[str, Any]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"{tag} has an attribute twice"
        element = {"tag": tag, "attributes": dict(attrs), "text": "", "parents": [item["tag"] for item in self.open]}
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()["tag"] == tag

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element["text"] += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def all(self, tag: str) -> list[dict[str, Any]]:
        return [element for element in self.elements if element["tag"] == tag]

    def texts(self, tag: str) -> list[str]:
        return [element["text"] for element in self.all(tag)]

    def values(self, *attributes: str) -> list[str]:
        return [
            element["attributes"][name]
            for element in self.elements
            for name in attributes
            if name in element["attributes"]
        ]

    def rows(self) -> list[list[str]]:
        """The cells of every row of every table."""
        found: list[list[str]] = []
        for element in self.elements:
            if element["tag"] == "tr":
                found.append([])
            elif element["tag"] in ("th", "td"):
                found[-1].append(element["text"])
        return found


def spec_of(name: str = "a", more: str = "", file: str = "a.yaml") -> LoadedSpec:
    loaded, problems = load_text(SPEC.format(name=name, more=more).encode(), file)
    assert loaded is not None, problems
    return loaded


@pytest.fixture(scope="module")
def specs() -> list[LoadedSpec]:
    return [item for folder in FOLDERS for item in load(folder)]


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
        for folder in FOLDERS
        for item in load(folder)
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


def code_blocks(page: Parsed) -> list[str]:
    return [element["text"] for element in page.all("code") if "pre" in element["parents"]]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_python_of_every_connector_makes_its_task(folder: Path, environment: dict[str, str]) -> None:
    for item in load(folder):
        made: dict[str, Any] = {}
        python = code_blocks(Parsed(html_text(connectors([item]))))[0]
        exec(python.replace(f'"{item.spec.task_type_name}"', repr(item.file)), made)
        environments = [value for value in made.values() if isinstance(value, flyte.TaskEnvironment)]
        (task,) = environments[0].tasks.values()
        assert task.task_type == item.spec.task_type_name


@pytest.mark.parametrize(
    "field",
    [
        "int",
        "{type: int, minimum: 2.5}",
        "{type: int, maximum: 0.5}",
        "{type: float, minimum: 2}",
        "{type: 'list[int]', maximum: -7}",
        "{type: duration, minimum: 600}",
        "{type: str, enum: [a, b]}",
        "'dict[str, list[datetime]]'",
        "'list[dict[str, any]]'",
        "file",
    ],
)
def test_a_value_in_the_python_keeps_the_rules_of_its_field(field: str) -> None:
    config = spec_of(more=f"config: {{x: {field}}}").spec.config["x"]
    config.check(sample(config))


def test_the_python_and_the_command_of_the_page_run(command: Command, here: Path, job_service_url: str) -> None:
    shutil.copytree(ROOT / "connectors.d", here / "connectors.d")
    assert command("docs").stdout == "wrote connectors.html\n"
    snippet, _, line = code_blocks(Parsed((here / "connectors.html").read_text(encoding="utf-8")))
    (here / "main.py").write_text(snippet, encoding="utf-8")
    program, *arguments = shlex.split(line.replace("...", "Zoë"))
    env = clean_environment(here, BATCH_URL=job_service_url, BATCH_API_KEY=USER_KEYS["alice"])
    done = subprocess.run([script(program), *arguments], cwd=here, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Hello, Zoë!" in done.stdout


def test_every_version_of_a_task_type_has_its_place_and_is_named_by_its_file() -> None:
    specs = [spec_of(more=f"task_type_version: {version}", file=f"connectors.d/a{version}.yaml") for version in (0, 2)]
    page = Parsed(html_text(connectors(specs)))
    assert [element["attributes"]["id"] for element in page.all("article")] == ["a:0", "a:2"]
    assert '"connectors.d/a2.yaml"' in code_blocks(page)[3]


def test_markdown_has_the_same_and_its_tables_are_tables(command: Command, here: Path) -> None:
    assert command("docs", TYPED, "--output", "page.md").returncode == 0
    assert command("docs", TYPED, "--format", "markdown").returncode == 0
    text = (here / "page.md").read_text(encoding="utf-8")
    assert text == (here / "connectors.md").read_text(encoding="utf-8")
    html = MarkdownIt("commonmark").enable("table").render(text)
    for part in (
        '<a href="#typed">Typed Job version 2</a>',
        '<a id="typed"></a>',
        "<td><code>cpus</code></td>\n<td><code>int</code></td>\n<td><code>1</code></td>\n<td>from 1, up to 64</td>",
        "<td><code>flyte.io.File | None</code></td>",
        "<td><strong>required</strong></td>",
        "<td><code>False</code></td>",
        "<td><code>RUNNING</code></td>\n<td>The job is running.</td>\n",
        "<td><code>$.state</code> is <code>running</code></td>\n<td><code>RUNNING</code></td>\n<td></td>\n",
        '<pre><code class="language-python">import flyte\n',
        "├─▶ RUNNING",
    ):
        assert part in html


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


HOSTILE = [
    "<script>alert(1)</script>", "</style><script>", "--><img src=x onerror=alert(1)>", '" onmouseover="alert(1)',
    "' autofocus='", "&lt;b&gt;&amp;", "</title>", "]]>", "{{ 7 * 7 }}", "{% raw %}", "${{ secrets.x }}", "&#x3c;b>",
    "[x](http://evil.test)", "![x](//evil.test)", "<http://evil.test>", "http://evil.test", "www.evil.test", "a@b.test",
    "`</code>", "``", "|", "\\|", "a\\", "*b* _c_ ~~d~~", "# e", "- f", "1. g", "12) g", "> h", "$x$", "x" * 300,
    "\x00\x1b[31m", "\u202eabc", "\u2028", "javascript:alert(1)", "+ i", "=== j", "    k", "\tl",
]  # fmt: skip
texts = st.sampled_from(HOSTILE) | st.text(max_size=30) | st.lists(st.sampled_from(HOSTILE), max_size=3).map(" ".join)


def with_texts(text: list[str]) -> LoadedSpec:
    """A spec with these seven texts wherever a spec may have any; each is some text to read."""
    loaded = load_text(Path(ROOT / "connectors.d" / "batch_job.yaml").read_bytes(), "connectors.d/batch_job.yaml")[0]
    assert loaded is not None
    data = {
        **loaded.document.data,
        "name": text[0],
        "description": text[1],
        "config": {"x": {"type": "str", "default": text[2], "enum": [text[2]], "description": text[3]}},
        "inputs": {"y": {"type": "str", "description": text[4]}},
        "secrets": {"api_key": {"env": "BATCH_API_KEY", "description": text[5]}},
        "get": {
            "request": "GET /jobs",
            "phase": {"path": "$.state", "map": {"RUNNING": [text[6]], "SUCCEEDED": ["done"]}},
            "links": [{"name": text[0], "url": "$.url"}],
        },
    }
    return LoadedSpec(type(loaded.spec).model_validate(data), loaded.file, loaded.document)


PLAIN = with_texts(["plain"] * 7)


@pytest.mark.slow
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(texts, min_size=7, max_size=7))
def test_no_text_of_a_spec_becomes_markup(text: list[str]) -> None:
    spec = connectors([with_texts([f"a{part}z" for part in text])])
    begins = connectors([with_texts([f"{part} z" for part in text])])  # what is markup only at the start of a line
    plain = connectors([PLAIN])
    page, expected = Parsed(html_text(spec)), Parsed(html_text(plain))

    def shape(parsed: Parsed) -> list[Any]:
        return [(item["tag"], sorted(set(item["attributes"]) - {"class"}), item["parents"]) for item in parsed.elements]

    assert shape(page) == shape(expected)
    assert page.texts("script") == expected.texts("script")
    said = " ".join(page.texts("article")[0].split())
    for part in text[:2] + text[3:6]:
        assert " ".join(printable(f"a{part}z").split()) in said
    markdown = MarkdownIt("commonmark").enable(["table", "strikethrough"])

    def tokens(source: str) -> list[str]:
        found = [child for token in markdown.parse(source) for child in [token, *(token.children or [])]]
        return [token.type for token in found if token.type not in ("text", "text_special")]

    assert tokens(markdown_text(spec)) == tokens(markdown_text(plain)) == tokens(markdown_text(begins))
