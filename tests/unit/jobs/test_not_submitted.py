"""A job whose create has not gone through: get goes on with it, by the same key, and makes one job of it."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httpx
import pytest

from tests.support.fake_api import SIGNER, SILENT, reply, run
from tests.support.not_submitted import (
    ADOPT,
    FILE,
    GOOD,
    IDEMPOTENT,
    LOOK,
    NOTHING,
    STEPS,
    driver,
    lost_then,
    pending,
)
from yaml_connector._jobs.create import CreateValues
from yaml_connector._jobs.signing import UNSIGNED, Signer
from yaml_connector.errors import EvaluationError


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("signer", [SIGNER, UNSIGNED])
def test_get_makes_the_same_create_with_the_same_key(restart: bool, signer: Signer) -> None:
    job = pending(IDEMPOTENT, lost_then(GOOD), signer=signer)
    if restart:
        job.restart()
    assert job.get().phase == "RUNNING"
    assert job.api.calls == ["POST /jobs", "GET /jobs/7"]
    assert job.api.body(0) == {"name": "n", "cpus": 2}
    assert job.api.sent[0].headers["Idempotency-Key"] == "task-key-1"
    job.get()
    assert job.api.calls[2:] == ["GET /jobs/7"]


def test_it_is_queued_with_the_reason_as_long_as_that_fails() -> None:
    job = pending(IDEMPOTENT, {"POST /jobs": reply(503, json={"message": "busy"})})
    status = job.get()
    assert status.phase == "QUEUED"
    assert status.message == "not submitted yet: POST https://api.test/jobs answered 503: busy"
    assert len(job.api.sent) == 3
    assert job.logs() == ([], None)


def test_no_interval_holds_it_up_but_a_retry_after_does() -> None:
    wait = reply(503, headers={"Retry-After": "60"})
    get = {"request": "GET /jobs/${{ job.id }}", "phase": {"is": "RUNNING"}, "poll": {"min_interval": "1h"}}
    job = pending(IDEMPOTENT, {"POST /jobs": [500, 500, 500, 500, 500, wait, GOOD]}, get=get)
    for after, phase, sent in ((1, "QUEUED", 3), (59, "QUEUED", 0), (2, "RUNNING", 2)):
        job.api.sent.clear()
        assert job.get(after=after).phase == phase
        assert len(job.api.sent) == sent


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (reply(503, json={"message": "busy"}), "not submitted: POST https://api.test/jobs answered 503: busy"),
        (reply(500, json={"message": "oops"}), "it is unknown whether the job was submitted: POST .* 500: oops"),
    ],
)
def test_after_the_tolerance_one_more_request_is_made_and_then_the_job_fails(failure: Any, message: str) -> None:
    job = pending({**IDEMPOTENT, "tolerance": "5m"}, {"POST /jobs": failure})
    assert job.get(after=299).phase == "QUEUED"
    job.api.sent.clear()
    for _ in range(2):
        status = job.get(after=1)
        assert status.phase == "FAILED"
        assert re.match(message, status.message or "")
    assert job.api.calls == ["POST /jobs"]


def test_a_wait_does_not_stop_the_tolerance() -> None:
    job = pending(IDEMPOTENT, {"POST /jobs": reply(429, headers={"Retry-After": "300"})})
    assert job.get(after=200).phase == "QUEUED"
    assert job.api.calls == []
    assert job.get(after=401).phase == "FAILED"
    assert job.api.calls == ["POST /jobs"]


def test_a_failure_for_good_ends_it_at_once() -> None:
    job = pending(IDEMPOTENT, lost_then(reply(422, json={"message": "no such queue"})))
    for _ in range(2):
        status = job.get()
        assert (status.phase, status.message) == ("FAILED", "POST https://api.test/jobs answered 422: no such queue")
    assert job.api.calls == ["POST /jobs"]
    job.delete()
    assert job.api.calls == ["POST /jobs"]


def test_the_grace_counts_from_there() -> None:
    job = pending(IDEMPOTENT, {**lost_then(GOOD), "GET /jobs/7": 404})
    assert job.get(after=300).phase == "QUEUED"
    assert job.get(after=59).phase == "QUEUED"
    assert job.get(after=2).phase == "FAILED"


def test_after_the_time_of_idempotent_nothing_is_sent_by_a_process_that_does_not_know_the_id() -> None:
    job = pending({**IDEMPOTENT, "idempotent": "1h"}, lost_then(GOOD))
    job.clock.now += 3600
    job.restart()
    status = job.get()
    assert status.phase == "RUNNING"
    assert "unreadable" in (status.message or "")
    assert "not submitted within 1h" in (status.message or "")
    assert job.api.calls == []


def test_only_the_spec_that_made_it_submits() -> None:
    for change in ({"create": {**IDEMPOTENT, "job_id": "$.key"}}, {"connection": {"base_url": "https://api.test/v2"}}):
        job = pending(IDEMPOTENT, lost_then(GOOD))
        job.use({**job.data, **change})
        status = job.get()
        assert status.phase == "RUNNING"
        assert "the spec changed before the job was submitted" in (status.message or "")
        with pytest.raises(EvaluationError, match="the spec changed before the job was submitted"):
            job.delete()
        assert job.api.calls == []


class TestSteps:
    ROUTES: dict[str, Any] = {"POST /files": FILE}

    @pytest.mark.parametrize("restart", [False, True])
    def test_that_went_through_are_not_repeated(self, restart: bool) -> None:
        job = pending(STEPS, {**self.ROUTES, "POST /jobs": [503, 503, 503, GOOD]})
        if restart:
            job.restart()
        assert job.get().phase == "RUNNING"
        assert job.api.calls == ["POST /jobs", "GET /jobs/7"]
        assert job.api.body(0) == {"file": "f1", "part": "p1", "etag": "e1"}
        assert b"xxx" not in job.kept

    def test_whose_results_hold_a_secret_are_repeated_by_another_process(self) -> None:
        echo = reply(json={"file": "planted-secret", "parts": ["p1"]}, headers={"ETag": "e1"})
        routes = {"POST /files": echo, "POST /jobs": [503, 503, 503, GOOD]}
        made = driver(STEPS, routes, secrets={"k": {"env": "K"}}, environment={"K": "planted-secret"}, signer=UNSIGNED)
        made.create(inputs={"name": "n"}, config={"cpus": 2})
        assert b"planted" not in made.kept
        made.restart()
        made.api.sent.clear()
        assert made.get().phase == "RUNNING"
        assert made.api.calls == ["POST /files", "POST /jobs", "GET /jobs/7"]
        assert made.api.body(1)["file"] == "planted-secret"

    def test_are_cleaned_up_if_the_job_ends_without_having_been_submitted(self) -> None:
        job = pending(STEPS, {**self.ROUTES, "POST /jobs": 503, "DELETE /files/f1": 204})
        assert job.get(after=601).phase == "FAILED"
        assert job.api.calls == ["POST /jobs", "DELETE /files/f1"]

    def test_a_half_made_job_is_not_taken_for_a_whole_one(self) -> None:
        create = {
            "adopt": {"request": "GET /find/${{ task.key }}", "job_id": "$.found"},
            "steps": [
                {"name": "make", "request": "POST /make"},
                {"name": "start", "request": "POST /start/${{ steps.make.body.id }}"},
            ],
            "job_id": "${{ steps.make.body.id }}",
            "idempotent": True,
        }
        routes = {LOOK: [NOTHING, {"found": "7"}], "POST /make": GOOD, "POST /start/7": [500, 204]}
        made = driver(create, routes)
        meta = made.create(inputs={"name": "n"}, config={"cpus": 2})
        assert (meta.id, meta.adopted) == ("7", False)
        assert made.api.calls == [LOOK, "POST /make", "POST /start/7", LOOK, "POST /start/7"]


class TestAdoptAlone:
    def test_only_looks_for_the_grace_after_a_try_that_may_have_arrived(self) -> None:
        job = pending(ADOPT, {"POST /jobs": [SILENT, GOOD]})
        assert job.get(after=30).phase == "QUEUED"
        assert job.api.calls == [LOOK]
        assert job.get(after=31).phase == "RUNNING"
        assert job.api.calls == [LOOK, LOOK, "POST /jobs", "GET /jobs/7"]

    def test_takes_over_a_job_that_was_committed_late(self) -> None:
        job = pending(ADOPT, {"POST /jobs": SILENT, LOOK: [NOTHING, NOTHING, {"found": "7"}]})
        assert job.get(after=30).phase == "RUNNING"
        assert job.api.calls == [LOOK, "GET /jobs/7"]

    def test_only_looks_for_the_grace_from_the_first_look_of_another_process(self) -> None:
        job = pending(ADOPT, {"POST /jobs": [503, 503, 503, GOOD]})
        job.restart()
        assert job.get(after=100).phase == "QUEUED"
        assert job.get(after=59).phase == "QUEUED"
        assert job.api.calls == [LOOK, LOOK]
        assert job.get(after=1).phase == "RUNNING"
        assert job.api.calls[2:] == [LOOK, "POST /jobs", "GET /jobs/7"]

    def test_looks_once_more_before_a_failure_for_good_counts(self) -> None:
        job = pending(ADOPT, {"POST /jobs": [SILENT, 409], LOOK: [NOTHING, NOTHING, NOTHING, {"found": "7"}]})
        assert job.get(after=61).phase == "RUNNING"
        assert job.api.calls == [LOOK, "POST /jobs", LOOK, "GET /jobs/7"]

    def test_does_not_look_again_after_a_failure_that_surely_did_not_arrive(self) -> None:
        job = pending(ADOPT, {"POST /jobs": [503, 503, 503, GOOD]})
        assert job.get().phase == "RUNNING"
        assert job.api.calls == ["POST /jobs", "GET /jobs/7"]


def test_two_creates_of_one_attempt_take_turns_and_know_of_each_other() -> None:
    async def slow(request: httpx.Request) -> httpx.Response:
        for _ in range(20):
            await asyncio.sleep(0)
        raise httpx.ReadTimeout("no answer")

    made = driver(ADOPT, {"POST /jobs": [lambda request: slow(request), GOOD]})
    values = CreateValues(inputs={"name": "n"}, config={"cpus": 2}, task={"key": "task-key-1"})

    async def both() -> None:
        metas = await asyncio.gather(made.connector.create(values), made.connector.create(values))
        assert all(meta.pending is not None for meta in metas)

    run(both(), made.clock)
    assert made.api.calls.count("POST /jobs") == 1


def test_one_with_other_secrets_that_claims_the_same_key_learns_nothing_of_it() -> None:
    def upload(request: httpx.Request) -> httpx.Response:
        return httpx.Response(
            200, json={"file": f"of {request.headers['X-Token']}", "parts": ["p"]}, headers={"ETag": "e"}
        )

    connection = {"base_url": "https://api.test", "headers": {"X-Token": "${{ secrets.token }}"}}
    create = {**STEPS, "save": {"file": "${{ steps.upload.body.file }}"}}
    routes = {"POST /files": upload, "POST /jobs": [503, 503, 503, GOOD]}
    made = driver(create, routes, connection=connection, secrets={"token": {}})
    values = {"inputs": {"name": "n"}, "config": {"cpus": 2}}
    first = made.create(secrets={"token": "token-of-alice"}, **values)
    assert first.pending is not None
    other = made.create(secrets={"token": "token-of-mallory"}, **values)
    assert "alice" not in str(other.saved)
    assert [made.api.body(-1)["file"], made.api.calls.count("POST /files")] == ["of token-of-mallory", 2]


def test_its_time_limit_counts_from_create_and_tries_no_create() -> None:
    get = {"request": "GET /jobs/${{ job.id }}", "phase": {"is": "RUNNING"}, "poll": {"timeout": "5m"}}
    job = pending(IDEMPOTENT, {"POST /jobs": 503}, get=get)
    status = job.get(after=300)
    assert (status.phase, status.message) == ("FAILED", "timed out after 5m")
    assert job.api.calls == []


def test_a_create_that_hangs_leaves_the_rest_to_the_next_get() -> None:
    def late(request: httpx.Request) -> httpx.Response:
        job.clock.move(8.5)
        return httpx.Response(200, json=GOOD)

    job = pending(IDEMPOTENT, lost_then(late))
    status = job.get()
    assert (status.phase, status.message) == ("QUEUED", "submitted; the next get asks for it")
    assert job.get().phase == "RUNNING"
    assert job.api.calls == ["POST /jobs", "GET /jobs/7"]


def test_calls_that_wait_for_their_turn_have_only_what_is_left_of_their_time() -> None:
    async def late(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)
        job.clock.move(8.9)
        return httpx.Response(503)

    async def at_once() -> list[Any]:
        meta = job.connector.decode(job.kept)
        calls = (job.connector.get(meta), job.connector.get(meta), job.connector.delete(meta))
        return await asyncio.gather(*calls, return_exceptions=True)

    job = pending(IDEMPOTENT, lost_then(lambda request: late(request)))
    first, second, cancelled = run(at_once(), job.clock)
    assert first == second
    assert first.phase == "QUEUED"
    assert "another call is still submitting the job" in str(cancelled)
    assert job.api.calls == ["POST /jobs"]
    assert job.get().phase == "ABORTED"


def test_a_reload_of_the_spec_forgets_nothing_of_it() -> None:
    cancelled, waits = (pending(IDEMPOTENT, {"POST /jobs": 503}) for _ in range(2))
    cancelled.delete()
    waits.api.routes["POST /jobs"] = [GOOD]
    for job in (cancelled, waits):
        before = job.connector
        job.use({**job.data, "get": {"request": "GET /jobs/${{ job.id }}", "phase": {"is": "RUNNING"}}})
        job.connector.take_over(before)
        job.api.sent.clear()
    assert cancelled.get().phase == "ABORTED"
    assert cancelled.api.calls == []
    assert waits.get().phase == "RUNNING"
    waits.delete()  # it was read as running a moment ago
    assert waits.api.calls == ["POST /jobs", "GET /jobs/7", "DELETE /jobs/7"]
