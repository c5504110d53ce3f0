"""Fresh authentications: logins that race a revocation, and stepping up."""

from typing import Any

import pytest

from tests.http.support import Service, claims_of, fresh, problem

pytestmark = pytest.mark.asyncio(loop_scope="module")

SUPERSEDED = (409, "authentication_superseded")


async def step_up(service: Service, sid: str, **body: Any) -> Any:
    return await service.client.post(f"/sessions/{sid}/step-up", json=body)


@pytest.mark.parametrize("before_s", [100, 1, 0])
async def test_a_login_whose_credential_was_checked_by_the_second_of_the_bump_is_superseded(
    service: Service, before_s: int
) -> None:
    await service.revoke(sub=(sub := fresh()), cause="password_change")
    body = {"sub": sub, "auth_time": service.now - before_s}
    assert problem(await service.client.post("/sessions", json=body)) == SUPERSEDED


async def test_a_credential_checked_in_the_second_after_the_bump_opens_a_session(service: Service) -> None:
    await service.revoke(sub=(sub := fresh()))
    service.advance(1)
    session = await service.open(sub, auth_time=service.now)
    assert await service.is_active(session["access_token"])
    assert claims_of(session["access_token"])["auth_time"] == service.now


async def test_a_login_that_read_another_version_is_superseded(service: Service) -> None:
    version = (await service.open(sub := fresh()))["version"]
    assert (await service.open(sub, if_version=version))["version"] == version
    bumped = (await service.revoke(sub=sub))["version"]
    body = {"sub": sub, "if_version": version}
    assert problem(await service.client.post("/sessions", json=body)) == SUPERSEDED
    assert (await service.open(sub, if_version=bumped))["version"] == bumped


async def test_a_plain_login_in_the_same_second_as_the_bump_works(service: Service) -> None:
    await service.revoke(sub=(sub := fresh()))
    session = await service.open(sub)
    assert await service.is_active(session["access_token"])
    assert claims_of(session["access_token"])["auth_time"] == service.now


async def test_an_authentication_in_the_future_is_refused(service: Service) -> None:
    sid = (await service.open())["session_id"]
    for ahead in (10, service.now * 999):
        body = {"auth_time": service.now + ahead}
        refusal = (422, "instant_out_of_range")
        assert problem(await service.client.post("/sessions", json={"sub": "a", **body})) == refusal
        assert problem(await step_up(service, sid, **body)) == refusal


async def test_a_step_up_returns_an_access_token_that_carries_it(service: Service) -> None:
    sub = fresh()
    session = await service.open(sub, scope="read", acr="pwd", amr=["pwd"])
    service.advance(100)
    answer = await step_up(service, session["session_id"], acr="mfa", amr=["pwd", "otp"])
    document = answer.json()
    assert set(document) == {"session_id", "version", "access_token", "token_type", "expires_in"}
    token = claims_of(document["access_token"])
    assert (token["acr"], token["amr"], token["auth_time"]) == ("mfa", ["pwd", "otp"], service.now)
    assert (token["sub"], token["sid"], token["scope"]) == (sub, session["session_id"], "read")
    assert await service.is_active(document["access_token"])
    assert [entry["kind"] for entry in await service.audited(session["session_id"])] == ["step_up"]


async def test_the_sessions_later_tokens_carry_it_too_and_the_refresh_token_stays(service: Service) -> None:
    session = await service.open()
    service.advance(100)
    await step_up(service, session["session_id"], acr="mfa", auth_time=service.now - 10)
    token = claims_of((await service.refreshed(session["refresh_token"]))["access_token"])
    assert (token["acr"], token["auth_time"]) == ("mfa", service.now - 10)


async def test_a_step_up_without_a_class_claims_none(service: Service) -> None:
    session = await service.open(acr="mfa", amr=["pwd", "otp"])
    document = (await step_up(service, session["session_id"])).json()
    assert not {"acr", "amr"} & set(claims_of(document["access_token"]))
    shown = (await service.client.get(f"/sessions/{session['session_id']}")).json()
    assert not {"acr", "amr"} & set(shown)


async def test_a_step_up_checked_by_the_second_of_the_bump_is_superseded(service: Service) -> None:
    kept = (await service.open(sub := fresh()))["session_id"]
    version = (await service.revoke(sub=sub, keep=kept))["version"]
    assert problem(await step_up(service, kept, auth_time=service.now)) == SUPERSEDED
    assert problem(await step_up(service, kept, if_version=version - 1)) == SUPERSEDED
    assert (await step_up(service, kept, if_version=version)).status_code == 200
    service.advance(1)
    assert (await step_up(service, kept, auth_time=service.now)).status_code == 200


async def test_a_session_that_is_over_cannot_be_stepped_up(service: Service) -> None:
    session = await service.open(sub := fresh())
    await service.revoke(sub=sub)
    assert problem(await step_up(service, session["session_id"])) == (409, "session_ended")
    other = await service.open()
    await service.revoke(session_id=other["session_id"])
    assert problem(await step_up(service, other["session_id"])) == (409, "session_ended")


async def test_a_body_of_another_form_is_422(service: Service) -> None:
    sid = (await service.open())["session_id"]
    for body in ({"acr": ""}, {"amr": "pwd"}, {"amr": ["a b"]}, {"auth_time": "1"}, {"acrs": "mfa"}):
        assert problem(await step_up(service, sid, **body)) == (422, "invalid_body")
