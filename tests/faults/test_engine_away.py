"""The engine is silent or dead: the answer is 503 in time, never "active" and never a false "inactive"."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from pathlib import Path

import pytest

from tests.engines import RunningEngine, spawn_valkey
from tests.faults.api import Api, Tokens, sessions_path, talking
from tests.faults.wire import Answer
from tests.servers import READY_S, RunningServer, serve

ANSWER_S = 1.5
RECOVER_S = 2.0
SETTINGS = {"QUASH_LOG_LEVEL": "info", "QUASH_DURABILITY": "memory"}


@pytest.fixture(params=["unix", "tcp"])
def engine(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[RunningEngine]:
    with spawn_valkey(tmp_path, port=request.param == "tcp", durable=True) as running:
        yield running


@pytest.fixture
def server(tmp_path: Path, engine: RunningEngine) -> Iterator[RunningServer]:
    with serve(tmp_path, env={**SETTINGS, "QUASH_REDIS_URL": engine.url}, workers=2) as running:
        # /readyz is answered by the first worker; the other one may still be starting.
        deadline = time.monotonic() + READY_S
        while '"event": "ready"' not in running.logs():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield running


@pytest.fixture
async def api(server: RunningServer) -> AsyncIterator[Api]:
    async with talking(server.url, server.admin_secret, connections=200) as speaking:
        yield speaking


async def test_a_silent_or_dead_engine_is_503_within_a_second_until_it_answers_again(
    api: Api, engine: RunningEngine
) -> None:
    tokens = await api.opened("ann")
    for leave, come_back in ((engine.pause, engine.resume), (engine.kill, engine.restart)):
        leave()
        await _all_unavailable(api, tokens)
        # Longer than callers are remembered: who calls cannot be looked up either, and that is no 401.
        await asyncio.sleep(5)
        await _all_unavailable(api, tokens)
        await asyncio.to_thread(come_back)
        tokens = await _recovered(api, tokens)


async def _all_unavailable(api: Api, tokens: Tokens) -> None:
    for times in (1, 15):
        answers = await asyncio.gather(*(_timely(one) for _ in range(times) for one in _every_verb(api, tokens)))
        for answer in answers:
            assert answer.status == 503, (answer.status, answer.body)
            assert answer.headers["retry-after"].isdigit()
            assert b"active" not in answer.body
    assert (await _timely(api.get("/healthz"))).status == 200
    assert (await _timely(api.get("/readyz"))).status == 503


def _every_verb(api: Api, tokens: Tokens) -> list[Awaitable[Answer]]:
    return [
        api.introspect(tokens.access),
        api.introspect(tokens.refresh),
        api.json("/introspect/batch", {"tokens": [tokens.access, tokens.refresh]}),
        api.wire.ask("GET", "/forward-auth", {"authorization": f"Bearer {tokens.access}"}),
        api.refresh(tokens.refresh),
        api.open("ben"),
        api.form("/revoke", token=tokens.access),
        api.revoke(session_id="s" * 38),
        api.revoke(sub="nobody"),
        api.get("/sessions?sub=ann"),
        api.get(sessions_path(tokens.sid)),
        api.delete("/sessions?sub=nobody"),
    ]


async def _timely(asking: Awaitable[Answer]) -> Answer:
    async with asyncio.timeout(ANSWER_S):
        return await asking


async def _recovered(api: Api, tokens: Tokens) -> Tokens:
    """Everything works again, and nothing was lost. What was asked for meanwhile may have happened."""
    async with asyncio.timeout(RECOVER_S):
        while (await api.get("/readyz")).status != 200 or (await api.introspect(tokens.refresh)).status != 200:
            pass
    again = await api.refreshed(tokens.refresh)
    assert await api.verdicts([again.access, again.refresh]) == ["active", "active"]
    return again
