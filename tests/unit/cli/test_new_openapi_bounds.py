"""`yaml-connector new --from-openapi`: documents that are hostile, huge or elsewhere."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.support.command_line import Command
from tests.unit.cli.test_new_openapi import answers, document, drafted, job, simple

BOMBS = {
    "laughs": "x:\n- &a0 [lol, lol]\n"
    + "".join(f"- &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9))
    + "openapi: 3.0.0\n",
    "merges": "x:\n- &a0 {a: 1}\n"
    + "".join(f"- &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 9)),
    "in itself": "openapi: 3.0.0\nx: &a {b: *a}\n",
    "deep YAML": "a: " + "[" * 200_000,
    "deep JSON": '{"openapi": "3.0.0", "a": ' + "[" * 200_000,
    "compact": "- " * 100_000,
}


@pytest.mark.parametrize("content", BOMBS.values(), ids=BOMBS)
def test_a_document_that_grows_or_is_deep_is_told_at_once(command: Command, content: str) -> None:
    Path("api.yaml").write_text(content, encoding="utf-8")
    done = command("new", "mine", "--from-openapi", "api.yaml")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: api.yaml ")
    assert len(done.stderr.splitlines()) == 1


def test_parts_that_multiply_are_merged_in_bounded_time(command: Command) -> None:
    schemas = {
        "A": {"allOf": [{"$ref": "#/components/schemas/B"}] * 50, **job()},
        "B": {"allOf": [{"$ref": "#/components/schemas/A"}] * 50},
    }
    schema = {"$ref": "#/components/schemas/A"}
    drafted(command, simple(answers(schema), answers(schema), components={"schemas": schemas}))


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "file:///etc/passwd", "http://127.0.0.1:9/x", "../x", "\0", "y" * 5000]
)
def test_a_reference_out_of_the_folder_is_not_followed_and_said_so(command: Command, name: str) -> None:
    _, done = drafted(command, simple(get=answers({"allOf": [{"$ref": name}, job()]})))
    assert "not used: the reference to " in done.stdout
    assert "root:" not in Path("connectors.d/mine.yaml").read_text(encoding="utf-8")


def test_the_calls_are_listed_if_several_may_submit_and_none_is_a_jobs(command: Command) -> None:
    paths = {f"/{noun}": {"post": {}} for noun in ("quota", "volumes")}
    paths |= {f"/{noun}/{{id}}": {"get": {}} for noun in ("quota", "volumes")}
    Path("api.json").write_text(json.dumps(document(paths)), encoding="utf-8")
    done = command("new", "mine", "--from-openapi", "api.json")
    assert (done.returncode, "It has: POST /quota, POST /volumes" in done.stderr) == (1, True)


def test_a_task_that_is_read_elsewhere_is_found_and_marked(command: Command) -> None:
    paths = {"/text_to_image": {"post": answers(job())}, "/tasks/{id}": {"get": answers(job())}}
    spec, done = drafted(command, document(paths))
    assert spec["get"]["request"] == "GET /tasks/${{ job.id }}"
    assert "does GET /tasks/{id} read what POST /text_to_image submits?" in done.stdout


def test_states_that_end_in_a_word_for_a_failure_are_failures(command: Command) -> None:
    states = ["COMPLETE", "EXECUTOR_ERROR", "TIMEOUT_EXCEEDED", "CANCELLATION_REQUESTED", "NOT_FAILED"]
    answer = {"properties": {"state": {"type": "string", "enum": states}}}
    spec, done = drafted(command, simple(get=answers(answer)))
    assert spec["get"]["phase"]["map"]["FAILED"] == ["EXECUTOR_ERROR", "TIMEOUT_EXCEEDED"]
    assert "count as RUNNING: NOT_FAILED" in done.stdout


@pytest.mark.slow
def test_a_big_document_is_read_in_bounded_time(command: Command) -> None:
    wide = {"type": "object", "properties": {f"field_{n}": {"$ref": "#/components/schemas/Wide"} for n in range(200)}}
    paths: dict[str, Any] = {}
    for number in range(400):
        paths[f"/things{number}/jobs"] = {"post": answers({"$ref": "#/components/schemas/Wide"})}
        paths[f"/things{number}/jobs/{{id}}"] = {"get": answers({"$ref": "#/components/schemas/Wide"})}
    drafted(command, document(paths, components={"schemas": {"Wide": wide}}))


class _Documents(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        content = json.dumps(simple()).encode() if self.path == "/api.json" else b""
        self.send_response(200 if content else 404)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: Any) -> None:
        pass


def test_a_document_at_a_url_is_read(command: Command) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Documents)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}"
        done = command("new", "mine", "--from-openapi", f"{url}/api.json")
        assert done.returncode == 0, done.stderr
        done = command("new", "mine", "--from-openapi", f"{url}/none")
        assert (done.returncode, f"{url}/none cannot be read" in done.stderr) == (1, True)
    finally:
        server.shutdown()
        server.server_close()
