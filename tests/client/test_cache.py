"""The cache of verified tokens is bounded, and an entry dies with its key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quash import ids
from quash.cache import MEAN_LENGTH, VerifiedCache
from quash.claims import Claims
from quash.policy import Issuer

ISSUER = "https://auth.example"
POLICY = Issuer(ISSUER, frozenset({"ES256"}))


def verified(jti: str, key_tag: str = "key-a") -> Claims:
    return Claims(
        policy=POLICY,
        key_tag=key_tag,
        typ="jwt",
        iss=ISSUER,
        sub="alice",
        exp=1_900_000_600,
        iat=1_900_000_000,
        nbf=None,
        jti=jti,
        aud=(),
        scopes=frozenset(),
        sid=None,
        ver=None,
        auth_time=None,
        acr=None,
        amr=(),
        client_id=None,
        tag=ids.user_tag(ISSUER, "alice"),
        jti16=ids.jti_id(ISSUER, jti),
        all={"jti": jti},
    )


def test_what_was_put_is_got_and_nothing_else() -> None:
    cache = VerifiedCache(10)
    claims = verified("1")
    cache.put("token-1", claims)
    assert cache.get("token-1") is claims
    assert cache.get("token-") is None
    assert cache.get("token-11") is None


def test_it_never_holds_more_than_its_size() -> None:
    cache = VerifiedCache(100)
    for number in range(1000):
        cache.put(f"token-{number}", verified(str(number)))
        assert len(cache) <= 100
    assert len(cache) == 100


def test_long_tokens_take_the_place_of_several() -> None:
    """10,000 of the longest that are accepted would take over a gigabyte."""
    cache = VerifiedCache(100)
    for number in range(200):
        cache.put(f"{number:016384}", verified(str(number)))
    assert len(cache) == 100 * MEAN_LENGTH // 16384
    for number in range(200):
        cache.put(f"token-{number}", verified(str(number)))
    assert len(cache) == 100
    assert cache.get(f"{199:016384}") is None


def test_putting_and_dropping_again_and_again_leaves_room_for_all() -> None:
    cache = VerifiedCache(4)
    for _ in range(100):
        for name in ("a", "b"):
            cache.put(name * 1000, verified(name))
            cache.put(name * 1000, verified(name))
        cache.drop_key("key-a")
        assert len(cache) == 0
    for name in ("a", "b", "c", "d"):
        cache.put(name * 1000, verified(name))
    assert len(cache) == 4


def test_the_least_recently_used_goes_first() -> None:
    cache = VerifiedCache(2)
    cache.put("a", verified("a"))
    cache.put("b", verified("b"))
    assert cache.get("a") is not None
    cache.put("c", verified("c"))
    assert cache.get("b") is None
    assert cache.get("a") is not None
    assert cache.get("c") is not None


def test_putting_again_replaces_and_counts_as_use() -> None:
    cache = VerifiedCache(2)
    newer = verified("newer")
    cache.put("a", verified("a"))
    cache.put("b", verified("b"))
    cache.put("a", newer)
    cache.put("c", verified("c"))
    assert (cache.get("a"), cache.get("b"), len(cache)) == (newer, None, 2)


def test_a_size_of_zero_keeps_nothing() -> None:
    cache = VerifiedCache(0)
    cache.put("a", verified("a"))
    assert (len(cache), cache.get("a")) == (0, None)


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(ValueError, match="size"):
        VerifiedCache(-1)


def test_an_entry_dies_with_its_key() -> None:
    cache = VerifiedCache(10)
    for number in range(6):
        cache.put(f"token-{number}", verified(str(number), "key-a" if number % 2 else "key-b"))
    cache.drop_key("key-a")
    assert [cache.get(f"token-{number}") is not None for number in range(6)] == [True, False] * 3
    cache.drop_key("key-a")
    cache.drop_key("unknown")
    assert len(cache) == 3


def test_a_dropped_key_may_come_back_without_its_old_entries() -> None:
    cache = VerifiedCache(10)
    cache.put("old", verified("old"))
    cache.drop_key("key-a")
    cache.put("new", verified("new"))
    assert cache.get("old") is None
    assert cache.get("new") is not None


def test_its_repr_holds_no_token() -> None:
    cache = VerifiedCache(1)
    cache.put("eyJ.secret.token", verified("secret"))
    assert "secret" not in f"{cache!r}{cache}"


@given(
    st.integers(0, 4),
    st.lists(st.tuples(st.sampled_from(["get", "put", "drop"]), st.integers(0, 6)), max_size=60),
)
def test_it_agrees_with_a_plain_list_of_recent_tokens(size: int, steps: list[tuple[str, int]]) -> None:
    cache = VerifiedCache(size)
    recent: list[int] = []
    for step, number in steps:
        match step:
            case "get":
                assert (cache.get(str(number)) is not None) == (number in recent)
                recent.sort(key=lambda other: other == number)
            case "put":
                cache.put(str(number), verified(str(number), f"key-{number % 2}"))
                recent = ([*(other for other in recent if other != number), number])[-size:] if size else []
            case "drop":
                cache.drop_key(f"key-{number % 2}")
                recent = [other for other in recent if other % 2 != number % 2]
        assert len(cache) == len(recent)
