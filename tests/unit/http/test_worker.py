"""The worker process: it returns results and errors, and nothing that happens in it harms the service or the others."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.support import readings
from yaml_connector._http.worker import Worker
from yaml_connector.errors import EvaluationError, TransientError

pytestmark = pytest.mark.slow  # they start processes


def with_worker(use: Callable[[Worker], Awaitable[Any]], seconds: float = 2.0) -> Any:
    async def main() -> Any:
        worker = Worker(seconds=seconds)
        try:
            return await use(worker)
        finally:
            await worker.close()

    return asyncio.run(main())


def read(worker: Worker, function: Callable[..., Any], *args: Any, remaining: float = 20, backend: str = "a") -> Any:
    return worker.run(function, *args, remaining=remaining, backend=backend)


def test_results_errors_and_what_is_yielded_come_back() -> None:
    async def use(worker: Worker) -> None:
        assert await read(worker, readings.echo, {"a": [1, "x"]}) == {"a": [1, "x"]}
        with pytest.raises(TransientError, match="away") as caught:
            await read(worker, readings.fail, "away")
        error = caught.value
        assert (error.status, error.retry_after, error.may_have_been_processed) == (503, 7.0, True)
        numbers = [n async for n in worker.iterate(readings.count, 3, remaining=20, backend="a")]
        assert numbers == [0, 1, 2]

    with_worker(use)


def test_a_bug_in_a_reading_says_its_kind_and_nothing_of_its_values() -> None:
    async def use(worker: Worker) -> None:
        with pytest.raises(EvaluationError, match=r"internal error \(KeyError\)$"):
            await read(worker, readings.break_down)

    with_worker(use)


def test_what_takes_too_much_time_or_memory_or_is_too_large_is_an_error_and_the_next_reading_works() -> None:
    async def use(worker: Worker) -> None:
        with pytest.raises(EvaluationError, match=r"more than 0\.3 s of computing time"):
            await read(worker, readings.work, 60)
        with pytest.raises(EvaluationError, match="MiB of memory"):
            await read(worker, readings.grow, 2**30)
        with pytest.raises(EvaluationError, match="more than 12 MB"):
            await read(worker, readings.echo, "x" * 13_000_000)
        with pytest.raises(EvaluationError, match="more than 100,000 values"):
            await read(worker, readings.echo, [[0]] * 60_000)
        with pytest.raises(EvaluationError, match="many halves of characters"):
            await read(worker, readings.echo, "\ud800" * 60_000)
        assert await read(worker, readings.echo, "\ud300" * 60_000) == "\ud300" * 60_000
        with pytest.raises(EvaluationError, match="cannot be read"):
            await read(worker, readings.end)
        assert await read(worker, readings.echo, 1) == 1

    with_worker(use, seconds=0.3)


def test_a_reading_ends_at_the_deadline_of_its_call() -> None:
    async def use(worker: Worker) -> None:
        await read(worker, readings.echo, 1)
        began = time.monotonic()
        with pytest.raises(TransientError, match="not read before the deadline"):
            await read(worker, readings.sleep, 60, remaining=0.5)
        assert time.monotonic() - began < 5

    with_worker(use)


def test_who_waits_longer_than_its_deadline_is_told_so_and_a_backend_that_took_little_is_next() -> None:
    async def use(worker: Worker) -> None:
        await read(worker, readings.sleep, 0.3, backend="greedy")
        ended: list[str] = []

        async def reading(name: str) -> None:
            await read(worker, readings.sleep, 0.05, backend=name)
            ended.append(name)

        first = asyncio.create_task(read(worker, readings.sleep, 0.5, backend="other"))
        await asyncio.sleep(0)
        others = [asyncio.create_task(reading("greedy")) for _ in range(3)] + [asyncio.create_task(reading("modest"))]
        with pytest.raises(TransientError, match="other large responses were being read"):
            await read(worker, readings.echo, 1, remaining=0.05, backend="late")
        await asyncio.gather(first, *others)
        assert ended[0] == "modest"

    with_worker(use)


def test_a_caller_that_is_cancelled_leaves_the_turn_to_the_next() -> None:
    async def use(worker: Worker) -> None:
        await read(worker, readings.echo, 1)
        task = asyncio.create_task(read(worker, readings.sleep, 0.3))
        await asyncio.sleep(0.1)
        task.cancel()
        assert await read(worker, readings.echo, 2) == 2

    with_worker(use)


def test_a_worker_that_was_killed_is_started_again() -> None:
    async def use(worker: Worker) -> None:
        first = await read(worker, readings.parent)
        os.kill(first, signal.SIGKILL)
        for _ in range(2):  # it may be noticed at the first call or at the second
            try:
                second = await read(worker, readings.parent)
            except EvaluationError:
                continue
            break
        assert second != first

    with_worker(use)


def test_a_worker_that_hangs_is_ended_at_the_deadline_and_started_again() -> None:
    async def use(worker: Worker) -> None:
        os.kill(await read(worker, readings.parent), signal.SIGSTOP)
        began = time.monotonic()
        with pytest.raises(TransientError, match="not read before the deadline"):
            await read(worker, readings.echo, 1, remaining=0.1)
        assert time.monotonic() - began < 5
        assert await read(worker, readings.echo, 2) == 2

    with_worker(use)


def test_the_worker_knows_no_variables_of_the_service_and_nothing_of_flyte(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "planted")

    async def use(worker: Worker) -> None:
        names = await read(worker, readings.variables)
        assert "API_KEY" not in names
        known = await read(worker, readings.modules)
        assert not {"flyte", "grpc"} & set(known)

    with_worker(use)


def test_the_process_ends_with_the_service() -> None:
    async def use(worker: Worker) -> int:
        return int(await read(worker, readings.parent))

    pid = with_worker(use)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_errors_are_the_same_after_pickling() -> None:
    error = TransientError("away", may_have_been_processed=False, status=429, retry_after=1.0, unknown_job=True)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.args, vars(again)) == (type(error), error.args, vars(error))
