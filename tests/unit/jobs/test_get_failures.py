"""Get: what a failed call means, when a job is not found, and how often it is asked for."""

from __future__ import annotations

from email.utils import formatdate
from typing import Any, ClassVar

import pytest

from tests.support.fake_api import BROKEN, REFUSED, SILENT, Driver, FakeApi, job, reply
from yaml_connector.testing.clock import START

RUNNING = {"state": "running"}
DONE = {"state": "done"}
PHASE: dict[str, Any] = {
    "path": "$.state",
    "map": {"QUEUED": ["queued"], "RUNNING": ["running"], "SUCCEEDED": ["done"], "FAILED": ["error"]},
}


def get_section(**more: Any) -> dict[str, Any]:
    return {"request": "GET /jobs/${{ job.id }}", "phase": PHASE, **more}


FAILURES: list[Any] = [
    REFUSED,
    SILENT,
    BROKEN,
    400,
    401,
    403,
    422,
    429,
    500,
    503,
    302,
    reply(200, html="<p>"),
    reply(200),
    reply(200, content=b'{"state": "do'),
]


class TestAnUnreadableJob:
    @pytest.mark.parametrize("failure", FAILURES)
    def test_is_in_its_last_known_phase_with_a_message_that_says_since_when_and_why(self, failure: Any) -> None:
        driver = job({"GET /jobs/7": [{"state": "queued"}, failure]})
        assert driver.get().phase == "QUEUED"
        status = driver.get(after=60)
        assert status.phase == "QUEUED"
        assert (status.message or "").startswith("unreadable since 2026-01-01T00:01:")
        assert "GET https://api.test/jobs/7" in (status.message or "")

    def test_is_running_if_nothing_is_known_of_it(self) -> None:
        driver = job({"GET /jobs/7": 500})
        assert driver.get().phase == "RUNNING"

    def test_is_given_up_after_the_tolerance(self) -> None:
        driver = job({"GET /jobs/7": 403}, get=get_section(poll={"tolerance": "10m"}))
        assert [driver.get(after=after).phase for after in (0, 599, 1)] == ["RUNNING", "RUNNING", "FAILED"]
        assert "given up after 600 s: unreadable since" in (driver.get().message or "")
        assert "answered 403" in (driver.get().message or "")

    def test_is_given_up_as_the_spec_says(self) -> None:
        driver = job({"GET /jobs/7": 403}, get=get_section(poll={"tolerance": "1m", "give_up": "RETRYABLE_FAILED"}))
        driver.get()
        assert driver.get(after=60).phase == "RETRYABLE_FAILED"

    def test_that_can_be_read_again_starts_its_tolerance_anew(self) -> None:
        driver = job({"GET /jobs/7": [403, RUNNING, 403, 403]}, get=get_section(poll={"tolerance": "1m"}))
        assert [driver.get(after=40).phase for _ in range(4)] == ["RUNNING"] * 4

    def test_is_so_too_when_a_template_of_the_request_has_no_value(self) -> None:
        create = {"request": "POST /jobs", "idempotent": True, "job_id": "$.id", "save": {"run": "$.run"}}
        get = {"request": "GET /runs/${{ job.run }}", "phase": PHASE}
        driver = job({}, create=create, get=get)
        status = driver.get()
        assert status.phase == "RUNNING"
        assert "${{ job.run }}: 'run' does not exist; there is: id, created_at" in (status.message or "")

    def test_is_so_too_when_a_secret_is_gone(self) -> None:
        driver = job(
            {"GET /jobs/7": DONE},
            secrets={"k": {"env": "K"}},
            environment={"K": "value"},
            connection={"base_url": "https://api.test", "auth": {"type": "bearer", "token": "${{ secrets.k }}"}},
        )
        driver.environment = {}
        driver.use(driver.data)
        status = driver.get()
        assert status.phase == "RUNNING"
        assert "the secret 'k' is missing" in (status.message or "")

    def test_never_shows_a_secret_in_the_reason(self) -> None:
        driver = job(
            {}, secrets={"k": {}}, inputs={"x": "str"}, get=get_section(request="GET /${{ secrets.k }}/${{ inputs.x }}")
        )
        driver.create(secrets={"k": "planted-secret"}, inputs={"x": ".."})
        status = driver.get(secrets={"k": "planted-secret"})
        assert status.phase == "RUNNING"
        assert "planted-secret" not in (status.message or "")


class TestAResultThatCannotBeRead:
    RESULT: ClassVar[dict[str, Any]] = {"result": {"request": "GET /out"}, "outputs": {"x": "$.x"}}

    def driver(self, states: Any, result: Any) -> Any:
        driver = job(FakeApi({"GET /jobs/7": states, "GET /out": result}), **self.RESULT)
        driver.create(outputs={"x": "str"})
        return driver

    @pytest.mark.parametrize("failure", [SILENT, 400, 404, 500, reply(200, html="<p>")])
    def test_leaves_the_job_running(self, failure: Any) -> None:
        driver = self.driver(DONE, failure)
        assert driver.get().phase == "RUNNING"

    def test_leaves_the_job_running_even_if_it_was_queued_before(self) -> None:
        driver = self.driver([{"state": "queued"}, DONE], 403)
        assert driver.get().phase == "QUEUED"
        assert driver.get().phase == "RUNNING"

    def test_is_asked_for_again(self) -> None:
        driver = self.driver(DONE, [403, {"x": "y"}])
        assert driver.get().phase == "RUNNING"
        status = driver.get()
        assert status.phase == "SUCCEEDED"
        assert status.outputs["x"][1] == "y"

    def test_is_given_up_after_the_tolerance(self) -> None:
        driver = self.driver(DONE, 403)
        assert [driver.get(after=after).phase for after in (0, 300, 300)] == ["RUNNING", "RUNNING", "FAILED"]


class TestAJobThatIsNotFound:
    @pytest.mark.parametrize("status", [404, 410])
    def test_is_queued_within_the_grace_and_failed_after_it(self, status: int) -> None:
        driver = job({"GET /jobs/7": reply(status, json={"message": "who?"})})
        early, late = driver.get(after=59), driver.get(after=1)
        assert early.phase == "QUEUED"
        assert "who?" in (early.message or "")
        assert late.phase == "FAILED"
        assert (late.message or "") == (
            f"the job no longer exists: GET https://api.test/jobs/7 answered {status}: who?"
        )

    def test_has_a_grace_and_a_rule_of_the_specs_own(self) -> None:
        poll = {"not_found": "status == 500 and body.code == 'NoSuchJob'", "not_found_grace": "5s"}
        driver = job({"GET /jobs/7": reply(500, json={"code": "NoSuchJob"})}, get=get_section(poll=poll))
        assert driver.get(after=5).phase == "FAILED"
        assert "unreadable" in (job({"GET /jobs/7": 404}, get=get_section(poll=poll)).get().message or "")

    def test_is_found_out_behind_a_status_that_is_retried_too(self) -> None:
        driver = job(
            {"GET /jobs/7": reply(500, json={"code": "NoSuchJob"})},
            get=get_section(poll={"not_found": "body.code == 'NoSuchJob'"}),
        )
        assert driver.get(after=100).phase == "FAILED"
        assert len(driver.api.sent) == 3

    def test_may_be_told_inside_a_200_with_error(self) -> None:
        get = get_section(error="body.error is defined", poll={"not_found": "body.error == 'unknown job'"})
        driver = job({"GET /jobs/7": {"error": "unknown job"}}, get=get)
        status = driver.get(after=100)
        assert status.phase == "FAILED"
        assert "unknown job" in (status.message or "")

    def test_is_no_matter_for_not_found_if_the_answer_is_a_success(self) -> None:
        driver = job({"GET /jobs/7": RUNNING}, get=get_section(poll={"not_found": "status == 200"}))
        assert driver.get(after=100).phase == "RUNNING"

    def test_within_the_grace_counts_as_known_to_be_queued(self) -> None:
        driver = job({"GET /jobs/7": [404, 403]})
        assert [driver.get().phase, driver.get().phase] == ["QUEUED", "QUEUED"]

    def test_is_no_failure_of_the_result(self) -> None:
        driver = job({"GET /jobs/7": DONE, "GET /out": 404}, result={"request": "GET /out"})
        assert driver.get(after=100).phase == "RUNNING"


class TestHowOftenTheApiIsAsked:
    def test_without_an_interval_always(self) -> None:
        driver = job({"GET /jobs/7": RUNNING})
        for _ in range(3):
            driver.get()
        assert len(driver.api.sent) == 3

    def test_earlier_gets_are_answered_from_memory(self) -> None:
        driver = job({"GET /jobs/7": [RUNNING, DONE]}, get=get_section(poll={"min_interval": "10s"}))
        assert [driver.get(after=after).phase for after in (0, 9, 1)] == ["RUNNING", "RUNNING", "SUCCEEDED"]
        assert len(driver.api.sent) == 2

    @pytest.mark.parametrize("value", ["30", formatdate(START + 30, usegmt=True)])
    @pytest.mark.parametrize("status", [200, 429, 503])
    def test_a_retry_after_in_both_forms_lengthens_it(self, status: int, value: str) -> None:
        driver = job({"GET /jobs/7": [reply(status, json=RUNNING, headers={"Retry-After": value}), DONE]})
        assert [driver.get(after=after).phase for after in (0, 29, 1)] == ["RUNNING", "RUNNING", "SUCCEEDED"]
        assert len(driver.api.sent) == 2

    def test_a_429_lengthens_it_without_saying_how_long(self) -> None:
        driver = job({"GET /jobs/7": [429, 429, 429, DONE]})
        assert "answered 429" in (driver.get().message or "")
        driver.get()
        assert len(driver.api.sent) == 3
        assert driver.get(after=30).phase == "SUCCEEDED"

    @pytest.mark.parametrize("value", ["soon", "", "-5", "inf", "nan", "1e400", "Wed, 99 Foo 2015 99:99:99 GMT"])
    def test_a_retry_after_that_is_none_is_passed_over(self, value: str) -> None:
        driver = job({"GET /jobs/7": [reply(200, json=RUNNING, headers={"Retry-After": value}), DONE]})
        driver.get()
        assert driver.get(after=1).phase == "SUCCEEDED"

    def test_a_job_that_is_over_is_asked_for_again(self) -> None:
        driver = job({"GET /jobs/7": DONE}, get=get_section(poll={"min_interval": "10s"}))
        assert [driver.get().phase, driver.get().phase] == ["SUCCEEDED", "SUCCEEDED"]
        assert len(driver.api.sent) == 2


def test_nothing_is_sent_after_the_deadline() -> None:
    def slow(request: Any) -> Any:
        driver.clock.now += 5
        return 503

    driver = job({"GET /jobs/7": slow})
    driver.get()
    assert len(driver.api.sent) == 2


def test_a_fault_of_the_connector_itself_does_not_fail_a_job(caplog: pytest.LogCaptureFixture) -> None:
    def broken(request: Any) -> Any:
        raise RuntimeError(f"a bug, with {'-'.join(('planted', 'secret'))} in it")

    status = job({"GET /jobs/7": broken}).get()
    assert status.phase == "RUNNING"
    assert "internal error (RuntimeError)" in (status.message or "")
    assert "planted-secret" not in (status.message or "") + caplog.text
    assert "failed unexpectedly: RuntimeError" in caplog.text
    assert "in broken" in caplog.text  # where it happened is told, its words are not


@pytest.mark.parametrize("timeout", ["soon", -1, True, [1], pytest.param(10**400, id="a long integer")])
def test_a_time_limit_that_is_not_one_fails_the_job_and_the_message_names_the_field(timeout: Any) -> None:
    get = {"request": "GET /jobs/7", "phase": {"is": "RUNNING"}, "poll": {"timeout": "${{ config.limit }}"}}
    driver = Driver(FakeApi({"POST /jobs": {"id": 7}}), get=get, config={"limit": "any"})
    driver.create(config={"limit": timeout})
    status = driver.get()
    assert status.phase == "FAILED"
    assert (status.message or "").startswith("get.poll.timeout")
    assert driver.api.calls == []
