"""Specs that nobody would write: seeded mutations of real files, of their data, and texts of the small grammars."""

from __future__ import annotations

import copy
import json
from random import Random
from typing import Any

from yaml_connector._loading.document import parse

YAML_BITS = (
    *(b"${{", b"}}", b"$.", b": ", b"- ", b"{", b"}", b"[", b"]", b"&a ", b"*a", b"!!str ", b"<<: *a", b"|\n", b">-\n"),
    *(b"'", b'"', b"#", b"\t", b"\n", b"\r", b"? ", b"---\n", b"...\n", b"%YAML 1.2\n", b"\x00", b"\xff\xfe", b"\x85"),
    *("\ufeff".encode(), "\u2028".encode(), "é".encode(), "💥".encode(), b"null", b"~", b"yes", b".nan", b"-.inf"),
    *(b"0x" + b"f" * 40, b"1e999", b"9" * 50),
)


def words(text: str, *more: str) -> tuple[str, ...]:
    """The words of a text, and what has or is a space."""
    return (*text.split(), *more)


EXPRESSION_BITS = words(
    "inputs config secrets env body status steps job task line page item x . . [ ] ( ) { } ' \" | | ~ + - "
    "* ** / // % == != < >= : , is in not and or if else 0 1 -1 2.5 1e400 true none defined default json "
    "fromjson regex jsonpath map select list join length tojson first range now uuid5 dict namespace "
    "cycler lipsum __class__ attr format \\ # {# {% %} for import é loop self caller super varargs _ "
    "lambda",
    *(" ", " ", " is not ", "9" * 30, "\n", "\x00"),
)
PATH_BITS = words(
    "$ $ @ . . .. * [ ] [*] [0] [-1] [0:2] [?( )] ( ) ' \" a b a-b `len` `this` `parent` `sorted` ` == != "
    "=~ < >= & | && , / \\ 1 1.5 true null where wherenot parent + - * é `sub(/a/,b)` `split(-,0,1)`",
    *(" ", "9" * 25, "\x00", "\n", "\t"),
)
TYPE_BITS = words("str int float bool any datetime file dataframe list[ dict[ dict[str, str , ] ? x [ é 1", " ", "\n")
SMALL_BITS = words("1 0 . 5 ms s m h d KiB MiB GiB B 2xx 404 - GET POST / https:// x é", "9" * 20, " ", "\n")
WORDS = words(
    "type request steps path url json map is when value name if each save follow auth jwt token batch "
    "items id poll phase default enum minimum file env read multipart content FAILED * item strange 2 a.b "
    "[key] é << __class__ model_config json_body copy",
    *("", "${{ a }}"),
)
ODD = (None, True, False, 0, 1, -1, 404, 2**53 + 1, 10**400, -(10**20), 1.5, float("nan"), float("inf"), 1e300, "", " ")


def joined(random: Random, bits: tuple[str, ...], most: int = 14) -> str:
    """Some pieces of a grammar, one after the other."""
    return "".join(random.choices(bits, k=random.randint(1, most)))


def expression(random: Random) -> str:
    """Something like an expression."""
    return joined(random, EXPRESSION_BITS)


def path(random: Random) -> str:
    """Something like a JSONPath."""
    return "$" * (random.random() < 0.8) + joined(random, PATH_BITS)


def type_text(random: Random) -> str:
    """Something like a type."""
    return joined(random, TYPE_BITS, 6)


def junk(random: Random, depth: int = 0) -> Any:
    """Any value, now and then a deep or a long one."""
    kind = random.randrange(16 if depth < 3 else 12)
    if kind < 4:
        return random.choice(ODD)
    if kind < 6:
        return expression(random)
    if kind < 8:
        return "${{" + expression(random) + random.choice(("}}", " }}", "}", "}} x", "}}${{ y }}"))
    if kind == 8:
        return path(random)
    if kind == 9:
        return type_text(random)
    if kind == 10:
        return joined(random, SMALL_BITS, 5)
    if kind == 11:
        return random.choice(WORDS) * random.choice((1, 1, 1, 1, 50))
    if kind < 14:
        return [junk(random, depth + 1) for _ in range(random.randint(0, 4))]
    return {random.choice(WORDS): junk(random, depth + 1) for _ in range(random.randint(0, 4))}


def places(data: Any) -> list[tuple[Any, Any]]:
    """Every place in the data, as the container and the key."""
    found, todo = [], [data]
    while todo:
        container = todo.pop()
        for key, item in list(container.items() if isinstance(container, dict) else enumerate(container)):
            found.append((container, key))
            if isinstance(item, dict | list) and item:
                todo.append(item)
    return found


def mutated_data(random: Random, seeds: list[Any]) -> Any:
    """A real spec's data, changed at some places: dropped, renamed, replaced, moved from another spec."""
    data = copy.deepcopy(random.choice(seeds))
    for _ in range(random.choice((1, 1, 1, 2, 3, 6))):
        if not (found := places(data)):
            break
        container, key = random.choice(found)
        how = random.randrange(7)
        if how == 0:
            del container[key]
        elif how == 1 and isinstance(container, dict):
            container[random.choice(WORDS)] = container.pop(key)
        elif how == 2 and isinstance(container, dict):
            container[random.choice(WORDS)] = junk(random)
        elif how == 3:
            other, there = random.choice(places(random.choice(seeds)))
            container[key] = copy.deepcopy(other[there])
        elif how == 4 and isinstance(container[key], str):
            text = container[key]
            at = random.randint(0, len(text))
            bits = random.choice((EXPRESSION_BITS, PATH_BITS, TYPE_BITS, SMALL_BITS))
            container[key] = text[:at] + joined(random, bits, 3) + text[at + random.randint(0, 2) :]
        elif how == 5 and isinstance(container, list):
            container[:] = container * random.randint(1, 3)
        else:
            container[key] = junk(random)
    return data


def mutated_bytes(random: Random, seeds: list[bytes]) -> bytes:
    """A real spec's text, changed at some places: cut, doubled, moved, overwritten, spliced with another."""
    content = bytearray(random.choice(seeds))
    for _ in range(random.choice((1, 1, 2, 3, 8))):
        at, end = sorted((random.randint(0, len(content)), random.randint(0, len(content))))
        end = min(end, at + random.choice((1, 4, 30, 200)))
        how = random.randrange(6)
        if how == 0:
            del content[at:end]
        elif how == 1:
            content[at:at] = content[at:end] * random.randint(1, 3)
        elif how == 2:
            content[at : at + random.randint(0, 3)] = random.choice(YAML_BITS)
        elif how == 3 and at < len(content):
            content[at] ^= 1 << random.randrange(8)
        elif how == 4:
            other = random.choice(seeds)
            start = random.randrange(len(other))
            content[at:end] = other[start : start + random.randint(1, 80)]
        else:
            content[at:at] = random.choice(YAML_BITS) * random.choice((1, 1, 2, 60))
    return bytes(content)


def raw_bytes(random: Random) -> bytes:
    """Bytes, or pieces of YAML."""
    if random.random() < 0.3:
        return random.randbytes(random.randint(0, 60))
    return b"".join(random.choices((*YAML_BITS, b"a", b"b", b" ", b"  ", b"\n  ", b"a: "), k=random.randint(1, 25)))


def as_yaml(data: Any) -> bytes:
    """Data as the text of a file: JSON is YAML, but for what YAML calls otherwise."""
    text = json.dumps(data, ensure_ascii=False).replace("NaN", ".nan").replace("Infinity", ".inf")
    return text.encode("utf-8", "replace")


def seeds_of(contents: list[bytes]) -> tuple[list[bytes], list[Any]]:
    """The seeds as text and as data."""
    return contents, [parse(content, "seed").data for content in contents]
