"""When to fetch published keys: at most as often as the rules allow, and never to answer "unknown" unasked."""

import pytest

from quash.jwks import FRESH_MS, MISS_MS, RETRY_MS, STALE_MS, Published, Step
from quash.keys import Key, key_from_jwk
from tests.client.minting import ISSUER, jwk_of, private_key

NOW = 1_000_000


def key(kid: str) -> Key:
    jwk = jwk_of(private_key("ES256"), "ES256", kid=kid)
    return key_from_jwk(jwk, issuer=ISSUER, algorithms=frozenset({"ES256"}))


def fetched() -> Published:
    published = Published()
    published.trying(NOW)
    published.arrived((key("k1"),), NOW)
    return published


def test_the_first_token_fetches() -> None:
    assert Published().step("k1", NOW) is Step.FETCH
    assert Published().step(None, NOW) is Step.FETCH


def test_a_first_fetch_that_failed_is_unavailable_until_its_retry_is_due() -> None:
    published = Published()
    published.trying(NOW)
    published.missed()
    assert published.step("k1", NOW + RETRY_MS - 1) is Step.UNAVAILABLE
    assert published.step("k1", NOW + RETRY_MS) is Step.FETCH


@pytest.mark.parametrize("kid", ["k1", None])
def test_known_keys_are_used_then_refreshed_beside_the_check_then_fetched_first(kid: str | None) -> None:
    published = fetched()
    assert published.step(kid, NOW + FRESH_MS - 1) is Step.USE
    assert published.step(kid, NOW + FRESH_MS) is Step.REFRESH
    assert published.step(kid, NOW + FRESH_MS + STALE_MS - 1) is Step.REFRESH
    assert published.step(kid, NOW + FRESH_MS + STALE_MS) is Step.FETCH


def test_known_keys_stay_in_use_for_a_bounded_time_while_the_issuer_cannot_be_reached() -> None:
    published = fetched()
    published.trying(NOW + FRESH_MS)
    published.missed()
    assert published.step("k1", NOW + FRESH_MS + 1) is Step.USE
    end = NOW + FRESH_MS + STALE_MS
    published.trying(end)
    published.missed()
    assert published.step("k1", end) is Step.UNAVAILABLE
    assert published.step("k1", end + RETRY_MS) is Step.FETCH


def test_a_flood_of_unknown_kids_fetches_once_in_30_s() -> None:
    published = fetched()
    assert published.step("x", NOW) is Step.USE
    later = NOW + MISS_MS
    assert published.step("x", later - 1) is Step.USE
    assert published.step("x", later) is Step.FETCH
    published.trying(later)
    published.arrived(published.keys, later)
    steps = [published.step(f"x{n}", later + n) for n in range(MISS_MS)]
    assert set(steps) == {Step.USE}


def test_an_unknown_kid_is_unavailable_not_unknown_when_the_issuer_did_not_answer() -> None:
    published = fetched()
    published.trying(NOW + MISS_MS)
    published.missed()
    assert published.step("x", NOW + MISS_MS + 1) is Step.UNAVAILABLE
    assert published.step("k1", NOW + MISS_MS + 1) is Step.USE


def test_a_clock_that_went_back_fetches_rather_than_waits() -> None:
    published = fetched()
    assert published.step("x", NOW - 1) is Step.FETCH
