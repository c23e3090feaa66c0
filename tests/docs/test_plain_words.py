"""Documentation, schemas, specs and messages are in plain English: patterns that were frequent here before.

What people read (pages, schemas, messages, specs) has more rules than docstrings and comments.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docs.test_doc_commands import PAGES
from tests.support.paths import CATALOG, ROOT

EVERYWHERE = {
    r"(?<![Tt]here )(?:is|are|was|were) no (?!longer\b|more\b)\w+": "X is not a valid Y",
    r"\bfor good\b": "permanently",
    r"\b[Pp]assing\b": "transient",
    r"\bsections? \d|\blanguage page\b": "no references to pages outside this repository",
    r"(?:^|[.;] )Who(?:ever)? \w": "name who it is: no sentence begins with `Who`",
    r"\bstands (?:here|there|in|under|beside)\b": "is",
    r"\b(?:an?|any|no|not|one|the) (?:\w+ )?of (?:Flyte|an? \w+)'s(?=$|[,.;:)]|\s(?:and|or|is|are|has|that)\b)": (
        "a page of a gateway's is a gateway's page"
    ),
    r"\b[Gg]ives\b(?! up\b)": "returns, has, makes",
    r"\bof (?:one's|his|her|somebody's) own\b": "name whose it is",
    r"(?<!there )\b(?:is|are) none (?:that|of)\b": "is not one of",
    r"\bsays? nothing of\b": "does not say",
    r"\bfor ever\b": "say what happens in the end",
}
FOR_USERS = EVERYWHERE | {
    r"\b[Nn]obody\b|\b[Ss]omebody\b|\b[Ww]hoever\b": "name who or what it is",
    r"\b[Aa] text\b(?! log| file| body)": "a string",
    r"\bstands?\b(?!-| for\b| in for\b)": "is",
    r"\bhonest\b": "real",
    r"(?:^|[.:;] |\| )What (?!is\b|are\b|to\b)(?:[\w`'-]+ ){1,9}(?:is|are|has|goes|stays|fails|cannot|may|must)\b": (
        "name what it is: no sentence has `What ...` as its subject"
    ),
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


def texts(module: Path) -> tuple[str, str]:
    """What a module says to its users (all strings but docstrings), and to developers: docstrings and comments."""
    source = module.read_text(encoding="utf-8")
    nodes = list(ast.walk(ast.parse(source)))
    docstrings = {
        node.value.value for node in nodes if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    said = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    comments = re.findall(r"(?:^|\s)#+ (.*)", source)
    return "\n".join(text for text in said if text not in docstrings), "\n".join([*map(str, docstrings), *comments])


def odd(text: str, instead_of: dict[str, str]) -> list[str]:
    """The places where a pattern matches, each with what to write instead."""
    return [
        f"{' '.join(text[max(0, found.start() - 30) : found.end() + 30].split())!r}: {instead}"
        for pattern, instead in instead_of.items()
        for found in re.finditer(pattern, text, re.MULTILINE)
    ]


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"], ids=lambda page: page.name)
def test_a_page_is_in_plain_words(page: Path) -> None:
    assert odd(prose(page), FOR_USERS) == []


@pytest.mark.parametrize("schema", sorted((ROOT / "schema").glob("*.json")), ids=lambda file: file.name)
def test_a_schema_is_in_plain_words(schema: Path) -> None:
    assert odd("\n".join(strings(json.loads(schema.read_text(encoding="utf-8")))), FOR_USERS) == []


def test_the_descriptions_of_specs_are_in_plain_words() -> None:
    found = {}
    for file in (*(ROOT / "connectors.d").glob("*.yaml"), *CATALOG.glob("*.yaml")):
        lines = [line for line in file.read_text(encoding="utf-8").splitlines() if "description:" in line]
        found[file.name] = odd("\n".join(lines), FOR_USERS)
    assert {name: places for name, places in found.items() if places} == {}


@pytest.mark.slow
def test_the_texts_of_the_package_are_in_plain_words() -> None:
    found = {}
    for module in MODULES:
        messages, comments = texts(module)
        found[str(module.relative_to(ROOT))] = odd(messages, FOR_USERS) + odd(comments, EVERYWHERE)
    assert {name: places for name, places in found.items() if places} == {}
