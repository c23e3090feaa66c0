"""Literals that were probably meant as expressions: templates of other tools, names without braces, wrong paths."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from yaml_connector._expressions.compile import find_templates, has_expression, has_template
from yaml_connector._expressions.jsonpath import compile_path
from yaml_connector._expressions.value_types import parse_type
from yaml_connector._loading.references import ANSWER_NAMES, Names
from yaml_connector._spec.fields import Path
from yaml_connector._text import short, short_name, short_yaml
from yaml_connector.errors import EvaluationError

_NAME = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*"
_LONGEST = 200  # characters of a literal that is looked at as a whole

# What is a template elsewhere: in a URL each, and anywhere if the name in it is known.
_BRACES = re.compile(
    r"(?<!\$)\{\{-?\s*([^{}]{1,100}?)\s*-?\}\}?"  # {{ x }}, {{ x }
    rf"|(?<![{{\w])[$#@]?\{{\s*({_NAME})\s*\}}\}}?"  # ${x}, {x}, #{x}, ${ x }}
    rf"|\$\(\s*({_NAME})\s*\)|%\(({_NAME})\)s|\[\[\s*({_NAME})\s*\]\]|<%=?\s*({_NAME})\s*%>"
    r"|(?<=/):([A-Za-z_]\w*)(?=/|\?|\Z)|(?<=/)<(?:\w+:)?([A-Za-z_]\w*)>"  # /:x, /<x>, /<int:x>
)
# Only with a name that is known: these mean themselves otherwise.
_BARE = re.compile(rf"\$\.?({_NAME})|%({_NAME})%|__([A-Za-z]\w*?)__|(?<=/)\[({_NAME})\]")
_NAMELESS = re.compile(r"\{\d*\}|%[sd](?![0-9A-Fa-f])|\{%.*?%\}")
_IN_TEXT = re.compile(rf"(?<!\$)\{{\{{\s*({_NAME})\s*\}}\}}|\$\{{\s*({_NAME})\s*\}}|\$\(\s*({_NAME})\s*\)")
_WHOLE = re.compile(rf"\$\.({_NAME})|({_NAME})")

_JQ = re.compile(r"\.[A-Za-z_]\w*(?:\[\d+\]|(?: \| )?\.[A-Za-z_]\w*)*|(?:/[A-Za-z_]\w*)+")  # .job.id, /job/id
_FIELD = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*|\.\d+|\[(?:\d+|\*)\])*")
_FILE = re.compile(r".*\.(?:json|csv|tsv|txt|yaml|yml|log|parquet|gz|zip|html|xml|png|jpg|pdf|py|sh|md)")


def lookalikes(
    text: str,
    names: Names,
    *,
    is_url: bool,
    is_query: bool = False,
    whole: bool = False,
    any_name: bool = False,
) -> Iterator[tuple[str, str | None]]:
    """Yield each part of a text that other tools take for a template, with the name in it, or None.

    `is_url`: the text is sent as a URL or a part of it, where each of them is a mistake; elsewhere only those are with
    names that are known, unless `any_name` counts. `whole`: the text is a value of its own, which may be such a name
    without any mark.
    """
    if len(text) > _LONGEST and not is_url:
        return
    try:
        for start, end in [*find_templates(text)]:
            text = text[:start] + "\0" * (end - start) + text[end:]
    except EvaluationError:
        return
    taken: list[tuple[int, int]] = []
    for pattern, needs_known in ((_BRACES, False), (_BARE, True)) if is_url else ((_IN_TEXT, True),):
        for found in pattern.finditer(text):
            name = next(filter(None, found.groups()))
            known = names.full(name)
            if needs_known and not any_name and not names.has(known if is_url else name):
                continue
            taken.append(found.span())
            yield found[0], short_name(known)
    if is_url and not is_query:
        for found in _NAMELESS.finditer(text):
            if not any(start <= found.start() < end for start, end in taken):
                yield found[0], None
    elif whole and not taken and (only := _WHOLE.fullmatch(text)) is not None:
        name = only[1] or only[2]
        if "." in name and names.has(name):
            yield text, name


def literal_doubt(path: Path, value: Any, names: Names) -> str | None:
    """Return the message about a literal extraction that was probably meant to read something; None if it may be meant
    as it is."""
    if not isinstance(value, str) or has_template(value) or value.startswith("$"):
        return None
    if path[0] == "outputs" and (kind := _type(value)) is not None:
        written = f"{{type: {kind}, value: $.{path[1]}}}"
        return f"{short_yaml(value)} is the same for every response; a type is written as {written}"
    if _JQ.fullmatch(value) and not value.startswith("/"):
        return is_literal(value)
    if _FIELD.fullmatch(value) is None or value.isupper() or _FILE.fullmatch(value):
        return None
    if "." in value or path[-1] in ("timestamp", "retry_after", "expires_in") or path[-2:] == ("logs", "message"):
        return is_literal(value)
    return is_literal(value) if "save" in path else None


def _type(text: str) -> str | None:
    try:
        return str(parse_type(text))
    except EvaluationError:
        return None


def is_literal(value: Any) -> str:
    """Say what is wrong with a literal where something is read from a response, and what to write instead."""
    if isinstance(value, dict | list) and has_expression(value):
        items = [item for item in (value.values() if isinstance(value, dict) else value) if isinstance(item, str)]
        kind = "list" if isinstance(value, list) else "mapping"
        return f"must be a string, not a {kind}" + (f"; write {items[0]}" if len(items) == 1 else "")
    instead = "a JSONPath such as $.id, or a template"
    if isinstance(value, str) and _FIELD.fullmatch(value):
        instead = _read(value)
    elif isinstance(value, str) and _JQ.fullmatch(value):
        instead = "$." + re.sub(r"[./| ]+", ".", value.strip("./ "))
    elif isinstance(value, str) and value.startswith("{{"):
        instead = f"${value}"
    return f"{short_yaml(value)} is the same for every response; to read it from the response, write {instead}"


def _read(field: str) -> str:
    """Return the expression that reads what a chain of names means: a part of the body, or of the response."""
    field = re.sub(r"^(?:response|resp|res|result)\.(?=body|headers|status|text|json|data|cookies)", "", field)
    root, _, rest = field.partition(".")
    if root in ("body", "json", "data") and rest and root == "body":
        return "$." + _with_indices(rest)
    if root in ("inputs", "config", "job", "steps", "task") or (root in ANSWER_NAMES and (rest or root == "cookies")):
        return f"${{{{ {field} }}}}"
    return "$." + _with_indices(field)


def _with_indices(field: str) -> str:
    return re.sub(r"\.(\d+)(?=\.|\Z)", r"[\1]", field)


# Slips in a path, and what was meant: the first that makes it valid counts.
_REPAIRS = (
    (re.compile(r"\s+\|\s*(?=\.)|[,;.]+\Z"), ""),
    (re.compile(r"^\$+(?=\$|\.)"), "$"),
    (re.compile(r"^\$(?=[A-Za-z_])"), "$."),
    (re.compile(r"^\$\.?(?:response\.)?body#?(?=[./])"), "$"),
    (re.compile(r"/"), "."),
    (re.compile(r"\s+"), ""),
)


def repaired_path(text: str) -> str | None:
    """Return the valid JSONPath that an invalid one was probably meant to be, or None."""
    if len(text) > _LONGEST:
        return None
    for name, meant in (("{", "}"), ("{{", "}}")):
        if text.startswith(f"${name}") and text.endswith(meant):
            inner = text.strip("${} ")
            return f"${{{{ {inner} }}}}" if re.fullmatch(_NAME, inner) else None
    repaired = text
    for pattern, new in _REPAIRS:
        repaired = pattern.sub(new, repaired)
        if repaired != text and repaired.startswith("$."):
            try:
                compile_path(repaired)
            except EvaluationError:
                continue
            return repaired
    return None


_NUMBER = re.compile(r"\.(\d+)(?=[.\[]|\Z)")
_OF_LISTS = frozenset({"lines", "each", "items", "collect"})
_PLURAL = re.compile(r"\.(?:\w*[a-hj-rtv-z]s|data)\Z")


def path_doubt(path: Path, text: str) -> str | None:
    """Return the message about a valid JSONPath that surely reads something else than was meant, or None."""
    indexed = _NUMBER.sub(r"[\1]", text) if "'" not in text and '"' not in text else text
    if indexed != text:
        return f"{short(text)} reads a key that is a number, and no item of a list; write {indexed}"
    if path[-1] in _OF_LISTS and _PLURAL.search(text) and not compile_path(text).many:
        told = "is one line" if path[-1] == "lines" else "is one item"
        return f"{short(text)} {told}, even if it is a list; for each of its items write {text}[*]"
    return None


def described(found: str, name: str | None, *, done: str, names: Names) -> str:
    """Return the message about a part that looks like a template of another tool."""
    if name is None:
        return f"{short(found)} is {done} as it is written; write a template, such as ${{{{ job.id }}}}"
    message = f"{short(found)} is {done} as it is written; ${{{{ {name} }}}} was meant"
    root = name.partition(".")[0]
    if root not in names.roots and re.fullmatch(_NAME, name):
        message += f", though there is no {root} here: {', '.join(names.roots)}"
    return message
