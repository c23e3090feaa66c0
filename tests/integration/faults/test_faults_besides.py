"""What the table of faults has no cell for: tolerance, pools, batches, items of logs, long documents, metrics."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Coroutine
from typing import Any

import pytest
from prometheus_client import REGISTRY

from tests.integration.faults.fault_rig import DEADLINE, PAGES, Rig, rig, spec
from tests.support.fake_api import loaded
from tests.support.loops import now, run_steadily
from yaml_connector.errors import CallError


def run(test: Coroutine[Any, Any, None]) -> None:
    run_steadily(test)


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, {"task_type": "counted", **labels}) or 0.0


def test_a_job_fails_for_failed_calls_only_when_the_tolerance_is_over() -> None:
    async def main() -> None:
        async with rig(spec(tolerance="700ms")) as (made, _):
            await made.create()
            await made.fail("500", "GET", "/j1")
            assert (await made.get()).phase == "RUNNING"
            await asyncio.sleep(0.7)
            status = await made.get()
            assert status.phase == "FAILED"
            assert "given up after" in (status.message or "")
            assert "500" in (status.message or "")

    run(main())


def test_gets_that_share_a_request_are_answered_within_the_deadline_of_each() -> None:
    async def main() -> None:
        data = {**spec(batch=True).document.data}
        data["get"] = {**data["get"], "batch": {**data["get"]["batch"], "window": "1800ms"}}
        async with rig(loaded(data)) as (made, _):
            await made.create()
            await made.fail("silent", "GET", "/jobs")
            began = now()
            assert "unreadable" in ((await made.get()).message or "")
            assert now() - began < DEADLINE + 1.5  # and not after the window and a deadline

    run(main())


def test_lines_of_an_item_are_not_given_again_when_a_later_item_fails() -> None:
    async def main() -> None:
        logs = {
            "steps": [{"name": "parts", "request": "GET /jobs/${{ job.id }}"}],
            "each": "${{ ['a', 'b'] }}",
            **PAGES,
            "request": {"path": "/jobs/${{ item }}/pages", "query": {"cursor": "${{ page.token }}"}},
        }
        async with rig(loaded({**spec().document.data, "logs": logs})) as (made, _):
            await made.create()
            made.server.api.lines += ["one", "two", "three", "four"]
            await made.fail("500", "GET", "/b/pages")
            lines, token = await made.logs("")
            assert (lines, bool(token)) == (["one", "two", "three"], True)
            await made.heal()
            for _ in range(4):
                more, following = await made.logs(token or "")
                lines, token = lines + more, following or token
            assert sorted(lines) == sorted(["one", "two", "three", "four"] * 2)

    run(main())


@pytest.mark.parametrize("fault", ["huge", "gzip_bomb"])
def test_a_token_answer_without_end_costs_no_memory(fault: str) -> None:
    async def main() -> None:
        async with rig(spec()) as (made, _):
            await made.fail(fault, "POST", "/token")
            tracemalloc.start()
            assert (await made.create()).pending is not None
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak < 25 * 2**20

    run(main())


async def _reads_all(made: Rig) -> int:
    count = 0
    async for page in made.connector.logs(await made.create(), ""):
        count += len(page.lines)
    return count


def test_memory_does_not_grow_with_the_document() -> None:
    async def main() -> None:
        peaks = []
        for size in (20_000, 400_000):
            async with rig(spec(logs="document")) as (made, _):
                document = b"a line of the log, of some length\n" * size
                made.server.api.document = document
                tracemalloc.start()
                await _reads_all(made)
                peaks.append(tracemalloc.get_traced_memory()[1])
                tracemalloc.stop()
        assert peaks[1] < peaks[0] + 2 * 2**20

    run(main())


def test_what_happens_is_counted() -> None:
    async def main() -> None:
        before = {
            name: metric(f"yaml_connector_{name}", **labels)
            for name, labels in (
                ("requests_total", {"call": "create", "status": "2xx"}),
                ("retries_total", {"call": "create"}),
                ("tokens_fetched_total", {}),
                ("unreadable_jobs", {}),
                ("unreadable_seconds_count", {}),
                ("request_seconds_count", {"call": "login"}),
            )
        }
        # a type of its own: jobs of other tests count as unreadable until the garbage collector comes
        async with rig(loaded({**spec().document.data, "task_type_name": "counted"})) as (made, _):
            await made.fail("500", "POST", "/jobs", times=1)
            await made.create()
            assert metric("yaml_connector_requests_total", call="create", status="5xx") >= 1
            assert metric("yaml_connector_requests_total", call="create", status="2xx") == before["requests_total"] + 1
            assert metric("yaml_connector_retries_total", call="create") == before["retries_total"] + 1
            assert metric("yaml_connector_tokens_fetched_total") == before["tokens_fetched_total"] + 1
            assert metric("yaml_connector_request_seconds_count", call="login") == before["request_seconds_count"] + 1
            await made.fail("500", "GET", "/j1")
            await made.get()
            assert metric("yaml_connector_unreadable_jobs") == before["unreadable_jobs"] + 1
            await made.heal()
            await made.get()
            assert metric("yaml_connector_unreadable_jobs") == before["unreadable_jobs"]
            assert metric("yaml_connector_unreadable_seconds_count") == before["unreadable_seconds_count"] + 1

    run(main())


def test_a_job_can_be_followed_through_the_log_by_its_execution(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with rig(spec()) as (made, _):
            await made.create()
            await made.get()
            await made.fail("403", "POST", "/cancel")
            with pytest.raises(CallError):
                await made.delete()

    with caplog.at_level("DEBUG", "yaml_connector"):
        run(main())
    lines = [record.getMessage() for record in caplog.records if "execution=k1" in record.getMessage()]
    for call, outcome in (("create", "submitted"), ("get", "RUNNING"), ("delete", "PermanentError")):
        assert any(f"call={call} " in line and f"outcome={outcome} " in line for line in lines), lines
    assert any("None -> RUNNING" in line for line in lines)
