"""Secrets never come out, whatever form they take in a text."""

from __future__ import annotations

import base64
import json
import time
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaml_connector._http.redact import Redactor, redactor_for

SECRETS = st.text(st.characters(codec="utf-8"), min_size=8, max_size=40) | st.text(
    st.sampled_from('ab/+=&"\\ \nü€😀%'), min_size=8, max_size=40
)
AROUND = st.text(st.sampled_from("xyz 019.,:{}\"'é\n"), max_size=12)


def hidden(secret: str, text: str, *others: str) -> str:
    return Redactor([secret, *others]).redact(text)


def is_unlike(secret: str, *texts: str) -> bool:
    """Does the secret not occur by chance in what is put around it?"""
    return not any(secret in text or text in secret for text in texts if text)


class TestASecret:
    @given(SECRETS, AROUND, AROUND)
    def test_is_masked_where_it_stands_plain_and_nothing_else_is(self, secret: str, before: str, after: str) -> None:
        if not is_unlike(secret, before, after) or any(char in secret for char in before + after):
            return
        assert hidden(secret, f"{before}{secret}{after}") == f"{before}***{after}"

    @given(SECRETS)
    @pytest.mark.parametrize(
        "form",
        [
            lambda text: quote(text, safe=""),
            quote,
            quote_plus,
            lambda text: json.dumps(text)[1:-1],
            lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
            lambda text: repr(text)[1:-1],
        ],
        ids=["quote", "quote-path", "quote-plus", "json", "json-unicode", "repr"],
    )
    def test_is_masked_in_every_spelling(self, form: object, secret: str) -> None:
        spelled = form(secret)  # type: ignore[operator]
        assert hidden(secret, f"<{spelled}>") == "<***>"

    @given(
        SECRETS, st.text(st.characters(codec="utf-8"), max_size=7), st.text(st.characters(codec="utf-8"), max_size=7)
    )
    def test_is_masked_in_base64_at_any_alignment(self, secret: str, before: str, after: str) -> None:
        raw = (before + secret + after).encode()
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            text = encode(raw).decode()
            masked = hidden(secret, f"Basic {text}")
            assert masked.startswith("Basic ")
            assert "***" in masked
            rest = masked.removeprefix("Basic ").replace("*", "")
            # at most the characters that are shared with what stands around it are left
            assert len(rest) <= len(text) - (len(secret.encode()) * 8 - 16) // 6 + 1

    @given(SECRETS, st.integers(0, 30))
    def test_is_masked_when_its_end_is_cut_off(self, secret: str, cut: int) -> None:
        start = secret[: len(secret) - cut]
        if len(start) >= max(8, len(secret) // 2):
            assert hidden(secret, f"<{start}") == "<***"

    def test_is_masked_within_another_one(self) -> None:
        assert hidden("password", "a mypassword2 password", "mypassword2") == "a *** ***"
        assert hidden("aaaabbbbcccc", "aaaabbbbccccdddd aaaabbbbcccc", "aaaabbbbccccdddd") == "*** ***"

    def test_is_masked_side_by_side_and_overlapping(self) -> None:
        assert "secret" not in hidden("secret-one", "secret-onesecret-two", "secret-two")
        masked = hidden("abcdefghij", "abcdefghijklmnop", "ghijklmnop")
        assert "klmnop" not in masked

    def test_of_several_lines_is_masked_line_by_line(self) -> None:
        pem = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\nAQEFAASCBKcwggSjAgEAAoIB\n-----END KEY-----\n"
        assert hidden(pem, "log: AQEFAASCBKcwggSjAgEAAoIB!") == "log: ***!"
        assert "MIIE" not in hidden(pem, json.dumps({"key": pem}))
        assert hidden(pem, "-----BEGIN PRIVATE KEY-----") != ""

    def test_of_less_than_four_characters_is_left_alone(self) -> None:
        assert hidden("abc", "abc abcd") == "abc abcd"

    def test_is_found_in_every_text_of_a_tree(self) -> None:
        tree = {"planted-1": ["x planted-1", 1, None, {"k": "planted-1"}], "n": 1.5}
        assert redactor_for(frozenset({"planted-1"})).redact_tree(tree) == {
            "***": ["x ***", 1, None, {"k": "***"}],
            "n": 1.5,
        }

    def test_is_in_no_repr(self) -> None:
        assert "planted" not in repr(Redactor(["planted-secret"]))


def test_nothing_to_hide_changes_nothing() -> None:
    assert redactor_for(frozenset()).redact("any text") == "any text"
    assert Redactor(["", "abc"]).redact("abc") == "abc"


@given(st.lists(SECRETS, min_size=1, max_size=4), st.lists(st.sampled_from(range(4)), max_size=4), AROUND)
def test_many_secrets_in_one_text_are_all_masked(secrets: list[str], order: list[int], between: str) -> None:
    used = [secrets[number % len(secrets)] for number in order]
    text = between.join(used)
    masked = Redactor(secrets).redact(text)
    assert not any(secret in masked for secret in used)


def test_a_long_text_of_near_misses_takes_no_long() -> None:
    secret = base64.b64encode(bytes(number * number % 251 for number in range(3000))).decode()
    started = time.perf_counter()
    Redactor([secret]).redact(secret[:3000] * 70)
    Redactor(["x" * 30 + str(number) for number in range(50)]).redact("x" * 20_000)
    assert time.perf_counter() - started < 2


def test_a_secret_from_an_environment_that_is_no_utf8_does_no_harm() -> None:
    assert hidden("key-\udcff-value", "a key-\udcff-value") == "a ***"
