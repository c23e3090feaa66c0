"""catalog/airflow.yaml against a real Airflow, whose tokens live for 20 seconds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.integration.real.backends import FOLDER, backend, ended, plain
from tests.integration.real.orchestrators import Engine, OnTheRealThing
from tests.support.flyte_side import Job, state
from tests.support.real_processes import WRONG_KEY

pytestmark = pytest.mark.real


class Airflow(Engine):
    def start_lab(self, run: str, outputs: dict[str, type] | None = None, /, **parameters: Any) -> Job:
        return self.start_dag("lab", run, outputs, **parameters)

    def start_dag(self, dag: str, run: str, outputs: dict[str, type] | None = None, /, **parameters: Any) -> Job:
        """Submit a run of this DAG."""
        inputs = {name: type(value) for name, value in parameters.items()}
        config = {"dag_id": dag, "result_task": "work" if outputs else None}
        return self.start(self.task(config=config, inputs=inputs, outputs=outputs or {}), run, **parameters)

    def known(self, run: str) -> list[str]:
        runs = self.ask("GET", "/api/v2/dags/~/dagRuns?order_by=-run_after&limit=100")["dag_runs"]
        return [found["dag_run_id"] for found in runs if found["dag_run_id"].startswith(f"{self.runs}-{run}-")]

    def ask(self, method: str, path: str, **body: Any) -> Any:
        """Airflow's answer."""
        url = self.variables["AIRFLOW_URL"]
        account = {"username": self.variables["AIRFLOW_USERNAME"], "password": self.variables["AIRFLOW_PASSWORD"]}
        token = httpx.post(f"{url}/auth/token", json=account, timeout=30).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.request(method, f"{url}{path}", headers=headers, json=body or None, timeout=30).json()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    with backend("airflow", tmp_path_factory.mktemp("airflow"), Airflow) as running:
        running.flyte.store = {"nonsense": WRONG_KEY}
        yield running


class TestAirflow(OnTheRealThing):
    reason = "failed tasks: work; ValueError: asked to fail"
    last_line = "done"
    options = ("--config", "dag_id=lab")

    def test_the_log_of_a_failed_task_has_its_exception(self, engine: Airflow) -> None:
        job = engine.start_lab("exception", fail=True)
        engine.end(job)
        assert "[error] [work] Task failed with exception: ValueError: asked to fail" in engine.log(job)

    def test_the_log_has_all_tries_of_a_task(self, engine: Airflow) -> None:
        job = engine.start_dag("again", "again")
        assert state(engine.end(job)) == "SUCCEEDED"
        said = [line.removeprefix("[info] ") for line in engine.log(job)]
        assert [line for line in said if line.startswith("[work] try")] == ["[work] try 1", "[work] try 2"]

    def test_the_log_of_a_task_that_is_rescheduled_is_whole(self, engine: Airflow) -> None:
        job = engine.start_dag("waiting", "waiting")
        lines = self.followed(engine, job, "look 2")
        assert [line for line in lines if "] look " in line] == [f"[info] [work] look {n}" for n in range(3)]
        assert state(engine.end(job)) == "SUCCEEDED"

    def test_a_token_that_is_over_is_fetched_anew_in_mid_job(self, engine: Airflow) -> None:
        job = engine.start_lab("token", {"row_count": int}, seconds=30)
        assert plain(engine.end(job)) == {"row_count": 42}

    def test_so_is_one_of_before_a_new_secret(self, engine: Airflow) -> None:
        engine.start_lab("before")
        secret, log = (FOLDER / "airflow" / "run" / name for name in ("secret", "server.log"))
        kept = secret.read_text()
        secret.write_text("another" * 10)
        engine.restart()
        try:
            job = engine.start_lab("after")
            assert "status_code=403" in log.read_text()
            assert engine.id_of("after")
            engine.cancel(job)
        finally:
            secret.write_text(kept)
            engine.restart()

    def test_a_parameter_that_the_dag_refuses_fails_at_once_in_airflows_words(self, engine: Airflow) -> None:
        phase, message = ended(engine.end(engine.start_lab("type", seconds="long")))
        assert phase == "FAILED"
        assert "Invalid input for param seconds: 'long' is not of type 'integer'" in message

    def test_a_dag_that_is_not_there_fails_at_once_in_airflows_words(self, engine: Airflow) -> None:
        phase, message = ended(engine.end(engine.start_dag("nope", "nowhere")))
        assert phase == "FAILED"
        assert "'nope' not found" in message

    def test_a_wrong_password_fails_at_once_and_starts_nothing(self, engine: Airflow) -> None:
        wrong = engine.task(config={"dag_id": "lab"}, inputs={}, outputs={}, secrets={"password": "nonsense"})
        phase, message = ended(engine.end(engine.start(wrong, "wrong")))
        assert phase == "FAILED"
        assert message.endswith("answered 401: Invalid credentials")
        assert engine.known("wrong") == []

    def test_check_tells_a_right_password_from_a_wrong_one(self, engine: Airflow) -> None:
        assert engine.check()[0] == 0
        code, said = engine.check(AIRFLOW_PASSWORD=WRONG_KEY)
        assert code == 1
        assert "answered 401: Invalid credentials" in said
