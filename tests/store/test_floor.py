"""Joining a state, its birth, and making again what was lost."""

import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from quash.errors import Unavailable
from quash.ids import partition, user_tag
from quash.keyspace import ALL_PARTITIONS, FLOOR, TAGS, feed_key, global_key, unpack_revoked
from quash.reasons import Cause
from quash_service.clock import Clock
from quash_service.engine import connect
from quash_service.rotation import Ended
from quash_service.store import Floor, FloorRefused, IssuerTable, LifetimeLimits, Runner, Trust
from quash_service.store.floor import MAX_ROUND_TRIP_MS, merge_revoked
from quash_service.store.scripts import Argument
from tests.service import SteeredClock
from tests.store.stage import ACTOR, ADMIN, HORIZON, ISSUER, LIMITS, OTHER, Stage


async def test_each_configured_issuer_has_an_index_for_ever(stage: Stage) -> None:
    assert stage.issuers.index == {ISSUER: 1, OTHER: 2}
    assert [stage.issuers.name(index) for index in (1, 2, 3)] == [ISSUER, OTHER, None]
    other = IssuerTable()
    floor = Floor(
        stage.runner, stage.clock, other, configured=("third", OTHER), secrets=lambda: stage.secrets, trust=None
    )
    await floor.join()
    assert other.index == {"third": 3, OTHER: 2}


async def test_a_state_can_tell_255_issuers_apart_and_refuses_the_next(stage: Stage) -> None:
    def floor(*configured: str) -> Floor:
        return Floor(
            stage.runner,
            stage.clock,
            IssuerTable(),
            configured=configured,
            secrets=lambda: stage.secrets,
            trust=None,
        )

    await floor(*(f"i{n}" for n in range(253))).join()
    await floor("i0", ISSUER).join()
    with pytest.raises(FloorRefused) as refused:
        await floor("one too many").join()
    assert refused.value.code == "too_many_issuers"


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("schema", "2", "schema_newer"),
        ("tags", "another table", "tag_table_differs"),
        ("secret:z", "somebody else's", "unknown_refresh_secret"),
        ("secret:a", "another secret of the same name", "unknown_refresh_secret"),
    ],
)
async def test_a_state_of_another_layout_or_other_secrets_is_refused_and_left_alone(
    stage: Stage, field: str, value: str, code: str
) -> None:
    await stage.client.hset(FLOOR, field, value)
    before = await stage.client.hgetall(FLOOR)
    with pytest.raises(FloorRefused) as refused:
        await stage.floor.join()
    assert refused.value.code == code
    assert len(str(refused.value)) > 40
    assert await stage.client.hgetall(FLOOR) == before


async def test_a_birth_makes_every_partition_at_the_beginning_of_a_second(stage: Stage) -> None:
    for part in ALL_PARTITIONS:
        facts = await stage.client.hgetall(global_key(part))
        assert int(facts[b"born"]) % 1000 == 0
        assert facts[b"since"] == facts[b"born"]
    assert (await stage.floor.pulse()).born == 0


async def test_nothing_is_written_before_the_second_of_the_birth_is_over(stage: Stage) -> None:
    await stage.client.flushall()
    assert (await stage.floor.pulse()).born == len(TAGS)
    assert not await stage.floor.ready()
    stage.clock.advance(999)
    with pytest.raises(Unavailable):
        await stage.open()
    stage.clock.advance(1)
    assert await stage.floor.ready()
    await stage.open()


async def test_a_state_that_lacks_a_partition_is_not_ready_before_the_second_of_its_birth_is_over(stage: Stage) -> None:
    await stage.client.delete(global_key(40))
    assert not await stage.floor.ready()
    assert (await stage.floor.pulse()).born == 1
    assert not await stage.floor.ready()
    stage.clock.advance(1000)
    assert await stage.floor.ready()


async def test_a_pulse_joins_again_a_state_whose_floor_is_gone(stage: Stage) -> None:
    await stage.client.delete(FLOOR)
    await stage.floor.pulse()
    assert await stage.client.hget(FLOOR, f"issuer:{ISSUER}") == b"1"
    await stage.floor.pulse()
    assert stage.floor.known_secrets == {"a", "b"}


async def test_a_lost_partition_is_made_again_with_what_the_others_still_know(stage: Stage) -> None:
    sid = await stage.open()
    lost = partition(user_tag(ISSUER, "bob"))
    await stage.store.revoke_user(ADMIN, iss=ISSUER, sub="bob", cause=Cause.ADMIN, keep=(sid,))
    await stage.store.revoke_key(ADMIN, iss=ISSUER, tag="k" * 16, kid="kid", cause=Cause.COMPROMISED)
    await stage.store.revoke_issuer(ADMIN, iss=OTHER, before_ms=stage.now(), cause=Cause.ADMIN)
    entries = await stage.feed()
    await stage.client.delete(global_key(lost))
    with pytest.raises(Unavailable):
        await stage.rotate(sid, 0)
    stage.clock.advance(10_000)
    assert (await stage.floor.pulse()).born == 1
    stage.clock.advance(1_000)
    facts = await stage.facts()
    keys, issuers = unpack_revoked(facts[b"r"])
    assert (set(keys), len(issuers)) == ({"k" * 16}, 1)
    assert await stage.rotate(sid, 0) == Ended("store_reborn")
    # The feed's numbers go on where they stood.
    assert (facts[b"tail"].decode(), facts[b"nonce"]) == (entries[-1][0], entries[-1][1][b"n"])
    await stage.store.revoke_user(ADMIN, iss=ISSUER, sub="bob", cause=Cause.ADMIN)
    assert (await stage.feed())[-1][0].rpartition("-")[2] == str(len(entries) + 1)


def test_the_union_of_revocations_has_each_once_with_its_latest_instant() -> None:
    def entry(kind: bytes, tag: bytes, instant: int) -> bytes:
        return kind + tag * 16 + instant.to_bytes(6, "big") + b"c"

    merged = merge_revoked([entry(b"i", b"x", 5) + entry(b"k", b"x", 1), entry(b"i", b"x", 7), entry(b"i", b"x", 6)])
    assert unpack_revoked(merged) == ({"x" * 16: 1}, {"x" * 16: 7})


@pytest.mark.parametrize(("age", "trusted"), [(HORIZON, True), (HORIZON + 1_000, False), (-5_000, False)])
async def test_older_tokens_are_trusted_only_at_a_birth_and_only_within_the_longest_life(
    stage: Stage, age: int, trusted: bool
) -> None:
    now = stage.now()
    trusting = Stage(stage.client, stage.clock, trust=Trust(now - age, HORIZON))
    await trusting.floor.pulse()
    assert (await stage.facts())[b"since"] == (await stage.facts())[b"born"]
    await stage.client.flushall()
    assert (await trusting.floor.pulse()).trusted is trusted
    facts = await stage.facts()
    assert int(facts[b"born"]) == now
    assert int(facts[b"since"]) == (now - age if trusted else now)


async def test_a_partition_lost_alone_trusts_nothing_older_than_itself(stage: Stage) -> None:
    trusting = Stage(stage.client, stage.clock, trust=Trust(stage.now() - 1_000, HORIZON))
    await stage.client.delete(global_key(partition(user_tag(ISSUER, "bob"))))
    assert not (await trusting.floor.pulse()).trusted
    facts = await stage.facts()
    assert facts[b"since"] == facts[b"born"]


async def test_a_host_whose_clock_is_off_by_more_than_the_tolerance_writes_nothing(stage: Stage) -> None:
    for offset, good in ((-1_500, True), (1_500, True), (-2_500, False), (2_500, False)):
        runner = Runner(
            stage.client,
            replace(LIMITS, tolerance_ms=2_000),
            now_ms=lambda offset=offset: time.time_ns() // 1_000_000 + offset,  # type: ignore[misc]  # the shape is the claim
            random_bytes=os.urandom,
        )
        arguments: dict[str, Argument] = {"sid": "A" * 38, "issuers": b"", "cause": "o", "cause_name": "other"}
        keys = {"u": "quash:{mm}:u:x", "m": "quash:{mm}:m:x", "sightings": "quash:{mm}:s:x"}
        await stage.client.hset(global_key(0), "born", 0)
        if good:
            assert await runner.run("revoke_session", 0, keys, arguments, ACTOR) == [b"revoked", b"0"]
        else:
            with pytest.raises(Unavailable) as refused:
                await runner.run("revoke_session", 0, keys, arguments, ACTOR)
            assert refused.value.evidence["state"] == "clock"


@pytest.mark.parametrize(
    ("took_ms", "taken"), [(0, True), (MAX_ROUND_TRIP_MS, True), (MAX_ROUND_TRIP_MS + 1, False), (-1, False)]
)
async def test_the_primary_s_time_is_taken_over_only_from_a_timely_answer(
    stage: Stage, *, took_ms: int, taken: bool
) -> None:
    readings = iter((1_000, 1_000 + took_ms))
    clock = Clock(lambda: next(readings))
    await Floor(stage.runner, clock, stage.issuers, configured=(), secrets=dict, trust=None).pulse()
    assert (clock.offset_ms != 0) is taken


async def test_every_read_and_write_is_unavailable_when_the_engine_is_not_there() -> None:
    client = connect("unix:///nowhere/at/all.sock", timeout_s=0.1)
    away = Stage(client, SteeredClock())
    away.clock.hold()
    away.issuers.index = {ISSUER: 1}
    calls: list[Callable[[], Awaitable[object]]] = [
        away.floor.join,
        away.floor.pulse,
        away.floor.ready,
        LifetimeLimits(away.runner, {ISSUER: 600}).publish,
        away.open,
        lambda: away.rotate("A" * 38, 0),
        lambda: away.listing.sessions(ACTOR, ISSUER, "bob"),
        lambda: away.listing.session(ACTOR, "A" * 38),
    ]
    for call in calls:
        with pytest.raises(Unavailable):
            await call()
    await client.aclose()


async def test_a_listing_of_an_unborn_state_is_unavailable(stage: Stage) -> None:
    await stage.client.flushall()
    with pytest.raises(Unavailable):
        await stage.listing.sessions(ACTOR, ISSUER, "bob")


async def test_the_feed_of_an_untouched_partition_is_empty(stage: Stage) -> None:
    assert await stage.client.exists(feed_key(0)) == 0


async def test_a_secret_that_was_dropped_is_forgotten_by_whoever_joins_and_nobody_is_refused_for_it(
    stage: Stage,
) -> None:
    dropped: list[str] = []
    floor = Floor(
        stage.runner,
        stage.clock,
        stage.issuers,
        configured=(ISSUER, OTHER),
        secrets=lambda: {"b": "fingerprint-b"},
        dropped=lambda: dropped,
        trust=None,
    )
    with pytest.raises(FloorRefused) as refused:
        await floor.join()
    assert "quash key drop-refresh-secret a --yes" in str(refused.value)
    dropped.append("a")
    await floor.join()
    await floor.join()
    assert [name for name in await stage.client.hkeys(FLOOR) if name.startswith(b"secret:")] == [b"secret:b"]
    await stage.client.hset(FLOOR, "secret:a", "fingerprint-a")
    await floor.pulse()
    assert floor.known_secrets == {"b"}
    assert not await stage.client.hexists(FLOOR, "secret:a")


async def test_a_secret_that_the_floor_did_not_hear_of_is_registered_by_the_next_pulse(stage: Stage) -> None:
    stage.secrets["c"] = "fingerprint-c"
    await stage.floor.pulse()
    assert await stage.client.hget(FLOOR, "secret:c") == b"fingerprint-c"


async def test_a_host_that_lacks_a_secret_still_keeps_the_state_whole(stage: Stage) -> None:
    stage.secrets["c"] = "fingerprint-c"
    await stage.client.hset(FLOOR, "secret:z", "another host's")
    await stage.client.delete(global_key(0))
    assert (await stage.floor.pulse()).born == 1
    assert "z" in stage.floor.known_secrets


async def test_a_birth_is_told_of_our_revoked_keys_and_a_pulse_tells_which_are_revoked_everywhere(stage: Stage) -> None:
    floor = Floor(
        stage.runner,
        stage.clock,
        stage.issuers,
        configured=(ISSUER, OTHER),
        secrets=lambda: stage.secrets,
        revoked_keys=lambda: {"K" * 16: 1_900_000_000},
        trust=None,
    )
    await stage.client.flushall()
    await floor.join()
    assert (await floor.pulse()).born == 64
    assert (await floor.pulse()).revoked_keys == {"K" * 16}
    keys, issuers = unpack_revoked((await stage.facts())[b"r"])
    assert (keys, issuers) == ({"K" * 16: 1_900_000_000_000}, {})
    await stage.client.hdel(global_key(5), "r")
    assert (await floor.pulse()).revoked_keys == frozenset()
