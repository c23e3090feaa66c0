"""One mistake is one problem, with what to write: nothing is reported that is only a consequence of it."""

from __future__ import annotations

import pytest

from tests.unit.cli.test_messages import SPEC
from yaml_connector._loading.loader import load_text

MAP = "map: {RUNNING: [waiting, rendering], SUCCEEDED: [ready], FAILED: [broken]}"
AUTH = '{type: basic, username: flyte, password: "${{ secrets.farm }}"}'

# What is replaced, by what, the path of the problem, and a part of its message.
MISTAKES = {
    "another word for a required section": ("\nconnection:", "\napi:", "api", "did you mean connection?"),
    "another word for secrets": ("\nsecrets:", "\nvariables:", "variables", "did you mean secrets?"),
    "another word for create": ("\ncreate:", "\nspawn:", "spawn", "did you mean create?"),
    "camel case": ("  base_url:", "  baseUrl:", "connection.baseUrl", "did you mean base_url?"),
    "another word for a required field": ("username:", "user:", "connection.auth.user", "did you mean username?"),
    "a letter of another alphabet": ("\nsecrets:", "\nsecr\u0435ts:", "secr\u0435ts", "U+0435"),
    "a section that is indented": ("\nsecrets:", "\n  secrets:", "connection.secrets", "section of its own"),
    "a list for secrets": (
        "  farm: {env: FARM_PASSWORD}",
        "  - name: farm\n    env: FARM_PASSWORD",
        "secrets",
        "write each name as a key: farm: ..., without the dash",
    ),
    "what belongs to a key at its own indentation": (
        MAP,
        "map:\n    RUNNING: [rendering]\n    SUCCEEDED: [ready]\n    FAILED: [broken]",
        "get.phase.map",
        "indent what belongs to it (RUNNING, SUCCEEDED, FAILED) by two more spaces",
    ),
    "a request at the indentation of its fields": (
        "  request: GET /renders/${{ job.id }}",
        "  request:\n  method: GET\n  path: /renders",
        "get.request",
        "indent what belongs to it (method, path) by two more spaces",
    ),
    "a map that is left out": (
        MAP,
        "SUCCEEDED: [ready]\n    FAILED: [broken]",
        "get.phase.SUCCEEDED",
        "SUCCEEDED and FAILED belong below map",
    ),
    "a map the wrong way round, with slips": (
        MAP,
        "map: {waiting: RUNING, ready: success, broken: failed}",
        "get.phase.map",
        "the wrong way round",
    ),
    "a state for all others": (MAP, "map: {SUCCEEDED: [a], default: FAILED}", "get.phase.map.default", "end the list"),
    "a phase by another word": ("FAILED:", "TIMED_OUT:", "get.phase.map.TIMED_OUT", "did you mean FAILED?"),
    "a path for a phase": (
        "phase:\n    path: $.render.state\n    " + MAP,
        "phase: $.render.state",
        "get.phase",
        "write {path: $.render.state, map: ",
    ),
    "an item with a bracket too many": (
        MAP,
        "map:\n      SUCCEEDED: ready]",
        "get.phase.map.SUCCEEDED",
        "write [ready]",
    ),
    "a set for a list": ("[ready]", "{ready, shown}", "get.phase.map.SUCCEEDED", "write [ready, shown]"),
    "states with bars": ("[ready]", "ready | shown", "get.phase.map.SUCCEEDED", "write [ready, shown]"),
    "a merge key": ("  scene: str", "  scene: {type: str, <<: *x}", "inputs.scene.<<", "write the keys themselves"),
    "credentials without a type": (AUTH, "{username: a, password: b}", "connection.auth.type", "write type: basic"),
    "credentials by their kind": (AUTH, "{basic: {username: a}}", "connection.auth.type", "write type: basic"),
    "credentials as a word": (AUTH, "basic", "connection.auth", "write {type: basic, ...}"),
    "credentials of another tool": ("basic,", "oauth2,", "connection.auth.type", "did you mean oauth2_client_"),
    "a number of retries": ("  auth:", "  retry: 3\n  auth:", "connection.retry", "write {max_attempts: 3}"),
    "a number in quotes": (
        "  auth:",
        "  retry: {max_attempts: '3'}\n  auth:",
        "connection.retry.max_attempts",
        "write 3",
    ),
    "a section of one request": (
        "delete:\n  request: DELETE /renders/${{ job.id }}",
        "delete: DELETE /renders",
        "delete",
        "write it on the next line, as request: DELETE /renders",
    ),
    "a method as a key": (
        "request: GET /renders/${{ job.id }}",
        "request: {get: /renders}",
        "get.request.get",
        "write request: GET /renders",
    ),
    "a secret in the spec": (
        "{env: FARM_PASSWORD}",
        "{value: hunter2}",
        "secrets.farm.value",
        "never holds the secret",
    ),
    "a template for a variable": (
        "{env: FARM_PASSWORD}",
        "{env: '${{ env.FARM_PASSWORD }}'}",
        "secrets.farm.env",
        "write FARM_PASSWORD",
    ),
    "a template where none is allowed": (
        "task_type_name: render",
        "task_type_name: ${{ env.NAME }}",
        "task_type_name",
        "templates are not allowed",
    ),
    "names for inputs": ("inputs:\n  scene: str", "inputs: [scene]", "inputs", "write {scene: str}"),
    "a tag": ("message: $.render.note", "message: !note x", "get.message", "put quotes around"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_one_mistake_is_one_problem_with_what_to_write(name: str) -> None:
    old, new, path, part = MISTAKES[name]
    assert SPEC.count(old) == 1
    (problem,) = load_text(SPEC.replace(old, new).encode(), "s.yaml")[1]
    assert (problem.path, part in problem.message) == (path, True), problem


def test_twenty_mistakes_are_twenty_problems() -> None:
    text = SPEC
    for old, new in (
        ("spec_version: 1", "version: 1"),
        ("task_type_name: render", "task_type_name: my render"),
        ("description: Renders", "desc: Renders"),
        ("base_url:", "base-url:"),
        ("type: basic", "type: basik"),
        ("{env: FARM_PASSWORD}", "{env: $FARM}"),
        ("scene: str", "scene: string"),
        ("image: $.files.image", "image: $.files["),
        ("idempotent: true", "idempotent: yes"),
        ("method: POST", "method: SEND"),
        ("{X-Key:", "{X-Key: a, <<:"),
        ("frames: 10", 'frames: "${{ config.frames }}"'),
        ("job_id: $.render.id", "job_id: render.id"),
        ("  phase:", "  message: 5\n  phase:"),
        ("SUCCEEDED: [ready]", "SUCCEEDED: ready"),
        ("RUNNING:", "RUNING:"),
        ("  message: $.render.note", "  links: {a: b}\n  pol: {}"),
        ("DELETE /renders", "REMOVE /renders"),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    text += "cancel: {}\nlogs: {request: GET /log, format: jsonl}\n"
    lines = [problem.line for problem in load_text(text.encode(), "s.yaml")[1]]
    assert len(lines) == len(set(lines)) + 1 == 20  # one line has two
