"""`yaml-connector new` on a terminal: it asks for what is not given, and checks each answer at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command_line import Command
from tests.support.real_processes import clean_environment, script
from tests.unit.cli.terminal import Terminal
from yaml_connector._loading.loader import load

pytestmark = pytest.mark.slow

NEW = [script("yaml-connector"), "new"]


def checked(command: Command) -> None:
    """The spec is good, and its test passes."""
    for check in ("validate", "test"):
        done = command(check, "connectors.d")
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("auth", ["token", "google"])
def test_all_is_asked_for_and_wrong_answers_are_asked_for_again(tmp_path: Path, command: Command, auth: str) -> None:
    with Terminal(NEW, tmp_path, clean_environment(tmp_path)) as terminal:
        for question, wrong, told, right in (
            ("Name of the task type [my_job]: ", "my job", "'my job' is not a valid name", "render"),
            (
                "Base URL of the API",
                "render.acme.com",
                "is not a base URL like https://",
                "https://render.acme.com/v1/",
            ),
            ("Credentials [bearer]: ", "ldap", "'ldap' is not one of", auth),
            ("Call that submits a job [POST /jobs]: ", "/renders", "write it as a method and a path", "post /renders"),
            ("reads its state [GET /renders/{id}]: ", "GET /renders", "write {id} where the path has the job's id", ""),
            ("(none: leave out) [POST /renders/{id}/cancel]: ", "none/", "write it as a method and a path", "none"),
            (
                "reads its log (none: leave out) [none]: ",
                "GET /log?i={id}",
                "goes into `query`",
                "GET /renders/{id}/log",
            ),
        ):
            terminal.expect(question)
            terminal.type(f"{wrong}\n")
            terminal.expect(told)
            terminal.expect(question)
            terminal.type(f"{right}\n")
        terminal.expect("wrote connectors.d/render.yaml")
        assert terminal.end() == 0
    spec = load(str(tmp_path / "connectors.d" / "render.yaml"))[0].spec
    assert spec.connection.auth is not None
    assert (spec.connection.auth.type, spec.delete) == (auth, None)
    assert spec.logs is not None
    checked(command)


def test_what_is_given_is_not_asked_for(tmp_path: Path, command: Command) -> None:
    given = ["render", "--auth", "none", "--create", "POST /r", "--get", "GET /r/{id}", "--delete", "none"]
    with Terminal([*NEW, *given, "--logs", "none"], tmp_path, clean_environment(tmp_path)) as terminal:
        terminal.expect("Base URL of the API [https://api.example.com]: ")
        terminal.type("\n")
        assert terminal.end() == 0
        assert terminal.text.count("]: ") == 1
    checked(command)


def test_a_schema_beside_the_folder_is_named_for_editors(tmp_path: Path, command: Command) -> None:
    (tmp_path / "schema").mkdir()
    for name in ("connector.v1.json", "connector-test.v1.json"):
        (tmp_path / "schema" / name).write_text("{}", encoding="utf-8")
    with Terminal([*NEW, "render", "--base-url", "https://a.test", "--auth", "none", "--logs", "none"], tmp_path,
                  clean_environment(tmp_path)) as terminal:  # fmt: skip
        assert terminal.end() == 0
    for name, schema in (("render.yaml", "connector.v1.json"), ("render.test.yaml", "connector-test.v1.json")):
        first = (tmp_path / "connectors.d" / name).read_text(encoding="utf-8").splitlines()[0]
        assert first == f"# yaml-language-server: $schema=../schema/{schema}"
    checked(command)
