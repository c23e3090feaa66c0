"""The tour: `python -m yaml_connector.demo` in a checkout (or `make demo`).

It starts the job service and the connector service, plays Flyte over gRPC (two users, a success with pages of log
lines, a
failure, a cancelled job), runs the example workflow locally, and stops everything. Real processes, real sockets.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click

from yaml_connector.demo.processes import free_port, run_and_show, start

_USERS = {"ALICE_API_KEY": "alice-7f3c9e21", "BOB_API_KEY": "bob-52d8b0aa"}


def main() -> None:
    """Run the tour from a checkout's root; exits with 1 if something did not work."""
    root = Path.cwd()
    for needed in ("connectors.d/batch_job.yaml", "examples/main.py"):
        if not (root / needed).is_file():
            raise SystemExit(f"run this in a checkout of yaml_connector: {root / needed} is missing")
    began = time.monotonic()
    with ExitStack() as stack:
        state = stack.enter_context(tempfile.TemporaryDirectory(prefix="yaml-connector-demo-"))
        service_url = stack.enter_context(_job_service(state))
        port = stack.enter_context(_connector_service(service_url))
        _as_flyte(port)
        _local_run(root, service_url)
    _title(f"done in {time.monotonic() - began:.0f} s; everything is stopped")


def _title(text: str) -> None:
    click.secho(f"\n== {text}", bold=True)


@contextmanager
def _job_service(state: str) -> Iterator[str]:
    _title("the backend: a job service that runs commands, with a key for each user")
    users = ",".join(f"{name.split('_')[0].lower()}={key}" for name, key in _USERS.items())
    command = [
        sys.executable,
        "-m",
        "yaml_connector.demo.jobservice",
        "--port",
        "0",
        "--state",
        state,
        "--kill-jobs-on-exit",
    ]
    with start(command, ready="listening on", env={"JOBSERVICE_USERS": users}) as (_, line):
        url = line.rsplit(" ", 1)[-1]
        click.echo(f"   {line}")
        yield url


@contextmanager
def _connector_service(service_url: str) -> Iterator[int]:
    _title("the connector: c0, with every spec of connectors.d")
    port = free_port()
    command = [_script("c0"), "--port", str(port), "--prometheus_port", str(free_port())]
    command += ["--modules", "yaml_connector.flyte.service"]
    env = {"BATCH_URL": service_url, "YAML_CONNECTOR_PATH": "connectors.d"}
    click.echo(f"   {' '.join(['c0', *command[1:]])}")
    with start(command, ready="(0)", env=env):
        yield port


def _script(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def _as_flyte(port: int) -> None:
    from yaml_connector.flyte.service_client import FlyteClient
    from yaml_connector.flyte.task import task_plugin

    plugin = task_plugin("batch_job")
    with FlyteClient(port) as flyte:
        _title("what Flyte sees")
        click.echo(f"   task types: {', '.join(flyte.task_types())}")
        hello = plugin("hello", plugin_config=plugin.Config(timeout_seconds=60), api_key="alice-api-key")

        _title("alice runs batch_job(name='world')")
        flyte.follow(hello, {"name": "world"}, {"api_key": _USERS["ALICE_API_KEY"]}, run="run-1")
        _title("bob runs one that fails")
        flyte.follow(hello, {"name": "fail"}, {"api_key": _USERS["BOB_API_KEY"]}, run="run-2")
        _title("alice starts a long one, and it is aborted")
        flyte.follow(hello, {"name": "sleep-60"}, {"api_key": _USERS["ALICE_API_KEY"]}, run="run-3", abort_after=1.5)
        _title("somebody with a wrong key")
        flyte.follow(hello, {"name": "world"}, {"api_key": "not-a-key-at-all"}, run="run-4")


def _local_run(root: Path, service_url: str) -> None:
    command = ["flyte", "run", "--local", "examples/main.py", "batch_job", "--name", "laptop"]
    _title(f"the same task from a laptop: {' '.join(command)}")
    env = {"BATCH_URL": service_url, **_USERS}
    code = run_and_show([_script("flyte"), *command[1:]], env=env, cwd=root)
    if code != 0:
        raise SystemExit(f"the local run ended with code {code}")


if __name__ == "__main__":
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    main()
