"""The rotation table of the design, on every engine."""

import pytest

from quash.ids import partition
from quash.keyspace import Tombstone, global_key, metadata_key
from quash.reasons import Cause
from quash_service.rotation import (
    Absent,
    Ended,
    Healed,
    Junk,
    Retried,
    Reused,
    Rotated,
    ScopeExceeded,
)
from quash_service.store import Actor
from tests.store.stage import ABSOLUTE, ADMIN, GRACE, IDLE, ISSUER, OTHER, Stage


async def test_the_stored_generation_rotates_and_the_idle_clock_restarts(stage: Stage) -> None:
    sid = await stage.open()
    stage.clock.advance(IDLE - 1)
    done = await stage.rotate(sid, 0)
    assert isinstance(done, Rotated)
    assert (done.session.generation, done.session.idle_end) == (1, stage.now() + IDLE)
    assert done.session.fields["last_used"] == str(stage.now())


async def test_idle_ends_exactly_at_its_end_and_the_absolute_end_is_never_moved(stage: Stage) -> None:
    idle = await stage.open("idle")
    stage.clock.advance(IDLE)
    assert await stage.rotate(idle, 0) == Ended("expired")
    busy = await stage.open("busy")
    opened = stage.now()
    for generation in range(ABSOLUTE // (IDLE - 1)):
        stage.clock.advance(IDLE - 1)
        done = await stage.rotate(busy, generation)
        assert isinstance(done, Rotated)
        assert done.session.absolute_end == opened + ABSOLUTE
        assert done.session.idle_end <= opened + ABSOLUTE
    stage.clock.advance(opened + ABSOLUTE - stage.now())
    assert await stage.rotate(busy, ABSOLUTE // (IDLE - 1)) == Ended("expired")


@pytest.mark.parametrize(("after", "good"), [(0, True), (GRACE, True), (GRACE + 1, False)])
async def test_the_previous_generation_gets_the_same_successor_within_the_grace(
    stage: Stage, after: int, good: bool
) -> None:
    sid = await stage.open()
    await stage.rotate(sid, 0)
    stage.clock.advance(after)
    done = await stage.rotate(sid, 0)
    if good:
        assert isinstance(done, Retried)
        assert (done.session.generation, done.session.secret) == (1, "a")
    else:
        assert done == Reused("concurrent_retry")


async def test_retries_never_extend_the_grace(stage: Stage) -> None:
    sid = await stage.open()
    await stage.rotate(sid, 0)
    for _ in range(2):
        stage.clock.advance(GRACE // 2)
        assert isinstance(await stage.rotate(sid, 0), Retried)
    stage.clock.advance(1)
    assert isinstance(await stage.rotate(sid, 0), Reused)


async def test_a_clock_within_the_tolerance_behind_holds_the_grace_and_one_beyond_does_not(stage: Stage) -> None:
    sid, other = await stage.open("one"), await stage.open("two")
    await stage.rotate(sid, 0)
    await stage.rotate(other, 0)
    stage.clock.advance(-2_000)
    assert isinstance(await stage.rotate(sid, 0), Retried)
    stage.clock.advance(-1)
    assert isinstance(await stage.rotate(other, 0), Reused)


@pytest.mark.parametrize(
    ("generation", "after", "agent", "net", "classified"),
    [
        (1, 2 * GRACE, "ua", "net-1", "concurrent_retry"),
        (1, 2 * GRACE + 1, "ua", "net-1", "lost_response"),
        (1, GRACE + 1, "ua", "net-2", "likely_theft"),
        (1, 0, "other", "net-1", "likely_theft"),
        (1, 0, "", "net-1", "likely_theft"),
        (0, 0, "ua", "net-2", "stale_copy"),
        (0, 0, "other", "net-1", "likely_theft"),
        (3, 0, "ua", "net-1", "stale_copy"),
        (10, 0, "other", "net-1", "likely_theft"),
    ],
)
async def test_a_token_of_the_past_kills_the_session_and_is_classified(
    stage: Stage, *, generation: int, after: int, agent: str, net: str, classified: str
) -> None:
    sid = await stage.open()
    await stage.rotate(sid, 0)
    await stage.rotate(sid, 1)
    stage.clock.advance(after)
    assert await stage.rotate(sid, generation, agent=agent, net=net) == Reused(classified)
    stone = await stage.session(sid)
    assert isinstance(stone, Tombstone)
    assert stone.cause is Cause.REUSE
    assert not await stage.client.exists(metadata_key(sid))
    assert await stage.rotate(sid, 2) == Ended("reuse")
    (event,) = [entry for entry in await stage.audit() if entry["kind"] == "reused"]
    assert (event["class"], event["agent"] if agent else "", event["last_agent"]) == (classified, agent, "ua")


async def test_a_changed_network_alone_is_no_reuse(stage: Stage) -> None:
    sid = await stage.open()
    await stage.rotate(sid, 0)
    assert isinstance(await stage.rotate(sid, 0, net="net-2"), Retried)


async def test_no_agent_ever_stated_is_the_same_agent_and_an_unknown_network_is_no_evidence(stage: Stage) -> None:
    sid = await stage.open(agent="")
    await stage.rotate(sid, 0, agent="", net="")
    assert isinstance(await stage.rotate(sid, 0, agent="", net="net-9"), Retried)
    stage.clock.advance(GRACE + 1)
    assert await stage.rotate(sid, 0, agent="", net="net-9") == Reused("concurrent_retry")


async def test_a_tombstone_beats_everything_and_names_its_cause(stage: Stage) -> None:
    sid = await stage.open()
    assert await stage.store.revoke_session(ADMIN, sid, Cause.LOGOUT)
    for generation in (0, 5):
        assert await stage.rotate(sid, generation) == Ended("logout")


async def test_a_session_below_the_version_ended_with_the_bumps_cause(stage: Stage) -> None:
    sid = await stage.open()
    await stage.store.revoke_user(ADMIN, iss=ISSUER, sub="bob", cause=Cause.PASSWORD_CHANGE)
    assert await stage.rotate(sid, 0) == Ended("password_change")


async def test_a_session_opened_at_or_before_its_issuers_instant_ended_with_its_cause(stage: Stage) -> None:
    sid, later = await stage.open(), None
    await stage.store.revoke_issuer(ADMIN, iss=ISSUER, before_ms=stage.now(), cause=Cause.COMPROMISED)
    stage.clock.advance(1)
    later = await stage.open()
    assert await stage.rotate(sid, 0) == Ended("compromised")
    assert isinstance(await stage.rotate(later, 0), Rotated)
    other = await stage.open(iss=OTHER)
    assert isinstance(await stage.rotate(other, 0), Rotated)


async def test_a_session_opened_before_the_state_was_born_ended(stage: Stage) -> None:
    sid = await stage.open()
    await stage.client.hset(global_key(partition(sid)), "born", stage.now() + 1)
    stage.clock.advance(5_000)
    assert await stage.rotate(sid, 0) == Ended("store_reborn")


async def test_no_record_is_absent(stage: Stage) -> None:
    assert await stage.rotate("A" * 38, 0) == Absent()


@pytest.mark.parametrize("generation", [0, 1])
async def test_another_secret_than_the_stored_one_of_its_generation_is_junk_and_kills_nothing(
    stage: Stage, generation: int
) -> None:
    sid = await stage.open()
    await stage.rotate(sid, 0)
    assert await stage.rotate(sid, generation, secret="b") == Junk()
    assert isinstance(await stage.rotate(sid, 1), Rotated)


async def test_secrets_rotate_and_a_retry_is_rebuilt_with_the_stored_one(stage: Stage) -> None:
    sid = await stage.open()
    first = await stage.rotate(sid, 0, newest="b")
    assert isinstance(first, Rotated)
    again = await stage.rotate(sid, 0, newest="c")
    assert isinstance(again, Retried)
    assert again.session.secret == first.session.secret == "b"
    assert isinstance(await stage.rotate(sid, 1, secret="b"), Rotated)


async def test_a_newer_generation_heals_only_after_a_rewritten_history_and_by_at_most_8(stage: Stage) -> None:
    sid, far, stranger = [await stage.open() for _ in range(3)]
    g = global_key(partition(sid))
    await stage.client.hset(g, "rewritten", stage.now() - IDLE)
    done = await stage.rotate(sid, 8)
    assert isinstance(done, Healed)
    assert done.session.generation == 9
    assert await stage.rotate(far, 9) == Reused("stale_copy")
    assert await stage.rotate(stranger, 1, agent="other") == Reused("likely_theft")
    assert (await stage.audit())[0]["kind"] == "healed"
    late = await stage.open("bob")
    await stage.client.hset(g, "rewritten", stage.now() - IDLE - 1)
    assert isinstance(await stage.rotate(late, 1), Reused)


async def test_more_scope_than_the_sessions_rotates_nothing(stage: Stage) -> None:
    sid = await stage.open()
    assert await stage.rotate(sid, 0, scope="read admin") == ScopeExceeded()
    done = await stage.rotate(sid, 0, scope="read", session_scope="read", claims='{"role":"x"}')
    assert isinstance(done, Rotated)
    assert (done.session.fields["scope"], done.session.fields["claims"]) == ("read", '{"role":"x"}')
    assert await stage.rotate(sid, 1, scope="write") == ScopeExceeded()
    emptied = await stage.rotate(sid, 1, session_scope="")
    assert isinstance(emptied, Rotated)
    assert await stage.rotate(sid, 2, scope="read") == ScopeExceeded()


async def test_only_the_opener_or_an_admin_may_refresh_and_only_its_issuers(stage: Stage) -> None:
    sid = await stage.open()
    stranger = Actor("stranger", admin=False, issuers=None, request_id="")
    elsewhere = Actor("web", admin=True, issuers=frozenset({OTHER}), request_id="")
    assert await stage.rotate(sid, 0, actor=stranger) == Absent()
    assert await stage.rotate(sid, 0, actor=elsewhere) == Absent()
    assert isinstance(await stage.rotate(sid, 0, actor=ADMIN), Rotated)
    await stage.store.revoke_session(ADMIN, sid, Cause.LOGOUT)
    assert await stage.rotate(sid, 1, actor=elsewhere) == Absent()


async def test_a_session_whose_metadata_is_gone_is_killed_not_refreshed(stage: Stage) -> None:
    sid = await stage.open()
    await stage.client.delete(metadata_key(sid))
    assert await stage.rotate(sid, 0) == Ended("other")
    assert isinstance(await stage.session(sid), Tombstone)


async def test_what_an_end_user_can_repeat_is_audited_once_per_session_and_minute(stage: Stage) -> None:
    sid = await stage.open()
    await stage.rotate(sid, 0)
    for _ in range(5):
        await stage.rotate(sid, 0)
        await stage.rotate("B" * 38, 0)
    await stage.store.revoke_session(ADMIN, sid, Cause.LOGOUT)
    for _ in range(5):
        assert await stage.rotate(sid, 1) == Ended("logout")
    kinds = [entry["kind"] for entry in await stage.audit()]
    assert (kinds.count("retried"), kinds.count("ended")) == (1, 1)


async def test_one_user_cannot_push_anothers_evidence_out_of_the_audit(stage: Stage) -> None:
    for _ in range(30):
        sid = await stage.open()
        stage.clock.advance(1)
        await stage.store.revoke_session(ADMIN, sid, Cause.LOGOUT)
        await stage.rotate(sid, 0)
    kinds = [entry["kind"] for entry in await stage.audit()]
    assert (kinds.count("ended"), kinds.count("session_revoked")) == (10, 30)


async def test_a_resent_rotation_is_answered_as_a_rotation(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    sid = await stage.open()
    # With the same operation id, as a client library's own resend carries it, a grace of 0 changes nothing.
    monkeypatch.setattr(stage.runner, "random_bytes", lambda n: b"\7" * n)
    stage.clock.advance(GRACE)
    first = await stage.rotate(sid, 0)
    stage.clock.advance(GRACE + 1)
    again = await stage.rotate(sid, 0)
    assert isinstance(first, Rotated)
    assert isinstance(again, Rotated)
    assert again.session.generation == first.session.generation
