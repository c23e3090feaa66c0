"""JSONPaths: made of names and of filters like jq's, taken apart, followed; data and responses that fit them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_MOST_ITEMS = 1000  # of a list that is made
TEST_URL = "https://api.test"


def member(key: str) -> str:
    """Return how a JSONPath names a key."""
    return f".{key}" if re.fullmatch(r"[A-Za-z_]\w*", key) else f"[{json.dumps(key, ensure_ascii=False)}]"


def pointer_path(pointer: str) -> str:
    """Return a JSON pointer as a JSONPath."""
    names = pointer.strip("/").split("/") if pointer.strip("/") else []
    names = [name.replace("~1", "/").replace("~0", "~") for name in names]
    return "$" + "".join(f"[{name}]" if name.isdigit() else member(name) for name in names)


def keys_of(path: str) -> list[str | int]:
    """Return the keys and indices of a JSONPath; `[*]` is the first item."""
    found = re.findall(r"\.([\w-]+)|\[\"((?:[^\"\\]|\\.)*)\"\]|\[(\*|\d{1,9})\]|\['([^']*)'\]", path)
    return [
        int(index.replace("*", "0")) if index else name or single or _unquoted(text)
        for name, text, index, single in found
    ]


def _unquoted(text: str) -> str:
    try:
        return str(json.loads(f'"{text}"'))
    except ValueError:  # not as JSON has it
        return text


def value_at(data: Any, path: str) -> Any:
    """Return the value at a JSONPath; None if there is none."""
    for key in keys_of(path):
        if isinstance(key, int):
            data = data[key] if isinstance(data, list) and key < len(data) else None
        else:
            data = data.get(key) if isinstance(data, dict) else None
    return data


def data_at(values: Mapping[str, Any]) -> Any:
    """Return data in which every path finds its value."""
    root: Any = {}
    for path, value in values.items():
        keys = keys_of(path)
        if not keys:
            return value
        if isinstance(keys[0], int) and not root:
            root = []
        node: Any = root
        for key, following in zip(keys, [*keys[1:], None], strict=True):
            last = following is None
            inner: Any = value if last else [] if isinstance(following, int) else {}
            if isinstance(node, dict) and isinstance(key, str):
                node[key] = inner if last else node.get(key, inner)
            elif isinstance(node, list) and isinstance(key, int) and key < _MOST_ITEMS:
                node.extend(value if last else {} for _ in range(len(node), key + 1))
                if last or not isinstance(node[key], dict | list) or node[key] == {}:
                    node[key] = inner
            else:
                break  # another path has something else here
            node = node[key]
    return root


def response_with(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a response in which every extraction finds its value."""
    plain = {path: value for path, value in values.items() if not path.startswith("${")}
    response: dict[str, Any] = {"json": data_at(plain)} if plain else {}
    for extraction, value in values.items():
        response |= _response_for(extraction, value) if extraction not in plain else {}
    return response


def _response_for(template: str, value: Any) -> dict[str, Any]:
    if found := re.search(r"cookies\['([^']+)'\]", template):
        return {"headers": {"Set-Cookie": f"{found[1]}={value}"}}
    if found := re.search(r"body \| jsonpath\('([^']+)'\)", template):
        return {"json": data_at({found[1]: value})}
    if found := re.search(r"headers\['([^']+)'\](?: \| (?:basename|regex\('([^']*)'\)))?", template):
        return {"headers": {found[1]: _url_with(value, found[2]) if "|" in found[0] else str(value)}}
    if found := re.search(r"body((?:\.\w+)+) \| (?:basename|regex\('([^']*)'\))", template):
        return {"json": data_at({"$" + found[1]: _url_with(value, found[2])})}
    if found := re.search(r"text \| regex\('(.*)'\)", template):
        return {"text": re.sub(r"\(\[\^.*?\)", lambda _: str(value), found[1].replace("\\\\", "\\")).replace("\\", "")}
    return {"text": str(value)}


def _url_with(value: Any, pattern: str | None) -> str:
    """Return a URL that ends with a value, or in which a pattern finds it."""
    end = re.sub(r"\(\[\^/\]?[^)]*\)", lambda _: str(value), pattern).replace("\\", "") if pattern else f"/{value}"
    return TEST_URL + end


def filtered_path(program: str, arguments: list[str], base: str | None) -> tuple[str, bool] | None:
    """Return the JSONPath that a filter of a program reads, and whether it is sure; None if it only shows."""
    start = base or "$"
    script = arguments[0]
    if program == "jq":
        return _jq(script, start)
    if program in ("python", "python3", "node", "ruby", "perl"):
        keys = re.findall(r"\[['\"]([\w-]+)['\"]\]|\.get\(['\"]([\w-]+)['\"]|\[(\d+)\]", " ".join(arguments))
        path = "".join(f"[{digits}]" if digits else member(name or got) for name, got, digits in keys)
        return (start + path, True) if path else None
    if program == "member":
        return start + script, True
    if program in ("grep", "egrep", "sed", "awk", "ggrep"):
        found = re.search(r"\\?\"(\w+)\\?\"\s*(?:\[[^\]]*\]|\\s|\s)*\*?\s*:", " ".join(arguments))
        return (start + member(found[1]), False) if found else None
    return None


def _jq(script: str, start: str) -> tuple[str, bool] | None:
    path = start
    script = script.split("//")[0].strip().strip("()")
    for step in script.split("|"):
        step = step.strip()
        step = step.split(",")[0].strip() if not step.startswith("{") else step
        if step.startswith("{"):
            names = re.findall(r"[{,]\s*\"?(\w+)\"?\s*(?=[,}:])", step)
            named = next((name for name in names if re.search("status|state|phase", name, re.IGNORECASE)), None)
            return (path + member(named), True) if named else None
        if not re.fullmatch(r"(?:\.?\[?\"?[\w-]*\"?\]?\??)*", step) or not step.startswith("."):
            break
        for key, quoted, index in re.findall(r"\.([A-Za-z_]\w*)|\[?\"([^\"]+)\"\]?|\[(-?\d*)\]", step):
            if key or quoted:
                path += member(key or quoted)
            else:
                path += f"[{index or '*'}]"
    return (path, True) if path != start else None
