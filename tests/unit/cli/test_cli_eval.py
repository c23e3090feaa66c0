"""`yaml-connector eval`: an expression, or a section of a spec, on a saved response."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.command_line import Command, Done
from tests.support.paths import ROOT
from yaml_connector.cli.eval.saved_response import saved_response

ANSWER = {
    "data": {"id": 7, "state": "done", "note": None, "parts": [{"n": 1}, {"n": 2}]},
    "ok": False,
    "items": "a field",
}
BATCH_JOB = str(ROOT / "connectors.d" / "batch_job.yaml")
CURL = (
    "HTTP/1.1 100 Continue\r\n\r\n"
    "HTTP/1.1 302 Found\r\nLocation: /jobs/7\r\n\r\n"
    'HTTP/2 202 \r\ncontent-type: application/json\r\nx-seen: a\r\nX-Seen: b\r\n\r\n{"state": "done"}'
)


@pytest.fixture
def evaluated(command: Command, here: Path) -> Any:
    """`eval` of an expression on a file that holds the answer."""

    def run(expression: str, *options: str, answer: Any = ANSWER) -> Done:
        content = answer if isinstance(answer, bytes) else answer.encode() if isinstance(answer, str) else None
        (here / "answer").write_bytes(json.dumps(answer).encode() if content is None else content)
        return command("eval", expression, "answer", *options)

    return run


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("$.data.state", "done"),
        ("$.data.note", None),
        ("$.data.parts[*].n", [1, 2]),
        ("$.data.parts[1]", {"n": 2}),
        ("${{ body.data.id }}", 7),
        ("${{ body.data.id }} of ${{ status }}", "7 of 200"),
        ("body.ok", False),
        ("body.data.parts | map(attribute='n') | list", [1, 2]),
        ("body.items", "a field"),
        ("status == 404", False),
        ("body.absent == 1", False),
        ("body.absent is defined", False),
        ("${{ body.absent | default('none') }}", "none"),
        ("size", len(json.dumps(ANSWER))),
    ],
)
def test_the_value_is_printed_as_json_null_and_false_too(evaluated: Any, expression: str, value: Any) -> None:
    done = evaluated(expression)
    assert (done.returncode, json.loads(done.stdout), done.stderr) == (0, value, "")


@pytest.mark.parametrize(
    ("expression", "names", "told"),
    [
        ("$.data.stat", ["id", "state", "note", "parts"], "there is no stat in $.data; did you mean state?"),
        ("$.state", ["data", "ok", "items"], "there is no state in $; did you mean $.data.state?"),
        ("$.data.parts[*].m", ["n"], "there is no m in $.data.parts[*]; there is: n"),
        ("$.data.parts[7]", [], "there is no 7 in $.data.parts, a list of 2"),
        ("$.data.id.x", [], "there is no x in $.data.id, which is a single value"),
        ("$.data.parts[?(@.n == 9)]", ["n"], "nothing in $.data.parts, a list of 2, matches the rest of the path"),
        ("body.data.stat", ["id", "state", "note", "parts"], "there is no stat in body.data; did you mean state?"),
        ("${{ body.data['stat'] }}", ["id", "state", "note", "parts"], "did you mean state?"),
        ("id ${{ body.id }}", ["data", "ok", "items"], "there is no id in body; did you mean body.data.id?"),
        (
            "ok",
            ["status", "headers", "body", "text", "size", "cookies", "url"],
            "there is no ok; did you mean body.ok?",
        ),
        ("headers.location", ["X-A"], "there is no location in headers"),
    ],
)
def test_what_is_not_there_says_which_names_are_with_exit_code_1(
    evaluated: Any, expression: str, names: list[str], told: str
) -> None:
    done = evaluated(expression, "--json", "--header", "X-A: 1")
    found = json.loads(done.stdout)
    assert (done.returncode, found["found"], found["names"]) == (1, False, names)
    assert told in done.stderr


@pytest.mark.parametrize("expression", ["body.data |", "${{ body.data | nofilter }}", "$.a[", "body.x | regex('(')"])
def test_what_is_not_an_expression_is_wrong_usage(evaluated: Any, expression: str) -> None:
    done = evaluated(expression)
    assert done.returncode == 2
    assert "is not a valid" in done.stderr


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("$.[", "something is missing at its end"),
        ("$.a b", "'b' cannot follow '$.a '"),
        ("$.ä", "'ä' cannot follow '$.'"),
        ("$['a", "a quote in it is not closed"),
    ],
)
def test_a_path_that_is_not_one_is_told_in_words_and_quoted_once(evaluated: Any, path: str, told: str) -> None:
    assert f"Error: {path!r} is not a valid JSONPath: {told}\n" in evaluated(path).stderr


@pytest.mark.parametrize(
    ("expression", "value"),
    [("status", 202), ("headers['x-seen']", "a, b"), ("$.state", "done"), ("headers.location is defined", False)],
)
def test_curls_output_is_read_with_the_last_of_its_heads(evaluated: Any, expression: str, value: Any) -> None:
    for text in (CURL, CURL.replace("\r\n", "\n"), CURL.encode("utf-16")):
        assert json.loads(evaluated(expression, answer=text).stdout) == value


@pytest.mark.parametrize("body", ["", "HTTP/1.1 is a protocol", "HTTP/1.1 200 OK\nno colon here\n\n"])
def test_a_body_that_only_looks_like_a_head_is_a_body(evaluated: Any, body: str) -> None:
    done = evaluated("text", answer=CURL.replace('{"state": "done"}', body))
    assert json.loads(done.stdout) == body


def test_options_replace_what_the_head_says(evaluated: Any) -> None:
    options = ("--status", "404", "--header", "X-Seen: c")
    done = evaluated("${{ [status, headers['x-seen']] }}", *options, answer=CURL)
    assert json.loads(done.stdout) == [404, "c"]


def test_what_json_does_not_have_is_text(evaluated: Any) -> None:
    done = evaluated("$", "--json", answer='{"loss": NaN, "most": [-Infinity]}')
    assert json.loads(done.stdout, parse_constant=pytest.fail)["value"] == {"loss": "NaN", "most": ["-Infinity"]}


def test_a_compressed_body_is_unpacked(evaluated: Any) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"
    done = evaluated("$.state", answer=head + gzip.compress(b'{"state": "packed"}'))
    assert json.loads(done.stdout) == "packed"


def test_a_response_over_max_response_is_an_error(evaluated: Any) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"
    for answer in (b"x" * (11 * 2**20), head + gzip.compress(b"x" * (11 * 2**20))):
        done = evaluated("size", answer=answer)
        assert (done.returncode, "longer than max_response, 10 MiB" in done.stderr) == (1, True)


def test_a_page_that_is_not_json_is_told(evaluated: Any) -> None:
    done = evaluated("$.state", "--header", "Content-Type: text/html", answer="<title>Sign in</title>")
    assert done.returncode == 1
    assert done.stderr == "the response is not JSON (its Content-Type is text/html)\n"


@pytest.mark.slow
@given(st.binary(max_size=300), st.sampled_from([b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/2 302\n", CURL.encode()]))
def test_any_bytes_can_be_read(content: bytes, before: bytes) -> None:
    response = saved_response(before + content, status=None, headers=(), url="http://x/", limit=2**20)
    assert len(response.content) <= len(before + content)
    assert 0 <= response.status <= 999


# --- a section of a spec -------------------------------------------------------------------------------------------


def judged(command: Command, here: Path, answer: Any, *options: str, spec: str = BATCH_JOB) -> tuple[int, Any]:
    (here / "answer").write_text(answer if isinstance(answer, str) else json.dumps(answer), encoding="utf-8")
    done = command("eval", "--spec", spec, "answer", "--json", *options)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_get_gives_phase_rule_message_and_outputs_and_needs_no_secret(command: Command, here: Path) -> None:
    code, found = judged(command, here, {"state": "done", "detail": "fine", "result": "r7"})
    assert code == 0
    expected = {
        "phase": "SUCCEEDED",
        "rule": "get.phase",
        "message": "fine",
        "outputs": {"result": "r7"},
        "error": None,
    }
    assert {name: found[name] for name in expected} == expected


def test_a_state_that_is_not_there_names_those_that_are(command: Command, here: Path) -> None:
    code, found = judged(command, here, {"status": "done"})
    assert (code, found["rule"]) == (1, None)
    assert "nothing at $.state (there is no state in $; did you mean status? there is: status)" in found["message"]


@pytest.mark.parametrize(
    ("section", "options", "answer", "code", "expected"),
    [
        ("get", ("--status", "404"), {}, 0, {"phase": "FAILED", "rule": None}),
        ("get", ("--status", "503"), {}, 1, {"phase": "RUNNING"}),
        ("create", (), {"id": 7}, 0, {"job_id": "7", "error": None}),
        ("create", ("--status", "422"), {"message": "no"}, 1, {"job_id": None, "phase": "FAILED"}),
        ("delete", ("--status", "409"), {}, 0, {"error": None}),
        ("delete", ("--status", "403"), {}, 1, {}),
        ("logs", (), {"lines": [{"text": "a", "time": None}]}, 0, {"lines": ["a"], "next": None}),
    ],
)
def test_each_section_judges_as_in_a_job(
    command: Command, here: Path, section: str, options: tuple[str, ...], answer: Any, code: int, expected: Any
) -> None:
    found_code, found = judged(command, here, answer, "--section", section, *options)
    assert (found_code, {name: found[name] for name in expected}) == (code, expected)


STEPS = """\
spec_version: 1
task_type_name: steps
connection: {base_url: "https://${{ env.NOWHERE }}", auth: {type: bearer, token: "${{ secrets.key }}"}}
secrets: {key: {env: KEY}}
config: {room: str}
inputs: {order: str}
outputs: {pages: {type: int, value: "${{ body | length }}"}}
create:
  request: {method: POST, path: "/${{ config.room }}", json: {order: "${{ inputs.order }}"}}
  job_id: "${{ config.room }}-${{ body.id }}"
  save: {room: $.room}
get:
  steps:
    - name: state
      request: GET /rooms/${{ job.room }}/${{ config.room }}
      error: body.fault
    - name: extra
      if: steps.state.body.state == 'done'
      request: GET /extra
  read: state
  phase:
    - {when: steps.extra.status == 404, is: FAILED}
    - {path: $.state, map: {SUCCEEDED: [done]}}
  links: [{name: Room, url: "${{ base_url }}/${{ job.id }}/${{ job.room }}"}]
result:
  request: GET /pages
  follow: $.next
  collect: $.items[*]
logs:
  steps: [{name: pods, request: GET /pods}]
  each: $.pods[*]
  request: GET /logs/${{ item }}
  format: text
"""


def test_of_several_steps_the_one_that_is_read_gets_the_response(command: Command, here: Path) -> None:
    (here / "steps.yaml").write_text(STEPS, encoding="utf-8")
    options = ("--job-id", "9", "--saved", "room=blue")
    code, found = judged(command, here, {"state": "done"}, *options, spec="steps.yaml")
    assert (code, found["rule"], found["outputs"]) == (0, "get.phase[1]", {})
    assert found["links"] == [{"name": "Room", "url": "http://localhost/9/blue"}]
    code, found = judged(command, here, {"fault": "it broke"}, spec="steps.yaml")
    assert (code, "it broke" in found["error"]) == (1, True)
    code, found = judged(command, here, {"items": [1, 2], "next": "/2"}, "--section", "result", spec="steps.yaml")
    assert found["outputs"] == {"pages": 2}
    code, found = judged(command, here, "one\ntwo\n", "--section", "logs", spec="steps.yaml")
    assert found["lines"] == ["one", "two"]
    options = ("--section", "create", "--config", "room=red")
    code, found = judged(command, here, {"id": 3, "room": "r"}, *options, spec="steps.yaml")
    assert (code, found["job_id"], found["saved"]) == (0, "red-3", {"room": "r"})


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "give an EXPRESSION, or --spec SPEC"),
        (("$.a", "one", "two"), "at most one FILE"),
        (("$.a", "no-such-file"), "no-such-file: No such file or directory"),
        (("$.a", "answer", "--header", "no colon"), "write it as 'NAME: VALUE'"),
        (("$.a", "answer", "--section", "get"), "--section needs --spec"),
        (("--spec", BATCH_JOB, "answer", "--section", "result"), "the spec has no result; it has: create, get"),
    ],
)
def test_what_is_wrong_on_the_command_line_is_named(
    command: Command, here: Path, arguments: tuple[str, ...], told: str
) -> None:
    (here / "answer").write_text("{}", encoding="utf-8")
    done = command("eval", *arguments)
    assert done.returncode in (1, 2)
    assert told in done.stderr
