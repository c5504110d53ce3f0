"""With minting off the existing issuer signs, and embeds our `sid` and `ver`."""

from pathlib import Path
from typing import Any

import pytest

from tests.http import issuers
from tests.http.issuers import issued
from tests.http.support import Service, fresh, oauth_error, problem

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def options(folder: Path) -> dict[str, Any]:
    (theirs,) = issuers.table(folder, issuers.ES)
    return {"mint": False, "issuers": [{**theirs, "embeds": ["sid", "ver"]}]}


async def opened(service: Service, sub: str) -> dict[str, Any]:
    return await service.open(sub, iss=issuers.ES)


async def test_opening_stepping_up_and_refreshing_return_no_access_token(service: Service) -> None:
    session = await opened(service, fresh())
    assert set(session) == {"session_id", "version", "refresh_token", "refresh_expires_in"}
    assert set(await service.refreshed(session["refresh_token"])) == set(session)
    answer = await service.client.post(f"/sessions/{session['session_id']}/step-up", json={})
    assert set(answer.json()) == {"session_id", "version"}


@pytest.mark.parametrize(
    ("method", "path", "request_"),
    [
        ("POST", "/sessions", {"json": {"sub": "a"}}),
        ("GET", "/sessions", {"params": {"sub": "a"}}),
        ("DELETE", "/sessions", {"params": {"sub": "a"}}),
        ("POST", "/revoke", {"json": {"sub": "a"}}),
        ("POST", "/revoke", {"json": {"jti": "j", "sub": "a", "exp": 1}}),
        ("POST", "/revoke", {"json": {"kid": "k1"}}),
    ],
)
async def test_the_issuer_has_to_be_stated(service: Service, method: str, path: str, request_: dict[str, Any]) -> None:
    assert problem(await service.client.request(method, path, **request_)) == (422, "issuer_required")


async def test_the_issuers_own_tokens_are_judged_by_the_session(service: Service) -> None:
    service.advance(2)
    session = await opened(service, sub := fresh())
    token = issued(issuers.ES, service.now, sub=sub, sid=session["session_id"], ver=session["version"])
    found = await service.introspect(token)
    assert (found["active"], found["sid"], found["ver"]) == (True, session["session_id"], 0)
    await service.revoke(session_id=session["session_id"])
    assert await service.reason(token) == "session_revoked"


async def test_a_bump_ends_the_wait_for_the_clock(service: Service) -> None:
    service.advance(2)
    sub = fresh()
    version = (await service.revoke(sub=sub, iss=issuers.ES))["version"]
    session = await opened(service, sub)
    assert session["version"] == version
    token = issued(issuers.ES, service.now, sub=sub, sid=session["session_id"], ver=version)
    assert await service.reason(token) == "active"


async def test_our_own_keys_sign_nothing_that_is_accepted_or_published(service: Service) -> None:
    assert (await service.http().get("/.well-known/jwks.json")).json() == {"keys": []}
    assert await service.reason(service.own_token()) == "unknown_issuer"


async def test_reuse_is_caught_all_the_same(service: Service) -> None:
    session = await opened(service, fresh())
    await service.refreshed(session["refresh_token"])
    service.advance(31)
    assert oauth_error(await service.refresh(session["refresh_token"])) == (400, "invalid_grant")
    assert await service.reason(session["refresh_token"]) == "session_revoked"
