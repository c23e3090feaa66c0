"""What is valid and surely not meant is a warning that says what to write; what cannot be meant is an error."""

from __future__ import annotations

import pytest

from tests.unit.cli.test_messages import SPEC
from yaml_connector._loading.loader import load_text

GET = "GET /renders/${{ job.id }}"
NOTE = "message: $.render.note"
LOGS = "\ndelete:"
WHEN = "path: $.render.state\n    map: {RUNNING: [waiting, rendering], SUCCEEDED: [ready], FAILED: [broken]}"


def told(old: str, new: str) -> str:
    assert SPEC.count(old) == 1
    (problem,) = load_text(SPEC.replace(old, new).encode(), "s.yaml")[1]
    return str(problem)


@pytest.mark.parametrize(
    "template",
    [
        *("{{ job.id }}", "{{job_id}}", "${job.id}", "${ job.id }}", "{id}", "{JOB_ID}", "$job_id", "$JOB_ID"),
        *("%job_id%", "%(job_id)s", ":job_id", "<job_id>", "<int:job_id>", "#{job.id}", "@{job.id}", "$(job.id)"),
        *("[[job.id]]", "[job_id]", "<%= job.id %>", "__JOB_ID__", "{self.id}", "${var.job_id}", "$.id"),
    ],
)
def test_a_template_of_another_tool_in_a_path_is_named_with_what_was_meant(template: str) -> None:
    message = told(GET, f"GET /renders/{template}")
    assert "warning" in message
    assert message.endswith("is sent as it is written; ${{ job.id }} was meant")


@pytest.mark.parametrize("template", ["{}", "{0}", "%s", "{% if x %}"])
def test_a_template_without_a_name_is_named(template: str) -> None:
    assert "is sent as it is written; write a template" in told(GET, f"GET /renders/{template}")


@pytest.mark.parametrize("template", ["{{ inputs.scene }}", "${inputs.scene}", "$.inputs.scene", "inputs.scene"])
def test_a_name_that_is_known_is_named_in_a_body_too(template: str) -> None:
    assert "${{ inputs.scene }} was meant" in told("frames: 10}", f"frames: '{template}'}}")


@pytest.mark.parametrize(
    "text", ["{{ scene }}", "${SCENE}", "$(inputs)", "{scene}", "$scene", "{{ inputs.other }}", "scene", "$.a.b", "%s"]
)
def test_what_job_bodies_are_full_of_is_left_alone(text: str) -> None:
    assert load_text(SPEC.replace("frames: 10}", f"frames: '{text}'}}").encode(), "s.yaml")[1] == []


@pytest.mark.parametrize("path", ["$.v1.id", "$['0'].id", "$.a[?(@.version == '1.0.2')]", "$.a[?(@.size > 1.5)].id"])
def test_numbers_in_other_paths_are_left_alone(path: str) -> None:
    assert load_text(SPEC.replace("$.render.note", f'"{path}"').encode(), "s.yaml")[1] == []


@pytest.mark.parametrize("lines", ["$.lines[*]", "$..lines", "$.text", "$.status", "${{ body.lines }}"])
def test_lines_that_may_be_meant_are_left_alone(lines: str) -> None:
    logs = f"\nlogs: {{request: GET /log, lines: '{lines}'}}\n\ndelete:"
    assert load_text(SPEC.replace(LOGS, logs).encode(), "s.yaml")[1] == []


@pytest.mark.parametrize("path", ["/$metadata", "/fhir/Patient/$export", "/jobs/a:cancel", "/a%20b%2Fc", "/t[0]/_x_"])
def test_paths_of_real_apis_are_left_alone(path: str) -> None:
    assert load_text(SPEC.replace(GET, f"GET {path}").encode(), "s.yaml")[1] == []


@pytest.mark.parametrize(
    ("condition", "part"),
    [
        ("status == '200'", "leave the quotes out"),
        ("status in ['200', '201']", "leave the quotes out"),
        ("body.state.contains('x')", "write 'x' in body.state"),
        ("body.errors.length() > 0", "write body.errors | length"),
        ("body.get('x')", "write body['key'] | default(...)"),
        ("'status == 200'", "no name is in it"),
        ("now", "write now()"),
        ("$.gone", "write body.gone"),
        ("status === 200 && body.gone", "write `and`, and `==` for `===`"),
        ("status == 200 AND body.x", "write `and` in small letters"),
        ("body.state == \u2018x\u2019", "' for a curly quote"),
        ("body.state =~ 'x'", "write `| regex('...')`"),
        ("any(x for x in body.a)", "there are no loops"),
        ("len(body.errors) > 0", "write x | length"),
        ("exists(body.a)", "write x is defined"),
        ("body.a == TRUE", "write true"),
        ("response.status == 200", "did you mean body?"),
        ("state == 'x'", "did you mean"),
        ("body.a == 'x", "a quote is not closed"),
    ],
)
def test_a_condition_is_told_what_to_write(condition: str, part: str) -> None:
    quoted = '"' + condition.replace('"', '\\"') + '"'
    assert part in told(WHEN, f"- {{when: {quoted}, is: FAILED}}\n    - {{is: SUCCEEDED}}")


@pytest.mark.parametrize(
    ("job_id", "part"),
    [
        ("body.render.id", "write $.render.id"),
        ("response.body.id", "write $.id"),
        ("headers.location", "write ${{ headers.location }}"),
        ("renders.0.id", "write $.renders[0].id"),
        ("$render.id", "write $.render.id"),
        ("$.render.", "write $.render"),
        ("$.render.id,", "write $.render.id"),
        ("$.render | .id", "write $.render.id"),
        ("$response.body#/render/id", "write $.render.id"),
        ("$$.id", "write $.id"),
        ("[$.id]", "must be a string, not a list; write $.id"),
        ("{path: $.id}", "must be a string, not a mapping; write $.id"),
        ("", "is empty"),
        ("${{ render.id }}", "did you mean body.render?"),
        ("${{ $.id }}", "write `body.` for `$.`"),
    ],
)
def test_an_id_is_told_how_to_read_it(job_id: str, part: str) -> None:
    assert part in told("job_id: $.render.id", f"job_id: {job_id}")


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("image: $.files.image", "image: str", "written as {type: str, value: $.image}"),
        ("image: $.files.image", "image: files.image", "write $.files.image"),
        ("image: $.files.image", "image: body.image", "write $.image"),
        ("image: $.files.image", "image: '{{ inputs.scene }}'", "${{ inputs.scene }} was meant"),
        (NOTE, "message: render.note", "write $.render.note"),
        (NOTE, "message: ${{ now }}", "write now()"),
        ("job_id: $.render.id", "job_id: $.id\n  save: {queue: queue}", "write $.queue"),
        ("job_id: $.render.id", "job_id: $.renders.0.id", "write $.renders[0].id"),
        ("image: $.files.image", "image: $.0", "write $[0]"),
        ("job_id: $.render.id", "job_id: $.id\n  save: $.queue", "must be a mapping"),
    ],
)
def test_a_literal_that_was_meant_to_be_read_is_named(old: str, new: str, part: str) -> None:
    assert part in told(old, new)


def test_what_is_wrong_in_a_template_is_shown_where_it_is() -> None:
    text = SPEC.replace(GET, "GET /renders/${{ job.id | uper }}")
    (problem,) = load_text(text.encode(), "s.yaml")[1]
    assert text.splitlines()[problem.line - 1][problem.column - 1 :].startswith("${{ job.id | uper }}")


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("https://farm.example.org/api", "https://$FARM/api", "${{ env.FARM }} was meant"),
        ("https://farm.example.org/api", "https://%FARM%/api", "${{ env.FARM }} was meant"),
        ("  auth:", "  deadline: 60s\n  auth:", "Flyte gives up a call after 10s"),
        (
            '{type: basic, username: flyte, password: "${{ secrets.farm }}"}',
            "{type: bearer, token: abcdef}",
            'this is written in the file; write token: "${{ secrets.farm }}"',
        ),
        (
            '{type: basic, username: flyte, password: "${{ secrets.farm }}"}',
            "{type: bearer, token: '{{ secrets.farm }}'}",
            "${{ secrets.farm }} was meant",
        ),
        ("  auth:", "  headers: {x-a: 1, X-A: 2}\n  auth:", "'X-A' is the same header as x-a"),
        ("{X-Key:", "{x-key: 1, X-Key:", "'X-Key' is the same header as x-key"),
        ("{X-Key:", "{content-length: 5, X-Key:", "'content-length' is set for each request"),
        ("{X-Key:", "{Transfer-Encoding: chunked, X-Key:", "'Transfer-Encoding' is set for each request"),
        (
            "{X-Key:",
            "{Host: farm.example.org, X-Key:",
            "warning: create.request.headers.Host: the host is that of the URL",
        ),
        (LOGS, "\nlogs: {request: GET /log, lines: $.lines}\n\ndelete:", "for each of its items write $.lines[*]"),
        (LOGS, "\nlogs: {request: GET /log, lines: $.a.data}\n\ndelete:", "for each of its items write $.a.data[*]"),
        (
            '{type: basic, username: flyte, password: "${{ secrets.farm }}"}',
            "{type: bearer, token: 'Bearer ${{ secrets.farm }}'}",
            "the word Bearer is added",
        ),
        ("  auth:", "  headers: {authorization: x}\n  auth:", "auth sends authorization, too"),
        ("  auth:", "  headers: {'X Key': x}\n  auth:", "write X-Key"),
        ("{X-Key:", "{'X-Key:':", "write X-Key"),
        ("  auth:", "  query: a=b&c=d\n  auth:", "write {a: b, c: d}"),
        ("{env: FARM_PASSWORD}", "{file: ~/farm}", "write the whole path"),
        ("image: $.files.image", "image:", "this output is always null"),
        ("[broken]", "['/brok.*/']", "is compared as it is written"),
        ("[broken]", "['*']", "is compared as it is written"),
        ("job_id: $.render.id", "job_id: $.id\n  success: 200-299", "write [2xx]"),
        ("job_id: $.render.id", "job_id: $.id\n  success: 200, 201", "write [200, 201]"),
        ("delete:\n  request: DELETE /renders/${{ job.id }}\n", "delete:\n", "delete is empty"),
        (GET, "/renders/x", "write GET /renders/x"),
        (GET, "GTE /renders/x", "did you mean GET?"),
        (GET, "curl https://farm.example.org", "--from-curl"),
        (
            '{type: basic, username: flyte, password: "${{ secrets.farm }}"}',
            "{type: jwt, algorithm: HS257, key: '${{ secrets.farm }}'}",
            "did you mean HS256?",
        ),
    ],
)
def test_what_cannot_work_at_run_time_is_told(old: str, new: str, part: str) -> None:
    assert SPEC.count(old) == 1
    found = [str(problem) for problem in load_text(SPEC.replace(old, new).encode(), "s.yaml")[1]]
    assert [part in line for line in found if "never used" not in line] == [True], found


@pytest.mark.parametrize(
    ("duration", "meant"),
    [
        *(("5 minutes", "5m"), ("00:05:00", "5m"), ("1m30s", "90s"), ("PT5M", "5m"), ("1w", "7d"), ("1d12h", "36h")),
        *(("5,5s", "5.5s"), ("1e3", "1000s"), ("5S", "5s"), ("2 hours 30 minutes", "150m"), ("forever", None)),
    ],
)
def test_a_duration_of_another_form_is_told_as_one_of_ours(duration: str, meant: str | None) -> None:
    message = told("  auth:", f"  timeout: {duration}\n  auth:")
    assert message.endswith(f"did you mean {meant}?" if meant else "leave the key out for the default")


@pytest.mark.parametrize(
    ("size", "meant"), [("10485760", "10485760B"), ("10Mi", "10MiB"), ("1.5MiB", "1536KiB"), ("10 mb", "10MiB")]
)
def test_a_size_of_another_form_is_told_as_one_of_ours(size: str, meant: str) -> None:
    assert told("  auth:", f"  max_response: {size}\n  auth:").endswith(f"did you mean {meant}?")


@pytest.mark.parametrize(
    ("kind", "meant"),
    [
        *(("string", "str"), ("number", "float"), ("object", "dict[str, any]"), ("array", "list[any]")),
        *(("date", "datetime"), ("Optional[str]", "str?"), ("str | None", "str?"), ("List[str]", "list[str]")),
        *(("string[]", "list[str]"), ("list<int>", "list[int]"), ("Dict[str, int]", "dict[str, int]"), ("url", "str")),
    ],
)
def test_a_type_of_another_language_is_told_as_one_of_ours(kind: str, meant: str) -> None:
    assert f"did you mean {meant}?" in told("  scene: str", f"  scene: '{kind}'")
