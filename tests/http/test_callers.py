"""Callers: how they authenticate, and what does not."""

from base64 import b64encode
from typing import Any
from urllib.parse import quote_plus

import httpx
import pytest
import pytest_asyncio

from quash.keyspace import CALLERS
from quash_service.callers import MAX_AGE_MS, Caller, digest
from tests.http.support import SECRET, Service, basic, fresh, oauth_error, problem
from tests.service import ADMIN

pytestmark = pytest.mark.asyncio(loop_scope="module")

FORM = {"token": "no-token"}
UNAUTHENTICATED = (401, "unauthenticated")
INVALID_CLIENT = (401, "invalid_client")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def name(service: Service) -> str:
    """A caller that may introspect."""
    await service.caller("introspect", name="orders")
    return "orders"


async def introspect(service: Service, headers: dict[str, str], **form: str) -> httpx.Response:
    return await service.http().post("/introspect", data={**FORM, **form}, headers=headers)


async def test_basic_authenticates(service: Service, name: str) -> None:
    assert (await introspect(service, basic(name, SECRET))).json() == {"active": False}


async def test_form_parameters_authenticate_on_oauth_routes(service: Service, name: str) -> None:
    assert (await introspect(service, {}, client_id=name, client_secret=SECRET)).json() == {"active": False}


async def test_a_qk_bearer_secret_authenticates(service: Service, name: str) -> None:
    answer = await introspect(service, {"authorization": f"Bearer qk_{name}.{SECRET}"})
    assert answer.json() == {"active": False}


async def test_the_scheme_is_read_in_any_case(service: Service, name: str) -> None:
    plain = basic(name, SECRET)["authorization"].removeprefix("Basic ")
    for header in (f"basic {plain}", f"BASIC {plain}", f"bearer qk_{name}.{SECRET}"):
        assert (await introspect(service, {"authorization": header})).status_code == 200


@pytest.mark.parametrize("scheme", ["basic", "bearer"])
async def test_two_ways_at_once_are_refused(service: Service, name: str, scheme: str) -> None:
    header = basic(name, SECRET) if scheme == "basic" else {"authorization": f"Bearer qk_{name}.{SECRET}"}
    answer = await introspect(service, header, client_id=name, client_secret=SECRET)
    assert oauth_error(answer) == (400, "invalid_request")


async def test_a_form_may_name_the_client_that_the_header_authenticates(service: Service, name: str) -> None:
    assert (await introspect(service, basic(name, SECRET), client_id=name)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        basic("orders", "wrong"),
        basic("nobody", SECRET),
        basic("orders", ""),
        basic("", SECRET),
        {"authorization": "Basic not-base64!"},
        {"authorization": "Basic " + b64encode(b"orders").decode()},
        {"authorization": "Basic " + b64encode(b"orders:\xff").decode()},
        {"authorization": "Bearer qk_orders"},
        {"authorization": "Bearer qk_orders.wrong"},
        {"authorization": f"Bearer orders.{SECRET}"},
        {"authorization": f"Digest orders.{SECRET}"},
        {"authorization": ""},
    ],
)
async def test_whoever_is_not_a_caller_is_told_the_same(service: Service, name: str, headers: dict[str, str]) -> None:
    reference = await introspect(service, basic(name, "another"))
    answer = await introspect(service, headers)
    assert oauth_error(answer) == INVALID_CLIENT
    assert answer.content == reference.content
    scheme = "Bearer " if headers.get("authorization", "").startswith("Bearer ") else "Basic "
    assert answer.headers["www-authenticate"].startswith(scheme)
    elsewhere = await service.http().post("/introspect/batch", json={"tokens": []}, headers=headers)
    assert problem(elsewhere) == UNAUTHENTICATED
    assert elsewhere.headers["www-authenticate"].startswith(scheme)


async def test_a_users_tokens_never_authenticate_a_caller(service: Service) -> None:
    session = await service.open("admin", scope="introspect admin")
    for token in (session["access_token"], session["refresh_token"]):
        for header in (f"Bearer {token}", f"Bearer qk_{token}", f"Bearer qk_admin.{token}"):
            assert oauth_error(await introspect(service, {"authorization": header})) == INVALID_CLIENT
        answer = await introspect(service, {}, client_id="admin", client_secret=token)
        assert oauth_error(answer) == INVALID_CLIENT


async def test_a_secret_of_odd_characters_works_form_encoded_and_as_curl_sends_it(service: Service) -> None:
    secret = "a+b%2Fc/d=e&f:g h%"
    await service.parts.callers.add(Caller("odd", digest(secret), frozenset({"introspect"}), None))
    assert (await introspect(service, basic("odd", secret))).status_code == 200
    assert (await introspect(service, basic("odd", quote_plus(secret)))).status_code == 200
    assert (await introspect(service, {}, client_id="odd", client_secret=secret)).status_code == 200
    assert (await introspect(service, basic("odd", secret.replace("+", " ")))).status_code == 401


async def test_a_removed_caller_is_refused_within_5_s(service: Service) -> None:
    client = await service.caller("introspect", name=(gone := fresh("gone")))
    assert (await client.post("/introspect", data=FORM)).status_code == 200
    await service.redis.hdel(CALLERS, gone)  # as another process does it
    service.advance(MAX_AGE_MS / 1000)
    assert (await client.post("/introspect", data=FORM)).status_code == 401


async def test_a_caller_removed_here_is_refused_at_once(service: Service) -> None:
    client = await service.caller("introspect", name=(gone := fresh("gone")))
    assert await service.parts.callers.remove(gone)
    assert (await client.post("/introspect", data=FORM)).status_code == 401


async def test_the_state_cannot_replace_or_remove_the_admin(service: Service) -> None:
    await service.redis.hset(CALLERS, "admin", Caller("admin", digest(SECRET), frozenset(), None).to_json())
    service.advance(MAX_AGE_MS / 1000)
    assert (await introspect(service, basic("admin", ADMIN))).status_code == 200
    assert (await introspect(service, basic("admin", SECRET))).status_code == 401
    await service.redis.hdel(CALLERS, "admin")
    service.advance(MAX_AGE_MS / 1000)
    assert (await introspect(service, basic("admin", ADMIN))).status_code == 200


async def test_admin_includes_every_other_scope(service: Service) -> None:
    client = await service.caller("admin")
    session = await service.open(by=client)
    assert (await service.introspect(session["access_token"], by=client))["active"]
    assert (await service.revoke(by=client, session_id=session["session_id"]))["found"]


async def test_only_the_opener_or_an_admin_may_refresh_or_step_up(service: Service) -> None:
    opener, other = await service.caller("sessions"), await service.caller("sessions", "revoke", "introspect")
    session = await service.open(by=opener)
    sid, token = session["session_id"], session["refresh_token"]
    assert oauth_error(await service.refresh(token, by=other)) == (400, "invalid_grant")
    step_up: Any = await other.post(f"/sessions/{sid}/step-up", json={})
    assert problem(step_up) == (404, "session_unknown")
    assert (await opener.post(f"/sessions/{sid}/step-up", json={})).status_code == 200
    token = (await service.refreshed(token, by=opener))["refresh_token"]
    assert (await service.refresh(token)).status_code == 200
    assert (await service.client.post(f"/sessions/{sid}/step-up", json={})).status_code == 200
