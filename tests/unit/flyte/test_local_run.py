"""A local run from Python: the job's own rhythm, every log line once, retries as the task says, clear messages."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import flyte
import pytest
from aiohttp import web
from flyte.errors import BaseRuntimeError

from tests.support.real_api import RealApi, Received
from yaml_connector import task_from_spec

SPEC = """
spec_version: 1
task_type_name: %(name)s
connection:
  base_url: "%(url)s/%(name)s"
  auth: {type: bearer, token: "${{ secrets.api_key }}"}
  retry: {max_attempts: 2, initial_delay: 10ms, max_delay: 20ms}
secrets: {api_key: {env: LOCAL_API_KEY}}
inputs: {name: str}
outputs: {result: $.result}
create:
  request: {method: POST, path: /jobs, headers: {Idempotency-Key: "${{ task.key }}"}, json: "${{ inputs }}"}
  idempotent: true
  job_id: $.id
get:
  request: GET /jobs/${{ job.id }}
  phase:
    path: $.state
    map: {QUEUED: [queued], RUNNING: [running], SUCCEEDED: [done], FAILED: [error], RETRYABLE_FAILED: [lost]}
  message: $.detail
  poll: {min_interval: %(min_interval)s}
logs: %(logs)s  settle: 0s
"""
PAGED = """
  request: {path: "/jobs/${{ job.id }}/logs", query: {cursor: "${{ page.token }}"}}
  lines: $.lines[*]
  next: $.next
"""
WHOLE = """
  request: GET /jobs/${{ job.id }}/logs
  lines: $.lines[*]
"""


class Backend:
    """A job that goes through these states, one at a get, and stays in the last one."""

    def __init__(
        self,
        *states: Any,
        logs: Callable[[Received], Any] | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.states, self.logs, self.now = list(states), logs, now
        self.gets: list[float] = []

    def __call__(self, received: Received) -> Any:
        if received.method == "POST":
            return {"id": "j-1"}
        if received.parts[-1] == "logs":
            return self.logs(received) if self.logs else {"lines": []}
        self.gets.append(self.now())
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return {"state": state, "result": "r", "detail": "the disk is full"} if isinstance(state, str) else state


Run = Callable[..., Any]
_numbers = count(1)


@pytest.fixture
def run(api: RealApi, tmp_path: Path, flyte_home: None, environment: pytest.MonkeyPatch) -> Run:
    """Runs a task of a spec of its own against a backend; gives its output."""
    name = f"local_{next(_numbers)}"
    environment.setenv("LOCAL_API_KEY", "connectors-own")

    def start(backend: Any, *, logs: str = WHOLE, min_interval: str = "0s", **arguments: Any) -> Any:
        api.case(name, backend)
        spec = tmp_path / f"{name}.yaml"
        spec.write_text(SPEC % {"name": name, "url": api.url, "logs": logs, "min_interval": min_interval})
        task = task_from_spec(spec, **{"name": "job", **arguments})
        flyte.TaskEnvironment.from_task("local-env", task)
        return flyte.with_runcontext(mode="local").run(task, name="x").outputs()[0]

    start.case = name  # type: ignore[attr-defined]
    return start


def sent(api: RealApi, run: Run, method: str) -> list[Received]:
    return api.received(run.case, method)  # type: ignore[attr-defined]


def shown(text: str) -> list[str]:
    """What was said of the job, without names and times."""
    return [match[1] for line in text.splitlines() if (match := re.match(r"job \[ *[\d.]+ s\] (.*)", line))]


@pytest.fixture
def given() -> Iterator[Callable[[], float]]:
    """Counts the seconds that the machine gives to this process: not those for which it lets a thread wait."""
    passed, over = 0.0, threading.Event()

    def count() -> None:
        nonlocal passed
        while not over.is_set():
            began = time.monotonic()
            over.wait(0.02)
            passed += min(time.monotonic() - began, 0.05)

    thread = threading.Thread(target=count, daemon=True)
    thread.start()
    yield lambda: passed
    over.set()
    thread.join()


def test_a_job_that_is_done_at_once_is_done_at_once(run: Run, given: Callable[[], float]) -> None:
    began = given()
    assert run(Backend("done")) == "r"
    assert given() - began < 2  # Flyte's own loop would sleep for 3 s, after the end


def test_a_task_of_the_shared_type_runs_by_its_spec(run: Run, api: RealApi, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("YAML_CONNECTOR_SHARED_TYPE", "shared")
    assert run(Backend("done")) == "r"
    assert len(sent(api, run, "POST")) == 1


@pytest.mark.slow
def test_the_first_looks_follow_each_other_quickly(run: Run, given: Callable[[], float]) -> None:
    backend = Backend("queued", "running", "running", "done", now=given)
    run(backend)
    assert backend.gets[-1] - backend.gets[0] < 2.5  # three pauses


@pytest.mark.slow
def test_the_spec_s_least_interval_is_kept(run: Run, api: RealApi) -> None:
    backend = Backend("running", "running", "done")
    run(backend, min_interval="700ms")
    assert [later - earlier >= 0.69 for earlier, later in pairwise(backend.gets)] == [True, True]


@pytest.mark.slow
def test_progress_is_said_once_for_each_change(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    run(Backend("queued", "queued", "running", "done"))
    assert shown(capfd.readouterr().err) == [
        "submitted as j-1",
        "QUEUED: the disk is full",
        "RUNNING: the disk is full",
        "SUCCEEDED: the disk is full",
    ]


def log_lines(capfd: pytest.CaptureFixture[str]) -> list[str]:
    return [line.removeprefix("| ") for line in shown(capfd.readouterr().err) if line.startswith("| ")]


@pytest.mark.slow
def test_the_rest_of_a_log_is_asked_for_again_when_reading_it_fails_at_the_end(
    run: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    answers = iter([403, 403])

    def busy(received: Received) -> Any:
        return next(answers, {"lines": ["the reason"]})

    run(Backend("done", logs=busy))
    assert log_lines(capfd) == ["the reason"]


@pytest.mark.slow
def test_every_line_of_a_log_that_grows_is_shown_once(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    lengths = iter([0, 2, 3, 7])

    def growing(received: Received) -> Any:
        return {"lines": [f"line {number}" for number in range(next(lengths, 7))]}

    run(Backend("running", "running", "done", logs=growing), logs=WHOLE)
    assert log_lines(capfd) == [f"line {number}" for number in range(7)]


def paged(total: Callable[[], int], size: int) -> Callable[[Received], Any]:
    """A paged log of so many lines as there are by now; there is a next page only while there are more lines."""

    def answer(received: Received) -> Any:
        start, end = int(received.query.get("cursor") or 0), total()
        stop = min(start + size, end)
        return {"lines": [f"line {number}" for number in range(start, stop)], "next": stop if stop < end else None}

    return answer


@pytest.mark.slow
def test_every_line_of_a_paged_log_is_shown_once_also_those_of_a_page_that_was_not_full(
    run: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    lengths = iter([1, 3, 3])
    run(Backend("running", "running", "running", "done", logs=paged(lambda: next(lengths, 9), 4)), logs=PAGED)
    assert log_lines(capfd) == [f"line {number}" for number in range(9)]


@pytest.mark.parametrize(("total", "size"), [(400, 2), (2500, 2500), (0, 5)], ids=["many pages", "long page", "none"])
def test_a_log_that_is_long_at_the_end_is_shown_whole(
    run: Run, capfd: pytest.CaptureFixture[str], total: int, size: int
) -> None:
    run(Backend("done", logs=paged(lambda: total, size)), logs=PAGED)
    assert log_lines(capfd) == [f"line {number}" for number in range(total)]


@pytest.mark.slow
def test_a_log_that_cannot_be_read_for_a_while_loses_and_repeats_nothing(
    run: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    pages = paged(lambda: 6, 4)
    answers = iter([pages, None, None, pages, pages, pages, None, None, pages, pages, pages])

    def answer(received: Received) -> Any:
        page = next(answers, pages)
        return page(received) if page else web.Response(status=500)

    run(Backend("running", "running", "running", "done", logs=answer), logs=PAGED)
    assert log_lines(capfd) == [f"line {number}" for number in range(6)]


@pytest.mark.slow
def test_a_log_that_cannot_be_read_at_all_does_not_disturb_the_run(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(Backend("done", logs=lambda received: web.Response(status=403, text="no"))) == "r"
    assert "answered 403: no" in shown(capfd.readouterr().err)[-2]  # the last line says how the job ended


def test_the_task_s_own_secret_is_used_to_the_last_line(
    run: Run, api: RealApi, environment: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    environment.setenv("ALICE_API_KEY", "hers")

    def whose(received: Received) -> Any:
        return {"lines": [received.headers["Authorization"].removeprefix("Bearer ").upper()]}

    run(Backend("running", "done", logs=whose), secrets={"api_key": "alice-api-key"})
    assert {item.headers["Authorization"] for item in sent(api, run, "GET")} == {"Bearer hers"}
    assert log_lines(capfd) == ["HERS"]


@pytest.mark.slow
def test_a_lost_job_is_run_again_as_often_as_the_task_says(run: Run, api: RealApi) -> None:
    with pytest.raises(BaseRuntimeError, match="job ended as RETRYABLE_FAILED: the disk is full"):
        run(Backend("lost"), retries=1)
    keys = [item.headers["Idempotency-Key"] for item in sent(api, run, "POST")]
    assert len(keys) == 2
    assert len(set(keys)) == 2  # each attempt is a job of its own


@pytest.mark.slow
def test_a_lost_job_that_succeeds_the_second_time_is_a_success(run: Run, api: RealApi) -> None:
    assert run(Backend("lost", "done"), retries=3) == "r"
    assert len(sent(api, run, "POST")) == 2


def test_a_failed_job_is_not_run_again(run: Run, api: RealApi) -> None:
    with pytest.raises(BaseRuntimeError, match="job ended as FAILED: the disk is full"):
        run(Backend("error"), retries=3)
    assert len(sent(api, run, "POST")) == 1


def test_a_create_that_the_api_refuses_is_not_tried_again(run: Run, api: RealApi) -> None:
    with pytest.raises(BaseRuntimeError, match=r"POST .* answered 400: no such queue"):
        run(lambda received: web.json_response({"message": "no such queue"}, status=400), retries=3)
    assert len(sent(api, run, "POST")) == 1


def test_a_create_that_does_not_go_through_is_finished_later_by_the_same_key(run: Run, api: RealApi) -> None:
    backend = Backend("done")

    def away(received: Received) -> Any:
        return 503 if received.method == "POST" and len(sent(api, run, "POST")) < 4 else backend(received)

    assert run(away) == "r"
    posts = sent(api, run, "POST")
    assert len(posts) == 4  # more than the spec's attempts for one call
    assert len({item.headers["Idempotency-Key"] for item in posts}) == 1


def test_a_secret_that_is_missing_says_which_variable_to_set(run: Run, api: RealApi, environment: Any) -> None:
    with pytest.raises(BaseRuntimeError) as raised:
        run(Backend("done"), secrets={"api_key": "carol-api-key"}, retries=3)
    assert "the secret 'api_key' is called 'carol-api-key' in Flyte's store" in str(raised.value)
    assert "set CAROL_API_KEY" in str(raised.value)
    environment.delenv("LOCAL_API_KEY")
    with pytest.raises(BaseRuntimeError, match="set LOCAL_API_KEY in the connector's environment"):
        run(Backend("done"), retries=3)
    assert sent(api, run, "POST") == []


@pytest.mark.slow
def test_jobs_run_side_by_side_and_each_keeps_its_own_outputs(
    api: RealApi, tmp_path: Path, flyte_home: None, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("LOCAL_API_KEY", "k")
    gets: dict[str, int] = {}

    def backend(received: Received) -> Any:
        if received.method == "POST":
            return {"id": received.json["name"]}
        name = received.parts[1]
        gets[name] = gets.get(name, 0) + 1
        return {"state": "done" if gets[name] > int(name[-1]) else "running", "result": name.upper(), "lines": []}

    api.case("side_by_side", backend)
    spec = tmp_path / "side_by_side.yaml"
    values = {"name": "side_by_side", "url": api.url, "logs": WHOLE, "min_interval": "0s"}
    spec.write_text(SPEC % values)
    job = task_from_spec(spec)
    environment_of_main = flyte.TaskEnvironment("main", depends_on=[flyte.TaskEnvironment.from_task("jobs", job)])

    @environment_of_main.task
    async def main() -> list[str]:
        return list(await asyncio.gather(*(job(name=f"job-{number}") for number in range(4))))

    found = flyte.with_runcontext(mode="local").run(main).outputs()[0]
    assert found == [f"JOB-{number}" for number in range(4)]
