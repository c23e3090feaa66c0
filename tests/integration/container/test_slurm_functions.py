"""Decorated functions run on a real Slurm, by catalog/slurm_container.yaml, in an environment of its node."""

from __future__ import annotations

import importlib
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flyte.models import SerializationContext

from tests.integration.real.backends import Backend, backend
from tests.support.flyte_side import FlyteSide, state
from tests.support.paths import CATALOG, ROOT
from tests.support.serving import serving
from yaml_connector.flyte.service_client import ServiceJob, attempt_of, returned_by

pytestmark = pytest.mark.real

PROJECT = Path(__file__).parent / "project"
SPEC = str(CATALOG / "slurm_container.yaml")
Start = Callable[..., ServiceJob]


@pytest.fixture(scope="module")
def slurm(s3: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FlyteSide, Start]]:
    """Flyte's side of the connector service, and what starts a function by its name."""
    folder = tmp_path_factory.mktemp("slurm")
    (folder / "service").mkdir()
    with (
        backend("slurm", folder, Backend) as cluster,
        serving(folder / "service", SPEC, forked=False, **cluster.variables, **s3) as service,
        FlyteSide(service.port) as side,
        pytest.MonkeyPatch.context() as patch,
    ):
        node = {**s3, "YAML_CONNECTOR_PATH": SPEC, "PYTHONPATH": f"{PROJECT}:{ROOT}"}
        lines = [f"export {name}={shlex.quote(value)}" for name, value in node.items()]
        patch.setenv("NODE_SETUP", "\n".join([*lines, f'export PATH="{Path(sys.executable).parent}:$PATH"']))
        patch.setenv("YAML_CONNECTOR_PATH", SPEC)
        patch.syspath_prepend(str(PROJECT))
        functions = importlib.import_module("slurm_functions")
        side.client.context = SerializationContext(
            project="p", domain="d", org="acme", version="v1", root_dir=PROJECT, input_path="{{.input}}"
        )

        def start(name: str, **inputs: Any) -> ServiceJob:
            task = getattr(functions, name)
            if "box" in inputs:
                inputs["box"] = functions.Box(*inputs["box"])
            run = f"{cluster.runs}-{name}"
            return side.client.create_function(task, inputs, attempt_of(task, run), "s3://team/slurm")

        yield side, start


def test_a_function_gives_its_value_back(slurm: tuple[FlyteSide, Start]) -> None:
    side, start = slurm
    job = start("area", box=(2.0, 1.5))
    resource = side.until(job, patience=120)
    assert state(resource) == "SUCCEEDED", resource.message
    assert returned_by(job) == 3.0


def test_an_exception_is_the_message_and_a_crash_is_what_slurm_says(slurm: tuple[FlyteSide, Start]) -> None:
    side, start = slurm
    failed, crashed = start("broken", what="column"), start("crash", code=7)
    resource = side.until(failed, patience=120)
    assert (state(resource), resource.message) == ("RETRYABLE_FAILED", "ValueError: there is no column")
    resource = side.until(crashed, patience=120)
    assert state(resource) == "FAILED"
    assert resource.message.startswith("NonZeroExitCode, exit code 7, log: /tmp/slurm-")
