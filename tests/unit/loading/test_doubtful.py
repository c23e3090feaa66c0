"""What is valid and surely not meant is a warning that says what to write; what cannot be meant is an error."""

from __future__ import annotations

import pytest

from tests.unit.cli.test_messages import SPEC
from yaml_connector._loading.loader import load_text

GET = "GET /renders/${{ job.id }}"
NOTE = "message: $.render.note"
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
        ("job_id: $.render.id", "job_id: $.id\n  save: $.queue", "must be a mapping"),
    ],
)
def test_a_literal_that_was_meant_to_be_read_is_named(old: str, new: str, part: str) -> None:
    assert part in told(old, new)


def test_what_is_wrong_in_a_template_is_shown_where_it_is() -> None:
    text = SPEC.replace(GET, "GET /renders/${{ job.id | uper }}")
    (problem,) = load_text(text.encode(), "s.yaml")[1]
    assert text.splitlines()[problem.line - 1][problem.column - 1 :].startswith("${{ job.id | uper }}")
