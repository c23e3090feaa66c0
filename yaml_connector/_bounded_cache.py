"""A mapping of a bounded size that drops what was used longest ago."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from math import inf
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class BoundedCache(Generic[K, V]):
    """Keeps at most `most` values, which together weigh no more than `heaviest`; the last one stays, however heavy.

    `weight` returns what a key and its value weigh, the same each time. Threads may share a cache.
    """

    def __init__(
        self, most: float = inf, *, heaviest: float = inf, weight: Callable[[K, V], int] = lambda key, value: 0
    ) -> None:
        self._most, self._heaviest, self._weight = most, heaviest, weight
        self._values: OrderedDict[K, V] = OrderedDict()
        self._total = 0
        self._lock = threading.Lock()

    def get(self, key: K) -> V | None:
        """Return the value of a key, which counts as used now; None if there is none."""
        with self._lock:
            value = self._values.get(key)
            if value is not None:
                self._values.move_to_end(key)
            return value

    def put(self, key: K, value: V) -> V:
        """Set the value of a key, and return it."""
        with self._lock:
            self._drop(key)
            self._values[key] = value
            self._total += self._weight(key, value)
            while len(self._values) > 1 and (len(self._values) > self._most or self._total > self._heaviest):
                self._drop(next(iter(self._values)))
        return value

    def pop(self, key: K) -> V | None:
        """Drop the value of a key, and return it; None if there is none."""
        with self._lock:
            return self._drop(key)

    def _drop(self, key: K) -> V | None:
        value = self._values.pop(key, None)
        if value is not None:
            self._total -= self._weight(key, value)
        return value

    def __iter__(self) -> Iterator[K]:
        """Yield the keys that are there, the one that was used longest ago first; the cache may change meanwhile."""
        return iter(list(self._values))
