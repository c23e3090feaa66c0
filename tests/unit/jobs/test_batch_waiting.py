"""Get by batch: while a request has to wait anyway, further gets join it; a pause that the API asked for is
kept."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.fake_api import FakeApi, loaded, reply, spec_data
from tests.support.loops import run_steadily as run
from tests.unit.jobs.test_batch import BATCH, GET, jobs_of
from yaml_connector._jobs.client import JobClient
from yaml_connector._jobs.meta import JobMeta
from yaml_connector._jobs.status import Status


def connector_for(api: FakeApi, most: int = 100, **connection: Any) -> JobClient:
    batch = {**BATCH, "max": most, "window": "5ms"}
    data = spec_data(get={**GET, "batch": batch}, connection={"base_url": "https://api.test", **connection})
    return JobClient(loaded(data), environment={}, transport=api.transport)


def meta_of(connector: JobClient, number: int) -> JobMeta:
    return JobMeta(id=str(number), created_at=1.0, digest=connector.plan.digest)


async def one_by_one(api: FakeApi, connector: JobClient, numbers: range, apart: float) -> list[Status]:
    """The gets of these jobs, one after the other with so many seconds between, once the first request is there."""
    tasks = []
    for number in numbers:
        tasks.append(asyncio.ensure_future(connector.get(meta_of(connector, number))))
        while not api.sent:  # noqa: ASYNC110 - the API has no event for it
            await asyncio.sleep(0.001)
        await asyncio.sleep(apart)
    return list(await asyncio.gather(*tasks))


def asked_for(api: FakeApi) -> list[list[str]]:
    """The ids of each request."""
    return [request.url.params["ids"].split(",") for request in api.sent]


@pytest.mark.slow
def test_gets_join_a_request_as_long_as_the_rate_limit_holds_it_back() -> None:
    api = FakeApi({"GET /jobs": jobs_of})
    connector = connector_for(api, rate_limit={"requests": 1, "per": "1s"})
    statuses = run(one_by_one(api, connector, range(8), 0.03))
    assert {status.phase for status in statuses} == {"SUCCEEDED"}
    assert asked_for(api) == [["0"], ["1", "2", "3", "4", "5", "6", "7"]]


@pytest.mark.slow
def test_a_request_that_the_rate_limit_holds_back_is_not_larger_than_the_most() -> None:
    api = FakeApi({"GET /jobs": jobs_of})
    connector = connector_for(api, most=3, rate_limit={"requests": 2, "per": "300ms"})
    assert {status.phase for status in run(one_by_one(api, connector, range(8), 0.001))} == {"SUCCEEDED"}
    assert max(map(len, asked_for(api))) == 3
    assert sorted(each for ids in asked_for(api) for each in ids) == list("01234567")


@pytest.mark.slow
def test_gets_join_a_request_as_long_as_the_api_asked_to_wait() -> None:
    busy = reply(429, headers={"Retry-After": "0.4"})
    api = FakeApi({"GET /jobs": [busy, jobs_of]})
    statuses = run(one_by_one(api, connector_for(api), range(6), 0.03))
    assert {status.phase for status in statuses} == {"SUCCEEDED"}
    first, again, *others = asked_for(api)
    assert first == again == ["0"]
    assert others == [["1", "2", "3", "4", "5"]]


def test_nothing_is_sent_while_the_api_asked_to_wait_for_longer_than_a_call_may_take() -> None:
    api = FakeApi({"GET /jobs": [reply(429, headers={"Retry-After": "60"}), jobs_of]})
    connector = connector_for(api)

    async def after_another() -> list[Status]:
        return [await connector.get(meta_of(connector, number)) for number in range(2)]

    first, second = run(after_another())
    assert "answered 429" in (first.message or "")
    assert "the API asked to wait for another 60" in (second.message or "")
    assert asked_for(api) == [["0"]]


def test_a_get_that_is_cancelled_leaves_the_others_of_its_batch_alone() -> None:
    api = FakeApi({"GET /jobs": jobs_of})
    connector = connector_for(api)

    async def cancel_the_first() -> Status:
        first, second = (asyncio.ensure_future(connector.get(meta_of(connector, number))) for number in (1, 2))
        await asyncio.sleep(0.001)
        first.cancel()
        return await second

    assert run(cancel_the_first()).phase == "SUCCEEDED"


def test_an_item_is_the_text_of_its_job_too() -> None:
    api = FakeApi({"GET /jobs": jobs_of})
    data = spec_data(get={**GET, "message": "${{ text }}", "batch": BATCH})
    connector = JobClient(loaded(data), environment={}, transport=api.transport)
    assert run(connector.get(meta_of(connector, 1))).message == '{"id":1,"state":"done","detail":"job 1"}'
