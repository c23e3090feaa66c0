"""The catalog is what people copy from: each spec of it is good, says what it is, and is tested for what goes wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.own_specs import calls, contract_tests, exchanges, spec_files, spec_of, texts
from tests.support.paths import CATALOG, CORNERS, ROOT
from yaml_connector._expressions.value_types import parse_duration
from yaml_connector._loading.loader import LoadedSpec
from yaml_connector._spec import TERMINAL_PHASES
from yaml_connector.catalog import KINDS, head_lines
from yaml_connector.testing.model import Call
from yaml_connector.testing.report import failure_lines, unreached
from yaml_connector.testing.runner import FileResult, run_tests

TRANSIENT = {408, 425, 429, 500, 502, 503, 504}


def of(*folders: Path) -> pytest.MarkDecorator:
    """Run a test with each spec of some folders."""
    files = [file for folder in folders for file in spec_files(folder)]
    return pytest.mark.parametrize("spec", files, ids=lambda file: file.stem, indirect=True)


every_catalog_spec, every_corner = of(CATALOG), of(CORNERS)


@pytest.fixture
def spec(request: pytest.FixtureRequest) -> LoadedSpec:
    """The spec of the file that a test runs with: loaded for the first test, and not while tests are collected."""
    return spec_of(request.param)


@pytest.fixture(autouse=True)
def in_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def run(spec: LoadedSpec) -> FileResult:
    result = run_tests(contract_tests(spec.file))
    failed = [line for test in result.results for failure in test.failures for line in failure_lines(failure)]
    assert failed == []
    return result


# --- all of them -----------------------------------------------------------------------------------------------------


@of(CATALOG, CORNERS)
def test_a_spec_has_no_warnings_but_of_a_create_that_cannot_be_made_safe(spec: LoadedSpec) -> None:
    assert [str(warning) for warning in spec.warnings if "neither idempotent nor adopt" not in warning.message] == []


@every_catalog_spec
def test_what_is_an_error_is_one_where_the_field_that_is_asked_for_is_missing_too(spec: LoadedSpec) -> None:
    # A comparison with a missing field is false, `!=` too: `not body.code == 'x'` says what is meant.
    assert re.findall(r"\berror: .* != .*", Path(spec.file).read_text(encoding="utf-8")) == []


@pytest.mark.slow
@every_catalog_spec
def test_the_contract_tests_of_the_catalog_pass(spec: LoadedSpec) -> None:
    run(spec)


@every_corner
def test_the_contract_tests_of_a_corner_pass_and_reach_all_of_it(spec: LoadedSpec) -> None:
    assert [str(place) for place in unreached([run(spec)])] == []


# --- the catalog -----------------------------------------------------------------------------------------------------


@every_catalog_spec
def test_a_spec_says_what_it_is(spec: LoadedSpec) -> None:
    assert [line for line in head_of(spec) if re.match(r"# [A-Z]", line)]
    assert spec.spec.name
    assert spec.spec.description  # `yaml-connector catalog list` shows both


@every_catalog_spec
def test_the_head_has_what_the_page_of_the_catalog_shows(spec: LoadedSpec) -> None:
    assert said_in_head(spec, "Kind") in KINDS
    assert (said_in_head(spec, "Kind") == "container") == (spec.spec.runs == "container")
    assert said_in_head(spec, "Version")
    assert said_in_head(spec, "Documentation").startswith("https://")
    assert said_in_head(spec, "Read in")  # the documents of its fields and states


@every_catalog_spec
def test_a_job_succeeds(spec: LoadedSpec) -> None:
    assert "SUCCEEDED" in {call.get.expect.phase for _, call in calls(spec.file, "get") if call.get}


@every_catalog_spec
def test_a_job_fails_with_the_apis_own_words(spec: LoadedSpec) -> None:
    assert any(
        call.get.expect.phase == "FAILED" and is_quoted(call.get.expect.message, call)
        for _, call in calls(spec.file, "get")
        if call.get
    )


@every_catalog_spec
def test_a_job_is_cancelled_also_when_it_is_over(spec: LoadedSpec) -> None:
    quiet = [call for _, call in calls(spec.file, "delete") if call.delete and not call.delete.expect.error]
    if spec.spec.delete is None:
        assert [len(exchanges(call)) for call in quiet] == [0]  # and the test says that nothing happens
    else:
        assert len(quiet) >= 2


@every_catalog_spec
def test_the_head_says_what_a_late_delete_does(spec: LoadedSpec) -> None:
    """Flyte deletes every job some time after its end: each API was looked at for that."""
    assert said_in_head(spec, "After the end")


@every_catalog_spec
def test_a_create_is_idempotent_for_a_time_that_the_head_gives_with_its_source(spec: LoadedSpec) -> None:
    """Keys expire and names get free. A time that nobody could verify is said to be one."""
    said, create = said_in_head(spec, "Create again"), spec.spec.create
    assert said
    if create.idempotent:
        assert create.idempotent in {parse_duration(time) for time in re.findall(r"\b\d+[hd]\b", said)}
        assert re.search(r"\(.+\)|up to you|not documented|not verified", said)
    else:
        assert ("adopt" in said) == (create.adopt is not None)


@every_catalog_spec
def test_a_job_has_a_page_at_the_api_or_the_head_says_that_there_is_none(spec: LoadedSpec) -> None:
    """Open-source Flyte shows no logs: the page of the API is where a user reads on."""
    links = spec.spec.get.links if spec.spec.get else []
    shown = [call.get.expect.links for _, call in calls(spec.file, "get") if call.get and call.get.expect.links]
    shown += [
        call.create.expect.links for _, call in calls(spec.file, "create") if call.create and call.create.expect.links
    ]
    if any(line.startswith("# Page: none") for line in head_of(spec)):
        assert not links
    else:
        assert {link.name for link in links} == {link.name for tested in shown for link in tested}


@every_catalog_spec
def test_a_refused_create_has_the_apis_own_words(spec: LoadedSpec) -> None:
    assert any(
        call.create.expect.phase == "FAILED" and is_quoted(call.create.expect.message, call)
        for _, call in calls(spec.file, "create")
        if call.create
    )


@every_catalog_spec
def test_a_failure_while_polling_is_transient(spec: LoadedSpec) -> None:
    faults = [
        call.get.expect.phase
        for _, call in calls(spec.file, "get")
        if call.get and any(is_fault(response) for response in responses(call))
    ]
    assert set(faults) - TERMINAL_PHASES


@every_catalog_spec
def test_no_test_file_holds_a_private_key(spec: LoadedSpec) -> None:
    assert "PRIVATE KEY" not in Path(contract_tests(spec.file).file).read_text(encoding="utf-8")


def test_the_specs_that_the_pages_name_are_there() -> None:
    names = {file.stem for file in spec_files(CATALOG)}
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("**/*.md")]:
        text = page.read_text(encoding="utf-8")
        named = re.findall(r"(?:(?<!unit/)catalog/|catalog add |catalog show |--from catalog )([a-z]\w*)", text)
        assert set(named) <= names, page
        counted = re.findall(r"(\d+) specs (?:of|in) the catalog", text)
        assert {int(count) for count in counted} <= {len(names)}, page


# --- what is looked at in a test -------------------------------------------------------------------------------------


def head_of(spec: LoadedSpec) -> list[str]:
    """The comment that a spec begins with."""
    lines = Path(spec.file).read_text(encoding="utf-8").splitlines()
    return lines[: lines.index("spec_version: 1")]


def said_in_head(spec: LoadedSpec, about: str) -> str:
    """What stands behind `# ABOUT: ` in the comment that a spec begins with, over all its lines; nothing if that is not
    there."""
    return head_lines(Path(spec.file).read_text(encoding="utf-8")).get(about, "")


def responses(call: Call) -> Iterator[Any]:
    for exchange in exchanges(call):
        yield exchange.response


def is_fault(response: Any) -> bool:
    return response.fault is not None or response.status in TRANSIENT


def is_quoted(message: str | None, call: Call) -> bool:
    """Is the expected message (a text, or a regex) something that one of the answers says, or the status of one that
    says nothing?"""
    if not message:
        return False
    words = [text for item in responses(call) for text in [*texts(item.json_body)] or [item.text or str(item.status)]]
    if message.startswith("/"):
        return any(re.search(message.strip("/").split(".*")[-1], text) for text in words)
    return any(len(text) > 3 and text in message for text in words)
