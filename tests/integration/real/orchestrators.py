"""What a workflow engine of the catalog must do on the real thing; each engine's tests are a subclass, with its own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.integration.real.backends import PATIENCE, Backend, gone, plain
from tests.support.flyte_side import Job, state
from tests.support.real_processes import wait_until


class Engine(Backend):
    """A backend whose lab has one job, with these parameters: `seconds` that it takes, `fail` ("asked to fail"),
    `lines` that it logs ("line 0", ...), and `pid`, a file that the number of its process is written to."""

    def start_lab(self, run: str, outputs: dict[str, type] | None = None, /, **parameters: Any) -> Job:
        """Submit the lab's job, which has these outputs."""
        raise NotImplementedError

    def known(self, run: str) -> list[str]:
        """The ids of the jobs of this run that the engine itself knows."""
        raise NotImplementedError

    def id_of(self, run: str) -> str:
        """The id of the one job of this run."""
        (job_id,) = self.known(run)
        return job_id


class OnTheRealThing:
    """The tests of all engines. A module's fixture `engine` is the one that it is about."""

    reason: ClassVar[str]  # what the message of a failed job must hold
    last_line: ClassVar[str]  # what the log of a job ends with
    options: ClassVar[tuple[str, ...]] = ()  # what `call` needs to know of a job beside its id

    def test_a_job_succeeds_with_its_outputs(self, engine: Engine) -> None:
        job = engine.start_lab("success", {"row_count": int}, seconds=2)
        engine.until(job, "RUNNING")
        resource = engine.end(job)
        assert state(resource) == "SUCCEEDED"
        assert plain(resource) == {"row_count": 42}

    def test_a_failed_job_says_why(self, engine: Engine) -> None:
        resource = engine.end(engine.start_lab("failure", fail=True))
        assert state(resource) == "FAILED"
        assert self.reason in resource.message

    def test_a_cancel_as_soon_as_the_job_is_there_keeps_it_from_running(self, engine: Engine, tmp_path: Path) -> None:
        pid = tmp_path / "pid"
        job = engine.start_lab("at-once", seconds=20, pid=str(pid))
        engine.cancel(job)
        assert state(engine.end(job)) == "ABORTED"
        if pid.exists():  # it was faster
            gone(int(pid.read_text()))

    def test_a_cancel_while_the_job_starts_ends_it(self, engine: Engine, tmp_path: Path) -> None:
        pid = tmp_path / "pid"
        job = engine.start_lab("starting", seconds=300, pid=str(pid))
        engine.until(job, "INITIALIZING", "RUNNING")
        engine.cancel(job)
        assert state(engine.end(job)) == "ABORTED"
        if pid.exists():
            gone(int(pid.read_text()))

    def test_a_cancel_while_the_job_runs_ends_it(self, engine: Engine, tmp_path: Path) -> None:
        pid = tmp_path / "pid"
        job = engine.start_lab("running", seconds=300, pid=str(pid))
        engine.until(job, "RUNNING")
        wait_until(lambda: pid.exists() and pid.read_text(), "the job to run", PATIENCE)
        engine.cancel(job)
        assert state(engine.end(job)) == "ABORTED"
        gone(int(pid.read_text()))
        engine.cancel(job)  # once more is no error
        assert state(engine.flyte.get(job)) == "ABORTED"

    @pytest.mark.parametrize(("run", "fail", "end"), [("good", False, "SUCCEEDED"), ("bad", True, "FAILED")])
    def test_a_cancel_after_the_end_changes_nothing(self, engine: Engine, run: str, fail: bool, end: str) -> None:
        job = engine.start_lab(f"over-{run}", fail=fail)
        assert state(engine.end(job)) == end
        with engine.another_service() as flyte:  # it has not seen the end
            flyte.delete(job)
            assert state(flyte.get(job)) == end
        engine.call("delete", engine.id_of(f"over-{run}"), *self.options)  # is sent without asking get
        assert engine.call("get", engine.id_of(f"over-{run}"), *self.options)["phase"] == end

    def test_the_log_is_whole_page_by_page_and_at_once(self, engine: Engine) -> None:
        job = engine.start_lab("log", seconds=3, lines=450)
        seen = self.followed(engine, job, self.last_line)
        assert state(engine.end(job)) == "SUCCEEDED"
        assert [line[line.index("line ") :] for line in seen if "line " in line] == [f"line {n}" for n in range(450)]
        assert engine.log(job)[: len(seen)] == seen

    def followed(self, engine: Engine, job: Job, last: str) -> list[str]:
        """The log, read page by page while the job runs, up to a page that has a line with this text."""
        seen: list[str] = []
        token = ""

        def page() -> bool:
            """Read on from the last token that there was; is the end there?"""
            nonlocal token
            lines, following = engine.log_page(job, token)
            seen.extend(lines)
            token = following or token
            return any(last in line for line in seen)

        wait_until(page, f"{last!r} in the log", PATIENCE)
        return seen

    def test_a_server_that_is_lost_and_comes_back_in_mid_job_costs_nothing(
        self, engine: Engine, tmp_path: Path
    ) -> None:
        pid = tmp_path / "pid"
        job = engine.start_lab("restart", {"row_count": int}, seconds=25, pid=str(pid))
        wait_until(
            lambda: pid.exists() and pid.read_text(), "the job to run", PATIENCE
        )  # no engine starts one meanwhile
        engine.restart()
        resource = engine.end(job)
        assert state(resource) == "SUCCEEDED"
        assert plain(resource) == {"row_count": 42}

    def test_the_same_create_five_times_makes_one_job(self, engine: Engine) -> None:
        jobs = [engine.start_lab("five") for _ in range(5)]
        assert {state(engine.end(job)) for job in jobs} == {"SUCCEEDED"}
        assert len(engine.known("five")) == 1

    def test_and_so_do_three_at_once(self, engine: Engine) -> None:
        with ThreadPoolExecutor(3) as threads:
            jobs = list(threads.map(lambda _: engine.start_lab("three"), range(3)))
        assert {state(engine.end(job)) for job in jobs} == {"SUCCEEDED"}
        assert len(engine.known("three")) == 1
