"""The specs under attack: honest ones, written by trusted authors, of which each uses what an attack is aimed at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

PHASE = {"path": "$.state", "map": {"RUNNING": ["running"], "SUCCEEDED": ["done"], "FAILED": ["error"]}}
LOGIN = {"type": "bearer", "token": "${{ secrets.api_key }}"}
KEY = {"X-Key": "${{ secrets.key[:27] }}"}
GET: dict[str, Any] = {"request": "GET /jobs/${{ job.id }}", "phase": PHASE, "message": "$.detail"}
CREATE: dict[str, Any] = {
    "request": {"method": "POST", "path": "/jobs", "json": {"name": "${{ inputs.name }}"}},
    "idempotent": True,
    "job_id": "$.id",
}
SECRETS = {"api_key": {"env": "VICTIM_KEY"}, "key": {"env": "VICTIM_PEM"}}
RESULT = {"result": {"type": "any", "value": "$.result"}}
BASE: dict[str, Any] = {
    "spec_version": 1,
    "connection": {"base_url": "${{ env.HOSTILE }}", "auth": LOGIN, "headers": KEY},
    "secrets": SECRETS,
    "inputs": {"name": "str"},
    "create": CREATE,
    "get": GET,
    "delete": {"request": "POST /jobs/${{ job.id }}/cancel"},
    "logs": {
        "request": {"path": "/jobs/${{ job.id }}/logs", "query": {"cursor": "${{ page.token }}"}},
        "lines": "$.lines[*]",
        "message": "$.text",
        "next": "$.next",
    },
}


def _creating(value: str, **config: Any) -> dict[str, Any]:
    """A spec whose create sends what a template makes of the task's config and inputs."""
    request = {"method": "POST", "path": "/jobs", "json": {"value": "${{ " + value + " }}"}}
    return {"inputs": {"text": "str?"}, "config": config, "create": {**CREATE, "request": request}}


def _reading(**fields: Any) -> dict[str, Any]:
    return {"get": {**GET, **fields}}


def _logs(kind: str) -> dict[str, Any]:
    return {"logs": {"request": "GET /jobs/${{ job.id }}/logs", "format": kind, "max_time": "2s"}}


NUMBER = {"type": "int", "default": 1}
TEXT = {"type": "str", "default": ""}
ANY = {"type": "any", "default": None}
SPECS: dict[str, dict[str, Any]] = {
    "plain": {
        **_reading(links=[{"name": "page", "url": "$.url", "if": "body.url"}], info={"all": "$.info"}),
        "outputs": RESULT,
    },
    "text": _logs("text"),
    "ndjson": _logs("ndjson"),
    "sse": _logs("sse"),
    "greedy": _reading(message="${{ body.log | regex('(.*) submitted') }}"),
    "trimmed": _reading(message="${{ body.log | regex_replace('\\\\s+$', '') }}"),
    "given": {
        **_reading(message="${{ body.log | regex(config.pattern) }}"),
        "config": {"pattern": TEXT},
    },
    "everywhere": _reading(phase={**PHASE, "path": "$..state"}),
    "filtered": _reading(message="$.items[?(@.id == 5)].id"),
    "selected": _reading(
        message="${{ body['items'] | selectattr('id', 'equalto', 5) | map(attribute='id') | join(',') }}"
    ),
    "sorted": _reading(message="${{ (body['items'] | sort(attribute='id') | first).id }}"),
    "grouped": _reading(message="${{ body['items'] | groupby('id') | length }}"),
    "contained": _reading(message="${{ body['items'] | select('in', body['items']) | list | length }}"),
    "written": _reading(message="${{ body | json | length }} ${{ body['items'] | string | length }}"),
    "followed": {
        "get": {
            **GET,
            "request": None,
            "steps": [{"name": "all", "request": "GET /jobs/${{ job.id }}", "follow": "$.next"}],
        }
    },
    "collected": {
        "get": {
            **GET,
            "request": None,
            "steps": [
                {"name": "all", "request": "GET /jobs/${{ job.id }}", "follow": "$.next", "collect": "$.items[*]"}
            ],
            "phase": {"path": "$[0].id", "map": {"RUNNING": [7]}},
            "message": "${{ body | length }}",
        }
    },
    "stored": _reading(request={"path": "/jobs/${{ job.id }}"}),
    "stepwise": {
        "get": {
            **GET,
            "request": None,
            "steps": [{"name": f"s{n}", "request": "GET /jobs/${{ job.id }}"} for n in range(9)],
        }
    },
    "saving": {"create": {**CREATE, "save": {"more": "$.more"}}},
    "redirected": {"connection": {**BASE["connection"], "follow_redirects": True}},
    "logging_in": {
        "connection": {
            "base_url": "${{ env.HOSTILE }}",
            "auth": {
                "type": "token",
                "request": {"path": "/token", "query": {"size": "60000"}},
                "token": "$.token",
                "expires_in": "$.expires",
            },
        }
    },
    "batched": _reading(
        batch={
            "request": {"path": "/batch", "query": {"ids": "${{ jobs | map(attribute='id') | join(',') }}"}},
            "items": "$.items[*]",
            "id": "$.id",
            "window": "50ms",
        }
    ),
    "repeated": _creating("config.text * config.n", text=TEXT, n=NUMBER),
    "ranged": _creating("range(config.n) | list | length", n=NUMBER),
    "raised": _creating("config.n ** config.m", n=NUMBER, m=NUMBER),
    "shifted": _creating("'%*d' % (config.n, 1)", n=NUMBER),
    "formatted": _creating("config.text % config.n", text=TEXT, n=NUMBER),
    "replaced": _creating("config.text | replace('', config.text)", text=TEXT),
    "joined": _creating("config.items | join(config.text)", items=ANY, text=TEXT),
    "looped": _creating("config.items | map('replace', 'a', config.text) | join", items=ANY, text=TEXT),
    "batched_list": _creating("config.items | batch(config.n, 'x') | list", items=ANY, n=NUMBER),
    "indented": _creating("config.text | indent(config.n) | length", text=TEXT, n=NUMBER),
    "centered": _creating("config.text | center(config.n) | length", text=TEXT, n=NUMBER),
    "wrapped": _creating("config.text | wordwrap(config.n) | length", text=TEXT, n=NUMBER),
    "summed": _creating("config.items | sum(start=[])", items=ANY),
    "matched": _creating("config.text | regex(config.pattern)", text=TEXT, pattern=TEXT),
    "pathed": _creating("config.items | jsonpath(config.pattern)", items=ANY, pattern=TEXT),
    "written_int": _creating("config.n ~ ''", n=NUMBER),
    "files": {
        "inputs": {"data": "file"},
        "create": {**CREATE, "request": {"method": "POST", "path": "/jobs", "file": "${{ inputs.data }}"}},
    },
    "anything": {
        "inputs": None,
        "create": {**CREATE, "request": {"method": "POST", "path": "/jobs", "json": "${{ inputs }}"}},
    },
}


def write_specs(folder: Path) -> None:
    """Write all of them as files: JSON is YAML."""
    for name, sections in SPECS.items():
        spec = {key: value for key, value in {**BASE, **sections, "task_type_name": name}.items() if value is not None}
        get = spec["get"]
        spec["get"] = {key: value for key, value in get.items() if value is not None}
        (folder / f"{name}.yaml").write_text(json.dumps(spec, indent=1))
