"""What is used again stays, and neither the number of values nor their weight grows without a bound."""

from __future__ import annotations

from yaml_connector._bounded_cache import BoundedCache


def test_the_value_that_was_used_longest_ago_is_dropped_first() -> None:
    cache: BoundedCache[str, int] = BoundedCache(2)
    cache.put("a", 1)
    cache.put("b", 2)
    assert cache.get("a") == 1
    cache.put("c", 3)
    assert list(cache) == ["a", "c"]
    assert cache.get("b") is None


def test_the_values_weigh_no_more_than_the_heaviest_together_but_the_last_one_stays() -> None:
    cache: BoundedCache[str, str] = BoundedCache(heaviest=10, weight=lambda key, value: len(value))
    for name in ("a", "b", "c"):
        cache.put(name, name * 4)
    assert list(cache) == ["b", "c"]
    cache.put("d", "d" * 100)
    assert list(cache) == ["d"]
    cache.put("e", "e")
    assert list(cache) == ["e"]


def test_a_value_that_is_put_again_or_dropped_weighs_nothing_any_more() -> None:
    cache: BoundedCache[str, str] = BoundedCache(heaviest=10, weight=lambda key, value: len(value))
    for _ in range(10):
        cache.put("a", "a" * 6)
    assert cache.pop("a") == "a" * 6
    assert cache.pop("a") is None
    cache.put("b", "b" * 5)
    cache.put("c", "c" * 5)
    assert list(cache) == ["b", "c"]
