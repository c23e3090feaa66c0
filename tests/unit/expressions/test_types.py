"""The types of config fields, inputs and outputs, both ways."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaml_connector._expressions.budget import TurnOver, share_turns
from yaml_connector._expressions.value_types import (
    SCALARS,
    ValueType,
    as_plain,
    check_config,
    convert,
    duration_seconds,
    parse_duration,
    parse_size,
    parse_type,
)
from yaml_connector._spec.interface import ConfigField
from yaml_connector.errors import EvaluationError

TYPES = st.recursive(
    st.sampled_from(list(SCALARS)),
    lambda inner: (
        inner.map(lambda text: f"list[{text}]")
        | inner.map(lambda text: f"dict[str, {text}]")
        | inner.map(lambda text: f"{text.rstrip('?')}?")
    ),
    max_leaves=4,
)
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["5m", "1", "true", "2024-05-01", 10**400, -(10**400), "9" * 500, "1e999"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


class TestAType:
    @given(TYPES)
    def test_is_written_as_it_is_read(self, text: str) -> None:
        assert parse_type(str(parse_type(text))) == parse_type(text)

    @pytest.mark.parametrize(
        ("text", "kind"),
        [
            ("str", ValueType("str")),
            (" int? ", ValueType("int", optional=True)),
            ("list[str?]", ValueType("list", ValueType("str", optional=True))),
            ("list[int]?", ValueType("list", ValueType("int"), optional=True)),
            ("dict[str,list[float]]", ValueType("dict", ValueType("list", ValueType("float")))),
            ("dict[ str , any ]", ValueType("dict", ValueType("any"))),
        ],
    )
    def test_is_read(self, text: str, kind: ValueType) -> None:
        assert parse_type(text) == kind

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("string", "did you mean str?"),
            ("integer", "allowed: str, int"),
            ("List[str]", "list[T]"),
            ("list", "list[T]"),
            ("list[]", "there is no type"),
            ("list[strr]", "did you mean str?"),
            ("dict[int, str]", "dict[str, T]"),
            ("dict[str]", "dict[str, T]"),
            ("", "there is no type ''"),
            ("?", "there is no type"),
            ("str|None", "there is no type"),
            ("list[str", "there is no type"),
            ("list[" * 3000 + "str" + "]" * 3000, "no type of more than"),
            ("str" + "?" * 5000, "no type of more than"),
        ],
        ids=lambda text: str(text)[:20],
    )
    def test_that_is_none_says_what_is(self, text: str, message: str) -> None:
        with pytest.raises(EvaluationError) as raised:
            parse_type(text)
        assert message in str(raised.value)


class TestDurationsAndSizes:
    @pytest.mark.parametrize(
        ("text", "seconds"),
        [("500ms", 0.5), ("10s", 10), ("5m", 300), ("24h", 86400), ("7d", 604800), ("1.5s", 1.5), ("0s", 0)],
    )
    def test_are_seconds(self, text: str, seconds: float) -> None:
        assert parse_duration(text) == seconds

    @pytest.mark.parametrize("text", ["", "5", "s", "5 s", "5S", "-5s", "5m30s", "1e3s", "5min", "١s x", "5.s", ".5s"])
    def test_that_are_none_say_how(self, text: str) -> None:
        with pytest.raises(EvaluationError, match="is not a valid duration; write it as 500ms, 10s, 5m, 24h or 7d"):
            parse_duration(text)

    @pytest.mark.parametrize(("text", "size"), [("0B", 0), ("512KiB", 524288), ("10MiB", 10485760), ("1GiB", 2**30)])
    def test_are_bytes(self, text: str, size: int) -> None:
        assert parse_size(text) == size

    @pytest.mark.parametrize("text", ["10", "10MB", "1.5MiB", "10 MiB", "-1B", "mib"])
    def test_of_bytes_that_are_none_say_how(self, text: str) -> None:
        with pytest.raises(EvaluationError, match="is not a valid size; write it as 512KiB or 10MiB"):
            parse_size(text)

    @pytest.mark.parametrize(
        ("value", "seconds"),
        [
            (90, 90),
            (1.5, 1.5),
            ("90", 90),
            ("1.5", 1.5),
            ("5m", 300),
            ("PT5M", 300),
            ("PT1H30M", 5400),
            ("P1D", 86400),
            ("P1DT1S", 86401),
            ("PT0.5S", 0.5),
            (timedelta(minutes=1), 60),
        ],
    )
    def test_are_read_in_every_spelling(self, value: Any, seconds: float) -> None:
        assert duration_seconds(value) == seconds

    @pytest.mark.parametrize("value", [True, None, [], "P", "PT", "P1", "five", ""])
    def test_are_none_of_these(self, value: Any) -> None:
        with pytest.raises(EvaluationError):
            duration_seconds(value)


class TestWhatAnApiAnswered:
    @given(ANYTHING, TYPES)
    def test_is_converted_or_a_problem_and_nothing_else(self, value: Any, text: str) -> None:
        kind = parse_type(text)
        try:
            found = convert(value, kind)
        except EvaluationError as problem:
            assert len(str(problem)) < 2000
            return
        assert fits(found, kind)
        as_plain(found)

    @given(st.integers(-(2**70), 2**70))
    def test_keeps_whole_numbers_exactly(self, number: int) -> None:
        for given_ in (number, str(number), f" {number} ", f"{number}.0", f"{number}."):
            assert convert(given_, parse_type("int")) == number
        assert convert(number, parse_type("str")) == str(number)
        assert convert(number, parse_type("any")) is number

    def test_is_not_converted_on_the_event_loop_if_it_has_many_items(self) -> None:
        async def convert_both() -> None:
            share_turns(asyncio.get_running_loop())
            assert convert(["1"] * 1000, parse_type("list[int]")) == [1] * 1000
            for value, kind in (
                (["1"] * 20_000, "list[int]"),
                (dict.fromkeys(map(str, range(20_000))), "dict[str,int?]"),
            ):
                with pytest.raises(TurnOver):
                    convert(value, parse_type(kind))

        with ThreadPoolExecutor(1) as thread:  # a thread's turns stay bounded
            thread.submit(asyncio.run, convert_both()).result()

    @given(st.floats(allow_nan=False, allow_infinity=False))
    def test_keeps_numbers_exactly(self, number: float) -> None:
        assert repr(convert(number, parse_type("float"))) == repr(number)
        assert repr(convert(repr(number), parse_type("float"))) == repr(number)
        assert convert(number, parse_type("str")) == repr(number)

    def test_null_is_a_value_only_of_an_optional_type(self) -> None:
        for name in SCALARS:
            assert convert(None, parse_type(f"{name}?")) is None
            if name != "any":
                with pytest.raises(EvaluationError, match=f"null is not a valid {name}"):
                    convert(None, parse_type(name))

    def test_that_is_long_is_shown_in_short(self) -> None:
        with pytest.raises(EvaluationError) as raised:
            convert("x" * 5000, parse_type("int"))
        assert len(str(raised.value)) < 120


def fits(value: Any, kind: ValueType) -> bool:
    """Is this exactly what the declared type says?"""
    if value is None:
        return kind.optional or kind.name == "any"
    if kind.name == "list":
        return type(value) is list and all(fits(item, kind.item or ValueType("any")) for item in value)
    if kind.name == "dict":
        return type(value) is dict and all(
            type(key) is str and fits(item, kind.item or ValueType("any")) for key, item in value.items()
        )
    types = {"str": str, "int": int, "float": float, "bool": bool, "datetime": datetime, "duration": timedelta}
    return kind.name == "any" or type(value) is types.get(kind.name, str)


class TestConfig:
    @given(ANYTHING, TYPES)
    def test_is_json_afterwards_or_a_problem_and_nothing_else(self, value: Any, text: str) -> None:
        try:
            checked = check_config(value, parse_type(text))
        except EvaluationError:
            return
        assert json.loads(json.dumps(checked, allow_nan=False)) == checked

    @pytest.mark.parametrize(
        ("kind", "value", "expected"),
        [
            ("int", 3, 3),
            ("int", 2**53 + 1, 2**53 + 1),
            ("float", 3, 3.0),
            ("float", 3.0, 3.0),
            ("str", "3", "3"),
            ("bool", True, True),
            ("any", {"a": (1, 2.0)}, {"a": [1, 2.0]}),
            ("any", None, None),
            ("duration", timedelta(minutes=5), 300.0),
            ("duration", "5m", 300.0),
            ("duration", 5, 5),
            ("datetime", datetime(2024, 5, 1, tzinfo=UTC), "2024-05-01T00:00:00+00:00"),
            ("datetime", datetime(2024, 5, 1), "2024-05-01T00:00:00+00:00"),
            ("datetime", datetime(2024, 5, 1, tzinfo=timezone(timedelta(hours=2))), "2024-05-01T00:00:00+02:00"),
            ("datetime", "2024-05-01T00:00:00Z", "2024-05-01T00:00:00Z"),
            ("file", "s3://f", "s3://f"),
            ("list[int]", (1, 2), [1, 2]),
            ("dict[str, float]", {"a": 1}, {"a": 1.0}),
            ("int?", None, None),
            ("list[int?]", [None], [None]),
        ],
    )
    def test_is_taken_as_it_is(self, kind: str, value: Any, expected: Any) -> None:
        checked = check_config(value, parse_type(kind))
        assert (checked, type(checked)) == (expected, type(expected))

    @pytest.mark.parametrize(
        ("kind", "value"),
        [
            ("int", "3"),
            ("int", 3.0),
            ("int", True),
            ("int", None),
            ("float", "3"),
            ("float", float("nan")),
            ("float", float("inf")),
            ("float", 10**400),
            ("float", True),
            ("str", 3),
            ("str", None),
            ("bool", 1),
            ("bool", "true"),
            ("any", object()),
            ("any", {1: 2}),
            ("any", float("nan")),
            ("any", {1}),
            ("duration", "soon"),
            ("duration", float("inf")),
            ("duration", 10**400),
            ("datetime", "soon"),
            ("datetime", 5),
            ("file", ""),
            ("file", 5),
            ("list[int]", "ab"),
            ("list[int]", ["a"]),
            ("list[int]", {1}),
            ("dict[str, int]", {1: 1}),
            ("dict[str, int]", [1]),
        ],
    )
    def test_of_another_type_is_a_problem(self, kind: str, value: Any) -> None:
        with pytest.raises(EvaluationError):
            check_config(value, parse_type(kind))


class TestAConfigField:
    def field(self, **fields: Any) -> ConfigField:
        return ConfigField.model_validate(fields)

    def test_has_bounds_and_allowed_values(self) -> None:
        cpus = self.field(type="int", minimum=1, maximum=64)
        assert [cpus.check(number) for number in (1, 64)] == [1, 64]
        for number, message in ((0, "0 is less than the minimum 1"), (65, "65 is more than the maximum 64")):
            with pytest.raises(EvaluationError, match=message):
                cpus.check(number)
        with pytest.raises(EvaluationError, match="'x' is not allowed; allowed: 'a', 'b'"):
            self.field(type="str", enum=["a", "b"]).check("x")
        with pytest.raises(EvaluationError, match="5 is more than the maximum 4"):
            self.field(type="list[int]", maximum=4).check([1, 5])

    @pytest.mark.parametrize(
        ("fields", "required"),
        [
            ({"type": "int"}, True),
            ({"type": "int?"}, False),
            ({"type": "int", "default": 1}, False),
            ({"type": "any", "default": None}, False),
            ({"type": "int?", "default": None}, False),
            ({"type": "any"}, True),
        ],
    )
    def test_without_a_default_is_required_unless_optional(self, fields: dict[str, Any], required: bool) -> None:
        assert self.field(**fields).required is required

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"type": "int", "default": "1"}, "the default: '1' is not a valid int"),
            ({"type": "int", "default": None}, "write the type as 'int?'"),
            ({"type": "int", "default": 5, "maximum": 4}, "the default: 5 is more than"),
            ({"type": "str", "enum": ["a"], "default": "b"}, "the default: 'b' is not allowed"),
            ({"type": "int", "enum": ["a"]}, "enum: 'a' is not a valid int"),
            ({"type": ["int"]}, "is not a valid type"),
        ],
    )
    def test_with_a_default_that_does_not_fit_is_an_error(self, fields: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message.replace("?", r"\?")):
            self.field(**fields)


def test_a_converted_value_is_shown_as_json_and_people_read_it() -> None:
    moment = datetime(2024, 5, 1, 12, tzinfo=UTC)
    assert as_plain({"a": [moment, timedelta(seconds=90)], "b": 1}) == {"a": ["2024-05-01T12:00:00Z", 90.0], "b": 1}
