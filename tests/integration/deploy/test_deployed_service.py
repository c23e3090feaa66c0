"""The repository's `app.py`, deployed as far as this goes without a cluster: what Flyte would send is unpacked into an
empty folder, and what the container would start is started there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.flyte_side import FlyteSide, outputs_of, state
from tests.support.paths import ROOT
from tests.support.real_processes import STORE, USER_KEYS, Process, started
from tests.support.serving import ready
from yaml_connector import task_from_spec
from yaml_connector._loading.loader import load

NewProject = Callable[..., Any]


@pytest.fixture(scope="module")
def bundle(new_project: NewProject, job_service_url: str) -> Any:
    """Of `app.py`, which also says where the job service is and brings a file of its own."""
    project = new_project(checkout=True)
    app = (project.root / "app.py").read_text()
    more = f', env_vars={{"BATCH_URL": "{job_service_url}"}}, include=("motd.txt",))'
    project.write({"app.py": app.replace(', specs="connectors.d")', ', specs="connectors.d"' + more), "motd.txt": "hi"})
    assert "BATCH_URL" in (project.root / "app.py").read_text()
    return project.build("app", "connector")


def test_the_bundle_holds_the_specs_the_package_and_what_the_user_includes(bundle: Any) -> None:
    assert bundle.include == ["motd.txt", "connectors.d", "yaml_connector"]
    files = set(bundle.files)
    assert {"app.py", "motd.txt"} <= files
    assert {f"connectors.d/{path.name}" for path in (ROOT / "connectors.d").glob("*.yaml")} <= files
    package = {str(path.relative_to(ROOT)) for path in (ROOT / "yaml_connector").rglob("*.py")}
    assert {name for name in package if name.endswith(("service.py", "connector.py", "transport.py"))} <= files
    assert not [name for name in files if "__pycache__" in name or name.endswith(".pyc")]


def test_the_container_starts_the_connector_service_reachable_from_outside(bundle: Any) -> None:
    command = "python -m yaml_connector.flyte.serve --host 0.0.0.0 --port 8080 --http 9092"
    assert bundle.args == command.split()
    assert bundle.command[0] == "fserve"
    assert bundle.env["YAML_CONNECTOR_PATH"] == "connectors.d"
    assert bundle.env["BATCH_URL"].startswith("http://")


def test_there_are_always_two_replicas(bundle: Any) -> None:
    assert bundle.replicas == [2, 2]


def test_the_secrets_that_the_specs_name_are_asked_for(bundle: Any) -> None:
    named = {secret.env for item in load(ROOT / "connectors.d") for secret in item.spec.secrets.values() if secret.env}
    assert named
    assert bundle.secrets == {name: name for name in named}


def test_the_image_has_what_the_package_depends_on(bundle: Any) -> None:
    names = {package.split(">")[0].split("<")[0].split("[")[0] for package in bundle.packages}
    assert {"flyte", "pydantic", "jsonpath-ng", "jinja2", "aiohttp", "pyyaml"} <= names
    assert "pytest" not in names


@pytest.fixture(scope="module")
def deployed(bundle: Any, image: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Process, int, Path]]:
    """The container's whole command, in an empty folder, with no more in its environment than a container has."""
    folder = tmp_path_factory.mktemp("container")
    other = {"8080": "0", "9092": "0", "0.0.0.0": "127.0.0.1", "{{.rawOutputDataPrefix}}": "s3://bucket/raw"}
    command = [other.get(word, word) for word in [*bundle.command, *bundle.args]]
    env = {
        **bundle.env,
        **dict.fromkeys(bundle.secrets.values(), USER_KEYS["alice"]),
        "PATH": os.pathsep.join([str(image), "/usr/bin", "/bin"]),
        "HOME": str(folder),
    }
    with started([str(image / command[0]), *command[1:]], cwd=folder, env=env, log=folder / "log") as process:
        yield process, ready(process).port, folder


def test_the_deployed_service_lists_every_task_type(deployed: tuple[Process, int, Path]) -> None:
    with FlyteSide(deployed[1]) as calls:
        listed = {name for categories in calls.connectors().values() for name, _ in categories}
    assert listed == {item.spec.task_type_name for item in load(ROOT / "connectors.d")}


def test_the_deployed_service_runs_the_package_of_the_bundle(deployed: tuple[Process, int, Path]) -> None:
    """It was compiled there, when it was imported; the image has no other."""
    assert list((deployed[2] / "yaml_connector" / "flyte" / "__pycache__").glob("server.*.pyc"))


def test_the_deployed_service_runs_a_job_from_its_create_to_its_log(deployed: tuple[Process, int, Path]) -> None:
    with FlyteSide(deployed[1], STORE) as calls:
        for secrets in ({"api_key": "bob-api-key"}, None):
            task = task_from_spec(ROOT / "connectors.d" / "batch_job.yaml", secrets=secrets)
            job = calls.create(task, f"deployed-{secrets is None}", name="cluster")
            resource = calls.until(job)
            assert state(resource) == "SUCCEEDED", resource.message
            assert outputs_of(resource)["result"].scalar.primitive.string_value == "Hello, cluster!"
        assert [line.message[:5] for line in calls.logs(job)[0]] == [f"[{number}/8]" for number in range(1, 6)]
    assert not [key for key in USER_KEYS.values() if key in deployed[0].output]
