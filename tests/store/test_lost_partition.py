"""One partition lost alone: its tokens are refused or unavailable, whoever asks beside them in the same tick."""

import asyncio
import os
from dataclasses import replace

import pytest

from quash.claims import Claims
from quash.errors import Unavailable
from quash.ids import partition, user_tag
from quash.keyspace import Record, feed_key, global_key, user_key
from quash.policy import Ask
from quash.reader import State, question
from quash.reasons import Cause, Reason
from quash.state_redis import RedisState
from quash.verdict import verdict
from quash_service.clock import system_ms
from quash_service.rotation import Ended
from quash_service.store import Runner
from tests.client.test_verdict import LONG, claims
from tests.store.stage import ADMIN, ISSUER, LIMITS, Stage

BARE = claims(sid=None, ver=None, jti16=None, policy=LONG)


def token(stage: Stage, sub: str, *, iat_ms: int) -> Claims:
    now_s = stage.now() // 1000
    return replace(BARE, sub=sub, tag=user_tag(ISSUER, sub), iat=iat_ms // 1000, exp=now_s + 60, auth_time=None)


async def ask_together(stage: Stage, *subs: str) -> list[State | BaseException]:
    state = RedisState(stage.client, stage.clock.now_ms)
    asked = [question(token(stage, sub, iat_ms=stage.now())) for sub in subs]
    return await asyncio.gather(*(state.ask(one) for one in asked), return_exceptions=True)


async def test_a_lost_partition_is_unavailable_and_then_reborn_beside_one_that_is_well(stage: Stage) -> None:
    lost, well = "bob", "alice"
    assert partition(user_tag(ISSUER, lost)) != partition(user_tag(ISSUER, well))
    issued_at = stage.now()
    stage.clock.advance(5_000)
    await stage.store.revoke_user(ADMIN, iss=ISSUER, sub=lost, cause=Cause.ADMIN)
    await stage.client.delete(user_key(user_tag(ISSUER, lost)), global_key(partition(user_tag(ISSUER, lost))))
    for order in ((well, lost), (lost, well)):
        answers = dict(zip(order, await ask_together(stage, *order), strict=True))
        assert isinstance(answers[lost], Unavailable)
        assert isinstance(answers[well], State)
    await stage.floor.pulse()
    stage.clock.advance(2_000)
    _, reborn = await ask_together(stage, well, lost)
    assert isinstance(reborn, State)
    old = token(stage, lost, iat_ms=issued_at)
    assert verdict(old, reborn, stage.now(), Ask()) is Reason.STORE_REBORN


async def test_a_session_opened_in_the_second_of_a_birth_is_older_than_it(stage: Stage) -> None:
    sid = await stage.open()
    stage.clock.advance(500)
    await stage.client.delete(global_key(partition(sid)))
    await stage.floor.pulse()
    born = int((await stage.facts())[b"born"])
    record = await stage.session(sid)
    assert isinstance(record, Record)
    assert record.opened >= born
    stage.clock.advance(1_000)
    assert await stage.rotate(sid, 0) == Ended("store_reborn")


@pytest.mark.parametrize("off_ms", [-4_000, 4_000])
async def test_a_birth_at_another_time_than_now_makes_nothing(stage: Stage, off_ms: int) -> None:
    """Sent for an earlier loss and arriving after a later one, it would bring back what was revoked in between."""
    runner = Runner(stage.client, replace(LIMITS, tolerance_ms=2_000), now_ms=system_ms, random_bytes=os.urandom)
    part = partition(user_tag(ISSUER, "bob"))
    await stage.client.delete(global_key(part))
    keys = {"g": global_key(part), "f": feed_key(part)}
    born = system_ms() + off_ms
    with pytest.raises(Unavailable):
        await runner.run("birth", part, keys, {"born": born, "since": born, "revoked": b""})
    assert not await stage.client.exists(global_key(part))
    now = system_ms() // 1000 * 1000
    assert await runner.run("birth", part, keys, {"born": now, "since": now, "revoked": b""}) == [b"born"]
