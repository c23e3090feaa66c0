"""The language's own filters and functions."""

from __future__ import annotations

import base64
import hashlib
import json
import shlex
import uuid
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from tests.support.filters import problem, value
from yaml_connector._expressions.compile import compile_text
from yaml_connector._expressions.filters import FILTERS
from yaml_connector._expressions.scope import Scope

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


ARGUMENTS = {
    "jsonpath": "('$')",
    "regex": "('a')",
    "regex_replace": "('a', 'b')",
    "slug": "(3)",
    "merge": "({})",
    "find": "('a', 1)",
}


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_every_filter_gives_null_for_null_and_undefined(name: str) -> None:
    call = f"x | {name}{ARGUMENTS.get(name, '')}"
    assert value(call, x=None) is None
    assert value(call) is None
    assert value(f"x.y.z | {name}{ARGUMENTS.get(name, '')}", x={"y": {}}) is None


class TestJson:
    @given(JSON)
    def test_and_fromjson_are_each_others_opposite(self, data: Any) -> None:
        assert repr(value("x | json | fromjson", x=data)) == repr(data if data is not None else None)

    def test_is_compact_and_keeps_the_order(self) -> None:
        assert value("x | json", x={"b": 1, "a": [1.0, "é", None, True]}) == '{"b":1,"a":[1.0,"é",null,true]}'
        assert value("'text' | json") == '"text"'

    def test_of_what_json_has_no_form_for_is_a_problem(self) -> None:
        assert "cannot be written as JSON" in problem("x | json", x=float("inf"))

    @pytest.mark.parametrize("text", ["", "{", "nul", "[1,]", "'a'"])
    def test_text_that_is_none_is_a_problem(self, text: str) -> None:
        assert "fromjson: this is not valid JSON" in problem("x | fromjson", x=text)


class TestBase64:
    @given(st.text())
    def test_comes_back_as_it_went_in(self, text: str) -> None:
        assert value("x | b64encode", x=text) == base64.b64encode(text.encode()).decode()
        assert value("x | b64encode | b64decode", x=text) == text

    def test_is_read_without_padding_url_safe_and_in_lines(self) -> None:
        text = "ü??>>~~~" * 12
        for spelled in (
            base64.b64encode(text.encode()).decode().rstrip("="),
            base64.urlsafe_b64encode(text.encode()).decode(),
            base64.encodebytes(text.encode()).decode(),
        ):
            assert value("x | b64decode", x=spelled) == text

    @pytest.mark.parametrize("text", ["a", "_w==", "/w==", "abcde"])
    def test_of_no_text_is_a_problem(self, text: str) -> None:
        assert "b64decode" in problem("x | b64decode", x=text)

    def test_of_other_values_is_that_of_their_json(self) -> None:
        assert value("x | b64encode | b64decode", x={"a": 1}) == '{"a":1}'


class TestTexts:
    @pytest.mark.parametrize(
        ("call", "expected"),
        [
            ("'s3://b/a/f.txt' | basename", "f.txt"),
            ("'/a/b/' | basename", "b"),
            ("'f' | basename", "f"),
            ("'https://x/a/f.txt?sig=/b' | basename", "f.txt"),
            ("'' | basename", ""),
            ("'My Job: Ü #7!' | slug", "my-job-7"),
            ("'--a--' | slug", "a"),
            ("'abc-def' | slug(4)", "abc"),
            ("'Hello World' | slug(5)", "hello"),
            ("'a' | slug(0)", ""),
            ("17 | slug", "17"),
            ("'abc' | sha256", hashlib.sha256(b"abc").hexdigest()),
            ("'é' | sha256", hashlib.sha256("é".encode()).hexdigest()),
            ("[1] | sha256", hashlib.sha256(b"[1]").hexdigest()),
            ("'é€a' | bytelen", 6),
            ("'' | bytelen", 0),
            ("'a/b c&d' | quote", "a%2Fb%20c%26d"),
            ("5 | quote", "5"),
            ("'a/b' | path", "a/b"),
        ],
    )
    def test_are_made_as_the_page_says(self, call: str, expected: Any) -> None:
        assert value(call) == expected

    @given(st.text(), st.integers(0, 80))
    def test_slug_has_only_its_letters_and_length(self, text: str, most: int) -> None:
        slug = value("x | slug(n)", x=text, n=most)
        assert len(slug) <= most
        assert slug == slug.strip("-")
        assert set(slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")

    @given(st.text())
    def test_quote_is_undone_by_decoding(self, text: str) -> None:
        quoted = value("x | quote", x=text)
        assert unquote(quoted) == text
        assert not set(quoted) & set("/?&=#+ :;,@")


class TestMappings:
    @pytest.mark.parametrize(
        ("call", "expected"),
        [
            ("{'a': 1, 'b': 'x'} | kv", [{"name": "a", "value": 1}, {"name": "b", "value": "x"}]),
            ("{'a': 1} | kv('Key', 'Value')", [{"Key": "a", "Value": 1}]),
            ("{'a': 1} | kv(name='k', value='v')", [{"k": "a", "v": 1}]),
            ("{} | kv", []),
            ("{'a': 1, 'b': true} | kvjoin", ["a=1", "b=true"]),
            ("{'a': [1]} | kvjoin(': ')", ["a: [1]"]),
            ("{'a': 1, 'b': 2} | merge({'b': 3, 'c': 4})", {"a": 1, "b": 3, "c": 4}),
            ("{'a': 1} | merge(none)", {"a": 1}),
            ("{'a': {'b': 1}} | merge({'a': {'c': 2}})", {"a": {"c": 2}}),
        ],
    )
    def test_are_turned_into_lists_and_put_together(self, call: str, expected: Any) -> None:
        assert value(call) == expected

    @pytest.mark.parametrize("call", ["[1] | kv", "'a' | kvjoin", "5 | merge({})", "{} | merge([1])"])
    def test_are_needed(self, call: str) -> None:
        assert "a mapping is needed, not" in problem(call)


class TestFingerprint:
    def test_is_the_hash_of_the_public_part(self) -> None:
        for key in (
            rsa.generate_private_key(public_exponent=65537, key_size=2048),
            ec.generate_private_key(ec.SECP256R1()),
        ):
            for form in (serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL):
                pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()
                public = key.public_key().public_bytes(
                    serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
                )
                assert value("x | fingerprint", x=pem) == base64.b64encode(hashlib.sha256(public).digest()).decode()

    def test_of_no_key_is_a_problem_that_does_not_show_it(self) -> None:
        assert "planted" not in problem("x | fingerprint", x="planted-secret")


def test_uuid5_is_in_the_url_namespace() -> None:
    assert value("uuid5('https://x')") == str(uuid.uuid5(uuid.NAMESPACE_URL, "https://x"))
    assert value("uuid5(7)") == str(uuid.uuid5(uuid.NAMESPACE_URL, "7"))


def test_jinjas_own_filters_are_there() -> None:
    for call, expected in (
        ("[3, 1, 2] | sort", [1, 2, 3]),
        ("['a', 'b'] | join(',')", "a,b"),
        ("x | selectattr('t', 'equalto', 'F') | map(attribute='n') | list", [1]),
        ("{'a': 1} | items | list", [["a", 1]]),
        ("'a' | default('b')", "a"),
        ("none | default('b', true)", "b"),
        ("[1, 2] | map('string') | list", ["1", "2"]),
        ("'1.5' | float", 1.5),
        ("'x' | int(7)", 7),
        ("[[1], [2]] | first", [1]),
        ("'<a>' | escape", "&lt;a&gt;"),
        ("{'b': 1, 'a': 2} | dictsort", [["a", 2], ["b", 1]]),
        ("[1, 1, 2] | unique | list", [1, 2]),
        ("x | map(attribute='t') | list", ["F", "T"]),
    ):
        found = value(call, x=[{"t": "F", "n": 1}, {"t": "T", "n": 2}])
        assert json.dumps(found) == json.dumps(expected), call


class TestResolve:
    @pytest.mark.parametrize(
        ("given_", "expected"),
        [
            ("c", "https://h.test/a/c"),
            ("/c", "https://h.test/c"),
            ("../c", "https://h.test/c"),
            ("?page=2", "https://h.test/a/b?page=2"),
            ("#top", "https://h.test/a/b?q=1#top"),
            ("", "https://h.test/a/b?q=1"),
            ("//other.test/c", "https://other.test/c"),
            ("http://other.test/c", "http://other.test/c"),
            ("https:c", "https://h.test/a/c"),
            (" /c\n", "https://h.test/c"),
            ("/c\td", "https://h.test/cd"),
            ("\\c?x=\\", "https://h.test/c?x=\\"),
            ('c d/é%20?x=a b<"', "https://h.test/a/c%20d/%C3%A9%20?x=a%20b%3C%22"),
            ("http://müller.test/ü \ud800", "http://müller.test/%C3%BC%20%3F"),
        ],
    )
    def test_makes_a_relative_url_absolute_as_a_browser_does(self, given_: str, expected: str) -> None:
        assert value("x | resolve('https://h.test/a/b?q=1')", x=given_) == expected

    def test_takes_the_url_that_answered(self) -> None:
        source = compile_text("${{ body.next | resolve }}", answer=True)
        answered = SimpleNamespace(url="https://h.test/a/b", body={"next": "c"}, status=200, headers={}, text="")
        assert source.evaluate(Scope(response=answered)) == "https://h.test/a/c"
        assert compile_text("${{ ['c', '/d'] | map('resolve') | list }}", answer=True).evaluate(
            Scope(response=answered)
        ) == ["https://h.test/a/c", "https://h.test/d"]

    def test_needs_a_base_where_nothing_answered(self) -> None:
        assert "give the base" in problem("'c' | resolve")

    @pytest.mark.parametrize("given_", ["http://[", "//[::1", "http://[v.x"])
    def test_of_what_is_no_url_is_a_problem(self, given_: str) -> None:
        assert "is not a valid URL" in problem("x | resolve('https://h.test/')", x=given_)


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("none | join(',')", "null is not iterable"),
        ("'a' + x", "can only concatenate str (not null) to str"),
        ("x < 1", "'<' not supported between instances of null and 'int'"),
    ],
)
def test_what_python_says_of_a_null_is_said_of_a_null(expression: str, said: str) -> None:
    assert problem(expression, x=None).endswith(said)


class TestShell:
    @given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))))
    def test_is_undone_by_a_shell(self, words: list[str]) -> None:
        assert shlex.split(value("x | shell", x=words)) == words

    @pytest.mark.parametrize(
        ("given_", "expected"),
        [
            ("it's", "'it'\"'\"'s'"),
            ("a", "a"),
            ("", "''"),
            (["a", 1, True, {"b": 2}], "a 1 true '{\"b\":2}'"),
            ([], ""),
        ],
    )
    def test_quotes_words_or_a_text(self, given_: Any, expected: str) -> None:
        assert value("x | shell", x=given_) == expected

    @pytest.mark.parametrize("given_", [{"a": 1}, ["a", None], "a\0b"])
    def test_of_what_no_shell_takes_is_a_problem(self, given_: Any) -> None:
        assert "shell: " in problem("x | shell", x=given_)
