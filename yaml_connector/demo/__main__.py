"""The tour: `yaml-connector demo`, also as `python -m yaml_connector.demo`.

It starts the job service and the connector service, plays Flyte over gRPC (two users, a success with its log, a
failure, a cancelled job, a wrong key, a Python function as a job), runs the workflow locally, and stops everything.
Real processes, real sockets; its specs and its workflow are part of the package.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from yaml_connector.demo.processes import run_and_show, start

if TYPE_CHECKING:
    from yaml_connector.flyte.service_client import ServiceClient
    from yaml_connector.flyte.task import YamlConnectorTask

_FOLDER = Path(__file__).parent
_SPECS, _WORKFLOW = _FOLDER / "connectors.d", _FOLDER / "workflow.py"
_USERS = {"ALICE_API_KEY": "alice-7f3c9e21", "BOB_API_KEY": "bob-52d8b0aa"}
_ABORT_AFTER = 1.5  # seconds
_STORAGE = "s3://tour/runs"


def main() -> None:
    """Run the tour. Raises SystemExit if something did not work."""
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    began = time.monotonic()
    with ExitStack() as stack:
        os.environ |= stack.enter_context(_object_store())  # for this process, and all that it starts
        service_url = stack.enter_context(_job_service())
        address = stack.enter_context(_connector_service(service_url))
        _as_flyte(address)
        _function(address)
        _local_run(service_url)
    _title(f"done in {time.monotonic() - began:.0f} s; everything is stopped")


def _title(text: str) -> None:
    click.secho(f"\n== {text}", bold=True)


@contextmanager
def _object_store() -> Iterator[dict[str, str]]:
    with start([sys.executable, "-m", "yaml_connector.demo.objectstore"], ready="listening on", env={}) as (_, line):
        keys = {"FLYTE_AWS_ACCESS_KEY_ID": "tour", "FLYTE_AWS_SECRET_ACCESS_KEY": "tour", "AWS_REGION": "us-east-1"}
        yield {"FLYTE_AWS_ENDPOINT": line.rsplit(" ", 1)[-1], **keys}


@contextmanager
def _job_service() -> Iterator[str]:
    _title("the backend: a job service that runs commands, with a key for each user")
    users = ",".join(f"{name.split('_')[0].lower()}={key}" for name, key in _USERS.items())
    command = [sys.executable, "-m", "yaml_connector.demo.jobservice", "--port", "0"]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])  # with `a0`, for functions
    env = {"JOBSERVICE_USERS": users, "PATH": path, "YAML_CONNECTOR_PATH": str(_SPECS)}
    with start(command, ready="listening on", env=env) as (_, line):
        url = line.rsplit(" ", 1)[-1]
        click.echo(f"   {line}")
        yield url


@contextmanager
def _connector_service(service_url: str) -> Iterator[str]:
    _title("the connector service, with every spec of a folder")
    command = [sys.executable, "-m", "yaml_connector.flyte.serve", "--specs", str(_SPECS), "--port", "0"]
    click.echo(f"   yaml-connector serve {' '.join(command[3:])}")
    env = {"BATCH_URL": service_url, "YAML_CONNECTOR_SIGNING_KEY": secrets.token_hex(32)}
    with start(command, ready="serving on", env=env) as (_, line):
        click.echo(f"   {line}")
        yield line.removeprefix("serving on ").split(": ")[0]


def _as_flyte(address: str) -> None:
    from yaml_connector.flyte.service_client import ServiceClient
    from yaml_connector.flyte.task import task_plugin

    plugin = task_plugin(_SPECS / "batch_job.yaml")
    task = plugin("hello", plugin_config=plugin.Config(timeout_seconds=60), api_key="alice-api-key")
    alice, bob = (_USERS[f"{name}_API_KEY"] for name in ("ALICE", "BOB"))
    with closing(ServiceClient(address)) as flyte:
        _title("what Flyte sees")
        click.echo(f"   task types: {', '.join(name for listed in flyte.list().values() for name, _ in listed)}")
        _title("alice runs batch_job(name='world')")
        asyncio.run(_run(flyte, task, "world", alice, run="run-1"))
        _title("bob runs one that fails")
        asyncio.run(_run(flyte, task, "fail", bob, run="run-2"))
        _title("alice starts a long one, and it is aborted")
        asyncio.run(_run(flyte, task, "sleep-60", alice, run="run-3", abort_after=_ABORT_AFTER))
        _title("a user with a wrong key")
        asyncio.run(_run(flyte, task, "world", "not-a-key-at-all", run="run-4"))


def _teller(began: float) -> Callable[[str, str], None]:
    def tell(kind: str, text: str) -> None:
        click.echo(f"   {time.monotonic() - began:4.1f} s {'| ' if kind == 'log' else ''}{text}")

    return tell


async def _run(
    flyte: ServiceClient, task: YamlConnectorTask, name: str, key: str, *, run: str, abort_after: float | None = None
) -> None:
    """Submit a task and show its life until it has ended: phases, log, outputs or message."""
    from yaml_connector.flyte.service_client import attempt_of

    tell = _teller(time.monotonic())
    job = await asyncio.to_thread(flyte.create, task, {"name": name}, attempt_of(task, run), {"api_key": key})
    tell("note", f"create: {len(job.kept)} bytes are kept with the job")
    following = asyncio.create_task(flyte.follow(job, tell))
    if abort_after is not None:
        await asyncio.sleep(abort_after)
        tell("note", "abort")
        await asyncio.to_thread(flyte.delete, job)
    for output in (await following).outputs.literals:
        tell("note", f"output {output.name} = {output.value.scalar.primitive.string_value!r}")


def _function(address: str) -> None:
    """Run a decorated function as a job: inputs and outputs pass through the object store."""
    os.environ["YAML_CONNECTOR_PATH"] = str(_SPECS)
    from yaml_connector.demo import functions
    from yaml_connector.flyte.service_client import CONTEXT, ServiceClient, attempt_of, phase_of, returned_by

    context = dataclasses.replace(CONTEXT, root_dir=_FOLDER.parents[1])
    with closing(ServiceClient(address, context=context)) as flyte:
        words = ["run", "anything", "anywhere"]
        _title(f"a Python function as a job: summary(words={words})")
        task, key = functions.summary, {"api_key": _USERS["ALICE_API_KEY"]}
        job = flyte.create_function(task, {"words": words}, attempt_of(task, "run-5"), _STORAGE, key)
        last = asyncio.run(flyte.follow(job, _teller(time.monotonic())))
        if phase_of(last) != "SUCCEEDED":
            raise SystemExit(f"the function ended as {phase_of(last)}: {last.message}")
        click.echo(f"   returned {returned_by(job)!r}")


def _local_run(service_url: str) -> None:
    command = ["flyte", "run", "--local", _WORKFLOW.name, "batch_job", "--name", "laptop"]
    _title(f"the same task from a laptop: {' '.join(command)}")
    env = {"BATCH_URL": service_url, "YAML_CONNECTOR_PATH": str(_SPECS), **_USERS}
    program = str(Path(sys.executable).with_name("flyte"))
    code = run_and_show([program, *command[1:]], env=env, cwd=_FOLDER)
    if code != 0:
        raise SystemExit(f"the local run ended with code {code}")


if __name__ == "__main__":
    main()
