"""`make import-report ARAZZO=DIR`: what `new --from-arazzo` makes of every Arazzo document in a folder.

For each document: the workflow, whether the spec validates and its test passes, how many requests are those that the
workflow says (checked against its OpenAPI), and how many questions are left.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from yaml_connector._loading.document import parse
from yaml_connector.cli.new.arazzo.plan import Step, choose
from yaml_connector.cli.new.arazzo.source import Arazzo
from yaml_connector.cli.new.arazzo.translate import sketch_of
from yaml_connector.cli.new.checked import files_of
from yaml_connector.cli.new.render import decide_lines
from yaml_connector.errors import ConfigError

_EXPRESSION = re.compile(r"\{?\$(?:inputs|steps|response|statusCode|url)[\w.#/\[\]-]*\}?")


def documents(folder: Path) -> Iterator[Path]:
    """Yield the Arazzo documents in a folder and below."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".yaml", ".yml", ".json") and path.is_file() and path.stat().st_size < 2**24:
            head = path.read_bytes()[:2000]
            if re.search(rb"^\s*[\"']?arazzo[\"']?\s*:", head, re.MULTILINE) or b'"arazzo"' in head:
                yield path


def fits(expected: Any, sent: Any) -> bool:
    """Return whether what is sent is what the workflow says; an expression stands for anything."""
    if isinstance(expected, dict):
        if "selector" in expected:
            return True
        names = {name for name, value in expected.items() if not _is_expression(value)}
        return isinstance(sent, dict) and set(sent) <= set(expected) and all(
            name in sent and fits(expected[name], sent[name]) for name in names
        )  # fmt: skip
    if isinstance(expected, list):
        return isinstance(sent, list) and len(sent) == len(expected) and all(map(fits, expected, sent))
    if isinstance(expected, str):
        if _is_expression(expected):
            return True
        if str(sent).startswith("/^"):  # a text between slashes, as a contract test has it
            return re.fullmatch(str(sent)[1:-1], expected) is not None
        pattern = ".*".join(map(re.escape, _EXPRESSION.split(expected)))
        return re.fullmatch(pattern, str(sent), re.DOTALL) is not None
    return expected == sent or json.dumps(expected) == sent


def _is_expression(value: Any) -> bool:
    return isinstance(value, str) and _EXPRESSION.fullmatch(value.strip()) is not None


def is_request(step: Step, request: dict[str, Any], arazzo: Arazzo) -> bool:
    """Return whether a request is the one of a step: method, path, query, and body."""
    assert step.operation is not None
    path = re.sub(r"\\\{[^}]*\\\}", "[^/?]+", re.escape(step.operation.path.partition("#")[0] or "/"))
    url = urlsplit(request["url"])
    if request["method"].lower() != step.operation.method or re.search(f"{path}$", url.path) is None:
        return False
    query = {**dict(parse_qsl(url.query)), **request.get("query", {})}
    for raw in step.data["parameters"]:
        about = arazzo.component(raw)
        place = about.get("in") if isinstance(about, dict) else None
        value = about.get("value") if isinstance(about, dict) else None
        given = {"query": query, "header": request.get("headers", {})}.get(str(place), {})
        if (
            place in ("query", "header")
            and not _EXPRESSION.search(str(value))
            and not fits(value, given.get(about["name"]))
        ):
            return False
    body = step.data.get("requestBody")
    payload = body.get("payload") if isinstance(body, dict) else None
    if isinstance(payload, dict) and not body.get("replacements"):
        return fits(payload, request.get("json", request.get("form", payload if "multipart" in str(body) else None)))
    return True


def requests_equal(arazzo: Arazzo, test: str) -> tuple[int, int]:
    """Return how many requests of a contract test are those of steps of the workflow, and how many there are."""
    _, plan = choose(arazzo, None)
    calls = (call for item in parse(test.encode(), "").data["tests"] for call in item["calls"])
    exchanges = (
        item for call in calls for made in call.values() if isinstance(made, dict) for item in made["exchanges"]
    )
    requests = list({json.dumps(item["request"]): item["request"] for item in exchanges}.values())
    good = [any(is_request(step, request, arazzo) for step in plan.steps if step.operation) for request in requests]
    return sum(good), len(good)


def report(path: Path) -> tuple[str, ...]:
    """Return the line of a document."""
    try:
        content = path.read_bytes()
        sketch = sketch_of(content, str(path), "imported")
        files = files_of(sketch)
        good, count = requests_equal(Arazzo(content, str(path)), files.get("imported.test.yaml", "tests: []"))
    except ConfigError as error:
        return "no", "-", "-", str(error).partition(": ")[2][:100]
    questions = len(list(decide_lines(files["imported.yaml"])))
    return "yes", f"{good}/{count}", str(questions), ""


def main() -> None:
    """Print the report of a folder."""
    folder = Path(sys.argv[1])
    rows = [("document", "validates", "requests", "DECIDEs", "")]
    rows += [(str(path.relative_to(folder)), *report(path)) for path in documents(folder)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, [*widths, 0], strict=True)).rstrip())
    good = sum(row[1] == "yes" for row in rows)
    print(f"{good} of {len(rows) - 1} documents give a spec that passes validate and test")


if __name__ == "__main__":
    main()
