"""The status page of `serve`: what people see of specs and jobs, and what nobody sees."""

from __future__ import annotations

import asyncio
import http.client
import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tests.support.browser import PROGRAM, browser, browser_page
from tests.support.flyte_side import FlyteSide
from tests.support.real_api import RealApi, Received
from tests.support.serving import Serving, serving
from yaml_connector import task_from_spec

Shown = tuple[Serving, list[dict[str, Any]]]

SPEC = """
spec_version: 1
task_type_name: {name}
connection:
  base_url: ${{{{ env.REAL_API }}}}/status
  auth: {{type: token, request: POST /login, token: $.token}}
  retry: {{max_attempts: 1}}
secrets:
  key: {{env: STATUS_KEY}}
inputs: {{id: str}}
create:
  request: {{method: POST, path: "/jobs/${{{{ inputs.id }}}}", headers: {{X-Key: "${{{{ secrets.key }}}}"}}}}
  idempotent: true
  job_id: $.id
get:
  request: GET /jobs/${{{{ job.id }}}}
  phase: {{path: $.state, map: {{RUNNING: [running], SUCCEEDED: [done]}}}}
"""
SECRET = "s3cr3t-of-the-status"
SCRIPT = "<script>alert(1)</script>"


def answers(received: Received) -> Any:
    if received.parts == ("login",):
        return {"token": "a-token-of-the-login"}
    name = received.parts[-1]
    if received.method == "POST":
        return 503 if name == "later" else {"id": name}
    return {
        "running": {"state": "running"},
        "over": {"state": "done"},
        "odd": {"state": f"odd {SCRIPT}"},
        "broken": 500,
        "telling": {"state": f"said {SECRET}"},
    }.get(name, 404)


@contextmanager
def with_jobs(folder: Path, api: RealApi, *jobs: str) -> Iterator[Shown]:
    """A service that follows these jobs, asked for once each, and what its page says of its specs in JSON."""
    api.case("status", answers)
    specs = folder / "connectors.d"
    specs.mkdir()
    for name in ("first", "second"):
        (specs / f"{name}.yaml").write_text(SPEC.format(name=name))
    with (
        serving(folder, specs, "--http", "0", REAL_API=api.url, STATUS_KEY=SECRET) as service,
        FlyteSide(service.port) as calls,
    ):
        for job in jobs:
            calls.get(calls.create(task_from_spec(specs / "first.yaml"), job, id=job))
        yield service, json.loads(fetch(service, Accept="application/json")[2])["specs"]


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory, api: RealApi) -> Iterator[Shown]:
    """A service with a job of every kind, for the tests that only look at its page."""
    with with_jobs(tmp_path_factory.mktemp("shown"), api, "running", "over", "odd", "broken", "later") as found:
        yield found


def fetch(service: Serving, path: str = "/status", **headers: str | bytes) -> tuple[int, http.client.HTTPMessage, str]:
    connection = http.client.HTTPConnection("127.0.0.1", service.http, timeout=10)
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read().decode()
    finally:
        connection.close()


class Tags(HTMLParser):
    """The tags of a page, and those that were not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)


def test_the_page_tells_of_specs_and_of_the_jobs_that_are_followed(shown: Shown) -> None:
    service, (first, second) = shown
    assert (first["task_type"], first["version"], len(first["digest"]), first["removed"]) == ("first", 0, 12, False)
    assert first["file"].endswith("first.yaml")
    assert first["followed"] == 4, "the job that is over is not followed"
    assert first["troubles"] == {"unreadable": 1, "not submitted": 1, "unknown state": 1}
    jobs = {job["id"] or "later": job for job in first["jobs"]}
    assert jobs["running"]["phase"] == "RUNNING"
    assert jobs["running"]["trouble"] is None
    assert "answered 500" in jobs["broken"]["problem"]
    assert jobs["broken"]["trouble_seconds"] >= 0
    assert "503" in jobs["later"]["problem"]
    assert jobs["later"]["key"]
    assert f"odd {SCRIPT}" in jobs["odd"]["problem"]
    assert [job["trouble"] for job in first["jobs"]] == ["unreadable", "not submitted", "unknown state", None]
    assert (second["followed"], second["jobs"]) == (0, [])

    status, headers, text = fetch(service, Accept="text/html,application/xhtml+xml,*/*;q=0.8")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "4 jobs" in text
    assert "unknown state" in text


def test_what_a_backend_says_stays_text(shown: Shown) -> None:
    service, _ = shown
    _, headers, text = fetch(service)
    assert "script" not in Tags(text).seen
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "script-src" not in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_no_secret_is_on_the_page(tmp_path: Path, api: RealApi) -> None:
    with with_jobs(tmp_path, api, "telling") as (service, (first, _)):
        assert first["troubles"]["unknown state"] == 1
        for accept in ("text/html", "application/json"):
            _, _, text = fetch(service, Accept=accept)
            assert "said" in text
            assert SECRET not in text
            assert "a-token-of-the-login" not in text


def test_failed_logins_are_counted(tmp_path: Path, api: RealApi) -> None:
    with with_jobs(tmp_path, api) as (service, _):
        api.case("status", lambda received: 401 if received.parts == ("login",) else answers(received))
        with FlyteSide(service.port) as calls:
            calls.create(task_from_spec(tmp_path / "connectors.d" / "first.yaml"), "r", id="x")
        first, second = json.loads(fetch(service, Accept="application/json")[2])["specs"]
        assert first["login_failures"] >= 1
        assert second["login_failures"] == 0
        assert "failed login" in fetch(service)[2]


def test_a_removed_spec_is_marked(tmp_path: Path, api: RealApi) -> None:
    with with_jobs(tmp_path, api, "running") as (service, _):
        (tmp_path / "connectors.d" / "first.yaml").unlink()
        service.process.send(signal.SIGHUP)
        service.process.wait_for("removed: first")
        removed = json.loads(fetch(service, Accept="application/json")[2])["specs"]
        assert [(item["task_type"], item["removed"]) for item in removed] == [("first", True), ("second", False)]
        assert removed[0]["followed"] == 1
        assert "takes no new jobs" in fetch(service)[2]


HOSTS = {
    "127.0.0.1:1": 200,
    "localhost": 200,
    "[::1]:80": 200,
    **dict.fromkeys(("evil.example", "127.0.0.1.evil.example", "x@127.0.0.1", "evil.example\\@127.0.0.1"), 403),
    **dict.fromkeys(("", "::1", "localhost:80:80", "127.0.0.1:999999", "\uff11\uff12\uff17.0.0.1"), 403),
}
ODD_ACCEPTS = (
    "application/openmetrics-text; version=x; escaping=y",
    "application/openmetrics-text;version=" + "9" * 500,
)


def test_another_site_cannot_read_the_page_through_a_browser_and_odd_headers_are_no_error_of_the_service(
    shown: Shown,
) -> None:
    service, _ = shown
    named = {host: host.encode() for host in HOSTS}
    assert {host: fetch(service, Host=sent)[0] for host, sent in named.items()} == HOSTS
    assert {fetch(service, "/healthz", Host=sent)[0] for sent in named.values()} == {200}, "health checks name any"
    assert [fetch(service, "/metrics", Accept=accept)[0] for accept in ODD_ACCEPTS] == [200, 200]
    assert "Traceback" not in service.process.output


@pytest.mark.browser
@pytest.mark.skipif(PROGRAM is None, reason="needs Chromium (apt-get install chromium)")
def test_a_browser_shows_the_page_on_a_phone_and_on_a_screen_and_loads_nothing_else(shown: Shown) -> None:
    service, _ = shown
    url = f"http://127.0.0.1:{service.http}/status"

    async def look(width: int, dark: bool) -> None:
        async with browser_page(port) as page:
            await page.open(url, width=width, dark=dark)
            assert (page.requests, page.complaints) == ([url], [])
            assert await page.value("document.documentElement.scrollWidth") == width
            assert await page.value("document.querySelectorAll('script, img').length") == 0
            text = await page.value("document.body.innerText")
            assert f"unknown state 'odd {SCRIPT}'" in text

    with browser() as port:
        asyncio.run(look(390, dark=True))
        asyncio.run(look(1200, dark=False))


def test_the_root_leads_to_the_page(shown: Shown) -> None:
    service, _ = shown
    status, headers, _ = fetch(service, "/")
    assert (status, headers["Location"]) == (302, "/status")
