"""Masks secrets, by value and in every form that a value takes: all text that leaves a call is redacted."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "***"
_LINES = re.compile(r"\\n|[\r\n]+")
_SHORTEST = 4  # shorter values would mask parts of ordinary words


class Redactor:
    """Masks the given secret values, plain, base64, URL-encoded, JSON-escaped, and cut off at the end."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = sorted(
            {form for secret in secrets if len(secret) >= _SHORTEST for form in _forms(secret)}, key=len, reverse=True
        )
        self._forms = [(_head(form), form) for form in forms]
        self._whole = re.compile("|".join(re.escape(form) for _, form in self._forms))
        self._longest = len(forms[0]) if forms else 0
        heads = sorted({head for head, _ in self._forms}, key=len)  # the shortest first: it also finds the longer ones
        self._heads = re.compile("|".join(map(re.escape, heads))) if heads else None

    def redact(self, text: str) -> str:
        """Return the text with every secret masked."""
        if self._heads is None:
            return text
        pieces: list[str] = []
        position = 0
        while (match := self._heads.search(text, position)) is not None:
            pieces += [text[position : match.start()], MASK]
            position = self._end(text, match.start())
        pieces.append(text[position:])
        return "".join(pieces) if len(pieces) > 1 else text

    def _end(self, text: str, start: int) -> int:
        """Return the end of the secret that starts here, including secrets that start within it."""
        end = max(_common(text, start, form) for head, form in self._forms if text.startswith(head, start))
        while (further := self._whole.search(text, start + 1, end + self._longest)) and further.start() < end:
            start, end = further.start(), max(end, further.end())
        return end

    def redact_tree(self, value: Any) -> Any:
        """Return a value with all strings in it redacted."""
        if isinstance(value, str):
            return self.redact(value)
        if isinstance(value, list | tuple):
            return [self.redact_tree(item) for item in value]
        if isinstance(value, dict):
            return {
                self.redact(key) if isinstance(key, str) else key: self.redact_tree(item) for key, item in value.items()
            }
        return value

    def __repr__(self) -> str:
        return "Redactor(***)"


NOTHING = Redactor(())


@lru_cache(maxsize=512)
def redactor_for(secrets: frozenset[str]) -> Redactor:
    """Return the redactor for a set of secret values; made once for each set."""
    return Redactor(secrets) if secrets else NOTHING


def _forms(secret: str) -> set[str]:
    raw = secret.encode("utf-8", "surrogatepass")  # an environment variable need not be valid UTF-8
    forms = {secret, quote(raw, safe=""), quote(raw), quote_plus(raw)}
    forms |= {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    forms |= {repr(secret)[1:-1]}
    for shift in range(3):  # inside a longer encoded text, the value may start at any of three offsets
        encoded = base64.b64encode(b"\0" * shift + raw).decode().rstrip("=")
        # the first characters depend on the text before the value, the last one on the text after it
        inner = encoded[0 if shift == 0 else shift + 1 :]
        inner = inner if (len(raw) + shift) % 3 == 0 else inner[:-1]
        if len(inner) >= 8:
            forms |= {inner, inner.replace("+", "-").replace("/", "_")}
    if "\n" in secret or "\\n" in secret:  # a PEM key, or one within JSON: each line is secret
        lines = {line for line in _LINES.split(secret) if len(line) >= 16 and not line.startswith("-----")}
        forms |= lines | {quote(line.encode("utf-8", "surrogatepass"), safe="") for line in lines}
    return {form for form in forms if len(form) >= _SHORTEST}


def _head(form: str) -> str:
    return form[: max(8, min(24, len(form) // 2))]


def _common(text: str, start: int, form: str) -> int:
    """Return where the longest common prefix of the form and of the text from `start` ends."""
    if text.startswith(form, start):
        return start + len(form)
    low, high = 0, len(form)
    while low < high:
        middle = (low + high + 1) // 2
        if text.startswith(form[:middle], start):
            low = middle
        else:
            high = middle - 1
    return start + low
