"""The report: plain lines, JSON data, JUnit XML; without secrets and readable whatever differs."""

from __future__ import annotations

import io
import json
from typing import Any
from xml.etree.ElementTree import fromstring

from tests.support.contract_folder import CREATE, DEFAULTS, Folder, get, state
from yaml_connector.errors import Diagnostic
from yaml_connector.testing.compare import NOTHING, show
from yaml_connector.testing.report import as_data, counts, junit, totals, unreached, unreached_lines


def two_tests(folder: Folder) -> Any:
    expect = {"phase": "FAILED", "message": "/s3cr3t/"}
    tests = [
        {"name": "good", "calls": [CREATE]},
        {"name": "bad", "calls": [CREATE, get(state("running", detail="with s3cr3t"), expect=expect)]},
    ]
    return {"defaults": DEFAULTS, "tests": tests}


def test_the_lines_say_where_what_and_what_came_of_the_call(folder: Folder) -> None:
    lines = folder.text(two_tests(folder)).splitlines()
    assert lines[:9] == [
        "batch_job.test.yaml",
        "  ✓ good",
        "  ✗ bad",
        lines[3],
        "        phase",
        '          expected "FAILED"',
        '          found    "RUNNING"',
        "        message",
        '          expected "/***/"',
    ]
    assert lines[3].startswith("      batch_job.test.yaml:")
    assert lines[3].endswith(": call 2 (get): not as expected")
    assert lines[9:] == ['          found    "with ***"', "        the call returned RUNNING: with ***"]


def test_a_difference_that_masking_hides_is_named(folder: Folder) -> None:
    expect = {"phase": "RUNNING", "message": "with s3cr3t"}
    tests = [{"name": "bad", "calls": [CREATE, get(state("running", detail="with s3cr3t"), expect=expect)]}]
    result = {"defaults": DEFAULTS, "tests": tests}
    text = folder.text(result)
    assert '          expected "with ***"\n          found    "with ***"\n' in text
    assert "they differ only in what is masked: the value of a secret" in text
    assert "s3cr3t" not in text
    (failure,) = as_data(folder.run_file(result))["tests"][0]["failures"]
    assert failure["differences"][0]["is_masked"] is True


def test_below_all_stands_what_no_test_of_a_spec_reached(folder: Folder) -> None:
    result = folder.run_file(two_tests(folder))
    lines = list(unreached_lines(unreached([result])))
    assert lines[0] == f"reached by no test of {folder.path}/batch_job.yaml:"
    assert lines[1].startswith(f"  {folder.path}/batch_job.yaml:")
    assert unreached([result])[0].path == "get.phase.map.QUEUED"


def test_the_last_line_counts(folder: Folder) -> None:
    result = folder.run_file(two_tests(folder))
    assert totals([result]) == "1 passed, 1 failed"
    assert totals([result, result], 1) == "2 passed, 2 failed, 1 problem"
    assert totals([], 2) == "0 passed, 2 problems"
    assert counts([result]) == {"passed": 1, "failed": 1}


def test_the_data_is_json_with_each_difference(folder: Folder) -> None:
    data = json.loads(json.dumps(as_data(folder.run_file(two_tests(folder)))))
    assert data["file"] == folder.file
    assert [test["passed"] for test in data["tests"]] == [True, False]
    failure = data["tests"][1]["failures"][0]
    assert failure["call"] == "call 2 (get)"
    assert failure["differences"] == [
        {"field": "phase", "expected": "FAILED", "found": "RUNNING"},
        {"field": "message", "expected": "/***/", "found": "with ***"},
    ]


def test_what_is_not_there_is_left_out_of_the_data(folder: Folder) -> None:
    call = get(state("error"), expect={"outputs": {"result": "r"}})
    result = folder.run_file({"defaults": DEFAULTS, "tests": [{"name": "a", "calls": [CREATE, call]}]})
    differences = as_data(result)["tests"][0]["failures"][0]["differences"]
    assert differences == [{"field": "outputs.result", "expected": "r"}]


def test_the_xml_has_a_suite_for_each_file_and_one_for_problems(folder: Folder) -> None:
    result = folder.run_file(two_tests(folder))
    buffer = io.BytesIO()
    junit([result], [Diagnostic("a.yaml", 3, 1, "get", "is \x1b wrong")]).write(buffer, encoding="utf-8")
    root = fromstring(buffer.getvalue())
    suites = root.findall("testsuite")
    assert [(suite.get("tests"), suite.get("failures"), suite.get("errors")) for suite in suites] == [
        ("2", "1", "0"),
        ("1", "0", "1"),
    ]
    good, bad = suites[0].findall("testcase")
    assert good.find("failure") is None
    assert bad.get("name") == "bad"
    text = bad.findtext("failure") or ""
    assert 'expected "FAILED"' in text
    assert "s3cr3t" not in buffer.getvalue().decode()
    assert "a.yaml:3:1: get: is � wrong" in (suites[1].find("testcase").findtext("error") or "")  # type: ignore[union-attr]


def test_a_value_is_shown_as_json_so_that_a_number_is_told_from_a_text() -> None:
    assert show("7") == '"7"'
    assert show(7) == "7"
    assert show(None) == "null"
    assert show("Zürich\n") == '"Zürich\\n"'
    assert show(NOTHING) == "(nothing)"


def test_a_long_value_is_shown_around_the_first_difference() -> None:
    one = "a" * 2000 + "X" + "b" * 2000
    two = "a" * 2000 + "Y" + "b" * 2000
    assert "X" in show(one, two)
    assert "Y" in show(two, one)
    assert len(show(one, two)) < 320
    assert show(one, two).startswith("...aaa")
    assert show(one, two).endswith("bbb...")
    assert show("a" * 400 + "X", "a" * 400 + "Y").endswith('aX"')
    assert show(one, NOTHING).startswith('"aaa')
