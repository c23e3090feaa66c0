"""Inputs on their way through Flyte: what a task is called with is what the API gets."""

from __future__ import annotations

import enum
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flyte.io import DataFrame, Dir, File

from tests.support.flyte_side import FlyteSide, state
from tests.support.real_api import RealApi, Received
from yaml_connector import ConfigError, Json

Make = Callable[..., Any]
MOMENT = datetime(2026, 2, 3, 4, 5, 6, 789000, tzinfo=UTC)


@pytest.fixture
def sent(calls: FlyteSide, api: RealApi, task: Make, request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Runs a task with one input `x` of a type, and gives what arrived at the API as `x`."""

    def run(annotation: Any, *value: Any) -> Any:
        def answer(received: Received) -> Any:
            return {"id": "1"}

        api.case("inputs", answer)
        made = task("any_inputs", inputs={"x": annotation})
        inputs = {"x": value[0]} if value else {}
        resource = calls.run(made, f"inputs-{request.node.name.encode().hex()}", **inputs)
        assert state(resource) == "SUCCEEDED", resource.message
        return api.received("inputs", "POST")[-1].json["x"]

    return run


@pytest.mark.parametrize(
    ("annotation", "value", "arrives"),
    [
        (str, "", ""),
        (str, 'Zoë ✓ ${{ 1 }} "quoted"\n', 'Zoë ✓ ${{ 1 }} "quoted"\n'),
        (int, 2**53 + 1, 2**53 + 1),
        (int, -(2**63), -(2**63)),
        (float, 3.0, 3.0),
        (float, 1e-9, 1e-9),
        (bool, False, False),
        (datetime, MOMENT, "2026-02-03T04:05:06.789000Z"),
        (timedelta, timedelta(minutes=1, milliseconds=500), 60.5),
        (File, File.from_existing_remote("s3://bucket/a b.csv"), "s3://bucket/a b.csv"),
        (Dir, Dir.from_existing_remote("s3://bucket/folder"), "s3://bucket/folder"),
        (DataFrame, DataFrame.from_existing_remote("s3://bucket/table"), "s3://bucket/table"),
        (list[int], [1, 2**53 + 1], [1, 2**53 + 1]),
        (list[int], [], []),
        (list[list[str]], [["a"], []], [["a"], []]),
        (dict[str, float], {"a": 1.0, "b.c": 0.5}, {"a": 1.0, "b.c": 0.5}),
        (dict[str, list[int]], {"a": [1]}, {"a": [1]}),
        (list[File], [File.from_existing_remote("s3://b/1")], ["s3://b/1"]),
        (str | None, "text", "text"),
        (str | None, None, None),
        (list[str] | None, ["a"], ["a"]),
        (dict, {"a": [1, 2.5, None, {"b": True}]}, {"a": [1, 2.5, None, {"b": True}]}),
        (dict, {"big": 2**53 + 1, "whole": 3.0}, {"big": 2**53 + 1, "whole": 3.0}),
        (list[dict], [{"a": 1}], [{"a": 1}]),
        (Json, {"a": {"b": [1, None]}}, {"a": {"b": [1, None]}}),
        (Json, [1, "two", None], [1, "two", None]),
        (Json, "text", "text"),
        (Json, None, None),
        (Any, [1, {"a": 2}], [1, {"a": 2}]),
        (Json | None, None, None),
    ],
    ids=str,
)
def test_an_input_arrives_exactly_as_given(sent: Callable[..., Any], annotation: Any, value: Any, arrives: Any) -> None:
    got = sent(annotation, value)
    assert got == arrives
    assert type(got) is type(arrives)


def test_an_optional_input_may_be_left_out(sent: Callable[..., Any]) -> None:
    assert sent(str | None) is None


def test_an_optional_input_that_the_task_does_not_even_declare_is_null(
    calls: FlyteSide, api: RealApi, task: Make
) -> None:
    api.case("narrow", lambda received: {"id": "1", "state": "done"})
    calls.run(task("scripted", inputs={"case": str}), "narrow", case="narrow")
    assert set(api.received("narrow")[0].json) == {"task"}  # a null is left out of a mapping


def test_a_type_that_flyte_would_pickle_is_refused_when_the_task_is_built(task: Make) -> None:
    class Colour(enum.Enum):
        RED = "red"

    for annotation in (set, bytes, object, list, Colour, tuple[int, int]):
        with pytest.raises(ConfigError, match=r"input 'x': the type .* cannot be used; allowed are str, int"):
            task("any_inputs", inputs={"x": annotation})


def test_what_flyte_says_of_the_task_reaches_the_request(calls: FlyteSide, api: RealApi, task: Make) -> None:
    api.case("task", lambda received: {"id": "1", "state": "running"})
    calls.create(task("scripted", name="team.my_job"), "run-7", action="a3", attempt=2, case="task")
    arrived = api.received("task")[0]
    told = arrived.json["task"]
    key = told.pop("key")
    assert arrived.headers["Idempotency-Key"] == key
    assert key.startswith("run-7-a3-")
    assert told.pop("container") == {
        "image": "",
        "command": [],
        "args": [],
        "env": {"FLYTE_INTERNAL_EXECUTION_PROJECT": "flytesnacks", "FLYTE_INTERNAL_EXECUTION_DOMAIN": "development"},
        "resources": {},
    }
    assert told == {
        "name": "team.my_job",
        "type": "scripted",
        "project": "flytesnacks",
        "domain": "development",
        "version": "v7",
        "execution_id": "run-7",
        "attempt": 2,
        "namespace": "flytesnacks-development",
        "labels": {"run": "run-7", "action": "a3", "attempt": "3", "task-name": "team.my_job"},
        "annotations": {"team": "data"},
        "output_prefix": "s3://bucket/flytesnacks/development/run-7/a3",
        "sql": None,
        "timeout": None,
    }


@pytest.mark.parametrize(
    "settings", [3, 3.0, 2**53 + 1, -(2**63), 10**30, 0.1, [1, 1.0], {"a": {"b": 2**53 + 1}}, "3", True]
)
def test_config_comes_through_exactly(
    calls: FlyteSide, api: RealApi, task: Make, settings: Any, request: pytest.FixtureRequest
) -> None:
    """Through the template's `custom`, which is a protobuf Struct that knows no integers."""
    api.case("exact", lambda received: {"id": "1", "state": "running"})
    run = f"exact-{request.node.name.encode().hex()}"
    calls.create(task("scripted", config={"settings": settings}), run, case="exact")
    got = api.received("exact")[0].json["settings"]
    assert repr(got) == repr(settings)


def test_a_config_that_cannot_be_read_fails_the_job_for_good(calls: FlyteSide, api: RealApi, task: Make) -> None:
    class Foreign(type(task("scripted"))):  # type: ignore[misc]
        def custom_config(self, sctx: Any) -> dict[str, Any]:
            return {"config": "{"}

    resource = calls.get(calls.create(Foreign("foreign"), "foreign", case="none"))
    assert state(resource) == "FAILED"
    assert "the task's config cannot be read" in resource.message


@pytest.mark.parametrize(
    ("name", "annotation", "value", "wrong"),
    [
        ("id", Json, {"$ne": None}, "the input 'id': {'$ne': None} is not a valid str"),
        ("id", list[str], ["a"], "the input 'id': ['a'] is not a valid str"),
        ("id", int, 5, "the input 'id': 5 is not a valid str"),
        ("case", str | None, None, "the input 'case': null is not a valid str"),
        ("admin", bool, True, "scripted has no input 'admin'"),
    ],
    ids=str,
)
def test_a_template_that_declares_other_inputs_than_the_spec_fails_the_job_and_nothing_is_sent(
    calls: FlyteSide, api: RealApi, task: Make, name: str, annotation: Any, value: Any, wrong: str
) -> None:
    api.case("declared", lambda received: {"id": "1", "state": "running"})
    other = task("any_inputs", inputs={"case": str, name: annotation})
    other.task_type = "scripted"
    job = calls.create(other, "declared", **{"case": "declared", name: value})
    resource = calls.get(job)
    assert state(resource) == "FAILED"
    assert resource.message.startswith(wrong)
    assert resource.message.endswith("; nothing was submitted")
    assert api.received("declared") == []
