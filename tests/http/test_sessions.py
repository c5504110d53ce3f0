"""`/sessions`: how many there are, listing and ending."""

from typing import Any

import pytest

from quash.ids import user_tag
from quash.keyspace import quiet_key
from tests.http.support import ISSUER, Service, fresh, problem, unopened

pytestmark = pytest.mark.asyncio(loop_scope="module")

MAX_SESSIONS = 3
OPENS = 10


@pytest.fixture(scope="module")
def options() -> dict[str, Any]:
    return {"max_sessions": MAX_SESSIONS, "opens_per_minute": OPENS}


async def live(service: Service, sub: str) -> list[str]:
    """Return the ids of a user's live sessions, as listed."""
    answer = await service.client.get("/sessions", params={"sub": sub})
    assert answer.status_code == 200
    return [one["session_id"] for one in answer.json()["sessions"]]


@pytest.mark.parametrize("sub", ["x" * 255, "ü@例え.jp", "👩\u200d🚀", "a b", "a/b?c&d=e", "qrt_", "%00", "a\u00a0b"])
async def test_any_subject_can_log_in_be_listed_and_be_signed_out(service: Service, sub: str) -> None:
    session = await service.open(sub)
    assert (await service.introspect(session["access_token"]))["sub"] == sub
    assert await live(service, sub) == [session["session_id"]]
    answer = await service.client.delete("/sessions", params={"sub": sub})
    assert (answer.json()["sub"], answer.json()["found"]) == (sub, True)
    assert not await service.is_active(session["access_token"])


async def test_a_user_opens_so_many_sessions_a_minute_and_others_are_not_touched(service: Service) -> None:
    sub = fresh()
    for _ in range(OPENS):
        await service.open(sub)
    answer = await service.client.post("/sessions", json={"sub": sub})
    assert problem(answer) == (429, "too_many_sessions")
    assert answer.headers["retry-after"] == "60"
    assert (await service.open())["session_id"]


async def test_the_least_recently_used_session_makes_room_for_a_new_one(service: Service) -> None:
    sub, sessions = fresh(), []
    for _ in range(MAX_SESSIONS):
        service.advance(1)
        sessions.append(await service.open(sub))
    service.advance(1)
    await service.refreshed(sessions[0]["refresh_token"])
    newest = await service.open(sub)
    used = [newest, sessions[0], sessions[2]]
    assert sorted(await live(service, sub)) == sorted(one["session_id"] for one in used)
    assert await service.reason(sessions[1]["access_token"]) == "session_revoked"
    (entry,) = await service.audited(sessions[1]["session_id"])
    assert (entry["kind"], entry["cause"]) == ("session_revoked", "evicted")


async def test_what_one_user_leaves_in_the_state_is_bounded(service: Service) -> None:
    sub, bound = fresh(), MAX_SESSIONS + 64
    sids = []
    for _ in range(bound + 20):
        await service.redis.delete(quiet_key(user_tag(ISSUER, sub)))  # the limit is a minute of the engine's own
        sids.append((await service.open(sub))["session_id"])
        await service.revoke(session_id=sids[-1])
    fields = [name.decode() for name in await service.user_fields(sub) if len(name) == 38]
    assert len(fields) == bound
    assert set(sids[:19]).isdisjoint(fields)  # the oldest went
    assert sids[-1] in fields


async def test_sessions_are_listed_the_most_recently_used_first(service: Service) -> None:
    sub = fresh()
    stated: dict[str, Any] = {
        "ip": "2001:db8::1",
        "user_agent": "phone/1",
        "device": "Ann's phone",
        "scope": "a",
        "audience": "x",
    }
    first = await service.open(sub, acr="mfa", amr=["pwd"], client_id="shop", **stated)
    opened_at = service.now
    service.advance(5)
    second = await service.open(sub)
    assert await live(service, sub) == [second["session_id"], first["session_id"]]
    service.advance(5)
    await service.refreshed(first["refresh_token"], user_agent="phone/2", ip="2001:db8::2")
    answer = await service.client.get("/sessions", params={"sub": sub, "iss": ISSUER})
    found = answer.json()["sessions"][0]
    assert found == {
        "session_id": first["session_id"],
        "iss": ISSUER,
        "sub": sub,
        "created_at": opened_at,
        "last_used_at": service.now,
        "idle_expires_at": service.now + 30 * 86400,
        "expires_at": opened_at + 90 * 86400,
        "version": 0,
        "caller": "admin",
        "client_id": "shop",
        "scope": "a",
        "acr": "mfa",
        "ip": "2001:db8::2",
        "user_agent": "phone/2",
        "device": "Ann's phone",
        "amr": ["pwd"],
        "audience": ["x"],
        "auth_time": opened_at,
    }
    assert (await service.client.get(f"/sessions/{first['session_id']}")).json() == found


async def test_ended_sessions_are_not_listed(service: Service) -> None:
    session = await service.open(sub := fresh())
    await service.revoke(sub=sub)
    assert await live(service, sub) == []
    answer = await service.client.get(f"/sessions/{session['session_id']}")
    assert problem(answer) == (404, "session_unknown")
    assert await live(service, fresh()) == []


@pytest.mark.parametrize(
    "sid", [unopened("nobody"), "s", "x" * 300, "ü", "%2e%2e"], ids=["one", "short", "long", "accent", "dots"]
)
async def test_an_unknown_session_is_404_to_show_and_not_found_to_delete(service: Service, sid: str) -> None:
    assert problem(await service.client.get(f"/sessions/{sid}")) == (404, "session_unknown")
    assert problem(await service.client.post(f"/sessions/{sid}/step-up", json={})) == (404, "session_unknown")
    answer = await service.client.delete(f"/sessions/{sid}")
    assert (answer.status_code, answer.json()["found"]) == (200, False)


async def test_deleting_one_session_ends_it_with_the_cause_stated(service: Service) -> None:
    for query, cause in (({}, "logout"), ({"cause": "detection"}, "detection")):
        sid = (await service.open())["session_id"]
        answer = await service.client.delete(f"/sessions/{sid}", params=query)
        assert answer.json() == {"revoked": "session", "session_id": sid, "found": True, "at": service.now}
        assert [entry["cause"] for entry in await service.audited(sid)] == [cause]


async def test_deleting_a_users_sessions_revokes_all_of_the_user_but_what_is_kept(service: Service) -> None:
    kept, other = await service.open(sub := fresh()), await service.open(sub)
    query = {"sub": sub, "keep": kept["session_id"], "cause": "password_change"}
    answer = await service.client.delete("/sessions", params=query)
    assert (answer.json()["revoked"], answer.json()["kept"]) == ("user", [kept["session_id"]])
    assert await live(service, sub) == [kept["session_id"]]
    assert not await service.is_active(other["refresh_token"])
    assert [entry["cause"] for entry in await service.audited(sub)] == ["password_change"]


async def test_deleting_sessions_without_saying_whose_is_400(service: Service) -> None:
    for query in ({}, {"sub": ""}):
        assert problem(await service.client.delete("/sessions", params=query)) == (400, "invalid_request")
    answer = await service.client.delete("/sessions", params={"sub": "a", "cause": "because"})
    assert problem(answer) == (422, "invalid_parameter")


@pytest.mark.parametrize(
    "query", ["&kepp=x", "&access_only=true", "&issuer=x", "&sub=other", "&cause=logout&cause=admin"]
)
async def test_a_mistyped_or_repeated_parameter_ends_nothing(service: Service, query: str) -> None:
    await service.open(sub := fresh())
    answer = await service.client.delete(f"/sessions?sub={sub}{query}")
    assert problem(answer) == (422, "invalid_parameter")
    assert problem(await service.client.get(f"/sessions?sub={sub}{query}")) == (422, "invalid_parameter")
    assert len(await live(service, sub)) == 1


async def test_claims_that_json_cannot_hold_are_refused(service: Service) -> None:
    body = b'{"sub": "s", "claims": {"x": NaN}}'
    answer = await service.client.post("/sessions", content=body, headers={"content-type": "application/json"})
    assert problem(answer) == (422, "invalid_body")
