"""Get in several steps, and along pages (`follow`)."""

from __future__ import annotations

from typing import Any, ClassVar

from tests.support.fake_api import job
from tests.support.states import STATES


class TestSteps:
    GET: ClassVar[dict[str, Any]] = {
        "steps": [
            {"name": "run", "request": "GET /jobs/${{ job.id }}"},
            {"name": "more", "if": "steps.run.body.state == 'odd'", "request": "GET /more", "optional": True},
        ],
        "phase": [{"path": "$.state", "map": STATES}, {"when": "steps.more.body.bad", "is": "FAILED"}],
    }

    def test_a_skipped_step_leaves_the_last_one_that_ran_to_be_read(self) -> None:
        driver = job({"GET /jobs/7": {"state": "done"}}, get=self.GET)
        assert driver.get().phase == "SUCCEEDED"
        assert driver.api.calls == ["GET /jobs/7"]

    def test_an_optional_step_that_fails_counts_as_skipped(self) -> None:
        driver = job({"GET /jobs/7": {"state": "odd"}, "GET /more": 400}, get=self.GET)
        assert "unknown state" in (driver.get().message or "")

    def test_later_steps_and_rules_see_the_earlier_ones(self) -> None:
        driver = job({"GET /jobs/7": {"state": "odd"}, "GET /more": {"bad": True}}, get=self.GET)
        assert driver.get().phase == "FAILED"

    def test_a_section_that_reads_a_skipped_step_finds_nothing(self) -> None:
        driver = job({"GET /jobs/7": {"state": "done"}}, get={**self.GET, "read": "more"})
        assert "nothing at $.state" in (driver.get().message or "")

    def test_each_makes_lists(self) -> None:
        get = {
            "steps": [
                {"name": "run", "request": "GET /jobs/${{ job.id }}"},
                {
                    "name": "task",
                    "each": "$.tasks[*]",
                    "request": "GET /tasks/${{ item.id }}",
                    "save": {"s": "$.state"},
                },
            ],
            "phase": {"path": "${{ steps.task.saved.s }}", "map": {"FAILED": ["bad"], "SUCCEEDED": ["ok"]}},
            "info": {"all": "${{ steps.task.body }}", "codes": "${{ steps.task.status }}"},
        }
        driver = job(
            {
                "GET /jobs/7": {"tasks": [{"id": 1}, {"id": "a/b"}]},
                "GET /tasks/1": {"state": "ok"},
                "GET /tasks/a%2Fb": {"state": "bad"},
            },
            get=get,
        )
        status = driver.get()
        assert status.phase == "FAILED"
        assert status.info == {"all": [{"state": "ok"}, {"state": "bad"}], "codes": [200, 200]}

    def test_each_over_nothing_makes_an_empty_list(self) -> None:
        get = {
            "request": "GET /jobs/${{ item }}",
            "each": "${{ job.ids }}",
            "name": "x",
            "phase": {"when": "steps.x.body | length == 0", "is": "SUCCEEDED"},
        }
        create = {"request": "POST /jobs", "idempotent": True, "job_id": "$.id", "save": {"ids": "$.ids[*]"}}
        assert job({"POST /jobs": {"id": 7}}, create=create, get=get).get().phase == "SUCCEEDED"


class TestFollow:
    GET: ClassVar[dict[str, Any]] = {
        "request": "${{ cursor or '/start' }}",
        "follow": "$.next",
        "follow_for": "2s",
        "phase": {"path": "$.state", "map": STATES},
    }

    def spec(self) -> dict[str, Any]:
        return {**self.GET, "request": {"url": "${{ cursor | default('/start', true) }}"}}

    def test_reads_the_last_page(self) -> None:
        driver = job(
            {
                "GET /start": {"state": "queued", "next": "/p1"},
                "GET /p1": {"state": "running", "next": "https://api.test/p2"},
                "GET /p2": {"state": "done"},
            },
            get=self.spec(),
        )
        assert driver.get().phase == "SUCCEEDED"
        assert driver.api.calls == ["GET /start", "GET /p1", "GET /p2"]

    def test_stops_after_its_time_and_goes_on_from_there_with_the_next_get(self) -> None:
        def slow(request: Any) -> Any:
            driver.clock.now += 1.5
            return {"state": "running", "next": f"{request.url.path}x"}

        driver = job({"GET /start": slow, "GET /startx": slow, "GET /startxx": {"state": "done"}}, get=self.spec())
        assert driver.get().phase == "RUNNING"
        assert driver.api.calls == ["GET /start", "GET /startx"]
        assert driver.get().phase == "SUCCEEDED"
        assert driver.api.calls[2:] == ["GET /startxx"]

    def test_starts_anew_after_a_restart(self) -> None:
        driver = job(
            {"GET /start": [{"state": "running", "next": "/p1"}, {"state": "done"}], "GET /p1": {"state": "running"}},
            get=self.spec(),
        )
        driver.get()
        driver.restart()
        assert driver.get().phase == "SUCCEEDED"

    def test_goes_nowhere_that_is_not_allowed(self) -> None:
        driver = job({"GET /start": {"state": "queued", "next": "https://evil.test/p1"}}, get=self.spec())
        assert "the host evil.test is not allowed" in (driver.get().message or "")
        assert driver.api.calls == ["GET /start"]
