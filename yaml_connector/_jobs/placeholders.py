"""Keeps a job's id, what create saved, and the token of a log exactly, but with place holders for the secrets in them.

Later calls fill them in again. Flyte logs what is kept of a job, so a place holder has only 16 bits of a slow hash of
the value: enough to notice another secret, too few to confirm a guess. A process has one salt for all place holders
that it makes, so a service computes the hash once for each secret, not for each job. A job with more than one salt is
refused: each hash would hold up the others.

16 bits are found by trying, and the bytes of a job may be the caller's. So few are tried, and what is filled in is not
sent anywhere: see `CallContext.withholds`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any
from urllib.parse import quote, quote_plus

from yaml_connector._bounded_cache import BoundedCache
from yaml_connector._clock import clock
from yaml_connector._expressions.json_text import map_texts, texts_in
from yaml_connector._http.context import CallContext
from yaml_connector._http.redact import MASK, redactor_for
from yaml_connector._http.secret_forms import SHORTEST
from yaml_connector._http.thread import in_thread_if
from yaml_connector._jobs.meta import LARGEST, JobMeta, too_large
from yaml_connector._text import short
from yaml_connector.errors import EvaluationError

_CREATED = "the job was created, whose id or saved values hold it; give the old value until the job is over"
_LARGE = 2**16  # characters
_MOST_GUESSES, _MINUTE = 20, 60.0
_MOST_KNOWN = 10_000
_SALT = secrets.token_hex(8)
_HOLDER = re.compile(f"{re.escape(MASK)}([0-9a-f]{{16}})-[0-9a-f]{{16}}{re.escape(MASK)}")
_WRITTEN: dict[str, Callable[[str], str]] = {
    "plain": str,
    "url": lambda value: quote(value, safe="", errors="surrogatepass"),
    "path": lambda value: quote(value, errors="surrogatepass"),
    "form": lambda value: quote_plus(value, errors="surrogatepass"),
    "json": lambda value: json.dumps(value)[1:-1],
    "base64": lambda value: base64.b64encode(value.encode("utf-8", "surrogatepass")).decode(),
    "hex": lambda value: value.encode("utf-8", "surrogatepass").hex(),
}


async def replace_secrets(meta: JobMeta, context: CallContext) -> None:
    """Put place holders where the call's secrets are in a new job's id and saved values; if these are long, in another
    thread.

    What cannot be filled in again is masked in saved values: a token, which is another by the next call, a secret in an
    encoding that is not one of `_WRITTEN`, and one that is cut off. An id with such a secret cannot be kept, and the
    job fails; if it is cut off, the id is kept.
    """
    texts = [meta.id, *texts_in(meta.saved)] if meta.saved else [meta.id]
    size = sum(map(len, texts))
    if size > LARGEST:  # searching it would take long, and it cannot be kept anyway
        meta.id, meta.saved = context.truncate(meta.id, 200), {}
        meta.create_error = f"{too_large(size)}; the job {meta.id} runs: cancel it at the API"
        return
    identity = meta.id
    (meta.id, meta.saved), meta.holders = await with_placeholders([meta.id, meta.saved], "\0".join(texts), context)
    if meta.saved:
        meta.saved = await in_thread_if(size > _LARGE, context.redact_tree, meta.saved)
    if MASK in meta.id and MASK not in identity and MASK in _HOLDER.sub("", meta.id):
        meta.create_error = (
            f"the job's id holds the value of a secret in an encoding that cannot be kept: {meta.id[:200]}; the job "
            "runs: cancel it at the API"
        )


async def with_placeholders(value: Any, texts: str, context: CallContext) -> tuple[Any, dict[str, list[str]]]:
    """Return a value with place holders where the call's secrets are in its texts, and the place holders; if the value
    is long, made in another thread. What cannot be filled in again is masked.

    `texts` are all texts of the value in one, as JSON for instance: where that has no secret, the value is returned.
    """
    return await in_thread_if(len(texts) > _LARGE, _held, value, texts, context)


def _held(value: Any, texts: str, context: CallContext) -> tuple[Any, dict[str, list[str]]]:
    redactor = redactor_for(context.secrets)
    holders: dict[str, list[str]] = {}
    if not redactor.holds(texts):
        return value, holders
    within = "\0".join(texts_in(value))
    for name, secret in sorted(context.sensitive.items(), key=lambda item: -len(item[1])):
        for how, write in _WRITTEN.items():
            written = write(secret) if len(secret) >= SHORTEST else ""
            if written and written in within:
                holder = f"{MASK}{_SALT}-{secrets.token_hex(8)}{MASK}"
                value = map_texts(value, partial(_put, old=written, new=holder))
                within = "\0".join(texts_in(value))
                holders[holder] = [name, how, hash_of_secret(secret, _SALT)]
    return map_texts(value, lambda text: redactor.redact(text) if redactor.holds(text) else text), holders


def restore_secrets(
    holders: Mapping[str, Any], value: Any, values: Mapping[str, str | None], *, is_ours: bool, when: str = _CREATED
) -> Any:
    """Return a value with those of the secrets (`values`) in the places of its holders. `is_ours`: a signature proves
    that this service has made them.

    Raises EvaluationError if a secret is another than `when` they were made, or if the result is longer than any that
    is kept: the bytes of a job can be forged to name one place holder again and again.
    """
    written: dict[str, str] = {}
    forms: dict[tuple[str, str], str] = {}
    salts: set[str] = set()
    for holder, (name, how, check) in holders.items():
        secret, found = values.get(name), _HOLDER.fullmatch(holder)
        salts |= {"" if found is None else found[1]}
        if (
            secret is None
            or found is None
            or how not in _WRITTEN
            or len(salts) > 1
            or not (hash_of_secret(secret, found[1]) == check if is_ours else _guesses.fits(secret, found[1], check))
        ):
            raise EvaluationError(f"the secret {short(name)} is another than when {when}")
        if (name, how) not in forms:
            forms[name, how] = _WRITTEN[how](secret)
        written[holder] = forms[name, how]
    room = LARGEST

    def value_of(found: re.Match[str]) -> str:
        nonlocal room
        text = written.get(found[0], found[0])
        room -= len(text)
        if room < 0:
            raise EvaluationError(f"the secrets in what was kept have more than {LARGEST} characters")
        return text

    return map_texts(value, partial(_HOLDER.sub, value_of))


@lru_cache(maxsize=256)
def hash_of_secret(value: str, salt: str) -> str:
    """Return 16 bits of a slow hash of a secret's value (3 ms)."""
    data = value.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(data, salt=salt.encode(), n=2**10, r=8, p=1, dklen=2).hex()


class _Guesses:
    """Compares hashes of secrets with what a caller says, for this process: of those that do not fit, so many in a
    minute. What was compared once is remembered, so a job with an old secret counts once."""

    def __init__(self) -> None:
        self._known: BoundedCache[bytes, bool] = BoundedCache(_MOST_KNOWN)
        self._since, self._left = 0.0, 0

    def fits(self, value: str, salt: str, check: str) -> bool:
        """Tell whether this is the hash of the value. Raises EvaluationError if there were too many others."""
        key = hashlib.sha256(repr((value, salt, check)).encode()).digest()
        known = self._known.get(key)
        if known is not None:
            return known
        now = clock().monotonic()
        if not 0 <= now - self._since < _MINUTE:
            self._since, self._left = now, _MOST_GUESSES
        if not self._left:
            raise EvaluationError("too many secrets are others than when they were kept: they are compared in a minute")
        known = self._known.put(key, hash_of_secret(value, salt) == check)
        self._left -= not known
        return known


_guesses = _Guesses()


def _put(text: str, old: str, new: str) -> str:
    return text.replace(old, new)
