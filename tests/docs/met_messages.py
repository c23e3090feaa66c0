"""What the tests of the troubleshooting page do to meet its messages."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import flyte
import pytest
from click.testing import CliRunner
from flyte.models import CodeBundle, SerializationContext
from flyteidl2.connector.connector_pb2 import CreateTaskRequest
from flyteidl2.core.literals_pb2 import Binary, Literal, Scalar
from flyteidl2.core.tasks_pb2 import TaskTemplate
from flyteidl2.task.common_pb2 import Inputs, NamedLiteral

from tests.docs.doc_blocks import BASE, completed
from tests.support.fake_api import SIGNER, Driver, FakeApi, job, loaded, run, spec_data
from tests.support.loops import steady_loops
from tests.support.paths import CATALOG, ROOT
from tests.support.ports import held_port
from yaml_connector import task_from_spec, task_plugin
from yaml_connector._jobs.client import JobClient
from yaml_connector._jobs.create import CreateValues
from yaml_connector._jobs.meta import JobMeta
from yaml_connector._jobs.signing import UNSIGNED, Signer
from yaml_connector._loading.loader import load_all, load_text
from yaml_connector._loading.shared_type import SHARED_VARIABLE
from yaml_connector.cli.main import cli
from yaml_connector.flyte.admission import check_request
from yaml_connector.flyte.connector import JobResourceMeta
from yaml_connector.flyte.files import FlyteFiles
from yaml_connector.flyte.routing import JobRouter, prepare

HTTPS = {"base_url": "https://api.test"}
STATE = "GET /jobs/7"
BATCH_JOB = str(ROOT / "connectors.d" / "batch_job.yaml")
POSTED = {"request": {"method": "POST", "url": "https://api.test/jobs"}, "response": {"json": {"id": 7}}}
TOKEN = {"type": "token", "request": "POST /login", "token": "$.token"}
ANY_REGION = {"connection": {"base_url": "https://${{ config.host }}", "allowed_hosts": ["*.acme.com"]}}
PATH_OF_INPUT = {"create": {"request": "PUT /jobs/${{ inputs.name }}", "idempotent": True, "job_id": "$.id"}}
UPLOAD = {"create": {"request": {"method": "POST", "path": "/jobs", "file": "${{ inputs.data }}"}, "job_id": "$.id"}}
NO_KEY = {"create": {"request": "POST /jobs", "job_id": "$.id"}}
TYPED = ROOT / "tests" / "unit" / "flyte" / "connectors.d" / "typed.yaml"


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
    """The message of a job whose create failed, for good or for now."""
    values = sections.pop("values", {})
    driver = Driver(FakeApi({"POST /jobs": answer or {"id": 7}, "POST /login": sections.pop("login", {})}), **sections)
    meta = driver.create(**values)
    return meta.create_error or str(driver.get().message)


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
    connector = JobClient(loaded(spec_data(**UPLOAD)), transport=FakeApi({}).transport, files=FlyteFiles())
    values = CreateValues(inputs={"data": "/nowhere/in.csv"}, task={"key": "k"})
    return str(run(connector.create(values)).create_error)


def given_up() -> str:
    driver = job({STATE: 500})
    driver.get()
    return str(driver.get(after=601).message)


def unsubmitted(*, after: float = 0, changed: bool = False) -> str:
    """The message of a get of a job that is not submitted yet."""
    driver = Driver(FakeApi({"POST /jobs": 503}))
    driver.create()
    if changed:
        driver.use({**driver.data, "connection": {"base_url": "https://elsewhere.test"}})
    return str(driver.get(after=after).message)


def task(**arguments: Any) -> str:
    """What is said of a task that cannot be built."""
    spec = arguments.pop("spec", ROOT / "connectors.d" / "batch_job.yaml")
    return raised(lambda: task_from_spec(spec, **arguments))


def function_of(spec: str, config: Mapping[str, Any] | None = None, **options: Any) -> str:
    """What is said of a decorated function that cannot be a task of this spec of the catalog."""
    values = task_plugin(CATALOG / f"{spec}.yaml").Config(**(config or {}))

    async def function() -> int:
        return 1

    return raised(lambda: flyte.TaskEnvironment("functions", plugin_config=values, **options).task(function))


def bundle_without_spec() -> str:
    """What is said of a function whose code travels without the spec."""
    environment = flyte.TaskEnvironment("functions", plugin_config=task_plugin(CATALOG / "nomad_job.yaml").Config())

    async def function() -> int:
        return 1

    made: Any = environment.task(function)
    bundle = CodeBundle(computed_version="v", tgz="s3://bucket/code.tgz", files=["main.py"])
    return raised(lambda: made.custom_config(SerializationContext(version="v", root_dir=CATALOG, code_bundle=bundle)))


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


def source(module: str) -> str:
    """A module's text, for what depends on the machine (name server, firewall, AWS keys) or on a Ctrl-C."""
    return (ROOT / "yaml_connector" / module).read_text(encoding="utf-8")


def not_submitted() -> str:
    """What `run --timeout` says of an API that is away."""
    with held_port() as port, TemporaryDirectory() as folder, steady_loops():
        # requests at 0, 0.5 and 1.5 s: the time is over in a pause
        spec = {**BASE, "connection": {"base_url": f"http://127.0.0.1:{port}", "retry": {"max_attempts": 1}}}
        file = Path(folder, "away.yaml")
        file.write_text(json.dumps(spec), encoding="utf-8")
        return CliRunner().invoke(cli, ["run", str(file), "--timeout", "1s"]).output


def refused_input() -> str:
    """What a caller reads whose task holds a pickle."""
    pickled = Literal(scalar=Scalar(binary=Binary(value=b"", tag="pickle")))
    request = CreateTaskRequest(inputs=Inputs(literals=[NamedLiteral(name="x", value=pickled)]))
    return raised(lambda: check_request(request))


def kept_by_another() -> str:
    """A job whose kept spec is none that this version knows."""
    driver = job({STATE: {"state": "running"}})
    meta = replace(driver.connector.decode(driver.kept), digest="another", snapshot="????")
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


def unplaced(task_type: str, **variables: str) -> str:
    """What a caller reads who creates a task of a type that the service does not have."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        return raised(lambda: prepare(CreateTaskRequest(template=TaskTemplate(type=task_type))))


def claiming(spec: str) -> str:
    """What a caller reads whose task of the shared type claims to belong to this spec."""
    template = TaskTemplate(type="shared")
    template.custom.update({"spec": spec})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SHARED_VARIABLE, "shared")
        return raised(lambda: prepare(CreateTaskRequest(template=template)))


def of_the_shared_type() -> str:
    """What is said of a spec that has the shared type itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SHARED_VARIABLE, "batch_job")
        return task()


def without_a_spec() -> str:
    """What get says of a job whose spec is not there."""
    kept = JobResourceMeta(JobMeta("removed", id="7").encode())
    return str(run(JobRouter(UNSIGNED, None).get(kept)).message)


def too_large() -> str:
    """A job that saves too much."""
    create = {"request": "POST /jobs", "idempotent": True, "job_id": "$.id", "save": {"all": "$.all"}}
    driver = Driver(FakeApi({"POST /jobs": {"id": 7, "all": "x" * 2**20}}), create=create)
    driver.create()
    return str(driver.get().message)
