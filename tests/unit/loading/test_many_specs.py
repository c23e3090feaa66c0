"""Many specs: a loaded one is small, and still knows where everything in it stands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import CATALOG
from yaml_connector._loading.loader import load, load_text

SPEC = (CATALOG / "databricks_job.yaml").read_text(encoding="utf-8")
NAME = "task_type_name: databricks_job"
CODE = """
import resource, sys
from yaml_connector._loading.loader import load
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
specs = load(sys.argv[1])
print(len(specs), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def write(folder: Path, number: int) -> None:
    assert NAME in SPEC
    for index in range(number):
        (folder / f"{index}.yaml").write_text(SPEC.replace(NAME, f"task_type_name: job_{index}"), encoding="utf-8")


@pytest.mark.slow
def test_a_thousand_large_specs_take_little_memory(tmp_path: Path) -> None:
    write(tmp_path, 1_000)
    done = subprocess.run([sys.executable, "-c", CODE, str(tmp_path)], capture_output=True, text=True, check=True)
    number, megabytes = map(int, done.stdout.split())
    assert number == 1_000
    assert megabytes < 120  # 55 on Linux


def test_a_loaded_spec_knows_where_its_fields_stand(tmp_path: Path) -> None:
    write(tmp_path, 1)
    [loaded] = load(tmp_path)
    lines = SPEC.splitlines()
    line, column = loaded.document.position(("get", "phase"), key=True)
    assert lines[line - 1][column - 1 :].startswith("phase:")
    line, column = loaded.document.position(("task_type_name",))
    assert column == len("task_type_name: ") + 1
    assert loaded.document.problem(("get", "phase"), "x").path == "get.phase"


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_it_does_so_after_a_byte_order_mark(mark: bytes) -> None:
    loaded, _ = load_text(mark + SPEC.encode(), "s.yaml")
    assert loaded is not None
    at = SPEC.splitlines().index(NAME) + 1
    assert loaded.document.position(("task_type_name",)) == (at, len("task_type_name: ") + 1)
