"""Any value at any place of a spec gives problems or a spec, in our own words."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.loading.loading_holds import spec_holds
from yaml_connector._loading.document import parse
from yaml_connector._loading.loader import load_text

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "fuzz"))
from tests.integration.fuzz.mutate import as_yaml, places  # noqa: E402 - the way to the fuzzer's helpers comes first

pytestmark = pytest.mark.slow

CONTENT = (HERE / "corpus" / "everything.yaml").read_bytes()
EVERYTHING = parse(CONTENT, "s.yaml").data
NUMBER_OF_PLACES = len(places(EVERYTHING))


def at_every_place() -> Iterator[tuple[Any, Any, Any]]:
    """A fresh copy of the spec for every place in it, with the container and the key of that place."""
    for index in range(NUMBER_OF_PLACES):
        data = copy.deepcopy(EVERYTHING)
        yield data, *places(data)[index]


def test_the_spec_that_uses_everything_has_no_problem() -> None:
    assert load_text(CONTENT, "s.yaml")[1] == []


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, 5, 1.5, 10**400, float("nan"), float("inf")),
        *("", "x", "\n", "${{ nope }}", "${{ + }}", "${{", "$.a[", "$.a"),
        *([], {}, [None], {"x": None}, ["x"], {"type": "x"}, [[[[]]]]),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_any_value_at_any_place(value: Any) -> None:
    for data, container, key in at_every_place():
        container[key] = value
        spec_holds(as_yaml(data))


def test_any_key_left_out() -> None:
    for data, container, key in at_every_place():
        del container[key]
        spec_holds(as_yaml(data))


def test_any_unknown_key_is_named() -> None:
    for data, container, key in at_every_place():
        if isinstance(container, dict):
            container["str\nange"] = container.pop(key)
            spec_holds(as_yaml(data))
