"""Steps with large responses: what was parsed of one does not stay while the next ones are read."""

from __future__ import annotations

import json
import tracemalloc

import pytest
from multidict import CIMultiDict

from tests.support.fake_api import BASE, FakeApi, job, reply, run
from tests.support.sending import Sender
from tests.unit.jobs.test_bounded_bytes import MB
from yaml_connector._expressions.scope import Scope
from yaml_connector._http.messages import Response

LARGE = json.dumps({f"key {number}": [number] for number in range(20_000)} | {"state": "on"}).encode()
PHASE = {"phase": {"path": "$.state", "map": {"RUNNING": ["on"]}}, "message": "${{ steps.s0.body['key 7'][0] }}"}


@pytest.mark.slow
@pytest.mark.parametrize("each", [False, True])
def test_what_was_parsed_of_earlier_responses_does_not_stay(each: bool) -> None:
    one = {"request": "GET /large", "success": "body.state == 'on'"}
    steps = [{"name": f"s{number}", **one} for number in range(9)]
    if each:
        steps = [{"name": "s0", **one}, {"name": "all", "each": "${{ range(8) | list }}", **one}, {"name": "s9", **one}]
    driver = job({"GET /large": [reply(200, content=LARGE)]}, get={"steps": steps, **PHASE})
    tracemalloc.start()
    try:
        assert driver.get().message == "7"
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 9 * len(LARGE) + 15 * MB  # one of them takes 5 MB


def test_what_was_parsed_does_not_stay_while_a_response_waits_to_be_read_elsewhere() -> None:
    response = Response("GET", BASE, 200, CIMultiDict(), LARGE)
    context = Sender(FakeApi({})).session()
    for argument in (response, Scope().with_response(response)):
        assert response.body["state"] == "on"
        assert run(context.read_elsewhere(lambda _: holds_body(response), argument)) is False


def holds_body(response: Response) -> bool:
    try:
        object.__getattribute__(response, "body")
    except AttributeError:
        return False
    return True
