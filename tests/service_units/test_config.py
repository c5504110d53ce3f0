"""Key files of foreign issuers: what is loaded, what stops the start, and that nothing of them is shown."""

import json
from pathlib import Path
from typing import Any

import pytest

from quash.policy import Issuer
from quash_service.config import IssuerConfig, KeysRefused
from tests.client.minting import b64, jwk_of, private_key, small_rsa_key

HMAC_SECRET = b"correct-horse-battery-staple-and-more"


def configured(content: object, *algorithms: str) -> IssuerConfig:
    path = Path("keys.json")
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    table = {"issuer": "https://auth.example", "keys": path, "algorithms": algorithms or ("ES256",)}
    return IssuerConfig.model_validate(table)


def refused(config: IssuerConfig) -> str:
    with pytest.raises(KeysRefused) as error:
        config.load_keys()
    message = str(error.value)
    assert error.value.__suppress_context__ or error.value.__context__ is None
    assert message.startswith("the keys of issuer https://auth.example in keys.json cannot be used: ")
    return message.partition("used: ")[2]


def keys(*jwks: dict[str, Any]) -> dict[str, Any]:
    return {"keys": list(jwks)}


def test_keys_are_loaded_and_bound_to_issuer_and_algorithm() -> None:
    [key] = configured(keys(jwk_of(private_key("ES256"), "ES256", kid="k1"))).load_keys()
    assert (key.issuer, key.kid, key.alg, key.weak) == ("https://auth.example", "k1", "ES256", False)


def test_symmetric_keys_are_allowed_in_a_file_of_ours() -> None:
    jwk = {"kty": "oct", "k": b64(HMAC_SECRET), "kid": "h", "alg": "HS256"}
    [key] = configured(keys(jwk), "HS256").load_keys()
    assert not key.weak
    assert b64(HMAC_SECRET) not in repr(key)
    assert "staple" not in repr(key)


def test_a_weak_key_is_kept_and_marked() -> None:
    rsa = jwk_of(small_rsa_key(), "RS256", kid="r", alg="RS256")
    short = {"kty": "oct", "k": b64(b"short"), "kid": "h", "alg": "HS256"}
    assert [key.weak for key in configured(keys(rsa, short), "RS256", "HS256").load_keys()] == [True, True]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "No such file or directory"),
        (b"", "it is not JSON"),
        (b"{", "it is not JSON"),
        (b"\xff\xfe", "it is not JSON"),
        (b"[" * 100_000, "it is not JSON"),
        ([], 'a JWK Set is {"keys": [{…}, …]} (RFC 7517 §5)'),
        ({"keys": [3]}, 'a JWK Set is {"keys": [{…}, …]} (RFC 7517 §5)'),
        ({"keys": []}, "there is no key in it"),
        (keys({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}), "members of the key are missing or wrong"),
        (keys({"kty": "EC"}), "kty and crv name no kind of key"),
        (keys({"kty": ["EC"]}), "kty and crv name no kind of key"),
        (keys({"kty": "RSA", "n": "AQAB", "e": "AQAB"}), "the issuer may not use"),
    ],
)
def test_a_file_that_cannot_be_used_stops_the_start_with_its_name(content: object, why: str) -> None:
    assert refused(configured(content)).startswith(why)


def test_a_directory_in_place_of_the_file_is_refused() -> None:
    Path("keys.json").mkdir()
    assert "directory" in refused(configured(None))


def test_one_unusable_key_among_good_ones_stops_the_start_too() -> None:
    good = jwk_of(private_key("ES256"), "ES256", kid="k1")
    assert "signatures" in refused(configured(keys(good, {**good, "use": "enc"})))


@pytest.mark.parametrize("change", [{"alg": "RS256"}, {"kid": 3}, {"use": "enc"}, {"alg": "HS512", "key_ops": []}])
def test_no_refusal_shows_a_secret(change: dict[str, object]) -> None:
    jwk = {"kty": "oct", "k": b64(HMAC_SECRET), "kid": "h", "alg": "HS256", **change}
    message = refused(configured(keys(jwk), "HS256", "HS512"))
    assert b64(HMAC_SECRET) not in message
    assert "horse" not in message


def test_a_table_becomes_a_policy() -> None:
    config = IssuerConfig(
        jwks_uri=None,
        issuer="https://auth.example",
        keys=Path("k"),
        algorithms=frozenset({"HS256"}),
        audience=("a", "b"),
        max_access_ttl_s=60,
        skew_s=2,
        has_jti=False,
        require={},
        embeds=frozenset({"ver"}),
    )
    assert config.policy() == Issuer(
        issuer="https://auth.example",
        algorithms=frozenset({"HS256"}),
        audiences=frozenset({"a", "b"}),
        max_access_ttl_s=60,
        skew_s=2,
        has_jti=False,
        embeds=frozenset({"ver"}),
    )
