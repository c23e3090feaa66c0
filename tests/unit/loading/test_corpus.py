"""What the fuzzer found, and what is like it, stays mended: each file of `corpus/` once more, and a few new cases."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.unit.loading.loading_holds import contract_holds, spec_holds
from yaml_connector._loading.document import parse

HERE = Path(__file__).parent
CORPUS = sorted((HERE / "corpus").glob("*.yaml"))


@pytest.mark.parametrize("file", CORPUS, ids=lambda file: file.name)
def test_a_file_of_the_corpus_gives_problems_or_a_spec(file: Path) -> None:
    spec_holds(file.read_bytes())


@pytest.mark.slow
@pytest.mark.parametrize("file", CORPUS, ids=lambda file: file.name)
def test_as_contract_tests_too(file: Path) -> None:
    contract_holds(file.read_bytes())


@pytest.mark.slow
def test_new_cases_of_every_kind_give_nothing_else() -> None:
    command = [sys.executable, "-m", "tests.integration.fuzz.fuzz", "--cases", "1000"]  # `make fuzz` has 100,000
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("a: &a [1, &b {c: 2}]\nd: [*a, *b]", {"a": [1, {"c": 2}], "d": [[1, {"c": 2}], {"c": 2}]}),
        ("a: &a [&a x, *a]\nb: *a", {"a": ["x", "x"], "b": ["x", "x"]}),
        ("a: &a 1\nb: &b [*a]\nc: &a 2\nd: [*a, *b]", {"a": 1, "b": [1], "c": 2, "d": [2, [1]]}),
        ("a: &a {b: &b [1], c: *b}\nd: *a", {"a": {"b": [1], "c": [1]}, "d": {"b": [1], "c": [1]}}),
    ],
)
def test_an_alias_is_what_its_anchor_was_when_it_was_written(text: str, data: object) -> None:
    document = parse(text.encode(), "s.yaml")
    assert document.problems == []
    assert document.data == data
