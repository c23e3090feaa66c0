"""The fenced blocks of a Markdown page, and how a part of a spec is made a whole one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.paths import ROOT
from yaml_connector._loading.document import parse
from yaml_connector._loading.loader import LoadedSpec, load_text

DOCS = ROOT / "docs"

# What a part that is shown leaves out. A part's own sections take the place of these; of `connection` and `get`, field
# by field.
BASE: dict[str, Any] = {
    "spec_version": 1,
    "task_type_name": "example",
    "connection": {"base_url": "https://api.test"},
    "create": {"request": "POST /jobs", "idempotent": True, "job_id": "$.id"},
    "get": {
        "request": "GET /jobs/${{ job.id }}",
        "phase": {
            "path": "$.state",
            "map": {
                "QUEUED": ["queued"],
                "RUNNING": ["running"],
                "SUCCEEDED": ["done"],
                "FAILED": ["error"],
                "ABORTED": ["cancelled"],
            },
        },
        "message": "$.detail",
    },
}
_FENCE = re.compile(r"^(`{3,})([\w-]*(?: wrong)?)\s*\n(.*?)^\1\s*$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language (`yaml wrong` is a spec that shows mistakes), its content, the line it begins in
    (from 1) and the heading above it."""

    page: Path
    line: int
    kind: str
    content: str
    heading: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def file(self) -> str:
        """The file that it is the content of: named by a comment in its first line. Empty if there is none."""
        found = re.match(r"# (\S+\.(?:test\.yaml|yaml|py|txt))\n", self.content)
        return found[1] if found else ""


def blocks(page: Path) -> Iterator[Block]:
    """All fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", text[: found.start()]), re.MULTILINE)
        line = text.count("\n", 0, found.start()) + 1
        yield Block(page, line, found[2], found[3], headings[-1] if headings else "")


def slug(heading: str) -> str:
    """A heading's anchor, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def data_of(block: Block) -> dict[str, Any]:
    """The data of a YAML block, which must be a mapping and good YAML."""
    document = parse(block.content.encode(), str(block))
    assert [str(problem) for problem in document.problems] == []
    assert isinstance(document.data, dict), block
    return document.data


def is_tests(data: dict[str, Any]) -> bool:
    """Is this a contract test?"""
    return "tests" in data


def completed(part: dict[str, Any]) -> dict[str, Any]:
    """A whole spec of a part of one."""
    whole = deepcopy(BASE)
    for name, section in part.items():
        below = whole.get(name)
        if name in ("connection", "get") and isinstance(section, dict) and isinstance(below, dict):
            if "steps" in section:
                del below["request"]
            whole[name] = {**below, **section}
        else:
            whole[name] = section
    return whole


def loaded(data: dict[str, Any], name: str) -> LoadedSpec:
    """A spec, which must be good and give no warning, from its data: JSON is YAML."""
    import json

    spec, problems = load_text(json.dumps(data).encode(), name)
    assert [str(problem) for problem in problems] == []
    assert spec is not None
    return spec
