"""`yaml-connector serve` in a process of its own. It binds free ports itself and says which: nobody can take them."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.real_processes import Process, clean_environment, started, wait_until

READY = re.compile(r"^serving on \S+:(\d+)(?: \(TLS\))?(?:, health and metrics on \S+:(\d+))?: (.*)\n", re.MULTILINE)

SPEC = """
spec_version: 1
task_type_name: {name}
connection: {{base_url: "http://127.0.0.1:1"}}
create: {{request: POST /{path}, job_id: $.id, idempotent: true}}
"""


@dataclass
class Serving:
    """The running service: its ports, and the task types that it named when it was ready."""

    process: Process
    port: int
    http: int
    task_types: list[str]


def ready(process: Process) -> Serving:
    """Wait until a service says that it serves."""
    process.wait_for("serving on ")
    found = wait_until(lambda: READY.search(process.output), "the whole line that says where it serves")
    return Serving(process, int(found[1]), int(found[2] or 0), found[3].split(", "))


@contextmanager
def serving(folder: Path, specs: Path | str, *options: str, forked: bool = True, **variables: str) -> Iterator[Serving]:
    """`serve` with the specs, ready for calls, until the block ends. Its log is in `folder`.

    `forked`: from a process that has imported it, which saves a second; else it starts as users start it.
    """
    command = [sys.executable, "-m", "yaml_connector.flyte.serve", "--specs", str(specs), "--port", "0", *options]
    env = clean_environment(folder, **variables)
    with started(command, cwd=folder, env=env, log=folder / "serve.log", forked=forked) as process:
        yield ready(process)


def refused(tmp_path: Path, *arguments: str, **variables: str) -> tuple[int, str]:
    """Exit code and output of a service that does not start."""
    command = [sys.executable, "-m", "yaml_connector.flyte.serve", *arguments]
    env = clean_environment(tmp_path, **variables)
    with started(command, cwd=tmp_path, env=env, log=tmp_path / "log", forked=True) as process:
        return process.wait(), process.output
