"""`GET /forward-auth`: what a proxy gets to decide by, and to send on."""

from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from quash.ids import partition
from quash.keyspace import global_key
from tests.http.support import IDENTITY, ISSUER, Service, claims_of, fresh, problem

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def ask(service: Service, token: str | None, **query: Any) -> httpx.Response:
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    return await service.http().get("/forward-auth", params=query, headers=headers)


def identity(answer: httpx.Response) -> dict[str, str]:
    """Return the `X-Auth-*` headers; each is there exactly once, whatever the answer."""
    names = [name for name, _ in answer.headers.multi_items() if name.startswith("x-auth-")]
    assert sorted(names) == sorted(IDENTITY)
    return {name.removeprefix("x-auth-"): answer.headers[name] for name in IDENTITY}


async def test_an_active_token_is_200_and_says_who_it_is(service: Service) -> None:
    sub = fresh()
    session = await service.open(sub, client_id="shop", scope="write read", acr="mfa")
    answer = await ask(service, session["access_token"])
    assert (answer.status_code, answer.json()) == (200, {"active": True})
    assert answer.headers["cache-control"] == "no-store"
    assert identity(answer) == {
        "subject": sub,
        "issuer": ISSUER,
        "session": session["session_id"],
        "token-id": claims_of(session["access_token"])["jti"],
        "client": "shop",
        "scope": "read write",
        "acr": "mfa",
        "auth-time": str(service.now),
        "expires-at": str(service.now + 600),
    }


@pytest.mark.parametrize("sub", ["ü@例え.jp", "a%20b", 'a"b\\c', "a,b;c=d", "👩\u200d🚀"])
async def test_headers_are_percent_encoded_utf_8(service: Service, sub: str) -> None:
    answer = await ask(service, (await service.open(sub, acr="ä"))["access_token"])
    found = identity(answer)
    assert found["subject"].isascii()
    assert unquote(found["subject"]) == sub
    assert unquote(found["acr"]) == "ä"


@pytest.mark.parametrize("sub", [" admin", "admin ", " ", "a b"])
async def test_a_name_that_differs_by_a_space_stays_another_name(service: Service, sub: str) -> None:
    """Spaces at the ends of a header's value belong to nobody (RFC 9110 §5.5): whoever reads it drops them."""
    answer = await ask(service, (await service.open(sub, client_id=" shop"))["access_token"])
    found = identity(answer)
    assert unquote(found["subject"].strip()) == sub
    assert unquote(found["client"].strip()) == " shop"


async def test_two_tokens_in_one_request_let_nobody_in(service: Service) -> None:
    """The application behind the proxy may read the other one of them."""
    good = ("authorization", f"Bearer {(await service.open())['access_token']}")
    for other in ("Bearer forged", "Basic YTpi", ""):
        for headers in ([good, ("Authorization", other)], [("authorization", other), good]):
            answer = await service.http().get("/forward-auth", headers=headers)
            assert answer.status_code == 401
            assert set(identity(answer).values()) == {""}


async def test_what_a_token_does_not_say_is_an_empty_header(service: Service) -> None:
    found = identity(await ask(service, (await service.open())["access_token"]))
    assert (found["scope"], found["acr"]) == ("", "")


async def test_without_a_token_the_challenge_names_no_error(service: Service) -> None:
    for headers in ({}, {"authorization": "Basic YTpi"}, {"authorization": "Bearer"}, {"authorization": "Bearer "}):
        answer = await service.http().get("/forward-auth", headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == 'Bearer realm="quash"'
        assert set(identity(answer).values()) == {""}


async def test_a_token_that_is_not_good_is_401_invalid_token(service: Service) -> None:
    session = await service.open()
    await service.revoke(session_id=session["session_id"])
    for token, reason in (("junk", "malformed"), (session["access_token"], "session_revoked")):
        answer = await ask(service, token)
        assert (answer.status_code, answer.json()) == (401, {"active": False, "reason": reason})
        challenge = answer.headers["www-authenticate"]
        assert challenge.startswith('Bearer realm="quash", error="invalid_token"')
        assert reason not in challenge  # the reason is for the proxy's log
        assert set(identity(answer).values()) == {""}


async def test_a_refresh_token_opens_no_door(service: Service) -> None:
    assert (await ask(service, (await service.open())["refresh_token"])).status_code == 401


async def test_missing_scopes_are_403_and_named(service: Service) -> None:
    token = (await service.open(scope="read write"))["access_token"]
    assert (await ask(service, token, scope="write read")).status_code == 200
    answer = await ask(service, token, scope="write delete")
    assert answer.status_code == 403
    expected = 'Bearer realm="quash", error="insufficient_scope", scope="delete write"'
    assert answer.headers["www-authenticate"] == expected
    assert set(identity(answer).values()) == {""}


async def test_a_login_too_old_is_401_with_an_rfc_9470_challenge(service: Service) -> None:
    session = await service.open()
    service.advance(300)
    assert (await ask(service, session["access_token"], max_age=300)).status_code == 200
    service.advance(1)
    answer = await ask(service, session["access_token"], max_age=300)
    assert answer.status_code == 401
    expected = 'Bearer realm="quash", error="insufficient_user_authentication", max_age="300"'
    assert answer.headers["www-authenticate"] == expected
    stepped = await service.client.post(f"/sessions/{session['session_id']}/step-up", json={})
    assert (await ask(service, stepped.json()["access_token"], max_age=300)).status_code == 200


async def test_a_login_too_weak_is_401_and_the_classes_are_named(service: Service) -> None:
    token = (await service.open(acr="pwd"))["access_token"]
    assert (await ask(service, token, acr="mfa pwd")).status_code == 200
    answer = await ask(service, token, acr="mfa hwk")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].endswith('acr_values="mfa hwk"')


async def test_an_audience_is_judged_when_asked_for(service: Service) -> None:
    token = (await service.open(audience=["orders"]))["access_token"]
    assert (await ask(service, token, audience="mail orders")).status_code == 200
    assert (await ask(service, token, audience="mail")).json()["reason"] == "wrong_audience"


@pytest.mark.parametrize("check", ["offline", "cached", "live"])
async def test_however_little_is_asked_for_a_revoked_token_is_refused(service: Service, check: str) -> None:
    token = (await service.open())["access_token"]
    assert (await ask(service, token, check=check)).status_code == 200
    await service.revoke(token=token)
    assert (await ask(service, token, check=check)).status_code == 401


@pytest.mark.parametrize(
    "query",
    [
        {"check": "hard"},
        {"max_age": "-1"},
        {"max_age": "1.5"},
        {"max_age": "٣"},
        {"max_age": "9" * 11},
        {"max_age": ""},
        {"scope": "é"},
        {"scope": 'a"b'},
        {"scope": "a\nb"},
        {"acr": "é"},
        {"acr": ["a", "b"]},
        {"max_ages": "1"},
    ],
)
async def test_a_query_that_cannot_be_meant_is_422_and_lets_nobody_in(service: Service, query: dict[str, Any]) -> None:
    token = (await service.open(scope="read"))["access_token"]
    for presented in (token, None):
        answer = await ask(service, presented, **query)
        assert problem(answer) == (422, "invalid_parameter")
        assert set(identity(answer).values()) == {""}


async def test_a_state_that_cannot_be_read_is_503_and_names_nobody(service: Service) -> None:
    session = await service.open()
    await service.redis.delete(global_key(partition(session["session_id"])))
    answer = await ask(service, session["access_token"])
    assert problem(answer) == (503, "unavailable")
    assert answer.headers["retry-after"] == "1"
    assert set(identity(answer).values()) == {""}
    await service.parts.pulse()
    service.advance(1)
