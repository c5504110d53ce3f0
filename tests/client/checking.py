"""Verification as the tests of the read side ask for it: one issuer, some keys, one outcome."""

from typing import Any

import pytest

from quash.claims import Claims
from quash.errors import TokenInvalid
from quash.keys import Key, KeySet, key_from_jwk
from quash.parse import parse
from quash.policy import ALGORITHMS, Issuer
from quash.signature import verify_signature
from tests.client.minting import ISSUER, claims, jwk_of, mint, private_key

POLICY = Issuer(ISSUER, ALGORITHMS)


def key_for(alg: str, *, key: Any = None, kid: str | None = "k1", issuer: str = ISSUER) -> Key:
    jwk = jwk_of(private_key(alg) if key is None else key, alg, alg=alg, kid=kid)
    return key_from_jwk(jwk, issuer=issuer, algorithms=ALGORITHMS)


def verified(token: str, policy: Issuer = POLICY, *keys: Key) -> Claims:
    return verify_signature(parse(token), {policy.issuer: policy}, KeySet(keys or [key_for("ES256")]))


def unparsed(raw: str | bytes) -> TokenInvalid:
    """Return why the shell refuses ``raw``."""
    with pytest.raises(TokenInvalid) as caught:
        parse(raw)
    return caught.value


def refusal(token: str, policy: Issuer = POLICY, *keys: Key) -> TokenInvalid:
    """Return why a token that the shell lets through is refused."""
    with pytest.raises(TokenInvalid) as caught:
        verified(token, policy, *keys)
    return caught.value


def refused_claims(policy: Issuer = POLICY, /, **changes: object) -> tuple[str, object]:
    """Return the reason and the claim for which a well-signed token is refused."""
    error = refusal(mint(claims(**changes)), policy)
    return error.code, error.evidence.get("claim")
