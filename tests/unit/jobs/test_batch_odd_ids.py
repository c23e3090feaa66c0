"""Get by batch over real HTTP, with ids from odd responses or forged bytes: a bad id harms its own job only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import web

from tests.support.fake_api import loaded, run, spec_data
from tests.support.real_api import RealApi, Received
from tests.unit.jobs.test_batch import BATCH, GET
from yaml_connector._clock import use_clock
from yaml_connector._jobs.client import JobClient
from yaml_connector._jobs.meta import JobMeta
from yaml_connector._jobs.status import Status
from yaml_connector.testing.clock import FakeClock

GOOD = [f"job-{number}" for number in range(99)]

BY_QUERY = {"path": "/jobs", "query": {"ids": "${{ jobs | map(attribute='id') | join(',') }}"}}
BY_PATH = {"path": "/jobs/${{ jobs | map(attribute='id') | join(';') }}/states"}
BY_HEADER = {"path": "/jobs", "headers": {"X-Ids": "${{ jobs | map(attribute='id') | join(',') }}"}}
BY_BODY = {"method": "POST", "path": "/jobs", "json": {"ids": "${{ jobs | map(attribute='id') | list }}"}}


def batch_ids(received: Received) -> list[str] | None:
    """The ids that a batch request asks for; None of another request."""
    if received.method == "POST":
        return list(received.json["ids"])
    if received.parts[-1:] == ("states",):
        return received.parts[1].split(";")
    if received.parts == ("jobs",):
        text = received.query.get("ids") or received.headers.get("X-Ids", "")
        return text.split(",")
    return None


def api_that_refuses(api: RealApi, case: str, status: int, known: Callable[[str], bool]) -> list[list[str]]:
    """Let the API refuse a batch with an id that it does not know. Returns the ids of each batch, as they arrive."""
    batches: list[list[str]] = []

    def answers(received: Received) -> Any:
        ids = batch_ids(received)
        if ids is None:
            return {"state": "done", "detail": "alone"}
        batches.append(ids)
        if not all(map(known, ids)):
            return web.json_response({"message": "bad id"}, status=status)
        return {"jobs": [{"id": name, "state": "done", "detail": "batch"} for name in ids]}

    api.case(case, answers)
    return batches


def client_for(api: RealApi, case: str, request: Any = BY_QUERY, **connection: Any) -> JobClient:
    batch = {**BATCH, "request": request, "max": 100}
    base = {"base_url": f"{api.url}/{case}", **connection}
    return JobClient(loaded(spec_data(get={**GET, "batch": batch}, connection=base)), environment={})


async def get_all(client: JobClient, ids: list[str]) -> dict[str, Status]:
    """The gets of these jobs at once."""
    metas = [JobMeta("batch_job", id=name, created_at=1.0, digest=client.plan.digest) for name in ids]
    return dict(zip(ids, await asyncio.gather(*map(client.get, metas)), strict=True))


def messages(statuses: dict[str, Status]) -> set[str | None]:
    return {status.message for status in statuses.values()}


@pytest.mark.parametrize("status", [400, 404, 410, 413, 414, 422])
def test_the_job_that_makes_the_api_refuse_a_batch_is_asked_for_alone_then_and_later(api: RealApi, status: int) -> None:
    batches = api_that_refuses(api, "halves", status, lambda name: name in GOOD)

    async def main() -> None:
        client = client_for(api, "halves")
        for expected in (1 + 2 * 7, 1):  # the batch, and two halves for each time that 100 can be halved
            batches.clear()
            found = await get_all(client, [*GOOD[:40], "bad", *GOOD[40:]])
            assert found.pop("bad").message == "alone"
            assert messages(found) == {"batch"}
            assert len(batches) <= expected
        await client.close()

    run(main())
    assert len([each for each in api.received("halves") if batch_ids(each) is None]) == 2


def test_the_requests_for_halves_are_bounded_and_no_job_is_harmed(api: RealApi) -> None:
    """Where most ids are bad, the rest is asked for one by one, as without a batch."""
    batches = api_that_refuses(api, "many", 400, lambda name: name.endswith("7"))

    async def main() -> None:
        client = client_for(api, "many")
        found = await get_all(client, GOOD)
        assert {status.phase for status in found.values()} == {"SUCCEEDED"}
        await client.close()

    run(main())
    assert len(batches) <= 31


@pytest.mark.parametrize("status", [401, 403, 409, 431, 500])
def test_any_other_failure_of_a_batch_is_asked_once_and_makes_its_jobs_unreadable(api: RealApi, status: int) -> None:
    batches = api_that_refuses(api, "other", status, lambda name: name in GOOD)

    async def main() -> None:
        client = client_for(api, "other", retry={"max_attempts": 1})
        found = await get_all(client, [*GOOD, "bad"])
        assert all(f"answered {status}" in (each.message or "") for each in found.values())
        await client.close()

    run(main())
    assert len(batches) == 1


ODD = {
    "a path": "../../admin",
    "dots": "..",
    "a dot": ".",
    "empty": "",
    "a separator": "job-1,job-2",
    "another separator": "job-1;job-2",
    "a query": "x&admin=true#?",
    "a slash": "a/b",
    "percent": "%2e%2e%2f%00",
    "a line break": "x\r\nX-Admin: 1",
    "a null character": "x\0y",
    "half a character": "\ud83d",
    "right to left": "‮gnp.exe",
    "long": "x" * 1500,
    "longer": "y" * 20_000,
    "very long": "z" * 900_000,
    "long when encoded": "é" * 600,
    "a template": "${{ secrets.k }}",
    "JSON": '{"id": "job-1"}',
    "null": "null",
}


@pytest.mark.parametrize("request_of", [BY_QUERY, BY_PATH, BY_HEADER, BY_BODY], ids=["query", "path", "header", "body"])
def test_an_odd_id_in_a_batch_harms_no_other_job(api: RealApi, request_of: Any) -> None:
    batches = api_that_refuses(api, "odd", 422, lambda name: name in GOOD)

    async def main() -> None:
        client = client_for(api, "odd", request_of, timeout="2s")
        for _ in range(2):
            found = await get_all(client, [*GOOD[:20], *ODD.values(), *GOOD[20:50]])
            good = {name: status for name, status in found.items() if name in GOOD}
            assert {status.phase for status in good.values()} == {"SUCCEEDED"}, good
            assert all("internal error" not in (status.message or "") for status in found.values())
            assert max(len(status.message or "") for status in found.values()) < 2200
        await client.close()

    run(main())
    assert max(len(quote(name, errors="replace")) for names in batches for name in names) <= 1024


def test_many_long_ids_do_not_make_the_requests_of_others_too_long(api: RealApi) -> None:
    """The server refuses more than 8 KiB in a URL."""
    batches = api_that_refuses(api, "length", 422, lambda name: True)

    async def main() -> None:
        client = client_for(api, "length")
        found = await get_all(client, [*GOOD[:10], *(f"{number:0>1000}" for number in range(20)), *GOOD[10:20]])
        assert messages(found) == {"batch"}
        await client.close()

    run(main())
    assert 5 <= len(batches) <= 8


def test_an_item_of_the_response_whose_id_cannot_be_read_harms_no_other_job(api: RealApi) -> None:
    def answers(received: Received) -> Any:
        if received.parts != ("jobs",):
            return {"state": "done", "detail": "alone"}
        odd: list[Any] = [{"id": {}}, {"id": ["a"]}, {"id": None}, {"id": float(10**300)}, {}, "text", 7, None]
        return {"jobs": [*odd, {"id": "9", "state": "done", "detail": "batch"}, {"id": "x", "n": 0}]}

    api.case("items", answers)
    batch = {**BATCH, "id": "${{ item.id if item.n is undefined else 1 / item.n }}"}
    spec = spec_data(get={**GET, "batch": batch}, connection={"base_url": f"{api.url}/items"})

    async def main() -> None:
        client = JobClient(loaded(spec), environment={})
        found = await get_all(client, ["9", "x", "null"])
        assert {name: status.message for name, status in found.items()} == {"9": "batch", "x": "alone", "null": "alone"}
        await client.close()

    run(main())


def test_the_halving_ends_in_time_for_each_job_to_be_asked_for_alone(api: RealApi) -> None:
    """With half of the call's time gone, no more halves are tried."""
    time = FakeClock()

    def answers(received: Received) -> Any:
        if batch_ids(received) is None:
            return {"state": "done", "detail": "alone"}
        time.move(18)
        return 400

    api.case("slow", answers)

    async def main() -> None:
        use_clock(time)
        client = client_for(api, "slow", deadline="60s")
        found = await get_all(client, GOOD[:32])
        assert messages(found) == {"alone"}
        await client.close()

    run(main())
    assert len([each for each in api.received("slow") if batch_ids(each) is not None]) <= 7
