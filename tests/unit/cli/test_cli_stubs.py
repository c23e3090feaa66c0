"""`yaml-connector stubs`: the module works, type checkers know every task from it, and it is kept up to date."""

from __future__ import annotations

import ast
import dataclasses
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from flyte.extend import TaskTemplate
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.command_line import Command
from tests.support.docs_page import SPEC
from tests.support.paths import CATALOG, CORNERS, ROOT
from tests.support.real_processes import USER_KEYS, clean_environment, script
from yaml_connector import task_plugin
from yaml_connector._loading.loader import load, load_text, newest
from yaml_connector.cli.stubs.module_text import module_text
from yaml_connector.flyte.stub_runtime import TaskOptions

FOLDERS = {
    "connector_tasks": [ROOT / "connectors.d", ROOT / "tests" / "unit" / "flyte" / "connectors.d"],
    "catalog_tasks": [CATALOG],
    "corner_tasks": [CORNERS],
}

RIGHT = """
import asyncio
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import flyte
from connector_tasks import BatchJobConfig, BatchJobTask, TypedConfig, TypedTask, task_from_spec
from corner_tasks import CornerTypesConfig, CornerTypesTask
from flyte.io import DataFrame, Dir, File

job: BatchJobTask = BatchJobTask("job", api_key="alice-api-key", retries=3, timeout=timedelta(minutes=5))
job = BatchJobTask(name="job", plugin_config=BatchJobConfig(timeout_seconds=60))
job = BatchJobTask("job", plugin_config={"timeout_seconds": 60}, inputs={"name": str})
job = task_from_spec("batch_job", config={"timeout_seconds": 60}, secrets={"api_key": "alice-api-key"}, cache="auto")
other = task_from_spec(Path("other.yaml"), config={"anything": 1}, outputs={"rows": int})
typed = TypedTask(
    "typed",
    plugin_config=TypedConfig(
        account="a",
        queue="long",
        wait=timedelta(minutes=5),
        start=datetime.now(timezone.utc),
        tags=("a", "b"),
        sizes=[1, 2],
        ratio=1,
        limits=None,
        extra={"deep": [1, None]},
    ),
)
TypedConfig(account="a", wait="5m", start="2026-01-02T00:00:00Z", tags=["a"], env={"A": "b"}, data="s3://b/x")
env = flyte.TaskEnvironment.from_task("jobs", job, typed)
every = CornerTypesTask("every", plugin_config=CornerTypesConfig(an_int=1, a_float=1, a_datetime=datetime.now()))
few = TypedTask("few", plugin_config={"account": "a"}, outputs={"count": float})


@env.task
async def main(file: File[Any], folder: Dir[Any], frame: DataFrame) -> str:
    greeting: str = await job(name="hello")
    greeting = await job("hello")
    first, second = await asyncio.gather(job(name="a"), job(name="b"))
    result, count = await typed(name="x", rows=3, more={"any": "thing"}, weights=[0.5, 1])
    rows: int = count
    await typed(name="x", rows=rows, more=None, data=file)
    await few(name="x", rows=3, more=1)
    await every(
        a_str="a", an_int=1, a_float=1.5, a_bool=True, an_any=[1], a_datetime=datetime.now(), a_duration=timedelta(1),
        a_file=file, a_dir=folder, a_dataframe=frame, a_list=["a"], a_dict={"a": 1}, an_optional=None,
    )
    return first + second + result + greeting
"""

WRONG = """
from pathlib import Path

from connector_tasks import BatchJobConfig, BatchJobTask, TypedConfig, TypedTask, task_from_spec
from connector_tasks import BatchJbTask  # has no attribute "BatchJbTask"; maybe "BatchJobTask"?
from yaml_connector import task_from_spec as untyped

BatchJobConfig(timeout_second=60)  # Unexpected keyword argument "timeout_second" for "BatchJobConfig"; did you mean
BatchJobConfig(timeout_seconds="60")  # incompatible type "str"; expected "int"
TypedConfig()  # Missing named argument "account" for "TypedConfig"
TypedConfig(account="a", queue="medium")  # expected "Literal['short', 'long']"
TypedConfig(account="a", tags="a")  # expected "list[str] | tuple[str, ...]"
TypedConfig(account="a", wait=[])  # expected "timedelta | str | float"
BatchJobTask("job", api_kye="alice-api-key")  # Unexpected keyword argument "api_kye"
BatchJobTask("job", retrys=3)  # Unexpected keyword argument "retrys"
BatchJobTask("job", plugin_config=TypedConfig(account="a"))  # No overload variant of "BatchJobTask"
BatchJobTask("job", plugin_config={"timeout": 1})  # No overload variant of "BatchJobTask"
TypedTask("typed")  # No overload variant of "TypedTask"
task_from_spec("batch_jb")  # No overload variant of "task_from_spec"
task_from_spec("batch_job", config={"timeout": 60})  # No overload variant of "task_from_spec"
task_from_spec("batch_job", config={"timeout_seconds": "60"})  # No overload variant of "task_from_spec"
task_from_spec("batch_job", secrets={"api_kye": "alice-api-key"})  # No overload variant of "task_from_spec"
task_from_spec("typed")  # No overload variant of "task_from_spec"


async def main(job: BatchJobTask, typed: TypedTask) -> int:
    await job(nam="hello")  # Unexpected keyword argument "nam"
    await job(name=3)  # expected "str"
    await job()  # Missing positional argument "name"
    await typed(name="x", rows="3", more=1)  # expected "int"
    job(name="x").upper()  # has no attribute "upper"
    return await job(name="hello")  # got "str", expected "int"
"""

MAIN = """
import flyte
from connector_tasks import BatchJobConfig, BatchJobTask, task_from_spec

one = BatchJobTask("one", plugin_config=BatchJobConfig(timeout_seconds=60), api_key="alice-api-key")
two = task_from_spec("batch_job", name="two", config={"timeout_seconds": 60}, secrets={"api_key": "alice-api-key"})
jobs = flyte.TaskEnvironment.from_task("jobs", one, two)
env = flyte.TaskEnvironment("main", depends_on=[jobs])


@env.task
async def main(name: str) -> str:
    return await one(name=name) + await two(name=name)
"""

NAMES = """
import connector_tasks, yaml_connector
from connector_tasks import *
assert BatchJobTask is yaml_connector.task_plugin("batch_job")
assert BatchJobConfig is BatchJobTask.Config and BatchJobConfig().timeout_seconds == 300
assert task_from_spec is yaml_connector.task_from_spec
assert BatchJobSecrets is BatchJobConfigDict is dict
try:
    connector_tasks.BatchJbTask
except AttributeError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the modules for all specs of this repository."""
    folder = tmp_path_factory.mktemp("modules")
    for name, folders in FOLDERS.items():
        found = newest(item for source in folders for item in load(source))
        specs = [item.spec for _, item in sorted(found.items())]
        (folder / f"{name}.py").write_text(module_text(specs), encoding="utf-8")
    return folder


def tool(name: str, *arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """A development tool, as it is installed. What mypy finds out about others' modules is kept between runs."""
    env = clean_environment(cwd, MYPY_CACHE_DIR=str(ROOT / ".cache" / "mypy"), **variables)
    return subprocess.run([script(name), *arguments], cwd=cwd, env=env, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_mypy_takes_right_code_and_says_at_its_line_what_is_wrong(modules: Path) -> None:
    (modules / "right.py").write_text(RIGHT, encoding="utf-8")
    (modules / "wrong.py").write_text(WRONG, encoding="utf-8")
    options = ["--strict", "--follow-imports=silent", "--no-error-summary", "--hide-error-context"]
    done = tool("mypy", *options, *sorted(path.name for path in modules.glob("*.py")), cwd=modules, MYPYPATH=str(ROOT))
    errors: dict[tuple[str, int], str] = {}
    for file, line, text in re.findall(r"^(\w+)\.py:(\d+): error: (.*)$", done.stdout, re.MULTILINE):
        errors.setdefault((file, int(line)), text)
    lines = enumerate(WRONG.splitlines(), 1)
    expected = {("wrong", number): line.partition("  # ")[2] for number, line in lines if "  # " in line}
    assert len(expected) >= 20
    assert errors.keys() == expected.keys(), done.stdout
    for place, text in expected.items():
        assert text in errors[place]


@pytest.mark.slow
@pytest.mark.parametrize("width", [88, 100, 120])
def test_formatters_and_linters_leave_the_modules_as_they_are(modules: Path, width: int) -> None:
    files = [f"{name}.py" for name in FOLDERS]
    for command in (["format", "--check"], ["check", "--select", "E,F,I,UP,B"]):
        done = tool("ruff", *command, "--isolated", "--line-length", str(width), *files, cwd=modules)
        assert done.returncode == 0, done.stdout


def test_an_author_s_tasks_run_under_flyte(command: Command, here: Path, job_service_url: str) -> None:
    shutil.copytree(ROOT / "connectors.d", here / "connectors.d")
    (here / "main.py").write_text(MAIN, encoding="utf-8")
    assert command("stubs").returncode == 0
    variables = {"BATCH_URL": job_service_url, "ALICE_API_KEY": USER_KEYS["alice"]}
    done = tool("flyte", "run", "--local", "main.py", "main", "--name", "Zoë", cwd=here, **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Hello, Zoë!Hello, Zoë!" in done.stdout


@pytest.mark.slow
def test_the_names_of_the_module_are_those_of_the_specs(modules: Path) -> None:
    (modules / "connectors.d").mkdir(exist_ok=True)
    for folder in FOLDERS["connector_tasks"]:
        shutil.copytree(folder, modules / "connectors.d", dirs_exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", NAMES], cwd=modules, env=clean_environment(modules), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "module 'connector_tasks' has no 'BatchJbTask'; did you mean BatchJobTask?" in done.stdout


def test_the_options_of_every_task_are_those_of_flyte() -> None:
    given_by_the_spec = {"name", "interface", "task_type", "task_type_version"}
    given_by_flyte = {"secrets", "parent_env", "parent_env_name", "_call_as_synchronous"}
    fields = {field.name for field in dataclasses.fields(TaskTemplate) if field.init}
    assert set(TaskOptions.__annotations__) == fields - given_by_the_spec - given_by_flyte


def test_the_fields_stand_there_with_type_default_and_description(command: Command) -> None:
    done = command("stubs", str(ROOT / "tests" / "unit" / "flyte" / "connectors.d"), "--output", "-")
    assert done.returncode == 0
    for lines in (
        '        account: str\n        """Who pays. str, required."""',
        '        cpus: int = 1\n        """How many. int, default 1, from 1, up to 64."""',
        '        queue: _t.Literal["short", "long"] = "short"\n',
        '        wait: _dt.timedelta | str | float = "5m"\n',
        '        api_key: str\n        """Of the job service. From the task, else the connector\'s TYPED_API_KEY."""',
        '        """Runs a typed job. Outputs: result (str), count (int)."""',
    ):
        assert lines in done.stdout


def test_without_paths_the_specs_are_looked_for_as_always_and_check_says_when_they_changed(
    command: Command, here: Path
) -> None:
    shutil.copytree(ROOT / "connectors.d", here / "connectors.d")
    missing = command("stubs", "--check")
    assert missing.returncode == 1
    assert "connector_tasks.py does not exist: run `yaml-connector stubs`" in missing.stderr
    written = command("stubs")
    assert (written.returncode, written.stdout, written.stderr) == (0, "wrote connector_tasks.py\n", "")
    assert '"""Configuration of a task: Batch Job."""' in (here / "connector_tasks.py").read_text(encoding="utf-8")
    assert command("stubs", "--check").returncode == 0
    assert (here / "connector_tasks.py").read_text(encoding="utf-8") == command("stubs", "--output", "-").stdout
    spec = here / "connectors.d" / "batch_job.yaml"
    spec.write_text(spec.read_text(encoding="utf-8").replace("default: 300", "default: 301"), encoding="utf-8")
    changed = command("stubs", "--check")
    assert changed.returncode == 1
    assert "-        timeout_seconds: int = 300" in changed.stderr
    assert "+        timeout_seconds: int = 301" in changed.stderr
    assert "connector_tasks.py is out of date" in changed.stderr
    assert command("stubs").returncode == 0
    assert command("stubs", "--check").returncode == 0


def test_what_somebody_else_wrote_is_not_written_over(command: Command, here: Path) -> None:
    (here / "mine.py").write_text("x = 1\n", encoding="utf-8")
    done = command("stubs", str(ROOT / "connectors.d"), "--output", "mine.py")
    assert done.returncode == 1
    assert "mine.py already exists, and was not written by `yaml-connector stubs`" in done.stderr
    assert (here / "mine.py").read_text(encoding="utf-8") == "x = 1\n"
    assert command("stubs", str(ROOT / "connectors.d"), "--output", "mine.pyi").returncode == 2


def test_all_problems_of_bad_specs_are_said_and_nothing_is_written(command: Command, here: Path) -> None:
    (here / "a.yaml").write_text("spec_version: 1\n", encoding="utf-8")
    (here / "b.yaml").write_text(SPEC.format(name="b", more="config: {x: strr}"), encoding="utf-8")
    done = command("stubs", ".")
    assert done.returncode == 1
    assert "a.yaml:1:1: task_type_name: is required" in done.stderr
    assert "b.yaml:5:13: config.x: there is no type 'strr'; did you mean str?" in done.stderr
    assert not (here / "connector_tasks.py").exists()
    assert command("stubs", "nowhere").returncode == 1


@pytest.mark.parametrize(
    ("specs", "message"),
    [
        (
            {"a_b": "", "a-b": ""},
            "0.yaml:3:17: task_type_name: its class would be ABTask, like that of 'a-b' in 1.yaml",
        ),
        ({"a": "config: {class: str}"}, "config.class: a Python class cannot take a config called 'class'"),
        ({"a": "secrets: {outputs: {env: A}}"}, "secrets.outputs: a Python class cannot take a secret called"),
    ],
)
def test_what_no_python_class_can_have_is_a_problem_at_its_place(
    command: Command, here: Path, specs: dict[str, str], message: str
) -> None:
    for number, (name, more) in enumerate(specs.items()):
        (here / f"{number}.yaml").write_text(SPEC.format(name=name, more=more), encoding="utf-8")
    done = command("stubs", ".")
    assert done.returncode == 1
    assert message in done.stderr


def test_of_several_versions_the_one_counts_that_task_plugin_finds(
    command: Command, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YAML_CONNECTOR_PATH", ".")
    for file, version in (("first", 2), ("second", 10), ("a", 3)):
        more = f"task_type_version: {version}\nconfig: {{v{version}: str?}}"
        (here / f"{file}.yaml").write_text(SPEC.format(name="a", more=more), encoding="utf-8")
        text = command("stubs", "--output", "-").stdout
        found = dataclasses.fields(task_plugin("a").Config)
        assert [field.name for field in found] == re.findall(r"^        (v\d+): str \| None = ", text, re.MULTILINE)


texts = st.text(st.characters(codec="utf-8"), max_size=40) | st.sampled_from(
    ['"""', "'''", '"', "\\", '\\"""\nimport os', "\\N{DASH}", "{{ 1 }}", "# fmt: on\n", "x\x00\u2028y"]
)
names = st.sampled_from(
    ["str", "int", "list", "dict", "float", "bool", "tuple", "Any", "field", "datetime", "x", "Config"]
)


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    description=texts,
    title=texts.filter(bool),
    fields=st.dictionaries(
        names,
        st.tuples(texts, st.lists(texts | st.just("\ud800"), min_size=1, max_size=3, unique=True)),
        min_size=1,
        max_size=4,
    ),
)
def test_no_text_of_a_spec_becomes_code(description: str, title: str, fields: dict[str, tuple[str, list[str]]]) -> None:
    spec = load_text(SPEC.format(name="a", more="").encode(), "a.yaml")[0]
    assert spec is not None
    config: dict[str, Any] = {
        name: {"type": "str", "default": values[0], "enum": values, "description": about}
        for name, (about, values) in fields.items()
    }
    wild = {**spec.document.data, "name": title, "description": description, "config": config}
    module = ast.parse(module_text([type(spec.spec).model_validate(wild)]).encode("utf-8"))
    assert [type(statement) for statement in module.body] == [
        ast.Expr,
        ast.ImportFrom,
        ast.ImportFrom,
        ast.If,
        ast.Assign,
    ]
    branch = module.body[3]
    assert isinstance(branch, ast.If)
    config_class = next(node for node in branch.body if isinstance(node, ast.ClassDef) and node.name == "AConfig")
    found = [node for node in config_class.body if isinstance(node, ast.AnnAssign)]
    assert len(config_class.body) == 1 + 2 * len(fields)  # docstrings and fields, nothing else
    for node, (name, (_, values)) in zip(found, fields.items(), strict=True):
        assert isinstance(node.target, ast.Name)
        assert node.target.id == name
        assert node.value is not None
        assert ast.literal_eval(node.value) == values[0]
        assert isinstance(node.annotation, ast.Subscript)
        literals = ast.literal_eval(node.annotation.slice)
        assert literals == (tuple(values) if len(values) > 1 else values[0])


@pytest.mark.slow
def test_fields_that_are_called_as_types_are_understood(here: Path) -> None:
    more = "config: {str: str?, int: int?, list: 'list[str]?', dict: 'dict[str, int]?', x: str, Any: any?, field: str}"
    spec = load_text(SPEC.format(name="a", more=more).encode(), "a.yaml")[0]
    assert spec is not None
    (here / "connector_tasks.py").write_text(module_text([spec.spec]), encoding="utf-8")
    (here / "good.py").write_text(
        "from connector_tasks import AConfig\nAConfig(x='a', field='b', str='c', int=1, list=['d'], dict={'e': 1})\n",
        encoding="utf-8",
    )
    done = tool(
        "mypy", "--strict", "--follow-imports=silent", "good.py", "connector_tasks.py", cwd=here, MYPYPATH=str(ROOT)
    )
    assert done.returncode == 0, done.stdout
