"""Whatever a damaged state holds: never an active verdict by it, never a crash; 503, and nobody else's problem."""

from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quash.errors import Unavailable
from quash.ids import partition, user_tag
from quash.keyspace import CALLERS, Tombstone, global_key, metadata_key, unpack_session, unpack_version, user_key
from quash_service.callers import MAX_AGE_MS
from tests.fuzz.mutations import mutated
from tests.fuzz.records import METADATA, RECORD, REVOKED, TOMBSTONE
from tests.http.support import ISSUER, SECRET, Service, fresh

pytestmark = pytest.mark.asyncio(loop_scope="module")

BROKEN_SESSIONS = (b"", b"S", RECORD[:-1], RECORD + b"0", b"X" + RECORD[1:], TOMBSTONE[:-1], b"T" + RECORD[1:])
BROKEN_VERSIONS = (b"", b"o", b"5", b"-5o", b"5z", b" 5o", b"1_0o", b"9" * 20 + b"o", b"\xff5o")
BROKEN_REVOCATIONS = (REVOKED[:-1], REVOKED + b"k", b"x" + REVOKED[1:], b"k\xff" + REVOKED[2:])


async def asked_of_all(service: Service, session: dict[str, Any], sub: str) -> dict[str, int]:
    """Ask every route that reads or writes a session; return the statuses."""
    sid, access, refresh = session["session_id"], session["access_token"], session["refresh_token"]
    call = service.client
    bearer = {"authorization": f"Bearer {access}"}
    answers = {
        "introspect": await call.post("/introspect", data={"token": access}),
        "introspect refresh": await call.post("/introspect", data={"token": refresh}),
        "forward auth": await service.http().get("/forward-auth", headers=bearer),
        "show": await call.get(f"/sessions/{sid}"),
        "list": await call.get("/sessions", params={"sub": sub}),
        "step up": await call.post(f"/sessions/{sid}/step-up", json={}),
        "refresh": await service.refresh(refresh),
        "open": await call.post("/sessions", json={"sub": sub}),
        "end": await call.delete(f"/sessions/{sid}"),
        "sign out but": await call.post("/revoke", json={"sub": sub, "keep": [sid]}),
        "sign out": await call.delete("/sessions", params={"sub": sub}),
    }
    return {name: answer.status_code for name, answer in answers.items()}


@pytest.mark.parametrize("broken", BROKEN_SESSIONS)
async def test_a_broken_session_is_unavailable_and_its_user_can_still_be_signed_out(
    service: Service, broken: bytes
) -> None:
    session, other = await service.open(sub := fresh()), await service.open()
    await service.redis.hset(user_key(user_tag(ISSUER, sub)), session["session_id"], broken)
    statuses = await asked_of_all(service, session, sub)
    assert statuses.pop("sign out") == 200
    assert set(statuses.values()) == {503}, statuses
    batch = {"tokens": [session["access_token"], other["access_token"], session["refresh_token"]]}
    results = (await service.client.post("/introspect/batch", json=batch)).json()["results"]
    assert [one["verdict"] for one in results] == ["unavailable", "active", "unavailable"]


@pytest.mark.parametrize("broken", BROKEN_VERSIONS)
async def test_a_broken_version_is_unavailable(service: Service, broken: bytes) -> None:
    session = await service.open(sub := fresh())
    await service.redis.hset(user_key(user_tag(ISSUER, sub)), "v", broken)
    statuses = await asked_of_all(service, session, sub)
    reading = ("introspect", "introspect refresh", "forward auth", "show", "list")
    assert {name: statuses[name] for name in reading} == dict.fromkeys(reading, 503)
    assert set(statuses.values()) == {503}


@pytest.mark.parametrize("broken", [b"", b"x", b"-1", b"1.5", b"\xff"])
async def test_a_broken_latest_expiry_is_unavailable(service: Service, broken: bytes) -> None:
    """`j` says whether the blacklist must be looked at; an unreadable one must not say no."""
    session = await service.open(sub := fresh())
    await service.revoke(token=session["access_token"])
    await service.redis.hset(user_key(user_tag(ISSUER, sub)), "j", broken)
    answer = await service.client.post("/introspect", data={"token": session["access_token"]})
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")


@pytest.mark.parametrize("broken", BROKEN_REVOCATIONS)
@pytest.mark.parametrize("field", ["r", "born", "since"])
async def test_broken_facts_of_a_partition_are_unavailable_there_and_only_there(
    service: Service, broken: bytes, field: str
) -> None:
    session, other = await service.open(sub := fresh()), await service.open()
    while partition(other["session_id"]) == partition(session["session_id"]):
        other = await service.open()
    key = global_key(partition(user_tag(ISSUER, sub)))
    whole = await service.redis.hget(key, field)
    await service.redis.hset(key, field, broken)
    try:
        for token in (session["access_token"], session["refresh_token"]):
            assert (await service.client.post("/introspect", data={"token": token})).status_code == 503
        assert await service.is_active(other["access_token"])
        assert (await service.client.get("/sessions", params={"sub": sub})).status_code == 503
        if field != "born":  # scripts ask for it; what is read for a lost partition are the others
            with pytest.raises(Unavailable):
                await service.parts.pulse()
    finally:
        await (service.redis.hset(key, field, whole) if whole is not None else service.redis.hdel(key, field))
    assert await service.is_active(session["access_token"])


@pytest.mark.parametrize(
    "change", [{"iss": None}, {"sub": None}, {"caller": None}, {"sub": b"\xff"}, {"claims": b"{"}, {"auth_time": b"x"}]
)
async def test_metadata_that_does_not_say_whose_session_it_is_is_unavailable_or_unknown(
    service: Service, change: dict[str, bytes | None]
) -> None:
    session = await service.open(sub := fresh(), claims={"a": 1})
    key = metadata_key(session["session_id"])
    for name, value in change.items():
        await (service.redis.hset(key, name, value) if value is not None else service.redis.hdel(key, name))
    statuses = await asked_of_all(service, session, sub)
    assert 500 not in statuses.values()
    assert statuses["show"] == statuses["list"] == 503
    assert statuses["refresh"] in ({400, 503} if "auth_time" not in change else {200})  # the step-up mended it
    assert statuses["sign out"] == 200


async def test_a_broken_caller_locks_out_itself_only(service: Service) -> None:
    client = await service.caller("introspect", name=(name := fresh("broken")))
    for broken in (b"", b"{", b"[" * 100_000, b'{"secret": 1}', b"\xff"):
        await service.redis.hset(CALLERS, name, broken)
        service.advance(MAX_AGE_MS / 1000)
        assert (await client.post("/introspect", data={"token": "t"})).status_code == 401
        assert (await service.client.post("/introspect", data={"token": "t"})).status_code == 200


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(random=st.randoms(use_true_random=True))
async def test_any_damage_is_answered_and_makes_nothing_active(service: Service, random: Random) -> None:
    session = await service.open(sub := fresh())
    sid, user = session["session_id"], user_key(user_tag(ISSUER, sub))
    record: Any = await service.redis.hget(user, sid)
    stored = mutated(random, (record, TOMBSTONE))
    version = mutated(random, (b"0o", b"5p"))
    await service.redis.hset(user, mapping={sid: stored, "v": version, "j": mutated(random, (b"0", b"1900000000"))})
    parts = mutated(random, (METADATA,)).split(b"\n")
    await service.redis.hset(metadata_key(sid), mapping=dict(zip(parts[::2], parts[1::2], strict=False)) or {b"a": b""})
    answer = await service.client.post("/introspect", data={"token": session["access_token"]})
    assert answer.status_code in {200, 503}
    if answer.status_code == 200 and answer.json()["active"]:
        assert not isinstance(unpack_session(stored), Tombstone)
        assert unpack_version(version)[0] == 0
    assert 500 not in (await asked_of_all(service, session, sub)).values()


async def test_a_callers_secret_is_none_of_the_damage(service: Service) -> None:
    """What the log says of a broken record is its caller's name, never its text."""
    await service.caller("introspect", name=(name := fresh("loud")))
    await service.redis.hset(CALLERS, name, f'{{"secret": "{SECRET}"')
    service.advance(MAX_AGE_MS / 1000)
    assert (await service.client.post("/introspect", data={"token": "t"})).status_code == 200
