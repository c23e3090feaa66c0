"""The token of a log: how far each of its sources has been read."""

from __future__ import annotations

import base64
import hashlib
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from yaml_connector._expressions.json_text import any_json
from yaml_connector._http.context import CallContext
from yaml_connector._http.text_encoding import WIDE
from yaml_connector._jobs.meta import check_holders, parse_kept
from yaml_connector._jobs.placeholders import restore_secrets, with_placeholders
from yaml_connector.errors import EvaluationError

_WHEN = "the log was read; read it from the start"
_HOLDERS = "***"  # in a token, beside the cursors: the place holders in them
LARGEST_TOKEN = 2**20  # characters: Flyte hands it back with the next call, and gRPC takes 4 MiB


@dataclass
class LogCursor:
    """How far one source has been read.

    `token` is the API's own, `lines` how many lines were returned so far. Of a whole document, `items` is how many were
    read, `first` tells its first line, and `tail` is the length of its unfinished last line (-1: it was not returned).
    With pages, `rest` is that line, `cut` the bytes of a character that is not whole, and `encoding` that of the text,
    if only its start tells it.
    """

    token: Any = None
    lines: int = 0
    items: int = 0
    rest: str = ""
    tail: int = -1
    cut: bytes = b""
    encoding: str = ""
    first: str = ""

    @classmethod
    def unpack(cls, data: Any) -> LogCursor:
        """Read a cursor as it is in a token; None is the start. Raises EvaluationError."""
        if data is None:
            return cls()
        if not isinstance(data, dict):
            raise _invalid_token()
        cursor = cls(**{name: data[key] for name, key in _KEYS.items() if key in data})
        try:
            cursor.cut = bytes.fromhex(data.get("c", ""))
        except (ValueError, TypeError):
            raise _invalid_token() from None
        numbers = (cursor.lines, cursor.items, cursor.tail + 1 if type(cursor.tail) is int else None)
        if cursor.encoding not in ("", *WIDE):
            raise _invalid_token()
        if (
            not isinstance(cursor.rest, str)
            or not isinstance(cursor.first, str)
            or not all(type(number) is int and number >= 0 for number in numbers)
        ):
            raise _invalid_token()
        return cursor

    def copy(self) -> LogCursor:
        """Return another cursor at the same place."""
        return LogCursor(**vars(self))

    def begins_anew(self, first: str, *, is_shorter: bool) -> bool:
        """Take note of the first line of a document. If it `is_shorter` than what was read of it, and begins otherwise,
        its file was replaced: it will be read from its start, and this returns True."""
        mark = hashlib.sha256(first.encode("utf-8", "replace")).hexdigest()[:8]
        is_replaced = is_shorter and self.first not in ("", mark)
        if is_replaced:
            self.items = 0
        if is_replaced or not self.first:
            self.first = mark
        return is_replaced

    def pack(self) -> dict[str, Any]:
        """Return what differs from the start, by short names."""
        values = vars(self)
        packed = {key: values[name] for name, key in _KEYS.items() if values[name] != getattr(LogCursor, name)}
        return packed | {"c": self.cut.hex()} if self.cut else packed


_KEYS = {"token": "t", "lines": "g", "items": "r", "rest": "s", "tail": "l", "encoding": "e", "first": "f"}


async def encode_token(cursors: dict[str, Any], context: CallContext) -> str:
    """Return the token for packed cursors by source, without the call's secrets: an API's own token may hold one, or
    the start of a line. Raises EvaluationError if it is too long for Flyte."""
    data = any_json(cursors)
    held, holders = await with_placeholders(cursors, data.decode(), context)
    if held is not cursors:
        data = any_json(held | {_HOLDERS: holders} if holders else held)
    token = base64.urlsafe_b64encode(data).decode().rstrip("=")
    if len(token) > LARGEST_TOKEN:
        raise EvaluationError(
            f"the next page of the log cannot be named: its token has {len(token)} characters, and {LARGEST_TOKEN} are "
            "the most"
        )
    return token


def decode_token(token: str, context: CallContext) -> dict[str, Any]:
    """Return the packed cursors by source. Raises EvaluationError for a token that no connector returned, or that held
    another secret than the call's."""
    if not token:
        return {}
    cursors = None
    if len(token) <= LARGEST_TOKEN:
        with suppress(ValueError, RecursionError):  # it is not base64, not JSON, or nested too deeply
            cursors = parse_kept(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    if not isinstance(cursors, dict):
        raise _invalid_token()
    holders = cursors.pop(_HOLDERS, None)
    if holders is None:
        return cursors
    try:
        check_holders(holders)
    except (TypeError, AttributeError):
        raise _invalid_token() from None
    context.withholds = True  # nothing proves that a token was made here
    return dict(restore_secrets(holders, cursors, context.sensitive, is_ours=False, when=_WHEN))


def _invalid_token() -> EvaluationError:
    return EvaluationError("invalid log token; omit it to read from the start")
