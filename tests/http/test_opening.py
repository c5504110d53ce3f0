"""`POST /sessions`: what a login states, and what it gets."""

from typing import Any

import pytest

from quash.ids import session_tag, user_tag
from tests.http.support import ISSUER, Service, claims_of, fresh, problem

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def refused(service: Service, **body: object) -> tuple[int, str]:
    return problem(await service.client.post("/sessions", json={"sub": "nobody", **body}))


async def test_opening_answers_with_all_that_a_login_needs(service: Service) -> None:
    sub = fresh()
    session = await service.open(sub)
    assert set(session) == {
        *("session_id", "version", "refresh_token", "refresh_expires_in"),
        *("access_token", "token_type", "expires_in"),
    }
    assert session_tag(session["session_id"]) == user_tag(ISSUER, sub)
    assert session["refresh_token"].startswith(f"qrt_{session['session_id']}.0.")
    assert (session["version"], session["token_type"], session["expires_in"]) == (0, "Bearer", 600)
    assert session["refresh_expires_in"] == 30 * 86400


async def test_the_access_token_is_an_rfc_9068_one_with_our_claims(service: Service) -> None:
    sub, login = fresh(), {"acr": "mfa", "amr": ["pwd", "otp"]}
    body: dict[str, Any] = {"client_id": "shop", "scope": "a b", "audience": "orders", "claims": {"x": 1}, **login}
    session = await service.open(sub, **body)
    token = claims_of(session["access_token"])
    assert len(token.pop("jti")) >= 22
    assert token == {
        "iss": ISSUER,
        "sub": sub,
        "aud": "orders",
        "client_id": "shop",
        "iat": service.now,
        "exp": service.now + 600,
        "sid": session["session_id"],
        "ver": 0,
        "scope": "a b",
        "auth_time": service.now,
        "x": 1,
        **login,
    }


async def test_without_any_the_audience_is_the_issuer_and_the_client_the_caller(service: Service) -> None:
    token = claims_of((await service.open())["access_token"])
    assert (token["aud"], token["client_id"]) == (ISSUER, "admin")
    assert not {"scope", "acr", "amr"} & set(token)


@pytest.mark.parametrize("name", ["iss", "sub", "exp", "jti", "sid", "ver", "scope", "scp", "cnf", "act", "client_id"])
async def test_claims_must_not_use_registered_names(service: Service, name: str) -> None:
    assert await refused(service, claims={name: "x"}) == (422, "reserved_claim")


async def test_claims_take_4_kib_and_not_a_byte_more(service: Service) -> None:
    frame = len('{"x":""}')
    session = await service.open(claims={"x": "y" * (4096 - frame)})
    assert await service.is_active(session["access_token"])
    assert await refused(service, claims={"x": "y" * (4097 - frame)}) == (422, "claims_too_large")


def _nested(levels: int) -> dict[str, Any]:
    return {"x": _nested(levels - 1)} if levels > 1 else {"x": 1}


@pytest.mark.parametrize("claims", [{"n": 2**53 + 1}, {"n": 1e300}, {"n": 2**70}, _nested(9), [], "x"])
async def test_claims_that_no_check_would_accept_are_refused_at_the_opening(service: Service, claims: object) -> None:
    assert await refused(service, claims=claims) == (422, "invalid_body")


async def test_claims_as_deep_as_a_check_accepts_are_minted_good(service: Service) -> None:
    assert await service.is_active((await service.open(claims=_nested(8)))["access_token"])


@pytest.mark.parametrize(
    "body",
    [
        {"sub": ""},
        {"sub": "x" * 256},
        {"sub": "a\u0000b"},
        {"sub": 7},
        {"sub": None},
        {"scope": "a  b"},
        {"scope": 'a"b'},
        {"ip": "not an address"},
        {"ip": "192.0.2.1/24"},
        {"amr": ["a b"]},
        {"audience": ["a b"]},
        {"audience": ["a"] * 17},
        {"auth_time": "1"},
        {"auth_time": -1},
        {"clams": {}},
    ],
)
async def test_a_body_of_another_form_is_422(service: Service, body: dict[str, object]) -> None:
    assert await refused(service, **body) == (422, "invalid_body")


async def test_an_unknown_issuer_is_422(service: Service) -> None:
    assert await refused(service, iss="https://stranger.example") == (422, "unknown_issuer")
