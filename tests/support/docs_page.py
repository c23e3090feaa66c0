"""The page of `yaml-connector docs`, parsed, and specs for it."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from tests.support.paths import ROOT
from yaml_connector._loading.loader import LoadedSpec, load_text

TYPED = str(ROOT / "tests" / "unit" / "flyte" / "connectors.d" / "typed.yaml")
VOID = {"meta", "link", "br", "hr", "img", "input"}

SPEC = """
spec_version: 1
task_type_name: {name}
connection: {{base_url: "http://127.0.0.1:1"}}
{more}
create: {{request: POST /jobs, job_id: $.id, idempotent: true}}
"""


class Parsed(HTMLParser):
    """A page: its elements with their attributes and text, in order; an element that is not closed fails."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[dict[str, Any]] = []
        self.elements: list[dict[str, Any]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"{tag} has an attribute twice"
        element = {"tag": tag, "attributes": dict(attrs), "text": "", "parents": [item["tag"] for item in self.open]}
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()["tag"] == tag

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element["text"] += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def all(self, tag: str) -> list[dict[str, Any]]:
        return [element for element in self.elements if element["tag"] == tag]

    def texts(self, tag: str) -> list[str]:
        return [element["text"] for element in self.all(tag)]

    def values(self, *attributes: str) -> list[str]:
        return [
            element["attributes"][name]
            for element in self.elements
            for name in attributes
            if name in element["attributes"]
        ]

    def rows(self) -> list[list[str]]:
        """The cells of every row of every table."""
        found: list[list[str]] = []
        for element in self.elements:
            if element["tag"] == "tr":
                found.append([])
            elif element["tag"] in ("th", "td"):
                found[-1].append(element["text"])
        return found


def spec_of(name: str = "a", more: str = "", file: str = "a.yaml") -> LoadedSpec:
    loaded, problems = load_text(SPEC.format(name=name, more=more).encode(), file)
    assert loaded is not None, problems
    return loaded


def code_blocks(page: Parsed) -> list[str]:
    return [element["text"] for element in page.all("code") if "pre" in element["parents"]]
