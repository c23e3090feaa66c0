"""Decorated functions run as jobs: S3, a connector service and a job service on loopback; the rest is Flyte's own code.

Flyte's code serializes the tasks, makes and uploads the code bundle, and runs the functions (`a0`). Inputs and outputs
pass through S3, and outputs are read back as Flyte's backend reads them.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import flyte
import pytest
from flyte import storage
from flyte._code_bundle._includes import collect_env_include_files
from flyte._code_bundle.bundle import build_code_bundle
from flyte.models import SerializationContext
from flyteidl2.connector.connector_pb2 import Resource

from tests.support.flyte_side import FlyteSide, state
from tests.support.real_processes import clean_environment, started, wait_until
from tests.support.serving import serving
from yaml_connector.flyte.service_client import ServiceJob, attempt_of, returned_by

pytestmark = pytest.mark.container

PROJECT = Path(__file__).parent / "project"
BUCKET = "s3://team"
TOKEN = "planted-token-4711"
PATIENCE = 120.0


@dataclass
class Backend:
    """Flyte's backend: the bundle of the functions, and the connector service that it sends them to."""

    flyte: FlyteSide
    context: SerializationContext
    functions: Any
    service_log: Path
    runs: int = 0

    def start(self, name: str, *, attempt: int = 0, **inputs: Any) -> ServiceJob:
        """Send a function to the service, as Flyte's executor does."""
        task = getattr(self.functions, name)
        self.runs += 1
        metadata = attempt_of(task, f"r{self.runs}-{name.replace('_', '-')}", "a0", attempt, self.context)
        return self.flyte.client.create_function(task, inputs, metadata, f"{BUCKET}/runs")

    def end(self, job: ServiceJob) -> Resource:
        return self.flyte.until(job, patience=PATIENCE)

    def run(self, name: str, **inputs: Any) -> Any:
        """Run a function to its success; return what it returned, read from storage."""
        job = self.start(name, **inputs)
        resource = self.end(job)
        assert state(resource) == "SUCCEEDED", f"{resource.message}\n{self.log(job)}"
        assert not resource.outputs.literals
        return returned_by(job)

    def failure(self, name: str, **inputs: Any) -> tuple[str, str]:
        """Run a function to its failure; return the phase and the message."""
        resource = self.end(self.start(name, **inputs))
        return state(resource), resource.message

    def log(self, job: ServiceJob) -> str:
        lines, token = self.flyte.logs(job)
        while token:
            more, token = self.flyte.logs(job, token)
            lines += more
        return "\n".join(line.message for line in lines)


@pytest.fixture(scope="module")
def backend(s3: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    folder = tmp_path_factory.mktemp("container")
    command = [sys.executable, "-m", "yaml_connector.demo.jobservice", "--port", "0"]
    node = clean_environment(folder) | s3  # the spec travels with the code
    with started(command, cwd=folder, env=node, log=folder / "jobs.log") as jobs:
        jobs.wait_for("listening on ")
        url = jobs.output.split("listening on ")[1].split()[0]
        variables = {**s3, "PROCESS_URL": url, "PROCESS_TOKEN": TOKEN, "YAML_CONNECTOR_FILE_PREFIXES": BUCKET}
        with (
            serving(folder, PROJECT / "connectors.d", forked=False, **variables) as service,
            FlyteSide(service.port) as side,
        ):
            side.client.context = bundled(folder)
            yield Backend(side, side.client.context, importlib.import_module("functions"), folder / "serve.log")


def bundled(folder: Path) -> SerializationContext:
    """Bundle the functions' code as `flyte run` does, and upload it."""
    os.environ["YAML_CONNECTOR_PATH"] = str(PROJECT / "connectors.d")
    sys.path.insert(0, str(PROJECT))
    functions = importlib.import_module("functions")
    flyte.init(root_dir=PROJECT)

    async def build() -> Any:
        bundle = await build_code_bundle(
            from_dir=PROJECT,
            dryrun=True,
            copy_bundle_to=folder,
            copy_style="loaded_modules",
            additional_files=collect_env_include_files([functions.env]),
        )
        place = f"{BUCKET}/code/{Path(bundle.tgz).name}"
        await storage.put(bundle.tgz, place)
        return replace(bundle, tgz=place)

    bundle = asyncio.run(build())
    return SerializationContext(
        project="flytesnacks",
        domain="development",
        org="acme",
        version=bundle.computed_version,
        code_bundle=bundle,
        root_dir=PROJECT,
        input_path="{{.input}}",
        output_path="{{.outputPrefix}}",
    )


@pytest.mark.parametrize(
    ("name", "inputs", "result"),
    [
        ("add", {"a": 2**40, "b": -1}, 2**40 - 1),
        (
            "join",
            {"words": ["two words", "", "'quotes\" $HOME", "ümlaut"], "by": "|"},
            "two words||'quotes\" $HOME|ümlaut",
        ),
        ("squares", {"n": 4}, [0, 1, 4, 9]),
        ("two", {"a": 3}, (3, "3")),
        ("nothing", {"n": 1}, None),
        ("length", {"text": "x" * 3_000_000}, 3_000_000),
    ],
)
def test_a_function_gives_its_value_back(backend: Backend, name: str, inputs: dict[str, Any], result: Any) -> None:
    assert backend.run(name, **inputs) == result


def test_a_dataclass_goes_in_and_comes_out(backend: Backend) -> None:
    point = backend.functions.Point
    assert backend.run("move", point=point(1, "a"), by=2) == point(3, "A")


def test_files_folders_and_tables_are_in_storage(backend: Backend) -> None:
    file = backend.run("write_file", text="some text")
    assert file.path.startswith(f"{BUCKET}/")
    assert backend.run("read_file", file=file) == len("some text")
    made = backend.run("write_folder", names=["a", "b"])
    assert made.path.startswith(f"{BUCKET}/")
    frame = backend.run("table", rows=3)
    assert frame.uri.startswith(f"{BUCKET}/")


def test_an_exception_is_the_message_of_a_task_that_may_be_tried_again(backend: Backend) -> None:
    phase, message = backend.failure("fail", what="column")
    assert phase == "RETRYABLE_FAILED"
    assert "ValueError" in message
    assert "there is no column" in message


def test_an_error_for_good_is_not_tried_again(backend: Backend) -> None:
    phase, message = backend.failure("fail_for_good", what="table")
    assert phase == "FAILED"
    assert "there is no table" in message


def test_a_crash_without_an_error_file_is_what_the_api_says(backend: Backend) -> None:
    phase, message = backend.failure("crash", code=3)
    assert (phase, message.partition(":")[0]) == ("FAILED", "exit code 3")
    assert backend.failure("crash", code=0) == ("FAILED", "the container ended without outputs")
    phase, message = backend.failure("killed")
    assert (phase, message.partition(":")[0]) == ("FAILED", "killed by SIGKILL")


def test_a_delete_ends_the_function(backend: Backend) -> None:
    job = backend.start("sleep_long")
    wait_until(lambda: "asleep" in backend.log(job), "the function to start", PATIENCE)
    backend.flyte.delete(job)
    assert state(backend.end(job)) == "ABORTED"


def test_secrets_variables_and_words_reach_the_function_as_they_are(backend: Backend) -> None:
    found = backend.run("surroundings")
    words = found.pop("words").split("|")
    run = found.pop("RUN_NAME")
    assert found == {"TOKEN": TOKEN, "CPUS": "1.5", "GREETING": "good morning", "EMPTY": "", "ACTION_NAME": "a0"}
    assert words[words.index("--run-name") + 1] == run
    assert words[words.index("--prev-checkpoint") + 1] == ""
    assert TOKEN not in backend.service_log.read_text()
