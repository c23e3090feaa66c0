"""catalog/prefect.yaml against a real Prefect server and runner."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.integration.real.backends import PATIENCE, backend, ended, plain, processes_of
from tests.integration.real.orchestrators import Engine, OnTheRealThing
from tests.support.flyte_side import Job, state
from tests.support.real_processes import WRONG_KEY, wait_until

pytestmark = pytest.mark.real


class Prefect(Engine):
    def start_lab(self, run: str, outputs: dict[str, type] | None = None, /, **parameters: Any) -> Job:
        inputs = {name: type(value) for name, value in parameters.items()}
        task = self.task(config={"deployment": "lab/lab"}, inputs=inputs, outputs=outputs or {})
        return self.start(task, run, **parameters)

    @property
    def auth(self) -> tuple[str, str]:
        user, password = self.variables["PREFECT_API_AUTH_STRING"].split(":")
        return user, password

    def ask(self, path: str, **body: Any) -> Any:
        """Prefect's answer to a POST."""
        return httpx.post(f"{self.variables['PREFECT_API_URL']}{path}", auth=self.auth, json=body, timeout=20).json()

    def deployment(self) -> Any:
        """The lab's deployment."""
        url = f"{self.variables['PREFECT_API_URL']}/deployments/name/lab/lab"
        return httpx.get(url, auth=self.auth, timeout=20).json()

    def phase(self, run_id: str) -> str:
        """The phase of a run by its id."""
        return str(self.call("get", run_id)["phase"])

    def runner(self) -> psutil.Process:
        """The runner's process; another one is started when it ends."""
        (runner,) = [process for process in processes_of("prefect") if "prefect_lab.py" in process.cmdline()]
        return runner

    def known(self, run: str) -> list[str]:
        runs = self.ask("/flow_runs/filter", sort="START_TIME_DESC")
        return [found["id"] for found in runs if str(found["idempotency_key"]).startswith(f"{self.runs}-{run}-")]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prefect]:
    with backend("prefect", tmp_path_factory.mktemp("prefect"), Prefect) as running:
        running.flyte.store = {"nonsense": WRONG_KEY}
        yield running


class TestPrefect(OnTheRealThing):
    reason = "ValueError: asked to fail"
    last_line = "Finished in state Completed()"

    def test_a_server_that_is_lost_and_comes_back_in_mid_job_costs_nothing(
        self, engine: Engine, tmp_path: Path
    ) -> None:
        super().test_a_server_that_is_lost_and_comes_back_in_mid_job_costs_nothing(engine, tmp_path)
        assert isinstance(engine, Prefect)
        engine.runner().kill()  # it may have given up to look for cancels

    def test_a_parameter_that_the_flow_lacks_fails_at_once_and_is_named(self, engine: Prefect) -> None:
        phase, message = ended(engine.end(engine.start_lab("unknown", nope=1, seconds=1)))
        assert phase == "FAILED"
        assert message.endswith("the flow has no parameter nope")
        assert engine.known("unknown") == []

    def test_a_parameter_of_another_type_fails_at_once_in_prefects_words(self, engine: Prefect) -> None:
        phase, message = ended(engine.end(engine.start_lab("type", seconds="long")))
        assert phase == "FAILED"
        assert "Validation failed for field 'seconds'" in message

    def test_a_deployment_that_is_not_there_fails_at_once_in_prefects_words(self, engine: Prefect) -> None:
        task = engine.task(config={"deployment": "lab/nope"}, inputs={}, outputs={})
        phase, message = ended(engine.end(engine.start(task, "nowhere")))
        assert phase == "FAILED"
        assert message.endswith("answered 404: Deployment not found")

    def test_a_flow_whose_process_was_killed_may_be_tried_again(self, engine: Prefect) -> None:
        phase, message = ended(engine.end(engine.start_lab("crash", crash=True)))
        assert phase == "RETRYABLE_FAILED"
        assert "SIGKILL" in message

    def test_a_process_that_ends_before_it_ran_the_flow_is_not_tried_again(self, engine: Prefect) -> None:
        made = engine.ask(f"/deployments/{engine.deployment()['id']}/create_flow_run", parameters={"nope": 1})
        wait_until(lambda: engine.phase(made["id"]) == "FAILED", "its end", PATIENCE)

    def test_a_run_that_is_pending_cannot_be_cancelled_yet(self, engine: Prefect) -> None:
        job = engine.start_lab("pending", seconds=300)
        engine.until(job, "INITIALIZING")
        refusals = engine.cancel(job)
        assert refusals
        assert all("the run is starting: cancel it again" in refusal for refusal in refusals)
        assert state(engine.end(job)) == "ABORTED"

    def test_a_run_that_is_scheduled_is_cancelled_at_once(self, engine: Prefect) -> None:
        runner = engine.runner()
        runner.suspend()
        try:
            job = engine.start_lab("scheduled", seconds=300)
            assert engine.cancel(job) == []
            assert state(engine.flyte.get(job)) == "ABORTED"
        finally:
            runner.resume()

    def test_levels_of_log_lines_are_names(self, engine: Prefect) -> None:
        job = engine.start_lab("levels", lines=1)
        engine.end(job)
        lines = wait_until(lambda: found if self.last_line in str(found := engine.log(job)) else None, "the last line")
        assert "[WARNING] line 0" in lines

    def test_credentials_that_hold_no_longer_make_a_job_unreadable_until_they_hold_again(self, engine: Prefect) -> None:
        job = engine.start_lab("expired", {"row_count": int})
        with engine.another_service(PREFECT_API_AUTH_STRING=WRONG_KEY) as flyte:
            phase, message = ended(flyte.get(job))
        assert phase == "RUNNING"
        assert "answered 401: Unauthorized" in message
        assert WRONG_KEY not in message
        assert plain(engine.end(job)) == {"row_count": 42}

    def test_wrong_credentials_fail_at_once_and_start_nothing(self, engine: Prefect) -> None:
        secrets = {"auth_string": "nonsense"}
        wrong = engine.task(config={"deployment": "lab/lab"}, inputs={}, outputs={}, secrets=secrets)
        phase, message = ended(engine.end(engine.start(wrong, "wrong")))
        assert phase == "FAILED"
        assert message.endswith("answered 401: Unauthorized")
        assert engine.known("wrong") == []

    def test_check_tells_right_credentials_from_wrong_ones(self, engine: Prefect) -> None:
        assert engine.check()[0] == 0
        code, said = engine.check(PREFECT_API_AUTH_STRING=WRONG_KEY)
        assert code == 1
        assert "answered 401: Unauthorized" in said
