"""`POST /revoke` as a form: RFC 7009."""

from pathlib import Path
from typing import Any

import pytest

from tests.http import issuers
from tests.http.issuers import issued
from tests.http.support import Service, fresh, oauth_error, problem

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def options(folder: Path) -> dict[str, Any]:
    return {"issuers": issuers.table(folder)}


async def revoke(service: Service, token: str, **form: str) -> None:
    """Revoke, which is always answered with 200 and says nothing."""
    answer = await service.client.post("/revoke", data={"token": token, **form})
    assert (answer.status_code, answer.content) == (200, b"{}")
    assert answer.headers["cache-control"] == "no-store"


async def test_an_access_token_ends_itself_only(service: Service) -> None:
    session = await service.open()
    other = await service.refreshed(session["refresh_token"])
    await revoke(service, session["access_token"])
    assert await service.reason(session["access_token"]) == "token_revoked"
    assert await service.is_active(other["access_token"])
    assert await service.is_active(other["refresh_token"])


async def test_a_refresh_token_ends_its_session_and_all_of_its_tokens(service: Service) -> None:
    session, other = await service.open(sub := fresh()), await service.open(sub)
    await revoke(service, session["refresh_token"])
    assert await service.reason(session["access_token"]) == "session_revoked"
    assert await service.reason(session["refresh_token"]) == "session_revoked"
    assert await service.is_active(other["access_token"])


@pytest.mark.parametrize("rotations", [1, 2, 5])
async def test_a_refresh_token_of_any_generation_ends_its_session(service: Service, rotations: int) -> None:
    session = await service.open()
    token = session["refresh_token"]
    for _ in range(rotations):
        token = (await service.refreshed(token))["refresh_token"]
    await revoke(service, session["refresh_token"])
    assert not await service.is_active(token)
    (entry,) = await service.audited(session["session_id"])
    assert (entry["kind"], entry["cause"]) == ("session_revoked", "logout")  # never taken for theft


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "id_token"])
async def test_hints_are_only_hints(service: Service, hint: str) -> None:
    session = await service.open()
    await revoke(service, session["access_token"], token_type_hint=hint)
    assert not await service.is_active(session["access_token"])
    await revoke(service, session["refresh_token"], token_type_hint=hint)
    assert not await service.is_active(session["refresh_token"])


async def test_what_is_unknown_foreign_or_expired_is_200(service: Service) -> None:
    await revoke(service, "junk")
    await revoke(service, "qrt_junk")
    await revoke(service, service.own_token({"iss": "https://stranger.example"}))
    await revoke(service, service.own_token(kid="nobody's"))
    expired = service.own_token({"sub": (sub := fresh()), "iat": service.now - 700, "exp": service.now - 100})
    await revoke(service, expired)
    assert await service.user_fields(sub) == {}  # there is nothing to remember


async def test_an_expired_token_that_some_leeway_still_accepts_is_remembered(service: Service) -> None:
    token = service.own_token({"sub": (sub := fresh()), "iat": service.now - 600, "exp": service.now - 59})
    await revoke(service, token)
    assert b"j" in await service.user_fields(sub)


async def test_revoking_again_is_200_and_changes_nothing(service: Service) -> None:
    session = await service.open(sub := fresh())
    for token in (session["access_token"], session["refresh_token"]):
        await revoke(service, token)
        before = await service.user_fields(sub)
        await revoke(service, token)
        assert await service.user_fields(sub) == before
    assert [entry["kind"] for entry in await service.audited(sub)] == ["token_revoked", "session_revoked"]


async def test_a_token_without_jti_cannot_be_revoked_one_by_one(service: Service) -> None:
    token = issued(issuers.NO_JTI, service.now, jti=...)
    answer = await service.client.post("/revoke", data={"token": token})
    assert oauth_error(answer) == (400, "unsupported_token_type")


async def test_a_foreign_issuers_token_can_be_revoked(service: Service) -> None:
    service.advance(2)
    one, other = (issued(issuers.ES, service.now, jti=fresh("jti")) for _ in range(2))
    await revoke(service, one)
    assert await service.reason(one) == "token_revoked"
    assert await service.is_active(other)


async def test_the_same_jti_of_another_issuer_or_in_another_token_is_not_meant(service: Service) -> None:
    service.advance(2)
    jti = fresh("jti")
    await revoke(service, issued(issuers.ES, service.now, jti=jti))
    assert await service.is_active(issued(issuers.NO_JTI, service.now, jti=jti))


async def test_a_token_of_a_lifetime_that_no_check_accepts_needs_no_memory(service: Service) -> None:
    token = service.own_token({"sub": (sub := fresh()), "exp": service.now + 10**6})
    await revoke(service, token)
    assert await service.user_fields(sub) == {}


async def test_what_will_be_good_later_than_the_state_remembers_is_not_acknowledged(service: Service) -> None:
    """Issued ahead of time: refused now, good in an hour, and nobody would know then that it was taken back."""
    session = await service.open(sub := fresh())
    ahead = {"iat": service.now + 3600, "exp": service.now + 4200, "sid": session["session_id"], "sub": sub}
    token = service.own_token(ahead)
    assert await service.reason(token) == "issued_in_future"
    answer = await service.client.post("/revoke", data={"token": token})
    assert oauth_error(answer) == (422, "instant_out_of_range")
    answer = await service.client.post("/revoke", json={"token": token})
    assert problem(answer) == (422, "instant_out_of_range")
    await revoke(service, session["refresh_token"])
    service.advance(3600)
    assert await service.reason(token) == "session_revoked"


async def test_what_is_good_in_a_moment_is_remembered(service: Service) -> None:
    session = await service.open(sub := fresh())
    ahead = {"iat": service.now + 60, "exp": service.now + 660, "sid": session["session_id"], "sub": sub}
    token = service.own_token(ahead)
    await revoke(service, token)
    service.advance(60)
    assert await service.reason(token) == "token_revoked"


async def test_without_a_token_it_is_400(service: Service) -> None:
    for form in ({"token": ""}, {"token_type_hint": "access_token"}):
        assert oauth_error(await service.client.post("/revoke", data=form)) == (400, "invalid_request")


async def test_acknowledged_revocations_are_counted_by_kind_and_cause(service: Service) -> None:
    session = await service.open()
    for token, kind in ((session["access_token"], "token"), (session["refresh_token"], "session")):
        before = service.counted("quash_revocations", kind=kind, cause="logout")
        await revoke(service, token)
        assert service.counted("quash_revocations", kind=kind, cause="logout") == before + 1
