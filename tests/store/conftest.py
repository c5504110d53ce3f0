from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from quash_service.engine import connect, memory
from tests.engines import ENGINES, RunningEngine, require_engine, spawn_engine
from tests.service import SteeredClock
from tests.store.stage import PATIENCE_S, Stage


@pytest.fixture(scope="module", params=[*ENGINES, "memory"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine | None]:
    """Each engine that scripts must run on; None for the in-process imitation."""
    with ExitStack() as stack:
        if request.param == "memory":
            yield None
            return
        require_engine(request.param)
        folder: Path = tmp_path_factory.mktemp("engine")
        yield stack.enter_context(spawn_engine(request.param, folder))


@pytest.fixture
async def stage(engine: RunningEngine | None) -> AsyncIterator[Stage]:
    client = memory() if engine is None else connect(engine.url, timeout_s=PATIENCE_S)
    try:
        stage = Stage(client, SteeredClock())
        await stage.begin()
        yield stage
    finally:
        await client.aclose()
