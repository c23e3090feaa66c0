"""Makes the contract test of a sketch, by playing its calls: the requests are those that the spec sends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from yaml_connector.cli.new.sketch import Play, Sketch
from yaml_connector.testing import run_tests
from yaml_connector.testing.compare import plain_strings
from yaml_connector.testing.loader import load_runnable
from yaml_connector.testing.matching import SentRequest, pairs_of


def played(sketch: Sketch, file: Path) -> dict[str, Any]:
    """Return the contract test of a sketch as data. It is played in `file`, which is written; the spec is beside it.

    A request that is not sent is `GET /`.
    """
    fixtures = {kind: values for kind, values in sketch.fixtures.items() if values}
    tests: list[dict[str, Any]] = [
        {"name": name, "calls": list(map(_call, plays))} for name, plays in sketch.tests.items()
    ]
    data = {"spec": f"{sketch.name}.yaml", **({"defaults": fixtures} if fixtures else {}), "tests": tests}
    file.write_text(json.dumps(data))
    loaded, _ = load_runnable(file.read_bytes(), str(file))
    if loaded is None:
        return data
    sent: dict[int, SentRequest] = {}  # by the exchange that it began
    results = run_tests(loaded, any_request=True, watch=lambda one, exchange: sent.update({id(exchange): one})).results
    for plays, test, read, result in zip(sketch.tests.values(), tests, loaded.tests.tests, results, strict=True):
        for play, call, made in zip(plays, test["calls"], read.calls, strict=True):
            for number, exchange in enumerate(play.exchanges):
                if (request := sent.get(id(made.exchanges[number]))) is not None:
                    call[play.kind]["exchanges"][number]["request"] = _recorded(request, exchange.request)
            if play.kind == "create" and not play.expect:
                call["create"]["expect"] = {
                    "job_id": dict(result.outcomes[:1]).get("create", {}).get("job_id") or "job-1"
                }
    return data


def _call(play: Play) -> dict[str, Any]:
    if play.kind == "after":
        return dict(play.expect)
    exchanges = [
        {"request": "GET /"} | ({"response": exchange.response} if exchange.response else {})
        for exchange in play.exchanges
    ]
    return {play.kind: {"exchanges": exchanges} | ({"expect": play.expect} if play.expect else {})}


def _recorded(sent: SentRequest, made: Any) -> dict[str, Any]:
    """Return a request that was sent as a test has it, with the headers that `made`, the spec's request, has itself."""
    fields = made if isinstance(made, dict) else {}
    request: dict[str, Any] = {"method": sent.method, "url": sent.url.partition("?")[0]}
    headers = {str(name): sent.headers.get(str(name)) for name in fields.get("headers", {})}  # None: it is left out
    for kind, values in (("query", _single(sent.query)), ("headers", headers)):
        request |= {kind: plain_strings(values)} if values else {}
    bodies: dict[str, Callable[[str], Any]] = {
        "json": json.loads,
        "form": lambda text: _single(pairs_of(text)),
        "text": str,
    }
    has_body = [kind for kind in bodies if kind in fields and (sent.content or kind == "text")]
    return request | {kind: plain_strings(bodies[kind](sent.text)) for kind in has_body}


def _single(pairs: dict[str, list[str]]) -> dict[str, Any]:
    return {name: values[0] if len(values) == 1 else values for name, values in pairs.items()}
