"""Renders the page of `yaml-connector docs` as HTML and as Markdown; text of a spec is always escaped."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from yaml_connector.cli._description.page import INTRO, Connector
from yaml_connector.cli.docs.drawing import drawn

_LOADER = PackageLoader("yaml_connector.cli.docs")
# What Markdown would not show as it is; `:`, `@` and `.` where GitHub would make a link.
_MARKUP = re.compile(r"[\\`*_\[\]<>|&~$@]|:(?=//)|(?<=\bwww)\.|^[#+-]|(?<=^\d)[.)]|(?<=^\d\d)[.)]|(?<=^\d\d\d)[.)]")


def html_text(connectors: Sequence[Connector]) -> str:
    """Return the page as one HTML file, which loads nothing and runs only its own script."""
    picture = _html.get_template("docs.svg.jinja")
    style, script = _own("docs.css"), _own("docs.js")
    return _html.get_template("docs.html.jinja").render(
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
        intro=INTRO,
        connectors=connectors,
        pictures={item.anchor: Markup(picture.render(drawn(item))) for item in connectors},  # noqa: S704 - escaped
    )


def markdown_text(connectors: Sequence[Connector]) -> str:
    """Return the page as GitHub Flavored Markdown."""
    return _markdown.get_template("docs.md.jinja").render(intro=INTRO, connectors=connectors)


def _own(name: str) -> Markup:
    return Markup(files("yaml_connector.cli.docs").joinpath("templates", name).read_text(encoding="utf-8"))  # noqa: S704


def _hash(text: str) -> str:
    """Return the hash by which the page's content security policy allows this script or style."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _plain(text: str) -> str:
    return _MARKUP.sub(r"\\\g<0>", text)


def _code(text: str) -> str:
    ticks = "`" * (_longest_run(text) + 1)
    pad = " " if text[:1] in ("`", "") or text[-1:] == "`" else ""
    return f"{ticks}{pad}{text}{pad}{ticks}"


def _cell_code(text: str) -> str:
    return _code(text).replace("|", "\\|")


def _fenced(text: str, language: str) -> str:
    ticks = "`" * max(3, _longest_run(text) + 1)
    return f"{ticks}{language}\n{text.rstrip()}\n{ticks}"


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)


_html = Environment(loader=_LOADER, autoescape=True, undefined=StrictUndefined)
_markdown = Environment(  # noqa: S701 - it is Markdown: the filters escape
    loader=_LOADER, undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True
)
_markdown.filters |= {"plain": _plain, "code": _code, "cell_code": _cell_code, "fenced": _fenced}
