"""The page of `yaml-connector docs` in a real browser: on a phone and on a screen, in light and in dark, on paper."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from tests.support.browser import PROGRAM, Page, browser, browser_page
from tests.support.own_specs import all_specs
from yaml_connector._loading.loader import load_text
from yaml_connector.cli._description.page import connectors
from yaml_connector.cli.docs.render import html_text

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(PROGRAM is None, reason="needs Chromium (apt-get install chromium)"),
]

Look = Callable[..., Any]

LONG = f"""
spec_version: 1
task_type_name: {"long" * 40}
name: {"Name" * 60}
description: {"Description" * 60}
connection: {{base_url: "http://127.0.0.1:1"}}
config:
  {"field" * 20}: {{type: str, default: {"default" * 40}, enum: [{"default" * 40}], description: {"about" * 60}}}
  x: "dict[str, dict[str, dict[str, dict[str, dict[str, dict[str, dict[str, list[str]]]]]]]]?"
secrets: {{{"secret" * 20}: {{env: {"VARIABLE" * 30}}}}}
outputs: {{{"output" * 30}: {{type: str, value: $.x, default: "<script>alert('{"d" * 100}')</script>"}}}}
create: {{request: POST /{"path" * 60}, job_id: $.id, idempotent: true}}
get:
  request: GET /jobs
  phase: {{path: $.{"state" * 60}, map: {{WAITING_FOR_RESOURCES: [{"w" * 240}], RETRYABLE_FAILED: ["{"no " * 90}"]}}}}
"""

# Every text with too little contrast to what is behind it, as WCAG 2 counts it (AA: 4.5).
PALE_TEXTS = """
(() => {
  const luminance = (colour) => {
    const parts = colour.match(/[\\d.]+/g).map(Number);
    const linear = parts.slice(0, 3).map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = at.tagName === "g" ? getComputedStyle(at.querySelector("rect") ?? at).fill
        : getComputedStyle(at).backgroundColor;
      if (colour.startsWith("rgb") && !colour.endsWith(", 0)")) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const pale = [];
  for (const element of document.body.querySelectorAll("*")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility() || ["SCRIPT", "title"].includes(element.tagName)) continue;
    const style = getComputedStyle(element);
    const colours = [element.tagName === "text" ? style.fill : style.color, behind(element)].map(luminance);
    const contrast = (Math.max(...colours) + 0.05) / (Math.min(...colours) + 0.05);
    if (contrast < 4.5) pale.push(`${element.tagName} ${element.className} ${contrast.toFixed(2)}`);
  }
  return [...new Set(pale)];
})()
"""


@pytest.fixture(scope="module")
def look(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Look]:
    """Opens the page of all specs of this repository, and one of endless words, and gives what `see` finds. All tests
    have one browser; each has a page of its own."""
    long, problems = load_text(LONG.encode(), "connectors.d/" + "file" * 60 + ".yaml")
    assert long is not None, problems
    file = tmp_path_factory.mktemp("docs") / "connectors.html"
    file.write_text(html_text(connectors([long, *all_specs()])), encoding="utf-8")

    async def visit(port: int, see: Callable[[Page], Awaitable[Any]], **how: Any) -> Any:
        async with browser_page(port) as page:
            await page.open(file.as_uri(), **how)
            found = await see(page)
            assert page.requests == [file.as_uri()]
            assert page.complaints == []
            return found

    with browser() as port:
        yield lambda **how: asyncio.run(visit(port, **how))


@pytest.mark.parametrize(("width", "dark"), [(320, False), (320, True), (390, True), (700, False), (1200, True)])
def test_the_page_fits_every_window_and_all_of_it_can_be_read(look: Look, width: int, dark: bool) -> None:
    async def see(page: Page) -> Any:
        widths = await page.value("[document.documentElement.scrollWidth, document.body.scrollWidth]")
        picture = await page.screenshot()
        return (
            widths,
            picture,
            await page.value(PALE_TEXTS),
            await page.value("getComputedStyle(document.body).backgroundColor"),
        )

    widths, picture, pale, paper = look(width=width, dark=dark, see=see)
    assert widths == [width, width]
    assert pale == []
    assert paper == ("rgb(17, 21, 27)" if dark else "rgb(255, 255, 255)")
    assert len(picture) > 10_000


def test_on_a_phone_a_table_is_still_a_table_to_a_screen_reader(look: Look) -> None:
    async def see(page: Page) -> Any:
        tree = (await page.send("Accessibility.getFullAXTree"))["nodes"]
        return [(node["role"]["value"], node.get("name", {}).get("value")) for node in tree if not node["ignored"]]

    nodes = look(width=390, see=see)
    roles = {role for role, _ in nodes}
    assert {"table", "row", "columnheader", "rowheader", "cell", "navigation", "main", "article"} <= roles
    assert ("table", "Config") in nodes
    words = "A job is submitted. It goes on through QUEUED, RUNNING. It ends as SUCCEEDED, FAILED or ABORTED."
    assert ("image", words) in nodes


def test_python_is_copied_with_one_click(look: Look) -> None:
    async def see(page: Page) -> Any:
        await page.send("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
        await page.value("document.querySelector('#batch_job .copy').click()")
        said = (
            "new Promise((done) => setTimeout(() => done(document.querySelector('#batch_job .copy').textContent), 200))"
        )
        return await page.value(said), await page.value("getSelection().toString()")

    said, selected = look(width=1200, see=see)
    assert said == "Copied" or (said == "Selected" and selected.startswith("import flyte\n"))


TYPE = """
((words) => {
  const field = document.querySelector("nav input");
  field.value = words;
  field.dispatchEvent(new Event("input"));
})
"""
SHOWN = "[...document.querySelectorAll('article')].filter((item) => item.checkVisibility()).map((item) => item.id)"
LISTED = (
    "[...document.querySelectorAll('nav li')].filter((item) => item.checkVisibility()).map((item) => item.textContent)"
)


def test_the_search_leaves_the_connectors_that_have_every_word(look: Look) -> None:
    async def see(page: Page) -> Any:
        await page.value(f"{TYPE}('Trino DISPATCHING')")
        found = (
            await page.value(SHOWN),
            await page.value(LISTED),
            await page.value("document.querySelector('.found').textContent"),
        )
        await page.value(f"{TYPE}('no such words')")
        nothing = (
            await page.value(SHOWN),
            await page.value("document.querySelector('.found').textContent.split(' ')[0]"),
        )
        await page.value(f"{TYPE}(' ')")
        return (
            found,
            nothing,
            len(await page.value(SHOWN)),
            await page.value("document.querySelectorAll('article').length"),
        )

    (shown, listed, said), nothing, again, all_of_them = look(width=1200, see=see)
    assert "trino" in shown
    assert "batch_job" not in shown
    assert len(listed) == len(shown) < 5
    assert said == f"{len(shown)} of {all_of_them} connectors"
    assert nothing == ([], "0")
    assert again == all_of_them


def test_a_link_to_a_connector_that_the_search_hides_ends_the_search(look: Look) -> None:
    async def see(page: Page) -> Any:
        await page.value(f"{TYPE}('trino')")
        await page.value(
            "location.hash = 'batch_job'; new Promise((done) => addEventListener('hashchange', () => setTimeout(done)))"
        )
        top = await page.value("Math.abs(document.querySelector('#batch_job').getBoundingClientRect().top)")
        return await page.value("document.querySelector('nav input').value"), await page.value(SHOWN), top

    value, shown, top = look(width=1200, see=see)
    assert (value, "batch_job" in shown) == ("", True)
    assert top < 100


def test_without_scripts_all_can_be_read_and_nothing_is_dead(look: Look) -> None:
    async def see(page: Page) -> Any:
        return await page.value(SHOWN), await page.value("document.querySelectorAll('input, button').length")

    with_scripts, _ = look(width=1200, see=see)
    shown, dead = look(width=1200, scripts=False, see=see)
    assert shown == with_scripts
    assert dead == 0


def test_on_paper_there_are_no_buttons_and_no_dark_page(look: Look) -> None:
    async def see(page: Page) -> Any:
        shown = await page.value(
            "[...document.querySelectorAll('.copy, .search')].filter((item) => item.checkVisibility()).length"
        )
        paper = await page.value("getComputedStyle(document.body).backgroundColor")
        printed = await page.send("Page.printToPDF")
        return shown, paper, await page.value(PALE_TEXTS), printed["data"][:8]

    assert look(width=800, dark=True, media="print", see=see) == (0, "rgb(255, 255, 255)", [], "JVBERi0x")
