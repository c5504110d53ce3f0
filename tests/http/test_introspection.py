"""`/introspect` and `/introspect/batch`: exactly what RFC 7662 and the design promise."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.http import issuers
from tests.http.issuers import issued
from tests.http.presenting import GRACE_S
from tests.http.support import ISSUER, Service, claims_of, fresh, oauth_error, problem

pytestmark = pytest.mark.asyncio(loop_scope="module")

FORM_TYPE = "application/x-www-form-urlencoded"
INACTIVE = {"active": False}


@pytest.fixture(scope="module")
def options(folder: Path) -> dict[str, Any]:
    return {"issuers": issuers.table(folder)}


async def test_whatever_is_not_active_is_exactly_active_false(service: Service) -> None:
    session = await service.open()
    await service.revoke(session_id=session["session_id"])
    for token in ("junk", "qrt_junk", "a.b.c", session["access_token"], session["refresh_token"]):
        answer = await service.client.post("/introspect", data={"token": token})
        assert (answer.status_code, answer.content) == (200, b'{"active":false}')
        assert answer.headers["cache-control"] == "no-store"


async def test_an_active_access_token_is_described(service: Service) -> None:
    sub = fresh()
    login: dict[str, Any] = {"acr": "mfa", "amr": ["pwd", "otp"], "auth_time": service.now - 5}
    session = await service.open(sub, client_id="shop", scope="write read", audience=["orders", "mail"], **login)
    token = claims_of(session["access_token"])
    assert await service.introspect(session["access_token"]) == {
        "active": True,
        "iss": ISSUER,
        "sub": sub,
        "aud": ["orders", "mail"],
        "exp": service.now + 600,
        "iat": service.now,
        "jti": token["jti"],
        "scope": "read write",
        "client_id": "shop",
        "token_type": "Bearer",
        "sid": session["session_id"],
        "ver": 0,
        **login,
    }


async def test_what_a_token_does_not_say_is_left_out(service: Service) -> None:
    service.advance(2)
    found = await service.introspect(issued(issuers.NO_JTI, service.now, jti=...))
    assert set(found) == {"active", "iss", "sub", "exp", "iat", "token_type"}
    assert (await service.introspect(service.own_token({"nbf": service.now}))) == INACTIVE  # its sid was never opened
    assert (await service.introspect(issued(issuers.ES, service.now, nbf=service.now)))["nbf"] == service.now


async def test_custom_claims_are_shown_only_to_callers_with_the_scope(service: Service) -> None:
    token = (await service.open(claims={"tenant": "t-1", "roles": ["a"]}))["access_token"]
    plain = await service.caller("introspect")
    trusted = await service.caller("introspect", "introspect:claims")
    assert not {"tenant", "roles"} & set(await service.introspect(token, by=plain))
    found = await service.introspect(token, by=trusted)
    assert (found["tenant"], found["roles"]) == ("t-1", ["a"])


async def test_custom_claims_never_override_what_is_ours_to_say(service: Service) -> None:
    claimed = {"active": False, "token_type": "refresh_token", "username": "root", "step_up_required": True, "x": 1}
    token = (await service.open(sub := fresh(), claims=claimed))["access_token"]
    found = await service.introspect(token)
    assert (found["active"], found["token_type"], found["sub"], found["x"]) == (True, "Bearer", sub, 1)
    assert not {"username", "step_up_required"} & set(found)
    service.advance(2)
    foreign = issued(issuers.ES, service.now, active=False, sid="s", ver=9, scp="root", typ="x", scope="read")
    found = await service.introspect(foreign)
    assert (found["active"], found["scope"], found["token_type"]) == (True, "read", "Bearer")
    assert not {"sid", "ver", "scp", "typ"} & set(found)


async def test_a_refresh_token_is_described(service: Service) -> None:
    sub = fresh()
    session = await service.open(sub, client_id="shop", scope="read")
    assert await service.introspect(session["refresh_token"]) == {
        "active": True,
        "iss": ISSUER,
        "sub": sub,
        "exp": service.now + session["refresh_expires_in"],
        "iat": service.now,
        "client_id": "shop",
        "scope": "read",
        "token_type": "refresh_token",
        "sid": session["session_id"],
        "ver": 0,
    }


async def test_a_refresh_token_is_active_as_the_current_one_and_as_the_previous_within_its_grace(
    service: Service,
) -> None:
    first = (await service.open())["refresh_token"]
    second = (await service.refreshed(first))["refresh_token"]
    service.advance(GRACE_S)
    assert [await service.is_active(one) for one in (first, second)] == [True, True]
    service.advance(1)
    assert [await service.is_active(one) for one in (first, second)] == [False, True]
    third = (await service.refreshed(second))["refresh_token"]
    assert [await service.is_active(one) for one in (first, second, third)] == [False, True, True]


async def test_looking_at_a_refresh_token_of_the_past_is_not_presenting_it(service: Service) -> None:
    session = await service.open(sub := fresh())
    second = (await service.refreshed(session["refresh_token"]))["refresh_token"]
    service.advance(10 * GRACE_S)
    before = await service.user_fields(sub)
    assert await service.reason(session["refresh_token"]) == "token_revoked"
    assert not await service.is_active(session["refresh_token"])
    assert await service.user_fields(sub) == before
    assert await service.audited(session["session_id"]) == []
    assert (await service.refresh(second)).status_code == 200


async def test_an_audience_is_judged_only_when_asked_for(service: Service) -> None:
    token = (await service.open(audience="orders"))["access_token"]
    assert (await service.introspect(token))["active"]
    assert (await service.introspect(token, audience="orders"))["active"]
    assert (await service.introspect(token, audience="mail orders"))["active"]
    assert await service.introspect(token, audience="mail") == INACTIVE


async def test_or_when_the_issuer_lists_its_own(service: Service) -> None:
    service.advance(2)
    for aud, active in (("orders", True), (["x", "billing"], True), ("mail", False), (..., False)):
        found = await service.introspect(issued(issuers.FOR_ORDERS, service.now, aud=aud))
        assert found["active"] is active
    token = issued(issuers.FOR_ORDERS, service.now, aud="billing")
    assert await service.introspect(token, audience="orders") == INACTIVE


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "id_token", "nonsense"])
async def test_hints_are_only_hints(service: Service, hint: str) -> None:
    session = await service.open()
    for token in (session["access_token"], session["refresh_token"]):
        assert (await service.introspect(token, token_type_hint=hint))["active"]


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b'{"token": "t"}', "application/json"),
        (b"token=t", "text/plain"),
        (b"token=t", ""),
        (b"token=a&token=b", FORM_TYPE),
        (b"token=t&client_id=a&client_id=a", FORM_TYPE),
        (b"", FORM_TYPE),
        (b"token=", FORM_TYPE),
        (b"token=%ff", FORM_TYPE),
        (b"token=\xff", FORM_TYPE),
        (b"&".join(b"p%d=1" % number for number in range(65)), FORM_TYPE),
    ],
)
async def test_a_request_that_is_not_one_plain_form_is_400(service: Service, content: bytes, media_type: str) -> None:
    answer = await service.client.post("/introspect", content=content, headers={"content-type": media_type})
    assert oauth_error(answer) == (400, "invalid_request")
    assert answer.headers["cache-control"] == "no-store"


async def test_a_form_with_a_charset_is_a_form(service: Service) -> None:
    headers = {"content-type": f"{FORM_TYPE}; charset=UTF-8"}
    answer = await service.client.post("/introspect", content=b"token=t", headers=headers)
    assert answer.json() == INACTIVE


async def test_an_oversize_body_is_413_whether_its_length_is_stated_or_not(service: Service) -> None:
    body = urlencode({"token": "x" * (64 * 1024)}).encode()

    async def pieces() -> Any:
        for at in range(0, len(body), 1024):
            yield body[at : at + 1024]

    for content in (body, pieces()):
        headers = {"content-type": FORM_TYPE}
        answer = await service.client.post("/introspect", content=content, headers=headers)
        assert oauth_error(answer) == (413, "body_too_large")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
async def test_another_method_is_405_with_allow(service: Service, method: str) -> None:
    answer = await service.client.request(method, "/introspect")
    assert oauth_error(answer) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"


async def test_a_batch_is_answered_in_order(service: Service) -> None:
    one, two = await service.open(), await service.open()
    await service.revoke(token=two["access_token"])
    tokens = [one["access_token"], "junk", two["access_token"], two["refresh_token"], one["access_token"]]
    answer = await service.client.post("/introspect/batch", json={"tokens": tokens})
    assert [one.get("reason", "active") for one in answer.json()["results"]] == [
        *("active", "malformed", "token_revoked", "active", "active"),
    ]
    assert answer.headers["cache-control"] == "no-store"


async def test_a_batch_takes_a_thousand_tokens_and_not_one_more(service: Service) -> None:
    token = (await service.open())["access_token"]
    answer = await service.client.post("/introspect/batch", json={"tokens": [token] * 1000})
    assert [one["active"] for one in answer.json()["results"]] == [True] * 1000
    answer = await service.client.post("/introspect/batch", json={"tokens": ["t"] * 1001})
    assert problem(answer) == (413, "too_many_tokens")
    assert (await service.client.post("/introspect/batch", json={"tokens": []})).json() == {"results": []}


@pytest.mark.parametrize("body", [[], {}, {"tokens": "t"}, {"tokens": [1]}, {"tokens": None}, "t", 1])
async def test_a_batch_is_a_list_of_strings(service: Service, body: object) -> None:
    assert problem(await service.client.post("/introspect/batch", json=body)) == (422, "invalid_body")


async def test_batches_let_others_have_their_turn(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """1,000 signatures are half a second of computing, in which the engine's answers to all others would be late."""
    turn, verified = 0, Counter[int]()
    verify = service.parts.judge.verify

    async def counted(*args: Any) -> Any:
        verified[turn] += 1
        return await verify(*args)

    async def others() -> None:
        nonlocal turn
        while True:
            await asyncio.sleep(0)
            turn += 1

    monkeypatch.setattr(service.parts.judge.__class__, "verify", lambda _, *args: counted(*args))
    running = asyncio.create_task(others())
    body = {"tokens": [f"junk-{at}" for at in range(1_000)]}
    answers = await asyncio.gather(*(service.client.post("/introspect/batch", json=body) for _ in range(3)))
    running.cancel()
    assert [one.status_code for one in answers] == [200] * 3
    assert verified.total() == 3_000
    assert max(verified.values()) <= 100
