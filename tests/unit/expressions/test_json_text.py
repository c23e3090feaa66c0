"""JSON is sized up before it is parsed."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaml_connector._expressions.json_text import has_more_values

TEXTS = st.text(st.sampled_from('",[{\\ué\n'), max_size=6)
TREES = st.recursive(
    st.none() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def _counted(value: Any) -> int:
    """The opening brackets and the commas of a value."""
    if not isinstance(value, list | dict):
        return 0
    items = list(value.values()) if isinstance(value, dict) else value
    return 1 + max(0, len(items) - 1) + sum(map(_counted, items))


@given(TREES)
def test_the_values_of_json_are_counted_whatever_its_strings_hold(value: Any) -> None:
    text, count = json.dumps(value), 1 + _counted(value)
    assert not has_more_values(text, count)
    assert has_more_values(text, count - 1)


@pytest.mark.parametrize("text", ['"' * 10**6, '"\\' * 500_000, '"\\"' * 300_000, '"\\",[' * 200_000, "[" * 10**6])
def test_counting_takes_linear_time_for_any_text(text: str) -> None:
    began = time.process_time()
    has_more_values(text, 10)
    assert time.process_time() - began < 0.5
