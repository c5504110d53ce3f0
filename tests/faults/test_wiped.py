"""The state is lost: what was good before is refused, never resurrected, and life goes on after the next second."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import redis

from quash.ids import partition, user_tag
from quash.keyspace import global_key
from tests.engines import RunningEngine, spawn_valkey
from tests.faults.api import Api, Tokens, is_dead, talking, verdict_of
from tests.servers import RunningServer, serve

ISSUER = "http://127.0.0.1:8400"
REBORN_S = 10.0
SETTINGS = {"QUASH_LOG_LEVEL": "error", "QUASH_DURABILITY": "memory"}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[RunningEngine]:
    with spawn_valkey(tmp_path) as running:
        yield running


@pytest.fixture
def server(tmp_path: Path, engine: RunningEngine) -> Iterator[RunningServer]:
    with serve(tmp_path, env={**SETTINGS, "QUASH_REDIS_URL": engine.url}, workers=2) as running:
        yield running


@pytest.fixture
async def api(server: RunningServer) -> AsyncIterator[Api]:
    async with talking(server.url, server.admin_secret) as speaking:
        yield speaking


def flushed(engine: RunningEngine) -> None:
    with redis.Redis.from_url(engine.url) as client:
        client.flushall()


def restarted_empty(engine: RunningEngine) -> None:
    engine.restart()


@pytest.mark.parametrize("wipe", [flushed, restarted_empty])
async def test_after_a_wipe_nothing_of_before_is_ever_good_again(
    api: Api, engine: RunningEngine, wipe: Callable[[RunningEngine], None]
) -> None:
    kept, logged_out, lost = [await api.opened(sub) for sub in ("kept", "logged-out", "lost")]
    await api.revoke(session_id=logged_out.sid)
    await api.revoke(token=lost.access)
    await asyncio.to_thread(wipe, engine)
    for tokens in (kept, logged_out, lost):
        assert await _once_reborn(api, tokens) == ["store_reborn", "session_unknown"]
    await _refused_and_replaced(api, kept, "kept")


async def test_a_partition_that_is_lost_is_reborn_alone(api: Api, engine: RunningEngine) -> None:
    ann, ben = [await api.opened(sub) for sub in ("ann", "ben")]
    assert _part("ann") != _part("ben")
    await api.revoke(sub="ann")
    with redis.Redis.from_url(engine.url) as client:
        client.delete(global_key(_part("ann")))
    assert await _once_reborn(api, ann) == ["store_reborn", "session_superseded"]
    assert await api.verdicts([ben.access, ben.refresh]) == ["active", "active"]
    await _refused_and_replaced(api, ann, "ann")


async def test_a_key_revoked_before_a_partition_was_lost_stays_revoked(api: Api, engine: RunningEngine) -> None:
    ann = await api.opened("ann")
    key = (await api.get("/.well-known/jwks.json")).document["keys"][0]["kid"]
    assert (await api.revoke(kid=key)).status == 200
    with redis.Redis.from_url(engine.url) as client:
        client.delete(global_key(_part("ann")))
    assert await _once_reborn(api, ann) == ["key_revoked", "store_reborn"]


def _part(sub: str) -> int:
    return partition(user_tag(ISSUER, sub))


async def _once_reborn(api: Api, tokens: Tokens) -> list[str]:
    """Ask on and on: unavailable until the state was born again, and then these verdicts."""
    asked = {"tokens": [tokens.access, tokens.refresh]}
    async with asyncio.timeout(REBORN_S):
        while True:
            batch, one, refreshing = await asyncio.gather(
                api.json("/introspect/batch", asked), api.introspect(tokens.access), api.refresh(tokens.refresh)
            )
            assert one.status == 503 or one.document == {"active": False}
            assert refreshing.status == 503 or is_dead(refreshing)
            if batch.status == 200:
                return [verdict_of(result) for result in batch.document["results"]]
            assert batch.status == 503


async def _refused_and_replaced(api: Api, before: Tokens, sub: str) -> None:
    assert is_dead(await api.refresh(before.refresh))
    after = await api.opened(sub)
    again = await api.refreshed(after.refresh)
    assert await api.verdicts([after.access, again.access, again.refresh]) == ["active"] * 3
    assert "active" not in await api.verdicts([before.access, before.refresh])
