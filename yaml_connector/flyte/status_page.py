"""The status page of a service: what it serves, and how the jobs are doing that it follows. Read-only, no secrets.

As HTML, which works without a script, and as JSON of the same. All text of specs and backends is escaped, and the page
loads nothing. It is for people who reach the port anyway, so another site must not read it through their browser.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib.resources import files
from ipaddress import ip_address
from typing import Any, NamedTuple

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined

from yaml_connector._jobs import metrics
from yaml_connector._jobs.overview import Jobs, JobsOverview, overview_of
from yaml_connector.flyte.connector import YamlConnector

_MOST_JOBS, _MOST_ROWS = 100, 2000  # of each spec in full, of all specs together
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")
_OWN_NAMES = frozenset({"localhost", "ip6-localhost"})


@dataclass(frozen=True)
class SpecStatus:
    """One spec that is served. `removed`: it takes no new jobs. `login_failures` are counted since the start."""

    task_type: str
    version: int
    title: str
    file: str
    digest: str
    removed: bool
    login_failures: int
    jobs: JobsOverview


class KnownJobs(NamedTuple):
    """A spec, and the jobs that are known of it at a moment. `removed`: it takes no new jobs."""

    connector: YamlConnector
    removed: bool
    jobs: Jobs


def known_jobs(connectors: Iterable[YamlConnector], removed: Iterable[YamlConnector]) -> list[KnownJobs]:
    """Return the jobs of these specs. What follows may be done in another thread."""
    served = [(item, False) for item in connectors] + [(item, True) for item in removed]
    return [
        KnownJobs(item, is_removed, [*item.jobs.cache.items(), *item.jobs.foreign.items()])
        for item, is_removed in served
    ]


def status_of(served: list[KnownJobs]) -> list[SpecStatus]:
    """Return the status of these specs, sorted by task type."""
    most = min(_MOST_JOBS, _MOST_ROWS // max(1, len(served)))
    found = [_spec_status(item, most) for item in served]
    return sorted(found, key=lambda item: (item.task_type, item.version))


def respond(request: web.Request, specs: list[SpecStatus], *, local: bool) -> web.Response:
    """Answer a request for the page: in JSON if `Accept` prefers that to HTML. `local`: only this machine is meant to
    reach it, so a request that names another host is refused."""
    if local and not is_loopback(_host_of(request)):
        return web.Response(status=403, text="the status page is for this machine: open it as http://127.0.0.1\n")
    headers = {"Cache-Control": "no-store", "Vary": "Accept", "X-Content-Type-Options": "nosniff"}
    if _wants_json(request.headers.get("Accept", "")):
        return web.json_response({"specs": [_as_json(spec) for spec in specs]}, headers=headers)
    headers |= {
        "Content-Security-Policy": f"default-src 'none'; style-src '{_STYLE_HASH}'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'",
        "Referrer-Policy": "no-referrer",
    }
    text = _html.get_template("status.html.jinja").render(style=_STYLE, specs=specs)
    return web.Response(text=text, content_type="text/html", headers=headers)


def _host_of(request: web.Request) -> str:
    """Return the host that a request names; "" if it is not written as browsers write it."""
    found = _HOST.fullmatch(request.headers.get("Host", ""))
    return found[1] if found is not None else ""


def _spec_status(served: KnownJobs, most: int) -> SpecStatus:
    connector, removed, jobs = served
    spec, client = connector.loaded.spec, connector.jobs
    logins = metrics.request_counts(spec.task_type_name, "login").requests
    return SpecStatus(
        task_type=spec.task_type_name,
        version=spec.task_type_version,
        title=spec.title,
        file=connector.loaded.file,
        digest=client.plan.digest[:12],
        removed=removed,
        login_failures=sum(logins) - logins[2] - logins[3],  # no answer, 1xx, 4xx, 5xx
        jobs=overview_of(jobs, most),
    )


def _as_json(spec: SpecStatus) -> dict[str, Any]:
    overview = asdict(spec.jobs)
    jobs = overview.pop("jobs")
    for job in jobs:
        job |= {name: round(job[name], 1) for name in ("age", "trouble_seconds") if job[name] is not None}
    return asdict(spec) | {"jobs": jobs} | overview


def _wants_json(accept: str) -> bool:
    """Tell whether JSON comes before HTML, by the order of names: browsers name HTML first."""
    kinds = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    return next((kind == "application/json" for kind in kinds if kind in ("application/json", "text/html")), False)


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine itself."""
    if host.lower() in _OWN_NAMES:
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _duration(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds:.0f} s"


_STYLE = (files("yaml_connector.flyte") / "templates" / "status.css").read_text("utf-8")
_STYLE_HASH = "sha256-" + base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_html = Environment(loader=PackageLoader("yaml_connector.flyte"), autoescape=True, undefined=StrictUndefined)
_html.filters["duration"] = _duration
