"""The typed config of a task: checked where the task is built, and exact where the connector reads it."""

from __future__ import annotations

import inspect
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict

from tests.support.flyte_side import template_of
from yaml_connector import ConfigError, task_from_spec, task_plugin
from yaml_connector.flyte.connector import read_config

SPEC = Path(__file__).parent / "connectors.d" / "typed.yaml"
TypedTask = task_plugin(SPEC)
TypedConfig = TypedTask.Config


def custom_of(**config: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """A config's way to the connector: `custom` as Flyte's JSON, and what the connector reads from its bytes."""
    template = template_of(task_from_spec(SPEC, config={"account": "a", **config}))
    return MessageToDict(template.custom), read_config(template)


def test_a_config_has_the_spec_s_fields_and_defaults() -> None:
    _, config = custom_of()
    assert config == {
        "account": "a",
        "cpus": 1,
        "ratio": 0.5,
        "queue": "short",
        "debug": False,
        "wait": 300.0,
        "start": None,
        "data": None,
        "tags": [],
        "sizes": [1],
        "env": {"A": "b"},
        "limits": None,
        "extra": None,
    }


@pytest.mark.parametrize(
    ("field", "given", "read"),
    [
        ("cpus", 64, 64),
        ("ratio", 1, 1.0),
        ("queue", "long", "long"),
        ("debug", True, True),
        ("wait", "90s", 90.0),
        ("wait", timedelta(minutes=2), 120.0),
        ("wait", 1.5, 1.5),
        ("start", datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        ("start", "2026-01-02T00:00:00Z", "2026-01-02T00:00:00Z"),
        ("data", "s3://bucket/x", "s3://bucket/x"),
        ("tags", ["Zoë", ""], ["Zoë", ""]),
        ("tags", ("a", "b"), ["a", "b"]),
        ("env", {}, {}),
        ("limits", {"a": 2**53 + 1}, {"a": 2**53 + 1}),
        ("extra", {"n": [1, 1.0, 2**53 + 1, 10**40, None, {"deep": True}]}, None),
        ("extra", "3", "3"),
    ],
)
def test_every_type_comes_through_to_the_connector_exactly(field: str, given: Any, read: Any) -> None:
    _, config = custom_of(**{field: given})
    assert repr(config[field]) == repr(given if read is None else read)


def test_numbers_survive_the_struct_that_knows_no_integers() -> None:
    custom, config = custom_of(extra=[3, 3.0, 2**53 + 1])
    assert isinstance(custom["config"], str)  # a number would become a double there
    assert json.loads(custom["config"])["extra"] == [3, 3.0, 2**53 + 1]
    assert repr(config["extra"]) == "[3, 3.0, 9007199254740993]"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"account": 1}, "config field 'account': 1 is not a valid str"),
        ({"cpus": "1"}, "config field 'cpus': '1' is not a valid int"),
        ({"cpus": True}, "config field 'cpus': True is not a valid int"),
        ({"cpus": 1.0}, "config field 'cpus': 1.0 is not a valid int"),
        ({"cpus": 0}, "config field 'cpus': 0 is less than the minimum 1"),
        ({"cpus": 65}, "config field 'cpus': 65 is more than the maximum 64"),
        ({"ratio": 1.1}, "config field 'ratio': 1.1 is more than the maximum 1"),
        ({"ratio": float("nan")}, "config field 'ratio': nan is not a valid float"),
        ({"queue": "medium"}, "config field 'queue': 'medium' is not allowed; allowed: 'short', 'long'"),
        ({"queue": None}, "config field 'queue': null is not a valid str"),
        ({"debug": 1}, "config field 'debug': 1 is not a valid bool"),
        ({"wait": "5 minutes"}, "config field 'wait': '5 minutes' is not a valid duration; write it as 500ms, 10s, 5m"),
        ({"start": "noon"}, "config field 'start': 'noon' is not a valid time"),
        ({"data": ""}, "config field 'data': '' is not a valid URI"),
        ({"tags": "a"}, "config field 'tags': 'a' is not a valid list[str]"),
        ({"sizes": [1, 11]}, "config field 'sizes': 11 is more than the maximum 10"),
        ({"env": {1: "a"}}, "config field 'env': {1: 'a'} is not a valid dict[str, str]"),
        ({"limits": {"a": 1.5}}, "config field 'limits': 1.5 is not a valid int"),
        ({"extra": {1, 2}}, "config field 'extra': {1, 2} is not a valid JSON value"),
        ({"extra": {"x": float("inf")}}, "config field 'extra': inf is not a valid JSON value"),
        ({"cpu": 3}, "typed has no config field 'cpu'; did you mean cpus? allowed: account, cpus, ratio, queue"),
    ],
)
def test_a_wrong_value_is_refused_where_the_task_is_built_with_the_field_s_name(
    given: dict[str, Any], message: str
) -> None:
    config = {"account": "a", **given}
    for build in (
        lambda: TypedConfig(**config),
        lambda: TypedTask(name="t", plugin_config=config),
        lambda: task_from_spec(SPEC, config=config),
    ):
        with pytest.raises(ConfigError) as raised:
            build()
        assert str(raised.value).startswith(message)


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(ConfigError) as raised:
        TypedConfig(cpus=0, queue="medium", quue="short")
    message = str(raised.value)
    assert "did you mean queue?" in message
    assert "config field 'account' (str) is required" in message
    assert "'cpus': 0 is less" in message
    assert "'medium' is not allowed" in message


def test_a_missing_field_is_said_however_the_config_is_left_out() -> None:
    for build in (TypedConfig, lambda: TypedTask(name="t"), lambda: task_from_spec(SPEC)):
        with pytest.raises(ConfigError, match=r"config field 'account' \(str\) is required"):
            build()


def test_a_field_that_is_changed_afterwards_is_checked_before_it_is_sent() -> None:
    task = task_from_spec(SPEC, config={"account": "a"})
    task.plugin_config.cpus = 1000
    with pytest.raises(ConfigError, match="1000 is more than the maximum 64"):
        template_of(task)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('"' + "x" * 2**20 + '"', "the task's config has 1048578 characters, and 1048576 are the most"),
        ("[" * 100_000, "the task's config has more than 50000 values: give the URI of a file instead"),
        ("{" + ",".join(f'"k{n}":1' for n in range(60_000)) + "}", "the task's config has more than 50000 values"),
    ],
)
def test_a_config_that_would_hold_up_the_service_is_refused_before_it_is_read(text: str, message: str) -> None:
    template = template_of(task_from_spec(SPEC, config={"account": "a"}))
    template.custom["config"] = text
    with pytest.raises(ConfigError) as raised:
        read_config(template)
    assert str(raised.value).startswith(message)


def test_a_config_that_the_service_does_not_read_is_refused_where_the_task_is_built() -> None:
    with pytest.raises(ConfigError, match="the task's config has more than 50000 values"):
        template_of(task_from_spec(SPEC, config={"account": "a", "extra": [0] * 50_000}))


def test_a_long_text_with_many_commas_is_one_value() -> None:
    _, config = custom_of(extra="a,[{" * 50_000)
    assert len(config["extra"]) == 200_000


@pytest.mark.slow
def test_of_any_number_of_unknown_names_the_first_ones_are_said() -> None:
    with pytest.raises(ConfigError) as raised:
        TypedConfig(**{f"k{n}" * 1000: n for n in range(40_000)})
    assert "typed has no config field of 39990 more names that are given" in str(raised.value)
    assert len(str(raised.value)) < 4000


def test_a_config_of_another_class_is_refused() -> None:
    with pytest.raises(ConfigError, match="plugin_config must be a TypedConfig, not int"):
        TypedTask(name="t", plugin_config=3)


def test_defaults_are_nobody_s_to_change() -> None:
    TypedConfig(account="a").tags.append("mine")
    assert TypedConfig(account="b").tags == []


def test_the_config_class_tells_its_fields_types_and_rules() -> None:
    shown = str(inspect.signature(TypedConfig))
    assert "*, account: str, cpus: int = 1, ratio: float = 0.5, queue: str = 'short'" in shown
    assert "limits: dict[str, int] | None = None" in shown
    assert "start: datetime.datetime | None = None" in shown
    about = inspect.getdoc(TypedConfig) or ""
    assert "account: Who pays. (str; required)" in about
    assert "cpus: How many. (int; minimum 1; maximum 64; default 1)" in about
    assert "queue: (str; one of 'short', 'long'; default 'short')" in about
