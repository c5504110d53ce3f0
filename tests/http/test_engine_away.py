"""The engine is away: 503 and nothing else, never "inactive" and never "who are you"."""

import time

import pytest

from quash_service.callers import MAX_AGE_MS
from tests.engines import RunningEngine
from tests.http.support import Service, fresh, oauth_error, problem

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_without_its_engine_the_service_says_so_and_recovers_by_itself(
    service: Service, engine: RunningEngine
) -> None:
    session = await service.open(sub := fresh())
    sid, access, token = session["session_id"], session["access_token"], session["refresh_token"]
    client = await service.caller("introspect", "revoke", "sessions")
    assert (await client.get("/sessions", params={"sub": sub})).status_code == 200
    engine.kill()

    for path, form in (
        ("/introspect", {"token": access}),
        ("/introspect", {"token": token}),
        ("/token", {"grant_type": "refresh_token", "refresh_token": token}),
        ("/revoke", {"token": access}),
        ("/revoke", {"token": token}),
    ):
        started = time.monotonic()
        answer = await client.post(path, data=form)
        assert oauth_error(answer) == (503, "temporarily_unavailable")
        assert answer.headers["retry-after"] == "1"
        assert time.monotonic() - started < 5  # it gives up; how fast is for the fault tests to say

    unavailable = (503, "unavailable")
    for method, path, body in (
        ("POST", "/introspect/batch", {"tokens": [access, token]}),
        ("POST", "/revoke", {"sub": sub}),
        ("POST", "/sessions", {"sub": sub}),
        ("POST", f"/sessions/{sid}/step-up", {}),
        ("GET", f"/sessions?sub={sub}", None),
        ("GET", f"/sessions/{sid}", None),
        ("DELETE", f"/sessions/{sid}", None),
        ("DELETE", f"/sessions?sub={sub}", None),
        ("GET", "/readyz", None),
    ):
        answer = await client.request(method, path, json=body)
        assert problem(answer) == unavailable, (method, path)
        assert answer.headers["retry-after"] == "1"
    forward = await service.http().get("/forward-auth", headers={"authorization": f"Bearer {access}"})
    assert problem(forward) == unavailable

    assert (await client.get("/healthz")).json() == {"status": "ok"}
    assert (await client.get("/.well-known/jwks.json")).status_code == 200
    assert "quash_engine_errors_total" in (await client.get("/metrics")).text

    # What needs no state is refused as ever, also in a batch with what does.
    assert (await client.post("/introspect", data={"token": "junk"})).json() == {"active": False}
    answer = await client.post("/introspect/batch", json={"tokens": [access, "junk"]})
    assert answer.json()["results"] == [
        {"active": False, "verdict": "unavailable", "reason": "unavailable"},
        {"active": False, "verdict": "revoked", "reason": "malformed"},
    ]

    # Callers that cannot be read are not unknown callers.
    service.advance(MAX_AGE_MS / 1000)
    assert oauth_error(await client.post("/introspect", data={"token": access})) == (503, "temporarily_unavailable")
    assert problem(await service.client.get("/sessions?sub=a")) == unavailable

    engine.restart()  # with nothing on disk: the state is born again
    await service.parts.pulse()
    assert problem(await service.client.get("/readyz")) == unavailable
    service.advance(1)
    assert (await service.client.get("/readyz")).status_code == 200
    assert await service.reason(access) == "store_reborn"
    assert oauth_error(await service.refresh(token)) == (400, "invalid_grant")
    assert await service.is_active((await service.open())["access_token"])
