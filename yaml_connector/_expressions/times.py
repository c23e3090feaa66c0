"""Times as APIs write them, and as the package does."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from yaml_connector._text import short
from yaml_connector.errors import EvaluationError

# the first second that datetime and protobuf know, and the one after the last
_YEAR_ONE, _YEAR_10000 = -62_135_596_800, 253_402_300_800
_LONGEST = 100  # characters
_NANOSECONDS = re.compile(r"(\.\d{6})\d+")
_UTC = re.compile(r"\s*(?:\+0000\s+)?(?:UTC|GMT)$")  # Go writes both
_HTTP_DATE = re.compile(r"[A-Z]{3,9},?\s")  # all three forms begin with the day of the week


def rfc3339(moment: datetime, timespec: str = "auto") -> str:
    """Return a time as RFC 3339, in UTC with a `Z`; `timespec` is that of `datetime.isoformat`."""
    return moment.isoformat(timespec=timespec).replace("+00:00", "Z")


def epoch_seconds(value: Any) -> float | int:
    """Convert a time to epoch seconds, from RFC 3339 text, an HTTP date, `2026-11-27 10:00:00 UTC`, or epoch seconds,
    milli-, micro- or nanoseconds. Raises EvaluationError."""
    if isinstance(value, str):
        if value[4:5] == "-":  # the usual case, for every line of a log
            return _from_text(value)
        try:
            value = float(value) if "." in value else int(value)
        except ValueError:
            return _from_text(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e20:
        raise _not_a_time(value)
    for _ in range(3):  # a number of seconds beyond the year 5138 is really one of a smaller unit
        if abs(value) < 1e11:
            break
        value = value / 1000
    if value < _YEAR_ONE:
        raise EvaluationError(f"{value!r} is not a valid time: it is before the year 1")
    return int(value) if value == int(value) else value


def _not_a_time(value: Any) -> EvaluationError:
    return EvaluationError(f"{short(value)} is not a valid time; use RFC 3339, an HTTP date, or epoch seconds")


def _from_text(text: str) -> float | int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = _from_other_text(text)
    seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if not _YEAR_ONE <= seconds < _YEAR_10000:  # in UTC it is in another year than where it was written
        raise _not_a_time(text)
    return int(seconds) if seconds == int(seconds) else seconds


def _from_other_text(text: str) -> datetime:
    from email.utils import parsedate_to_datetime  # imported here: checking specs does not need it

    written = text.strip().upper()
    try:
        if len(written) > _LONGEST:
            raise ValueError
        if _HTTP_DATE.match(written):
            return parsedate_to_datetime(written)
        # nanoseconds are cut to the microseconds that Python knows
        return datetime.fromisoformat(_NANOSECONDS.sub(r"\1", _UTC.sub("+00:00", written)))
    except (ValueError, TypeError, IndexError, OverflowError):  # all of them from dates of an odd form
        raise _not_a_time(text) from None
