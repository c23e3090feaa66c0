"""Renders the table of all specs of the catalog as Markdown and as one HTML file: `docs/catalog.md` is the former."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from yaml_connector.catalog import KINDS, SUPPORTS

_LOADER = PackageLoader("yaml_connector.cli.catalog")
_MARKUP = re.compile(r"[\\`*_\[\]<>|~]")


def page(specs: Sequence[dict[str, Any]], form: str) -> str:
    """Return the page of these summaries; `form` is markdown or html."""
    kinds = {item["kind"] for item in specs}
    return (
        (_html if form == "html" else _markdown)
        .get_template(f"catalog.{form}.jinja")
        .render(
            specs=sorted(specs, key=lambda item: (item["kind"], item["name"])),
            columns={name: about for name, (about, _) in SUPPORTS.items()},
            kinds={kind: about for kind, about in KINDS.items() if kind in kinds},
            real=sum(item["ran_against"] is not None for item in specs),
        )
    )


def _plain(text: str) -> str:
    return _MARKUP.sub(r"\\\g<0>", text)


def beginning(text: str) -> str:
    """Return what a cell shows of a text: up to the first comma, colon, full stop or long bracket."""
    return re.split(r"[.;:,] | \((?=.{30})|\.$", text, maxsplit=1)[0]


_html = Environment(loader=_LOADER, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
_markdown = Environment(  # noqa: S701 - it is Markdown: the filter escapes
    loader=_LOADER, undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True
)
_markdown.filters |= {"plain": _plain, "first": beginning}
_html.filters["first"] = beginning
