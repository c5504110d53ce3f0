"""A service on an engine of its own, for the tests that need no other shape of it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.engines import RunningEngine, spawn_valkey
from tests.faults.api import Api, talking
from tests.servers import serve


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[RunningEngine]:
    with spawn_valkey(tmp_path) as running:
        yield running


@pytest.fixture
async def api(tmp_path: Path, engine: RunningEngine) -> AsyncIterator[Api]:
    settings = {"QUASH_LOG_LEVEL": "error", "QUASH_DURABILITY": "memory", "QUASH_REDIS_URL": engine.url}
    with serve(tmp_path, env=settings) as server:
        async with talking(server.url, server.admin_secret) as speaking:
            yield speaking
