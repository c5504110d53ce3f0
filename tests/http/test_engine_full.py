"""The engine's memory is full: revoking works, opening and refreshing say why they do not."""

import pytest

from tests.http.support import ISSUER, Service, claims_of, fresh, oauth_error, problem

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_full_engine_refuses_new_sessions_and_still_revokes(service: Service) -> None:
    token, session, user, jti, form = [await service.open(fresh("full")) for _ in range(5)]
    kid = service.parts.keyring.signer().kid
    await service.redis.config_set("maxmemory", "1")
    try:
        answer = await service.client.post("/sessions", json={"sub": "another"})
        assert problem(answer) == (503, "state_full")
        assert "revoking works" in answer.json()["detail"]
        assert oauth_error(await service.refresh(user["refresh_token"])) == (503, "temporarily_unavailable")
        assert await service.is_active(user["access_token"])

        revoked = claims_of(jti["access_token"])
        assert (await service.revoke(token=token["access_token"]))["found"]
        assert (await service.revoke(session_id=session["session_id"]))["found"]
        assert (await service.revoke(sub=claims_of(user["access_token"])["sub"]))["found"]
        assert (await service.revoke(jti=revoked["jti"], sub=revoked["sub"], exp=revoked["exp"]))["found"]
        assert (await service.client.post("/revoke", data={"token": form["refresh_token"]})).status_code == 200
        for ended in (token, session, user, jti, form):
            assert not await service.is_active(ended["access_token"])
        assert (await service.revoke(kid=kid))["found"]
        assert (await service.revoke(issuer=ISSUER))["found"]
    finally:
        await service.redis.config_set("maxmemory", "0")
    service.advance(1)
    assert await service.is_active((await service.open())["access_token"])
    assert service.counted("quash_engine_errors", kind="full") == 2
