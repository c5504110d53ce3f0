"""Opening sessions: bounded, evicting, safe against a racing revocation, idempotent."""

import os
from dataclasses import replace

import pytest

from quash.ids import new_session_id, user_tag
from quash.keyspace import Record, Tombstone, metadata_key, quiet_key
from quash.reasons import Cause
from quash_service.rotation import Absent, Ended, Rotated, SteppedUp, Superseded
from quash_service.store import Actor, Opened, OpenLimited, OpenRevoked
from tests.store.stage import ABSOLUTE, ACTOR, ADMIN, HORIZON, IDLE, ISSUER, OTHER, Stage

TAG = user_tag(ISSUER, "bob")
EXTRA = 65_000


def fresh() -> str:
    return new_session_id(TAG, os.urandom)


async def test_an_opened_session_is_a_record_of_39_bytes_and_metadata_with_an_end(stage: Stage) -> None:
    sid = await stage.open()
    packed = (await stage.user())[sid.encode()]
    assert len(packed) == 39
    record = await stage.session(sid)
    now = stage.now()
    assert record == Record(0, 0, now, now, now + IDLE, now + ABSOLUTE, "a", "-", 1, "0")
    assert await stage.client.pttl(metadata_key(sid)) > IDLE


async def test_a_resent_opening_opens_nothing_twice(stage: Stage) -> None:
    sid = fresh()
    first = await stage.open_as(sid)
    stage.clock.advance(5)
    assert await stage.open_as(sid) == first
    assert len(await stage.listing.sessions(ACTOR, ISSUER, "bob")) == 1


async def test_an_opening_resent_after_its_session_was_revoked_does_not_resurrect_it(stage: Stage) -> None:
    sid = await stage.open()
    await stage.store.revoke_session(ADMIN, sid, Cause.LOGOUT)
    assert await stage.open_as(sid) == OpenRevoked()
    assert isinstance(await stage.session(sid), Tombstone)


async def test_the_least_recently_used_session_of_a_full_house_goes(stage: Stage) -> None:
    sids = []
    for _ in range(3):
        sids.append(await stage.open())
        stage.clock.advance(1)
    await stage.rotate(sids[0], 0)
    await stage.open()
    assert await stage.rotate(sids[1], 0) == Ended("evicted")
    assert not await stage.client.exists(metadata_key(sids[1]))
    assert isinstance(await stage.rotate(sids[0], 1), Rotated)
    assert isinstance(await stage.rotate(sids[2], 0), Rotated)


async def test_a_lowered_limit_evicts_one_by_one_until_it_holds(stage: Stage) -> None:
    for _ in range(3):
        await stage.open()
        stage.clock.advance(1)
    strict = Stage(stage.client, stage.clock, limits=replace(stage.limits, max_sessions=1))
    strict.issuers.index = stage.issuers.index
    await strict.open()
    assert len(await strict.listing.sessions(ACTOR, ISSUER, "bob")) == 1


async def test_ended_sessions_do_not_count_for_the_limit(stage: Stage) -> None:
    for _ in range(3):
        await stage.open()
    await stage.store.revoke_user(ADMIN, iss=ISSUER, sub="bob", cause=Cause.ADMIN)
    stage.clock.advance(1)
    sids = [await stage.open() for _ in range(3)]
    for sid in sids:
        assert isinstance(await stage.rotate(sid, 0), Rotated)


async def test_session_fields_of_a_user_are_bounded_and_the_oldest_ends_are_forgotten(stage: Stage) -> None:
    first = await stage.open()
    for _ in range(3 + 64 + 10):
        stage.clock.advance(1)
        await stage.open()
    fields = [name for name in await stage.user() if len(name) == 38]
    assert len(fields) == 3 + 64
    assert await stage.rotate(first, 0) == Absent()


async def test_what_is_past_its_end_is_pruned_and_nothing_earlier(stage: Stage) -> None:
    sid = await stage.open()
    await stage.store.revoke_session(ADMIN, sid, Cause.LOGOUT)
    await stage.store.revoke_token(
        ACTOR, iss=ISSUER, sub="bob", jti="x", exp=stage.now() // 1000 + 60, exact=False, cause=Cause.LOGOUT
    )
    stage.clock.advance(max(IDLE, HORIZON) + EXTRA - 1)
    await stage.open()
    assert sid.encode() in await stage.user()
    stage.clock.advance(1)
    await stage.open()
    assert sid.encode() not in await stage.user()
    assert not [name for name in await stage.user() if name.startswith(b"!")]


async def test_opening_is_limited_per_user_and_minute(stage: Stage) -> None:
    strict = Stage(stage.client, stage.clock, limits=replace(stage.limits, max_opens=2))
    strict.issuers.index = stage.issuers.index
    await strict.open()
    await strict.open()
    assert await strict.open_as(fresh()) == OpenLimited()
    assert 0 < await stage.client.pttl(quiet_key(TAG)) <= 60_000
    await strict.open("somebody else")


@pytest.mark.parametrize(("seconds", "good"), [(-1, False), (0, False), (1, True)])
async def test_a_login_checked_at_or_before_the_second_of_the_version_is_superseded(
    stage: Stage, seconds: int, good: bool
) -> None:
    stage.clock.advance(500)
    done = await stage.store.revoke_user(ADMIN, iss=ISSUER, sub="bob", cause=Cause.PASSWORD_CHANGE)
    opened = await stage.open_as(fresh(), auth_time=done.version // 1000 + seconds)
    assert isinstance(opened, Opened if good else Superseded)


async def test_a_login_that_states_no_auth_time_works_in_the_same_second(stage: Stage) -> None:
    await stage.store.revoke_user(ADMIN, iss=ISSUER, sub="bob", cause=Cause.PASSWORD_CHANGE)
    assert isinstance(await stage.open_as(fresh()), Opened)


async def test_another_version_than_the_stated_one_supersedes(stage: Stage) -> None:
    assert isinstance(await stage.open_as(fresh(), if_version=0), Opened)
    done = await stage.store.revoke_user(ADMIN, iss=ISSUER, sub="bob", cause=Cause.ADMIN)
    assert await stage.open_as(fresh(), if_version=0) == Superseded()
    assert isinstance(await stage.open_as(fresh(), if_version=done.version), Opened)


async def test_step_up_records_the_authentication_and_judges_it_like_a_login(stage: Stage) -> None:
    sid = await stage.open()

    async def step_up(actor: Actor = ACTOR, **changes: object) -> object:
        asked = {"acr": "2", "amr": "otp", "auth_time": stage.now() // 1000, "stated": True, "if_version": None}
        return await stage.store.step_up(actor, sid, **{**asked, **changes})  # type: ignore[arg-type]  # keyword arguments by name are loose

    done = await step_up()
    assert isinstance(done, SteppedUp)
    assert (done.session.fields["acr"], done.session.fields["amr"]) == ("2", "otp")
    bump = await stage.store.revoke_user(ADMIN, iss=ISSUER, sub="bob", cause=Cause.PASSWORD_CHANGE, keep=(sid,))
    assert await step_up() == Superseded()
    assert isinstance(await step_up(stated=False), SteppedUp)
    assert await step_up(stated=False, if_version=0) == Superseded()
    assert isinstance(await step_up(stated=False, if_version=bump.version), SteppedUp)
    assert await step_up(Actor("stranger", admin=False, issuers=None, request_id="")) == Absent()
    assert await step_up(Actor("web", admin=True, issuers=frozenset({OTHER}), request_id="")) == Absent()
    await stage.client.delete(metadata_key(sid))
    assert await step_up() == Ended("other")
    assert await step_up() == Ended("other")


async def test_sessions_are_listed_live_ones_only_and_only_to_whom_they_concern(stage: Stage) -> None:
    first, second = await stage.open(), await stage.open()
    stage.clock.advance(5)
    await stage.rotate(first, 0)
    views = await stage.listing.sessions(ACTOR, ISSUER, "bob")
    assert [view.sid for view in views] == [first, second]
    elsewhere = Actor("web", admin=True, issuers=frozenset({OTHER}), request_id="")
    assert await stage.listing.sessions(elsewhere, ISSUER, "bob") == []
    assert await stage.listing.session(elsewhere, first) is None
    assert await stage.listing.session(ACTOR, fresh()) is None
    await stage.store.revoke_session(ADMIN, first, Cause.LOGOUT)
    assert await stage.listing.session(ACTOR, first) is None
    stage.clock.advance(IDLE)
    assert await stage.listing.sessions(ACTOR, ISSUER, "bob") == []
    ended = await stage.listing.session(ACTOR, second)
    assert ended is not None
    assert ended.ended == "expired"
