"""Keeps a job's id and what create saved exactly, but without the secrets in them: place holders stand in their place.

Later calls fill them in again. Flyte logs what is kept of a job, so beside a place holder stand only 16 bits of a slow
hash of the value: enough to notice another secret, too few to confirm a guess. A process has one salt for all jobs that
it creates, so a service computes the hash once for each secret, not for each job.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, partial
from typing import Any
from urllib.parse import quote, quote_plus

from yaml_connector._http.context import CallContext
from yaml_connector._http.redact import MASK, SHORTEST, redactor_for
from yaml_connector._http.worker import in_thread
from yaml_connector._jobs.meta import LARGEST, JobMeta, too_large
from yaml_connector.errors import EvaluationError

_LARGE = 2**16  # characters
_SALT = secrets.token_hex(8)
_HOLDER = re.compile(f"{re.escape(MASK)}([0-9a-f]{{16}})-[0-9a-f]{{16}}{re.escape(MASK)}")
_WRITTEN: dict[str, Callable[[str], str]] = {
    "plain": str,
    "url": lambda value: quote(value, safe="", errors="surrogatepass"),
    "path": lambda value: quote(value, errors="surrogatepass"),
    "form": lambda value: quote_plus(value, errors="surrogatepass"),
    "json": lambda value: json.dumps(value)[1:-1],
    "base64": lambda value: base64.b64encode(value.encode("utf-8", "surrogatepass")).decode(),
}


async def take_out(meta: JobMeta, context: CallContext) -> None:
    """Put place holders where the call's secrets are in a new job's id and saved values; if these are long, in another
    thread.

    What cannot be filled in again is masked in saved values: a token, which is another by the next call, and a secret
    in an encoding that is not one of `_WRITTEN`.
    """
    texts = list(texts_in([meta.id, meta.saved]))
    if sum(map(len, texts)) > _LARGE:
        await in_thread(_take_out, meta, context, texts)
    else:
        _take_out(meta, context, texts)


def _take_out(meta: JobMeta, context: CallContext, texts: list[str]) -> None:
    kept: Any = [meta.id, meta.saved]
    size = sum(map(len, texts))
    if size > LARGEST:  # searching it would take long, and it cannot be kept anyway
        meta.id, meta.saved = context.truncate(meta.id, 200), {}
        meta.create_error = f"{too_large(size)}; the job {meta.id} runs: cancel it at the API"
        return
    redact = redactor_for(context.secrets).redact
    if all(redact(text) == text for text in texts):
        return
    for name, value in sorted(context.sensitive.items(), key=lambda item: -len(item[1])):
        for how, write in _WRITTEN.items():
            written = write(value) if len(value) >= SHORTEST else ""
            if written and any(written in text for text in texts_in(kept)):
                holder = f"{MASK}{_SALT}-{secrets.token_hex(8)}{MASK}"
                kept = _replaced(kept, partial(_put, old=written, new=holder))
                meta.holders[holder] = [name, how, _check(value, _SALT)]
    meta.id, meta.saved = kept[0], context.redact_tree(kept[1])


def fill_in(meta: JobMeta, job: dict[str, Any], values: Mapping[str, str | None]) -> dict[str, Any]:
    """Return the values of `job.*` with those of the secrets in their places.

    Raises EvaluationError if a secret is another than when the job was created, or if the values are longer than any
    that are kept: the bytes of a job can be forged to name one place holder again and again.
    """
    written: dict[str, str] = {}
    forms: dict[tuple[str, str], str] = {}
    for holder, (name, how, check) in meta.holders.items():
        value, salt = values.get(name), _HOLDER.fullmatch(holder)
        if value is None or salt is None or how not in _WRITTEN or _check(value, salt[1]) != check:
            raise EvaluationError(
                f"the secret {name!r} is another than when the job was created, whose id or saved values hold it; give "
                "the old value until the job is over"
            )
        if (name, how) not in forms:
            forms[name, how] = _WRITTEN[how](value)
        written[holder] = forms[name, how]
    room = LARGEST

    def value_of(found: re.Match[str]) -> str:
        nonlocal room
        text = written.get(found[0], found[0])
        room -= len(text)
        if room < 0:
            raise EvaluationError(f"the secrets in the job's id and saved values have more than {LARGEST} characters")
        return text

    return dict(_replaced(job, partial(_HOLDER.sub, value_of)))


@lru_cache(maxsize=256)
def _check(value: str, salt: str) -> str:
    data = value.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(data, salt=salt.encode(), n=2**10, r=8, p=1, dklen=2).hex()


_NUMBERS = frozenset({int, float, bool, type(None)})


def texts_in(value: Any) -> Iterator[str]:
    """Yield every text in a value, keys included."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            waiting.extend(reversed(item.values()))
            yield from map(str, item)
        elif isinstance(item, list | tuple):
            waiting.extend(reversed([part for part in item if type(part) not in _NUMBERS]))


def _put(text: str, old: str, new: str) -> str:
    return text.replace(old, new)


def _replaced(value: Any, put: Callable[[str], str]) -> Any:
    """Return a value with each of its texts, keys included, as `put` returns it."""
    if isinstance(value, str):
        return put(value)
    if isinstance(value, Mapping):
        return {_replaced(key, put): _replaced(item, put) for key, item in value.items()}
    return [_replaced(item, put) for item in value] if isinstance(value, list | tuple) else value
