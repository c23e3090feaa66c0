"""catalog/dagster.yaml against a real Dagster webserver and daemon."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.integration.real.backends import backend, ended, plain
from tests.integration.real.orchestrators import Engine, OnTheRealThing
from tests.support.flyte_side import Job, state

pytestmark = pytest.mark.real

WORK = {"seconds": 0, "fail": False, "lines": 0, "pid": ""}
LOCATION = "dagster_lab.py"


class Dagster(Engine):
    def start_lab(self, run: str, outputs: dict[str, type] | None = None, /, **parameters: Any) -> Job:
        return self.start_job("lab", run, outputs, **parameters)

    def start_job(self, job: str, run: str, outputs: dict[str, type] | None = None, /, **parameters: Any) -> Job:
        """Submit a job of the code location."""
        task = self.task(config={"location": LOCATION, "job": job}, outputs=outputs or {})
        return self.start(task, run, run_config={"ops": {"work": {"config": {**WORK, **parameters}}}})

    def known(self, run: str) -> list[str]:
        everything = self.ask("{ runsOrError { ... on Runs { results { runId tags { key value } } } } }")
        return [
            found["runId"]
            for found in everything["runsOrError"]["results"]
            for tag in found["tags"]
            if tag["key"] == "flyte/task-key" and tag["value"].startswith(f"{self.runs}-{run}-")
        ]

    def ask(self, query: str) -> Any:
        """The data of Dagster's answer to a query."""
        url = f"{self.variables['DAGSTER_URL']}/graphql"
        return httpx.post(url, json={"query": query}, timeout=20).json()["data"]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dagster]:
    with backend("dagster", tmp_path_factory.mktemp("dagster"), Dagster) as running:
        yield running


class TestDagster(OnTheRealThing):
    reason = "ValueError: asked to fail"
    last_line = "Process for run exited"

    def test_a_run_that_is_starting_is_cancelled_once_it_has_started(self, engine: Dagster) -> None:
        job = engine.start_lab("refused", seconds=300)
        engine.until(job, "INITIALIZING")
        refusals = engine.cancel(job)
        assert refusals
        assert all("could not be terminated due to having status STARTING" in refusal for refusal in refusals)
        assert state(engine.end(job)) == "ABORTED"

    def test_a_run_from_the_terminal_that_is_given_up_while_it_starts_is_cancelled(self, engine: Dagster) -> None:
        where = ("--config", f"location={LOCATION}", "--config", "job=lab", "--timeout", "2s")
        work = json.dumps({"ops": {"work": {"config": {**WORK, "seconds": 300}}}})
        run = engine.command("run", str(engine.spec), *where, "--input", f"run_config={work}")
        assert run.returncode == 1
        assert "ABORTED" in run.stdout + run.stderr

    def test_text_and_numbers_of_an_assets_metadata_are_outputs(self, engine: Dagster) -> None:
        resource = engine.end(engine.start_lab("metadata", {"row_count": int, "name": str}))
        assert plain(resource) == {"row_count": 42, "name": "orders"}

    def test_an_output_that_no_asset_has_is_named(self, engine: Dagster) -> None:
        phase, message = ended(engine.end(engine.start_lab("lack", {"nope": int})))
        assert phase == "FAILED"
        assert "nope" in message

    def test_a_run_config_that_dagster_refuses_fails_at_once_in_its_words(self, engine: Dagster) -> None:
        phase, message = ended(engine.end(engine.start_lab("config", seconds="long")))
        assert phase == "FAILED"
        assert "Invalid scalar at path root:ops:work:config:seconds" in message
        assert engine.known("config") == []

    def test_a_job_that_is_not_there_fails_at_once_in_dagsters_words(self, engine: Dagster) -> None:
        phase, message = ended(engine.end(engine.start_job("nope", "nowhere")))
        assert phase == "FAILED"
        assert "Could not find Pipeline dagster_lab.py.__repository__.nope" in message

    def test_a_run_that_was_deleted_is_not_known_yet_for_a_while(self, engine: Dagster) -> None:
        job = engine.start_lab("deleted")
        engine.end(job)
        found = engine.ask(f'mutation {{ deleteRun(runId: "{engine.id_of("deleted")}") {{ __typename }} }}')
        assert found["deleteRun"]["__typename"] == "DeletePipelineRunSuccess"
        with engine.another_service() as flyte:
            phase, message = ended(flyte.get(job))
            flyte.delete(job)  # cancelling what is gone is no error
        assert phase == "QUEUED"
        assert "could not be found" in message

    def test_check_finds_the_webserver(self, engine: Dagster) -> None:
        assert engine.check()[0] == 0
