"""From a parsed token to verified claims: whose word counts, and in which order it is doubted."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from quash.errors import TokenInvalid
from quash.keys import Key, KeySet
from quash.parse import parse
from quash.policy import ALGORITHMS, Issuer
from quash.signature import verify_signature
from tests.client.checking import POLICY, key_for, refusal, verified
from tests.client.minting import CURVES, ISSUER, b64, claims, mint, private_key, small_rsa_key


def flipped(token: str, bit: int) -> str:
    head, _, signature = token.rpartition(".")
    raw = bytearray(parse(token).signature)
    raw[bit // 8] ^= 1 << bit % 8
    assert len(b64(bytes(raw))) == len(signature)
    return f"{head}.{b64(bytes(raw))}"


@pytest.mark.parametrize("alg", sorted(ALGORITHMS))
def test_a_token_of_every_algorithm_verifies(alg: str) -> None:
    result = verified(mint(claims(), alg), POLICY, key_for(alg))
    assert (result.sub, result.key_tag) == ("alice", key_for(alg).tag)


def test_an_ed448_token_verifies() -> None:
    key = private_key("Ed448")
    assert verified(mint(claims(), "EdDSA", key=key), POLICY, key_for("EdDSA", key=key)).sub == "alice"


@pytest.mark.parametrize("alg", sorted(ALGORITHMS))
def test_a_changed_signature_header_or_payload_is_a_bad_signature(alg: str) -> None:
    token = mint(claims(), alg)
    header, _, signature = token.split(".")
    forged = [
        flipped(token, 0),
        flipped(token, 77),
        f"{header}.{b64(json.dumps(claims(sub='bob')).encode())}.{signature}",
        f"{b64(json.dumps({'alg': alg, 'kid': 'k1'}).encode())}.{token.split('.', 1)[1]}",
        token[: -len(signature)] + "AAAA",
        token[: -len(signature)] + "A" * 1000,
        token + "AAAA",
    ]
    for other in forged:
        assert refusal(other, POLICY, key_for(alg)).code == "bad_signature"


@pytest.mark.parametrize("alg", sorted(CURVES))
def test_an_ecdsa_signature_has_exactly_its_length_and_is_not_zero(alg: str) -> None:
    """RFC 7518 §3.4: two numbers of the curve's size, no DER, no shorter or longer forms."""
    token = mint(claims(), alg)
    head, signature = token.rpartition(".")[0], parse(token).signature
    half = len(signature) // 2
    assert half == (CURVES[alg].key_size + 7) // 8
    der = private_key(alg).sign(parse(token).signing_input, ec.ECDSA(hashes.SHA512()))
    others = [b"\0" + signature, signature + b"\0", signature[1:], der, bytes(2 * half), signature[:half] + bytes(half)]
    for other in others:
        assert refusal(f"{head}.{b64(other)}", POLICY, key_for(alg)).code == "bad_signature"


@pytest.mark.parametrize("alg", sorted(ALGORITHMS))
def test_another_key_of_the_same_kind_does_not_verify(alg: str) -> None:
    fresh: dict[str, Callable[[], Any]] = {
        "R": lambda: rsa.generate_private_key(65537, 2048),
        "P": lambda: rsa.generate_private_key(65537, 2048),
        "E": lambda: ec.generate_private_key(CURVES[alg]),
        "H": lambda: bytes(64),
    }
    other = ed25519.Ed25519PrivateKey.generate() if alg == "EdDSA" else fresh[alg[0]]()
    assert refusal(mint(claims(), alg, key=other), POLICY, key_for(alg)).code == "bad_signature"


def test_the_public_key_does_not_serve_as_an_hmac_secret() -> None:
    """The classic confusion: HS256 over the PEM or the modulus of the RSA key (RFC 8725 §2.1)."""
    modulus = private_key("RS256").public_key().public_numbers().n.to_bytes(256, "big")
    token = mint(claims(), "HS256", key=modulus)
    assert refusal(token, POLICY, key_for("RS256")).code == "algorithm_not_allowed"
    assert refusal(token, replace(POLICY, algorithms=frozenset({"RS256"})), key_for("RS256")).code == (
        "algorithm_not_allowed"
    )


@pytest.mark.parametrize(("bound", "used"), [("RS256", "PS256"), ("PS256", "RS256"), ("RS256", "RS512")])
def test_a_key_does_not_verify_another_algorithm_of_its_kind(bound: str, used: str) -> None:
    assert refusal(mint(claims(), used), POLICY, key_for(bound)).code == "algorithm_not_allowed"


def test_the_issuers_list_of_algorithms_counts_before_its_keys() -> None:
    policy = replace(POLICY, algorithms=frozenset({"RS256"}))
    error = refusal(mint(claims(), "ES256", kid="unknown"), policy, key_for("ES256"))
    assert (error.code, error.evidence) == ("algorithm_not_allowed", {"iss": ISSUER, "alg": "ES256"})


def test_an_unknown_issuer_is_refused_however_well_signed() -> None:
    error = refusal(mint(claims(iss="https://evil.example")))
    assert (error.code, error.evidence) == ("unknown_issuer", {"iss": "https://evil.example"})


def test_issuers_are_compared_exactly() -> None:
    for iss in (ISSUER + "/", ISSUER.upper(), ISSUER.replace("https", "http")):
        assert refusal(mint(claims(iss=iss))).code == "unknown_issuer"


def test_one_issuers_key_does_not_sign_for_another() -> None:
    other = replace(POLICY, issuer="https://other.example")
    token = mint(claims(iss=other.issuer))
    with pytest.raises(TokenInvalid) as caught:
        verify_signature(parse(token), {ISSUER: POLICY, other.issuer: other}, KeySet([key_for("ES256")]))
    assert caught.value.code == "unknown_key"


def test_an_unknown_kid_is_refused_and_named() -> None:
    error = refusal(mint(claims(), kid="k2"))
    assert (error.code, error.evidence) == ("unknown_key", {"iss": ISSUER, "kid": "k2"})


def test_without_kid_only_a_single_key_is_used() -> None:
    token = mint(claims(), kid=...)
    assert verified(token).sub == "alice"
    assert refusal(token, POLICY, key_for("ES256"), key_for("ES384", kid="k2")).code == "unknown_key"


def test_a_weak_key_is_refused_although_its_signature_is_good() -> None:
    for alg, key in (("RS256", small_rsa_key()), ("HS256", bytes(31)), ("HS512", bytes(63))):
        token = mint(claims(), alg, key=key)
        assert refusal(token, POLICY, key_for(alg, key=key)).code == "weak_key"


def test_rules_are_tried_in_the_published_order() -> None:
    """Each token breaks one rule less than the one before it."""
    policy = replace(POLICY, algorithms=frozenset({"ES256", "HS256"}))
    keys = [key_for("ES256"), key_for("HS256", key=bytes(31), kid="weak")]
    bad = claims(sub=..., exp="soon")
    tokens = [
        mint({**bad, "iss": "x"}, "ES384", kid="?"),
        mint(bad, "ES384", kid="?"),
        flipped(mint(bad, kid="?"), 9),
        flipped(mint(bad, "HS256", key=bytes(31), kid="weak"), 9),
        flipped(mint(bad), 9),
        mint(bad),
        mint({**bad, "sub": "alice"}),
        mint(claims()),
    ]
    assert [_outcome(token, policy, keys) for token in tokens] == [
        "unknown_issuer",
        "algorithm_not_allowed",
        "unknown_key",
        "weak_key",
        "bad_signature",
        "missing_claim",
        "malformed",
        "good",
    ]


def _outcome(token: str, policy: Issuer, keys: list[Key]) -> str:
    try:
        verified(token, policy, *keys)
    except TokenInvalid as refused:
        return refused.code
    return "good"
