"""What `validate` prints for the mistakes that people make: one file for each, with the whole output.

`UPDATE_MESSAGES=1 pytest tests/unit/cli/test_messages.py` writes the outputs anew; look at the difference.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.support.command_line import Command

FOLDER = Path(__file__).parent / "messages"
SPEC = """\
spec_version: 1
task_type_name: render
description: Renders a scene on the farm.

connection:
  base_url: https://farm.example.org/api
  auth: {type: basic, username: flyte, password: "${{ secrets.farm }}"}

secrets:
  farm: {env: FARM_PASSWORD}

inputs:
  scene: str

outputs:
  image: $.files.image

create:
  idempotent: true
  request:
    method: POST
    path: /renders
    headers: {X-Key: "${{ task.key }}"}
    json: {scene: "${{ inputs.scene }}", frames: 10}
  job_id: $.render.id

get:
  request: GET /renders/${{ job.id }}
  phase:
    path: $.render.state
    map: {RUNNING: [waiting, rendering], SUCCEEDED: [ready], FAILED: [broken]}
  message: $.render.note

delete:
  request: DELETE /renders/${{ job.id }}
"""

# Each replaces one text of the spec by another.
MISTAKES = {
    "a key that is indented too far": ("  phase:\n", "   phase:\n"),
    "a key below a value": ("  job_id: $.render.id", "      job_id: $.render.id"),
    "a key that is not indented enough": ("  message: $.render.note", " message: $.render.note"),
    "a section that is indented": ("\nget:\n", "\n get:\n"),
    "an item that is not indented as the others": ("inputs:\n", "allow:\n  projects:\n    - a\n   - b\ninputs:\n"),
    "a tab": ("  idempotent: true", "\tidempotent: true"),
    "no blank after the colon": ("    path: $.render.state", "    path:$.render.state"),
    "no blank after the colon of a whole section": ("  request: DELETE", "  request:DELETE"),
    "no blank after the colon in braces": ("frames: 10}", "frames:10}"),
    "no blank before a quote in braces": ('{scene: "', '{scene:"'),
    "a bracket in braces": (
        "  message: $.render.note",
        "  links: [{name: Frame, url: $.frames[0].url}]",
    ),
    "a template without quotes in braces": ("frames: 10}", "frames: ${{ config.frames }}}"),
    "a bracket that is not closed": ("FAILED: [broken]}", "FAILED: [broken}"),
    "a brace that is not closed": ("FAILED: [broken]}", "FAILED: [broken]"),
    "a quote that is not closed, at the end": ("$.render.note\n", '"$.render.note\n'),
    "a quote that is not closed, and closed by the next": ("method: POST", 'method: "POST'),
    "curly quotes": ("$.render.note", "“$.render.note”"),
    "curly quotes in braces": ('"${{ task.key }}"', "“${{ task.key }}”"),
    "a value with a colon": ("Renders a scene on the farm.", "Renders: a scene"),
    "a value that begins with a star": ("  auth:", "  public_hosts: [*.example.org]\n  auth:"),
    "a line that is neither key nor item": ("  idempotent: true", "  idempotent"),
    "mustaches": ("DELETE /renders/${{ job.id }}", "DELETE /renders/{{ job.id }}"),
    "a variable of a shell": ("DELETE /renders/${{ job.id }}", "DELETE /renders/${job.id}"),
    "a parameter of OpenAPI": ("DELETE /renders/${{ job.id }}", "DELETE /renders/{id}"),
    "an id without a path": ("job_id: $.render.id", "job_id: id"),
    "a state without a path": ("path: $.render.state", "path: render.state"),
    "a base_url without a scheme": ("https://farm.example.org/api", "farm.example.org/api"),
    "JSON in quotes": ('{scene: "${{ inputs.scene }}", frames: 10}', """'{"scene": "${{ inputs.scene }}"}'"""),
    "a map the wrong way round": (
        "{RUNNING: [waiting, rendering], SUCCEEDED: [ready], FAILED: [broken]}",
        "{waiting: RUNNING, rendering: RUNNING, ready: SUCCEEDED, broken: FAILED}",
    ),
    "cancel": ("\ndelete:", "\ncancel:"),
    "submit": ("\ncreate:", "\nsubmit:"),
    "status": ("\nget:", "\nstatus:"),
    "body": ("    json: {", "    body: {"),
    "id": ("  job_id:", "  id:"),
    "url": ("  base_url:", "  url:"),
    "auth in the wrong place": ("\nsecrets:", "\nauth: {type: bearer, token: x}\n\nsecrets:"),
    "a text for a list": ("SUCCEEDED: [ready]", "SUCCEEDED: ready"),
    "yes": ("  idempotent: true", "  idempotent: yes"),
    "yes for a boolean": ("  message: $.render.note", "  message: $.render.note\n  optional: yes"),
    "a default of an input": ("  scene: str", "  scene: {type: str, default: teapot}"),
    "a size in MB": ("  auth:", "  max_response: 20MB\n  auth:"),
    "a duration without a unit": ("  auth:", "  timeout: 5\n  auth:"),
    "a proxy without a scheme": ("  auth:", "  proxy: proxy.example.org:3128\n  auth:"),
    "a URL for a host": ("  auth:", "  allowed_hosts: [https://files.example.org/]\n  auth:"),
    "a key without its certificate": ("  auth:", "  tls: {key_file: /etc/key.pem}\n  auth:"),
    "a certificate without its key": ("  auth:", "  tls: {cert_file: /etc/cert.pem}\n  auth:"),
    "a tab further below": ("    headers:", "\theaders:"),
    "a section below another": ("\nget:\n", "\n  get:\n"),
    "items without a blank after the dash": ("[waiting, rendering]", '"-waiting -rendering"'),
    "a key after an item": ("inputs:\n", "allow:\n  projects:\n    - a\n    domains: [b]\ninputs:\n"),
    "quotes in quotes": ("path: $.render.state", "path: '$['render'].state'"),
    "an equals sign": ("  job_id: $.render.id", "  job_id = $.render.id"),
    "a colon of another script": ("  job_id: $.render.id", "  job_id： $.render.id"),
    "a blank that is not one": ("  job_id: $.render.id", "  job_id:\u00a0$.render.id"),
    "an indentation that is not one": ("  job_id: $.render.id", "\u00a0\u00a0job_id: $.render.id"),
    "a semicolon": ("idempotent: true", "idempotent: true;"),
    "parentheses for a list": ("[ready]", "(ready)"),
    "items with commas only": ("[ready]", '"ready, shown"'),
    "a phase by another word": ("SUCCEEDED: [ready]", "DONE: [ready]"),
    "output": ("\noutputs:", "\noutput:"),
    "endpoint": ("    path: /renders", "    endpoint: /renders"),
    "environment": ("{env: FARM_PASSWORD}", "{environment: FARM_PASSWORD}"),
    "a variable with a dollar": ("{env: FARM_PASSWORD}", "{env: $FARM_PASSWORD}"),
    "a variable alone": ("farm: {env: FARM_PASSWORD}", "farm: FARM_PASSWORD"),
    "a name with a blank": ("task_type_name: render", "task_type_name: Render Farm"),
    "a status alone": ("  job_id: $.render.id", "  job_id: $.render.id\n  success: 201"),
    "a range of statuses": ("  job_id: $.render.id", "  job_id: $.render.id\n  success: [200-299]"),
    "an index with a dot": ("$.render.note", "$.render.notes.0"),
    "a path of jq": ("path: $.render.state", "path: .render.state"),
    "a JSON pointer": ("job_id: $.render.id", "job_id: /render/id"),
    "an output of jq": ("image: $.files.image", "image: .files | .image"),
    "a variable of a shell in base_url": ("https://farm.example.org/api", "https://${FARM}/api"),
    "a colon for a parameter": ("GET /renders/${{ job.id }}", "GET /renders/:id"),
    "angle brackets for a parameter": ("GET /renders/${{ job.id }}", "GET /renders/<id>"),
    "words of C": ("$.render.note", "${{ body.a && body.b }}"),
    "a question mark": ("$.render.note", "\"${{ body.a ? body.b : 'x' }}\""),
    "one equals sign": ("$.render.note", "${{ 'x' if body.a = 1 }}"),
    "an f-string": ("$.render.note", "f'{body.note}'"),
    "env in a body": ("frames: 10", 'frames: "${{ env.FRAMES }}"'),
    "the job before it is there": ("frames: 10", 'frames: "${{ job.id }}"'),
    "a 404 in a log": ("\ndelete:", "\nlogs:\n  request: GET /log\n  format: text\n  success: [2xx, 404]\n\ndelete:"),
}
FILES = {
    "a file of another tool": "services:\n  web:\n    image: nginx\n    ports: ['80:80']\nvolumes: {}\n",
    "a list": "- a\n- b\n",
    "words": "just words\n",
    "Python": "import flyte\n\ndef render(scene):\n    return scene\n",
    "a web page": "<!doctype html>\n<html><body>Not found</body></html>\n",
    "Markdown": "# Render\n\n```yaml\nspec_version: 1\n```\n",
    "JSON with a comma too many": '{"spec_version": 1, "task_type_name": "render",}',
    "nothing": "",
}


def test_the_spec_itself_has_no_problem(command: Command, here: Path) -> None:
    (here / "render.yaml").write_text(SPEC, encoding="utf-8")
    assert command("validate", "render.yaml").stdout == "1 spec, 0 problems\n"


@pytest.mark.parametrize("name", [*MISTAKES, *FILES])
def test_a_mistake_is_told_with_what_to_write(command: Command, here: Path, name: str) -> None:
    text = FILES.get(name, "")
    if name in MISTAKES:
        old, new = MISTAKES[name]
        assert SPEC.count(old) == 1
        text = SPEC.replace(old, new)
    (here / "render.yaml").write_text(text, encoding="utf-8")
    output = re.sub(r"allowed: .*, .*", "allowed: ...", command("validate", "render.yaml").stdout)  # the list grows
    expected = FOLDER / f"{name.replace(' ', '-').replace(',', '')}.txt"
    if os.environ.get("UPDATE_MESSAGES"):
        expected.write_text(output, encoding="utf-8")
    assert output == expected.read_text(encoding="utf-8")


def test_every_output_belongs_to_a_mistake() -> None:
    names = {f"{name.replace(' ', '-').replace(',', '')}.txt" for name in (*MISTAKES, *FILES)}
    assert {file.name for file in FOLDER.iterdir()} == names
