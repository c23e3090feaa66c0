"""The generated task classes: as handy as hand-written ones, and clear about what they do not take."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cloudpickle
import flyte
import pytest
from flyte.io import File
from flyteidl2.core.types_pb2 import SimpleType
from google.protobuf.json_format import MessageToDict

from tests.support.flyte_side import template_of
from tests.support.paths import ROOT
from yaml_connector import ConfigError, Json, SpecError, task_from_spec, task_plugin

SPECS = Path(__file__).parent / "connectors.d"
TypedTask = task_plugin(SPECS / "typed.yaml")
CONFIG = {"account": "a"}

ANY_INPUTS = """
spec_version: 1
task_type_name: anything
connection: {base_url: "http://127.0.0.1:1"}
outputs: {"*": {value: "${{ body[output.name] }}"}}
create: {request: POST /jobs, job_id: $.id, idempotent: true}
"""


def typed(**arguments: Any) -> Any:
    return TypedTask(name="t", plugin_config=CONFIG, **arguments)


def types_of(task: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    return task.native_interface.get_input_types(), task.native_interface.outputs


def test_the_class_and_its_help_tell_what_a_task_takes() -> None:
    assert (TypedTask.__name__, TypedTask.Config.__name__) == ("TypedTask", "TypedConfig")
    names = list(inspect.signature(TypedTask).parameters)
    assert names == ["name", "plugin_config", "inputs", "outputs", "api_key", "pass_word", "kwargs"]
    about = inspect.getdoc(TypedTask) or ""
    assert about.startswith("Runs a typed job.")
    assert "inputs: Names to Python types; default: name: str, rows: int, data: file?, more: any" in about
    assert "outputs: Names to Python types; default: result: str, count: int." in about
    secret = "api_key: The name of a secret in Flyte's store; default: the connector's own TYPED_API_KEY."
    assert f"{secret} Of the job service." in about
    assert inspect.getdoc(TypedTask.__init__) == about


def test_the_same_spec_gives_the_same_class() -> None:
    assert task_plugin(SPECS / "typed.yaml") is TypedTask
    assert isinstance(task_from_spec(SPECS / "typed.yaml", config=CONFIG), TypedTask)


def test_without_types_of_its_own_a_task_has_the_spec_s_interface() -> None:
    inputs, outputs = types_of(typed())
    assert inputs == {"name": str, "rows": int, "data": File | None, "more": Json, "weights": list[float] | None}
    assert outputs == {"result": str, "count": int}


def test_a_template_says_which_spec_drives_the_task() -> None:
    template = template_of(task_from_spec(SPECS / "typed.yaml", name="team.mine", config=CONFIG))
    assert (template.type, template.task_type_version, template.id.name) == ("typed", 2, "team.mine")
    variables = {entry.key: entry.value.type.simple for entry in template.interface.outputs.variables}
    assert variables == {"result": SimpleType.STRING, "count": SimpleType.INTEGER}
    assert template_of(task_from_spec(SPECS / "typed.yaml", config=CONFIG)).id.name == "typed"


def test_secrets_are_given_as_arguments_or_as_a_mapping_by_their_name_in_flyte_s_store() -> None:
    for task in (
        typed(api_key="alice-api-key"),
        task_from_spec(SPECS / "typed.yaml", config=CONFIG, secrets={"api_key": "alice-api-key"}),
    ):
        assert MessageToDict(template_of(task).custom)["secrets"] == {"api_key": "alice-api-key"}
    assert "secrets" not in MessageToDict(template_of(typed(api_key=None)).custom)


def test_a_secret_s_name_is_a_text() -> None:
    for wrong in ("", 3, flyte.Secret("k")):
        with pytest.raises(ConfigError, match="secret 'api_key': give its name in Flyte's secret store, as a string"):
            typed(api_key=wrong)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"api_kye": "k"}, "TypedTask takes no argument 'api_kye'; did you mean api_key? allowed: name, plugin_config"),
        ({"retrys": 3}, "TypedTask takes no argument 'retrys'; did you mean retries? allowed: name, plugin_config"),
        ({"inputs": {"nam": str}}, "typed has no input 'nam'; did you mean name? allowed: name, rows, data"),
        ({"inputs": {"name": str}}, "input 'rows' (int) of typed is missing"),
        ({"inputs": {"name": int, "rows": int}}, "input 'name' is str in the spec, and int is something else"),
        ({"inputs": {"name": str | None, "rows": int}}, "input 'name' is str in the spec, and str? is something else"),
        ({"inputs": {"name": set, "rows": int}}, "input 'name': the type set cannot be used; allowed are str, int"),
        ({"outputs": {"resul": str}}, "typed has no output 'resul'; did you mean result? allowed: result, count"),
        ({"outputs": {"result": bytes}}, "output 'result': the type bytes cannot be used; allowed are str, int"),
    ],
)
def test_what_a_task_does_not_take_is_said_with_the_closest_name(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        typed(**arguments)
    assert str(raised.value).startswith(message)


def test_an_unknown_secret_is_said_with_the_closest_name() -> None:
    with pytest.raises(
        ConfigError, match=r"typed has no secret 'api_ky'; did you mean api_key\? allowed: api_key, pass"
    ):
        task_from_spec(SPECS / "typed.yaml", config=CONFIG, secrets={"api_ky": "k"})


def test_a_task_may_narrow_its_inputs_and_choose_its_outputs() -> None:
    task = typed(
        inputs={"name": str, "rows": int, "more": list[int], "weights": list[float], "data": File},
        outputs={"count": float},
    )
    inputs, outputs = types_of(task)
    assert inputs == {"name": str, "rows": int, "more": list[int], "weights": list[float], "data": File}
    assert outputs == {"count": float}
    assert list(types_of(typed(inputs={"rows": int, "name": str, "more": Json}))[0]) == ["rows", "name", "more"]


def test_a_spec_without_inputs_takes_whatever_a_task_declares(tmp_path: Path) -> None:
    (tmp_path / "anything.yaml").write_text(ANY_INPUTS)
    declared = {"a": int, "b": dict[str, list[File]], "c": dict, "d": Any, "e": list[Any] | None}
    task = task_from_spec(tmp_path / "anything.yaml", inputs=declared, outputs={"x": float, "y": Any})
    inputs, outputs = types_of(task)
    # `Any` is sent as JSON: Flyte would pickle it
    assert inputs == {**declared, "d": Json, "e": list[Json] | None}
    assert outputs == {"x": float, "y": Json}
    assert types_of(task_from_spec(tmp_path / "anything.yaml")) == ({}, {})
    blobs = [entry for entry in template_of(task).interface.outputs.variables if entry.value.type.HasField("blob")]
    assert blobs == []


def test_an_unknown_task_type_is_said_with_the_closest_one_and_where_it_was_looked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("YAML_CONNECTOR_PATH", str(SPECS))
    assert task_plugin("typed") is TypedTask
    with pytest.raises(ConfigError) as raised:
        task_from_spec("typd")
    assert str(raised.value) == f"there is no spec 'typd' in {SPECS}; did you mean typed? allowed: typed"
    with pytest.raises(ConfigError, match=r"there is no spec file /.*missing\.yaml"):
        task_from_spec(SPECS / "missing.yaml")
    monkeypatch.delenv("YAML_CONNECTOR_PATH")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecError, match="specs are looked for in the path given, else in YAML_CONNECTOR_PATH, else"):
        task_from_spec("typed")


def test_a_wrong_spec_does_not_stop_the_tasks_of_the_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "anything.yaml").write_text(ANY_INPUTS)
    (tmp_path / "wrong.yaml").write_text("spec_version: 1\n")
    monkeypatch.setenv("YAML_CONNECTOR_PATH", str(tmp_path))
    assert task_from_spec("anything").task_type == "anything"
    with pytest.raises(SpecError) as raised:
        task_from_spec(tmp_path / "wrong.yaml")
    assert {problem.path for problem in raised.value.problems} >= {"task_type_name", "connection", "create"}


def test_an_environment_is_made_of_the_tasks() -> None:
    one, two = typed(), TypedTask(name="two", plugin_config=CONFIG, retries=4)
    environment = flyte.TaskEnvironment.from_task("typed-env", one, two)
    assert list(environment.tasks.values()) == [one, two]
    assert template_of(two).metadata.retries.retries == 4
    assert one.parent_env_name == two.parent_env_name == "typed-env"


def test_a_task_can_be_sent_by_value_as_notebooks_do() -> None:
    task = typed(api_key="alice-api-key")
    again = cloudpickle.loads(cloudpickle.dumps(task))
    assert template_of(again).custom == template_of(task).custom


@pytest.mark.slow
def test_a_public_name_means_the_same_however_often_it_is_used() -> None:
    probe = (
        "import yaml_connector as y\n"
        "first = {name: getattr(y, name) for name in y.__all__}\n"
        "assert {name: getattr(y, name) for name in y.__all__} == first\n"
        f"assert y.load({str(SPECS)!r}) and y.load({str(SPECS)!r})\n"
    )
    done = subprocess.run([sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


ODD_NAMES = """
spec_version: 1
task_type_name: odd_names
connection: {base_url: "http://127.0.0.1:1"}
secrets: {from: {env: A_VAR}, name: {env: B_VAR}, retries: {env: C_VAR}, token: {env: D_VAR}}
config: {class: {type: str, default: small}, __post_init__: str?, self: {type: int, default: 1}}
create:
  request: {method: POST, path: "/${{ config.class }}/${{ config['self'] }}"}
  job_id: $.id
  idempotent: true
"""


def test_names_that_python_has_itself_work_where_a_spec_has_them(tmp_path: Path) -> None:
    spec = tmp_path / "odd_names.yaml"
    spec.write_text(ODD_NAMES)
    given = {"from": "a", "name": "b", "retries": "c", "token": "d"}
    task = task_from_spec(spec, config={"class": "large"}, secrets=given, retries=2)
    assert (task.plugin_config.class_, task.plugin_config.self_) == ("large", 1)
    custom = MessageToDict(template_of(task).custom)
    assert custom["secrets"] == given
    assert json.loads(custom["config"]) == {"class": "large", "__post_init__": None, "self": 1}
    assert task.retries.count == 2
    plugin = task_plugin(spec)
    assert list(inspect.signature(plugin).parameters) == [
        "name",
        "plugin_config",
        "inputs",
        "outputs",
        "token",
        "kwargs",
    ]
    assert plugin(name="t", plugin_config=plugin.Config(class_="huge")).plugin_config.class_ == "huge"
    with pytest.raises(ConfigError, match="config field 'class'"):
        plugin.Config(**{"class": 7})


def test_override_gives_a_task_with_other_options_config_and_secrets() -> None:
    task = typed(api_key="mine", retries=1)
    other = task.override(retries=3, api_key="yours", plugin_config={"account": "b"}, timeout=60)
    assert (task.retries.count, other.retries.count) == (1, 3)
    assert (task.connector_secrets["api_key"], other.connector_secrets["api_key"]) == ("mine", "yours")
    assert (task.plugin_config.account, other.plugin_config.account) == ("a", "b")
    assert types_of(other) == types_of(task)
    assert MessageToDict(template_of(other).custom)["secrets"] == {"api_key": "yours"}
    with pytest.raises(ConfigError, match="has no config field 'acount'"):
        task.override(plugin_config={"acount": "b"})


def test_an_enum_allows_its_values_however_they_are_written(tmp_path: Path) -> None:
    spec = tmp_path / "enums.yaml"
    fields = "{wait: {type: duration, enum: [5m, 1h], default: 5m}, size: {type: float, enum: [1, 2.5], default: 1}}"
    spec.write_text(f"{ANY_INPUTS}config: {fields}\n")
    plugin = task_plugin(spec)
    assert plugin.Config(wait="60m", size=2.5)
    with pytest.raises(ConfigError, match=r"allowed: 1, 2\.5"):
        plugin.Config(size=2)
