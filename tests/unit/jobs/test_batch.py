"""Get by batch: gets that arrive within the window share one request."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import Any

from tests.support.fake_api import FakeApi, loaded, run, spec_data
from yaml_connector._jobs.client import JobClient
from yaml_connector._jobs.meta import JobMeta
from yaml_connector._jobs.status import Status

BATCH: dict[str, Any] = {
    "request": {"path": "/jobs", "query": {"ids": "${{ jobs | map(attribute='id') | join(',') }}"}},
    "items": "$.jobs[*]",
    "id": "$.id",
    "max": 3,
    "window": "10ms",
}
GET: dict[str, Any] = {
    "request": "GET /jobs/${{ job.id }}",
    "phase": {"path": "$.state", "map": {"RUNNING": ["running"], "SUCCEEDED": ["done"], "FAILED": ["error"]}},
    "message": "$.detail",
    "batch": BATCH,
}


def jobs_of(request: Any) -> Any:
    return {
        "jobs": [
            {"id": int(name), "state": "done", "detail": f"job {name}"} for name in request.url.params["ids"].split(",")
        ]
    }


def ask(
    api: FakeApi, ids: list[str], *, secrets: Any = None, configs: Any = None, saved: Any = None, **sections: Any
) -> list[Status]:
    """What the gets of these jobs give that are made at the same time; the other lists have one value for each job."""
    data = spec_data(**{"get": GET, **({"secrets": {"k": {}}} if secrets else {}), **sections})
    connector = JobClient(loaded(data), environment={}, transport=api.transport)
    outputs = [["d", "str"]] if "outputs" in sections else []
    metas = [
        JobMeta(id=name, created_at=at, digest=connector.plan.digest, config=config, outputs=outputs, saved=values)
        for at, name, config, values in zip(
            count(1.0), ids, configs or [{}] * len(ids), saved or [{}] * len(ids), strict=False
        )
    ]

    async def together() -> list[Status]:
        given = secrets or [{}] * len(ids)
        return await asyncio.gather(*(connector.get(meta, own) for meta, own in zip(metas, given, strict=True)))

    return run(together())


def test_jobs_of_one_window_share_a_request_and_read_their_own_item() -> None:
    api = FakeApi({"GET /jobs": jobs_of})
    statuses = ask(api, ["1", "2"], outputs={"d": "$.detail"})
    assert [(status.phase, status.message, status.outputs["d"][1]) for status in statuses] == [
        ("SUCCEEDED", "job 1", "job 1"),
        ("SUCCEEDED", "job 2", "job 2"),
    ]
    assert api.calls == ["GET /jobs?ids=1%2C2"]


def test_no_request_asks_for_more_than_the_most() -> None:
    api = FakeApi({"GET /jobs": jobs_of})
    assert {status.phase for status in ask(api, [str(number) for number in range(7)])} == {"SUCCEEDED"}
    assert sorted(len(call.split("%2C")) for call in api.calls) == [1, 3, 3]


def test_a_job_that_the_answer_lacks_is_asked_for_alone() -> None:
    api = FakeApi(
        {"GET /jobs": {"jobs": [{"id": "1", "state": "done"}, {"state": "error"}]}, "GET /jobs/2": {"state": "error"}}
    )
    assert [status.phase for status in ask(api, ["1", "2"])] == ["SUCCEEDED", "FAILED"]


def test_two_jobs_of_the_same_id_whose_saved_values_differ_do_not_share_a_request() -> None:
    batch = {
        **BATCH,
        "request": {"path": "/jobs", "query": {"in": "${{ jobs | map(attribute='region') | join(',') }}"}},
    }
    get = {**GET, "request": "GET /${{ job.region }}/jobs/${{ job.id }}", "batch": batch}

    def many(request: Any) -> Any:
        regions = request.url.params["in"].split(",")
        return {"jobs": [{"id": 7, "state": "running", "detail": f"of {region}"} for region in regions]}

    api = FakeApi({"GET /jobs": many, "GET /us/jobs/7": {"state": "running", "detail": "of us"}})
    create = {"request": "POST /jobs", "job_id": "$.id", "save": {"region": "$.region"}}
    statuses = ask(
        api, ["7", "7", "7"], saved=[{"region": "eu"}, {"region": "us"}, {"region": "eu"}], get=get, create=create
    )
    assert [status.message for status in statuses] == ["of eu", "of us", "of eu"]
    assert sorted(api.calls) == ["GET /jobs?in=eu", "GET /us/jobs/7"]


def test_one_that_the_api_does_not_know_at_all_is_not_found() -> None:
    api = FakeApi({"GET /jobs": {"jobs": []}, "GET /jobs/1": 404})
    assert "no longer exists" in (ask(api, ["1"])[0].message or "")


def test_a_batch_that_fails_makes_all_its_jobs_unreadable() -> None:
    statuses = ask(FakeApi({"GET /jobs": 403}), ["1", "2"])
    assert [status.phase for status in statuses] == ["RUNNING"] * 2
    assert all("answered 403" in (status.message or "") for status in statuses)


def test_the_same_job_asked_for_twice_at_once_gets_its_item_twice() -> None:
    api = FakeApi({"GET /jobs": jobs_of})
    assert [status.message for status in ask(api, ["1", "1"])] == ["job 1", "job 1"]
    assert api.calls == ["GET /jobs?ids=1"]


def test_jobs_of_other_credentials_do_not_share() -> None:
    api = FakeApi({"GET /jobs": jobs_of})
    connection = {"base_url": "https://api.test", "auth": {"type": "bearer", "token": "${{ secrets.k }}"}}
    keys = ["alice-key", "bob-key", "alice-key"]
    statuses = ask(api, ["1", "2", "3"], secrets=[{"k": key} for key in keys], connection=connection)
    assert {status.phase for status in statuses} == {"SUCCEEDED"}
    assert sorted((request.headers["Authorization"], request.url.params["ids"]) for request in api.sent) == [
        ("Bearer alice-key", "1,3"),
        ("Bearer bob-key", "2"),
    ]


def test_jobs_of_other_places_do_not_share() -> None:
    api = FakeApi({"GET https://eu.test/jobs": jobs_of, "GET https://us.test/jobs": jobs_of})
    sections = {
        "config": {"region": "str"},
        "connection": {"base_url": "https://${{ config.region }}.test", "allowed_hosts": ["eu.test", "us.test"]},
    }
    ask(api, ["1", "2"], configs=[{"region": "eu"}, {"region": "us"}], **sections)
    assert sorted(api.calls) == ["GET https://eu.test/jobs?ids=1", "GET https://us.test/jobs?ids=2"]
