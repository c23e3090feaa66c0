"""`yaml-connector run --timeout` bounds the whole command, whatever hangs, and says what is known of the job."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.support.loops import steady_loops
from tests.support.ports import held_port
from tests.unit.cli.test_run_interrupted import SPEC, Backend, serving
from yaml_connector.cli.main import cli

pytestmark = pytest.mark.slow  # waits until the time is over


@pytest.fixture
def backend() -> Iterator[Backend]:
    with serving() as server:
        yield server


def run(folder: Path, spec: str, *options: str, timeout: str = "2s") -> Result:
    """A run of the spec that may take as long as `timeout`."""
    (folder / "slow.yaml").write_text(spec, encoding="utf-8")
    return CliRunner().invoke(cli, ["run", str(folder / "slow.yaml"), "--timeout", timeout, *options])


@pytest.mark.parametrize("idempotent", [True, False])
def test_a_create_that_hangs_is_given_up_with_what_is_known(backend: Backend, tmp_path: Path, idempotent: bool) -> None:
    backend.hangs = "POST"
    began = time.monotonic()
    spec = SPEC.format(port=backend.server_address[1])
    done = run(tmp_path, spec if idempotent else spec.replace(", idempotent: true", ""))
    assert time.monotonic() - began < 8
    assert done.exit_code == 1
    assert re.search(
        r"^Error: it is unknown whether the job was submitted: POST \S+/jobs was not answered within 2s$",
        done.output,
        re.M,
    )
    found = r"run it again with --task key=run-\w+: that" if idempotent else r"look for it at the API .* is run-\w+"
    assert re.search(found, done.output)


def test_a_get_that_hangs_does_not_hold_up_the_cancel(backend: Backend, tmp_path: Path) -> None:
    backend.hangs = "GET"
    backend.frees_on = "DELETE"
    done = run(tmp_path, SPEC.format(port=backend.server_address[1]), "--json")
    found = json.loads(done.stdout)
    assert (done.exit_code, found["timed_out"], found["phase"]) == (1, True, "ABORTED")
    assert backend.asked.count("DELETE") == 1


def test_json_says_that_nothing_was_submitted(tmp_path: Path) -> None:
    # Each create sends one request: at 0, 0.5, 1.5, and 3 s. So the time is over in a pause; were it over while a
    # request is under way, it would be unknown what comes of that.
    with held_port() as port, steady_loops():
        spec = SPEC.format(port=port).replace("timeout: 60s,", "timeout: 60s, retry: {max_attempts: 1},")
        done = run(tmp_path, spec, "--json", timeout="2.5s")
    found = json.loads(done.stdout)
    assert done.exit_code == 1
    assert re.fullmatch(r"not submitted within 2\.5s, after 3 requests: POST .*refused", found.pop("error"))
    assert found == {"submitted": False, "timed_out": True}
