"""Which keys a JWK Set gives, which of them a header names, and when it names none."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from quash.errors import TokenInvalid
from quash.keys import KeyRefused, KeySet, keys_from_jwks
from quash.policy import ALGORITHMS
from tests.client.checking import key_for
from tests.client.minting import ISSUER, jwk_of, private_key


def jwk(alg: str = "ES256", /, **members: object) -> dict[str, Any]:
    return jwk_of(private_key(alg), alg, **members)


def test_the_usable_keys_of_a_jwks_are_taken_and_the_others_told() -> None:
    """RFC 7517 §5: keys of unknown kinds and for other uses are ignored, not an error."""
    told: list[str] = []
    document = {"keys": [jwk(kid="a"), jwk("RS256", use="enc"), {"kty": "new"}, jwk("EdDSA", kid="b")]}
    keys = keys_from_jwks(
        document,
        issuer=ISSUER,
        algorithms=frozenset({"ES256", "EdDSA"}),
        allow_symmetric=False,
        on_refused=lambda refused: told.append(refused.code),
    )
    assert [key.kid for key in keys] == ["a", "b"]
    assert told == ["algorithm_not_allowed", "unsupported_key"]
    assert keys == keys_from_jwks(
        document, issuer=ISSUER, algorithms=frozenset({"ES256", "EdDSA"}), allow_symmetric=False
    )


def test_a_published_jwks_with_a_symmetric_key_is_refused_whole() -> None:
    document = {"keys": [jwk(kid="a"), jwk("HS256", kid="b", alg="HS256", use="enc")]}
    with pytest.raises(KeyRefused) as caught:
        keys_from_jwks(document, issuer=ISSUER, algorithms=ALGORITHMS, allow_symmetric=False)
    assert caught.value.code == "symmetric_key"


def test_configured_keys_may_be_symmetric() -> None:
    document = {"keys": [jwk("HS256", alg="HS256")]}
    (key,) = keys_from_jwks(document, issuer=ISSUER, algorithms=ALGORITHMS, allow_symmetric=True)
    assert key.alg == "HS256"


@pytest.mark.parametrize(
    "document", [None, [], "", {}, {"keys": None}, {"keys": {}}, {"keys": ["a"]}, {"keys": [None]}]
)
def test_what_is_no_jwks_is_refused(document: object) -> None:
    with pytest.raises(KeyRefused) as caught:
        keys_from_jwks(document, issuer=ISSUER, algorithms=ALGORITHMS, allow_symmetric=True)
    assert caught.value.code == "invalid_jwks"


def not_found(keys: KeySet, kid: str | None, alg: str, issuer: str = ISSUER) -> str:
    with pytest.raises(TokenInvalid) as caught:
        keys.find(issuer, kid, alg)
    return caught.value.code


def test_a_key_is_found_by_issuer_and_kid() -> None:
    keys = KeySet([key_for("ES256", kid="a"), key_for("ES384", kid="b")])
    assert keys.find(ISSUER, "a", "ES256").alg == "ES256"
    assert keys.find(ISSUER, "b", "ES384").alg == "ES384"
    assert not_found(keys, "c", "ES256") == "unknown_key"
    assert not_found(keys, "a", "ES256", "https://other.example") == "unknown_key"


def test_without_kid_the_issuers_only_key_is_meant_and_never_one_of_two() -> None:
    one = key_for("ES256", kid="a")
    assert KeySet([one]).find(ISSUER, None, "ES256") is one
    assert KeySet([one, one]).find(ISSUER, None, "ES256") is one
    assert not_found(KeySet([one, key_for("ES384", kid="b")]), None, "ES256") == "unknown_key"
    assert not_found(KeySet(), None, "ES256") == "unknown_key"


def test_other_issuers_keys_do_not_count() -> None:
    one = key_for("ES256", kid=None)
    other = key_for("ES384", issuer="https://other.example")
    assert KeySet([one, other]).find(ISSUER, None, "ES256") is one


def test_a_kid_that_no_key_has_is_unknown_even_if_the_issuer_has_one_key() -> None:
    assert not_found(KeySet([key_for("ES256", kid=None)]), "a", "ES256") == "unknown_key"


def test_a_key_is_not_used_with_another_algorithm() -> None:
    keys = KeySet([key_for("RS256", kid="a")])
    for alg in ("PS256", "RS512", "HS256", "ES256"):
        assert not_found(keys, "a", alg) == "algorithm_not_allowed"
        assert not_found(keys, None, alg) == "algorithm_not_allowed"


def test_keys_of_one_kid_are_told_apart_by_algorithm_and_the_first_counts() -> None:
    """RFC 7517 §4.5 allows one kid for keys of different kinds."""
    first, second = key_for("ES256", kid="a"), key_for("ES384", kid="a")
    twin = key_for("ES256", key=ec.generate_private_key(ec.SECP256R1()), kid="a")
    keys = KeySet([first, second, twin])
    assert keys.find(ISSUER, "a", "ES256") is first
    assert keys.find(ISSUER, "a", "ES384") is second


def test_a_weak_key_is_found_and_refused_as_weak() -> None:
    keys = KeySet([key_for("HS256", key=bytes(31), kid="a")])
    assert not_found(keys, "a", "HS256") == "weak_key"
    assert not_found(keys, "a", "HS384") == "algorithm_not_allowed"


def test_a_key_set_shows_its_keys() -> None:
    keys = [key_for("ES256", kid="a"), key_for("ES384", kid="b")]
    assert KeySet(keys).keys == tuple(keys)
