"""Authlib's OAuth clients, blocking and awaiting, as a resource server and a backend use them."""

from collections.abc import AsyncIterator
from typing import Any, Protocol

import pytest
from authlib.integrations.base_client import OAuthError  # type: ignore[import-untyped]  # Authlib has no types
from authlib.integrations.httpx_client import AsyncOAuth2Client  # type: ignore[import-untyped]  # Authlib has no types
from authlib.integrations.requests_client import OAuth2Session  # type: ignore[import-untyped]  # Authlib has no types

from tests.servers import RunningServer
from tests.thirdparty.logins import CALLER, SECRET, login, verdict

INACTIVE = {"active": False}


class Client(Protocol):
    """What both of Authlib's clients can do, awaited."""

    async def introspect(self, token: str, hint: str | None = None) -> dict[str, Any]: ...
    async def revoke(self, token: str, hint: str | None = None) -> int: ...
    async def refresh(self, token: str, **form: str) -> dict[str, Any]: ...


class Blocking:
    """`OAuth2Session`, on requests."""

    def __init__(self, server: RunningServer, method: str) -> None:
        self._url = server.url
        self.session = OAuth2Session(
            CALLER, SECRET, token_endpoint_auth_method=method, revocation_endpoint_auth_method=method
        )

    async def introspect(self, token: str, hint: str | None = None) -> dict[str, Any]:
        return _document(self.session.introspect_token(f"{self._url}/introspect", token=token, token_type_hint=hint))

    async def revoke(self, token: str, hint: str | None = None) -> int:
        answer = self.session.revoke_token(f"{self._url}/revoke", token=token, token_type_hint=hint)
        return int(answer.status_code)

    async def refresh(self, token: str, **form: str) -> dict[str, Any]:
        return dict(self.session.refresh_token(f"{self._url}/token", refresh_token=token, **form))


class Awaiting:
    """`AsyncOAuth2Client`, on httpx2."""

    def __init__(self, server: RunningServer, method: str) -> None:
        self._url = server.url
        self.session = AsyncOAuth2Client(
            CALLER, SECRET, token_endpoint_auth_method=method, revocation_endpoint_auth_method=method
        )

    async def introspect(self, token: str, hint: str | None = None) -> dict[str, Any]:
        url = f"{self._url}/introspect"
        return _document(await self.session.introspect_token(url, token=token, token_type_hint=hint))

    async def revoke(self, token: str, hint: str | None = None) -> int:
        answer = await self.session.revoke_token(f"{self._url}/revoke", token=token, token_type_hint=hint)
        return int(answer.status_code)

    async def refresh(self, token: str, **form: str) -> dict[str, Any]:
        return dict(await self.session.refresh_token(f"{self._url}/token", refresh_token=token, **form))


def _document(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@pytest.fixture(params=["client_secret_basic", "client_secret_post"])
def method(request: pytest.FixtureRequest) -> str:
    """How the client authenticates."""
    return str(request.param)


@pytest.fixture(params=["blocking", "awaiting"])
async def client(request: pytest.FixtureRequest, server: RunningServer, method: str) -> AsyncIterator[Client]:
    if request.param == "awaiting":
        awaiting = Awaiting(server, method)
        async with awaiting.session:
            yield awaiting
    else:
        blocking = Blocking(server, method)
        with blocking.session:
            yield blocking


async def test_both_kinds_of_token_are_introspected(client: Client, server: RunningServer) -> None:
    session = login(server)
    access = await client.introspect(session["access_token"], "access_token")
    assert (access["active"], access["token_type"], access["scope"]) == (True, "Bearer", "read write")
    assert (access["sub"], access["client_id"], access["iss"]) == (session["sub"], "shop", server.url)
    refresh = await client.introspect(session["refresh_token"], "refresh_token")
    assert (refresh["active"], refresh["token_type"], refresh["sub"]) == (True, "refresh_token", session["sub"])


@pytest.mark.parametrize("hint", [None, "access_token", "refresh_token", "anything"])
async def test_a_hint_is_only_a_hint(client: Client, server: RunningServer, hint: str | None) -> None:
    session = login(server)
    for name in ("access_token", "refresh_token"):
        assert (await client.introspect(session[name], hint))["active"]
        assert await client.revoke(session[name], hint) == 200
        assert await client.introspect(session[name], hint) == INACTIVE


@pytest.mark.parametrize("token", ["junk", "qrt_junk", "a.b.c", "a%C3%BC+&b=c", "\x00", "x" * 20_000])
async def test_what_is_no_token_is_inactive_and_revoked_without_complaint(client: Client, token: str) -> None:
    assert await client.introspect(token) == INACTIVE
    assert await client.revoke(token) == 200


async def test_a_revoked_access_token_ends_alone(client: Client, server: RunningServer) -> None:
    session = login(server)
    assert await client.revoke(session["access_token"]) == 200
    assert verdict(server, session["access_token"]) == "token_revoked"
    assert (await client.refresh(session["refresh_token"]))["token_type"] == "Bearer"


async def test_a_revoked_refresh_token_ends_its_session(client: Client, server: RunningServer) -> None:
    session = login(server)
    assert await client.revoke(session["refresh_token"]) == 200
    assert verdict(server, session["access_token"]) == "session_revoked"
    with pytest.raises(OAuthError, match="invalid_grant"):
        await client.refresh(session["refresh_token"])


async def test_refreshing_gives_the_next_tokens_and_a_narrower_scope(client: Client, server: RunningServer) -> None:
    session = login(server)
    refreshed = await client.refresh(session["refresh_token"], scope="read")
    assert refreshed["refresh_token"] != session["refresh_token"]
    assert (refreshed["token_type"], refreshed["scope"]) == ("Bearer", "read")
    assert (await client.introspect(refreshed["access_token"]))["scope"] == "read"
    with pytest.raises(OAuthError, match="invalid_scope"):
        await client.refresh(refreshed["refresh_token"], scope="write root")


async def test_another_secret_is_refused_as_the_rfc_has_it(server: RunningServer, method: str) -> None:
    token = login(server)["access_token"]
    with OAuth2Session(CALLER, SECRET + "x", token_endpoint_auth_method=method) as session:
        answer = session.introspect_token(f"{server.url}/introspect", token=token)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
        assert answer.headers["www-authenticate"].startswith("Basic ")


async def test_an_expired_access_token_is_refreshed_on_its_way(server: RunningServer) -> None:
    """What Authlib is used for: a request with an expired token refreshes, tells the application, and goes on."""
    session, told = login(server), []
    expired = {**session, "expires_at": 1}
    with OAuth2Session(
        *(CALLER, SECRET),
        token=expired,
        token_endpoint=f"{server.url}/token",
        update_token=lambda token, refresh_token: told.append((token["refresh_token"], refresh_token)),
    ) as client:
        answer = client.get(f"{server.url}/forward-auth")
    assert (answer.status_code, answer.headers["x-auth-subject"]) == (200, session["sub"])
    ((successor, predecessor),) = told
    assert predecessor == session["refresh_token"] != successor
