"""Masks secrets, by value and however a text encodes them: all text that leaves a call is redacted.

The text is searched as it is, and without its escapes; in both, and without layout, also for what base64 and
hexadecimal digits make of a secret. One pattern of RE2 finds where a secret begins, by its head; as much of the text is
masked as agrees with the secret. All of this takes time that is linear in the text, for any text and any secret.
"""

from __future__ import annotations

import re
import threading
from bisect import bisect
from collections.abc import Iterable
from typing import Any

import re2

from yaml_connector._expressions.json_text import map_texts
from yaml_connector._expressions.regex import compile_re2
from yaml_connector._http.decoding import LAYOUT, views, without_layout
from yaml_connector._http.secret_forms import COMPARED, SHORTEST, agreement, forms_of, head_length

MASK = "***"
_MASK = MASK.encode()
_MOST_LINES = 1000  # of all secrets together that are also found alone
_FEW = 1000  # heads that any text may have
_APART = 48  # bytes between further ones, on average; where they are more, the text is masked without a closer look
_MOST_NESTED = 100
_SHORT = 256  # characters
_MOST_CLEAN = 64
_SMALL = 2**16  # bytes of a text that is looked through for suspicious places first
_SUSPECT = 5  # characters of a head that make a place suspicious
_MOST_SUSPECTS = 250
_LONGEST_CHARACTER = 4  # bytes
_CHARACTER = re.compile(rb"[^\x80-\xbf][\x80-\xbf]*")
_ESCAPED = (
    rb"(?:(?:%[0-9a-fA-Fu]|\\|&#?[a-zA-Z0-9]+;)(?:#?[a-zA-Z0-9]+;?|\{[0-9a-fA-F]+\})?|=(?:\r?\n|[0-9a-fA-F]{2})?)"
)
_PATTERN_MEMORY = 16 * 2**20  # bytes that RE2 may take for one pattern
_BYTES_PER_STATE = 700  # that it takes for a character of a head, about
_CACHED = 64 * 2**20  # bytes that all redactors take together, about
_PARTIAL = re.compile(rb"[%\\&=][\w%\\&=#;{\r]{0,63}\Z")  # what may be left of an escape in a text that is cut off


class Redactor:
    """Masks the given secret values, in whatever encoding, and cut off at the end."""

    def __init__(self, secrets: Iterable[str]) -> None:
        # an environment variable need not be valid UTF-8
        values = sorted({secret.encode("utf-8", "surrogatepass") for secret in secrets if len(secret) >= SHORTEST})
        forms = [forms_of(value) for value in values]
        lines = [line for each in forms for line in each.lines]
        alone = ((line, head_length(len(line))) for line in lines[:: len(lines) // _MOST_LINES + 1])
        self._readable = _Forms([*(form for each in forms for form in each.readable), *alone])
        self._compact = _Forms(form for each in forms for form in each.compact)
        # the backslashes around such a secret may be its own, or escape its first character
        self._backslashes = any(not value[:1].isalnum() or value.endswith(b"\\") for value in values)
        self._clean: set[str] = set()  # short texts without secrets that were seen lately: jobs say the same often
        self.size = 2**12 + _SHORT * _MOST_CLEAN + self._readable.size + self._compact.size

    def redact(self, text: str) -> str:
        """Return the text with every secret masked."""
        if text in self._clean or not self._readable.texts:
            return text
        data = text.encode("utf-8", "surrogatepass")
        spans = self._spans(data)
        if spans:
            return _masked(data, 0, spans)
        if len(text) <= _SHORT:
            if len(self._clean) >= _MOST_CLEAN:
                self._clean.clear()
            self._clean.add(text)
        return text

    def redact_lines(self, texts: list[str]) -> list[str]:
        """Return the texts, which follow each other, with every secret masked, also one that goes over several."""
        if not self._readable.texts:
            return texts
        spans = self._spans("\n".join(texts).encode("utf-8", "surrogatepass"))
        if not spans:
            return texts
        lines = [text.encode("utf-8", "surrogatepass") for text in texts]
        masked, start, first = [], 0, 0
        for text, line in zip(texts, lines, strict=True):
            end = start + len(line)
            while first < len(spans) and spans[first][1] <= start:
                first += 1
            last = first
            while last < len(spans) and spans[last][0] < end:
                last += 1
            masked.append(_masked(line, start, spans[first:last]) if last > first else text)
            start = end + 1
        return masked

    def holds(self, text: str) -> bool:
        """Tell whether a text has one of the secrets as a whole."""
        if not self._readable.texts:
            return False
        return any(whole for *_, whole in self._find(text.encode("utf-8", "surrogatepass")))

    def redact_tree(self, value: Any) -> Any:
        """Return a value with all strings in it redacted."""
        return map_texts(value, self.redact)

    def _may_hold(self, data: bytes) -> bool:
        """Tell whether a text may hold a secret, without undoing any encoding."""
        return self._readable.may_hold(data) or self._compact.may_hold(data.translate(None, LAYOUT))

    def _spans(self, data: bytes) -> list[tuple[int, int]]:
        """Return where secrets are, in order and apart; one that is cut off goes on to the text's end."""
        spans: list[tuple[int, int]] = []
        for start, end, cut, _ in sorted(self._find(data)):
            while end < len(data) and data[end] & 0xC0 == 0x80:  # within a character
                end += 1
            if cut and _PARTIAL.match(data, end):
                end = len(data)
            if spans and start <= spans[-1][1]:
                spans[-1] = spans[-1][0], max(end, spans[-1][1])
            else:
                spans.append((start, end))
        return spans

    def _find(self, data: bytes) -> list[tuple[int, int, bool, bool]]:
        """Return where secrets are, whether they are cut off there, and whether one is there as a whole."""
        if len(data) <= _SMALL and not self._may_hold(data):
            return []
        found: list[tuple[int, int, bool, bool]] = []
        budget = len(data) // _APART
        readable, encoded = views(data)
        compact = [without_layout(view) for view in encoded] if self._compact.texts else []
        for forms, view in [
            *((self._readable, view) for view in readable),
            *((self._compact, view) for view in compact),
        ]:
            spans, used = forms.find(view.text, budget // 2)
            budget = max(0, budget - used)
            found += [
                (*view.origin(start, end, wide=self._backslashes), cut, whole) for start, end, cut, whole in spans
            ]
        return found

    def __repr__(self) -> str:
        return "Redactor(***)"


class _Forms:
    """Texts that are looked for, each given with the length of its head: so much of it must be there at least."""

    def __init__(self, forms: Iterable[tuple[bytes, int]]) -> None:
        heads: list[bytes] = []
        lengths: dict[bytes, int] = {}
        for text, length in forms:
            lengths[text] = min(length, lengths.get(text, length))
        for head in sorted(text[:length] for text, length in lengths.items()):
            if not heads or not head.startswith(heads[-1]):  # a shorter one finds it, too
                heads.append(head)
        self.texts = sorted(lengths)
        self._least = _shortest_within(self.texts)
        self.size = sum(map(len, self.texts)) + _BYTES_PER_STATE * sum(map(len, heads))
        self._longest = max(map(len, self.texts), default=0)
        if heads:
            self._search = compile_re2(b"|".join(map(re2.escape, heads)), _PATTERN_MEMORY, is_binary=True).search
            self._least_overlap = max(map(len, heads)) - 1
        self._overlaps: dict[bytes, int] = {}  # of the forms that were found
        starts = sorted({tuple(_CHARACTER.findall(head[: _SUSPECT * _LONGEST_CHARACTER])[:_SUSPECT]) for head in heads})
        self._suspect = None
        if len(starts) <= _MOST_SUSPECTS:
            pattern = b"|".join(map(_however_escaped, starts))
            self._suspect = compile_re2(pattern, _PATTERN_MEMORY, is_binary=True)

    def may_hold(self, text: bytes) -> bool:
        """Tell whether a form may be in a text, however it is escaped there."""
        return self._suspect is None or self._suspect.search(text) is not None

    def _nested(self, text: bytes) -> int:
        """Return the length of the longest part of a form, behind its first character, with which a form begins."""
        position, longest = 1, 0
        for _ in range(_MOST_NESTED):
            match = self._search(text, position)
            if match is None:
                return longest
            start = match.start()
            longest = max(longest, self._agreement(text, start)[0])
            if start + longest >= len(text):
                break
            position = start + 1
        return len(text)

    def find(self, text: bytes, budget: int) -> tuple[list[tuple[int, int, bool, bool]], int]:
        """Return where the forms are, in order and apart from each other, whether they are cut off there, and whether
        one is there as a whole; and how much of the budget was used.

        Where they begin so often that the budget would be over before the text, more may be said to be one of them.
        """
        apart = len(text) // max(1, budget) + 1
        found: list[tuple[int, int, bool, bool]] = []
        first = last = -1  # of those that overlap
        cut = whole = False
        position = work = 0
        while (match := self._search(text, position)) is not None:
            start = match.start()
            length, form = self._agreement(text, start)
            end = start + length
            is_cut, is_whole = length < len(form), length >= self._least[form]
            overlap = self._overlaps.get(form)
            if overlap is None:
                overlap = self._overlaps[form] = max(self._least_overlap, self._nested(form))
            # of the forms that begin within this one, only those near its end may go on after it
            position = max(start + 1, end - overlap)
            work += 1 + length // COMPARED
            allowed = (work - _FEW) * apart
            if allowed > start:
                position = max(position, allowed)
                end = min(len(text), position + self._longest)
            if start > last:
                if last > 0:
                    found.append((first, last, cut, whole))
                first, last, cut, whole = start, end, is_cut, is_whole
            else:
                whole = whole or is_whole
                if end >= last:
                    last, cut = end, is_cut and (cut or end > last)
        if last > 0:
            found.append((first, last, cut, whole))
        return found, work

    def _agreement(self, text: bytes, start: int) -> tuple[int, bytes]:
        """Return how far the text from here on agrees with a form, and with which; one that ends there comes first."""
        size = COMPARED
        while True:
            # in the order of the alphabet, those around the text have most in common with it
            at = bisect(self.texts, text[start : start + size])
            length, form = -1, b""
            for other in self.texts[at - 1 if at else 0 : at + 1]:
                common = agreement(text, start, other)
                if common > length or (common == length and len(other) < len(form)):
                    length, form = common, other
            if length < size or size >= self._longest:
                return length, form
            size = self._longest


def _shortest_within(texts: list[bytes]) -> dict[bytes, int]:
    """Return, for each of the sorted texts, the length of the shortest of them that it begins with."""
    least: dict[bytes, int] = {}
    shortest = b""
    for text in texts:
        if not shortest or not text.startswith(shortest):
            shortest = text
        least[text] = len(shortest)
    return least


def _however_escaped(characters: Iterable[bytes]) -> bytes:
    """Return a pattern for a text in which any character may be escaped; it also finds other texts."""
    plain = map(re2.escape, characters)
    return b"".join(b"(?:%s+(?:%s)?|%s)" % (_ESCAPED, character, character) for character in plain)


def _masked(data: bytes, offset: int, spans: list[tuple[int, int]]) -> str:
    """Return a text, which begins at this offset, with the spans masked."""
    pieces: list[bytes] = []
    position = 0
    for start, end in spans:
        pieces += data[position : max(0, start - offset)], _MASK
        position = end - offset
    pieces.append(data[position:])
    return b"".join(pieces).decode("utf-8", "surrogatepass")


NOTHING = Redactor(())
_redactors: dict[frozenset[str], Redactor] = {}
_lock = threading.Lock()


def redactor_for(secrets: frozenset[str]) -> Redactor:
    """Return the redactor for a set of secret values; made once for each set."""
    if not secrets:
        return NOTHING
    found = _redactors.get(secrets)
    if found is None:
        found = Redactor(secrets)
        with _lock:
            _redactors[secrets] = found
            left = sum(redactor.size for redactor in _redactors.values()) - _CACHED
            while left > 0 and len(_redactors) > 1:
                left -= _redactors.pop(next(iter(_redactors))).size
    return found


def redact_lines(secrets: frozenset[str], texts: list[str]) -> list[str]:
    """Mask secrets in texts that follow each other."""
    return redactor_for(secrets).redact_lines(texts)
