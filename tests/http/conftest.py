"""One engine and one application for each test module; a module that needs other settings overrides `options`."""

import io
import logging
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import structlog

from quash_service.logs import configure
from tests.engines import RunningEngine, spawn_valkey
from tests.http.support import Service
from tests.service import running_app


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("http")


@pytest.fixture(scope="module")
def options(folder: Path) -> dict[str, Any]:
    """The settings of the module's application."""
    return {}


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[RunningEngine]:
    with spawn_valkey(folder) as running:
        yield running


@pytest.fixture(scope="module")
def logged() -> Iterator[io.StringIO]:
    """All that the service logs, as production writes it, at the lowest level."""
    root, written = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers, root.level
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", written)
        configure("debug")
        logging.getLogger("httpx").setLevel(logging.WARNING)  # the tests' own client
    yield written
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(
    folder: Path, engine: RunningEngine, logged: io.StringIO, options: dict[str, Any]
) -> AsyncIterator[Service]:
    async with running_app(folder, engine.url, **options) as app, Service(app) as running:
        yield running
