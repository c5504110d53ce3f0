"""How long access tokens may live is published, rises slowly, and falls at once."""

from dataclasses import replace

import pytest

from quash.errors import Unavailable
from quash.ids import issuer_tag
from quash.keyspace import ALL_PARTITIONS, Limit, global_key, unpack_limits
from quash.policy import Ask
from quash.reasons import Reason
from quash.verdict import verdict
from quash_service.store import LifetimeLimits
from tests.client.test_verdict import LONG, NOW, claims
from tests.client.test_verdict import state as state_of
from tests.store.stage import ISSUER, OTHER, Stage

TAG = issuer_tag(ISSUER)


async def publish(stage: Stage, seconds: int) -> Limit:
    """Publish as a host does that starts with this setting; return what the state says then."""
    await LifetimeLimits(stage.runner, {ISSUER: seconds, OTHER: 600}).publish()
    held = {await stage.client.hget(global_key(part), "l") for part in ALL_PARTITIONS}
    assert len(held) == 1
    limits = unpack_limits(held.pop())
    assert limits[issuer_tag(OTHER)].now_s == 600
    return limits[TAG]


async def test_a_first_limit_holds_for_all_tokens(stage: Stage) -> None:
    assert await publish(stage, 600) == Limit(600, stage.now(), 600)


async def test_a_lower_limit_holds_at_once_for_all_tokens(stage: Stage) -> None:
    await publish(stage, 600)
    stage.clock.advance(5_000)
    assert await publish(stage, 300) == Limit(300, stage.now(), 300)


async def test_a_higher_limit_holds_for_tokens_issued_from_then_on(stage: Stage) -> None:
    await publish(stage, 600)
    stage.clock.advance(700_000)
    assert await publish(stage, 900) == Limit(900, stage.now(), 600)


@pytest.mark.parametrize(("after", "before"), [(900_000 + 65_000, 600), (900_000 + 65_001, 900)])
async def test_two_rises_within_one_lifetime_hold_the_oldest_tokens_to_the_first_limit(
    stage: Stage, after: int, before: int
) -> None:
    await publish(stage, 600)
    stage.clock.advance(700_000)
    await publish(stage, 900)
    stage.clock.advance(after)
    assert await publish(stage, 1_200) == Limit(1_200, stage.now(), before)


async def test_publishing_the_same_again_changes_nothing(stage: Stage) -> None:
    first = await publish(stage, 600)
    stage.clock.advance(5_000)
    assert await publish(stage, 600) == first


async def test_a_lost_partition_gets_its_limits_again(stage: Stage) -> None:
    await publish(stage, 600)
    await stage.client.delete(global_key(3))
    await stage.floor.pulse()
    stage.clock.advance(1_000)
    limits = LifetimeLimits(stage.runner, {ISSUER: 600})
    await limits.publish()
    assert not limits.due
    assert TAG in unpack_limits(await stage.client.hget(global_key(3), "l"))


async def test_damaged_limits_are_unavailable(stage: Stage) -> None:
    for damaged in (b"x", b"\xff" * 30):
        await stage.client.hset(global_key(0), "l", damaged)
        limits = LifetimeLimits(stage.runner, {ISSUER: 600})
        with pytest.raises(Unavailable):
            await limits.publish()
        assert limits.due


SINCE = (NOW // 1000 - 300) * 1000


@pytest.mark.parametrize(
    ("iat", "life", "reason"),
    [
        (SINCE // 1000, 400, None),
        (SINCE // 1000, 401, Reason.LIFETIME_TOO_LONG),
        (SINCE // 1000 + 1, 401, None),
        (SINCE // 1000 + 1, 500, None),
        (SINCE // 1000 + 1, 501, Reason.LIFETIME_TOO_LONG),
    ],
)
def test_a_token_is_held_to_the_limit_of_its_time(iat: int, life: int, reason: Reason | None) -> None:
    state = state_of(limits={issuer_tag(LONG.issuer): Limit(500, SINCE, 400)})
    token = claims(policy=LONG, iat=iat, exp=iat + life, auth_time=None)
    assert verdict(token, state, NOW, Ask()) is reason
    assert verdict(token, state_of(limits={issuer_tag("other"): Limit(1, SINCE, 1)}), NOW, Ask()) is None
    stricter = replace(token, policy=replace(LONG, max_access_ttl_s=life - 1))
    assert verdict(stricter, state_of(), NOW, Ask()) is Reason.LIFETIME_TOO_LONG
