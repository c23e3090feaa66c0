"""Every YAML block of every page is a good spec, a part of one, or a contract test that passes."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.docs.doc_blocks import BASE, DOCS, Block, blocks, completed, data_of, is_tests, loaded, slug
from tests.support.paths import ROOT
from yaml_connector.testing.loader import load_tests
from yaml_connector.testing.report import file_lines
from yaml_connector.testing.runner import run_tests

PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted(DOCS.glob("*.md"))]
YAML = [block for page in PAGES for block in blocks(page) if block.kind == "yaml"]
SPECS = [block for block in YAML if not block.file.startswith(".")]


def how_tos() -> Iterator[tuple[str, Block]]:
    """The examples of the how-to page by name: the heading's anchor, the second example of a heading with `.2`."""
    seen: Counter[str] = Counter()
    for block in blocks(DOCS / "how-to.md"):
        if block.kind == "yaml":
            name = slug(block.heading)
            seen[name] += 1
            yield name if seen[name] == 1 else f"{name}.{seen[name]}", block


HOW_TO = dict(how_tos())
HOW_TO_FILES = Path(__file__).parent / "how-to"
HOW_TO_TESTS = sorted(HOW_TO_FILES.glob("*.test.yaml"))


def passes(spec: dict[str, object], tests: str, folder: Path) -> None:
    """The contract tests pass against the spec."""
    (folder / "example.yaml").write_text(json.dumps(spec), encoding="utf-8")
    shutil.copy(HOW_TO_FILES / "data.csv", folder)
    file = folder / "example.test.yaml"
    file.write_text(tests, encoding="utf-8")
    found, problems = load_tests(file.read_bytes(), str(file))
    assert [str(problem) for problem in problems] == []
    assert found is not None
    result = run_tests(found)
    assert all(test.passed for test in result.results), "\n".join(file_lines(result))


@pytest.mark.parametrize("block", SPECS, ids=str)
def test_a_yaml_block_is_good(block: Block, tmp_path: Path) -> None:
    data = data_of(block)
    if is_tests(data):
        passes(BASE, block.content, tmp_path)
    else:
        loaded(data if "spec_version" in data else completed(data), str(block))


@pytest.mark.parametrize("file", HOW_TO_TESTS, ids=lambda file: file.name.removesuffix(".test.yaml"))
def test_a_how_to_does_what_it_says(file: Path, tmp_path: Path) -> None:
    block = HOW_TO[file.name.removesuffix(".test.yaml")]
    data = data_of(block)
    passes(data if "spec_version" in data else completed(data), file.read_text(encoding="utf-8"), tmp_path)


def test_the_files_for_a_repository_of_specs_use_what_this_one_offers() -> None:
    files = {block.file: yaml.safe_load(block.content) for block in YAML if block.file.startswith(".")}
    (repository,) = files[".pre-commit-config.yaml"]["repos"]
    offered = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    assert [hook["id"] for hook in repository["hooks"]] == [hook["id"] for hook in offered]
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    _, step, upload = files[".github/workflows/specs.yaml"]["jobs"]["specs"]["steps"]
    assert step["uses"] == f"{repository['repo'].removeprefix('https://github.com/')}@{repository['rev']}"
    assert set(step["with"]) <= set(action["inputs"])
    (output,) = action["outputs"]
    assert upload["with"]["path"] == f"${{{{ steps.{step['id']}.outputs.{output} }}}}"
