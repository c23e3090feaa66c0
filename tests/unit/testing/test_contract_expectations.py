"""What a test may expect of a call: each name, met and not met."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.contract_folder import CREATE, Folder, differing, get, state, the_failure
from yaml_connector.testing.compare import NOTHING

POST = {"method": "POST", "path": "/jobs"}
LOGS = {"path": "/jobs/7/logs"}


def create(response: dict[str, Any], **expect: Any) -> dict[str, Any]:
    return {"create": {"exchanges": [{"request": POST, "response": response}], "expect": expect}}


def logs(given: list[str], token: str | None = None, *, more: str | None = None, **expect: Any) -> dict[str, Any]:
    answer = {"lines": [{"text": line} for line in given], "next": more}
    call: dict[str, Any] = {"exchanges": [{"request": LOGS, "response": {"json": answer}}], "expect": expect}
    return {"logs": call if token is None else {**call, "token": token}}


def test_only_what_is_named_is_compared(folder: Folder) -> None:
    assert folder.run(create({"json": {"id": 7}})).passed
    assert folder.run(CREATE, get(state("error", detail="x"))).passed
    assert folder.run(CREATE, {"get": {"exchanges": [{"request": "GET /jobs/7", "response": state("done")}]}}).passed


# --- create ---------------------------------------------------------------------------------------------------------


def test_job_id_is_a_text(folder: Folder) -> None:
    assert folder.run(create({"json": {"id": 7}}, job_id="7")).passed
    assert folder.run(create({"json": {"id": "run-12"}}, job_id="/^run-\\d+$/")).passed
    assert differing(folder.run(create({"json": {"id": 8}}, job_id="7"))) == {"job_id": ("7", "8")}


def test_saved_is_compared_whole(folder: Folder) -> None:
    folder.change_spec("  job_id: $.id", "  job_id: $.id\n  save: {uri: $.uri, n: $.n}")
    answer = {"json": {"id": 7, "uri": "/u/1", "n": 1}}
    assert folder.run(create(answer, saved={"uri": "/u/1", "n": 1})).passed
    assert folder.run(create(answer, saved={"uri": "/^.u/", "n": 1.0})).passed
    assert differing(folder.run(create(answer, saved={"uri": "/u/2", "m": 1}))) == {
        "saved.uri": ("/u/2", "/u/1"),
        "saved.m": (1, NOTHING),
        "saved.n": (NOTHING, 1),
    }


def test_adopted_says_whether_the_job_was_there_already(folder: Folder) -> None:
    folder.change_spec("  idempotent: true", "  adopt: {request: GET /find, job_id: $.id}")
    found = {"create": {"exchanges": [{"request": "GET /find", "response": {"json": {"id": 7}}}], "expect": {}}}
    found["create"]["expect"] = {"adopted": True, "job_id": "7"}
    assert folder.run(found).passed
    found["create"]["expect"] = {"adopted": False}
    assert differing(folder.run(found)) == {"adopted": (False, True)}


def test_phase_and_message_of_a_create_that_failed_for_good(folder: Folder) -> None:
    refused = {"status": 400, "json": {"message": "no such queue"}}
    assert folder.run(create(refused, phase="FAILED", message="/400.*no such queue/")).passed
    result = folder.run(create(refused, phase=None, message=None, job_id="7"))
    found = differing(result)
    assert found["phase"] == (None, "FAILED")
    assert found["job_id"] == ("7", None)
    assert found["message"][1].endswith("no such queue")
    assert the_failure(result).outcome == f"returned FAILED: {found['message'][1]}"


def test_a_create_that_went_well_has_no_phase_and_no_message(folder: Folder) -> None:
    assert folder.run(create({"json": {"id": 7}}, phase=None, message=None)).passed
    assert differing(folder.run(create({"json": {"id": 7}}, phase="FAILED", message="x"))) == {
        "phase": ("FAILED", None),
        "message": ("x", None),
    }


def test_the_links_of_a_create_are_those_that_show_from_the_start(folder: Folder) -> None:
    links = "[{name: Job, url: 'https://ui.test/${{ job.id }}'}, {name: Later, url: $.url}]"
    folder.change_spec("  message: $.detail", f"  message: $.detail\n  links: {links}")
    first = {"name": "Job", "url": "https://ui.test/7"}
    assert folder.run(create({"json": {"id": 7}}, links=[first])).passed
    assert "links[0].url" in differing(folder.run(create({"json": {"id": 8}}, links=[first])))
    later = {"name": "Later", "url": "https://x.test"}
    answer = state("running", url="https://x.test")
    assert folder.run(CREATE, get(answer, expect={"links": [first, later]})).passed
    assert folder.run(CREATE, get(answer, expect={"links": [first, {**later, "url": "/x.test$/"}]})).passed
    assert list(differing(folder.run(CREATE, get(answer, expect={"links": [later]})))) == [
        "links[0].name",
        "links[0].url",
        "links[1]",
    ]


def test_a_job_that_failed_at_create_or_a_spec_without_get_has_no_links(folder: Folder) -> None:
    refused = {"status": 400, "json": {"message": "no"}}
    links = "[{name: Job, url: 'https://ui.test/${{ task.key }}'}]"
    folder.change_spec("  message: $.detail", f"  message: $.detail\n  links: {links}")
    assert folder.run(create(refused, links=[])).passed
    text = (folder.path / "batch_job.yaml").read_text()
    folder.change_spec(text[text.index("\nget:") : text.index("\nlogs:")], "")
    assert folder.run(create({"json": {"id": 7}}, links=[])).passed


def test_an_error_that_create_raises_is_a_regex(folder: Folder) -> None:
    folder.change_spec("idempotent: true", "idempotent: false")
    call = {"create": {"exchanges": [{"request": POST, "response": {"status": 503}, "repeat": 7}]}}
    for pattern in ("answered 503", "/answered 5\\d\\d/"):
        call["create"]["expect"] = {"error": pattern}
        assert folder.run(call).passed
    call["create"]["expect"] = {"error": "answered 502"}
    assert list(differing(folder.run(call))) == ["error"]


# --- get ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expect", "differs"),
    [
        ({"phase": "FAILED"}, {}),
        ({"phase": "ABORTED"}, {"phase": ("ABORTED", "FAILED")}),
        ({"message": "out of memory"}, {}),
        ({"message": "/memory$/"}, {}),
        ({"message": "memory"}, {"message": ("memory", "out of memory")}),
        ({"message": "/disk/"}, {"message": ("/disk/", "out of memory")}),
        ({"message": None}, {"message": (None, "out of memory")}),
        ({"outputs": {}}, {}),
        ({"outputs": {"result": "r"}}, {"outputs.result": ("r", NOTHING)}),
        ({"links": []}, {}),
        ({"info": {}}, {}),
    ],
)
def test_a_get_is_compared_by_name(folder: Folder, expect: dict[str, Any], differs: dict[str, Any]) -> None:
    result = folder.run(CREATE, get(state("error", detail="out of memory"), expect=expect))
    assert (differing(result) if differs else {}) == differs
    assert result.passed == (not differs)


def test_a_message_that_is_not_there_matches_no_regex(folder: Folder) -> None:
    result = folder.run(CREATE, get(state("running"), expect={"message": "/.*/"}))
    assert differing(result) == {"message": ("/.*/", None)}


def test_info_is_compared_whole(folder: Folder) -> None:
    folder.change_spec("  message: $.detail", "  message: $.detail\n  info: {done: $.done, of: $.of}")
    answer = state("running", done=1, of=[2])
    assert folder.run(CREATE, get(answer, expect={"info": {"done": 1, "of": [2]}})).passed
    assert differing(folder.run(CREATE, get(answer, expect={"info": {"done": 1, "of": [3]}}))) == {"info.of[0]": (3, 2)}
    assert differing(folder.run(CREATE, get(answer, expect={"info": {"done": 1}}))) == {"info.of": (NOTHING, [2])}


def outputs(folder: Folder, kind: str, value: Any, expected: Any) -> dict[str, Any]:
    folder.change_spec("  result: $.result", f"  result: {{type: '{kind}', value: $.result}}")
    result = folder.run(CREATE, get(state("done", result=value), expect={"outputs": {"result": expected}}))
    return {} if result.passed else differing(result)


@pytest.mark.parametrize(
    ("kind", "value", "expected", "same"),
    [
        ("int", "9007199254740993", 9007199254740993, True),
        ("int", 3, 3.0, True),
        ("int", 3, "3", False),
        ("int", 3, 4, False),
        ("float", 1, 1, True),
        ("float", 1, 1.0, True),
        ("bool", True, True, True),
        ("bool", True, 1, False),
        ("str", "a", "/^a$/", True),
        ("str", "1", 1, False),
        ("list[int]", ["1", 2], [1, 2], True),
        ("list[int]", [1, 2], [1], False),
        ("dict[str, float]", {"a": 1}, {"a": 1.0}, True),
        ("dict[str, float]", {"a": 1}, {"a": 1.0, "b": 2}, False),
        ("str?", None, None, True),
        ("str?", "x", None, False),
        ("datetime", 1767225600, "2026-01-01T00:00:00Z", True),
        ("datetime", 1767225600.25, "2026-01-01T00:00:00.250Z", True),
        ("datetime", 1767225600, "2026-01-01T01:00:00+01:00", True),
        ("datetime", 1767225600, "/^2026-01-01T.*Z$/", True),
        ("datetime", 1767225600, "2026-01-01T00:00:01Z", False),
        ("duration", "PT5M", 300, True),
        ("duration", "PT5M", 301, False),
    ],
)
def test_outputs_compare_by_value_and_type(folder: Folder, kind: str, value: Any, expected: Any, same: bool) -> None:
    assert (outputs(folder, kind, value, expected) == {}) == same


def test_a_datetime_that_differs_is_shown_in_rfc_3339(folder: Folder) -> None:
    assert outputs(folder, "datetime", 1767225600, "2025-12-31T00:00:00Z") == {
        "outputs.result": ("2025-12-31T00:00:00Z", "2026-01-01T00:00:00Z")
    }


# --- logs and delete --------------------------------------------------------------------------------------------------


def test_lines_are_the_messages_of_one_call(folder: Folder) -> None:
    assert folder.run(CREATE, logs(["one", "two"], lines=["one", "/^t/"])).passed
    assert differing(folder.run(CREATE, logs(["one", "two"], lines=["two"]))) == {
        "lines[0]": ("two", "one"),
        "lines[1]": (NOTHING, "two"),
    }


def test_next_says_whether_there_is_a_token(folder: Folder) -> None:
    assert folder.run(CREATE, logs(["one"], more="p2", next=True), logs(["two"], next=False)).passed
    assert differing(folder.run(CREATE, logs(["one"], more="p2", next=False))) == {"next": (False, True)}
    assert differing(folder.run(CREATE, logs(["one"], next=True))) == {"next": (True, False)}


def test_logs_go_on_from_the_last_token_and_an_empty_one_starts_again(folder: Folder) -> None:
    def page(cursor: str | None, token: str | None, following: str | None) -> dict[str, Any]:
        call = logs([], token, more=following)
        call["logs"]["exchanges"][0]["request"] = {**LOGS, "query": {"cursor": cursor}}
        return call

    assert folder.run(
        CREATE, page(None, None, "p2"), page("p2", None, "p3"), page(None, "", "p2"), page("p2", None, None)
    ).passed
    # The log of another job is read from its start.
    assert folder.run(CREATE, page(None, None, "p2"), CREATE, page(None, None, None)).passed
    # A call that gave no token leaves the last one.
    assert folder.run(CREATE, page(None, None, "p2"), page("p2", None, None), page("p2", None, None)).passed
    assert not folder.run(CREATE, page(None, None, "p2"), page(None, None, None)).passed


def test_a_token_that_the_connector_never_gave_is_an_error(folder: Folder) -> None:
    call = {"logs": {"token": "nonsense", "expect": {"error": "invalid log token"}}}
    assert folder.run(CREATE, call).passed


@pytest.mark.parametrize("kind", ["delete", "logs"])
def test_an_error_that_is_not_expected_fails(folder: Folder, kind: str) -> None:
    request = {"method": "POST", "path": "/jobs/7/cancel"} if kind == "delete" else LOGS
    call = {kind: {"exchanges": [{"request": request, "response": {"status": 403, "json": {"message": "not yours"}}}]}}
    failure = the_failure(folder.run(CREATE, call))
    assert failure.what.startswith("raised PermanentError: ")
    assert failure.what.endswith("answered 403: not yours")
    call[kind]["expect"] = {"error": "/403: not yours$/"}
    assert folder.run(CREATE, call).passed


def test_what_a_call_raised_is_told_beside_a_mismatch(folder: Folder) -> None:
    failure = the_failure(folder.run(CREATE, {"delete": {"exchanges": [{"request": "POST /other"}]}}))
    assert failure.outcome is not None
    assert failure.outcome.startswith(
        "raised TransientError: POST https://batch.test/jobs/7/cancel cannot be connected to"
    )


def test_an_error_that_does_not_come_fails(folder: Folder) -> None:
    call = {"exchanges": [{"request": {"method": "POST", "path": "/jobs/7/cancel"}}], "expect": {"error": "no"}}
    assert differing(folder.run(CREATE, {"delete": call})) == {"error": ("/no/", None)}


def test_a_fault_of_the_connectors_own_fails_whatever_is_expected(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*args: Any) -> None:
        raise TypeError("broken")

    monkeypatch.setattr("yaml_connector._jobs.client.send_delete", broken)
    failure = the_failure(folder.run(CREATE, {"delete": {"expect": {"error": "broken"}}}))
    assert failure.what == "raised TypeError: broken"


@pytest.mark.parametrize("kind", ["get", "logs", "delete"])
def test_a_call_without_a_job_fails(folder: Folder, kind: str) -> None:
    assert the_failure(folder.run({kind: {}})).what == "there is no job: no create before this call returned one"
    folder.change_spec("idempotent: true", "idempotent: false")
    down = {"create": {"exchanges": [{"request": POST, "response": {"fault": "refused"}, "repeat": 7}], "expect": {}}}
    down["create"]["expect"] = {"error": "connect"}
    assert the_failure(folder.run(CREATE, down, {kind: {}})).what.startswith("there is no job")
