"""What stops the start of `yaml-connector serve`, and what it says then."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from tests.support.certificates import certificate
from tests.support.real_processes import Process, clean_environment, started
from tests.support.serving import SPEC, ready, refused


@pytest.mark.parametrize("option", ["--port", "--http"])
def test_a_port_in_use_is_one_sentence(tmp_path: Path, specs: Path, option: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        other = ("--port", "0") if option == "--http" else ()
        code, output = refused(tmp_path, "--specs", str(specs), *other, option, str(port))
    assert (code, output) == (1, f"Error: cannot listen on 127.0.0.1:{port}: the port is in use\n")


def test_a_shared_type_that_a_spec_has_itself_is_one_sentence(tmp_path: Path, specs: Path) -> None:
    code, output = refused(tmp_path, "--specs", str(specs), "--port", "0", YAML_CONNECTOR_SHARED_TYPE="one")
    assert code == 1
    assert output.startswith(f"Error: {specs}: YAML_CONNECTOR_SHARED_TYPE is 'one', and {specs}/one.yaml has that task")
    assert output.endswith("the connector service does not start\n")


def test_every_problem_of_every_spec_is_printed(tmp_path: Path, specs: Path) -> None:
    (specs / "two.yaml").write_text(SPEC.format(name="two", path="jobs").replace("base_url", "base_ulr"))
    (specs / "three.yaml").write_text("spec_version: 1\ntask_type_name: [\n")
    code, output = refused(tmp_path, "--port", "0")
    assert code == 1
    assert "connectors.d/two.yaml:4:" in output
    assert "did you mean base_url?" in output
    assert "connectors.d/three.yaml:" in output
    assert output.splitlines()[-1].endswith("problems in connectors.d: the connector service does not start")
    assert "Traceback" not in output


def test_tls_files_that_cannot_be_used_are_one_sentence(tmp_path: Path, specs: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        certificate(tmp_path / folder)
    (tmp_path / "text.pem").write_text("no certificate")

    def tls(cert: str, key: str) -> str:
        code, output = refused(tmp_path, "--specs", str(specs), "--port", "0", "--tls-cert", cert, "--tls-key", key)
        assert code == 1
        assert output.count("\n") == 1
        return output

    assert tls("a/server.pem", "b/server.key") == (
        "Error: the key b/server.key does not belong to the certificate a/server.pem\n"
    )
    assert "a PEM certificate and its PEM key without a password are needed" in tls("text.pem", "a/server.key")
    assert tls("nowhere.pem", "a/server.key") == "Error: nowhere.pem cannot be read: No such file or directory\n"
    code, output = refused(tmp_path, "--specs", str(specs), "--tls-cert", "a/server.pem")
    assert code == 2
    assert "--tls-cert and --tls-key go together" in output


def test_the_module_is_the_same_command(tmp_path: Path, specs: Path) -> None:
    command = [sys.executable, "-m", "yaml_connector.flyte.serve", "--port", "0", "--host", "127.0.0.1"]
    env = clean_environment(tmp_path, YAML_CONNECTOR_PATH=str(specs / "one.yaml"))
    with started(command, cwd=tmp_path, env=env, log=tmp_path / "log") as process:
        assert ready(process).task_types == ["one (0)"]
        assert isinstance(process, Process)
