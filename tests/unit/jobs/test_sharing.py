"""Requests that are the same and under way are sent once: who shares, who does not, and what each of them gets."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from tests.support.fake_api import FakeApi, loaded, spec_data
from tests.support.loops import run_steadily as run
from yaml_connector._jobs.client import JobClient
from yaml_connector._jobs.create import CreateValues
from yaml_connector._jobs.meta import JobMeta
from yaml_connector._jobs.status import Status

LISTED = {"phase": {"path": "${{ body[job.id] }}", "map": {"RUNNING": ["running"], "SUCCEEDED": ["done"]}}}
GET: dict[str, Any] = {"request": "GET /jobs", **LISTED}
BEARER = {"base_url": "https://api.test", "auth": {"type": "bearer", "token": "${{ secrets.k }}"}}


async def slowly(request: httpx.Request) -> Any:
    await asyncio.sleep(0.05)
    return {"1": "running", "2": "done"}


class Held:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.over = asyncio.Event()

    async def __call__(self, request: httpx.Request) -> Any:
        await self.over.wait()
        return {"1": "running", "2": "done"}


async def all_wait() -> None:
    """Let everything run until it waits for the API: nothing else holds it up."""
    for _ in range(100):
        await asyncio.sleep(0)


def connector_for(api: FakeApi, **sections: Any) -> JobClient:
    data = spec_data(**{"get": GET, "secrets": {"k": {"required": False}}, **sections})
    return JobClient(loaded(data), environment={}, transport=api.transport)


def meta_of(connector: JobClient, name: str, **fields: Any) -> JobMeta:
    return JobMeta(id=name, created_at=1.0, digest=connector.plan.digest, **fields)


def ask(connector: JobClient, *jobs: tuple[JobMeta, dict[str, str]]) -> list[Status]:
    """What gets of these jobs give that are made at the same time."""

    async def together() -> list[Status]:
        return await asyncio.gather(*(connector.get(meta, secrets) for meta, secrets in jobs))

    return run(together())


def test_gets_that_ask_for_the_same_at_the_same_time_send_one_request_and_read_it_each_for_itself() -> None:
    api = FakeApi({"GET /jobs": slowly})
    connector = connector_for(api)
    statuses = ask(connector, (meta_of(connector, "1"), {}), (meta_of(connector, "2"), {}))
    assert [status.phase for status in statuses] == ["RUNNING", "SUCCEEDED"]
    assert api.calls == ["GET /jobs"]


def test_the_next_get_sends_a_request_of_its_own() -> None:
    api = FakeApi({"GET /jobs": slowly})
    connector = connector_for(api)
    for _ in range(2):
        ask(connector, (meta_of(connector, "1"), {}))
    assert api.calls == ["GET /jobs"] * 2


def test_other_credentials_never_share() -> None:
    api = FakeApi({"GET /jobs": slowly})
    connector = connector_for(api, connection=BEARER)
    keys = ["alice-key", "bob-key", "alice-key"]
    ask(connector, *((meta_of(connector, str(number)), {"k": key}) for number, key in enumerate(keys)))
    assert sorted(request.headers["Authorization"] for request in api.sent) == ["Bearer alice-key", "Bearer bob-key"]


def test_other_headers_never_share() -> None:
    api = FakeApi({"GET /jobs": slowly})
    request = {"path": "/jobs", "headers": {"X-Team": "${{ inputs.team }}"}}  # of a request with job.*, none is shared
    connector = connector_for(api, get={**GET, "request": request}, inputs={"team": "str"})
    ask(connector, *((meta_of(connector, "1", inputs={"team": team}), {}) for team in ("a", "b")))
    assert sorted(sent.headers["X-Team"] for sent in api.sent) == ["a", "b"]


def test_another_config_never_shares() -> None:
    api = FakeApi({"GET /jobs": slowly})
    connection = {"base_url": "https://api.test", "headers": {"X-Team": "${{ config.team }}"}}
    connector = connector_for(api, connection=connection, config={"team": "any"})
    ask(connector, *((meta_of(connector, "1", config={"team": team}), {}) for team in (1, True)))
    assert sorted(sent.headers["X-Team"] for sent in api.sent) == ["1", "true"]


def test_a_failure_is_shared_too_and_holds_no_secret() -> None:
    async def refused(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.05)
        return httpx.Response(403, json={"message": f"no: {request.headers['Authorization']}"})

    api = FakeApi({"GET /jobs": refused})
    connector = connector_for(api, connection=BEARER)
    statuses = ask(connector, *((meta_of(connector, name), {"k": "alice-key"}) for name in ("1", "2")))
    assert all("answered 403: no: Bearer ***" in (status.message or "") for status in statuses)
    assert len(api.sent) == 1


def test_when_the_get_that_sent_it_is_cancelled_another_one_sends_it() -> None:
    held = Held()
    api = FakeApi({"GET /jobs": held})
    connector = connector_for(api)

    async def cancel_the_first() -> list[Status]:
        first, *others = (asyncio.ensure_future(connector.get(meta_of(connector, name))) for name in ("1", "1", "2"))
        await all_wait()
        first.cancel()
        await all_wait()
        held.over.set()
        return await asyncio.gather(*others)

    assert [status.phase for status in run(cancel_the_first())] == ["RUNNING", "SUCCEEDED"]
    assert api.calls == ["GET /jobs"] * 2


def test_when_a_get_that_waits_is_cancelled_the_others_get_their_answer() -> None:
    held = Held()
    api = FakeApi({"GET /jobs": held})
    connector = connector_for(api)

    async def cancel_the_second() -> list[Status]:
        first, second, third = (
            asyncio.ensure_future(connector.get(meta_of(connector, name))) for name in ("1", "1", "2")
        )
        await all_wait()
        second.cancel()
        await all_wait()
        held.over.set()
        return await asyncio.gather(first, third)

    assert [status.phase for status in run(cancel_the_second())] == ["RUNNING", "SUCCEEDED"]
    assert api.calls == ["GET /jobs"]


def test_looking_for_a_job_before_it_is_submitted_is_never_shared() -> None:
    async def nothing(request: httpx.Request) -> Any:
        await asyncio.sleep(0.02)
        return {}

    api = FakeApi({"GET /jobs": nothing, "POST /jobs": {"id": 1}})
    create = {**spec_data()["create"], "adopt": {"request": "GET /jobs", "job_id": "$.id"}}
    connector = connector_for(api, create=create)

    async def together() -> None:
        await asyncio.gather(*(connector.create(CreateValues(task={"key": key})) for key in ("a", "b")))

    run(together())
    assert sorted(api.calls) == ["GET /jobs", "GET /jobs", "POST /jobs", "POST /jobs"]


def test_what_is_read_after_a_write_is_not_an_answer_from_before_it() -> None:
    api = FakeApi({"GET /jobs": slowly, "POST /refresh": {}})
    steps = [{"name": "refresh", "request": "POST /refresh"}, {"name": "read", "request": "GET /jobs"}]
    connector = connector_for(api, get={"steps": steps, **LISTED})
    ask(connector, (meta_of(connector, "1"), {}), (meta_of(connector, "2"), {}))
    assert sorted(api.calls) == ["GET /jobs", "GET /jobs", "POST /refresh", "POST /refresh"]
