"""Access tokens after RFC 9068, as other implementations see them."""

import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest

from quash_service.rotation import LiveSession
from quash_service.tokens.keyring import Keyring
from quash_service.tokens.mint import REGISTERED, Minter
from tests.service_units.rings import ring

ISSUER = "https://quash.test"
NOW_MS = 1_900_000_000_999
NOW_S = 1_900_000_000
FIELDS = {"iss": ISSUER, "sub": "alice", "caller": "web"}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keyring:
    return ring(tmp_path_factory.mktemp("keys"))


def minter(keys: Keyring, *, audience: str = "orders", random: Callable[[int], bytes] = lambda n: b"\1" * n) -> Minter:
    return Minter(
        keys.signer, issuer=ISSUER, audience=audience, access_ttl_s=600, now_ms=lambda: NOW_MS, random_bytes=random
    )


def session(absolute_end: int = NOW_MS + 10**9, /, **fields: str) -> LiveSession:
    return LiveSession("s" * 38, 3, "a", 17, absolute_end, absolute_end, {**FIELDS, **fields})


def verified(keys: Keyring, token: str, audience: str = "orders") -> dict[str, Any]:
    """Verify with PyJWT and the published JWKS, as a resource server would; only the clock is ours."""
    published: Any = keys.jwks
    key = jwt.PyJWKSet.from_dict(published)[jwt.get_unverified_header(token)["kid"]]
    claims: dict[str, Any] = jwt.decode(
        token,
        key,
        algorithms=["ES256"],
        audience=audience,
        issuer=ISSUER,
        options={"verify_exp": False, "verify_iat": False, "require": ["iss", "exp", "aud", "sub", "iat", "jti"]},
    )
    return claims


async def test_it_has_the_claims_and_the_header_of_rfc_9068(keys: Keyring) -> None:
    minted = await minter(keys).mint(session(client_id="shop", scope="a b", auth_time="1899999999", acr="gold"))
    assert minted.expires_in == 600
    assert jwt.get_unverified_header(minted.token) == {"alg": "ES256", "kid": keys.signer().kid, "typ": "at+jwt"}
    assert verified(keys, minted.token) == {
        "iss": ISSUER,
        "sub": "alice",
        "aud": "orders",
        "client_id": "shop",
        "exp": NOW_S + 600,
        "iat": NOW_S,
        "jti": "AQEBAQEBAQEBAQEBAQEBAQ",
        "sid": "s" * 38,
        "ver": 17,
        "scope": "a b",
        "auth_time": 1899999999,
        "acr": "gold",
    }


async def test_what_the_session_does_not_have_is_absent_and_its_caller_is_the_client(keys: Keyring) -> None:
    claims = verified(keys, (await minter(keys).mint(session())).token)
    assert set(claims) == {"iss", "sub", "aud", "client_id", "exp", "iat", "jti", "sid", "ver"}
    assert claims["client_id"] == "web"


async def test_one_audience_is_a_string_and_several_are_a_list(keys: Keyring) -> None:
    mint = minter(keys, audience="orders stock").mint
    assert verified(keys, (await mint(session())).token)["aud"] == ["orders", "stock"]
    assert verified(keys, (await mint(session(audience="orders"))).token)["aud"] == "orders"
    assert verified(keys, (await mint(session(audience="x orders"))).token)["aud"] == ["x", "orders"]


async def test_several_methods_of_login_are_a_list(keys: Keyring) -> None:
    assert verified(keys, (await minter(keys).mint(session(amr="pwd otp"))).token)["amr"] == ["pwd", "otp"]


async def test_a_narrowed_scope_replaces_the_sessions_and_an_empty_one_leaves_none(keys: Keyring) -> None:
    mint = minter(keys).mint
    assert verified(keys, (await mint(session(scope="a b"), "a")).token)["scope"] == "a"
    assert "scope" not in verified(keys, (await mint(session(scope="a b"), "")).token)


@pytest.mark.parametrize(
    ("left_ms", "expires_in"), [(700_000, 600), (600_000, 600), (599_000, 599), (1_001, 2), (1, 1)]
)
async def test_a_token_never_outlives_its_session(keys: Keyring, left_ms: int, expires_in: int) -> None:
    end = NOW_MS + left_ms
    minted = await minter(keys).mint(session(end))
    assert minted.expires_in == expires_in
    assert verified(keys, minted.token)["exp"] * 1000 <= end


async def test_every_token_has_a_jti_of_its_own(keys: Keyring) -> None:
    counter = iter(range(256))
    mint = minter(keys, random=lambda count: bytes([next(counter)]) * count).mint
    assert len({verified(keys, (await mint(session())).token)["jti"] for _ in range(9)}) == 9


async def test_custom_claims_are_in_the_token(keys: Keyring) -> None:
    own = {"roles": ["admin", "ü"], "tenant": {"id": 7}}
    claims = verified(keys, (await minter(keys).mint(session(claims=json.dumps(own)))).token)
    assert {name: claims[name] for name in own} == own


@pytest.mark.parametrize("fields", [{}, {"scope": "a", "acr": "gold", "amr": "pwd", "auth_time": "1"}])
async def test_custom_claims_cannot_override_or_add_a_registered_one(keys: Keyring, fields: dict[str, str]) -> None:
    forged = dict.fromkeys(sorted(REGISTERED), "forged")
    token = (await minter(keys).mint(session(claims=json.dumps({**forged, "mine": 1}), **fields))).token
    plain = verified(keys, (await minter(keys).mint(session(**fields))).token)
    assert verified(keys, token) == {**plain, "mine": 1}


async def test_a_repr_shows_no_token(keys: Keyring) -> None:
    minted = await minter(keys).mint(session())
    assert repr(minted) == "Minted(expires_in=600)"
