"""The committed schemas in a real editor's YAML language server: completion, hover, diagnostics."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.unit.cli.language_server import Editor, Mark

SERVER = Path(os.environ.get("YAML_LANGUAGE_SERVER", ROOT / ".cache/editor/node_modules/.bin/yaml-language-server"))
SPEC_LINE = "# yaml-language-server: $schema=../schema/connector.v1.json\n"
TEST_LINE = "# yaml-language-server: $schema=../schema/connector-test.v1.json\n"
SPEC = (ROOT / "connectors.d" / "batch_job.yaml").read_text(encoding="utf-8")
TESTS = TEST_LINE + (ROOT / "connectors.d" / "batch_job.test.yaml").read_text(encoding="utf-8")
FILES = sorted(path for folder in ("catalog", "connectors.d") for path in (ROOT / folder).glob("*.yaml"))
AUTH = '  auth: {type: bearer, token: "${{ secrets.api_key }}"}'

pytestmark = [
    pytest.mark.editor,
    pytest.mark.skipif(
        not SERVER.exists() or shutil.which("node") is None,
        reason="needs node and yaml-language-server: `make test-editor` installs it",
    ),
]


@pytest.fixture(scope="module")
def editor() -> Iterator[Editor]:
    """An editor with this repository open."""
    editor = Editor([str(SERVER), "--stdio"], ROOT)
    yield editor
    editor.close()


def opened(editor: Editor, text: str, name: str = "edited.yaml") -> tuple[Path, Mark, list[str]]:
    """A text that is being typed, `@` where the cursor is: its file (not on the disk), the cursor, the diagnostics."""
    file = ROOT / "connectors.d" / name
    told = editor.open(file, text.replace("@", "", 1))
    return file, Mark.behind(text, text.partition("@")[0]), told


def offered(editor: Editor, text: str, name: str = "edited.yaml") -> dict[str, str]:
    """What is offered at the `@` of a text: label to what would be inserted."""
    file, mark, _ = opened(editor, text, name)
    return {label: item.get("insertText", label) for label, item in editor.completions(file, mark).items()}


def shown(editor: Editor, text: str, name: str = "edited.yaml") -> str:
    """What is shown of the word before the `@` of a text."""
    file, mark, _ = opened(editor, text, name)
    return editor.hover(file, Mark(mark.line, mark.character - 1))


@pytest.mark.parametrize("file", FILES, ids=[path.name for path in FILES])
def test_nothing_is_wrong_in_any_spec_and_test_of_this_repository(editor: Editor, file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    if not text.startswith("# yaml-language-server:"):
        text = (TEST_LINE if ".test." in file.name else SPEC_LINE) + text
    assert editor.open(file, text) == []


def test_the_fields_of_a_section_are_offered_with_their_defaults_and_explained(editor: Editor) -> None:
    text = SPEC.replace("  message: $.detail", "  message: $.detail\n  poll:\n    @")
    assert offered(editor, text) == {
        "min_interval": "min_interval: ${1:0s}",
        "not_found": "not_found: ${1:status in [404, 410]}",
        "not_found_grace": "not_found_grace: ${1:1m}",
        "tolerance": "tolerance: ${1:10m}",
        "give_up": "give_up: ",
        "timeout": "timeout: ",
    }
    file, mark, _ = opened(editor, text)
    documented = editor.completions(file, mark)["tolerance"]["documentation"]
    assert documented == "How long a job may stay unreadable before it is given up. Default: 10m"


@pytest.mark.parametrize(
    ("before", "typed", "wanted"),
    [
        ("  message: $.detail", "  poll:\n    give_up: @", {"FAILED", "RETRYABLE_FAILED"}),
        ("    method: POST", "    method: @", {"GET", "POST", "PUT", "PATCH", "DELETE"}),
        (AUTH, "  auth:\n    type: @", {"bearer", "basic", "api_key", "oauth2_client_credentials", "token", "jwt"}),
        (AUTH, "  auth:\n    type: token\n    @", {"token", "request", "expires_in", "header", "prefix", "jwt"}),
        ("      QUEUED: [queued]", "      @", {"QUEUED", "WAITING_FOR_RESOURCES", "RETRYABLE_FAILED"}),
        ("    path: $.state", "    @", {"path", "when", "is"}),
        ("  name: str", "  name: @", {"str", "int", "list[str]", "dataframe"}),
        ("  lines: $.lines[*]", "  lines: $.lines[*]\n  format: @", {"json", "text", "ndjson", "sse"}),
        ("  job_id: $.id", "  @", {"job_id", "save", "adopt", "on_failure"}),
    ],
    ids=["give_up", "method", "auth", "auth token", "phase", "rule", "type", "format", "create"],
)
def test_what_may_stand_at_a_place_is_offered(editor: Editor, before: str, typed: str, wanted: set[str]) -> None:
    assert before in SPEC
    assert wanted <= offered(editor, SPEC.replace(before, typed)).keys()


def test_a_field_that_may_hold_anything_is_inserted_with_an_example(editor: Editor) -> None:
    assert offered(editor, SPEC.replace("  job_id: $.id", "  @"))["job_id"] == "job_id: ${1:\\$.id}"


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("  idempotent@: true", "The API deduplicates repeated create requests"),
        ("  job_id@: $.id", "kept as the string \\`job.id\\`."),
        ("    map@:\n", "For each phase, the states of the API that mean it."),
        ("      ABORTED@: [cancelled]", "The job was cancelled."),
        ("  api_key@: {env", "A secret. Its value comes from the task"),
        ("delete@:", "Cancel the job."),
    ],
    ids=["idempotent", "job_id", "map", "ABORTED", "secret", "delete"],
)
def test_a_field_is_explained_under_the_mouse(editor: Editor, word: str, told: str) -> None:
    assert word.replace("@", "") in SPEC
    assert told in shown(editor, SPEC.replace(word.replace("@", ""), word, 1))


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ("  idempotent: true", "  idempotnt: true", "Property idempotnt is not allowed."),
        ("      FAILED: [error]", "      FALED: [error]", "Property FALED is not allowed."),
        ("  idempotent: true", "  idempotent: maybe", 'Incorrect type. Expected "boolean".'),
        ("    method: POST", "    method: PSOT", 'Value is not accepted. Valid values: "GET", "HEAD"'),
        ("type: int, default", "type: integer, default", 'Value is not accepted. Valid values: "str", "int"'),
        ("  job_id: $.id\n", "", 'Missing property "job_id".'),
        ("spec_version: 1", "spec_version: 2", "1"),
        ("  name: str", "  name: text", "Incorrect type."),
        ("  name: str", "  na-me: str", "does not match the pattern"),
    ],
    ids=["name", "phase", "boolean", "method", "type", "missing", "version", "input", "own name"],
)
def test_a_mistake_is_marked_at_its_line(editor: Editor, right: str, wrong: str, told: str) -> None:
    assert right in SPEC
    _, _, found = opened(editor, SPEC.replace(right, wrong, 1))
    assert len(found) == 1, found
    line = SPEC[: SPEC.index(right if wrong else "create:")].count("\n") + 1
    assert found[0].startswith(f"{line}: ")
    assert told in found[0]


def test_contract_tests_are_completed_explained_and_checked_too(editor: Editor) -> None:
    name = "edited.test.yaml"
    assert opened(editor, TESTS.replace("expect: {phase:", "expect: {phas:", 1), name)[2] == [
        f"{TESTS[: TESTS.index('expect: {phase:')].count(chr(10)) + 1}: Property phas is not allowed."
    ]
    start = TEST_LINE + "tests:\n  - name: a\n    calls:\n      - get:\n"
    offers = offered(editor, start + "          expect:\n            @", name)
    assert {"phase", "message", "outputs", "links", "info"} <= offers.keys()
    assert offers["phase"] == "phase: "
    offers = offered(editor, start + "          exchanges:\n            - request: GET /jobs\n              @", name)
    assert {"response", "repeat"} <= offers.keys()
    assert "timeout" in offered(editor, start + "          exchanges:\n            - response: {fault: @}", name)
    assert "How often the request is sent. Default: 1" in shown(
        editor, start + "          exchanges:\n            - request: GET /jobs\n              repeat@: 2", name
    )
