"""Settings are read from a clean environment, in a directory without a quash.toml; an engine for those who want one."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from quash_service.engine import connect
from tests.engines import RunningEngine, spawn_valkey


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.upper().startswith("QUASH_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    """Yield an engine that the file's tests share."""
    folder: Path = tmp_path_factory.mktemp("engine")
    with spawn_valkey(folder) as running:
        yield running


@pytest.fixture
async def client(engine: RunningEngine) -> AsyncIterator[Any]:
    """Yield a client of that engine, emptied."""
    opened = connect(engine.url)
    await opened.flushall()
    yield opened
    await opened.aclose()
