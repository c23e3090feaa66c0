"""`yaml-connector validate --fix`: what has one answer is mended; comments, layout and all else stay."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.command_line import Command
from tests.unit.cli.test_messages import MISTAKES, SPEC

# What each mistake becomes; None: it has more than one answer, and stays.
MENDED: dict[str, str | None] = {
    "no blank after the colon": "    path: $.render.state",
    "no blank after the colon of a whole section": "  request: DELETE",
    "no blank after the colon in braces": "frames: 10}",
    "no blank before a quote in braces": '{scene: "',
    "a bracket in braces": "  links: [{name: Frame, url: '$.frames[0].url'}]",
    "a quote that is not closed, at the end": '"$.render.note"\n',
    "a quote that is not closed, and closed by the next": 'method: "POST"',
    "curly quotes": '"$.render.note"',
    "curly quotes in braces": '"${{ task.key }}"',
    "a value with a colon": '"Renders: a scene"',
    "a value that begins with a star": "  public_hosts: ['*.example.org']\n  auth:",
    "mustaches": "DELETE /renders/${{ job.id }}",
    "a variable of a shell": "DELETE /renders/${{ job.id }}",
    "a parameter of OpenAPI": "DELETE /renders/${{ job.id }}",
    "an id without a path": "job_id: $.id",
    "a state without a path": "path: $.render.state",
    "cancel": "\ndelete:",
    "submit": "\ncreate:",
    "body": "    json: {",
    "id": "  job_id:",
    "a text for a list": "SUCCEEDED: [ready]",
    "yes": "  idempotent: true",
    "a size in MB": "  max_response: 20MiB\n  auth:",
    "a URL for a host": "  allowed_hosts: [files.example.org]\n  auth:",
    "an equals sign": "  job_id: $.render.id",
    "a semicolon": "idempotent: true",
    "parentheses for a list": "[ready]",
    "items with commas only": "[ready, shown]",
    "a phase by another word": "SUCCEEDED: [ready]",
    "output": "\noutputs:",
    "endpoint": "    path: /renders",
    "environment": "{env: FARM_PASSWORD}",
    "an index with a dot": "$.render.notes[0]",
    "a path of jq": "path: $.render.state",
    "a JSON pointer": "job_id: $.render.id",
    "an output of jq": "image: $.files.image",
    "a variable of a shell in base_url": "https://${{ env.FARM }}/api",
    "a colon for a parameter": "GET /renders/${{ job.id }}",
    "angle brackets for a parameter": "GET /renders/${{ job.id }}",
    "a variable alone": None,
    "a name with a blank": None,
    "quotes in quotes": None,
    "a key that is indented too far": None,
    "a brace that is not closed": None,
    "auth in the wrong place": None,
    "a base_url without a scheme": None,
    "a map the wrong way round": None,
    "a default of an input": None,
}


@pytest.mark.parametrize("name", MENDED)
def test_what_has_one_answer_is_mended_and_nothing_else_changes(command: Command, here: Path, name: str) -> None:
    old, new = MISTAKES[name]
    commented = SPEC.replace("\nget:", "\n# asked every minute:   keep this\n\nget:")
    wrong = commented.replace(old, new)
    (here / "render.yaml").write_text(wrong, encoding="utf-8")
    done = command("validate", "--fix", "render.yaml")
    right = MENDED[name]
    assert (here / "render.yaml").read_text(encoding="utf-8") == (
        wrong if right is None else commented.replace(old, right)
    )
    assert done.returncode == (right is None)
    assert ("fixed render.yaml:" in done.stdout) == (right is not None)


def test_several_mistakes_are_mended_one_after_the_other(command: Command, here: Path) -> None:
    text = SPEC
    for name in ("cancel", "yes", "curly quotes", "no blank after the colon", "an id without a path"):
        text = text.replace(*MISTAKES[name])
    (here / "render.yaml").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    done = command("validate", "--fix", "render.yaml", "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["errors"], len(found["fixed"])) == (0, 0, 5)
    expected = SPEC.replace("$.render.note", '"$.render.note"').replace("$.render.id", "$.id")
    assert (here / "render.yaml").read_bytes() == b"\xef\xbb\xbf" + expected.replace("\n", "\r\n").encode()


def test_what_is_right_is_not_written(command: Command, here: Path) -> None:
    (here / "render.yaml").write_text(SPEC, encoding="utf-8")
    (here / "render.yaml").chmod(0o400)
    assert command("validate", "--fix", "render.yaml").stdout == "1 spec, 0 problems\n"


def test_a_name_that_may_be_two_stays(command: Command, here: Path) -> None:
    text = SPEC.replace("inputs:\n  scene: str", "inputs:\n  scene: {typ: str, descriptio: a scene}")
    text = text.replace("  auth:", "  tls: {_file: a}\n  auth:")
    (here / "render.yaml").write_text(text, encoding="utf-8")
    done = command("validate", "--fix", "render.yaml")
    assert "scene: {type: str, description: a scene}" in (here / "render.yaml").read_text(encoding="utf-8")
    assert (done.returncode, "tls._file: unknown key" in done.stdout) == (1, True)


def test_contract_tests_are_mended_too(command: Command, here: Path) -> None:
    (here / "render.yaml").write_text(SPEC, encoding="utf-8")
    test = here / "render.test.yaml"
    test.write_text("test:  # two of them\n- name: a\n  call: [{restart: true}]\n", encoding="utf-8")
    done = command("validate", "--fix")
    done = command("validate", "--fix", "render.test.yaml")
    assert done.returncode == 0, done.stdout
    assert test.read_text(encoding="utf-8") == "tests:  # two of them\n- name: a\n  calls: [{restart: true}]\n"


def test_the_standard_input_cannot_be_mended(command: Command) -> None:
    done = command("validate", "--fix", "-")
    assert (done.returncode, "--fix and --watch need files" in done.stderr) == (2, True)
