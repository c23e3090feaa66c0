"""Starting `c0`: a spec that cannot be used stops it, with everything that is wrong."""

from __future__ import annotations

import os
import re
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.flyte_side import FlyteSide, state
from tests.support.paths import ROOT
from tests.support.ports import held_port
from tests.support.real_processes import Process, c0_command, clean_environment, script, started, wait_until

GOOD = """
spec_version: 1
task_type_name: {name}
connection: {{base_url: "http://127.0.0.1:1"}}
create: {{request: POST /jobs, job_id: $.id, idempotent: true}}
"""
BAD = """
spec_version: 1
task_type_name: bad
connection: {base_ulr: "http://127.0.0.1:1"}
create: {request: POST /jobs, job_id: $.id}
get:
  request: GET /jobs/${{ job.id }}
  phase: {path: $.state, map: {SUCCEDED: [done]}}
"""


def start_and_end(folder: Path, *modules: str) -> tuple[int, str]:
    """Exit code and output of a `c0` that does not stay."""
    env = clean_environment(folder)
    with (
        held_port() as port,
        started(c0_command(port, *modules), cwd=folder, env=env, log=folder / "c0.log") as process,
    ):
        return process.wait(), process.output


def test_a_bad_spec_stops_the_start_with_every_problem_of_every_file(tmp_path: Path) -> None:
    specs = tmp_path / "connectors.d"
    specs.mkdir()
    (specs / "bad.yaml").write_text(BAD)
    (specs / "good.yaml").write_text(GOOD.format(name="good"))
    (specs / "twin.yaml").write_text(GOOD.format(name="good"))
    (specs / "broken.yaml").write_text("spec_version: 1\ntask_type_name: [\n")
    code, output = start_and_end(tmp_path, "yaml_connector.flyte.service")
    assert code == 1
    places = set(re.findall(r"^(connectors\.d/\w+\.yaml):(\d+):\d+: ", output, re.MULTILINE))
    assert {file for file, _ in places} == {f"connectors.d/{name}.yaml" for name in ("bad", "broken", "twin")}
    assert {("connectors.d/bad.yaml", "4"), ("connectors.d/bad.yaml", "8")} <= places
    assert "did you mean base_url?" in output
    assert "did you mean SUCCEEDED?" in output
    assert "the connector service does not start" in output
    assert "Traceback" not in output


def test_no_spec_at_all_stops_the_start_and_says_where_they_are_looked_for(tmp_path: Path) -> None:
    code, output = start_and_end(tmp_path, "yaml_connector.flyte.service")
    assert code == 1
    assert "there is no such file or folder" in output
    assert "YAML_CONNECTOR_PATH" in output


def test_flyte_takes_one_modules_option_for_each_module_and_not_what_its_own_environment_makes(tmp_path: Path) -> None:
    """Why the deployed arguments are our own: `ConnectorEnvironment(include=[a, b])` makes `--modules a b`."""
    command = [script("c0"), "--port", "1", "--prometheus_port", "1", "--modules", "a", "b"]
    with started(command, cwd=tmp_path, env=clean_environment(tmp_path), log=tmp_path / "log") as process:
        assert process.wait() == 2
        assert "unexpected extra argument" in process.output


def test_a_failing_module_stops_the_start(tmp_path: Path) -> None:
    """Why the specs are loaded by a module: a failing entry point would not stop it (see the next test)."""
    code, output = start_and_end(tmp_path, "there_is_no_such_module")
    assert code != 0
    assert "No module named 'there_is_no_such_module'" in output


def test_a_failing_entry_point_is_only_a_warning_of_flyte_s(service: Any) -> None:
    output = " ".join(service.process.output.split())
    assert "Failed to load connector 'broken' with error: No module named 'there_is_no_such_module'" in output


def test_flyte_serves_its_metrics_and_ours(service: Any, calls: FlyteSide, batch_job: Callable[..., Any]) -> None:
    assert state(calls.run(batch_job(), "metrics", name="x")) == "SUCCEEDED"
    address = f"http://127.0.0.1:{service.metrics_port}/metrics"
    with urllib.request.urlopen(address, timeout=10) as response:
        text = response.read().decode()
    for series in (
        'flyte_connector_requests_success_total{operation="create",task_type="batch_job"}',
        'flyte_connector_requests_success_total{operation="get",task_type="batch_job"}',
        'yaml_connector_phases_total{phase="SUCCEEDED",task_type="batch_job"}',
    ):
        value = next(line.split()[-1] for line in text.splitlines() if line.startswith(series))
        assert float(value) >= 1


def test_one_file_may_be_all_there_is_and_warnings_do_not_stop_the_start(tmp_path: Path) -> None:
    (tmp_path / "only.yaml").write_text(GOOD.format(name="only").replace(", idempotent: true", ""))
    env = clean_environment(tmp_path, YAML_CONNECTOR_PATH=str(tmp_path / "only.yaml"))
    with (
        held_port() as port,
        started(
            c0_command(port, "yaml_connector.flyte.service"), cwd=tmp_path, env=env, log=tmp_path / "log"
        ) as process,
    ):
        process.wait_for("only (0)")
        assert "warning: create: neither idempotent nor adopt" in process.output
        with FlyteSide(port) as calls:
            assert calls.connectors() == {"only": [("only", 0)]}


def test_the_process_kit_sees_a_process_that_ends(tmp_path: Path) -> None:
    process = Process([script("python"), "-c", "print('bye')"], tmp_path, {}, tmp_path / "log")
    assert wait_until(lambda: process.process.poll() is not None, "its end")
    assert (process.wait(), process.output) == (0, "bye\n")


def test_what_the_tests_start_ends_with_them_even_when_they_are_killed(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path; from tests.support.real_processes import Process, script\n"
        "process = Process([script('python'), '-c', 'import time; time.sleep(600)'], Path.cwd(), {}, Path('log'))\n"
        "print(process.process.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    tests = str(ROOT)
    with started([script("python"), "-c", code, tests], cwd=tmp_path, env={}, log=tmp_path / "out") as killed:
        killed.wait()
        pid = int(killed.output.split()[0])

        def gone() -> bool:
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return True
            stat = Path(f"/proc/{pid}/stat")  # where nobody waits for orphans, a dead one stays as a zombie
            return stat.exists() and stat.read_text().split()[2] == "Z"

        wait_until(gone, "its end")
