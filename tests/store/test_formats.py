"""Frozen formats: what other programs read. A failure here is a new schema, not a test to adapt."""

import itertools
from hashlib import sha256

from redis.crc import key_slot

from quash.ids import issuer_tag, jti_id, partition, user_tag
from quash.keyspace import (
    CALLERS,
    CAUSE_CODES,
    FEED_CHANNEL,
    FLOOR,
    SCHEMA,
    TAGS,
    Record,
    Tombstone,
    audit_key,
    bucket_key,
    feed_key,
    global_key,
    metadata_key,
    quiet_key,
    sightings_key,
    unpack_session,
    unpack_version,
    user_key,
)
from quash.reasons import Cause
from tests.store.stage import ACTOR, ADMIN, GRACE, HORIZON, IDLE, ISSUER, Stage

TAG = user_tag(ISSUER, "bob")


def test_the_tag_table_is_frozen_and_spreads_evenly_over_the_slots() -> None:
    assert SCHEMA == 1
    assert sha256(" ".join(TAGS).encode()).hexdigest()[:16] == "7a781e668c8b21d6"
    assert len(set(TAGS)) == 64
    assert all(abs(key_slot(tag.encode()) % 256 - 128) <= 20 for tag in TAGS)
    assert [key_slot(tag.encode()) // 256 for tag in TAGS] == list(range(64))


def test_key_names_are_frozen_and_keep_to_one_slot_per_partition() -> None:
    sid = TAG + "x" * 22
    tag = TAGS[partition(TAG)]
    names = {
        "g": global_key(partition(TAG)),
        "f": feed_key(partition(TAG)),
        "a": audit_key(partition(TAG)),
        f"u:{TAG}": user_key(TAG),
        f"m:{sid}": metadata_key(sid),
        f"s:{sid}": sightings_key(sid),
        f"q:{sid}": quiet_key(sid),
        "j:2:f": bucket_key(TAG, b"\x1f" + bytes(15), 179),
    }
    for rest, name in names.items():
        assert name == f"quash:{{{tag}}}:{rest}"
    assert len({key_slot(name.encode()) for name in names.values()}) == 1
    assert (FLOOR, CALLERS, FEED_CHANNEL) == ("quash:{0}:floor", "quash:{0}:callers", "quash:feed")


def test_records_and_tombstones_are_frozen() -> None:
    number = int.to_bytes
    packed = b"S" + number(7, 4, "big") + b"".join(number(n, 6, "big") for n in (1, 2, 3, 4, 5)) + b"ab\x02" + b"0"
    assert len(packed) == 39
    assert unpack_session(packed) == Record(7, 1, 2, 3, 4, 5, "a", "b", 2, "0")
    stone = b"T" + number(9, 6, "big") + number(8, 6, "big") + b"p\x03"
    assert len(stone) == 15
    assert unpack_session(stone) == Tombstone(9, 8, Cause.PASSWORD_CHANGE, 3)
    assert unpack_version(None) == (0, Cause.OTHER)
    assert unpack_version(b"1793456000000l") == (1793456000000, Cause.LOGOUT)
    assert "".join(CAUSE_CODES) == "lpraduteco"
    assert set(CAUSE_CODES.values()) == set(Cause)


async def test_every_kind_of_feed_entry_is_frozen(stage: Stage) -> None:
    def number(n: int, size: int = 6) -> bytes:
        return n.to_bytes(size, "big")

    killed, kept, healed = [await stage.open() for _ in range(3)]
    now, exp = stage.now(), stage.now() // 1000 + 60
    await stage.store.revoke_session(ADMIN, killed, Cause.LOGOUT)
    await stage.store.revoke_token(ACTOR, iss=ISSUER, sub="bob", jti="t", exp=exp, exact=True, cause=Cause.LOGOUT)
    await stage.client.hset(global_key(partition(TAG)), "rewritten", now)
    await stage.rotate(healed, 1)
    await stage.store.revoke_user(ADMIN, iss=ISSUER, sub="bob", cause=Cause.PASSWORD_CHANGE, keep=(kept,))
    await stage.store.revoke_user(
        ADMIN, iss=ISSUER, sub="bob", cause=Cause.PERMISSIONS_CHANGED, access_only=True, keep=()
    )
    await stage.store.revoke_key(ADMIN, iss=ISSUER, tag="k" * 16, kid="kid", cause=Cause.COMPROMISED)
    await stage.store.revoke_issuer(ADMIN, iss=ISSUER, before_ms=now, cause=Cause.ADMIN)
    entries = await stage.feed()
    assert [fields[b"e"] for _, fields in entries] == [
        b"s" + killed.encode() + number(now + max(IDLE, HORIZON) + 65_000) + b"l",
        b"t" + number(exp, 5) + jti_id(ISSUER, "t"),
        b"h" + healed.encode() + number(2, 4),
        b"u" + TAG.encode() + number(now) + b"p" + b"-" + kept.encode(),
        b"u" + TAG.encode() + number(now + 1) + b"r" + b"a" + kept.encode(),
        b"k" + b"k" * 16 + number(now) + b"c",
        b"i" + issuer_tag(ISSUER).encode() + number(now) + b"a",
    ]
    assert [entry_id for entry_id, _ in entries] == [f"{now}-{n}" for n in range(1, 8)]
    assert entries[0][1][b"p"] == bytes(8)
    for (_, before), (_, after) in itertools.pairwise(entries):
        assert after[b"p"] == before[b"n"]
        assert len(after[b"n"]) == 8
        assert list(after) == [b"p", b"n", b"e"]
    facts = await stage.facts()
    assert (facts[b"tail"].decode(), facts[b"nonce"]) == (entries[-1][0], entries[-1][1][b"n"])


async def test_several_entries_of_one_script_are_linked_too(stage: Stage) -> None:
    for _ in range(3):
        await stage.open()
        stage.clock.advance(1)
    strict = Stage(stage.client, stage.clock)
    strict.issuers.index = stage.issuers.index
    await strict.open()
    await strict.open()
    (_, first), (_, second) = await stage.feed()
    assert second[b"p"] == first[b"n"]


async def test_feed_ids_never_go_back_when_a_clock_does(stage: Stage) -> None:
    await stage.store.revoke_user(ADMIN, iss=ISSUER, sub="bob", cause=Cause.ADMIN)
    stage.clock.advance(-1_500)
    await stage.store.revoke_user(ADMIN, iss=ISSUER, sub="bob", cause=Cause.ADMIN)
    ids = [entry_id for entry_id, _ in await stage.feed()]
    assert ids == [f"{stage.now() + 1_500}-1", f"{stage.now() + 1_500}-2"]


async def test_a_feed_entry_is_published_as_it_is_written(stage: Stage) -> None:
    async with stage.client.pubsub() as subscriber:
        await subscriber.subscribe(FEED_CHANNEL)
        await subscriber.get_message(timeout=1)
        await stage.store.revoke_user(ADMIN, iss=ISSUER, sub="bob", cause=Cause.ADMIN)
        message = await subscriber.get_message(timeout=1)
    ((entry_id, fields),) = await stage.feed()
    head = f"{TAGS[partition(TAG)]} {entry_id} ".encode()
    assert message["data"] == head + fields[b"p"] + fields[b"n"] + fields[b"e"]


async def test_the_feed_forgets_what_is_older_than_the_horizon(stage: Stage) -> None:
    # Trimming is by whole nodes of the stream, of a hundred entries each.
    for _ in range(250):
        await stage.store.revoke_user(ADMIN, iss=ISSUER, sub="bob", cause=Cause.ADMIN)
    stage.clock.advance(HORIZON + 65_001)
    await stage.store.revoke_user(ADMIN, iss=ISSUER, sub="bob", cause=Cause.ADMIN)
    assert len(await stage.feed()) < 150


async def test_audit_entries_say_who_what_whose_why_and_from_where(stage: Stage) -> None:
    sid = await stage.open()
    now = stage.now()
    await stage.store.revoke_token(
        ACTOR, iss=ISSUER, sub="bob", jti="t", exp=now // 1000 + 60, exact=True, cause=Cause.LOGOUT
    )
    await stage.rotate(sid, 0)
    stage.clock.advance(GRACE + 1)
    await stage.rotate(sid, 0, agent="thief", net="net-2")
    token, reused = await stage.audit()
    assert token == {
        "kind": "token_revoked",
        "at": str(now),
        "by": "web",
        "rid": "r1",
        "tag": TAG,
        "iss": ISSUER,
        "sub": "bob",
        "cause": "logout",
    }
    assert reused == {
        "kind": "reused",
        "at": str(now + GRACE + 1),
        "by": "web",
        "rid": "r1",
        "sid": sid,
        "iss": ISSUER,
        "sub": "bob",
        "cause": "reuse",
        "class": "likely_theft",
        "generation": "0",
        "stored": "1",
        "ip": "198.51.100.7",
        "agent": "thief",
        "last_ip": "198.51.100.7",
        "last_agent": "ua",
        "last_used": str(now),
    }
