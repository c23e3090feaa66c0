"""Jobs whose create has not gone through, for the tests of them."""

from __future__ import annotations

from typing import Any

from tests.support.fake_api import SILENT, Driver, FakeApi, reply

CREATE: dict[str, Any] = {
    "request": {
        "method": "POST",
        "path": "/jobs",
        "headers": {"Idempotency-Key": "${{ task.key }}"},
        "json": {"name": "${{ inputs.name }}", "cpus": "${{ config.cpus }}"},
    },
    "job_id": "$.id",
}
IDEMPOTENT = {**CREATE, "idempotent": True}
ADOPT = {**CREATE, "adopt": {"request": "GET /find/${{ task.key }}", "job_id": "$.found"}}
BOTH = {**ADOPT, "idempotent": True}
GOOD = {"id": 7}
LOOK, NOTHING = "GET /find/task-key-1", {"found": None}
STEPS: dict[str, Any] = {
    "steps": [
        {"name": "upload", "request": "POST /files", "save": {"part": "$.parts[0]"}},
        {
            "name": "run",
            "request": {
                "method": "POST",
                "path": "/jobs",
                "json": {
                    "file": "${{ steps.upload.body.file }}",
                    "part": "${{ steps.upload.saved.part }}",
                    "etag": "${{ steps.upload.headers.ETag }}",
                },
            },
        },
    ],
    "job_id": "$.id",
    "idempotent": True,
    "on_failure": [{"request": "DELETE /files/${{ steps.upload.body.file }}"}],
}
FILE = reply(json={"file": "f1", "parts": ["p1"], "more": "x" * 40_000}, headers={"ETag": "e1"})


def driver(create: dict[str, Any], routes: dict[str, Any], **sections: Any) -> Driver:
    sections = {"delete": {"request": "DELETE /jobs/${{ job.id }}"}, **sections}
    routes = {"GET /jobs/7": {"state": "running"}, "DELETE /jobs/7": 204, LOOK: NOTHING, **routes}
    return Driver(FakeApi(routes), create=create, inputs={"name": "str"}, config={"cpus": "int"}, **sections)


def pending(create: dict[str, Any], routes: dict[str, Any], **sections: Any) -> Driver:
    """A driver of a job that is not submitted yet; what create sent is forgotten."""
    made = driver(create, routes, **sections)
    assert made.create(inputs={"name": "n"}, config={"cpus": 2}).pending is not None
    made.api.sent.clear()
    return made


def lost_then(answer: Any) -> dict[str, Any]:
    return {"POST /jobs": [SILENT, SILENT, SILENT, answer]}
