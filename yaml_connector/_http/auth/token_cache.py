"""The cache of tokens, and of refused logins."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from yaml_connector._bounded_cache import BoundedCache
from yaml_connector._clock import clock
from yaml_connector._http.coalesce import SingleFlight
from yaml_connector.errors import LoginHeldBackError, PermanentError

_EARLY = 60.0  # a token is renewed so many seconds before it expires, but at most a quarter of its lifetime
_MOST_TOKENS = 10_000
_LARGEST = 16 * 2**20  # characters of all tokens, or of all refusals
_KEPT_AFTER_RENEWAL = 60.0  # seconds for which a new token that is refused, too, is not renewed again
_REFUSED = frozenset({400, 401, 403})  # statuses of a login that say that the credentials are wrong
_FIRST_PAUSE = 60.0  # seconds for which a refused login is held back, twice as long each time
_LONGEST_PAUSE = 900.0


@dataclass(frozen=True, slots=True, repr=False)
class Grant:
    """What a login returned: asyncio shows results in its debug log, so its repr shows nothing.

    `lifetime` is in seconds (None: until the API refuses the token). `saved` are the values of `auth.*`, `secrets`
    those of them that are masked.
    """

    token: Any
    lifetime: float | None = None
    saved: Mapping[str, Any] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()


@dataclass(slots=True, repr=False)
class _Kept:
    """A grant, until when it is valid, and until when no refusal renews it; times of the clock's `monotonic`."""

    grant: Grant
    until: float
    not_renewed_before: float = 0.0
    size: int = field(init=False)  # characters, about

    def __post_init__(self) -> None:
        self.size = len(str(self.grant.token)) + len(str(self.grant.saved))


@dataclass(slots=True)
class _Refusal:
    """A login that was refused: why, until when it is held back (of the clock's `monotonic`), and for how long."""

    message: str
    until: float
    pause: float


class TokenCache:
    """Keeps tokens by credentials until shortly before they expire. A failed fetch is not kept; a login that the API
    refused is held back, so that no account is locked."""

    def __init__(self) -> None:
        self._kept: BoundedCache[str, _Kept] = BoundedCache(
            _MOST_TOKENS, heaviest=_LARGEST, weight=lambda key, kept: kept.size
        )
        self._refusals: BoundedCache[str, _Refusal] = BoundedCache(
            _MOST_TOKENS, heaviest=_LARGEST, weight=lambda key, refusal: len(refusal.message)
        )
        self._fetches: SingleFlight[Grant] = SingleFlight()

    async def get(self, key: str, fetch: Callable[[], Awaitable[Grant]]) -> Grant:
        """Return the grant of these credentials; raises LoginHeldBackError, and what `fetch` raises."""
        valid = self._valid(key)
        if valid is not None:
            return valid
        fetching = asyncio.ensure_future(self._fetches.run(key, self._fetch, key, fetch))
        # Mark its error as retrieved; otherwise asyncio logs it when no caller is left.
        fetching.add_done_callback(lambda done: done.cancelled() or done.exception())
        # The fetch goes on for the others when this caller is cancelled.
        grant, _ = await asyncio.shield(fetching)
        return grant

    def _valid(self, key: str) -> Grant | None:
        kept = self._kept.get(key)
        return None if kept is None or clock().monotonic() >= kept.until else kept.grant

    async def _fetch(self, key: str, fetch: Callable[[], Awaitable[Grant]]) -> Grant:
        grant = self._valid(key)  # maybe fetched since this task was made
        if grant is not None:
            return grant
        refusal = self._refusals.get(key)
        if refusal is not None and (left := refusal.until - clock().monotonic()) > 0:
            raise LoginHeldBackError(
                f"the login was refused, and is not sent again for {left:.0f} s: {refusal.message}"
            )
        try:
            grant = await fetch()
        except PermanentError as error:
            if error.status in _REFUSED:
                pause = _FIRST_PAUSE if refusal is None else min(2 * refusal.pause, _LONGEST_PAUSE)
                self._refusals.put(key, _Refusal(str(error), clock().monotonic() + pause, pause))
            raise
        self._refusals.pop(key)
        life = float("inf") if grant.lifetime is None else max(0.0, grant.lifetime - min(_EARLY, grant.lifetime / 4))
        self._kept.put(key, _Kept(grant, clock().monotonic() + life))
        return grant

    def renew(self, key: str, rejected: Any, *, again: bool) -> bool:
        """Discard a rejected token, unless another one has been fetched since; see `Auth.renew`."""
        kept, now = self._kept.get(key), clock().monotonic()
        if kept is None or kept.grant.token != rejected:
            return not again
        if again:
            kept.not_renewed_before = now + _KEPT_AFTER_RENEWAL
        if now < kept.not_renewed_before:
            return False
        self._kept.pop(key)
        return True
