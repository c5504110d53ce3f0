"""A caller acts only on its issuers; of the others it is told what it would be told of the unknown."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from quash_service.callers import SCOPES
from tests.http import issuers
from tests.http.issuers import issued
from tests.http.support import ISSUER, STRANGER, Service, fresh, unopened

pytestmark = pytest.mark.asyncio(loop_scope="module")

Send = Callable[[httpx.AsyncClient], Awaitable[httpx.Response]]


@pytest.fixture(scope="module")
def options(folder: Path) -> dict[str, Any]:
    return {"issuers": issuers.table(folder, issuers.ES, issuers.NO_JTI)}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def limited(service: Service) -> httpx.AsyncClient:
    """A caller with every scope that may act on one foreign issuer only."""
    return await service.caller(*SCOPES, issuers=[issuers.ES])


def said(answer: httpx.Response, *names: str) -> tuple[int, str, str]:
    """Return what an answer says once the names that the caller itself sent are taken out."""
    text = answer.text
    for name in names:
        text = text.replace(name, "…")
    return answer.status_code, answer.headers["content-type"], text


def own_refresh(service: Service, sid: str) -> str:
    return service.parts.secrets.build(sid, 0, service.parts.secrets.newest)


async def test_introspection_does_not_know_another_issuers_tokens(service: Service, limited: httpx.AsyncClient) -> None:
    session = await service.open()
    for token in (session["access_token"], session["refresh_token"]):
        assert await service.introspect(token, by=limited) == {"active": False}
        assert await service.is_active(token)  # now its signature is cached
        assert await service.introspect(token, by=limited) == {"active": False}
    assert (await service.introspect(issued(issuers.ES, service.now), by=limited))["active"]


async def test_the_batch_route_gives_the_reason_of_the_unknown(service: Service, limited: httpx.AsyncClient) -> None:
    session = await service.open()
    stranger = service.own_token({"iss": STRANGER})
    assert await service.reason(stranger, by=limited) == "unknown_issuer"
    assert await service.reason(session["access_token"], by=limited) == "unknown_issuer"
    assert await service.reason(service.own_token(kid="nobody's"), by=limited) == "unknown_issuer"
    unknown = own_refresh(service, unopened("nobody"))
    for _ in range(2):
        assert await service.reason(session["refresh_token"], by=limited) == await service.reason(unknown, by=limited)
        await service.revoke(session_id=session["session_id"])  # a tombstone tells it no more


async def test_revoking_a_token_by_form_is_answered_as_for_junk_and_changes_nothing(
    service: Service, limited: httpx.AsyncClient
) -> None:
    session = await service.open(sub := fresh())
    before = await service.user_fields(sub)
    junk = await limited.post("/revoke", data={"token": "junk"})
    for token in (session["access_token"], session["refresh_token"], issued(issuers.NO_JTI, service.now, jti=...)):
        answer = await limited.post("/revoke", data={"token": token})
        assert said(answer) == said(junk) == (200, "application/json", "{}")
    assert await service.user_fields(sub) == before
    assert await service.is_active(session["access_token"])


@pytest.mark.parametrize("member", ["token", "session_id"])
async def test_revoking_by_json_is_answered_as_for_the_unknown(
    service: Service, limited: httpx.AsyncClient, member: str
) -> None:
    session = await service.open(sub := fresh())
    before = await service.user_fields(sub)
    pairs = {
        "token": [(session["access_token"], "junk"), (session["refresh_token"], own_refresh(service, unopened(sub)))],
        "session_id": [(session["session_id"], unopened(sub))],
    }
    for known, unknown in pairs[member]:
        answer = await limited.post("/revoke", json={member: known})
        reference = await limited.post("/revoke", json={member: unknown})
        assert answer.json()["found"] is False
        # A refresh token names its session, which is part of the answer.
        assert said(answer, known, session["session_id"]) == said(reference, unknown, unknown.split(".")[0][-38:])
    assert await service.user_fields(sub) == before


BODIES: tuple[dict[str, Any], ...] = (
    {"jti": "j", "sub": "carol", "exp": 1},
    {"sub": "carol"},
    {"kid": "k1"},
    {"thumbprint": "x" * 43},
)


@pytest.mark.parametrize("body", BODIES, ids=" ".join)
@pytest.mark.parametrize("iss", [ISSUER, issuers.NO_JTI])
async def test_revoking_under_another_issuer_is_refused_as_under_an_unknown_one(
    service: Service, limited: httpx.AsyncClient, body: dict[str, Any], iss: str
) -> None:
    answer = await limited.post("/revoke", json={**body, "iss": iss})
    assert said(answer) == said(await limited.post("/revoke", json={**body, "iss": STRANGER}))
    assert answer.json()["code"] == "unknown_issuer"
    assert await service.user_fields("carol", iss) == {}


async def test_revoking_another_issuer_itself_is_refused_as_an_unknown_one(
    service: Service, limited: httpx.AsyncClient
) -> None:
    session = await service.open()
    answer = await limited.post("/revoke", json={"issuer": ISSUER})
    assert said(answer) == said(await limited.post("/revoke", json={"issuer": STRANGER}))
    assert await service.is_active(session["access_token"])


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_a_users_sessions_are_those_of_an_unknown_issuer(
    service: Service, limited: httpx.AsyncClient, method: str
) -> None:
    session = await service.open(sub := fresh())
    for iss in ({"iss": ISSUER}, {}):
        answer = await limited.request(method, "/sessions", params={"sub": sub, **iss})
        assert said(answer) == said(await limited.request(method, "/sessions", params={"sub": sub, "iss": STRANGER}))
    assert await service.is_active(session["access_token"])


async def test_opening_for_another_issuer_is_refused_as_for_an_unknown_one(
    service: Service, limited: httpx.AsyncClient
) -> None:
    sub = fresh()
    for iss in ({"iss": ISSUER}, {}):
        answer = await limited.post("/sessions", json={"sub": sub, **iss})
        assert said(answer) == said(await limited.post("/sessions", json={"sub": sub, "iss": STRANGER}))
    assert await service.user_fields(sub) == {}
    assert (await service.open(by=limited, iss=issuers.ES))["session_id"]


@pytest.mark.parametrize("ended", [False, True])
@pytest.mark.parametrize(("method", "suffix"), [("GET", ""), ("DELETE", ""), ("POST", "/step-up")])
async def test_one_session_of_another_issuer_is_an_unknown_session(
    service: Service, limited: httpx.AsyncClient, method: str, suffix: str, ended: bool
) -> None:
    sid, unknown = (await service.open(sub := fresh()))["session_id"], unopened(sub)
    if ended:
        await service.revoke(session_id=sid)
    before = await service.user_fields(sub)
    body: dict[str, Any] | None = {} if suffix else None
    answer = await limited.request(method, f"/sessions/{sid}{suffix}", json=body)
    reference = await limited.request(method, f"/sessions/{unknown}{suffix}", json=body)
    assert said(answer, sid) == said(reference, unknown)
    assert await service.user_fields(sub) == before


@pytest.mark.parametrize("ended", [False, True])
async def test_refreshing_another_issuers_session_is_refused_as_an_unknown_one_and_kills_nothing(
    service: Service, limited: httpx.AsyncClient, ended: bool
) -> None:
    session = await service.open(sub := fresh())
    if ended:
        await service.revoke(session_id=session["session_id"])
    before = await service.user_fields(sub)
    answer = await service.refresh(session["refresh_token"], by=limited)
    assert said(answer) == said(await service.refresh(own_refresh(service, unopened(sub)), by=limited))
    assert await service.user_fields(sub) == before


async def test_what_a_limited_caller_opens_for_its_own_issuer_it_can_use(
    service: Service, limited: httpx.AsyncClient
) -> None:
    session = await service.open(sub := fresh(), by=limited, iss=issuers.ES)
    assert "access_token" not in session  # we sign for our own issuer only
    sid = session["session_id"]
    listed = (await limited.get("/sessions", params={"sub": sub, "iss": issuers.ES})).json()["sessions"]
    assert [one["session_id"] for one in listed] == [sid]
    token = (await service.refreshed(session["refresh_token"], by=limited))["refresh_token"]
    assert (await service.introspect(token, by=limited))["active"]
    assert (await limited.delete(f"/sessions/{sid}")).json()["found"]
