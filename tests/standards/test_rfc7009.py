"""RFC 7009: revocation by form."""

import pytest

from tests.http.support import Service, fresh, oauth_error

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("hint", [None, "access_token", "refresh_token", "nonsense"])
async def test_revoked_is_at_once_whatever_the_hint(service: Service, hint: str | None) -> None:
    """§2.1: a hint never narrows the search; §2: invalid at once."""
    form = {} if hint is None else {"token_type_hint": hint}
    for kind in ("access_token", "refresh_token"):
        token = (await service.open())[kind]
        answer = await service.client.post("/revoke", data={"token": token, **form})
        assert answer.status_code == 200
        assert not await service.is_active(token)


async def test_a_refresh_token_takes_its_access_tokens_along(service: Service) -> None:
    """§2.1 asks for it (SHOULD) where access tokens can be revoked."""
    session = await service.open()
    await service.client.post("/revoke", data={"token": session["refresh_token"]})
    assert not await service.is_active(session["access_token"])


async def test_an_access_token_may_leave_its_session(service: Service) -> None:
    """§2.1: MAY revoke the refresh token as well; it does not, so that one device's token can be dropped alone."""
    session = await service.open()
    await service.client.post("/revoke", data={"token": session["access_token"]})
    assert not await service.is_active(session["access_token"])
    assert (await service.refresh(session["refresh_token"])).status_code == 200


@pytest.mark.parametrize("token", ["x", "a.b.c", "qrt_x.0.y", "ü", " "])
async def test_an_invalid_token_is_200(service: Service, token: str) -> None:
    """§2.2: the purpose is met already."""
    answer = await service.client.post("/revoke", data={"token": token})
    assert (answer.status_code, answer.json()) == (200, {})


async def test_without_a_token_it_is_invalid_request(service: Service) -> None:
    assert oauth_error(await service.client.post("/revoke", data={"token_type_hint": "x"})) == (400, "invalid_request")


async def test_whoever_revokes_authenticates(service: Service) -> None:
    """§2.1."""
    token = (await service.open())["access_token"]
    assert oauth_error(await service.http().post("/revoke", data={"token": token})) == (401, "invalid_client")
    assert await service.is_active(token)


async def test_instead_of_the_clients_its_issuers_bound_what_a_caller_may_revoke(service: Service) -> None:
    """§2.1 would have tokens revoked by the client they were issued to. Our callers are services: one that may
    revoke does so for any client of the issuers it may act on. Elsewhere it is told what of an unknown token."""
    session = await service.open(client_id="shop")
    foreign = await service.caller("revoke", issuers=["https://other.example"])
    answer = await foreign.post("/revoke", data={"token": session["refresh_token"]})
    assert (answer.status_code, answer.json()) == (200, {})
    assert await service.is_active(session["access_token"])
    helpdesk = await service.caller("revoke", name=fresh("helpdesk"))
    assert (await helpdesk.post("/revoke", data={"token": session["refresh_token"]})).status_code == 200
    assert not await service.is_active(session["access_token"])


async def test_jsonp_and_get_are_not_offered(service: Service) -> None:
    """§2.3 is optional and puts tokens into addresses."""
    answer = await service.client.get("/revoke", params={"token": "t", "callback": "f"})
    assert oauth_error(answer) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"
