"""Taking back: tokens, sessions, users, keys and issuers; safe to repeat, and never undone."""

import pytest

from quash.ids import jti_id, partition, user_tag
from quash.keyspace import (
    ALL_PARTITIONS,
    Tombstone,
    bucket_key,
    global_key,
    metadata_key,
    sightings_key,
    unpack_revoked,
    user_key,
)
from quash.reasons import Cause
from quash_service.rotation import Ended, Rotated
from quash_service.store import Actor, UserRevoked
from tests.store.stage import ACTOR, ADMIN, HORIZON, IDLE, ISSUER, OTHER, Stage

TAG = user_tag(ISSUER, "bob")
ELSEWHERE = Actor("web", admin=True, issuers=frozenset({OTHER}), request_id="")


async def bump(stage: Stage, **options: object) -> UserRevoked:
    asked = {"iss": ISSUER, "sub": "bob", "cause": Cause.ADMIN, **options}
    return await stage.store.revoke_user(ADMIN, **asked)  # type: ignore[arg-type]  # keyword arguments by name are loose


async def test_ending_a_session_leaves_a_tombstone_of_15_bytes_and_deletes_the_rest(stage: Stage) -> None:
    sid = await stage.open()
    await stage.client.hset(sightings_key(sid), "x", "y")
    assert await stage.store.revoke_session(ADMIN, sid, Cause.LOGOUT)
    assert len((await stage.user())[sid.encode()]) == 15
    assert await stage.session(sid) == Tombstone(stage.now() + IDLE + 65_000, stage.now(), Cause.LOGOUT, 1)
    assert not await stage.client.exists(metadata_key(sid), sightings_key(sid))


async def test_ending_a_session_again_keeps_the_first_cause_and_says_nothing_twice(stage: Stage) -> None:
    sid = await stage.open()
    await stage.store.revoke_session(ADMIN, sid, Cause.LOGOUT)
    stage.clock.advance(5)
    assert await stage.store.revoke_session(ADMIN, sid, Cause.ADMIN)
    stone = await stage.session(sid)
    assert (stone.cause, stone.at) == (Cause.LOGOUT, stage.now() - 5)
    assert len(await stage.feed()) == len(await stage.audit()) == 1


async def test_unknown_and_other_issuers_sessions_are_not_found_and_stay(stage: Stage) -> None:
    sid = await stage.open()
    assert not await stage.store.revoke_session(ADMIN, sid[:-2] + "zz", Cause.LOGOUT)
    assert not await stage.store.revoke_session(ELSEWHERE, sid, Cause.LOGOUT)
    assert isinstance(await stage.rotate(sid, 0), Rotated)


async def test_a_token_goes_to_the_bucket_of_its_minute_and_the_user_remembers_the_latest(stage: Stage) -> None:
    exp, jti16 = stage.now() // 1000 + 100, jti_id(ISSUER, "t1")

    async def revoke(exp: int) -> bool:
        return await stage.store.revoke_token(
            ACTOR, iss=ISSUER, sub="bob", jti="t1", exp=exp, exact=True, cause=Cause.LOGOUT
        )

    assert not await revoke(exp)
    assert await revoke(exp)
    key = bucket_key(TAG, jti16, exp)
    assert await stage.client.hgetall(key) == {jti16: b""}
    assert (await stage.user())[b"j"] == b"%d" % exp
    assert len(await stage.feed()) == len(await stage.audit()) == 1
    assert await stage.client.pttl(key) > 100_000 + 60_000
    assert not await revoke(exp - 60)
    assert (await stage.user())[b"j"] == b"%d" % exp


async def test_a_jti_alone_goes_to_the_users_own_field_and_its_bound_only_grows(stage: Stage) -> None:
    now_s = stage.now() // 1000

    async def revoke(exp: int) -> bool:
        return await stage.store.revoke_token(
            ACTOR, iss=ISSUER, sub="bob", jti="t1", exp=exp, exact=False, cause=Cause.LOGOUT
        )

    field = b"!" + jti_id(ISSUER, "t1")
    assert not await revoke(now_s + 50)
    assert not await revoke(now_s + 70)
    assert await revoke(now_s + 60)
    assert (await stage.user())[field] == b"%d" % (now_s + 70)


async def test_a_bump_is_the_later_of_one_more_and_now_and_never_goes_back(stage: Stage) -> None:
    assert (await bump(stage)).version == stage.now()
    assert (await bump(stage)).version == stage.now() + 1
    stage.clock.advance(-10_000)
    assert (await bump(stage)).version == stage.now() + 10_002


async def test_a_bump_says_whether_the_user_was_on_record(stage: Stage) -> None:
    assert not (await bump(stage)).found
    assert (await bump(stage)).found


async def test_a_bump_ends_all_sessions_but_the_kept_ones_that_were_alive(stage: Stage) -> None:
    kept, gone, dead = [await stage.open() for _ in range(3)]
    foreign = await stage.open("alice")
    await stage.store.revoke_session(ADMIN, dead, Cause.LOGOUT)
    done = await bump(stage, cause=Cause.PASSWORD_CHANGE, keep=(kept, dead, foreign, kept, "nonsense", "v"))
    assert done.kept == (kept,)
    assert isinstance(await stage.rotate(kept, 0), Rotated)
    assert await stage.rotate(gone, 0) == Ended("password_change")
    assert await stage.rotate(dead, 0) == Ended("logout")
    assert isinstance(await stage.rotate(foreign, 0), Rotated)


async def test_a_superseded_or_expired_session_cannot_be_kept(stage: Stage) -> None:
    old = await stage.open()
    await bump(stage)
    assert (await bump(stage, keep=(old,))).kept == ()
    idle = await stage.open()
    stage.clock.advance(IDLE)
    assert (await bump(stage, keep=(idle,))).kept == ()


async def test_access_only_keeps_every_live_session_and_no_other(stage: Stage) -> None:
    live = [await stage.open() for _ in range(2)]
    dead = await stage.open()
    await stage.store.revoke_session(ADMIN, dead, Cause.LOGOUT)
    done = await bump(stage, access_only=True, cause=Cause.PERMISSIONS_CHANGED)
    assert sorted(done.kept) == sorted(live)
    for sid in live:
        assert (await stage.session(sid)).version == done.version


async def test_a_resent_bump_bumps_once_and_answers_alike(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    sid = await stage.open()
    operations = iter([b"op-one-1", b"nonce---", b"op-one-1", b"nonce---"])
    monkeypatch.setattr(stage.runner, "random_bytes", lambda _: next(operations))
    first = await bump(stage, keep=(sid,))
    stage.clock.advance(1_000)
    assert await bump(stage, keep=(sid,)) == first
    assert int((await stage.user())[b"v"][:-1]) == first.version
    assert len(await stage.feed()) == 1


async def test_remembered_operations_are_of_the_last_minute_and_at_most_8(stage: Stage) -> None:
    for _ in range(12):
        stage.clock.advance(1)
        await bump(stage)
    assert len((await stage.user())[b"o"]) == 8 * 15
    stage.clock.advance(60_001)
    await bump(stage)
    assert len((await stage.user())[b"o"]) == 15


async def test_a_users_record_outlives_every_token_that_the_bump_must_refuse(stage: Stage) -> None:
    await bump(stage)
    left = await stage.client.pttl(user_key(TAG))
    assert left > HORIZON


async def test_a_key_is_revoked_in_every_partition_once_and_for_ever(stage: Stage) -> None:
    revoke = stage.store.revoke_key
    assert not await revoke(ADMIN, iss=ISSUER, tag="k" * 16, kid="kid-1", cause=Cause.COMPROMISED)
    stage.clock.advance(5_000)
    assert await revoke(ADMIN, iss=ISSUER, tag="k" * 16, kid="kid-1", cause=Cause.COMPROMISED)
    for part in ALL_PARTITIONS:
        packed = await stage.client.hget(global_key(part), "r")
        assert unpack_revoked(packed) == ({"k" * 16: stage.now() - 5_000}, {})
    audits = [await stage.client.xlen(global_key(part)[:-1] + "a") for part in ALL_PARTITIONS]
    assert sum(audits) == 1


async def test_an_issuers_instant_only_grows(stage: Stage) -> None:
    async def revoke(before_ms: int) -> bool:
        return await stage.store.revoke_issuer(ADMIN, iss=ISSUER, before_ms=before_ms, cause=Cause.COMPROMISED)

    now = stage.now()
    assert not await revoke(now - 5_000)
    assert not await revoke(now)
    assert await revoke(now - 1)
    await stage.store.revoke_key(ADMIN, iss=ISSUER, tag="k" * 16, kid="kid-1", cause=Cause.COMPROMISED)
    packed = await stage.client.hget(global_key(partition(TAG)), "r")
    ((_, instant),) = unpack_revoked(packed)[1].items()
    assert instant == now
