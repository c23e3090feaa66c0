"""A file of the largest size is loaded, or refused, in a few seconds and little memory, whatever is in it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.support.paths import ROOT
from tests.unit.loading.large_files import LARGE, spec
from yaml_connector._loading.loader import load_text

pytestmark = pytest.mark.slow

SECONDS = 5  # of CPU for one file, on a slow machine; most take less than one
MEGABYTES = 400


@pytest.fixture(scope="module")
def run() -> dict[str, Any]:
    """What loading every large file took, in a process of its own that gets no more memory than allowed."""
    command = [sys.executable, "-m", "tests.unit.loading.large_files", "--limit", str(2 * MEGABYTES)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {line["name"]: line for line in lines} | {"error": done.stderr}


@pytest.mark.parametrize("name", LARGE)
def test_a_large_file_takes_no_long(run: dict[str, Any], name: str) -> None:
    assert name in run, run["error"]
    assert run[name]["seconds"] < SECONDS


def test_large_files_take_little_memory(run: dict[str, Any]) -> None:
    peaks = {name: run[name]["peak"] for name in LARGE}
    assert max(peaks.values()) < MEGABYTES, max(peaks, key=lambda name: peaks[name])


@pytest.mark.parametrize("name", ["a list of lists of aliases", "a mapping of mappings of aliases"])
def test_aliases_of_aliases_are_counted(run: dict[str, Any], name: str) -> None:
    assert run[name]["first"].endswith("more than 100000 values, aliases expanded")


def test_a_long_text_that_aliases_repeat_is_counted(run: dict[str, Any]) -> None:
    assert run["a long text again and again"]["first"].endswith("more than 1 MiB of text, aliases expanded")


@pytest.mark.parametrize("mistakes", [199, 200, 201, 5_000])
def test_two_hundred_problems_are_shown_and_whether_there_are_more(mistakes: int) -> None:
    text = spec(**{f"name{index}": 1 for index in range(mistakes)})
    _, problems = load_text(text.encode(), "s.yaml")
    more = "there are more problems than the 200 reported here; correct these first"
    assert len(problems) == min(mistakes, 201)
    assert [problem.message == more for problem in problems] == [False] * min(mistakes, 200) + [True] * (mistakes > 200)


def test_a_long_name_is_cut_where_it_is_shown() -> None:
    text = spec(config={"x" * 1_000: "y" * 1_000})
    _, [problem] = load_text(text.encode(), "s.yaml")
    assert len(str(problem)) < 400
    assert problem.path == f"config.'{'x' * 56}..."
    assert problem.message.startswith("there is no type of more than")
