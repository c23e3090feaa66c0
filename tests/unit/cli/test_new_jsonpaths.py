"""The JSONPaths that `new` makes and follows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from yaml_connector.cli.new.jsonpaths import data_at, keys_of, member, pointer_path, value_at

KEYS = st.lists(st.text(min_size=1, max_size=8) | st.integers(0, 3), min_size=1, max_size=5)


@given(KEYS)
def test_a_path_is_taken_apart_into_the_keys_that_it_was_made_of(keys: list[str | int]) -> None:
    path = "$" + "".join(f"[{key}]" if isinstance(key, int) else member(key) for key in keys)
    assert keys_of(path) == keys
    assert value_at(data_at({path: "here"}), path) == "here"


@given(st.text(alphabet='$.[]*"\\ab01-', max_size=20), st.text(alphabet='$.[]*"\\ab01-', max_size=20))
def test_any_text_can_stand_in_the_place_of_a_path(path: str, other: str) -> None:
    value_at(data_at({path: 1, other: 2}), other)


def test_the_items_of_a_list_are_bounded() -> None:
    assert data_at({"$.a[2]": 1}) == {"a": [1, 1, 1]}
    assert data_at({"$.a[999999999]": 1, "$.b": 2}) == {"a": [], "b": 2}
    assert keys_of(f"$.a[{'9' * 5000}].b") == ["a", "b"]


def test_a_pointer_becomes_a_path() -> None:
    assert pointer_path("/jobs/0/a~1b") == '$.jobs[0]["a/b"]'
    assert pointer_path("/") == "$"
