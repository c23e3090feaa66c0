"""Counts the calls of the package's functions in one warm get, and their files: python -m bench.calls_of_get."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

from aiohttp import web

import yaml_connector
from yaml_connector._jobs.meta import JobMeta
from yaml_connector.flyte.connector import JobResourceMeta, YamlConnector

_SPEC = """
spec_version: 1
task_type_name: counted
connection: {{base_url: "{url}"}}
create: {{request: POST /jobs, job_id: $.id}}
get:
  request: GET /jobs/${{{{ job.id }}}}
  phase: {{path: $.state, map: {{RUNNING: [running], SUCCEEDED: [done]}}}}
"""
_PACKAGE = str(Path(yaml_connector.__file__).parent)


async def _answer(request: web.Request) -> web.Response:
    return web.json_response({"state": "running"})


async def count() -> tuple[Counter[tuple[str, str]], int]:
    """Return how often each function of the package is called, by file and name, and how many of these events are a
    coroutine that goes on after a wait."""
    app = web.Application()
    app.router.add_get("/jobs/{id}", _answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    with tempfile.TemporaryDirectory() as folder:
        spec = Path(folder) / "counted.yaml"
        spec.write_text(_SPEC.format(url=url), encoding="utf-8")
        (loaded,) = yaml_connector.load(str(spec))
    connector: Any = YamlConnector(loaded)
    meta = JobMeta("counted", id="7", created_at=1.0, digest=connector.jobs.plan.digest)
    job = JobResourceMeta(connector.jobs.encode(meta))
    for _ in range(3):
        await connector.get(job)
    calls: Counter[tuple[str, str]] = Counter()
    frames: set[FrameType] = set()
    resumed = 0

    def profile(frame: FrameType, event: str, argument: object) -> None:
        nonlocal resumed
        file = frame.f_code.co_filename
        if event == "call" and file.startswith(_PACKAGE):
            calls[file.removeprefix(_PACKAGE + "/"), frame.f_code.co_qualname] += 1
            resumed += frame in frames
            frames.add(frame)

    sys.setprofile(profile)
    await connector.get(job)
    sys.setprofile(None)
    await connector.jobs.close()
    await runner.cleanup()
    return calls, resumed


def main() -> None:
    """Print the calls by file."""
    calls, resumed = asyncio.run(count())
    for (file, name), number in sorted(calls.items()):
        print(f"{number:4} {file}: {name}")
    files = len({file for file, _ in calls})
    print(f"{calls.total()} calls in {files} files, {calls.total() - resumed} without coroutines that go on")


if __name__ == "__main__":
    main()
