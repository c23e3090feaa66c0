"""How tests of values evaluate a template, and the JSON values that hypothesis makes for them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.support.scopes import AnyScope
from yaml_connector._expressions.compile import compile_text

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def in_request(text: str, **names: Any) -> Any:
    """The value of a template of a request, for the names of a scope."""
    return compile_text(text).evaluate(AnyScope(**names))


def in_answer(text: str, **names: Any) -> Any:
    """The value of a template that reads an answer, for the names of a scope."""
    return compile_text(text, answer=True).evaluate(AnyScope(**names))
