"""The reference is current and complete: fields, names, filters, functions, phases."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import click
import pytest

import yaml_connector
from tests.docs.doc_blocks import DOCS
from tests.support.fields import every_field
from tests.support.paths import ROOT
from yaml_connector._expressions import budget, compile, jsonpath
from yaml_connector._expressions.compile import compile_text
from yaml_connector._expressions.filters import FILTERS, FUNCTIONS
from yaml_connector._expressions.scope import Scope
from yaml_connector._expressions.value_types import SCALARS
from yaml_connector._loading import document, field_checks
from yaml_connector._spec import PHASES
from yaml_connector._spec.task_fields import TASK_NAMES
from yaml_connector.cli.explain.fields import field_of
from yaml_connector.cli.main import cli

PAGE = (DOCS / "reference.md").read_text(encoding="utf-8")
TABLES = re.findall(r"<!-- fields: (\S*) -->\n(.*?)<!-- end -->", PAGE, re.DOTALL)
EXAMPLES = re.findall(r"^\| `(\w+)[^`]*` \| [^|]+ \| `((?:[^`|]|\\\|)+)` \| `([^`]+)` \|$", PAGE, re.MULTILINE)

# Fields whose names are shown in another way: kinds of auth have a table each, phases one of their own.
ELSEWHERE = ("connection.auth", "get.phase.map", "defaults.secrets", "tests.secrets", "tests.calls.secrets")


@pytest.mark.slow
def test_the_tables_are_those_of_the_models() -> None:
    script = ROOT / "scripts" / "reference.py"
    done = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("tests", [False, True], ids=["specs", "tests"])
def test_every_field_is_in_a_table(tests: bool) -> None:
    shown = {
        (name, description)
        for path, table in TABLES
        if path.startswith("tests:") == tests
        for name, description in re.findall(r"^\| `([\w*]+)` \|.*\| ([^|]*) \|$", table, re.MULTILINE)
    }
    missing = [
        field.path
        for field in every_field(tests=tests)
        if (field.name, field.description) not in shown and not field.path.startswith(ELSEWHERE)
    ]
    assert missing == []


def test_every_field_of_a_spec_has_an_example() -> None:
    pages = "\n".join((DOCS / name).read_text(encoding="utf-8") for name in ("how-to.md", "reference.md"))
    shown = "\n".join(
        [*re.findall(r"^```yaml\n(.*?)^```", pages, re.MULTILINE | re.DOTALL), *re.findall(r"`([^`\n]+)`", pages)]
    )
    kinds = {field.name for field in field_of("connection.auth").below}  # written as `type: bearer`
    names = {field.name for field in every_field(tests=False)} - kinds - {"*"}
    assert {name for name in names if not re.search(rf"(?<![\w.]){re.escape(name)}:", shown)} == set()


def test_every_kind_of_auth_has_a_table() -> None:
    kinds = {field.name for field in field_of("connection.auth").below}
    assert kinds == {
        path.removeprefix("connection.auth.") for path, _ in TABLES if path.count(".") == 2 and "auth" in path
    }


def column(heading: str) -> set[str]:
    """All that stands as code in the first column of the tables of a section."""
    section = PAGE.split(f"\n{heading}\n", 1)[1].split("\n#", 1)[0]
    cells = re.findall(r"^\| (`.*?`) \|", section, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`(\w+)", cell)}


def test_every_filter_and_function_is_there() -> None:
    assert column("### Filters") == set(FILTERS)
    assert set(re.findall(r"`(\w+)\([^)]*\)` returns ", PAGE)) == set(FUNCTIONS)


def test_every_name_of_task_phase_and_type_is_there() -> None:
    task = next(line for line in PAGE.splitlines() if line.startswith("| `task.*`"))
    assert set(TASK_NAMES) <= set(re.findall(r"`(\w+)`", task))
    assert set(PHASES) == column("### phase") - {field.name for field in field_of("get.phase").below}
    assert set(SCALARS) <= set(re.findall(r"`(\w+)", PAGE.split("\n## Types\n")[1].split("\n## ")[0]))


@pytest.mark.parametrize(("name", "expression", "result"), EXAMPLES, ids=[example[0] for example in EXAMPLES])
def test_a_filter_gives_what_the_table_says(name: str, expression: str, result: str) -> None:
    assert name in expression
    found = compile_text("${{ " + expression.replace("\\|", "|") + " }}").evaluate(Scope())
    assert (found if isinstance(found, str) else json.dumps(found, separators=(",", ":"))) == result


def test_the_limits_are_those_of_the_code() -> None:
    section = PAGE.split("\n### Limits\n")[1].split("\n## ")[0]
    numbers = {int(number.replace(",", "")) for number in re.findall(r"\b[0-9][0-9,]*\b", section)}
    mebibyte = {document.LARGEST_FILE // 2**20}
    assert numbers == mebibyte | {
        document.MOST_NODES,
        document.DEEPEST,
        document.LONGEST_NUMBER,
        document.MOST_PROBLEMS,
        field_checks.MOST_EXPRESSIONS,
        field_checks.MOST_CHARACTERS,
        compile.LONGEST_SOURCE,
        jsonpath.LONGEST_EXTENDED,
        budget.LARGEST_TEXT,
        budget.LARGEST_RANGE,
    }


def test_every_name_of_the_package_is_there() -> None:
    section = PAGE.split("\n## Python\n")[1]
    assert set(yaml_connector.__all__) <= set(re.findall(r"`(\w+)", section))


def test_every_command_is_in_the_table_of_operations() -> None:
    section = (DOCS / "operations.md").read_text(encoding="utf-8").split("\n## Commands\n")[1].split("\n## ")[0]
    assert set(cli.list_commands(click.Context(cli))) <= set(re.findall(r"`([\w-]+)", section))
