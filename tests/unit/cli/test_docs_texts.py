"""The texts of a spec stay texts on the page of `yaml-connector docs`, in HTML and in Markdown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tests.support.command_line import Command
from tests.support.docs_page import TYPED, Parsed
from tests.support.paths import ROOT
from yaml_connector._loading.loader import LoadedSpec, load_text
from yaml_connector.cli._description.page import connectors
from yaml_connector.cli._diagnostics import printable
from yaml_connector.cli.docs.render import html_text, markdown_text


def test_markdown_has_the_same_and_its_tables_are_tables(command: Command, here: Path) -> None:
    assert command("docs", TYPED, "--output", "page.md").returncode == 0
    assert command("docs", TYPED, "--format", "markdown").returncode == 0
    text = (here / "page.md").read_text(encoding="utf-8")
    assert text == (here / "connectors.md").read_text(encoding="utf-8")
    html = MarkdownIt("commonmark").enable("table").render(text)
    for part in (
        '<a href="#typed">Typed Job version 2</a>',
        '<a id="typed"></a>',
        "<td><code>cpus</code></td>\n<td><code>int</code></td>\n<td><code>1</code></td>\n<td>from 1, up to 64</td>",
        "<td><code>flyte.io.File | None</code></td>",
        "<td><strong>required</strong></td>",
        "<td><code>False</code></td>",
        "<td><code>RUNNING</code></td>\n<td>The job is running.</td>\n",
        "<td><code>$.state</code> is <code>running</code></td>\n<td><code>RUNNING</code></td>\n<td></td>\n",
        '<pre><code class="language-python">import flyte\n',
        "├─▶ RUNNING",
    ):
        assert part in html


HOSTILE = [
    "<script>alert(1)</script>", "</style><script>", "--><img src=x onerror=alert(1)>", '" onmouseover="alert(1)',
    "' autofocus='", "&lt;b&gt;&amp;", "</title>", "]]>", "{{ 7 * 7 }}", "{% raw %}", "${{ secrets.x }}", "&#x3c;b>",
    "[x](http://evil.test)", "![x](//evil.test)", "<http://evil.test>", "http://evil.test", "www.evil.test", "a@b.test",
    "`</code>", "``", "|", "\\|", "a\\", "*b* _c_ ~~d~~", "# e", "- f", "1. g", "12) g", "> h", "$x$", "x" * 300,
    "\x00\x1b[31m", "\u202eabc", "\u2028", "javascript:alert(1)", "+ i", "=== j", "    k", "\tl",
]  # fmt: skip
texts = st.sampled_from(HOSTILE) | st.text(max_size=30) | st.lists(st.sampled_from(HOSTILE), max_size=3).map(" ".join)


def with_texts(text: list[str]) -> LoadedSpec:
    """A spec with these seven texts wherever a spec may have any; each is some text to read."""
    loaded = load_text(Path(ROOT / "connectors.d" / "batch_job.yaml").read_bytes(), "connectors.d/batch_job.yaml")[0]
    assert loaded is not None
    data = {
        **loaded.document.data,
        "name": text[0],
        "description": text[1],
        "config": {"x": {"type": "str", "default": text[2], "enum": [text[2]], "description": text[3]}},
        "inputs": {"y": {"type": "str", "description": text[4]}},
        "secrets": {"api_key": {"env": "BATCH_API_KEY", "description": text[5]}},
        "get": {
            "request": "GET /jobs",
            "phase": {"path": "$.state", "map": {"RUNNING": [text[6]], "SUCCEEDED": ["done"]}},
            "links": [{"name": text[0], "url": "$.url"}],
        },
    }
    return LoadedSpec(type(loaded.spec).model_validate(data), loaded.file, loaded.document)


PLAIN = with_texts(["plain"] * 7)


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(texts, min_size=7, max_size=7))
def test_no_text_of_a_spec_becomes_markup(text: list[str]) -> None:
    spec = connectors([with_texts([f"a{part}z" for part in text])])
    begins = connectors([with_texts([f"{part} z" for part in text])])  # what is markup only at the start of a line
    plain = connectors([PLAIN])
    page, expected = Parsed(html_text(spec)), Parsed(html_text(plain))

    def shape(parsed: Parsed) -> list[Any]:
        return [(item["tag"], sorted(set(item["attributes"]) - {"class"}), item["parents"]) for item in parsed.elements]

    assert shape(page) == shape(expected)
    assert page.texts("script") == expected.texts("script")
    said = " ".join(page.texts("article")[0].split())
    for part in text[:2] + text[3:6]:
        assert " ".join(printable(f"a{part}z").split()) in said
    markdown = MarkdownIt("commonmark").enable(["table", "strikethrough"])

    def tokens(source: str) -> list[str]:
        found = [child for token in markdown.parse(source) for child in [token, *(token.children or [])]]
        return [token.type for token in found if token.type not in ("text", "text_special")]

    assert tokens(markdown_text(spec)) == tokens(markdown_text(plain)) == tokens(markdown_text(begins))
