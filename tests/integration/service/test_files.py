"""File inputs of a service: object stores alone, bounded by YAML_CONNECTOR_FILE_PREFIXES, read from a real S3 server's
protocol. A stored object is a case of the scripted API, whose URL is the store's endpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from flyte.io import File
from flyteidl2.connector.connector_pb2 import CreateTaskRequest
from flyteidl2.connector.service_pb2_grpc import AsyncConnectorServiceStub
from flyteidl2.core.security_pb2 import Connection

from tests.support.flyte_side import FlyteSide, Job, metadata_of, state, template_of
from tests.support.real_api import RealApi, Received
from tests.support.real_processes import clean_environment, script, started
from tests.support.serving import serving
from yaml_connector import task_from_spec
from yaml_connector.errors import ConfigError
from yaml_connector.flyte.files import restrict_files

SPECS = Path(__file__).parent / "connectors.d"
CONTENT = bytes(range(256)) * 12_001  # 3 MB, several pieces
USES_PREFIX = """
spec_version: 1
task_type_name: uses_prefix
connection: {base_url: "${{ env.REAL_API }}/inputs"}
create: {request: {method: POST, path: /jobs, json: {to: "${{ task.output_prefix }}"}}, job_id: $.id, idempotent: true}
get: {request: "GET /jobs/${{ job.id }}?to=${{ task.output_prefix }}", phase: [{is: RUNNING}]}
"""
OUTSIDE = [
    "/proc/self/environ",
    "file:///proc/self/environ",
    "/tmp/../proc/self/environ",
    "simplecache::file:///proc/self/environ",
    "simplecache::s3://team-bucket/in/a.bin",
    "local:///proc/self/environ",
    "/etc/passwd",
    ".env",
    "connectors.d/any_inputs.yaml",
    "../../vault/secrets/key",
    "{home}/.aws/credentials",
    "{home}/link",
    "http://127.0.0.1:1/latest/meta-data",
    "https://team-bucket/in/a.bin",
    "memory://a",
    "ftp://a/b",
    "data:,abc",
    "s3:/team-bucket/in/a.bin",
    "s3:team-bucket/in/a.bin",
    "",
    "\0",
]
ELSEWHERE = [
    "s3://other-bucket/in/a.bin",
    "s3://team-bucket-2/in/a.bin",
    "s3://team-bucket/a.bin",
    "s3://team-bucket/into/a.bin",
    "s3://team-bucket/in/../a.bin",
    "s3://team-bucket/in/..",
    "s3://team-bucket/../other-bucket/in/a.bin",
    "s3://team-bucket/in/%2e%2e/a.bin",
    "s3://team-bucket/in/%2E./a.bin",
    "s3://team-bucket/in/%252e%252e/a.bin",
    "s3://team-bucket/in/..%2fa.bin",
    "s3://team-bucket/in/..%5ca.bin",
    "s3://team-bucket/in/..\\a.bin",
    "s3://team-bucket/in/./a.bin",
    "s3://team-bucket%2fin/a.bin",
    "s3://TEAM-BUCKET/in/a.bin",
    "S3://team-bucket/in/a.bin",
    "s3a://team-bucket/in/a.bin",
    "s3://user@team-bucket/in/a.bin",
    "s3://team-bucket@other-bucket/in/a.bin",
    "s3://team-bucket:80/in/a.bin",
    "s3://team-bucket/in/a\0.bin",
    "s3://team-bucket/in/a\n.bin",
    "s3://team-bucket/in/%00",
    "s3:///team-bucket/in/a.bin",
    " s3://team-bucket/in/a.bin",
    "gs://team-bucket/in/a.bin",
    "abfs://in@account.evil.test/a.bin",
    "s3://team-bucket/in/" + "a" * 3000,
]


@pytest.fixture(scope="module")
def bounded(tmp_path_factory: pytest.TempPathFactory, api: RealApi) -> Iterator[tuple[FlyteSide, Path]]:
    """The service with prefixes, and its home."""
    home = tmp_path_factory.mktemp("home")
    (home / ".aws").mkdir()
    (home / ".aws" / "credentials").write_text("the connector's own")
    (home / ".env").write_text("the connector's own")
    (home / "link").symlink_to("/proc/self/environ")
    specs = home / "connectors.d"
    specs.mkdir()
    (specs / "any_inputs.yaml").write_text((SPECS / "any_inputs.yaml").read_text())
    (specs / "uses_prefix.yaml").write_text(USES_PREFIX)
    variables = {
        "REAL_API": api.url,
        "FLYTE_AWS_ENDPOINT": api.url,
        "FLYTE_AWS_ACCESS_KEY_ID": "key",
        "FLYTE_AWS_SECRET_ACCESS_KEY": "planted-store-secret",
        "YAML_CONNECTOR_FILE_PREFIXES": "s3://team-bucket/in/, s3://open-bucket",
    }
    with serving(home, specs, **variables) as service, FlyteSide(service.port) as calls:
        yield calls, home
        assert "planted-store-secret" not in service.process.output
        assert "Traceback" not in service.process.output


def stored(received: Received) -> web.Response:
    """An object as S3 sends it."""
    if received.parts[-1] == "secret.bin":
        return web.Response(status=403, text="<Error><Code>AccessDenied</Code></Error>")
    if received.parts[-1] != "a b.bin":
        return web.Response(status=404, text="<Error><Code>NoSuchKey</Code></Error>")
    headers = {"ETag": '"1"', "Last-Modified": "Fri, 27 Nov 2026 08:00:00 GMT", "Accept-Ranges": "bytes"}
    asked = received.headers.get("Range", "").removeprefix("bytes=")
    if not asked or received.method == "HEAD":
        return web.Response(body=CONTENT, headers=headers)
    start, _, end = asked.partition("-")
    last = min(int(end or len(CONTENT) - 1), len(CONTENT) - 1)
    headers["Content-Range"] = f"bytes {start}-{last}/{len(CONTENT)}"
    return web.Response(status=206, body=CONTENT[int(start) : last + 1], headers=headers)


@pytest.fixture
def upload(bounded: tuple[FlyteSide, Path], api: RealApi) -> Callable[[str], Any]:
    """Runs a task with a file input, and gives what Flyte is told of it."""
    calls, home = bounded
    api.case("inputs", lambda received: {"id": "1"})
    for bucket in ("team-bucket", "open-bucket", "other-bucket"):
        api.case(bucket, stored)
    task = task_from_spec(SPECS / "any_inputs.yaml", inputs={"upload": File})

    def run(uri: str) -> Any:
        uri = uri.replace("{home}", str(home))
        return calls.get(calls.create(task, "upload", upload=File(path=uri, name="a")))

    return run


@pytest.mark.parametrize("uri", ["s3://team-bucket/in/a b.bin", "s3://open-bucket/x/y/a b.bin"])
def test_a_file_below_a_prefix_is_sent_as_its_content_to_the_last_byte(
    upload: Callable[[str], Any], api: RealApi, uri: str
) -> None:
    resource = upload(uri)
    assert state(resource) == "SUCCEEDED", resource.message
    sent, submit = api.received("inputs", "POST")
    assert sent.parts == ("files",)
    assert sent.body == CONTENT
    assert submit.json == {"upload": uri}


@pytest.mark.parametrize("uri", OUTSIDE + ELSEWHERE, ids=lambda uri: repr(uri)[:60])
def test_any_other_place_is_refused_and_nothing_of_it_is_read(
    upload: Callable[[str], Any], api: RealApi, uri: str
) -> None:
    resource = upload(uri)
    assert state(resource) == "FAILED"
    assert " cannot be read: " in resource.message
    assert api.received("inputs", "POST") == []
    assert not any(api.received(bucket) for bucket in ("team-bucket", "open-bucket", "other-bucket"))


@pytest.mark.parametrize(("name", "reason"), [("missing.bin", "it is not there"), ("secret.bin", "the store says ")])
def test_a_store_that_refuses_fails_the_job_with_words(upload: Callable[[str], Any], name: str, reason: str) -> None:
    resource = upload(f"s3://team-bucket/in/{name}")
    assert state(resource) == "FAILED"
    assert f"the file s3://team-bucket/in/{name} cannot be read: {reason}" in resource.message


@pytest.mark.parametrize("prefix", ["file:///etc", "/etc", "s3://other-bucket/x", "s3://team-bucket/in/../x", "\0"])
def test_an_output_prefix_is_bounded_where_a_spec_uses_it(
    bounded: tuple[FlyteSide, Path], api: RealApi, prefix: str
) -> None:
    calls, home = bounded
    api.case("inputs", lambda received: {"id": "1"})
    assert state(created(calls, home, "s3://open-bucket/runs/1")) == "RUNNING"
    assert api.received("inputs", "POST")[0].json == {"to": "s3://open-bucket/runs/1"}
    resource = created(calls, home, prefix)
    assert state(resource) == "FAILED"
    assert resource.message.startswith("the output prefix ")
    assert len(api.received("inputs", "POST")) == 1


def created(calls: FlyteSide, home: Path, prefix: str) -> Any:
    task = task_from_spec(home / "connectors.d" / "uses_prefix.yaml")
    request = CreateTaskRequest(
        template=template_of(task), output_prefix=prefix, task_execution_metadata=metadata_of(task, "prefix")
    )
    kept = AsyncConnectorServiceStub(calls.channel).CreateTask(request, timeout=10).resource_meta
    return calls.get(Job(task, bytes(kept), Connection()))


@pytest.mark.parametrize("prefixes", ["/etc", "s3://", "s3://a/../b", "s3://a, http://b/"])
def test_a_prefix_that_is_none_is_refused(prefixes: str) -> None:
    with pytest.raises(ConfigError, match=r"YAML_CONNECTOR_FILE_PREFIXES: .* is not a place in an object store"):
        restrict_files(prefixes)


def test_a_prefix_that_is_none_stops_the_start(tmp_path: Path) -> None:
    command = [script("yaml-connector"), "serve", "--port", "0", "--specs", str(SPECS / "any_inputs.yaml")]
    env = clean_environment(tmp_path, YAML_CONNECTOR_FILE_PREFIXES="s3://a, http://b/")
    with started(command, cwd=tmp_path, env=env, log=tmp_path / "log") as process:
        assert process.wait() == 1
        assert "YAML_CONNECTOR_FILE_PREFIXES: " in process.output
        assert "Traceback" not in process.output
