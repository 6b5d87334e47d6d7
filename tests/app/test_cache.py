"""The cache never holds more bytes than it may."""

import pytest

from braggscope.app.engine.cache import ByteCache, default_bytes


def test_oldest_go_first_and_a_look_makes_young():
    cache = ByteCache(10)
    for key in "abc":
        cache.put(key, key.upper(), 3)
    assert cache.get("a") == "A"
    cache.put("d", "D", 3)
    assert ["b" in cache, "a" in cache, "c" in cache, "d" in cache] == [False, True, True, True]
    assert cache.size == 9
    assert cache.get("b") is None


def test_replacing_counts_once_and_one_too_large_is_not_kept():
    cache = ByteCache(10)
    cache.put("a", 1, 6)
    cache.put("a", 2, 4)
    assert (cache.get("a"), cache.size) == (2, 4)
    cache.put("b", 3, 11)
    assert "b" not in cache
    assert cache.size == 4
    cache.put("a", 4, 11)  # the old value is not the truth any more
    assert "a" not in cache
    assert cache.size == 0


@pytest.mark.parametrize("limit", [0, 1, 17, 100])
def test_the_bound_holds_whatever_is_put(limit):
    cache = ByteCache(limit)
    for i in range(300):
        cache.put(i % 37, i, (i * 7919) % 23)
        assert cache.size <= limit
    cache.clear()
    assert cache.size == 0
    assert cache.limit == limit


def test_the_default_is_bounded():
    assert 0 < default_bytes() <= 4_000_000_000
