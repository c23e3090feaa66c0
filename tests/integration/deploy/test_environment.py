"""`YamlConnectorEnvironment` wherever its file and its specs lie, and `task_files` for workflows."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flyte
import pytest

from tests.support.flyte_side import FlyteSide
from tests.support.real_processes import USER_KEYS, clean_environment, started
from tests.support.serving import ready
from yaml_connector import SpecError, YamlConnectorEnvironment
from yaml_connector.errors import ConfigError

NewProject = Callable[..., Any]

SPEC = """
spec_version: 1
task_type_name: {name}
connection: {{base_url: "http://127.0.0.1:1", auth: {{type: bearer, token: "${{{{ secrets.api_key }}}}"}}}}
secrets: {{api_key: {{env: {variable}}}}}
create: {{request: POST /jobs, job_id: $.id, idempotent: true}}
"""
ONE = SPEC.format(name="one", variable="ONE_API_KEY")
TWO = SPEC.format(name="two", variable="TWO_API_KEY")

APP = """
import flyte
from yaml_connector import YamlConnectorEnvironment
connector = YamlConnectorEnvironment({arguments})
"""


def app(arguments: str) -> str:
    return APP.format(arguments=f"name='connector', {arguments}")


def started_with(bundle: Any, tmp_path: Path) -> set[str]:
    """The task types of a service that is started from an unpacked bundle, with its arguments and environment."""
    folder = bundle.unpack(tmp_path / "container")
    command = [{"8080": "0", "9092": "0", "0.0.0.0": "127.0.0.1"}.get(word, word) for word in bundle.args]
    env = clean_environment(tmp_path, **bundle.env)
    with (
        started(command, cwd=folder, env=env, log=tmp_path / "log") as process,
        FlyteSide(ready(process).port) as calls,
    ):
        return {name for categories in calls.connectors().values() for name, _ in categories}


def test_specs_in_a_folder_further_down_are_shipped_and_found(new_project: NewProject, tmp_path: Path) -> None:
    project = new_project()
    project.write({"app.py": app("specs='teams/data/specs'"), "teams/data/specs/one.yaml": ONE})
    bundle = project.build("app", "connector")
    assert {"app.py", "teams/data/specs/one.yaml"} <= set(bundle.files)
    assert bundle.env["YAML_CONNECTOR_PATH"] == "teams/data/specs"
    assert (bundle.unpack(tmp_path / "b") / bundle.env["YAML_CONNECTOR_PATH"] / "one.yaml").is_file()


def test_an_app_below_the_root_folder_finds_its_specs_where_the_bundle_has_them(
    new_project: NewProject, tmp_path: Path
) -> None:
    project = new_project()
    project.write(
        {
            "services/batch/app.py": app("specs='specs'"),
            "services/batch/specs/one.yaml": ONE,
            "services/batch/specs/two.yaml": TWO,
            "services/batch/specs/two.test.yaml": "tests: []",
        }
    )
    bundle = project.build("services.batch.app", "connector")
    assert {f"services/batch/specs/{name}.yaml" for name in ("one", "two")} <= set(bundle.files)
    assert bundle.args[-2:] == ["--specs", "services/batch/specs"]
    assert started_with(bundle, tmp_path) == {"one", "two"}


def test_the_specs_may_lie_beside_the_app_s_folder_and_one_file_is_enough(new_project: NewProject) -> None:
    project = new_project()
    project.write({"services/app.py": app("specs='../specs/one.yaml'"), "specs/one.yaml": ONE, "specs/two.yaml": TWO})
    bundle = project.build("services.app", "connector")
    assert [name for name in bundle.files if name.endswith(".yaml")] == ["specs/one.yaml"]
    assert bundle.args[-2:] == ["--specs", "specs/one.yaml"]


def test_what_the_user_gives_is_kept(new_project: NewProject) -> None:
    project = new_project()
    arguments = """include=('motd.txt',), env_vars={'REGION': 'eu'}, scaling=flyte.app.Scaling(replicas=(2, 3)),
    secrets=[flyte.Secret('vault', as_env_var='ONE_API_KEY'), 'other']"""
    project.write(
        {"app.py": app(arguments), "motd.txt": "hi", "connectors.d/one.yaml": ONE, "connectors.d/two.yaml": TWO}
    )
    bundle = project.build("app", "connector")
    assert "motd.txt" in bundle.files
    assert bundle.env["REGION"] == "eu"
    assert bundle.replicas == [2, 3]
    assert bundle.secrets == {"vault": "ONE_API_KEY", "other": "OTHER", "TWO_API_KEY": "TWO_API_KEY"}


def test_a_shared_task_type_goes_into_the_service(new_project: NewProject, monkeypatch: pytest.MonkeyPatch) -> None:
    project = new_project()
    project.write({"app.py": app(""), "connectors.d/one.yaml": ONE})
    assert "YAML_CONNECTOR_SHARED_TYPE" not in project.build("app", "connector").env
    monkeypatch.setenv("YAML_CONNECTOR_SHARED_TYPE", "shared")
    assert project.build("app", "connector").env["YAML_CONNECTOR_SHARED_TYPE"] == "shared"


def test_the_signing_key_is_a_secret_and_never_a_plain_variable(new_project: NewProject) -> None:
    project = new_project()
    project.write({"app.py": app("signing_key='store-name'"), "connectors.d/one.yaml": ONE})
    bundle = project.build("app", "connector")
    assert bundle.secrets == {"store-name": "YAML_CONNECTOR_SIGNING_KEY", "ONE_API_KEY": "ONE_API_KEY"}
    assert "YAML_CONNECTOR_SIGNING_KEY" not in bundle.env
    with pytest.raises(ConfigError, match="would be readable in the deployment: use signing_key"):
        YamlConnectorEnvironment(
            name="plain", specs=str(project.root / "connectors.d"), env_vars={"YAML_CONNECTOR_SIGNING_KEY": "k" * 32}
        )


def test_an_installed_package_is_named_for_the_image_and_not_shipped(new_project: NewProject) -> None:
    project = new_project()
    project.write({"app.py": app(""), "connectors.d/one.yaml": ONE})
    bundle = project.build("app", "connector")
    assert bundle.include == ["connectors.d"]
    assert [package for package in bundle.packages if package.startswith("yaml-connector==")]
    assert not [name for name in bundle.files if name.startswith("yaml_connector")]


def test_a_package_in_a_virtual_environment_below_the_project_is_installed_and_not_shipped(
    new_project: NewProject,
) -> None:
    checkout = new_project(checkout=True)
    site = checkout.root / ".venv" / "lib" / "python3" / "site-packages"
    site.mkdir(parents=True)
    (checkout.root / "yaml_connector").rename(site / "yaml_connector")
    probe = (
        "import sys; sys.path.insert(0, '.venv/lib/python3/site-packages'); sys.path.insert(0, '.'); import app\n"
        "import yaml_connector.flyte.environment as e; assert '.venv' in e.__file__\n"
        "print(app.connector.include, app.connector.image._layers)"
    )
    done = checkout.run("-c", probe)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("('connectors.d',) ")
    assert "yaml-connector==" in done.stdout


def test_the_image_gets_the_extras_that_the_specs_need(new_project: NewProject) -> None:
    project = new_project()
    signed = ONE.replace(
        '{type: bearer, token: "${{ secrets.api_key }}"}', "{type: aws_sigv4, service: batch, region: x}"
    )
    project.write({"app.py": app(""), "connectors.d/one.yaml": signed})
    assert [
        package for package in project.build("app", "connector").packages if package.startswith("yaml-connector[aws]")
    ]


def test_a_wrong_spec_is_said_with_every_problem_when_the_environment_is_built(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(ONE.replace("base_url", "base_ulr"))
    (tmp_path / "b.yaml").write_text(TWO.replace("task_type_name: two", "task_type_name: [two]"))
    known = len(flyte._environment.list_loaded_environments())
    with pytest.raises(SpecError) as raised:
        YamlConnectorEnvironment(name="connector", specs=str(tmp_path))
    assert {Path(problem.file).name for problem in raised.value.problems} == {"a.yaml", "b.yaml"}
    assert "did you mean base_url?" in str(raised.value)
    assert len(flyte._environment.list_loaded_environments()) == known  # nothing is left of it
    with pytest.raises(SpecError, match="there is no such file or folder"):
        YamlConnectorEnvironment(name="connector", specs="nowhere")


def test_arguments_of_the_user_s_own_are_left_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(ONE)
    environment = YamlConnectorEnvironment(name="connector", specs=str(tmp_path), args=["c0", "--port", "1"])
    context = flyte.models.SerializationContext("v1", root_dir=tmp_path)
    assert environment.container_args(context) == ["c0", "--port", "1"]
    environment = YamlConnectorEnvironment(name="connector", specs=str(tmp_path), port=8081)
    assert environment.container_args(context)[5:7] == ["--port", "8081"]


WORKFLOW = """
import flyte
from yaml_connector import task_files, task_from_spec

batch_job = task_from_spec("batch_job", secrets={"api_key": "alice-api-key"})
jobs = flyte.TaskEnvironment.from_task("jobs", batch_job)
workflow = flyte.TaskEnvironment("workflow", include=task_files(), depends_on=[jobs])


@workflow.task
async def main(name: str) -> str:
    return (await batch_job(name=name)).upper()
"""
RUN = """
import flyte, flow, yaml_connector
flyte.init()
print(yaml_connector.__file__)
print(flyte.with_runcontext(mode="local").run(flow.main, name="flow").outputs()[0])
"""


def test_a_workflow_that_awaits_a_job_runs_from_its_own_bundle(
    new_project: NewProject, image: Path, job_service_url: str, tmp_path: Path
) -> None:
    project = new_project(checkout=True)
    (project.root / "app.py").unlink()
    project.write({"flow.py": WORKFLOW})
    bundle = project.build("flow", "workflow")
    assert bundle.include == ["connectors.d", "yaml_connector"]
    folder = bundle.unpack(tmp_path / "container")
    env = {
        "PATH": os.pathsep.join([str(image), "/usr/bin", "/bin"]),
        "HOME": str(tmp_path),
        "BATCH_URL": job_service_url,
        "ALICE_API_KEY": USER_KEYS["alice"],
    }
    done = subprocess.run(
        [image / "python", "-c", RUN], cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2:] == [str(folder / "yaml_connector" / "__init__.py"), "HELLO, FLOW!"]


def test_a_workflow_in_a_folder_of_its_own_ships_the_specs_too(new_project: NewProject, tmp_path: Path) -> None:
    project = new_project()
    flow = WORKFLOW.replace("task_files()", "task_files('../connectors.d')")
    flow = flow.replace('"batch_job"', repr(str(project.root / "connectors.d" / "one.yaml")))
    project.write({"flows/flow.py": flow, "connectors.d/one.yaml": ONE, "connectors.d/two.yaml": TWO})
    bundle = project.build("flows.flow", "workflow")
    folder = bundle.unpack(tmp_path / "container")
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert files == ["connectors.d/one.yaml", "connectors.d/two.yaml", "flows/flow.py"]
