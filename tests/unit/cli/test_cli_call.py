"""`yaml-connector call`: one call on a job that exists, on a real port, and how its response is judged."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.support.command_line import Command, Done
from tests.support.real_api import RealApi, Received, running_api

SPEC = """\
spec_version: 1
task_type_name: shop
connection:
  base_url: ${{ env.SHOP_URL }}
  auth: {type: bearer, token: "${{ secrets.key }}"}
  retry: {max_attempts: 1}
secrets: {key: {env: SHOP_KEY}}
config:
  shop: str
  queue: {type: str, default: short}
inputs: {order: str}
outputs: {total: {type: int, value: $.total}}
create:
  request: {method: POST, path: "/${{ config.queue }}/orders", json: {order: "${{ inputs.order }}"}}
  job_id: $.id
  save: {room: $.room}
get:
  request: GET /rooms/${{ job.room }}/orders/${{ job.id }}
  phase:
    - {when: body.broken, is: FAILED}
    - {path: $.state, map: {RUNNING: [open], SUCCEEDED: [done]}}
  message: $.note
  info: {step: $.step}
  links: [{name: Order, url: "${{ base_url }}/orders/${{ job.id }}"}]
  poll: {timeout: 1s}
result:
  request: GET /orders/${{ job.id }}/result
delete:
  request: DELETE /orders/${{ job.id }}/${{ config.shop }}
logs:
  request: {path: "/orders/${{ job.id }}/log", query: {from: "${{ page.token }}"}}
  lines: $.lines[*]
  next: $.next
"""
KEY = "s3cr3t-key-of-the-shop"
GET = ("call", "get", "shop.yaml", "--job-id", "17", "--saved", "room=7")


@pytest.fixture(scope="module")
def api() -> Iterator[RealApi]:
    with running_api() as running:
        yield running


@pytest.fixture
def shop(api: RealApi, command: Command, here: Path) -> Callable[..., Done]:
    """A command that finds the spec and the API, which answers as its first argument says."""
    (here / "shop.yaml").write_text(SPEC, encoding="utf-8")

    def run(answers: Callable[[Received], Any], *arguments: str) -> Done:
        api.case("shop", answers)
        done = command(*arguments, SHOP_URL=f"{api.url}/shop", SHOP_KEY=KEY)
        assert KEY not in done.stdout + done.stderr
        return done

    return run


def test_get_shows_the_phase_with_the_rule_that_held_and_sends_nothing_else(shop: Any, api: RealApi) -> None:
    done = shop(lambda _: {"state": "open", "note": "cooking", "step": 2}, *GET, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "exchanges": [{"method": "GET", "url": f"{api.url}/shop/rooms/7/orders/17", "status": 200}],
        "phase": "RUNNING",
        "rule": "get.phase[1]",
        "message": "cooking",
        "info": {"step": 2},
        "links": [{"name": "Order", "url": f"{api.url}/shop/orders/17"}],
        "outputs": {},
        "error": None,
    }
    assert len(api.received("shop")) == 1


def test_get_asks_for_no_value_that_only_another_call_uses(shop: Any) -> None:
    done = shop(lambda _: {"broken": True}, *GET)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1:3] == ["phase    FAILED", "rule     get.phase[0]"]


def test_the_only_rule_is_called_without_its_number(shop: Any, here: Path) -> None:
    text = (here / "shop.yaml").read_text(encoding="utf-8").replace("    - {when: body.broken, is: FAILED}\n", "")
    (here / "one.yaml").write_text(text, encoding="utf-8")
    done = shop(lambda _: {"state": "done"}, "call", "get", "one.yaml", *GET[3:], "--json")
    assert json.loads(done.stdout)["rule"] == "get.phase"


def test_a_state_that_no_rule_knows_is_exit_code_1(shop: Any) -> None:
    done = shop(lambda _: {"state": "boiling"}, *GET, "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["phase"], found["rule"]) == (1, "RUNNING", None)
    assert "unknown state: 'boiling' at $.state" in found["message"]


def test_a_get_that_fails_is_exit_code_1_and_says_why(shop: Any) -> None:
    done = shop(lambda _: web.json_response({"message": f"no access with {KEY}"}, status=403), *GET)
    assert done.returncode == 1
    assert "403: no access with ***" in done.stdout


def test_a_job_that_the_api_does_not_know_is_judged_at_once(shop: Any) -> None:
    done = shop(lambda _: 404, *GET, "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["phase"], found["rule"]) == (0, "FAILED", None)
    assert found["message"].startswith("the job no longer exists")


def test_result_asks_get_and_reads_the_outputs(shop: Any) -> None:
    def answers(request: Received) -> Any:
        return {"total": 12} if request.parts[-1] == "result" else {"state": "done"}

    done = shop(answers, "call", "result", *GET[2:], "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["outputs"]) == (0, {"total": 12})
    assert [exchange["url"].rpartition("/")[2] for exchange in found["exchanges"]] == ["17", "result"]


def test_delete_is_sent_without_asking(shop: Any, api: RealApi) -> None:
    done = shop(lambda _: 204, "call", "delete", *GET[2:], "--config", "shop=north", "--json")
    assert done.returncode == 0, done.stderr
    assert [(item.method, item.parts) for item in api.received("shop")] == [("DELETE", ("orders", "17", "north"))]
    found = json.loads(done.stdout)
    assert list(found) == ["exchanges", "error"]
    assert found["exchanges"][0]["status"] == 204


def test_a_delete_that_fails_is_exit_code_1(shop: Any) -> None:
    done = shop(lambda _: 500, "call", "delete", *GET[2:], "--config", "shop=north", "--json")
    assert done.returncode == 1
    assert "500" in json.loads(done.stdout)["error"]


def test_logs_reads_one_page_and_goes_on_from_its_token(shop: Any, api: RealApi) -> None:
    def answers(request: Received) -> Any:
        return {"lines": ["two"]} if "from" in request.query else {"lines": ["one"], "next": "n1"}

    first = json.loads(shop(answers, "call", "logs", *GET[2:], "--json").stdout)
    assert first["lines"] == ["one"]
    second = json.loads(shop(answers, "call", "logs", *GET[2:], "--token", first["next"], "--json").stdout)
    exchange = {"method": "GET", "url": second["exchanges"][0]["url"], "status": 200}
    assert second == {"exchanges": [exchange], "lines": ["two"], "next": None, "error": None}
    assert api.received("shop")[0].query == {"from": "n1"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("call", "delete", *GET[2:]), "config field 'shop' (str) is required (--config NAME=VALUE)"),
        (("call", "get", *GET[2:5], "--saved", "rom=7"), "no saved value 'rom'; did you mean room?"),
        (("call", "logs", *GET[2:], "--token", "x"), "token"),
        (("call", "get", "shop.yaml", "--job-id", ""), "--job-id is empty"),
        (("call", "pause", *GET[2:]), "'pause' is not one of"),
    ],
)
def test_what_is_missing_or_wrong_is_named(shop: Any, arguments: tuple[str, ...], told: str) -> None:
    done = shop(lambda _: {}, *arguments)
    assert done.returncode in (1, 2)
    assert told in done.stdout + done.stderr


def test_a_section_that_the_spec_lacks_is_wrong_usage(shop: Any, here: Path) -> None:
    text = (here / "shop.yaml").read_text(encoding="utf-8").partition("logs:\n")[0]
    (here / "bare.yaml").write_text(text, encoding="utf-8")
    done = shop(lambda _: {}, "call", "logs", "bare.yaml", "--job-id", "17")
    assert done.returncode == 2
    assert "the spec has no logs; it has: get, result, delete" in done.stderr
