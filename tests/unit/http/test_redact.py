"""Secrets never come out, whatever form they take in a text."""

from __future__ import annotations

import base64
import html
import json
import os
import quopri
import time
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given, settings
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
        if secret.endswith("=") and after.startswith("\n"):
            return  # the line break of quoted-printable, which is not a part of what is around
        assert hidden(secret, f"{before}{secret}{after}") == f"{before}***{after}"

    @given(SECRETS)
    @example("À%800000")  # an escape of its own that would go on the character before it
    @example("€\\x80abcd")
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


def escaped_in_part(text: str) -> str:
    """Every third character as `\\uXXXX`, in digits of either case."""
    pairs = text.encode("utf-16-be", "surrogatepass").hex(" ", 2).split()
    units = [pairs[at : at + 1] for at in range(len(pairs))]
    plain = [bytes.fromhex(unit[0]).decode("utf-16-be", "surrogatepass") for unit in units]
    return "".join(
        (f"\\u{unit[0]}" if at % 2 else f"\\u{unit[0].upper()}")
        if at % 3 == 0 or not char.isascii() or char in '"\\' or ord(char) < 32
        else char
        for at, (unit, char) in enumerate(zip(units, plain, strict=True))
    )


ENCODINGS: dict[str, Callable[[str], str]] = {
    "raw": str,
    "slash-escaped": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "u-escapes": lambda text: "".join(
        f"\\u{unit}" for unit in text.encode("utf-16-be", "surrogatepass").hex(" ", 2).split()
    ),
    "u-escapes in part": escaped_in_part,
    "x-escapes": lambda text: "".join(f"\\x{byte:02x}" for byte in text.encode()),
    "octal": lambda text: "".join(f"\\{byte:03o}" for byte in text.encode()),
    "percent": quote_plus,
    "percent, lower case": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "percent in part": lambda text: quote(text, safe="/+=&:,"),
    "percent twice": lambda text: quote(quote(text, safe=""), safe=""),
    "entities": lambda text: html.escape(text).replace("&#x27;", "&apos;"),
    "decimal entities": lambda text: "".join(f"&#{ord(char):05d};" for char in text),
    "hexadecimal entities": lambda text: (
        text.encode("ascii", "xmlcharrefreplace").decode()
        if not text.isascii()
        else "".join(f"&#X{ord(char):04X};" for char in text)
    ),
    "entities in a URL": lambda text: quote(html.escape(text), safe=""),
    "JSON in JSON": lambda text: json.dumps(json.dumps(json.dumps(text)[1:-1])[1:-1])[1:-1],
    "JSON in a URL": lambda text: quote(json.dumps(text)[1:-1], safe=""),
    "JSON in HTML": lambda text: html.escape(json.dumps(text)[1:-1]),
    "repr of bytes": lambda text: repr(text.encode())[2:-1],
    "quoted-printable": lambda text: quopri.encodestring(text.encode(), quotetabs=True).decode(),
    "quoted-printable, broken": lambda text: quopri.encodestring(b"x" * 70 + text.encode()).decode()[70:],
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64, broken": lambda text: base64.encodebytes(b"x" * 30 + text.encode()).decode()[40:].rstrip("\n"),
    "base64, broken, in JSON": lambda text: json.dumps(ENCODINGS["base64, broken"](text))[1:-1],
    "urlsafe base64": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "hex": lambda text: text.encode().hex(),
    "hex, upper case": lambda text: text.encode().hex(":").upper(),
}


def long_secrets() -> st.SearchStrategy[str]:
    """Secrets of which half is still worth something, and whose parts are unlike each other."""
    seeds = st.binary(min_size=8, max_size=24)
    return st.builds(lambda seed, odd: base64.b85encode(seed).decode() + odd + seed.hex(), seeds, SECRETS)


class TestAnEncodedSecret:
    @pytest.mark.parametrize("name", ENCODINGS)
    @settings(max_examples=settings().max_examples // 7)  # each is cut in some hundred places
    @given(secret=long_secrets())
    @example(secret="000000000000000\\000\\\\00000000000000000000")  # escapes of its own, which the cut is in
    def test_leaves_nothing_that_matters_wherever_the_text_is_cut(self, name: str, secret: str) -> None:
        encoded = ENCODINGS[name](secret)
        # of a cut text a start is left that is less than a head, or an escape that is cut
        least = min(len(ENCODINGS[name](secret[: min(24, len(secret) // 2) + 2])) + 8, len(encoded))
        redactor = Redactor([secret])
        for end in range(least, len(encoded) + 1):
            masked = redactor.redact(f"<{encoded[:end]}")
            assert masked.startswith("<***"), masked
            assert len(masked) <= len("<***") + 16, masked  # of one character the escapes, cut and broken over lines

    @pytest.mark.parametrize("name", ENCODINGS)
    @settings(max_examples=settings().max_examples // 3)
    @given(secret=SECRETS)
    def test_is_masked_whole(self, name: str, secret: str) -> None:
        encoded = ENCODINGS[name](secret)
        if len(secret.encode()) * 8 // 6 - 1 < 12:
            return  # in base64 it may be too short
        assert len(hidden(secret, f"(({encoded}))").replace("***", "").replace("\n", "")) <= 4 + 3

    def test_of_several_lines_is_found_with_other_line_breaks(self) -> None:
        lines = [base64.b64encode(os.urandom(48)).decode() for _ in range(5)]
        pem = "-----BEGIN PRIVATE KEY-----\n" + "\n".join(lines) + "\n-----END PRIVATE KEY-----\n"
        for text in (pem.replace("\n", "\r\n"), pem.replace("\n", "\n    "), pem.replace("\n", " "), json.dumps(pem)):
            masked = hidden(pem, text)
            assert not any(line[:20] in masked for line in lines)

    def test_among_characters_that_seem_to_escape_it_is_found(self) -> None:
        for before in ("%", "\\", "&", "=", "100%", "C:\\", "%2", "\\u", "&#"):
            assert hidden("n41b5-secret", f"{before}n41b5-secret") == f"{before}***"
            assert hidden("ab12/secret", f"{before}ab12/secret;") == f"{before}***;"

    def test_that_is_the_start_of_another_hides_no_part_of_it(self) -> None:
        assert hidden("password", "password%2Ftwo", "password/two") == "***"
        assert hidden("password", "password%2Fnew", "password/two") in ("***new", "***%2Fnew")

    def test_does_not_hide_other_text(self) -> None:
        assert hidden("pass-word-1", "pass_word_1 password1 pass\nword") == "pass_word_1 password1 pass\nword"
        text = "-----BEGIN PRIVATE KEY-----\nMIIB" + "A" * 60
        pem = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj\n-----END PRIVATE KEY-----\n"
        assert hidden(pem, text) == text


def test_lines_are_masked_one_by_one_also_for_a_secret_over_several() -> None:
    redactor = Redactor(["first-line-of-it\nsecond-line-of-it"])
    assert redactor.redact_lines(["a", "x first-line-of-it", "second-line-of-it y", "b\nc"]) == [
        "a",
        "x ***",
        "*** y",
        "b\nc",
    ]
    assert redactor.redact_lines(["", "second-line-of-it", ""]) == ["", "***", ""]


PEM = "-----BEGIN PRIVATE KEY-----\n" + "".join(f"{base64.b64encode(os.urandom(48)).decode()}\n" for _ in range(26))
KEYS = [PEM, *(base64.b64encode(os.urandom(30)).decode() for _ in range(19))]
LARGE = [base64.b64encode(os.urandom(48_000)).decode() for _ in range(10)] + ["ab" * 32_000 + str(n) for n in range(10)]


@pytest.mark.slow
@pytest.mark.parametrize("secrets", [KEYS, LARGE], ids=["keys", "large"])
@pytest.mark.parametrize(
    "part",
    [
        lambda secret: 'worker 17 \\"started\\" at /var/lib y=12&z=%20\n',
        lambda secret: secret[:24],
        lambda secret: secret[:60] + " ",
        lambda secret: secret + "=%20\\n",
        lambda secret: "".join(f"%{ord(char):02x}" for char in secret),
        lambda secret: base64.encodebytes(secret.encode()).decode(),
        lambda secret: "-----BEGIN PRIVATE KEY-----\n",
        lambda secret: "ab",
        lambda secret: "%25",
        lambda secret: "\\a&amp;",
    ],
    ids=["log", "head", "start", "whole", "percent", "base64", "armor", "periodic", "doubled", "escapes"],
)
def test_the_time_is_linear_in_the_text(secrets: list[str], part: Callable[[str], str]) -> None:
    redactor = Redactor(secrets)
    piece = part(secrets[-1])
    text = (piece * (2**20 // len(piece) + 1))[: 2**20]
    started = time.process_time()
    redactor.redact(text)
    assert time.process_time() - started < 0.6  # 0.2 s, on a machine that does nothing else


def test_a_small_text_costs_microseconds() -> None:
    redactor = Redactor(KEYS)
    text = ('{"level": "info", "msg": "worker 17 \\"started\\" at /var/lib y=12&z=%20"}\\n' * 20)[:1024]

    def seconds() -> float:
        started = time.process_time()
        for _ in range(100):
            redactor.redact(text)
        return (time.process_time() - started) / 100

    assert min(seconds() for _ in range(10)) < 20e-6


@pytest.mark.slow
def test_redactors_are_forgotten_when_they_take_too_much_memory() -> None:
    first = redactor_for(frozenset({"a-secret-value"}))
    assert redactor_for(frozenset({"a-secret-value"})) is first
    for number in range(80):
        redactor_for(frozenset(base64.b64encode(os.urandom(48_000)).decode() for _ in range(2)) | {str(number)})
    assert redactor_for(frozenset({"a-secret-value"})) is not first


def test_a_secret_from_an_environment_that_is_no_utf8_does_no_harm() -> None:
    assert hidden("key-\udcff-value", "a key-\udcff-value") == "a ***"


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("a key-of-alice b", True),
        ("a key-of-alice-and-b", True),
        ("a key-of-alice-and-bob b", True),
        ("a key-of-a", False),
    ],
)
def test_a_secret_is_held_also_if_another_one_begins_with_it(text: str, held: bool) -> None:
    assert Redactor(["key-of-alice", "key-of-alice-and-bob"]).holds(text) == held
