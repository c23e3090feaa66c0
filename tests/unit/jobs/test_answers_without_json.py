"""A 2xx that is not the JSON that an extraction needs is passing: it is sent again within the call, and is
never taken for an unknown state, a job that is not there, or a log that is over."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.fake_api import FakeApi, job, reply
from yaml_connector.errors import TransientError

HTML = reply(200, html="<!doctype html><title>Sign in</title>")
BROKEN_JSON = reply(200, content=b'{"id": 7, "state": "do')
PAGES = pytest.mark.parametrize("page", [HTML, BROKEN_JSON], ids=["html", "broken json"])
PATH = {"path": "$.state", "map": {"RUNNING": ["running"], "SUCCEEDED": ["done"]}}


def get_section(*rules: Any, **more: Any) -> dict[str, Any]:
    return {"request": "GET /jobs/${{ job.id }}", "phase": list(rules), **more}


@PAGES
@pytest.mark.parametrize(
    "rules",
    [
        [PATH],
        [PATH, {"is": "FAILED"}],
        [{**PATH, "path": "${{ body.state }}"}, {"is": "FAILED"}],
        [{**PATH, "path": "${{ steps.look.body.state }}"}, {"is": "FAILED"}],
        [{"when": "body.state == 'done'", "is": "SUCCEEDED"}, {"is": "FAILED"}],
        [{"when": "not body.active", "is": "SUCCEEDED"}],
        [{"when": "status == 404", "is": "ABORTED"}, PATH],
    ],
    ids=["path", "path and is", "template", "by the step's name", "condition", "negation", "condition on the status"],
)
class TestGet:
    def section(self, rules: list[Any]) -> dict[str, Any]:
        return {"steps": [{"name": "look", "request": "GET /jobs/${{ job.id }}"}], "phase": rules}

    def test_asks_again_within_the_call(self, page: Any, rules: list[Any]) -> None:
        driver = job({"GET /jobs/7": [page, {"state": "done"}]}, get=self.section(rules))
        assert (driver.get().phase, len(driver.api.sent)) == ("SUCCEEDED", 2)

    def test_never_takes_the_page_for_a_state(self, page: Any, rules: list[Any]) -> None:
        driver = job({"GET /jobs/7": page}, get=self.section(rules))
        status = driver.get()
        assert (status.phase, len(driver.api.sent)) == ("RUNNING", 3)
        assert "unreadable since" in (status.message or "")
        assert "GET https://api.test/jobs/7 answered 200 with no JSON (" in (status.message or "")


@pytest.mark.parametrize(
    ("answer", "rules", "phase"),
    [
        (reply(204), [{"when": "status == 204 or body.state == 'running'", "is": "QUEUED"}, PATH], "QUEUED"),
        (reply(204), [{"when": "body.done", "is": "SUCCEEDED"}, {"is": "QUEUED"}], "QUEUED"),
        (reply(200, text="ready"), [{"when": "text == 'ready'", "is": "SUCCEEDED"}, PATH], "SUCCEEDED"),
        (reply(200, text="ready"), [{"when": "text == 'ready' or body.ready", "is": "SUCCEEDED"}, PATH], "SUCCEEDED"),
        (reply(200, text="x"), [{"path": "${{ text }}", "map": {"SUCCEEDED": ["x"]}}], "SUCCEEDED"),
        (HTML, [{"when": "body is not defined", "is": "QUEUED"}, PATH], "QUEUED"),
    ],
    ids=[
        "an empty 204",
        "an empty answer and a rule for the rest",
        "a word",
        "a word or a field",
        "a word by template",
        "asked for",
    ],
)
def test_a_spec_may_read_answers_that_are_no_json(answer: Any, rules: list[Any], phase: str) -> None:
    driver = job({"GET /jobs/7": answer}, get=get_section(*rules))
    assert (driver.get().phase, len(driver.api.sent)) == (phase, 1)


def test_outside_2xx_a_body_that_is_no_json_is_just_no_body() -> None:
    step = {"name": "look", "request": "GET /jobs/${{ job.id }}", "success": ["2xx", "410"]}
    driver = job({"GET /jobs/7": reply(410, html="<p>gone")}, get={"steps": [step], "phase": [PATH, {"is": "ABORTED"}]})
    assert (driver.get().phase, len(driver.api.sent)) == ("ABORTED", 1)


@PAGES
@pytest.mark.parametrize("output", ["$.uri", "${{ body.uri }}", "${{ steps.fetch.body.uri }}"])
def test_a_result_is_asked_for_again_within_the_call_and_never_fails_the_job(page: Any, output: str) -> None:
    steps = {"steps": [{"name": "fetch", "request": "GET /result"}]}
    routes = {"GET /jobs/7": {"state": "done"}, "GET /result": [page, page, page, page, {"uri": "s3://x"}]}
    driver = job({}, result=steps, outputs={"uri": output})
    driver.api.routes |= FakeApi(routes).routes
    driver.create(outputs={"uri": "str"})
    status = driver.get()
    assert status.phase == "RUNNING"
    assert "GET https://api.test/result answered 200 with no JSON" in (status.message or "")
    status = driver.get()
    assert (status.phase, status.outputs["uri"][1]) == ("SUCCEEDED", "s3://x")
    assert driver.api.calls.count("GET /result") == 5


@PAGES
def test_outputs_in_get_s_own_answer_are_asked_for_again_too(page: Any) -> None:
    get = get_section({"when": "status == 200", "is": "SUCCEEDED"})
    driver = job({"GET /jobs/7": [page, {"uri": "s3://x"}]}, get=get, outputs={"uri": "$.uri"})
    driver.create(outputs={"uri": "str"})
    status = driver.get()
    assert (status.phase, status.outputs["uri"][1]) == ("SUCCEEDED", "s3://x")


@PAGES
def test_outputs_that_nobody_declares_need_no_json(page: Any) -> None:
    driver = job({"GET /jobs/7": {"state": "done"}, "GET /result": page}, result={"request": "GET /result"})
    assert driver.get().phase == "SUCCEEDED"


@PAGES
@pytest.mark.parametrize("job_id", ["$.id", "${{ body.id }}", "${{ steps.submit.body.id }}"])
class TestCreate:
    def section(self, job_id: str, **more: Any) -> dict[str, Any]:
        return {"steps": [{"name": "submit", "request": "POST /jobs"}], "job_id": job_id, **more}

    def test_that_is_idempotent_is_sent_again(self, page: Any, job_id: str) -> None:
        driver = job({"POST /jobs": [page, {"id": 7}]}, create=self.section(job_id, idempotent=True))
        assert driver.create().id == "7"

    def test_with_neither_is_unknown_and_not_sent_again(self, page: Any, job_id: str) -> None:
        driver = job({"POST /jobs": page}, create=self.section(job_id))
        meta = driver.create()
        assert (meta.create_error or "").startswith(
            "it is unknown whether the job was submitted: POST https://api.test/jobs"
        )
        assert len(driver.api.sent) == 1


@PAGES
@pytest.mark.parametrize("found", ["$.found", "${{ body.jobs | selectattr('name') | map(attribute='id') | first }}"])
def test_a_look_up_that_gives_a_page_is_not_taken_for_no_job(page: Any, found: str) -> None:
    adopt = {"request": "GET /find", "job_id": found}
    create = {"request": "POST /jobs", "job_id": "$.id", "adopt": adopt}
    api = FakeApi({"GET /find": {"found": "7", "jobs": [{"name": "n", "id": "7"}]}})
    driver = job(api, create=create)
    api.routes["GET /find"] = [page]
    assert driver.create().pending is not None
    assert "answered 200 with no JSON" in (driver.get().message or "")
    assert set(api.calls) == {"GET /find"}


@PAGES
@pytest.mark.parametrize("lines", ["$.lines[*]", "${{ body.lines }}"])
def test_a_log_that_gives_a_page_is_asked_for_again_and_else_raised(page: Any, lines: str) -> None:
    logs = {"request": "GET /logs", "lines": lines}
    driver = job({"GET /logs": [page, {"lines": ["one"]}, page]}, logs=logs)
    assert driver.logs()[0] == ["one"]
    with pytest.raises(TransientError, match="answered 200 with no JSON"):
        driver.logs()


@PAGES
def test_the_items_of_a_log_are_not_none_because_a_gateway_answered(page: Any) -> None:
    logs = {
        "steps": [{"request": "GET /pods", "name": "pods"}],
        "each": "$.pods[*]",
        "request": "GET /pods/${{ item }}/logs",
        "lines": "$.lines[*]",
    }
    driver = job({"GET /pods": [page, {"pods": ["a"]}, page], "GET /pods/a/logs": {"lines": ["one"]}}, logs=logs)
    assert driver.logs()[0] == ["one"]
    with pytest.raises(TransientError, match="answered 200 with no JSON"):
        driver.logs()
