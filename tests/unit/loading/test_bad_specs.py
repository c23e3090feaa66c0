"""Every mistake of a spec is one sentence at its line and column, with the closest valid name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.spec_problems import problems
from yaml_connector._loading.loader import load, load_text
from yaml_connector.errors import SpecError

GOOD = (ROOT / "connectors.d" / "batch_job.yaml").read_text(encoding="utf-8")


def replaced(old: str, new: str) -> list[str]:
    assert old in GOOD
    return problems(GOOD.replace(old, new, 1))


def test_the_spec_of_the_language_page_has_no_problem() -> None:
    assert problems(GOOD) == []


def test_ten_mistakes_are_ten_lines() -> None:
    text = """\
spec_version: 1
task_type_name: batch_job
connection:
  base_url: http://x
  auth: {type: bearr, token: x}
  timeout: 10
secrets:
  key: {envv: KEY}
config:
  a: {type: integer}
  b: {type: int, default: x}
inputs:
  name: strr
create:
  request: {method: POST, path: /jobs, json: {}, form: {}}
  job_id: $.id
  idempotentt: true
get:
  request: GET
  phase: {path: $.s, map: {SUCCEDED: [done], FAILED: done}}
"""
    found = problems(text)
    assert [line.split(": ")[0] for line in found] == [
        "s.yaml:5:16",
        "s.yaml:6:12",
        "s.yaml:8:9",
        "s.yaml:10:13",
        "s.yaml:11:6",
        "s.yaml:13:9",
        "s.yaml:15:12",
        "s.yaml:17:3",
        "s.yaml:19:12",
        "s.yaml:20:28",
        "s.yaml:20:54",
    ]
    for line, part in zip(
        found,
        [
            "connection.auth.type: 'bearr' is not allowed; did you mean bearer? allowed: bearer, basic, api_key",
            "connection.timeout: 10 is not a valid duration; write it as 500ms, 10s, 5m, 24h or 7d",
            "secrets.key.envv: unknown key; did you mean env? allowed: env, file, description, required",
            "config.a.type: there is no type 'integer'; did you mean int?",
            "config.b: the default: 'x' is not a valid int",
            "inputs.name: there is no type 'strr'; did you mean str?",
            "create.request: a request has at most one body, not json and form",
            "create.idempotentt: unknown key; did you mean idempotent?",
            "get.request: the short form of a request is a method and a path",
            "get.phase.map.SUCCEDED: 'SUCCEDED' is not allowed; did you mean SUCCEEDED?",
            "get.phase.map.FAILED: must be a list, not the string 'done'",
        ],
        strict=True,
    ):
        assert part in line


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "s.yaml:1:1: the file is empty; a spec is a mapping that starts with spec_version: 1"),
        ("# nothing\n", "s.yaml:1:1: the file is empty; a spec is a mapping that starts with spec_version: 1"),
        ("- a\n- b\n", "s.yaml:1:1: must be a mapping, not a list; a spec starts with spec_version: 1"),
        (
            "a:\n\t- b\n",
            "s.yaml:2:1: not YAML: there is a tab; YAML allows only spaces",
        ),
        ("a: 1\n---\nb: 2\n", "s.yaml:2:1: one file holds one document; this is a second"),
        (b"a: \xff\n", "s.yaml:1:4: the file is not UTF-8 text"),
        (b"a: " + b"x" * 2**21, "s.yaml:1:1: the file is larger than 1 MiB"),
        ("a: {b: ${{ x }}}\n", "put quotes around the template"),
        ("a: {b: list[str]}\n", "put quotes around types such as 'list[str]'"),
        ("a: b: c\n", "a string that contains ': ' needs quotes"),
        ("a: '${{ x }}'\nb: {c: list[str]}\n", "put quotes around types such as 'list[str]'"),
        ("a: {b: list[str], c: '${{ x }}'}\n", "put quotes around types such as 'list[str]'"),
        ("a: {b: '${{ x }}', c: list[str]}\n", "put quotes around types such as 'list[str]'"),
        ("a: '${{ x }}'\nb: c: d\n", "a string that contains ': ' needs quotes"),
        ("a: '${{ x }}'\n b: c\n", "b: is indented by 1 space, but a: on line 1 has a value"),
        ("a: {b: 'x', c: ${{ y }}, d: list[str]}\n", "put quotes around the template"),
        ("a: ${{ x\n  | default('b: c') }}\n", "put quotes around the template"),
        ("a: &x [*x]\n", "s.yaml:1:8: the alias *x refers to itself"),
        ("a: *nope\n", "s.yaml:1:4: there is no anchor &nope before this alias"),
        ("[" * 200, "nested deeper than 100 levels"),
    ],
)
def test_what_is_no_spec_is_said_in_one_sentence(text: str | bytes, sentence: str) -> None:
    found = problems(text)
    assert len(found) == 1
    assert sentence in found[0]


@pytest.mark.slow
def test_an_alias_bomb_is_stopped() -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]" for old, new in zip("abcdefgh", "bcdefghi", strict=True)]
    (found,) = problems("\n".join(lines))
    assert "more than 100000 values, aliases expanded" in found


def test_a_duplicate_key_names_the_first() -> None:
    assert replaced("name: Batch Job\n", "name: Batch Job\nname: Other\n") == [
        "s.yaml:5:1: name: duplicate key, first defined on line 4"
    ]


def test_what_a_duplicate_key_holds_is_not_looked_at() -> None:
    assert replaced("name: Batch Job\n", "name: Batch Job\nname: {a: [$.x, {b: !!str c}]}\n") == [
        "s.yaml:5:1: name: duplicate key, first defined on line 4"
    ]


def test_a_mistake_in_an_alias_is_shown_where_the_alias_stands() -> None:
    text = GOOD.replace("name: Batch Job", "name: &type strr").replace("name: str\n", "name: *type\n", 1)
    (found,) = problems(text)
    line = text[: text.index("*type")].count("\n") + 1
    assert found.startswith(f"s.yaml:{line}:9: inputs.name: there is no type 'strr'")


def test_tags_and_merge_keys_are_errors() -> None:
    assert "tags are not allowed: !!str" in replaced("name: Batch Job", "name: !!str Batch Job")[0]
    assert "merge keys (<<) are not allowed" in replaced("name: Batch Job", "<<: {name: x}")[0]


def test_words_that_other_yaml_reads_as_booleans_are_states() -> None:
    text = GOOD.replace("[queued]", "[ON, OFF, NO, yes]")
    loaded, _ = load_text(text.encode(), "s.yaml")
    assert loaded is not None
    assert loaded.spec.get is not None
    assert (loaded.spec.get.phase[0].map or {})["QUEUED"] == ["ON", "OFF", "NO", "yes"]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "${{ inputs.name }}",
            "${{ inputs.nmae }}",
            "create.request.json.name: there is no inputs.nmae; did you mean name? there is: name",
        ),
        ("$.state", "$.st[", "get.phase.path: '$.st[' is not a valid JSONPath: something is missing at its end"),
        ("config.timeout_seconds }}", "config.timeout_seconds + }}", "syntax error in the expression"),
        ("inputs.name }}", "inputs.name | uper }}", "there is no filter 'uper'; did you mean upper?"),
        ("name: Batch Job", 'name: "x ${{ inputs.name }}"', "name: templates are not allowed in this field"),
        ("message: $.detail", "message: ${{ secrets.api_key }}", "get.message: 'secrets' cannot be used here"),
        ("message: $.detail", "message: ${{ body.a or null }}", "get.message: 'null' cannot be used here; write none"),
        ("page.token }}", "page.tokn }}", "there is no page.tokn; did you mean token?"),
        ("job.id }}/cancel", "job.idd }}/cancel", "there is no job.idd; did you mean id?"),
        ("secrets.api_key }}", "secrets.api_kee }}", "there is no secrets.api_kee; did you mean api_key?"),
        ("[error]", "[error, DONE]", "the value 'DONE' is mapped to both SUCCEEDED and FAILED"),
        ("method: POST\n    path: /jobs", "path: /jobs", "create.request.method: is required in create and delete"),
        ("  job_id: $.id\n", "", "create.job_id: is required"),
        ("name: ${{ inputs.name }}", "${{ inputs.name }}: 1", "a key may not contain a template"),
        (
            "  request: GET /jobs/${{ job.id }}\n",
            "  steps: [{name: a, request: GET /a}, {name: a, request: GET /b}]\n",
            "get.steps[1].name: there is a step 'a' before this one",
        ),
        (
            "  message: $.detail",
            "  batch: {request: 'GET /jobs/${{ job.id }}', items: '$', id: $.id}",
            "get.batch.request.path: 'job' cannot be used here; did you mean jobs? here there is: config, base_url",
        ),
        (
            'auth: {type: bearer, token: "${{ secrets.api_key }}"}',
            "auth: {type: token, request: {method: POST, path: /login, text: '${{ jwt }}'}, token: $.token}",
            "connection.auth.request.text: 'jwt' cannot be used here",
        ),
        (
            'auth: {type: bearer, token: "${{ secrets.api_key }}"}',
            "auth: {type: token, request: POST /login, token: $.token, expires: $.x}",
            "connection.auth.expires: unknown key; did you mean expires_in?",
        ),
        ("spec_version: 1", "spec_version: 2", "spec_version: 2 is not allowed; allowed: 1"),
        ("api_key: {env", "inputs: {env", "a secret cannot be called 'inputs'"),
        ("env.BATCH_URL", "config.url", "there is no config.url"),
        ("lines: $.lines[*]\n  ", "", "logs: lines is required for format json"),
        ("connection:", "connection:\n  timeout: 0s", "connection.timeout: input should be greater than 0"),
        ("method: POST", "timeout: 0s\n    method: POST", "request.timeout: input should be greater than 0"),
        ("connection:", "connection:\n  rate_limit: {requests: 1, per: 0s}", "rate_limit.per: input should be greater"),
        ("name: Batch Job", "task_type_version: 2147483648", "task_type_version: input should be less than 2147483648"),
        (
            "${{ env.BATCH_URL | default('http://127.0.0.1:8900') }}",
            "5",
            "must be a string, not the number 5; put quotes",
        ),
    ],
)
def test_a_mistake_is_named_with_what_would_be_right(old: str, new: str, sentence: str) -> None:
    found = replaced(old, new)
    assert any(sentence in line for line in found), found


def test_a_condition_in_template_marks_says_so() -> None:
    found = replaced("idempotent: true", "idempotent: true\n  if: ${{ inputs.name }}")
    assert any("a condition is a bare expression: leave ${{ and }} out" in line for line in found)


def test_config_in_base_url_needs_allowed_hosts() -> None:
    found = replaced("env.BATCH_URL | default('http://127.0.0.1:8900')", "config.timeout_seconds")
    assert any("base_url uses config, so allowed_hosts is required" in line for line in found)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "path: /jobs\n",
            "path: /a/../b\n",
            "request.path: '/a/../b' must not contain the segments '.' and '..'",
        ),
        ("POST /jobs/${{ job.id }}/cancel", "POST /./x?a=..", "'/./x?a=..' must not contain the segments '.' and '..'"),
        ("name: ${{ inputs.name }}", "name: .nan", "create.request.json.name: nan cannot be sent"),
    ],
)
def test_what_no_request_could_ever_send_is_found_when_the_spec_is_loaded(old: str, new: str, said: str) -> None:
    (found,) = replaced(old, new)
    assert said in found


def test_two_dots_in_a_query_or_in_a_template_are_no_mistake() -> None:
    assert replaced("path: /jobs\n", "path: /jobs?range=../..\n") == []
    assert replaced("GET /jobs/${{ job.id }}", "GET /jobs/${{ job.id | replace('/../', '') }}") == []


def test_two_specs_with_one_task_type_and_version_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "b.yaml").write_text(GOOD)
    with pytest.raises(SpecError, match=r"b.yaml:3:17: task_type_name: .*a.yaml has the task type 'batch_job'"):
        load(tmp_path)


def test_a_missing_folder_says_where_specs_are_looked_for(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="there is no such file or folder; specs are looked for in the path given"):
        load(tmp_path / "nowhere")


def test_a_folder_is_loaded_without_its_contract_tests_and_hidden_files(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    for name in ("a.test.yaml", "b.test.yml", ".hidden.yaml"):
        (tmp_path / name).write_text("tests: []")
    assert [item.file for item in load(tmp_path)] == [str(tmp_path / "a.yaml")]


def test_an_empty_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"there is no spec \(\*.yaml\) in this folder"):
        load(tmp_path)


def test_what_is_likely_a_mistake_is_a_warning_and_no_error() -> None:
    text = GOOD.replace("  idempotent: true\n", "").replace("      FAILED: [error]\n      ABORTED: [cancelled]\n", "")
    text = text.replace("secrets:\n", "secrets:\n  unused: {env: X}\n").replace(
        "  auth:", "  tls: {verify: false}\n  auth:"
    )
    loaded, found = load_text(text.encode(), "s.yaml")
    assert loaded is not None
    assert [problem.path for problem in found] == ["connection.tls.verify", "secrets.unused", "create", "get.phase"]
    assert {problem.severity for problem in found} == {"warning"}


@pytest.mark.parametrize(
    ("setting", "warning"),
    [
        ("deadline: 2s", "one attempt may take longer than the deadline of the whole call"),
        ("retry: {initial_delay: 10s}", "the first retry would come after the deadline"),
    ],
)
def test_times_that_cannot_be_kept_are_a_warning(setting: str, warning: str) -> None:
    text = GOOD.replace("connection:\n", f"connection:\n  {setting}\n", 1)
    assert warning in [problem.message for problem in load_text(text.encode(), "s.yaml")[1]]


def test_a_long_tolerance_of_a_create_wants_to_know_what_never_works() -> None:
    text = GOOD.replace("  idempotent: true\n", "  idempotent: 7d\n  tolerance: 2h\n", 1)
    (problem,) = load_text(text.encode(), "s.yaml")[1]
    assert (problem.path, problem.severity) == ("create.tolerance", "warning")
    assert problem.message.startswith("a create that never works is tried for 2h, too")
    assert load_text(text.replace("tolerance: 2h", "tolerance: 10m").encode(), "s.yaml")[1] == []
    named = text.replace("  tolerance: 2h\n", "  tolerance: 2h\n  error: body.code == 'BAD'\n")
    assert load_text(named.encode(), "s.yaml")[1] == []
