"""Outputs on their way to the next task: each value is exactly what that task declares."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import flyte
import pytest
from flyte.connectors._connector import get_resource_proto
from flyte.io import DataFrame, Dir, File
from flyte.types import TypeEngine
from flyteidl2.connector.connector_pb2 import GetTaskResponse
from flyteidl2.connector.connector_pb2 import Resource as ResourceMessage
from flyteidl2.core.literals_pb2 import Literal

from tests.support.real_api import RealApi
from yaml_connector import ConfigError, Json, task_from_spec
from yaml_connector._expressions.value_types import SCALARS, convert, parse_type
from yaml_connector._jobs.status import Status
from yaml_connector.flyte.connector import fill_message, resource_of
from yaml_connector.flyte.literals import kind_of_literal, kind_of_python, python_type_of

MOMENT = datetime(2026, 2, 3, 4, 5, 6, 789123, tzinfo=UTC)

SPEC = """
spec_version: 1
task_type_name: open_outputs
connection: {base_url: "%s/outputs"}
outputs: {"*": {value: "${{ body[output.name] }}"}}
create: {request: POST /jobs, job_id: $.id, idempotent: true}
get:
  request: GET /jobs/${{ job.id }}
  phase: {path: $.state, map: {SUCCEEDED: [done], FAILED: [error]}}
"""


async def literal_of(type_text: str, answered: Any) -> Literal:
    """What an API answered, as the literal that Flyte gets."""
    kind = parse_type(type_text)
    resource = await resource_of(Status("SUCCEEDED", outputs={"x": (kind, convert(answered, kind))}))
    assert resource.message is None
    return (await get_resource_proto(resource)).outputs.literals[0].value


def received(type_text: str, answered: Any, declared: Any) -> Any:
    """What a task that declares `declared` is called with."""

    async def convert_both_ways() -> Any:
        return await TypeEngine.to_python_value(await literal_of(type_text, answered), declared)

    return asyncio.run(convert_both_ways())


@pytest.mark.parametrize(
    ("type_text", "answered", "declared", "value"),
    [
        ("str", "text", str, "text"),
        ("str", "", str, ""),
        ("str", 5, str, "5"),
        ("int", 7, int, 7),
        ("int", "123", int, 123),
        ("int", "9223372036854775807", int, 2**63 - 1),
        ("int", 2**53 + 1, int, 2**53 + 1),
        ("int", 3.0, int, 3),
        ("float", 1, float, 1.0),
        ("float", "0.5", float, 0.5),
        ("float", math.inf, float, math.inf),
        ("bool", False, bool, False),
        ("bool", "true", bool, True),
        ("any", {"a": [1, 2.0, None]}, dict, {"a": [1, 2.0, None]}),
        ("any", {"n": 2**53 + 1}, Json, {"n": 2**53 + 1}),
        ("any", [1, "a"], Json, [1, "a"]),
        ("any", "text", Json, "text"),
        ("any", None, Json, None),
        ("datetime", "2026-02-03T04:05:06.789123Z", datetime, MOMENT),
        ("datetime", "2026-02-03T06:05:06.789123+02:00", datetime, MOMENT),
        ("datetime", 1_700_000_000, datetime, datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
        ("duration", "PT1M30S", timedelta, timedelta(seconds=90)),
        ("duration", 0.25, timedelta, timedelta(milliseconds=250)),
        ("file", "s3://bucket/a b.csv", File, "s3://bucket/a b.csv"),
        ("dir", "s3://bucket/folder", Dir, "s3://bucket/folder"),
        ("dataframe", "s3://bucket/table", DataFrame, "s3://bucket/table"),
        ("list[int]", [1, "2", 3.0], list[int], [1, 2, 3]),
        ("list[int]", [], list[int], []),
        ("list[str]", [], list[str], []),
        ("list[float]", [1, 2], list[float], [1.0, 2.0]),
        ("list[list[bool]]", [[True], []], list[list[bool]], [[True], []]),
        ("list[datetime]", [0], list[datetime], [datetime(1970, 1, 1, tzinfo=UTC)]),
        ("list[file]", ["s3://b/1", "s3://b/2"], list[File], ["s3://b/1", "s3://b/2"]),
        ("list[any]", [{"a": 1}, 2, None], list[Json], [{"a": 1}, 2, None]),
        ("dict[str, float]", {"a": 1}, dict[str, float], {"a": 1.0}),
        ("dict[str, int]", {}, dict[str, int], {}),
        ("dict[str, list[str]]", {"a": ["b"]}, dict[str, list[str]], {"a": ["b"]}),
        ("dict[str, dir]", {"a": "s3://b/d"}, dict[str, Dir], {"a": "s3://b/d"}),
        ("str?", "text", str | None, "text"),
        ("str?", None, str | None, None),
        ("int?", "5", int | None, 5),
        ("float?", 1, float | None, 1.0),
        ("list[int]?", None, list[int] | None, None),
        ("list[int]?", [1], list[int] | None, [1]),
        ("list[str?]", ["a", None], list[str | None], ["a", None]),
        ("file?", "s3://b/f", File | None, "s3://b/f"),
        ("datetime?", None, datetime | None, None),
        ("any?", {"a": 1}, Json | None, {"a": 1}),
    ],
    ids=str,
)
def test_a_downstream_task_gets_exactly_what_it_declares(
    type_text: str, answered: Any, declared: Any, value: Any
) -> None:
    got = received(type_text, answered, declared)
    assert repr(uris(got)) == repr(value)  # 1 is not 1.0


def uris(value: Any) -> Any:
    """Files, directories and dataframes as their URIs."""
    if isinstance(value, list):
        return [uris(item) for item in value]
    if isinstance(value, dict):
        return {key: uris(item) for key, item in value.items()}
    if isinstance(value, File | Dir):
        return value.path
    return value.uri if isinstance(value, DataFrame) else value


@pytest.mark.parametrize(
    "type_text",
    [*SCALARS, "list[int]", "list[file]", "list[str?]", "list[any]?", "dict[str, any]", "dict[str, list[datetime]]"]
    + [f"{name}?" for name in SCALARS],
)
def test_a_type_is_the_same_in_the_language_in_python_and_in_flyte(type_text: str) -> None:
    kind = parse_type(type_text)
    python = python_type_of(kind)
    assert kind_of_python(python, where="it") == kind
    assert kind_of_literal(TypeEngine.to_literal_type(python)) == kind
    guessed = TypeEngine.guess_python_type(TypeEngine.to_literal_type(python))  # what the service reads inputs by
    assert kind_of_python(guessed, where="it") == kind


def test_a_list_is_a_collection_and_never_a_pickle() -> None:
    literal = asyncio.run(literal_of("list[str]", []))
    assert literal.HasField("collection")
    assert asyncio.run(literal_of("dict[str, int]", {})).HasField("map")


@pytest.fixture
def outputs_spec(api: RealApi, tmp_path: Path) -> Path:
    (tmp_path / "open_outputs.yaml").write_text(SPEC % api.url)
    return tmp_path / "open_outputs.yaml"


@pytest.fixture
def local_run(api: RealApi, outputs_spec: Path, flyte_home: None) -> Callable[..., Any]:
    """Runs a task with these outputs locally, of a job that answers with these values; gives what the task gave."""

    def run(answered: dict[str, Any], /, **outputs: Any) -> Any:
        api.case("outputs", lambda received: {"id": "1", "state": "done", **answered})
        task = task_from_spec(outputs_spec, outputs=outputs)
        flyte.TaskEnvironment.from_task("outputs-env", task)
        return flyte.with_runcontext(mode="local").run(task).outputs()

    return run


def test_a_local_run_gives_the_outputs_in_the_declared_order(local_run: Callable[..., Any]) -> None:
    given = local_run({"z": "1", "a": [1], "m": {"k": 2}}, z=int, a=list[float], m=dict[str, float])
    assert repr(tuple(given)) == repr((1, [1.0], {"k": 2.0}))


def test_a_local_run_gives_one_output_two_or_none(local_run: Callable[..., Any]) -> None:
    assert tuple(local_run({"x": []}, x=list[str])) == ([],)
    assert tuple(local_run({"x": None}, x=str | None)) == (None,)
    assert tuple(local_run({})) in ((), (None,))


def test_a_python_task_that_awaits_a_job_gets_and_hands_on_real_values(
    api: RealApi, outputs_spec: Path, flyte_home: None
) -> None:
    answered = {
        "rows": "42",
        "scores": {"a": 1},
        "ids": [2**53 + 1],
        "note": None,
        "at": "2026-02-03T04:05:06.789123Z",
        "report": "s3://bucket/report.csv",
        "raw": {"deep": [1, None]},
    }
    api.case("outputs", lambda received: {"id": "1", "state": "done", **answered})
    declared = {
        "rows": int,
        "scores": dict[str, float],
        "ids": list[int],
        "note": str | None,
        "at": datetime,
        "report": File,
        "raw": dict,
    }
    job = task_from_spec(outputs_spec, name="job", outputs=declared)
    environment = flyte.TaskEnvironment(name="downstream", depends_on=[flyte.TaskEnvironment.from_task("up", job)])

    @environment.task
    async def add(rows: int, scores: dict[str, float], ids: list[int], note: str | None, raw: dict) -> str:
        return repr((rows, scores, ids, note, raw))

    @environment.task
    async def main(times: int) -> tuple[str, datetime, File]:
        rows, scores, ids, note, at, report, raw = await job()
        assert type(rows) is int
        return await add(rows * times, scores, ids, note, raw), at, report

    text, at, report = flyte.with_runcontext(mode="local").run(main, times=2).outputs()
    assert text == repr((84, {"a": 1.0}, [2**53 + 1], None, {"deep": [1, None]}))
    assert at == MOMENT
    assert report.path == "s3://bucket/report.csv"


def test_a_type_that_would_be_pickled_is_refused() -> None:
    for annotation in (set, bytes, object, list, tuple[int, str], dict[str, bytes]):
        with pytest.raises(ConfigError, match="output 'x': the type "):
            kind_of_python(annotation, where="output 'x'")


def test_what_is_told_of_a_job_stays_within_what_grpc_takes() -> None:
    long = Status(
        "RUNNING",
        "m" * 9_000_000,
        [("page", "https://a.test/" + "u" * 9_000_000), ("short", "https://a.test/")],
        {"all": [{"a": 1}] * 300_000},
    )

    async def sent() -> Any:
        return await get_resource_proto(await resource_of(long))

    message = asyncio.run(sent())
    assert message.ByteSize() < 20_000
    assert message.message.endswith("mmm... (9000000 characters)")
    assert [link.name for link in message.log_links] == ["short"]
    assert message.custom_info["left out"].startswith("the info has 24")


@pytest.mark.parametrize(("levels", "fits"), [(24, True), (25, False), (60, False), (900, False)])
@pytest.mark.parametrize("wrap", [lambda value: {"a": value}, lambda value: [value]])
def test_an_info_of_any_depth_arrives_or_says_that_it_is_left_out(levels: int, fits: bool, wrap: Any) -> None:
    """Protobuf reads a hundred levels, of which each of JSON takes up to three."""
    value: Any = "x"
    for _ in range(levels):
        value = wrap(value)

    async def sent() -> Any:
        message = ResourceMessage()
        await fill_message(message, await resource_of(Status("RUNNING", info={"all": value})))
        return message

    arrived = GetTaskResponse.FromString(GetTaskResponse(resource=asyncio.run(sent())).SerializeToString())
    assert ("all" in arrived.resource.custom_info) == fits
    assert fits or arrived.resource.custom_info["left out"] == "the info is nested more than 25 levels deep"
