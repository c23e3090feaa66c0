"""Delete, and where a later call's secrets come from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar

import pytest
from prometheus_client import REGISTRY

from tests.support.fake_api import SILENT, Driver, FakeApi, job, reply
from yaml_connector.errors import CallError, EvaluationError, PermanentError, TransientError

DELETE: dict[str, Any] = {"delete": {"request": "DELETE /jobs/${{ job.id }}"}}


def given_up() -> float:
    return REGISTRY.get_sample_value("yaml_connector_deletes_given_up_total", {"task_type": "batch_job"}) or 0.0


NO_RETRY: dict[str, Any] = {"connection": {"base_url": "https://api.test", "retry": {"max_attempts": 1}}}
SECRET: dict[str, Any] = {
    "secrets": {"k": {"env": "K", "required": False}},
    "connection": {"base_url": "https://api.test", "auth": {"type": "bearer", "token": "${{ secrets.k }}"}},
}


class TestDelete:
    @pytest.mark.parametrize("status", [200, 202, 204, 404, 409, 410])
    def test_of_what_is_over_is_no_error(self, status: int) -> None:
        driver = job({"DELETE /jobs/7": status}, **DELETE)
        driver.delete()
        assert driver.api.calls == ["DELETE /jobs/7"]

    @pytest.mark.parametrize("status", [400, 401, 403, 405, 422])
    def test_that_fails_is_raised(self, status: int) -> None:
        with pytest.raises(PermanentError, match=f"DELETE https://api.test/jobs/7 answered {status}"):
            job({"DELETE /jobs/7": status}, **DELETE).delete()

    @pytest.mark.parametrize("failure", [SILENT, 429, 500, 503])
    def test_that_fails_in_passing_is_sent_again_and_then_raised(self, failure: Any) -> None:
        driver = job({"DELETE /jobs/7": failure}, **DELETE)
        with pytest.raises(TransientError):
            driver.delete()
        assert len(driver.api.sent) == 3

    def test_has_a_success_of_the_specs_own(self) -> None:
        with pytest.raises(PermanentError):
            job({"DELETE /jobs/7": 404}, delete={**DELETE["delete"], "success": ["2xx"]}).delete()

    def test_without_the_section_does_nothing(self, caplog: pytest.LogCaptureFixture) -> None:
        driver = job({})
        driver.delete()
        assert not driver.api.sent
        assert "the spec has no delete, so the job 7 goes on" in caplog.text

    def test_of_a_job_that_was_never_submitted_does_nothing(self) -> None:
        driver = Driver(FakeApi({"POST /jobs": 400}), **DELETE)
        driver.create()
        driver.delete()
        assert driver.api.calls == ["POST /jobs"]

    def test_by_steps_stops_at_the_first_that_fails(self) -> None:
        steps = [{"request": "POST /stop", "name": "a"}, {"request": "DELETE /jobs/${{ job.id }}", "name": "b"}]
        driver = job({"POST /stop": 403, "DELETE /jobs/7": 204}, delete={"steps": steps})
        with pytest.raises(CallError):
            driver.delete()
        assert driver.api.calls == ["POST /stop"]

    def test_shows_no_secret_in_what_it_raises(self) -> None:
        driver = job(
            {"DELETE /a/planted-secret": 400},
            secrets={"k": {}},
            inputs={"x": "str"},
            delete={"request": "DELETE /${{ inputs.x }}/${{ secrets.k }}"},
        )
        for given in ("a", ".."):
            driver.create(secrets={"k": "planted-secret"}, inputs={"x": given})
            with pytest.raises((CallError, EvaluationError)) as raised:
                driver.delete({"k": "planted-secret"})
            assert "planted" not in str(raised.value)
            assert "***" in str(raised.value)


class TestADeleteOfAJobThatMayBeOver:
    @pytest.mark.parametrize("end", [{"state": "done"}, {"state": "error"}])
    def test_is_not_sent_once_the_api_has_said_so(self, end: Any) -> None:
        driver = job({"GET /jobs/7": end, "DELETE /jobs/7": 500}, **DELETE)
        assert driver.get().is_terminal
        driver.delete()
        assert driver.api.calls == ["GET /jobs/7"]

    def test_is_sent_if_the_job_was_given_up_as_unreadable(self) -> None:
        driver = job({"GET /jobs/7": [500, 500, {"state": "running"}], "DELETE /jobs/7": 204}, **NO_RETRY, **DELETE)
        driver.get()
        assert driver.get(after=600).phase == "FAILED"
        driver.delete()
        assert driver.api.calls[2:] == ["GET /jobs/7", "DELETE /jobs/7"]

    @pytest.mark.parametrize(
        ("answer", "sent"), [({"state": "done"}, False), (404, False), ({"state": "running"}, True)]
    )
    def test_asks_once_after_ten_seconds_and_remembers_an_end(self, answer: Any, sent: bool) -> None:
        driver = job({"GET /jobs/7": answer, "DELETE /jobs/7": 204}, **DELETE)
        driver.clock.now += 61
        driver.delete()
        assert driver.api.calls == ["GET /jobs/7"] + ["DELETE /jobs/7"] * sent
        if not sent:
            driver.delete()
            assert driver.api.calls == ["GET /jobs/7"]

    @pytest.mark.parametrize("failure", [SILENT, 500, 403, 404, reply(200, text="<html>")])
    def test_is_sent_if_get_cannot_tell(self, failure: Any) -> None:
        driver = job({"GET /jobs/7": failure, "DELETE /jobs/7": 204}, **DELETE)
        driver.clock.now += 11  # and a 404 is within the grace
        driver.delete()
        assert driver.api.calls == ["GET /jobs/7", "DELETE /jobs/7"]

    def test_does_not_ask_within_ten_seconds_of_a_running_that_was_read(self) -> None:
        driver = job({"GET /jobs/7": {"state": "running"}, "DELETE /jobs/7": 204}, **DELETE)
        driver.get(after=60)
        driver.clock.now += 10
        driver.delete()
        assert driver.api.calls == ["GET /jobs/7", "DELETE /jobs/7"]

    def test_asks_after_a_restart_for_three_seconds_at_most(self) -> None:
        driver = job({"GET /jobs/7": SILENT, "DELETE /jobs/7": 204}, **DELETE)
        driver.restart()
        driver.delete()
        assert driver.api.calls == ["GET /jobs/7", "DELETE /jobs/7"]
        assert driver.api.sent[0].extensions["timeout"]["read"] == pytest.approx(3)

    def test_is_sent_in_any_case_if_always(self) -> None:
        driver = job(
            {"GET /jobs/7": {"state": "done"}, "DELETE /jobs/7": 204}, delete={**DELETE["delete"], "always": True}
        )
        driver.get()
        driver.delete()
        driver.restart()
        driver.delete()
        assert driver.api.calls == ["GET /jobs/7", "DELETE /jobs/7", "DELETE /jobs/7"]


def test_a_job_that_is_not_found_after_its_delete_is_aborted_at_once() -> None:
    driver = job({"DELETE /jobs/7": 204, "GET /jobs/7": 404}, **DELETE)
    driver.delete()
    status = driver.get()
    assert (status.phase, (status.message or "")[:22]) == ("ABORTED", "the job was cancelled:")
    driver.delete()
    assert driver.api.calls == ["DELETE /jobs/7", "GET /jobs/7"]


def test_a_job_that_is_not_found_after_a_delete_that_failed_is_not_aborted() -> None:
    driver = job({"DELETE /jobs/7": 403, "GET /jobs/7": 404}, **DELETE)
    with pytest.raises(PermanentError):
        driver.delete()
    assert driver.get().phase == "QUEUED"


def test_job_cancelled_is_true_from_the_first_request_of_a_delete_on_whatever_came_of_it() -> None:
    get = {"request": "GET /jobs/${{ job.cancelled }}", "phase": {"is": "RUNNING"}}
    driver = job({"DELETE /jobs/True": 403}, get=get, delete={"request": "DELETE /jobs/${{ job.cancelled }}"})
    driver.get()
    with pytest.raises(PermanentError):
        driver.delete()
    driver.get()
    assert driver.api.calls == ["GET /jobs/false", "DELETE /jobs/true", "GET /jobs/true"]


@pytest.mark.parametrize("restart", [False, True])
def test_a_delete_that_fails_counts_as_done_after_its_tolerance(
    restart: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Flyte repeats it every ten seconds, without an end. Each process counts for itself."""
    driver = job({"GET /jobs/7": 500, "DELETE /jobs/7": 403}, **DELETE)
    count = given_up()
    for seconds in (0, 300, 299):
        driver.clock.now += seconds
        with pytest.raises(PermanentError):
            driver.delete()
    if restart:
        driver.restart()
        with pytest.raises(PermanentError):
            driver.delete()
        driver.clock.now += 600
    driver.clock.now += 1
    driver.delete()
    assert "failed for 10m and counts as done; the job 7 may still be running: DELETE" in caplog.text
    assert given_up() == count + 1


def test_a_delete_that_works_ends_the_count() -> None:
    driver = job({"DELETE /jobs/7": [403, 204, 403]}, delete={**DELETE["delete"], "always": True})
    for fails in (True, False, True):
        driver.clock.now += 599
        if fails:
            with pytest.raises(PermanentError):
                driver.delete()
        else:
            driver.delete()


def test_the_delete_of_another_services_job_counts_as_done_in_the_end_too() -> None:
    driver = job({}, **DELETE)
    driver.kept = driver.kept[:-10] + b'xxxxxxxx"}'
    for _ in range(2):
        with pytest.raises(EvaluationError, match="was not made by this service"):
            driver.delete()
        driver.clock.now += 599
    driver.clock.now += 1
    driver.delete()
    assert driver.api.calls == []


def authorization(driver: Driver) -> str | None:
    value: str | None = driver.api.sent[-1].headers.get("Authorization")
    return value


class TestASecret:
    def test_of_the_task_wins_over_the_environment(self) -> None:
        driver = job({"GET /jobs/7": {"state": "running"}}, environment={"K": "of-env"}, **SECRET)
        driver.get(secrets={"k": "of-task"})
        assert authorization(driver) == "Bearer of-task"
        driver.restart()
        driver.get()
        assert authorization(driver) == "Bearer of-env"

    def test_that_is_not_required_and_missing_sends_nothing(self) -> None:
        driver = job({"GET /jobs/7": {"state": "running"}}, **SECRET)
        driver.get()
        assert authorization(driver) is None

    def test_comes_from_a_file_that_is_read_anew_when_it_changed(self, tmp_path: Path) -> None:
        file = tmp_path / "eu" / "key"
        file.parent.mkdir()
        file.write_text("first\n")
        secrets = {"k": {"file": f"{tmp_path}/${{{{ config.region }}}}/key"}}
        driver = Driver(
            FakeApi({"POST /jobs": {"id": 7}, "GET /jobs/7": {"state": "running"}}),
            config={"region": "str"},
            secrets=secrets,
            connection=SECRET["connection"],
        )
        driver.create(config={"region": "eu"})
        assert authorization(driver) == "Bearer first"
        file.write_text("the second\r\n")
        driver.get()
        assert authorization(driver) == "Bearer the second"

    def test_of_more_than_64_kib_is_refused_and_nothing_is_sent(self, tmp_path: Path) -> None:
        file = tmp_path / "key"
        for length, sent in ((2**16, 1), (2**16 + 1, 0)):
            file.write_text("x" * length)
            for secrets, given in (({"k": {"file": str(file)}}, {}), ({"k": {}}, {"k": "x" * length})):
                driver = Driver(FakeApi({"POST /jobs": {"id": 7}}), connection=SECRET["connection"], secrets=secrets)
                error = driver.create(secrets=given).create_error or ""
                assert len(driver.api.sent) == sent
                assert ("the secret 'k' has more than 65536 characters" in error) == (not sent)
                assert "xxx" not in error

    @pytest.mark.parametrize("region", ["pipe", "folder", "not-text", "no\0name", "half-\ud800", "x" * 5000])
    def test_is_missing_if_its_file_is_not_a_file_of_text(self, tmp_path: Path, region: str) -> None:
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "folder").mkdir()
        (tmp_path / "not-text").write_bytes(b"\xff\xfe")
        driver = Driver(
            FakeApi(),
            config={"region": "str"},
            connection=SECRET["connection"],
            secrets={"k": {"file": f"{tmp_path}/${{{{ config.region }}}}"}},
        )
        assert "the secret 'k' is missing" in (driver.create(config={"region": region}).create_error or "")

    def test_never_comes_from_a_file_outside_of_where_the_spec_says(self, tmp_path: Path) -> None:
        driver = Driver(
            FakeApi(),
            config={"region": "str"},
            connection=SECRET["connection"],
            secrets={"k": {"file": f"{tmp_path}/${{{{ config.region }}}}/key"}},
        )
        assert "may not hold '..'" in (driver.create(config={"region": "../.."}).create_error or "")


def test_no_part_of_a_status_shows_a_secret() -> None:
    held = "planted-secret-1"
    answer = {"state": "failed", "why": f"no {held}", "page": f"https://x.test/?k={held}", held: [held]}
    get = {
        "request": "GET /jobs/7",
        "phase": {"path": "$.state", "map": {"FAILED": ["failed"]}},
        "message": "$.why",
        "links": [{"name": "Page", "url": "$.page"}, {"name": f"${{{{ '{held}' }}}}", "url": "https://x.test/"}],
        "info": {"all": "${{ body }}"},
    }
    driver = job({"GET /jobs/7": [answer, {"state": held}]}, get=get, secrets={"k": {"required": False}})
    failed, unknown = (driver.get(secrets={"k": held}) for _ in range(2))
    assert failed.message == "no ***"
    assert failed.links == [("Page", "https://x.test/?k=***"), ("***", "https://x.test/")]
    assert failed.info["all"]["***"] == ["***"]
    assert "unknown state: '***'" in (unknown.message or "")
    assert held not in f"{failed}{unknown}"


class TestTheSecretsOfALog:
    SECTIONS: ClassVar[dict[str, Any]] = {**SECRET, "logs": {"request": "GET /logs", "lines": "$.l[*]"}}

    def driver(self, states: Any) -> Driver:
        api = FakeApi({"GET /jobs/7": states, "GET /logs": {"l": ["of-task", "of-env"]}})
        return job(api, environment={"K": "of-env"}, **self.SECTIONS)

    def test_are_those_of_the_task_as_last_seen(self) -> None:
        driver = self.driver({"state": "running"})
        driver.get(secrets={"k": "of-task"})
        assert driver.logs()[0] == ["***", "of-env"]
        assert authorization(driver) == "Bearer of-task"

    def test_are_those_of_create_before_the_first_get(self) -> None:
        driver = self.driver({"state": "running"})
        driver.create(secrets={"k": "of-task"})
        driver.logs()
        assert authorization(driver) == "Bearer of-task"

    def test_are_the_connectors_own_after_a_restart(self) -> None:
        driver = self.driver({"state": "running"})
        driver.get(secrets={"k": "of-task"})
        driver.restart()
        assert driver.logs()[0] == ["of-task", "***"]

    def test_are_kept_for_an_hour_after_the_jobs_end(self) -> None:
        driver = self.driver({"state": "done"})
        assert driver.get(secrets={"k": "of-task"}).phase == "SUCCEEDED"
        driver.clock.now += 3600
        assert driver.logs()[0] == ["***", "of-env"]
        assert authorization(driver) == "Bearer of-task"
        driver.clock.now += 1
        assert driver.logs()[0] == ["of-task", "***"]
        assert authorization(driver) == "Bearer of-env"

    def test_are_not_in_memory_an_hour_after_the_jobs_end(self) -> None:
        driver = self.driver({"state": "done"})
        first = driver.connector.decode(driver.kept)
        driver.get(secrets={"k": "of-task"})
        driver.clock.now += 3601
        driver.create()
        driver.get(secrets={"k": "of-another"})
        cache = driver.connector.cache
        assert cache.get(first).secrets == {}
        assert cache.get(driver.connector.decode(driver.kept)).secrets == {"k": "of-another"}


def test_a_log_that_fails_is_raised_without_secrets() -> None:
    driver = job(
        {"GET /logs": reply(403, json={"message": "no, planted-secret"})},
        secrets={"k": {}},
        logs={"request": "GET /logs", "lines": "$.l[*]"},
    )
    driver.create(secrets={"k": "planted-secret"})
    with pytest.raises(PermanentError, match=r"answered 403: no, \*\*\*"):
        driver.logs()
