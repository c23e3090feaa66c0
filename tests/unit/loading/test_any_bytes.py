"""Whatever a file holds, loading gives problems or a spec: it never raises."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.paths import ROOT
from yaml_connector._loading.document import parse
from yaml_connector._loading.loader import load_text

GOOD = (ROOT / "connectors.d" / "batch_job.yaml").read_bytes()
LINES = GOOD.splitlines(keepends=True)


def holds_problems_or_a_spec(content: bytes) -> None:
    loaded, problems = load_text(content, "s.yaml")
    assert (loaded is None) == any(problem.severity == "error" for problem in problems)
    for problem in problems:
        assert problem.line >= 1
        assert problem.column >= 1
        assert "\n" not in problem.message


@given(st.binary(max_size=300))
def test_any_bytes(content: bytes) -> None:
    holds_problems_or_a_spec(content)


@given(st.text(alphabet="ab:-[]{}&*!|>'\"#%@,?\n \t$<01.~", max_size=120))
def test_any_text_that_looks_like_yaml(text: str) -> None:
    holds_problems_or_a_spec(text.encode())


@given(st.data())
def test_any_spec_with_some_lines_changed(data: st.DataObject) -> None:
    lines = list(LINES)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        change = data.draw(st.sampled_from(["drop", "twice", "swap", "cut", "junk"]))
        if change == "drop" and len(lines) > 1:
            del lines[at]
        elif change == "twice":
            lines.insert(at, lines[at])
        elif change == "swap":
            other = data.draw(st.integers(0, len(lines) - 1))
            lines[at], lines[other] = lines[other], lines[at]
        elif change == "cut":
            lines[at] = lines[at][: data.draw(st.integers(0, len(lines[at])))]
        else:
            junk = data.draw(
                st.sampled_from([b"${{", b"}}", b"$.[", b": ", b"{", b"*a", b"&a ", b"!x ", b"\t", b"null", b"7"])
            )
            where = data.draw(st.integers(0, len(lines[at])))
            lines[at] = lines[at][:where] + junk + lines[at][where:]
    holds_problems_or_a_spec(b"".join(lines))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_json_is_yaml_and_comes_out_as_it_is(value: Any) -> None:
    import json

    document = parse(json.dumps({"a": value}, ensure_ascii=False).replace("\x7f", "").encode(), "s.yaml")
    assert document.problems == []
    assert document.data == json.loads(json.dumps({"a": value}).replace("\\u007f", ""))


@pytest.mark.parametrize("word", ["yes", "No", "ON", "off", "12:30:00", "2020-01-01", "0777", "1_000", "=", "<", "y"])
def test_what_is_a_text_in_yaml_1_2_stays_a_text_or_a_decimal_number(word: str) -> None:
    value = parse(f"a: {word}".encode(), "s.yaml").data["a"]
    assert value == (777 if word == "0777" else word)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("~", None),
        ("null", None),
        ("", None),
        ("true", True),
        ("FALSE", False),
        ("0o17", 15),
        ("0xff", 255),
        ("1e3", 1e3),
    ],
)
def test_the_core_schema_holds(word: str, value: Any) -> None:
    found = parse(f"a: {word}".encode(), "s.yaml").data["a"]
    assert found == value
    assert type(found) is type(value)
