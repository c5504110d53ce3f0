"""Every hostile token on every route that takes one: its reason, and what was not done to find it."""

import json
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from quash.ids import user_tag
from quash.keyspace import user_key
from quash.reasons import Reason
from tests.hostile import forging, routes
from tests.hostile.counting import Calls, counted, counters
from tests.hostile.forging import MANY, OTHER, by, claims, other_s
from tests.hostile.tokens import EVERY
from tests.http.support import Service, fresh

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def options(folder: Path) -> dict[str, Any]:
    return {"issuers": forging.table(folder)}


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def _counting(service: Service) -> Any:
    """Count, with the callers read already, so that what is counted is the token's."""
    assert (await service.client.post("/introspect", data={"token": "t"})).status_code == 200
    with counters():
        yield


@pytest.mark.parametrize("route", routes.JUDGING)
@pytest.mark.parametrize("name", EVERY)
async def test_a_hostile_token_is_refused_with_its_reason_before_the_engine_is_asked(
    service: Service, name: str, route: str
) -> None:
    hostile = EVERY[name]
    with counted() as calls:
        await routes.JUDGING[route](service, hostile.build(service.now), hostile.reason.value)
    assert calls == Calls(verified=hostile.verified, sent=0)


@pytest.mark.parametrize("route", routes.REVOKING)
@pytest.mark.parametrize("name", [name for name, hostile in EVERY.items() if not hostile.takeable])
async def test_a_hostile_token_revokes_nothing_and_the_engine_is_not_asked(
    service: Service, name: str, route: str
) -> None:
    hostile = EVERY[name]
    with counted() as calls:
        await routes.REVOKING[route](service, hostile.build(service.now), hostile.reason.value)
    assert calls == Calls(verified=hostile.verified, sent=0)


@pytest.mark.parametrize("name", EVERY)
async def test_no_hostile_token_refreshes_anything(service: Service, name: str) -> None:
    with counted() as calls:
        await routes.refresh(service, EVERY[name].build(service.now), "")
    assert calls == Calls()


async def test_a_batch_of_all_of_them_says_each_ones_own_reason(service: Service) -> None:
    tokens = [hostile.build(service.now) for hostile in EVERY.values()]
    good = by("es", claims(service.now, jti=fresh("jti")))
    answer = await service.client.post("/introspect/batch", json={"tokens": [good, *tokens, good]})
    assert answer.status_code == 200, answer.text
    found = [one.get("reason", "good") for one in answer.json()["results"]]
    assert found == ["good", *(hostile.reason.value for hostile in EVERY.values()), "good"]


async def test_the_same_tokens_without_their_fault_are_active_on_every_route(service: Service) -> None:
    """What is above is refused for its fault and for nothing else."""
    for name in ("es", "es384", "rs", "ed", "hs", "twin"):
        token = by(name, claims(service.now, jti=fresh("jti"), pad="x" * 9_000))
        assert (await service.introspect(token))["active"]
        assert await service.reason(token) == "active"
        assert (await routes.bearer(service, token)).status_code == 200
    only = by("other", claims(service.now, jti=fresh("jti"), iss=OTHER, aud="orders"), kid=...)
    assert await service.reason(only) == "active"  # no kid, where there is one key only


OWN: dict[str, tuple[Reason, dict[str, object], dict[str, object]]] = {
    "no typ": (Reason.WRONG_TYPE, {}, {"typ": ...}),
    "JWT": (Reason.WRONG_TYPE, {}, {"typ": "JWT"}),
    "an id token": (Reason.WRONG_TYPE, {}, {"typ": "id_token+jwt"}),
    "no ver": (Reason.MISSING_CLAIM, {"ver": ...}, {}),
    "no sid": (Reason.MISSING_CLAIM, {"sid": ...}, {}),
    "a ver that is true": (Reason.MALFORMED, {"ver": True}, {}),
    "a ver below 0": (Reason.MALFORMED, {"ver": -1}, {}),
    "a ver of 1.0": (Reason.MALFORMED, {"ver": 1.0}, {}),
    "a sid that is a list": (Reason.MALFORMED, {"sid": ["a"]}, {}),
    "no kid, with two keys published": (Reason.UNKNOWN_KEY, {}, {"kid": ...}),
    "another issuer's kid": (Reason.UNKNOWN_KEY, {}, {"kid": "es"}),
}


@pytest.mark.parametrize("route", routes.JUDGING)
@pytest.mark.parametrize("name", OWN)
async def test_our_own_issuer_is_held_to_more_before_the_engine_is_asked(
    service: Service, name: str, route: str
) -> None:
    reason, changes, header = OWN[name]
    token = service.own_token(changes, **header)
    with counted() as calls:
        await routes.JUDGING[route](service, token, reason.value)
    assert calls == Calls(verified=0 if reason is Reason.UNKNOWN_KEY else 1)


async def test_a_twin_of_a_signature_is_the_same_token_and_dies_with_it(service: Service) -> None:
    """ECDSA's (r, n - s) verifies too, so what is remembered is the jti and never the text."""
    token = by("es", claims(service.now, jti=fresh("jti")))
    twin = other_s(token)
    assert twin != token
    assert await service.reason(twin) == "active"
    await service.revoke(token=twin)
    for text in (token, twin):
        await routes.introspect(service, text, "")
        await routes.batch(service, text, Reason.TOKEN_REVOKED)
        await routes.forward_auth(service, text, Reason.TOKEN_REVOKED)


async def test_taking_back_a_token_that_is_not_good_now_touches_its_own_name_only(service: Service) -> None:
    before = {key for key in await service.redis.keys() if b":u:" in key}
    eve = user_key(user_tag(MANY, "eve")).encode()
    for name, hostile in EVERY.items():
        if hostile.takeable:
            answer = await service.client.post("/revoke", data={"token": hostile.build(service.now)})
            assert (answer.status_code, answer.json()) == (200, {}), name
    others = {user_key(user_tag(OTHER, "eve")).encode(), eve}
    assert {key for key in await service.redis.keys() if b":u:" in key} - before <= others
    assert await service.reason(by("es", claims(service.now, jti=fresh("jti")))) == "active"


async def test_the_same_hostile_token_a_thousand_times_in_a_batch_asks_the_engine_nothing(service: Service) -> None:
    token = EVERY["none"].build(service.now)
    with counted() as calls:
        answer = await service.client.post("/introspect/batch", json={"tokens": [token] * 1000})
    assert {one["reason"] for one in answer.json()["results"]} == {"algorithm_not_allowed"}
    assert calls == Calls()


@pytest.mark.parametrize("text", ["\ud800", "eyJ\udfff.e30.AA"])
async def test_what_no_unicode_text_can_be_is_refused_as_a_body(service: Service, text: str) -> None:
    body = json.dumps({"tokens": [text]})
    with counted() as calls:
        answer = await service.client.post(
            "/introspect/batch", content=body, headers={"content-type": "application/json"}
        )
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_body")
    assert calls == Calls()


async def test_an_access_token_authenticates_no_caller(service: Service) -> None:
    token = (await service.open())["access_token"]
    for path in ("/introspect", "/introspect/batch", "/revoke", "/token"):
        with counted() as calls:
            answer = await service.http().post(
                path, data={"token": token}, headers={"authorization": f"Bearer {token}"}
            )
        assert answer.status_code == 401
        assert calls == Calls()
