"""Outputs: read when the job has succeeded, converted exactly as declared."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest

from tests.support.fake_api import Driver, FakeApi, job, reply
from yaml_connector._jobs.status import Status


def succeeded(body: Any, declared: dict[str, str], outputs: dict[str, Any] | None, **sections: Any) -> Status:
    """The status of a job whose API answers this."""
    answer = body if callable(body) else {"state": "done", **body}
    driver = Driver(
        FakeApi({"POST /jobs": {"id": 7}, "GET /jobs/7": answer, "GET /out": {"x": "of the result"}}),
        **({"outputs": outputs} if outputs is not None else {}),
        **sections,
    )
    driver.create(outputs=declared)
    return driver.get()


def value(body: Any, kind: str, path: Any = "$.x", **field: Any) -> Any:
    """The value of an output of this type."""
    status = succeeded(body, {"x": kind}, {"x": {"type": kind, "value": path, **field}})
    assert status.phase == "SUCCEEDED", status.message
    return status.outputs["x"][1]


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        ("str", "text", "text"),
        ("str", 3, "3"),
        ("str", 2.5, "2.5"),
        ("str", True, "true"),
        ("str", "", ""),
        ("int", 3, 3),
        ("int", "3", 3),
        ("int", 3.0, 3),
        ("int", 2**53 + 1, 2**53 + 1),
        ("int", str(2**63 - 1), 2**63 - 1),
        ("int", "-7", -7),
        ("int", "9007199254740993.0", 9007199254740993),
        ("float", 1, 1.0),
        ("float", "1.5", 1.5),
        ("float", 3.0, 3.0),
        ("float", "1e3", 1000.0),
        ("bool", True, True),
        ("bool", "False", False),
        ("any", {"a": [1, None]}, {"a": [1, None]}),
        ("any", None, None),
        ("any", "3", "3"),
        ("datetime", "2024-05-01T12:00:00Z", datetime(2024, 5, 1, 12, tzinfo=UTC)),
        ("datetime", "2024-05-01T14:00:00.123456789+02:00", datetime(2024, 5, 1, 12, 0, 0, 123456, tzinfo=UTC)),
        ("datetime", 1714564800, datetime(2024, 5, 1, 12, tzinfo=UTC)),
        ("datetime", 1714564800000, datetime(2024, 5, 1, 12, tzinfo=UTC)),
        ("duration", 90, timedelta(seconds=90)),
        ("duration", "5m", timedelta(minutes=5)),
        ("duration", "PT1H30M", timedelta(minutes=90)),
        ("duration", "1.5", timedelta(seconds=1.5)),
        ("file", "s3://b/f", "s3://b/f"),
        ("dir", "s3://b/d", "s3://b/d"),
        ("dataframe", "s3://b/t", "s3://b/t"),
        ("list[int]", ["1", 2], [1, 2]),
        ("list[str]", [], []),
        ("dict[str, float]", {"a": 1}, {"a": 1.0}),
        ("list[dict[str, list[int]]]", [{"a": ["1"]}], [{"a": [1]}]),
        ("list[int?]", [1, None], [1, None]),
        ("int?", None, None),
        ("int?", 3, 3),
        ("str?", None, None),
    ],
)
def test_a_value_is_converted_exactly_as_declared(kind: str, given: Any, expected: Any) -> None:
    found = value({"x": given}, kind)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("str", [1]),
        ("str", {}),
        ("int", "3.5"),
        ("int", 3.5),
        ("int", True),
        ("int", "x"),
        ("int", ""),
        ("int", 1e400),
        ("float", "x"),
        ("float", True),
        ("float", "1_0"),
        ("bool", 1),
        ("bool", "yes"),
        ("datetime", "yesterday"),
        ("datetime", []),
        ("datetime", 1e400),
        ("datetime", -9e10),
        ("duration", "long"),
        ("duration", 1e300),
        ("file", ""),
        ("file", 3),
        ("list[int]", 3),
        ("list[int]", ["a"]),
        ("dict[str, int]", [1]),
        ("dict[str, int]", {"a": None}),
    ],
)
def test_a_value_of_another_type_fails_the_job_and_says_which_output(kind: str, given: Any) -> None:
    import json

    content = json.dumps({"state": "done", "x": given}).encode()
    status = succeeded(reply(200, content=content), {"x": kind}, {"x": {"type": kind, "value": "$.x"}})
    assert status.phase == "FAILED"
    assert status.outputs == {}
    assert (status.message or "").startswith("the job succeeded, but the output 'x' at $.x: ")
    assert "GET https://api.test/jobs/7" in (status.message or "")


def test_the_type_that_the_task_declares_counts() -> None:
    assert succeeded({"x": "3"}, {"x": "int"}, {"x": "$.x"}).outputs["x"][1] == 3


class TestHowAnOutputIsRead:
    BODY: ClassVar[dict[str, Any]] = {"items": [{"n": 1}, {"n": 2}], "one": [5], "empty": []}

    @pytest.mark.parametrize(
        ("kind", "path", "expected"),
        [
            ("list[int]", "$.items[*].n", [1, 2]),
            ("int", "$.items[*].n", 1),
            ("any", "$.items[*].n", [1, 2]),
            ("list[int]", "$.one", [5]),
            ("list[int]", "$.one[*]", [5]),
            ("list[int]", "$.none[*]", []),
            ("any", "$.one", [5]),
            ("list[int]", "${{ body['items'] | map(attribute='n') }}", [1, 2]),
            ("int", "${{ body['items'] | length }}", 2),
            ("str", "fixed", "fixed"),
            ("int", 5, 5),
            ("list[int]", [1, "2"], [1, 2]),
            ("str", "${{ job.id }}-${{ status }}", "7-200"),
            ("dict[str, int]", {"a": "${{ 1 + 1 }}"}, {"a": 2}),
        ],
    )
    def test_goes_by_its_declared_type(self, kind: str, path: Any, expected: Any) -> None:
        assert value(self.BODY, kind, path) == expected

    def test_a_default_stands_in_for_what_is_not_there(self) -> None:
        assert value({}, "int", default=0) == 0
        assert value({"x": None}, "list[str]", default=[]) == []
        assert value({}, "int?", default=4) == 4

    def test_a_missing_one_fails_the_job_and_says_which_and_where(self) -> None:
        outputs = {"a": "$.a.b", "c": {"type": "int", "value": "$.c"}, "ok": "$.state"}
        status = succeeded({}, {"a": "str", "c": "int", "ok": "str"}, outputs)
        assert status.phase == "FAILED"
        assert "the output 'a' is not at $.a.b, and has no default" in (status.message or "")
        assert "the output 'c' is not at $.c" in (status.message or "")

    def test_one_that_the_spec_does_not_know_fails_the_job(self) -> None:
        assert "does not define the output 'y'" in (succeeded({}, {"y": "str"}, {"x": "$.x"}).message or "")

    def test_only_what_the_task_declares_is_read(self) -> None:
        assert list(succeeded({"x": 1}, {"x": "int"}, {"x": "$.x", "y": "$.y"}).outputs) == ["x"]


class TestAnyOutput:
    OUTPUTS: ClassVar[dict[str, Any]] = {"*": {"value": "${{ body.results[output.name] }}"}, "own": "$.own"}

    def test_takes_what_the_task_declares_and_sees_its_name(self) -> None:
        status = succeeded(
            {"results": {"a": "1", "b": [2]}, "own": 3}, {"a": "int", "b": "list[int]", "own": "str"}, self.OUTPUTS
        )
        assert {name: entry[1] for name, entry in status.outputs.items()} == {"a": 1, "b": [2], "own": "3"}
        assert list(status.outputs) == ["a", "b", "own"]

    def test_sees_its_type(self) -> None:
        assert succeeded({}, {"a": "list[str]"}, {"*": {"value": ["${{ output.type }}"]}}).outputs["a"][1] == [
            "list[str]"
        ]

    def test_a_missing_one_fails_the_job(self) -> None:
        assert "the output 'z'" in (succeeded({"results": {}}, {"z": "int"}, self.OUTPUTS).message or "")


class TestTheResult:
    def test_is_what_outputs_read_if_there_is_one(self) -> None:
        status = succeeded(
            {"x": "of the get"},
            {"x": "str", "got": "str"},
            {"x": "$.x", "got": "${{ steps.poll.body.x }}"},
            result={"request": "GET /out"},
            get={
                "name": "poll",
                "request": "GET /jobs/${{ job.id }}",
                "phase": {"path": "$.state", "map": {"SUCCEEDED": ["done"], "FAILED": ["e"]}},
            },
        )
        assert {name: entry[1] for name, entry in status.outputs.items()} == {"x": "of the result", "got": "of the get"}

    def test_is_asked_for_only_when_the_job_has_succeeded(self) -> None:
        driver = job({"GET /jobs/7": [{"state": "running"}, {"state": "error"}]}, result={"request": "GET /out"})
        driver.get()
        driver.get()
        assert driver.api.calls == ["GET /jobs/7"] * 2

    def test_that_was_skipped_gives_nothing(self) -> None:
        status = succeeded(
            {"x": 1},
            {"x": "int"},
            {"x": {"type": "int", "value": "$.x", "default": 9}},
            result={"if": "body.x == 2", "request": "GET /out"},
        )
        assert status.outputs["x"][1] == 9


HELD = "my-planted-secret"


@pytest.mark.parametrize(
    "value", [HELD, {"k": [HELD]}, {f"x-{HELD}": 1}, f"https://x.test/?key={HELD.replace('-', '%2d')}"]
)
def test_an_output_that_holds_a_secret_fails_the_job(value: Any) -> None:
    api = FakeApi({"POST /jobs": {"id": 7}, "GET /jobs/7": {"state": "done", "x": value}})
    driver = Driver(api, secrets={"k": {}}, outputs={"x": {"type": "any", "value": "$.x"}})
    driver.create(secrets={"k": HELD}, outputs={"x": "any"})
    status = driver.get()
    assert status.phase == "FAILED"
    assert "the output 'x' holds the value of the secret 'k'" in (status.message or "")
    assert "`sensitive: false`" in (status.message or "")
    assert HELD not in str(status)


@pytest.mark.parametrize(
    ("secret", "value", "field"),
    [
        ("my-planted-secret", "my-planted-secret", {"sensitive": False}),
        ("my-planted-secret", "my-planted-secre my-planted", {}),
        ("short", "a short text", {}),
    ],
    ids=["not sensitive", "only a part", "short"],
)
def test_an_output_is_never_changed(secret: str, value: str, field: dict[str, Any]) -> None:
    api = FakeApi({"POST /jobs": {"id": 7}, "GET /jobs/7": {"state": "done", "x": value}})
    driver = Driver(api, secrets={"k": field}, outputs={"x": {"type": "any", "value": "$.x"}})
    driver.create(secrets={"k": secret}, outputs={"x": "any"})
    assert driver.get().outputs["x"][1] == value


@pytest.mark.parametrize("before", range(0, 130, 10))
@pytest.mark.parametrize("wrap", [lambda value: value, lambda value: [value], lambda value: {"a": [value]}])
def test_a_message_that_quotes_a_part_of_a_value_shows_nothing_of_a_secret_in_it(before: int, wrap: Any) -> None:
    """It is cut at its end alone: what is left of a secret that is cut in its middle could not be recognized."""
    secret = "sk-" + "".join(f"{number:02d}Zq" for number in range(20))
    value = wrap("x" * before + secret + "y" * 30)
    made = Driver(
        FakeApi({"POST /jobs": {"id": 7}, "GET /jobs/7": {"state": "done", "count": value}}),
        secrets={"k": {"env": "K"}},
        environment={"K": secret},
        outputs={"count": {"type": "int", "value": "$.count"}},
    )
    made.create(outputs={"count": "int"})
    message = made.get().message or ""
    assert "is not a valid int" in message
    assert not any(secret[at : at + 5] in message for at in range(30, len(secret) - 5))
