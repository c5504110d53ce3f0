"""A new or wiped state: what came before it is refused, unless it is trusted on purpose."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from quash.ids import partition
from quash.keyspace import global_key
from quash_service.clock import system_ms
from tests.engines import RunningEngine, spawn_valkey
from tests.http import issuers
from tests.http.issuers import issued
from tests.http.support import Service, fresh, problem
from tests.service import running_app

pytestmark = pytest.mark.asyncio(loop_scope="module")


@asynccontextmanager
async def born(folder: Path, engine: RunningEngine, trusted_s: int | None) -> AsyncIterator[Service]:
    """Start on an empty state, trusting tokens that were issued in the last `trusted_s`."""
    since = None if trusted_s is None else system_ms() // 1000 - trusted_s
    options: dict[str, Any] = {"issuers": issuers.table(folder), "trust_tokens_since": since}
    async with running_app(folder, engine.url, **options) as app, Service(app) as service:
        yield service


@pytest.fixture
def empty(tmp_path: Path) -> RunningEngine:
    return spawn_valkey(tmp_path)


async def test_tokens_of_before_the_birth_are_refused(tmp_path: Path, empty: RunningEngine) -> None:
    with empty:
        async with born(tmp_path, empty, None) as service:
            stored: Any = await service.redis.hget(global_key(0), "born")
            born_s = int(stored) // 1000
            assert await service.reason(issued(issuers.ES, service.now - 300)) == "store_reborn"
            assert await service.reason(issued(issuers.ES, born_s)) == "store_reborn"
            assert await service.reason(issued(issuers.ES, born_s + 1)) == "active"


async def test_trusted_tokens_are_accepted_and_sessions_never(tmp_path: Path, empty: RunningEngine) -> None:
    with empty:
        async with born(tmp_path, empty, 600) as service:
            assert await service.reason(issued(issuers.ES, service.now - 300)) == "active"
            assert await service.reason(issued(issuers.ES, service.now - 590, exp=service.now + 9)) == "active"
            assert await service.reason(service.own_token({"iat": service.now - 300})) == "store_reborn"
            await service.revoke(sub=(sub := fresh()), iss=issuers.ES)
            assert await service.reason(issued(issuers.ES, service.now - 300, sub=sub)) == "version_superseded"


async def test_an_instant_older_than_the_longest_life_is_ignored(tmp_path: Path, empty: RunningEngine) -> None:
    with empty:
        async with born(tmp_path, empty, 3700) as service:
            assert await service.reason(issued(issuers.ES, service.now - 300)) == "store_reborn"


async def test_nothing_is_opened_or_served_in_the_second_of_a_birth(service: Service) -> None:
    session = await service.open()
    await service.redis.flushall()
    await service.parts.pulse()
    for ms in (0, 999):
        service.advance(ms / 1000)
        answer = await service.client.post("/sessions", json={"sub": "a"})
        assert problem(answer) == (503, "unavailable")
        assert problem(await service.client.get("/readyz")) == (503, "unavailable")
        answer = await service.client.post("/introspect/batch", json={"tokens": [session["access_token"]]})
        assert problem(answer) == (503, "unavailable")
    service.advance(0.001)
    assert await service.is_active((await service.open())["access_token"])
    assert await service.reason(session["access_token"]) == "store_reborn"


async def test_a_partition_that_lost_its_facts_is_unavailable_until_it_is_made_again(service: Service) -> None:
    service.advance(2)
    session = await service.open()
    sid = session["session_id"]
    service.advance(1)
    await service.redis.delete(global_key(partition(sid)))
    answer = await service.client.post("/revoke", json={"session_id": sid})
    assert problem(answer) == (503, "unavailable")  # also when the heartbeat came first: its second is not over
    await service.parts.pulse()
    service.advance(1)
    assert await service.reason(session["access_token"]) == "store_reborn"
    assert (await service.revoke(session_id=sid))["found"]
