"""Any value at any place of a spec gives problems or a spec, in our own words."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.fuzz.mutate import as_yaml, places
from tests.unit.loading.loading_holds import spec_holds
from yaml_connector._loading.document import parse
from yaml_connector._loading.loader import load_text

pytestmark = pytest.mark.slow

CONTENT = (Path(__file__).parent / "corpus" / "everything.yaml").read_bytes()
EVERYTHING = parse(CONTENT, "s.yaml").data
# The keys of everything.yaml that its author chose: in bodies, queries, claims and outputs any key is allowed.
# Without `type` the kind of credentials is unknown, and with it the keys beside it.
FREE_KEYS = {"a", "b", "f", "iss", "jwt", "q", "run", "x"} | {"type"}
NUMBER_OF_PLACES = len(places(EVERYTHING))


def at_every_place(first: int = 0, step: int = 1) -> Iterator[tuple[Any, Any, Any]]:
    """A fresh copy of the spec for every place in it, with the container and the key of that place."""
    for index in range(first, NUMBER_OF_PLACES, step):
        data = copy.deepcopy(EVERYTHING)
        yield data, *places(data)[index]


def test_the_spec_that_uses_everything_has_no_problem() -> None:
    assert load_text(CONTENT, "s.yaml")[1] == []


VALUES: list[Any] = [
    *(None, True, 5, 1.5, 10**400, float("nan"), float("inf")),
    *("", "x", "\n", "${{ nope }}", "${{ + }}", "${{", "$.a[", "$.a"),
    *([], {}, [None], {"x": None}, ["x"], {"type": "x"}, [[[[]]]]),
]


@pytest.mark.parametrize("index", range(len(VALUES)), ids=lambda index: repr(VALUES[index])[:20])
def test_any_value_at_any_place(index: int) -> None:
    value = VALUES[index]
    # A fifth of the places, and others for the next value: `make fuzz` goes on from there.
    for data, container, key in at_every_place(index % 5, 5):
        container[key] = value
        spec_holds(as_yaml(data))


def test_any_key_left_out() -> None:
    for data, container, key in at_every_place():
        del container[key]
        spec_holds(as_yaml(data))


def test_any_unknown_key_is_named() -> None:
    not_named = set()
    for data, container, key in at_every_place():
        if isinstance(container, dict):
            container["str\nange"] = container.pop(key)
            content = as_yaml(data)
            spec_holds(content)
            if not any("str\\nange" in str(problem) for problem in load_text(content, "s.yaml")[1]):
                not_named.add(key)
    assert not_named == FREE_KEYS
