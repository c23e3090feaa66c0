"""What the programs behind a curl command show of its answer: jq, Python, grep."""

from __future__ import annotations

import re

from yaml_connector.cli.new.jsonpaths import member


def path_of(program: str, arguments: list[str], base: str | None) -> tuple[str, bool] | None:
    """Return the JSONPath that a filter reads, and whether it is sure; None for a program that only shows."""
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
