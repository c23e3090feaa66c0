"""Mistakes in a file of contract tests are problems at their place, as in a spec."""

from __future__ import annotations

import shutil
import textwrap
from typing import Any

import pytest

from tests.support.contract_folder import CREATE, DEFAULTS, Folder
from yaml_connector._loading.loader import read_file
from yaml_connector.testing.loader import load_tests, value_problems


def said(folder: Folder, content: str) -> list[str]:
    """The problems of a file, without the folder."""
    return [str(problem).replace(str(folder.path) + "/", "") for problem in folder.problems(content)]


def about_values(folder: Folder, content: str | dict[str, Any]) -> list[str]:
    """The problems of the values in a file that is good otherwise."""
    file = folder.write(content)
    loaded, problems = load_tests(read_file(file), file)
    assert problems == []
    assert loaded is not None
    return [str(problem).replace(str(folder.path) + "/", "") for problem in value_problems(loaded)]


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        ("gett: {}", "tests[0].calls[0].gett: unknown key; did you mean get? allowed: create, get"),
        ("get: {expct: {}}", "tests[0].calls[0].get.expct: unknown key; did you mean expect?"),
        ("get: {expect: {fase: X}}", "get.expect.fase: unknown key; did you mean phase?"),
        ("get: {expect: {phase: SUCCEDED}}", "get.expect.phase: 'SUCCEDED' is not allowed; did you mean SUCCEEDED?"),
        ("get: {expect: {error: x}}", "get.expect.error: unknown key"),
        ("delete: {expect: {phase: RUNNING}}", "delete.expect.phase: unknown key; allowed: error"),
        ("logs: {expect: {next: maybe}}", "logs.expect.next: must be true or false, not the string 'maybe'"),
        ("logs: {expect: {lines: one}}", "logs.expect.lines: must be a list, not the string 'one'"),
        (
            "create: {expect: {job_id: 7}}",
            "create.expect.job_id: must be a string, not the number 7; put quotes around it",
        ),
        ("create: {expect: {error: '/(/'}}", "create.expect.error: '(' is not a valid regular expression: missing )"),
        (
            "get: {expect: {message: '/[/'}}",
            "get.expect.message: '[' is not a valid regular expression: missing ]: [; for the text itself, write "
            r"'/^/\[/$/'",
        ),
        ("get: {exchanges: [{request: {path: /a, json: {b: ['/(/']}}}]}", "request.json.b[0]: '(' is not a valid"),
        (
            "get: {exchanges: [{request: {path: '/[/'}}]}",
            "request.path: a path is compared as it was sent: /[/ is not a regular expression here",
        ),
        ("get: {exchanges: [{request: GET /jobs/.*/}]}", "request: a path is compared as it was sent: /jobs/.*/ is"),
        (
            "{get: {}, after: 1s}",
            "tests[0].calls[0]: a call is one of create, get, logs, delete, after, clock, restart",
        ),
        ("{}", "tests[0].calls[0]: a call is one of create"),
        ("after: 30", "calls[0].after: 30 is not a valid duration; write it as 500ms, 10s, 5m, 24h or 7d"),
        ("clock: 1", "calls[0].clock: 1 is not a valid step; write it as +1h or -30m"),
        ("clock: ++1h", "calls[0].clock: '++1h' is not a valid step"),
        ("clock: +9999d", "calls[0].clock: a step may not be longer than 3650d"),
        ("restart: false", "calls[0].restart: false is not allowed"),
        ("get: {exchanges: [{request: {}}]}", "exchanges[0].request: a recorded request has either url or path"),
        ("get: {exchanges: [{request: {url: 'http://a', path: /b}}]}", "request: a recorded request has either url or"),
        ("get: {exchanges: [{request: {url: a/b}}]}", "exchanges[0].request: 'a/b' is not a whole URL"),
        ("get: {exchanges: [{request: GET}]}", "the short form of a request is a method and a URL"),
        (
            "get: {exchanges: [{request: {path: /a, method: FETCH}}]}",
            "request.method: 'FETCH' is not a valid method; did you mean PATCH? allowed: GET",
        ),
        ("get: {exchanges: [{request: {path: /a, json: 1, form: {}}}]}", "at most one body, not json and form"),
        ("get: {exchanges: [{request: {path: /a, header: {}}}]}", "request.header: unknown key; did you mean headers?"),
        ("get: {exchanges: [{response: {}}]}", "get.exchanges[0].request: is required"),
        (
            "get: {exchanges: [{request: GET /a, repeat: 0}]}",
            "exchanges[0].repeat: input should be greater than or equal",
        ),
        ("get: {exchanges: [{request: GET /a, response: {status: 99}}]}", "response.status: input should be greater"),
        ("get: {exchanges: [{request: GET /a, response: {fault: slow}}]}", "response.fault: 'slow' is not allowed"),
        (
            "get: {exchanges: [{request: GET /a, response: {fault: reset, status: 200}}]}",
            "a fault replaces the response",
        ),
        ("get: {exchanges: [{request: GET /a, response: {json: 1, text: a}}]}", "at most one body, not json and text"),
        ("get: {exchanges: [{request: GET /a, response: {base64: '%'}}]}", "response.base64: this is not valid base64"),
    ],
)
def test_a_mistake_in_a_call_is_named_with_what_is_allowed(folder: Folder, call: str, problem: str) -> None:
    lines = said(folder, f"tests:\n- name: one\n  calls:\n  - {call}\n")
    assert len(lines) == 1
    assert lines[0].startswith("batch_job.test.yaml:4:")
    assert problem in lines[0]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "batch_job.test.yaml:1:1: the file is empty; a contract test is a mapping with tests"),
        ("- a", "batch_job.test.yaml:1:1: must be a mapping, not a list; a contract test is a mapping with tests"),
        ("spec: x.yaml", "batch_job.test.yaml:1:1: tests: is required"),
        ("tests: []", "batch_job.test.yaml:1:8: tests: must not be empty"),
        ("tests: [{name: a, calls: []}]", "batch_job.test.yaml:1:26: tests[0].calls: must not be empty"),
        ("tests: [{calls: [after: 1s]}]", "batch_job.test.yaml:1:9: tests[0].name: is required"),
        ("test: []\ntests: [{name: a, calls: [after: 1s]}]", "1:1: test: unknown key; did you mean tests?"),
        (
            "defaults: {secret: {}}\ntests: [{name: a, calls: [after: 1s]}]",
            "defaults.secret: unknown key; did you mean",
        ),
        (
            "defaults: {task: {keys: a}}\ntests: [{name: a, calls: [after: 1s]}]",
            "task.keys: unknown key; did you mean key?",
        ),
        (
            "defaults: {env: {A: 1}}\ntests: [{name: a, calls: [after: 1s]}]",
            "defaults.env.A: must be a string, not the number",
        ),
        (
            "tests: [{name: a, name: b, calls: [after: 1s]}]",
            "1:19: tests[0].name: duplicate key, first defined on line",
        ),
        ("tests: [{name: a, calls: [after: 1s]", "not YAML"),
        ("spec: other.yaml\ntests: [{name: a, calls: [after: 1s]}]", "1:7: spec: there is no spec other.yaml beside"),
        (
            "tests:\n- {name: a, calls: [after: 1s]}\n- {name: a, calls: [after: 1s]}",
            "batch_job.test.yaml:3:10: tests[1].name: duplicate name, first used on line 2",
        ),
    ],
)
def test_a_mistake_in_the_file_is_named(folder: Folder, content: str, problem: str) -> None:
    lines = said(folder, content)
    assert len(lines) == 1
    assert problem in lines[0]


def test_all_mistakes_of_a_file_come_at_once_in_its_order(folder: Folder) -> None:
    content = """\
    specs: x
    tests:
      - name: one
        calls:
          - get: {expect: {phase: DONE}}
          - gett: {}
    """
    assert [line.split(": ")[0] for line in said(folder, content)] == [
        "batch_job.test.yaml:1:1",
        "batch_job.test.yaml:5:31",
        "batch_job.test.yaml:6:9",
    ]


def test_without_a_spec_of_the_same_name_there_is_nothing_to_test(folder: Folder) -> None:
    shutil.move(folder.path / "batch_job.yaml", folder.path / "x.yaml")
    assert said(folder, "tests: [{name: a, calls: [after: 1s]}]") == [
        "batch_job.test.yaml:1:1: spec: there is no spec batch_job.yaml or batch_job.yml beside this file"
    ]


def test_a_bare_call_and_bare_lists_are_empty_ones(folder: Folder) -> None:
    content = "tests:\n- name: one\n  calls:\n  - get:\n  - logs: {exchanges: , expect: }\n"
    assert said(folder, content) == []


def test_a_spec_that_cannot_be_used_keeps_its_own_problems(folder: Folder) -> None:
    folder.change_spec("job_id: $.id", "jobid: $.id")
    file = folder.write({"tests": [{"name": "one", "calls": [{"after": "1s"}]}]})
    loaded, problems = load_tests(read_file(file), file)
    assert problems == []
    assert loaded is not None
    assert loaded.loaded is None
    assert [problem.path for problem in loaded.spec_problems] == ["create.jobid"]


VALUES = """\
defaults:
  config:
    timeout_seconds: ten
    queue: short
  inputs:
    name: 5
    nam: x
  secrets:
    apikey: x
  outputs:
    result: strr
    rows: int
tests:
  - name: one
    config: {timeout_seconds: -1}
    inputs: {name: a}
    calls: [after: 1s]
  - name: two
    calls: [after: 1s]
"""


def test_values_are_checked_against_the_spec_each_at_its_place(folder: Folder) -> None:
    folder.change_spec("{type: int, default: 300}", "{type: int, default: 300, minimum: 1}")
    found = about_values(folder, VALUES)
    assert found == [
        "batch_job.test.yaml:3:5: defaults.config: config field 'timeout_seconds': 'ten' is not a valid int",
        "batch_job.test.yaml:4:5: defaults.config.queue: "
        "batch_job has no config field 'queue'; allowed: timeout_seconds",
        "batch_job.test.yaml:6:5: defaults.inputs.name: the input 'name': 5 is not a valid str",
        "batch_job.test.yaml:7:5: defaults.inputs.nam: batch_job has no input 'nam'; did you mean name? allowed: name",
        "batch_job.test.yaml:9:5: defaults.secrets.apikey: "
        "batch_job has no secret 'apikey'; did you mean api_key? allowed: api_key",
        "batch_job.test.yaml:11:5: defaults.outputs.result: "
        "the output 'result': there is no type 'strr'; did you mean str? allowed: "
        "str, int, float, bool, any, datetime, duration, file, dir, dataframe, list[T], dict[str, T] "
        "(and T? for optional)",
        "batch_job.test.yaml:12:5: defaults.outputs.rows: batch_job has no output 'rows'; allowed: result",
        "batch_job.test.yaml:15:13: tests[0].config: config field 'timeout_seconds': -1 is less than the minimum 1",
    ]


def test_a_required_config_field_that_is_missing_is_a_problem_of_the_test(folder: Folder) -> None:
    folder.change_spec("{type: int, default: 300}", "int")
    assert about_values(folder, "tests: [{name: a, calls: [after: 1s]}]") == [
        "batch_job.test.yaml:1:9: tests[0]: config field 'timeout_seconds' (int) is required"
    ]


def test_a_test_with_wrong_values_fails_alone(folder: Folder) -> None:
    bad = {"name": "bad", "config": {"timeout_seconds": "x"}, "calls": [CREATE]}
    result = folder.run_file({"defaults": DEFAULTS, "tests": [bad, {"name": "good", "calls": [CREATE]}]})
    assert [test.passed for test in result.results] == [False, True]
    failure = result.results[0].failures[0]
    assert failure.what == "tests[0].config: config field 'timeout_seconds': 'x' is not a valid int"
    assert failure.line > 1


def test_inputs_of_a_spec_without_inputs_are_free(folder: Folder) -> None:
    folder.change_spec("inputs:\n  name: str\n", "")
    assert about_values(folder, {"tests": [{"name": "a", "inputs": {"x": {"y": 1}}, "calls": [{"after": "1s"}]}]}) == []


def test_a_spec_whose_auth_cannot_be_made_fails_the_test_and_says_why(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from yaml_connector._http import connection
    from yaml_connector.errors import ConfigError

    def no_library(auth: Any) -> None:
        raise ConfigError("this spec needs a library")

    monkeypatch.setattr(connection, "compile_auth", no_library)
    assert folder.run(CREATE).failures[0].what == "this spec needs a library"


def test_the_text_of_this_page_is_the_one_that_dedent_sees() -> None:
    assert textwrap.dedent(VALUES) == VALUES


def test_a_file_that_cannot_be_read_is_a_problem(folder: Folder) -> None:
    file = str(folder.path / "gone.test.yaml")
    loaded, problems = load_tests(read_file(file), file)
    assert loaded is None
    assert [str(problem) for problem in problems] == [f"{file}:1:1: cannot be read: No such file or directory"]
