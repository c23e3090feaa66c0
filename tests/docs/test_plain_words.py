"""Documentation, schemas and messages are in plain English: patterns that were frequent here before."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docs.test_doc_commands import PAGES
from tests.support.paths import ROOT

EVERYWHERE = {
    r"(?<![Tt]here )(?:is|are|was|were) no (?!longer\b|more\b)\w+": "X is not a valid Y",
    r"\bfor good\b": "permanently",
    r"\bpassing (?:failure|error)|\bin passing\b": "transient",
    r"\bsections? \d|\blanguage page\b": "no references to pages outside this repository",
    r"(?:^|[.;] )Who \w": "name who it is: no sentence begins with `Who`",
    r"\bstands (?:here|there|in|under|beside)\b": "is",
    r"\b[ai]n? (?:answer|page) of a gateway's\b": "a gateway's page",
}
IN_PAGES = EVERYWHERE | {
    r"\b[Nn]obody\b|\b[Ss]omebody\b|\bWhoever\b": "name who or what it is",
    r"\ba text\b(?! log| file)": "a string",
    r"\bfor ever\b": "say what happens in the end",
}
MODULES = sorted((ROOT / "yaml_connector").rglob("*.py"))


def prose(page: Path) -> str:
    """A page without its code."""
    text = re.sub(r"^(`{3,}).*?^\1\s*$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`]*`", "`code`", text)


def strings(value: Any) -> Iterator[str]:
    """All strings in JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)


def texts(module: Path) -> str:
    """The docstrings and messages of a module, and its comments."""
    source = module.read_text(encoding="utf-8")
    found = [node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)]
    comments = re.findall(r"(?:^|\s)#+ (.*)", source)
    return "\n".join([text for text in found if isinstance(text, str)] + comments)


def odd(text: str, instead_of: dict[str, str]) -> list[str]:
    """The places where a pattern matches, each with what to write instead."""
    return [
        f"{' '.join(text[max(0, found.start() - 30) : found.end() + 30].split())!r}: {instead}"
        for pattern, instead in instead_of.items()
        for found in re.finditer(pattern, text, re.MULTILINE)
    ]


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"], ids=lambda page: page.name)
def test_a_page_is_in_plain_words(page: Path) -> None:
    assert odd(prose(page), IN_PAGES) == []


@pytest.mark.parametrize("schema", sorted((ROOT / "schema").glob("*.json")), ids=lambda file: file.name)
def test_a_schema_is_in_plain_words(schema: Path) -> None:
    assert odd("\n".join(strings(json.loads(schema.read_text(encoding="utf-8")))), IN_PAGES) == []


def test_the_texts_of_the_package_are_in_plain_words() -> None:
    found = {str(module.relative_to(ROOT)): odd(texts(module), EVERYWHERE) for module in MODULES}
    assert {name: places for name, places in found.items() if places} == {}
