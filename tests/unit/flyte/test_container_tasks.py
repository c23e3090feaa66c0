"""A decorated function whose container runs as a job of a spec: how it is made, what is refused, what is sent."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path
from typing import Any

import flyte
import pytest
from flyte.extend import AsyncFunctionTaskTemplate, TaskPluginRegistry
from flyte.models import CodeBundle, SerializationContext
from flyteidl2.connector.connector_pb2 import CreateTaskRequest
from flyteidl2.core.literals_pb2 import Binary as BinaryMessage
from flyteidl2.core.literals_pb2 import Literal, Scalar
from flyteidl2.core.tasks_pb2 import Container, Resources, TaskTemplate
from flyteidl2.task.common_pb2 import NamedLiteral
from google.protobuf.json_format import MessageToDict

from tests.support.paths import ROOT
from yaml_connector import ConfigError, register, task_from_spec, task_plugin
from yaml_connector._loading.shared_type import SHARED_VARIABLE
from yaml_connector.errors import EvaluationError
from yaml_connector.flyte.admission import check_request
from yaml_connector.flyte.resources import requested_resources
from yaml_connector.flyte.routing import drop_inputs_of_container
from yaml_connector.flyte.service_client import template_of as template_in
from yaml_connector.flyte.stub_runtime import names_of

SPECS = Path(__file__).parent / "container_specs"
PLAIN = Path(__file__).parent / "connectors.d" / "typed.yaml"
Plugin = task_plugin(SPECS / "grid.yaml")
Config = Plugin.Config


CONTEXT = SerializationContext(project="p", domain="d", org="o", version="v", root_dir=ROOT)


def template_of(task: Any) -> TaskTemplate:
    return template_in(task, CONTEXT)


@dataclasses.dataclass
class Settings:
    rate: float


def environment(**options: Any) -> flyte.TaskEnvironment:
    return flyte.TaskEnvironment(**{"name": "train", "plugin_config": Config(partition="gpu"), **options})


def task_of(**options: Any) -> Any:
    @environment(**options).task
    async def train(epochs: int, settings: Settings) -> float:
        return epochs * settings.rate

    return train


def custom_of(task: Any) -> dict[str, Any]:
    return dict(MessageToDict(template_of(task).custom))


def test_a_decorated_function_is_a_task_of_the_spec_with_what_every_task_has() -> None:
    env = environment(
        image="registry.test/train:1",
        resources=flyte.Resources(cpu=4, memory="8Gi"),
        env_vars={"A": "b"},
        plugin_config=Config(partition="gpu", secrets={"token": "alice-token"}),
    )

    @env.task(retries=2, timeout=60)
    async def train(epochs: int) -> float:
        return epochs / 2

    template = template_of(train)
    assert (template.type, template.task_type_version) == ("grid", 2)
    assert custom_of(train) == {"config": '{"partition": "gpu"}', "secrets": {"token": "alice-token"}}
    assert template.container.image == "registry.test/train:1"
    assert list(template.container.args[:2]) == ["a0", "--inputs"]
    assert {pair.key: pair.value for pair in template.container.env} == {"A": "b"}
    assert (template.metadata.retries.retries, template.metadata.timeout.seconds) == (2, 60)
    assert [entry.key for entry in template.interface.outputs.variables] == ["o0"]


def test_the_class_is_one_of_flytes_function_tasks_alone() -> None:
    assert isinstance(task_of(), Plugin)
    assert "execute" not in {name for cls in Plugin.__mro__[:2] for name in vars(cls)}
    assert Plugin.execute is AsyncFunctionTaskTemplate.execute
    assert TaskPluginRegistry.find(Config) is Plugin
    assert task_plugin(SPECS / "grid.yaml") is Plugin


@pytest.mark.usefixtures("flyte_home")
def test_a_local_run_runs_the_function_as_any_other() -> None:
    run = flyte.with_runcontext("local").run(task_of(), epochs=3, settings=Settings(0.5))
    assert run.outputs()[0] == 1.5


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"secrets": "token"}, "without secrets: Flyte sends a connector no values of them: declare them"),
        ({"pod_template": "big"}, "without pod_template: its job is not one of Flyte's pods"),
        ({"reusable": flyte.ReusePolicy(replicas=2)}, "without reusable: its job is not one of Flyte's pods"),
        ({"image": None}, "train.train needs an image: its spec grid sends it with the job"),
    ],
)
def test_what_cannot_work_is_refused_where_the_task_is_built(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        task_of(**options)


def test_what_cannot_work_is_refused_by_override_too() -> None:
    with pytest.raises(ConfigError, match="without secrets"):
        task_of().override(secrets="token")
    with pytest.raises(ConfigError, match="without pod_template"):
        task_of().override(pod_template="big")


def test_an_override_takes_another_config_and_other_resources() -> None:
    task = task_of(resources=flyte.Resources(cpu=1)).override(
        plugin_config=Config(partition="long"), resources=flyte.Resources(cpu="500m")
    )
    assert custom_of(task) == {"config": '{"partition": "long"}'}
    assert requested_resources(template_of(task)) == {"cpu": 0.5}
    assert isinstance(task, Plugin)


def test_a_plain_function_becomes_one_by_override() -> None:
    env = flyte.TaskEnvironment("plain", image="registry.test/plain:1")

    @env.task
    async def plain(n: int) -> int:
        return n

    task: Any = plain.override(plugin_config=Config())
    assert (task.task_type, custom_of(task)) == ("grid", {"config": '{"partition": "debug"}'})


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"partitio": "gpu"}, "grid has no config field 'partitio'; did you mean partition"),
        ({"partition": 3}, "config field 'partition'"),
        ({"secrets": {"tokn": "x"}}, "grid has no secret 'tokn'; did you mean token"),
        ({"secrets": {"token": 3}}, "secret 'token': give its name in Flyte's secret store"),
        ({"secrets": "token"}, "secrets must be a mapping"),
    ],
)
def test_a_wrong_config_is_an_error_that_names_the_field(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Config(**values)


def test_the_config_tells_what_it_takes() -> None:
    assert list(inspect.signature(Config).parameters) == ["partition", "secrets"]
    assert "secrets: Secrets of the spec (token) to their names in Flyte's store." in (inspect.getdoc(Config) or "")


def test_task_from_spec_says_what_to_do_instead() -> None:
    with pytest.raises(ConfigError, match=r"plugin_config=GridConfig\(\.\.\.\)\), and decorate the function"):
        task_from_spec(SPECS / "grid.yaml")


def test_the_config_of_a_spec_that_runs_no_containers_says_so() -> None:
    config = task_plugin(PLAIN).Config(account="a")
    with pytest.raises(ConfigError, match="its spec lacks `runs: container`"):
        task_of(plugin_config=config)
    with pytest.raises(ConfigError, match="its spec lacks `runs: container`"):
        task_of().override(plugin_config=config)


def test_a_generated_module_gives_the_config(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YAML_CONNECTOR_PATH", str(SPECS))
    assert names_of("tasks", {"Grid": "grid"})("GridConfig") is Config


def test_cached_results_count_for_one_function_one_spec_and_one_config() -> None:
    def version(task: Any) -> str:
        return str(template_of(task).metadata.discovery_version)

    env = environment(cache="auto")

    @env.task
    async def train(epochs: int) -> float:
        return epochs / 3

    first = version(train)
    assert first == version(train.override(retries=3))
    assert first != version(train.override(plugin_config=Config(partition="long")))
    assert first != version(train.override(plugin_config=Config(partition="gpu", secrets={"token": "bobs"})))
    assert first != version(task_of(cache="auto"))


def test_of_the_shared_type_a_task_names_its_spec(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SHARED_VARIABLE, "shared")
    template = template_of(task_of())
    assert (template.type, template.task_type_version) == ("shared", 0)
    assert template.custom.fields["spec"].string_value == "grid:2"


# --- the code that travels -------------------------------------------------------------------------------------------


def bundle_of(*files: str, root: Path = SPECS.parent) -> SerializationContext:
    bundle = CodeBundle(computed_version="v", tgz="s3://b/code.tgz", files=list(files))
    return SerializationContext(version="v", root_dir=root, code_bundle=bundle)


def test_a_bundle_without_the_spec_is_refused_with_what_is_missing() -> None:
    task = task_of()
    with pytest.raises(
        ConfigError, match=r"lacks the spec container_specs/grid\.yaml.*include=yaml_connector\.task_files"
    ):
        task.custom_config(bundle_of("main.py"))
    with pytest.raises(ConfigError, match="lacks the spec"):
        task.custom_config(bundle_of(str(SPECS.parent / "main.py")))


@pytest.mark.parametrize("file", ["container_specs/grid.yaml", str(SPECS / "grid.yaml")])
def test_a_bundle_with_the_spec_is_good(file: str) -> None:
    assert task_of().custom_config(bundle_of("main.py", file))["config"]


def test_a_spec_outside_of_the_bundles_folder_is_in_the_image() -> None:
    assert task_of().custom_config(bundle_of("main.py", root=SPECS.parent / "elsewhere"))["config"]
    assert task_of().custom_config(SerializationContext(version="v"))["config"]


# --- what a service does with it -------------------------------------------------------------------------------------


def test_inputs_of_any_type_are_left_to_the_container() -> None:
    register(str(SPECS / "grid.yaml"), environment={})
    request = CreateTaskRequest(template=template_of(task_of()))
    pickle = Literal(scalar=Scalar(binary=BinaryMessage(tag="pickle", value=b"code")))
    request.inputs.literals.append(NamedLiteral(name="settings", value=pickle))
    drop_inputs_of_container(request)
    check_request(request)
    assert not request.inputs.literals
    assert not request.template.interface.inputs.variables
    assert [entry.key for entry in request.template.interface.outputs.variables] == ["o0"]


def test_inputs_are_left_to_the_container_under_the_shared_type_too(monkeypatch: pytest.MonkeyPatch) -> None:
    register(str(SPECS / "grid.yaml"), environment={})
    monkeypatch.setenv(SHARED_VARIABLE, "shared")
    request = CreateTaskRequest(template=template_of(task_of()))
    drop_inputs_of_container(request)
    assert not request.template.interface.inputs.variables
    request.template.custom.fields["spec"].string_value = "grid:99"  # whom nobody serves
    request.template.interface.inputs.variables.add(key="x")
    drop_inputs_of_container(request)
    assert request.template.interface.inputs.variables


def test_inputs_of_another_spec_stay() -> None:
    register(str(PLAIN), environment={})
    request = CreateTaskRequest(template=template_of(task_from_spec(PLAIN, config={"account": "a"})))
    drop_inputs_of_container(request)
    assert request.template.interface.inputs.variables


def test_resources_are_numbers() -> None:
    resources = flyte.Resources(cpu=("500m", 2), memory=("1.5Gi", "2Gi"), gpu="A100:2", disk="10G")
    template = template_of(task_of(resources=resources))
    assert requested_resources(template) == {
        "cpu": 0.5,
        "memory": 1610612736,
        "gpu": 2,
        "gpu_type": "nvidia-tesla-a100",
        "disk": 10**10,
    }
    assert requested_resources(template_of(task_of(resources=flyte.Resources(gpu=1)))) == {"gpu": 1}
    assert requested_resources(template_of(task_of())) == {}


@pytest.mark.parametrize(
    ("text", "cpu"),
    [("4", 4), ("0.25", 0.25), (".5", 0.5), ("1e1", 10), ("2E", 2 * 10**18), ("250m", 0.25), ("1k", 1000), ("0", None)],
)
def test_a_quantity_is_read_as_kubernetes_reads_it(text: str, cpu: float | None) -> None:
    entry = Resources.ResourceEntry(name=Resources.CPU, value=text)
    template = TaskTemplate(container=Container(resources=Resources(requests=[entry])))
    assert requested_resources(template).get("cpu") == cpu


@pytest.mark.parametrize("text", ["", "x", "-1", "1 Gi", "1e99", "9Ei", "1" * 400, "NaN", "Infinity", "１"])
def test_what_is_not_a_quantity_is_an_error(text: str) -> None:
    entry = Resources.ResourceEntry(name=Resources.MEMORY, value=text)
    template = TaskTemplate(container=Container(resources=Resources(requests=[entry])))
    with pytest.raises(EvaluationError, match=r"memory is .* which is not a quantity such as 500m or 8Gi"):
        requested_resources(template)
