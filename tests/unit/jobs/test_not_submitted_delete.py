"""A job whose create has not gone through, and its delete: nothing runs on, and nothing is submitted any more."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.fake_api import BROKEN, REFUSED, SILENT
from tests.support.not_submitted import (
    ADOPT,
    FILE,
    GOOD,
    IDEMPOTENT,
    LOOK,
    NOTHING,
    STEPS,
    lost_then,
    pending,
)
from yaml_connector.errors import CallError, EvaluationError


class TestDelete:
    def test_sends_nothing_if_no_try_can_have_arrived_a_moment_ago(self) -> None:
        job = pending({**STEPS}, {"POST /files": FILE, "POST /jobs": 503, "DELETE /files/f1": 204})
        job.delete()
        assert job.api.calls == ["DELETE /files/f1"]
        assert job.get().phase == "ABORTED"

    @pytest.mark.parametrize("restart", [False, True])
    def test_of_an_idempotent_create_sends_it_once_more_and_cancels_its_job(self, restart: bool) -> None:
        job = pending(IDEMPOTENT, lost_then(GOOD))
        if restart:
            job.restart()
        job.delete()
        assert job.api.calls == ["POST /jobs", "GET /jobs/7", "DELETE /jobs/7"]
        assert job.get().phase == "ABORTED"
        assert len(job.api.calls) == 3

    def test_of_a_job_that_is_over_by_then_cancels_nothing(self) -> None:
        job = pending(IDEMPOTENT, {**lost_then(GOOD), "GET /jobs/7": {"state": "done"}})
        job.delete()
        assert job.api.calls == ["POST /jobs", "GET /jobs/7"]

    def test_whose_create_is_refused_is_done_at_the_second_time(self) -> None:
        job = pending(IDEMPOTENT, lost_then(422))
        with pytest.raises(CallError):
            job.delete()
        job.delete()
        assert job.api.calls == ["POST /jobs"]

    @pytest.mark.parametrize("failure", [REFUSED, BROKEN, 503])
    def test_whose_create_fails_is_a_failed_delete_and_nothing_is_submitted_by_get(self, failure: Any) -> None:
        job = pending(IDEMPOTENT, lost_then(failure))
        for _ in range(2):
            with pytest.raises(CallError):
                job.delete()
            assert job.get().phase == "ABORTED"
        assert job.api.calls == ["POST /jobs"] * 2

    def test_after_the_tolerance_submits_nothing_and_says_so(self, caplog: pytest.LogCaptureFixture) -> None:
        job = pending(IDEMPOTENT, lost_then(GOOD))
        job.restart()
        job.clock.now += 600
        job.delete()
        assert job.api.calls == []
        assert "it is unknown whether the job was submitted" in caplog.text

    def test_with_adopt_looks_and_cancels_what_it_finds(self) -> None:
        job = pending(ADOPT, {"POST /jobs": SILENT, LOOK: [NOTHING, NOTHING, {"found": "7"}]})
        job.delete()
        assert job.api.calls == [LOOK, "GET /jobs/7", "DELETE /jobs/7"]

    def test_with_adopt_that_finds_nothing_fails_after_a_try_that_may_have_arrived(self) -> None:
        job = pending(ADOPT, {"POST /jobs": SILENT})
        with pytest.raises(EvaluationError, match="it is unknown whether the job was submitted: it is not found"):
            job.delete()
        assert job.api.calls == [LOOK]
        assert job.get().phase == "ABORTED"
        job.clock.now += 601
        job.delete()  # it counts as done

    def test_without_the_section_ends_the_submitting(self) -> None:
        job = pending(IDEMPOTENT, {"POST /jobs": 503}, delete=None)
        job.delete()
        assert job.get().phase == "ABORTED"
        assert job.api.calls == []

    def test_looks_for_the_job_of_an_earlier_try_though_the_last_one_was_refused(self) -> None:
        """Without a key, the API may refuse a second job because the first one is there."""
        job = pending(ADOPT, {"POST /jobs": [SILENT, 422]})
        job.clock.now += 120
        assert job.get().phase == "FAILED"
        job.api.routes[LOOK] = [{"found": "7"}]
        job.delete()
        assert job.api.calls[-3:] == [LOOK, "GET /jobs/7", "DELETE /jobs/7"]
