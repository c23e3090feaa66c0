"""Create: one job for one attempt, or a message that says what is known."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from tests.support.fake_api import BROKEN, REFUSED, SILENT, Driver, FakeApi, reply
from yaml_connector.errors import TransientError

CREATE: dict[str, Any] = {"request": {"method": "POST", "path": "/jobs", "json": {"a": 1}}, "job_id": "$.id"}
IDEMPOTENT = {**CREATE, "idempotent": True}
ADOPT = {**CREATE, "adopt": {"request": "GET /find", "job_id": "$.found"}}
SURELY_NOT_ARRIVED = [REFUSED, 429, 503]
MAY_HAVE_ARRIVED = [SILENT, BROKEN, 500, 502, 504, reply(200, text="<html>"), reply(201, content=b'{"id": 7')]
GOOD = {"id": 7}


def driver(create: dict[str, Any], posts: Any, **routes: Any) -> Driver:
    return Driver(
        FakeApi({"POST /jobs": posts, **{key.replace("_", " /", 1): value for key, value in routes.items()}}),
        create=create,
    )


def test_a_job_id_of_any_scalar_becomes_a_string() -> None:
    for given, expected in ((7, "7"), ("a/b", "a/b"), (2**53 + 1, "9007199254740993")):
        assert driver(IDEMPOTENT, {"id": given}).create().id == expected


def test_what_save_extracts_is_kept_with_the_job() -> None:
    api = driver(
        {**IDEMPOTENT, "save": {"uri": "$.uri", "all": "$.parts[*].n", "gone": "$.gone", "lit": "x"}},
        {"id": 7, "uri": "/u", "parts": [{"n": 1}, {"n": 2.5}]},
    )
    assert api.create().job == {
        "id": "7",
        "created_at": api.clock.now,
        "cancelled": False,
        "uri": "/u",
        "all": [1, 2.5],
        "lit": "x",
    }


@pytest.mark.parametrize("create", [CREATE, IDEMPOTENT, ADOPT], ids=["neither", "idempotent", "adopt"])
@pytest.mark.parametrize("failure", SURELY_NOT_ARRIVED, ids=["refused", "429", "503"])
class TestAPassingFailureThatSurelyDidNotArrive:
    def test_is_sent_again(self, create: dict[str, Any], failure: Any) -> None:
        api = driver(create, [failure, GOOD], GET_find={"found": None})
        assert api.create().id == "7"
        assert api.api.calls.count("POST /jobs") == 2
        assert len(api.clock.slept) == 1

    def test_is_kept_for_get_if_create_is_repeatable_and_else_raised(
        self, create: dict[str, Any], failure: Any
    ) -> None:
        api = driver(create, failure, GET_find={"found": None})
        if create is not CREATE:
            assert api.create().pending is not None
            assert api.api.calls.count("POST /jobs") == 3
            return
        with pytest.raises(TransientError) as raised:
            api.create()
        assert not raised.value.may_have_been_processed
        assert api.api.calls.count("POST /jobs") == 7  # until a second before the deadline
        assert sum(api.clock.slept) == pytest.approx(7)


@pytest.mark.parametrize("failure", MAY_HAVE_ARRIVED)
class TestAPassingFailureThatMayHaveArrived:
    def test_is_sent_again_if_idempotent(self, failure: Any) -> None:
        api = driver(IDEMPOTENT, [failure, GOOD])
        assert api.create().id == "7"
        assert len(api.api.sent) == 2

    def test_is_kept_for_get_if_idempotent_and_it_stays_so(self, failure: Any) -> None:
        api = driver(IDEMPOTENT, failure)
        assert api.create().pending is not None
        assert len(api.api.sent) == 3

    def test_is_looked_up_with_adopt_and_taken_over(self, failure: Any) -> None:
        api = driver(ADOPT, failure, GET_find=[{"found": None}, {"found": "j1"}])
        meta = api.create()
        assert (meta.id, meta.adopted, meta.create_error) == ("j1", True, None)
        assert api.api.calls == ["GET /find", "POST /jobs", "GET /find"]

    def test_is_sent_again_with_both_if_the_look_up_finds_nothing(self, failure: Any) -> None:
        api = driver({**ADOPT, "idempotent": True}, [failure, GOOD], GET_find={"found": None})
        meta = api.create()
        assert (meta.id, meta.adopted) == ("7", False)
        assert api.api.calls == ["GET /find", "POST /jobs", "GET /find", "POST /jobs"]

    def test_says_that_it_is_unknown_if_the_look_up_fails_for_good(self, failure: Any) -> None:
        refused = reply(403, json={"message": "no lists for you"})
        api = driver(ADOPT, failure, GET_find=[{"found": None}, refused])
        message = api.create().create_error or ""
        assert message.startswith("it is unknown whether the job was submitted: POST https://api.test/jobs ")
        assert "task.key task-key-1)" in message
        assert "looking for it failed: GET https://api.test/find answered 403: no lists for you." in message
        assert api.api.calls == ["GET /find", "POST /jobs", "GET /find"]

    def test_is_not_sent_again_with_adopt_alone_as_long_as_it_may_commit_late(self, failure: Any) -> None:
        api = driver(ADOPT, [failure, GOOD], GET_find={"found": None})
        assert api.create().pending is not None
        assert api.api.calls == ["GET /find", "POST /jobs", "GET /find"]

    def test_fails_the_job_with_neither(self, failure: Any) -> None:
        api = driver(CREATE, failure)
        meta = api.create()
        assert api.api.calls == ["POST /jobs"]
        assert meta.create_error is not None
        assert meta.create_error.startswith("it is unknown whether the job was submitted: POST https://api.test/jobs")
        assert "task-key-1" in meta.create_error
        assert "2026-01-01T00:00:00Z" in meta.create_error


def test_with_neither_a_doubtful_answer_after_a_sure_one_fails_the_job() -> None:
    api = driver(CREATE, [503, SILENT, GOOD])
    assert "unknown whether" in (api.create().create_error or "")
    assert len(api.api.sent) == 2


def test_a_failed_job_is_failed_from_its_first_get_on_without_a_request() -> None:
    api = driver(IDEMPOTENT, reply(422, json={"message": "no such queue"}))
    meta = api.create()
    assert meta.create_error == "POST https://api.test/jobs answered 422: no such queue"
    assert [api.get().phase, api.get(after=60).message] == ["FAILED", meta.create_error]
    assert len(api.api.sent) == 1


@pytest.mark.parametrize("answer", [{"other": 1}, {"id": None}, {"id": ""}, {"id": {"a": 1}}, reply(json=[1])])
def test_an_answer_without_a_job_id_fails_the_job_and_shows_the_answer(answer: Any) -> None:
    failed = driver(IDEMPOTENT, answer).create().create_error or ""
    assert "job" in failed
    assert "id" in failed


def test_a_template_error_fails_the_job_before_anything_is_sent() -> None:
    create = {**IDEMPOTENT, "request": {"method": "POST", "path": "/jobs", "json": {"x": "${{ inputs.name.first }}"}}}
    api = driver(create, GOOD)
    failed = api.create(inputs={"name": {"last": 1}}).create_error or ""
    assert "'first' does not exist" in failed
    assert "last" in failed
    assert not api.api.sent


def test_a_missing_secret_fails_the_job_and_says_how_to_give_it() -> None:
    api = Driver(
        FakeApi(),
        secrets={"api_key": {"env": "BATCH_KEY", "file": "/nowhere/key"}},
        create={**IDEMPOTENT, "request": {"method": "POST", "path": "/", "headers": {"X": "${{ secrets.api_key }}"}}},
    )
    failed = api.create().create_error or ""
    for part in ("'api_key' is missing", 'secrets={"api_key"', "BATCH_KEY", "/nowhere/key"):
        assert part in failed
    assert not api.api.sent


def test_a_wrong_config_fails_the_job_and_names_every_field() -> None:
    api = Driver(FakeApi(), config={"cpus": {"type": "int", "maximum": 4}, "queue": "str"})
    failed = api.create(config={"cpus": 9, "qeue": "a"}).create_error or ""
    for part in ("'cpus'", "maximum 4", "'queue' (str) is required", "did you mean queue?"):
        assert part in failed


class TestAdopt:
    def test_takes_a_job_over_and_submits_nothing(self) -> None:
        create = {**ADOPT, "adopt": {**ADOPT["adopt"], "save": {"uri": "$.u"}}}
        api = driver(create, GOOD, GET_find={"found": 9, "u": "x"})
        meta = api.create()
        assert (meta.id, meta.adopted, meta.saved) == ("9", True, {"uri": "x"})
        assert api.api.calls == ["GET /find"]

    def test_a_404_is_not_found(self) -> None:
        assert driver(ADOPT, GOOD, GET_find=404).create().id == "7"

    def test_another_failure_for_good_fails_the_job(self) -> None:
        api = driver(ADOPT, GOOD, GET_find=403)
        assert "answered 403" in (api.create().create_error or "")
        assert api.api.calls == ["GET /find"]

    @pytest.mark.parametrize("failure", [SILENT, BROKEN, 500, 503])
    def test_a_look_up_that_fails_in_passing_submits_nothing_and_is_tried_again_by_get(self, failure: Any) -> None:
        api = driver(ADOPT, GOOD, GET_find=failure)
        assert api.create().pending is not None
        assert set(api.api.calls) == {"GET /find"}

    def test_a_look_up_after_a_doubtful_create_that_fails_submits_nothing(self) -> None:
        api = driver(ADOPT, SILENT, GET_find=[{"found": None}, 503])
        assert api.create().pending is not None
        assert api.api.calls.count("POST /jobs") == 1


class TestStepsOfCreate:
    STEPS: ClassVar[dict[str, Any]] = {
        "steps": [
            {"name": "upload", "request": "POST /files"},
            {"name": "run", "request": {"method": "POST", "path": "/jobs", "json": "${{ steps.upload.body }}"}},
        ],
        "job_id": "$.id",
        "on_failure": [{"request": "DELETE /files/${{ steps.upload.body.file }}"}],
    }

    def test_a_failure_for_good_after_an_earlier_step_cleans_up(self) -> None:
        api = driver(self.STEPS, 400, POST_files={"file": "f1"})
        assert "answered 400" in (api.create().create_error or "")
        assert api.api.calls == ["POST /files", "POST /jobs", "DELETE /files/f1"]

    def test_a_failure_of_the_first_step_cleans_nothing_up(self) -> None:
        always = {**self.STEPS, "on_failure": [{"request": "DELETE /files"}]}  # which could be sent without a file
        assert driver(always, 400, POST_files={"file": "f1"}).create().create_error is not None
        api = driver(always, GOOD, POST_files=400)
        api.create()
        assert api.api.calls == ["POST /files"]

    def test_a_clean_up_that_fails_changes_nothing(self) -> None:
        api = driver(self.STEPS, 400, POST_files={"file": "f1"}, **{"DELETE_files/f1": 500})
        assert "POST https://api.test/jobs answered 400" in (api.create().create_error or "")

    def test_a_passing_failure_cleans_nothing_up(self) -> None:
        api = driver({**self.STEPS, "idempotent": True}, 503, POST_files={"file": "f1"})
        assert api.create().pending is not None
        assert api.api.calls == ["POST /files"] + ["POST /jobs"] * 3

    def test_a_passing_failure_after_a_step_that_went_through_fails_a_job_whose_create_cannot_be_repeated(self) -> None:
        api = driver(self.STEPS, 503, POST_files={"file": "f1"})
        assert "POST https://api.test/jobs answered 503" in (api.create().create_error or "")
        assert api.api.calls == ["POST /files"] + ["POST /jobs"] * 7 + ["DELETE /files/f1"]

    @pytest.mark.parametrize("failure", [SILENT, BROKEN, 500, 503])
    def test_a_get_that_fails_in_passing_is_raised_whatever_create_says_of_itself(self, failure: Any) -> None:
        create = {
            "steps": [{"name": "queue", "request": "GET /queue"}, {"name": "run", "request": "POST /jobs"}],
            "job_id": "$.id",
        }
        api = driver(create, GOOD, GET_queue=failure)
        with pytest.raises(TransientError):
            api.create()
        assert set(api.api.calls) == {"GET /queue"}

    def test_the_section_reads_the_step_that_it_names(self) -> None:
        create = {
            **IDEMPOTENT,
            "steps": [{"name": "run", "request": "POST /jobs"}, {"name": "go", "request": "POST /go"}],
            "read": "run",
        }
        del create["request"]
        assert driver(create, GOOD, POST_go={"id": 8}).create().id == "7"

    def test_a_create_whose_steps_are_all_skipped_fails_the_job(self) -> None:
        failed = driver({**IDEMPOTENT, "if": "false"}, GOOD).create().create_error or ""
        assert "skipped" in failed


def test_no_attempt_goes_on_past_the_deadline() -> None:
    api = driver(IDEMPOTENT, [reply(503, headers={"Retry-After": "8"}), reply(503, headers={"Retry-After": "8"}), GOOD])
    assert api.create().pending is not None
    assert api.clock.slept == [8.0]
    assert len(api.api.sent) == 2


@pytest.mark.parametrize("number", range(4))
def test_a_saved_text_that_utf8_has_no_form_for_does_not_lose_the_job(number: int) -> None:
    body = [
        b'{"id": "a", "x": "\\ud800"}',
        b'{"id": "\\udc00"}',
        b'{"id": 1, "x": {"\\ud83d": 1}}',
        b'{"id": 1, "x": NaN}',
    ]
    api = driver({**IDEMPOTENT, "save": {"x": "$.x"}}, reply(200, content=body[number]))
    meta = api.create()
    assert type(meta).decode(meta.encode()).id == meta.id
