"""One key verifies one algorithm, is as strong as it must be, and is named by what it is."""

import hmac
import json
from base64 import urlsafe_b64decode
from hashlib import sha256
from typing import Any

import pytest

from quash import ids
from quash.keys import Key, KeyRefused, key_from_jwk, thumbprint
from quash.policy import ALGORITHMS
from tests.client.minting import CURVES, ISSUER, b64, jwk_of, private_key, small_rsa_key

HMAC = frozenset({"HS256", "HS384", "HS512"})
RSA = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
PRIVATE = {"d", "p", "q", "dp", "dq", "qi"}


def load(jwk: dict[str, Any], *algorithms: str) -> Key:
    return key_from_jwk(jwk, issuer=ISSUER, algorithms=frozenset(algorithms) or ALGORITHMS)


def refusal(jwk: dict[str, Any], *algorithms: str) -> str:
    with pytest.raises(KeyRefused) as caught:
        load(jwk, *algorithms)
    return caught.value.code


def jwk(alg: str = "ES256", /, **members: object) -> dict[str, Any]:
    return jwk_of(private_key(alg), alg, **members)


def oct_jwk(length: int, **members: object) -> dict[str, Any]:
    return {"kty": "oct", "k": b64(bytes(range(length))), **members}


@pytest.mark.parametrize("alg", sorted(ALGORITHMS))
def test_a_stated_algorithm_is_the_one_that_the_key_verifies(alg: str) -> None:
    key = load(jwk(alg, alg=alg, kid="k1", use="sig"))
    assert (key.alg, key.kid, key.issuer, key.weak) == (alg, "k1", ISSUER, False)


@pytest.mark.parametrize("alg", [*CURVES, "EdDSA"])
def test_a_curve_admits_one_algorithm_so_it_need_not_be_stated(alg: str) -> None:
    assert load(jwk(alg)).alg == alg


def test_ed448_is_eddsa_too() -> None:
    key = load(jwk_of(private_key("Ed448"), "EdDSA"))
    assert key.alg == "EdDSA"
    assert key.verifies(b"message", private_key("Ed448").sign(b"message"))


@pytest.mark.parametrize("alg", sorted(RSA))
def test_an_rsa_key_takes_the_only_rsa_algorithm_that_is_allowed(alg: str) -> None:
    assert load(jwk("RS256"), alg, "ES256", "HS256").alg == alg


def test_an_rsa_or_hmac_key_that_could_be_two_must_state_its_algorithm() -> None:
    assert refusal(jwk("RS256"), "RS256", "PS256") == "alg_required"
    assert refusal(oct_jwk(64), "HS256", "HS512") == "alg_required"
    with pytest.raises(KeyRefused, match=r"state the key's alg, one of \['PS256', 'RS256'\]"):
        load(jwk("RS256"), "RS256", "PS256")


@pytest.mark.parametrize(("alg", "allowed"), [("ES256", "ES384"), ("RS256", "HS256"), ("EdDSA", "ES256")])
def test_a_key_outside_the_issuers_algorithms_is_refused(alg: str, allowed: str) -> None:
    assert refusal(jwk(alg, alg=alg), allowed) == "algorithm_not_allowed"
    assert refusal(jwk(alg), allowed) == "algorithm_not_allowed"


@pytest.mark.parametrize(
    ("kind", "stated"),
    [("ES256", "ES384"), ("ES512", "ES256"), ("RS256", "HS256"), ("RS256", "ES256"), ("EdDSA", "ES256")],
)
def test_an_algorithm_that_does_not_fit_the_key_is_refused(kind: str, stated: str) -> None:
    """Above all no public key becomes an HMAC secret."""
    assert refusal(jwk(kind, alg=stated)) == "unsupported_key"


@pytest.mark.parametrize("stated", ["none", "ES256K", "RSA-OAEP", "", 256, ["ES256"], {}])
def test_an_unknown_algorithm_is_refused(stated: object) -> None:
    assert refusal(jwk(alg=stated)) == "unsupported_key"


@pytest.mark.parametrize(
    "changes",
    [
        {"kty": "ec"},
        {"kty": None},
        {"kty": ["EC"]},
        {"crv": "secp256k1"},
        {"crv": None},
        {"crv": ["P-256"]},
        {"kty": "OKP"},
        {"kty": "OKP", "crv": "X25519"},
    ],
)
def test_unknown_kinds_of_key_are_refused(changes: dict[str, object]) -> None:
    assert refusal(jwk(**changes)) == "unsupported_key"
    assert refusal({}) == "unsupported_key"


@pytest.mark.parametrize("use", ["enc", "", None, 1, ["sig"]])
def test_a_key_for_another_use_is_refused(use: object) -> None:
    assert refusal(jwk(use=use)) == "wrong_use"


def test_a_key_whose_operations_lack_signatures_is_refused() -> None:
    assert load(jwk(key_ops=["verify"])).alg == "ES256"
    assert load(jwk(key_ops=["sign"])).alg == "ES256"
    assert refusal(jwk(key_ops=["encrypt"])) == "wrong_use"
    assert refusal(jwk(key_ops="verify")) == "wrong_use"


@pytest.mark.parametrize("kid", [1, ["k1"], {}])
def test_a_kid_that_is_no_string_is_refused(kid: object) -> None:
    assert refusal(jwk(kid=kid)) == "invalid_key"


@pytest.mark.parametrize(
    "changes",
    [
        {"x": "AAAA"},
        {"x": "A"},
        {"x": 1},
        {"x": None},
        {"x": "é"},
        {"x": b64(bytes(32)), "y": b64(bytes(32))},
        {"y": b64(b"\1" * 32)},
    ],
)
def test_members_that_make_no_key_are_refused(changes: dict[str, object]) -> None:
    """A short coordinate, no base64, no text, a point that is not on the curve."""
    assert refusal(jwk(**changes)) == "invalid_key"


@pytest.mark.parametrize("changes", [{"n": ""}, {"e": "AA"}, {"e": b64(b"\2")}, {"e": 65537}])
def test_numbers_that_make_no_rsa_key_are_refused(changes: dict[str, object]) -> None:
    assert refusal(jwk("RS256", alg="RS256", **changes)) == "invalid_key"


def test_an_empty_secret_is_refused() -> None:
    assert refusal({"kty": "oct", "k": "", "alg": "HS256"}) == "invalid_key"
    assert refusal({"kty": "oct", "alg": "HS256"}) == "invalid_key"


@pytest.mark.parametrize(("alg", "least"), [("HS256", 32), ("HS384", 48), ("HS512", 64)])
def test_an_hmac_key_shorter_than_its_hash_is_weak_but_loads(alg: str, least: int) -> None:
    """RFC 7518 §3.2; its tokens get the reason weak_key rather than unknown_key."""
    assert load(oct_jwk(least - 1, alg=alg)).weak
    assert not load(oct_jwk(least, alg=alg)).weak


@pytest.mark.parametrize("alg", ["RS256", "PS512"])
def test_an_rsa_key_under_2048_bits_is_weak_but_loads(alg: str) -> None:
    assert load(jwk_of(small_rsa_key(), alg, alg=alg)).weak
    assert not load(jwk(alg, alg=alg)).weak


@pytest.mark.parametrize("alg", ["HS256", "RS256", "PS512"])
def test_a_weak_key_proves_nothing(alg: str) -> None:
    """A modulus too short for the hash would also make the verification itself fail."""
    tiny = b64(b"\xff" * 40)
    key = load({"kty": "oct", "k": tiny[:8], "alg": alg} if alg == "HS256" else jwk("RS256", alg=alg, n=tiny))
    assert not key.verifies(b"message", bytes(40))
    if alg == "HS256":
        assert not key.verifies(b"message", hmac.digest(b"\xff" * 6, b"message", "sha256"))


@pytest.mark.parametrize("alg", sorted(ALGORITHMS - HMAC))
def test_private_members_are_dropped(alg: str) -> None:
    private = jwk(alg, alg=alg)
    assert PRIVATE & private.keys()
    public = {name: value for name, value in private.items() if name not in PRIVATE}
    assert load(private) == load(public)
    assert "Public" in type(load(private).material).__name__


@pytest.mark.parametrize("alg", ["ES256", "RS256", "EdDSA", "HS256"])
def test_no_repr_holds_key_material(alg: str) -> None:
    document = jwk(alg, alg=alg, kid="k1")
    key = load(document)
    for secret in (document[name] for name in {"k", "d", "x", "n"} & document.keys()):
        assert secret not in f"{key!r}{key}"
        assert repr(urlsafe_b64decode(secret + "==")) not in repr(key)
    assert "kid='k1'" in repr(key)


def test_no_refusal_holds_key_material() -> None:
    with pytest.raises(KeyRefused) as caught:
        load({"kty": "oct", "k": "c2VjcmV0", "alg": "HS256", "use": "enc"})
    assert "c2VjcmV0" not in repr(caught.value)


def test_keys_are_equal_when_they_are_the_same_key() -> None:
    assert load(jwk()) == load(jwk())
    assert len({load(jwk()), load(jwk()), load(jwk("ES384"))}) == 2


def test_the_thumbprint_is_the_one_in_rfc_7638() -> None:
    """RFC 7638 §3.1."""
    modulus = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknj"
        "hMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQ"
        "vRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzK"
        "nqDKgw"
    )
    key = {"kty": "RSA", "n": modulus, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"}
    assert thumbprint(key) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


@pytest.mark.parametrize("alg", ["ES256", "ES512", "EdDSA", "HS256"])
def test_the_thumbprint_hashes_the_required_members_in_order(alg: str) -> None:
    document = jwk(alg)
    required = {name: document[name] for name in sorted({"crv", "kty", "x", "y", "k"} & document.keys())}
    digest = sha256(json.dumps(required, separators=(",", ":")).encode()).digest()
    assert thumbprint(document) == load(document, alg).thumbprint == b64(digest)


def test_the_tag_is_that_of_issuer_and_thumbprint() -> None:
    key = load(jwk())
    assert key.tag == ids.key_tag(ISSUER, key.thumbprint)
    other = key_from_jwk(jwk(), issuer="https://other.example", algorithms=ALGORITHMS)
    assert (other.thumbprint, other.tag == key.tag) == (key.thumbprint, False)


def test_a_sloppy_encoding_does_not_give_a_revoked_key_a_new_name() -> None:
    document = jwk("RS256", alg="RS256")
    padded_modulus = b64(b"\0" + urlsafe_b64decode(document["n"] + "=="))
    for sloppy in ({"n": padded_modulus}, {"e": "AAEAAQ"}, {"e": "AQAB===="}):
        assert load({**document, **sloppy}).thumbprint == load(document).thumbprint


def test_a_thumbprint_of_no_key_is_refused() -> None:
    with pytest.raises(KeyRefused):
        thumbprint({"kty": "RSA"})
