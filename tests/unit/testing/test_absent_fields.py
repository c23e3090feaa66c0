"""APIs omit fields: what a missing one means where a list or a mapping is put together from several."""

from __future__ import annotations

from typing import Any

from tests.support.contract_folder import CREATE, Folder, get, state

JOBS = {"jobs": [{"id": 1, "state": "running"}, {"state": "running"}, {"id": None}]}


def test_a_missing_field_of_an_item_is_null_in_info(folder: Folder) -> None:
    info = "{ids: \"${{ body.jobs | map(attribute='id') | list }}\", own: \"${{ {'a': body.gone, 'b': [body.x.y]} }}\"}"
    folder.change_spec("  message: $.detail", f"  message: $.detail\n  info: {info}")
    expect = {"phase": "RUNNING", "info": {"ids": [1, None, None], "own": {"a": None, "b": [None]}}}
    assert folder.run(CREATE, get({"json": {"state": "running", **JOBS}}, expect=expect)).passed


def test_a_missing_field_of_an_item_is_null_in_what_create_keeps(folder: Folder) -> None:
    folder.change_spec(
        "  job_id: $.id", "  job_id: $.id\n  save: {ids: \"${{ body.jobs | map(attribute='id') | list }}\"}"
    )
    exchange = {"request": {"method": "POST", "path": "/jobs"}, "response": {"json": {"id": 7, **JOBS}}}
    create = {"create": {"exchanges": [exchange], "expect": {"job_id": "7", "saved": {"ids": [1, None, None]}}}}
    assert folder.run(create).passed


def test_a_missing_field_of_an_item_is_null_in_an_output_and_in_its_json_text(folder: Folder) -> None:
    value = "${{ body.jobs | map(attribute='id') | list }}"
    folder.change_spec(
        "  result: $.result", f'  result: {{type: any, value: "{value}"}}\n  text: "{value[:-3]}| json }}}}"'
    )
    expect = {"phase": "SUCCEEDED", "outputs": {"result": [1, None, None], "text": "[1,null,null]"}}
    assert folder.run(CREATE, get({"json": {"state": "done", **JOBS}}, expect=expect)).passed


def test_a_missing_field_of_an_item_is_an_error_in_a_request_and_nothing_is_sent(folder: Folder) -> None:
    folder.change_spec("  name: str\n", "  name: any\n")
    folder.change_spec("name: ${{ inputs.name }}", "name: \"${{ inputs.name | map(attribute='id') | list }}\"")
    create = {"create": {"expect": {"phase": "FAILED", "message": "/'id' does not exist/"}}}
    assert folder.run(create, inputs={"name": [{"id": 1}, {"di": 2}]}).passed


def test_an_output_of_any_type_that_is_not_there_fails_the_job_and_null_is_a_value(folder: Folder) -> None:
    folder.change_spec("  result: $.result", "  result: {type: any, value: $.result}")
    assert folder.run(CREATE, get(state("done", result=None), expect={"outputs": {"result": None}})).passed
    missing = {"phase": "FAILED", "message": "/'result' is not at \\$.result/", "outputs": {}}
    assert folder.run(CREATE, get(state("done"), expect=missing)).passed


def test_a_page_that_could_not_be_fetched_is_where_the_next_get_goes_on(folder: Folder) -> None:
    folder.change_spec(
        "  request: GET /jobs/${{ job.id }}\n",
        "  request: {url: \"${{ cursor or '/jobs/7' }}\"}\n  follow: $.next\n",
    )
    first = {"request": "GET /jobs/7", "response": {"json": {"state": "running", "next": "/jobs/7/2"}}}
    second = {"request": "GET /jobs/7/2", "response": {"status": 503}, "repeat": 3}
    later = {"request": "GET /jobs/7/2", "response": {"json": {"state": "done", "result": "r"}}}
    assert folder.run(
        CREATE,
        {"get": {"exchanges": [first, second], "expect": {"phase": "RUNNING", "message": "/503/"}}},
        {"get": {"exchanges": [later], "expect": {"phase": "SUCCEEDED"}}},
    ).passed


SAVES = """\
  steps:
    - {name: a, request: POST /a, save: {n: $.n}}
    - {name: b, if: steps.a.saved.n, request: POST /b, save: {n: $.n}}
    - {name: c, request: POST /c, optional: true, save: {n: $.n}}
    - name: d
      if: steps.b is not defined and not steps.c
      request: POST /${{ steps.a.saved.n or steps.b.saved.n or steps.c.saved.n or 'none' }}
"""


def test_what_a_step_declares_to_save_is_null_if_it_was_not_found_or_the_step_was_skipped(folder: Folder) -> None:
    spec = (folder.path / "batch_job.yaml").read_text(encoding="utf-8")
    start, end = spec.index("  request:\n    method: POST"), spec.index("  idempotent: true")
    folder.change_spec(spec[start:end], SAVES)
    sent = [("/a", {"json": {}}), ("/c", {"status": 422}), ("/none", {"status": 503})]
    again = [("/none", {"json": {"id": 7}})]

    def exchanges(pairs: list[tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]:
        return [{"request": {"method": "POST", "path": path}, "response": answer} for path, answer in pairs]

    running = {"request": {"path": "/jobs/7"}, "response": {"json": {"state": "running"}}}
    create = {"create": {"exchanges": exchanges([*sent, sent[-1], sent[-1]]), "expect": {"submitted": False}}}
    kept = {"get": {"exchanges": [*exchanges(again), running], "expect": {"phase": "RUNNING", "submitted": True}}}
    assert folder.run(create, kept).passed
    assert folder.run(create, {"restart": True}, kept).passed
