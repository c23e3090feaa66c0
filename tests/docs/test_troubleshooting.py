"""Every message that the troubleshooting page quotes is one that a user really meets."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flyteidl2.connector.connector_pb2 import CreateTaskRequest
from flyteidl2.core.literals_pb2 import Binary, Literal, Scalar
from flyteidl2.task.common_pb2 import Inputs, NamedLiteral

from tests.docs.doc_blocks import BASE, DOCS, completed
from tests.support.fake_api import REFUSED, SIGNER, SILENT, Driver, FakeApi, job, loaded, reply, run, spec_data
from tests.support.paths import ROOT
from yaml_connector import task_from_spec
from yaml_connector._jobs.client import JobClient
from yaml_connector._jobs.create import CreateValues
from yaml_connector._jobs.signing import UNSIGNED, Signer, signer_from
from yaml_connector._loading.loader import load_all, load_text
from yaml_connector.cli.main import cli
from yaml_connector.flyte.admission import check_request
from yaml_connector.flyte.files import open_file

PAGE = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
QUOTED = re.findall(r"^### `(.+)`$", PAGE, re.MULTILINE)
HTTPS = {"base_url": "https://api.test"}
STATE = "GET /jobs/7"


def validated(part: dict[str, Any] | str) -> str:
    """What validate says of a part of a spec, or of a whole file's text."""
    text = part if isinstance(part, str) else json.dumps(completed(part))
    return "\n".join(map(str, load_text(text.encode(), "spec.yaml")[1]))


def with_text(text: str) -> str:
    """A good spec with a text behind it."""
    lines = [f"{name}: {json.dumps(section)}" for name, section in BASE.items()]
    return "\n".join([*lines, text])


def raised(act: Callable[[], Any]) -> str:
    """What is said when this fails."""
    with pytest.raises(Exception, match=r".") as caught:
        act()
    return str(caught.value)


def created(answer: Any = None, **sections: Any) -> str:
    """The message of a job whose create failed for good."""
    values = sections.pop("values", {})
    driver = Driver(FakeApi({"POST /jobs": answer or {"id": 7}, "POST /login": sections.pop("login", {})}), **sections)
    meta = driver.create(**values)
    assert meta.create_error is not None
    return meta.create_error


def got(answer: Any, *, after: float = 0, **sections: Any) -> str:
    """The message of a get."""
    return str(job({STATE: answer}, **sections).get(after=after).message)


def output_of(answer: dict[str, Any]) -> str:
    """The message of a job that succeeded, about its output `rows`."""
    routes = {"POST /jobs": {"id": 7}, STATE: {"state": "done", **answer}}
    driver = Driver(FakeApi(routes), outputs={"rows": {"type": "int", "value": "$.rows"}})
    driver.create(outputs={"rows": "int"})
    return str(driver.get().message)


def unreadable_file() -> str:
    """A create that sends a file which is not there, with the service's own reader of files."""
    connector = JobClient(loaded(spec_data(**UPLOAD)), transport=FakeApi({}).transport, files=open_file)
    values = CreateValues(inputs={"data": "/nowhere/in.csv"}, task={"key": "k"})
    return str(run(connector.create(values)).create_error)


def given_up() -> str:
    driver = job({STATE: 500})
    driver.get()
    return str(driver.get(after=601).message)


def task(**arguments: Any) -> str:
    """What is said of a task that cannot be built."""
    spec = arguments.pop("spec", ROOT / "connectors.d" / "batch_job.yaml")
    return raised(lambda: task_from_spec(spec, **arguments))


def local_run() -> str:
    """A local run in a process of its own, without the secret's variable."""
    code = (
        "import flyte, yaml_connector, os;"
        "task = yaml_connector.task_from_spec('connectors.d/batch_job.yaml', secrets={'api_key': 'alice-key-of-docs'});"
        "env = flyte.TaskEnvironment.from_task('e', task); flyte.init(local_persistence=False);"
        "flyte.with_runcontext(mode='local').run(task, name='x').outputs()"
    )
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=100).stdout


def service() -> str:
    """The service with a wrong spec."""
    command = [sys.executable, "-c", "import yaml_connector.flyte.service"]
    env = {"YAML_CONNECTOR_PATH": "docs", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=100)
    assert done.returncode != 0
    return done.stderr


def unsigned_service(folder: Path) -> str:
    """The service without a key."""
    (folder / "a.yaml").write_text(json.dumps(BASE), encoding="utf-8")
    command = [sys.executable, "-c", "import yaml_connector.flyte.service"]
    env = {"YAML_CONNECTOR_PATH": str(folder), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stderr


def doubles(folder: Path) -> str:
    for name in ("a.yaml", "b.yaml"):
        (folder / name).write_text(json.dumps(BASE), encoding="utf-8")
    return "\n".join(map(str, load_all([str(folder)])[1]))


def auth(**model: Any) -> dict[str, Any]:
    return {"connection": {**HTTPS, "auth": model}}


@contextmanager
def without(module: str) -> Iterator[None]:
    """As if a library were not installed."""
    kept = sys.modules.get(module)
    sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if kept is not None:
            sys.modules[module] = kept
        else:
            del sys.modules[module]


def without_library() -> str:
    with without("jwt"):
        return created(**auth(type="jwt", key="k"))


def follow(url: str) -> dict[str, Any]:
    """A create that asks a URL."""
    return {"create": {"request": {"method": "POST", "url": url}, "idempotent": True, "job_id": "$.id"}}


def render_value(file: Path, data: dict[str, Any]) -> str:
    file.write_text(json.dumps(data), encoding="utf-8")
    return str(file)


def reaching(folder: Path, url: str) -> str:
    """A spec of an API at this URL."""
    return render_value(folder / "example.yaml", completed({"connection": {"base_url": url}}))


def contract_report(folder: Path, **create: Any) -> str:
    """The report of a contract test with one create."""
    reaching(folder, "https://api.test")
    tests = {"tests": [{"name": "one", "calls": [{"create": create}]}]}
    return command("test", render_value(folder / "example.test.yaml", tests))


def command(*arguments: str) -> str:
    """What a command writes."""
    return CliRunner().invoke(cli, list(arguments)).output


BATCH_JOB = str(ROOT / "connectors.d" / "batch_job.yaml")
POSTED = {"request": {"method": "POST", "url": "https://api.test/jobs"}, "response": {"json": {"id": 7}}}
TOKEN = {"type": "token", "request": "POST /login", "token": "$.token"}
ANY_REGION = {"connection": {"base_url": "https://${{ config.host }}", "allowed_hosts": ["*.acme.com"]}}
PATH_OF_INPUT = {"create": {"request": "PUT /jobs/${{ inputs.name }}", "idempotent": True, "job_id": "$.id"}}
UPLOAD = {"create": {"request": {"method": "POST", "path": "/jobs", "file": "${{ inputs.data }}"}, "job_id": "$.id"}}
NO_KEY = {"create": {"request": "POST /jobs", "job_id": "$.id"}}

# Each quoted message, and what gives it.
PRODUCED: dict[str, Callable[[Path], str]] = {
    "unknown key; did you mean ...? allowed: ...": lambda _: validated({"gett": {}}),
    "is required": lambda _: validated({"create": {"request": "POST /jobs"}}),
    "must be a string, not the number ...; put quotes around it": lambda _: validated({"name": 7}),
    "not YAML: ...; put quotes around the template: inside {} and [], and where it contains ': ', YAML needs them": (
        lambda _: validated(with_text("delete: {request: {method: POST, path: ${{ job.id }}}}"))
    ),
    "not YAML: ...; put quotes around types such as 'list[str]' and 'str?' inside {} and []": (
        lambda _: validated("spec_version: 1\ninputs: {names: list[str]}")
    ),
    "not YAML: ...; indent with spaces, YAML allows no tabs there": (
        lambda _: validated(with_text("delete:\n\trequest: POST /x"))
    ),
    "duplicate key, first defined on line ...": lambda _: validated(with_text("create: {}")),
    "merge keys (<<) are not allowed": lambda _: validated(with_text("inputs: {<<: {}}")),
    "... cannot be used here; here there is: ...": lambda _: validated({"outputs": {"a": "${{ secrets.a }}"}}),
    "there is no ...; did you mean ...? there is: ...": (
        lambda _: validated({"inputs": {"name": "str"}, "outputs": {"a": "${{ inputs.nam }}"}})
    ),
    "there is no filter ...": lambda _: validated({"outputs": {"a": "${{ body.a | jsson }}"}}),
    "... is not a valid regular expression: ... is not in RE2's syntax, whose patterns take linear time": (
        lambda _: validated({"outputs": {"a": "${{ body.a | regex('(?<=id=)[0-9]+') }}"}})
    ),
    "... is not a valid regular expression: ...": lambda _: validated({"outputs": {"a": "${{ body.a | regex('(') }}"}}),
    "in a regular expression \\w knows ASCII letters only: ...": (
        lambda _: validated({"outputs": {"a": r"${{ body.a | regex('(\\w+)') }}"}})
    ),
    "a condition is a bare expression: leave ${{ and }} out": (
        lambda _: validated({"get": {"phase": {"when": "${{ body.done }}", "is": "SUCCEEDED"}}})
    ),
    "templates are not allowed in this field": lambda _: validated({"description": "for ${{ task.name }}"}),
    "give either request or steps": lambda _: validated({"delete": {}}),
    "... belongs to a request; with steps, write it in the step": (
        lambda _: validated({"delete": {"steps": [{"name": "a", "request": "POST /a"}], "success": [200]}})
    ),
    "is required in create and delete": lambda _: validated({"delete": {"request": {"path": "/a"}}}),
    "base_url uses config, so allowed_hosts is required: the hosts that a task's author may choose from": (
        lambda _: validated({"config": {"host": "str"}, "connection": {"base_url": "https://${{ config.host }}"}})
    ),
    "the value ... is mapped to both ... and ...": (
        lambda _: validated({"get": {"phase": {"path": "$.s", "map": {"RUNNING": ["on"], "FAILED": ["ON"]}}}})
    ),
    "... is not a valid duration; write it as 500ms, 10s, 5m, 24h or 7d": lambda _: validated(
        {"connection": {"timeout": 5}}
    ),
    "there is no type ...": lambda _: validated({"inputs": {"name": "string"}}),
    "lines is required for format json": lambda _: validated({"logs": {"request": "GET /log"}}),
    "has the task type ... in version ... already": doubles,
    "there is no such file or folder; specs are looked for in the path given, else in YAML_CONNECTOR_PATH, else in "
    "connectors.d/": lambda folder: str(load_all([str(folder / "none")])[1][0]),
    "an error that comes as 200 would ...: say ... here too, or ...": lambda _: source("_loading/checks.py"),
    "neither idempotent nor adopt: after a broken connection it can be unknown whether a job was submitted": (
        lambda _: validated(NO_KEY)
    ),
    "no rule maps to FAILED: failed jobs would stay RUNNING": (
        lambda _: validated({"get": {"phase": {"path": "$.s", "map": {"SUCCEEDED": ["done"]}}}})
    ),
    "no rule maps to SUCCEEDED: no job would ever succeed": (
        lambda _: validated({"get": {"phase": {"path": "$.s", "map": {"FAILED": ["done"]}}}})
    ),
    "this secret is never used": lambda _: validated({"secrets": {"api_key": {}}}),
    "TLS verification is off: traffic can be intercepted": (
        lambda _: validated({"connection": {"tls": {"verify": False}}})
    ),
    "one attempt may take longer than the deadline of the whole call": (
        lambda _: validated({"connection": {"timeout": "20s"}})
    ),
    "answered 400: ...": lambda _: created(reply(400, json={"message": "no such queue"})),
    "answered ... without a job id at ...": lambda _: created({"job": 7}),
    "it is unknown whether the job was submitted: ...": lambda _: created(SILENT, **NO_KEY),
    "${{ ... }}: ... does not exist; there is: ...": lambda _: created(
        create={"request": {"method": "POST", "path": "/jobs", "json": {"a": "${{ inputs.a }}"}}, "job_id": "$.id"}
    ),
    "is empty, and would leave out a segment of the path": (
        lambda _: created(**PATH_OF_INPUT, values={"inputs": {"name": ""}})
    ),
    "must not contain the segments '.' and '..'": lambda _: created(**PATH_OF_INPUT, values={"inputs": {"name": ".."}}),
    "the file ... cannot be read: ...": lambda _: unreadable_file(),
    "config field ...: ... is less than the minimum ...": (
        lambda _: created(config={"cpus": {"type": "int", "minimum": 2}}, values={"config": {"cpus": 1}})
    ),
    "the secret ... has more than 65536 characters; give a shorter one, or send it as a file input": (
        lambda _: created(
            **auth(type="bearer", token="${{ secrets.api_key }}"),
            secrets={"api_key": {}},
            values={"secrets": {"api_key": "x" * 65537}},
        )
    ),
    "the secret ... is missing: ...": lambda _: created(
        **auth(type="bearer", token="${{ secrets.api_key }}"), secrets={"api_key": {"env": "KEY"}}
    ),
    "answered 401: ...": lambda _: created(reply(401, json={"message": "who are you?"})),
    "answered ... without a token": lambda _: raised(lambda: created(**auth(**TOKEN))),
    "this spec's auth needs a library: pip install 'yaml-connector[...]'": lambda _: raised(without_library),
    "the JWT cannot be signed with ... and this key ...": lambda _: created(**auth(type="jwt", key="no key")),
    "aws_sigv4: the spec has no keys, and botocore's credential chain finds none": lambda _: source(
        "_http/auth/cloud.py"
    ),
    "cannot be connected to: ...": lambda _: raised(lambda: created(REFUSED)),
    "gave no complete answer within ... s": lambda _: raised(lambda: created(SILENT)),
    "the host ... is not allowed; no request was sent; "
    "add it to allowed_hosts (or to public_hosts, without credentials)": (
        lambda _: created(**follow("https://other.test/jobs"))
    ),
    "is not encrypted, but base_url is; no request was sent": lambda _: created(
        **follow("http://other.test/jobs"), connection={**HTTPS, "allowed_hosts": ["other.test"]}
    ),
    "the name resolves to a link-local or metadata address, which is refused": lambda _: source("_http/transport.py"),
    "the config leads to ..., which allowed_hosts does not name": (
        lambda _: created(**ANY_REGION, config={"host": "str"}, values={"config": {"host": "evil.test"}})
    ),
    "answered ... with more than ... MiB (max_response)": (
        lambda _: got({"a": "x" * 2000}, connection={**HTTPS, "max_response": "1KiB"})
    ),
    "unreadable since ...: ...": lambda _: got(500),
    "given up ...": lambda _: given_up(),
    "unknown state: ... at ...; no phase rule of the spec maps it": lambda _: got({"state": "odd"}),
    "the API does not know the job yet (...)": lambda _: got(404),
    "the job no longer exists: ...": lambda _: got(404, after=61),
    "answered 200 with no JSON (...)": lambda _: got(reply(200, html="<p>Please log in</p>")),
    "the output ... is not at ..., and has no default": lambda _: output_of({}),
    "the output ... at ...: ... is not a valid int": lambda _: output_of({"rows": "many"}),
    "the API reports state ...": lambda _: got({"state": "error"}),
    "tasks of the ... ... may not use this connector; it allows: ...; nothing was submitted": lambda _: created(
        allow={"projects": ["data"]}
    ),
    "the input ... is refused: ...; nothing was submitted": lambda _: refused_input(),
    "the spec that was kept with the job cannot be read ...": lambda _: kept_by_another(),
    "invalid log token; omit it to read from the start": lambda _: raised(
        lambda: job({}, logs={"request": "GET /log", "format": "text"}).logs("???")
    ),
    "there is no spec ... in ...": lambda _: task(spec="batch_jobs"),
    "has no config field ...": lambda _: task(config={"timeout": 5}),
    "config field ... is required": lambda _: task(spec=TYPED, config={}),
    "config field ...: ... is not allowed; allowed: ...": lambda _: task(
        spec=TYPED, config={"account": "a", "queue": "huge"}
    ),
    "has no secret ...": lambda _: task(secrets={"key": "k"}),
    "has no input ...": lambda _: task(inputs={"title": str}),
    "is ... in the spec, and ... is something else": lambda _: task(inputs={"name": int}),
    "the type ... cannot be used; allowed are ...": lambda _: task(outputs={"result": set}),
    "is called ... in Flyte's store; in a local run it comes from the environment: set ...": lambda _: local_run(),
    "...: the connector service does not start": lambda _: service(),
    "the spec that was kept with the job does not fit the loaded one any more: ...": lambda _: after_a_change(),
    "the spec has changed since the job was created, and now uses ..., which was not kept with the job; ...": (
        lambda _: after_a_change(UNSIGNED)
    ),
    "the job was not made by this service: ...; see YAML_CONNECTOR_SIGNING_KEY": lambda _: kept_bytes(b"{}"),
    "the job was created by another version of the connector": lambda _: kept_bytes(b'{"v": 3}', UNSIGNED),
    "what is kept of the job has ... bytes, and ... are the most: ...": lambda _: too_large(),
    "... bytes, at least 32 are needed; make one with: openssl rand -hex 32": lambda _: raised(
        lambda: signer_from({"YAML_CONNECTOR_SIGNING_KEY": "x"})
    ),
    "warning: without YAML_CONNECTOR_SIGNING_KEY jobs are not signed: ...": lambda folder: unsigned_service(folder),
    "sent and not recorded: ...": lambda folder: contract_report(folder, exchanges=[]),
    "recorded and not sent: ...": lambda folder: contract_report(folder, exchanges=[POSTED, POSTED]),
    "what was sent is not what was recorded: ...": lambda folder: contract_report(
        folder, exchanges=[{"request": {"method": "POST", "url": "https://api.test/other"}}]
    ),
    "not as expected": lambda folder: contract_report(folder, exchanges=[POSTED], expect={"job_id": "8"}),
    "reached by no test of ...": lambda folder: contract_report(folder, exchanges=[POSTED]),
    "there is no spec ... beside this file": lambda folder: command(
        "test", render_value(folder / "alone.test.yaml", {"tests": [{"name": "a", "calls": [{"create": {}}]}]})
    ),
    "the certificate is not trusted: ...": lambda _: source("cli/check/preflight.py"),
    "... cannot be resolved: ...": lambda folder: command("check", reaching(folder, "https://api.invalid")),
    "... does not answer within ... s (a firewall?)": lambda _: source("cli/check/preflight.py"),
    "the secret ...: the variable ... is not set": lambda _: command(
        "run", BATCH_JOB, "--input", "name=x", "--secret", "api_key=env:NONE"
    ),
    "the secret ...: write it as ...=env:VARIABLE or ...=file:PATH": (
        lambda _: command("run", BATCH_JOB, "--input", "name=x", "--secret", "api_key=4711")
    ),
    "... needs: --input ...": lambda _: command("run", BATCH_JOB),
    "it could not be cancelled: ...": lambda _: source("cli/_live/interactive_run.py"),
}
TYPED = ROOT / "tests" / "unit" / "flyte" / "connectors.d" / "typed.yaml"


def source(module: str) -> str:
    """A module's text, for what depends on the machine (name server, firewall, AWS keys) or on a Ctrl-C."""
    return (ROOT / "yaml_connector" / module).read_text(encoding="utf-8")


def refused_input() -> str:
    """What a caller reads whose task holds a pickle."""
    pickled = Literal(scalar=Scalar(binary=Binary(value=b"", tag="pickle")))
    request = CreateTaskRequest(inputs=Inputs(literals=[NamedLiteral(name="x", value=pickled)]))
    return raised(lambda: check_request(request))


def kept_by_another() -> str:
    """A job whose kept spec is none that this version knows."""
    driver = job({STATE: {"state": "running"}})
    meta = driver.connector.decode(driver.kept)
    meta.digest, meta.snapshot = "another", "????"
    driver.kept = driver.connector.encode(meta)
    return str(driver.get().message)


def after_a_change(signer: Signer = SIGNER) -> str:
    """A job whose spec has changed: it used a config field that is gone, and now uses an input."""
    old = {"request": "GET /${{ config.region }}/${{ job.id }}", "phase": {"is": "RUNNING"}}
    driver = job({}, signer=signer, config={"region": {"type": "str", "default": "eu"}}, get=old)
    new = {"request": "GET /${{ inputs.name }}/${{ job.id }}", "phase": {"is": "RUNNING"}}
    driver.use(spec_data(inputs={"name": "str"}, get=new))
    return str(driver.get().message)


def kept_bytes(kept: bytes, signer: Signer = SIGNER) -> str:
    """What is said of a job with these bytes."""
    driver = Driver(FakeApi(), signer=signer)
    driver.kept = kept
    return str(driver.get().message)


def too_large() -> str:
    """A job that saves too much."""
    create = {"request": "POST /jobs", "idempotent": True, "job_id": "$.id", "save": {"all": "$.all"}}
    driver = Driver(FakeApi({"POST /jobs": {"id": 7, "all": "x" * 2**20}}), create=create)
    driver.create()
    return str(driver.get().message)


def test_every_message_is_produced_here() -> None:
    assert sorted(PRODUCED) == sorted(QUOTED)


@pytest.mark.slow
@pytest.mark.parametrize("message", QUOTED)
def test_a_message_is_what_a_user_meets(message: str, tmp_path: Path) -> None:
    said = PRODUCED[message](tmp_path)
    pattern = re.escape(message).replace(re.escape("..."), ".*?")
    assert re.search(pattern, " ".join(said.split()), re.DOTALL), said
