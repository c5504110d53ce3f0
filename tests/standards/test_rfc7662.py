"""RFC 7662: introspection."""

from typing import Any

import pytest

from tests.http.support import ISSUER, Service, fresh, oauth_error

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_members_have_the_types_of_the_standard(service: Service) -> None:
    """§2.2: a boolean, strings, and times as whole seconds."""
    session = await service.open(scope="a b", client_id="shop", audience=["x", "y"], auth_time=service.now)
    found = await service.introspect(session["access_token"])
    assert found["active"] is True
    kinds: dict[str, type] = {
        **dict.fromkeys(("scope", "client_id", "token_type", "sub", "iss", "jti"), str),
        **dict.fromkeys(("exp", "iat", "auth_time"), int),
        "aud": list,
    }
    assert {name: type(found[name]) for name in kinds} == kinds
    assert found["token_type"] == "Bearer"
    assert found["iss"] == ISSUER


async def test_nothing_is_said_of_a_token_that_is_not_active(service: Service) -> None:
    """§2.2: not even why; the same for one that never was, one of before, and one of somebody else."""
    revoked = await service.open()
    await service.revoke(session_id=revoked["session_id"])
    for token in ("x", "a.b.c", revoked["access_token"], revoked["refresh_token"], service.own_token({"exp": 1})):
        answer = await service.client.post("/introspect", data={"token": token})
        assert (answer.status_code, answer.content) == (200, b'{"active":false}')


async def test_whoever_asks_authenticates(service: Service) -> None:
    """§2.1 and §4: otherwise tokens could be guessed at."""
    token = (await service.open())["access_token"]
    assert oauth_error(await service.http().post("/introspect", data={"token": token})) == (401, "invalid_client")
    unscoped = await service.caller("sessions")
    assert oauth_error(await unscoped.post("/introspect", data={"token": token})) == (403, "insufficient_scope")


@pytest.mark.parametrize("form", [{}, {"token": ""}, {"token_type_hint": "access_token"}])
async def test_the_token_is_required(service: Service, form: dict[str, str]) -> None:
    """§2.1."""
    assert oauth_error(await service.client.post("/introspect", data=form)) == (400, "invalid_request")


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "urn:x", "ü", "a b"])
async def test_a_hint_never_decides(service: Service, hint: str) -> None:
    """§2.1: an unknown one is ignored, a wrong one extends the search."""
    session = await service.open()
    for token in (session["access_token"], session["refresh_token"]):
        assert (await service.introspect(token, token_type_hint=hint))["active"]
    assert not (await service.introspect("x", token_type_hint=hint))["active"]


async def test_answers_are_kept_by_no_cache(service: Service) -> None:
    """§4: an answer that was kept would outlive a revocation."""
    token = (await service.open())["access_token"]
    for form in ({"token": token}, {"token": "x"}, {}):
        answer = await service.client.post("/introspect", data=form)
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-type"] == "application/json"


async def test_get_is_not_offered(service: Service) -> None:
    """§4: a token in an address would be logged. RFC 9110 §15.5.6 wants Allow."""
    answer = await service.client.get("/introspect", params={"token": "t"})
    assert oauth_error(answer) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"


async def test_a_token_for_another_resource_is_told_only_to_whom_it_is_for(service: Service) -> None:
    """§2.2 and §4: what is said may depend on who asks; here on the audience it states and on its issuers."""
    token = (await service.open(audience=["orders"]))["access_token"]
    assert (await service.introspect(token, audience="orders"))["active"]
    assert not (await service.introspect(token, audience="billing"))["active"]
    elsewhere = await service.caller("introspect", issuers=["https://other.example"])
    assert await service.introspect(token, by=elsewhere) == {"active": False}


async def test_a_token_is_judged_whole(service: Service) -> None:
    """§4: expired, not yet valid, revoked, and of a bad signature."""
    good = service.own_token()
    bad: list[Any] = [
        service.own_token({"exp": service.now}),
        service.own_token({"nbf": service.now + 5}),
        good[:-4] + ("AAAA" if good[-4:] != "AAAA" else "BBBB"),
    ]
    for token in bad:
        assert not await service.is_active(token)


async def test_a_stranger_cannot_tell_a_wrong_name_from_a_wrong_secret(service: Service) -> None:
    """§4, on guessing."""
    await service.caller("introspect", name=(name := fresh("known")))
    answers = [
        await service.http().post("/introspect", data={"token": "t", "client_id": one, "client_secret": "wrong"})
        for one in (name, "nobody")
    ]
    assert answers[0].content == answers[1].content
    assert {answer.status_code for answer in answers} == {401}
