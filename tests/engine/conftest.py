"""Short directories, and engines that are ended with the test that started them."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from quash_service.engine.embedded import EmbeddedEngine
from tests.engines import ENGINES, RunningEngine, require_engine, spawn_engine

Embed = Callable[..., EmbeddedEngine]
Spawn = Callable[..., RunningEngine]


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """Yield a short path that does not exist yet."""
    parent = Path(tempfile.mkdtemp(prefix="q-", dir="/tmp"))
    yield parent / "data"
    shutil.rmtree(parent, ignore_errors=True)


@pytest.fixture
def embed(data_dir: Path) -> Iterator[Embed]:
    """Yield a maker of engine users on `data_dir`; those left are stopped."""
    made: list[EmbeddedEngine] = []

    def make(**options: object) -> EmbeddedEngine:
        made.append(EmbeddedEngine(data_dir, **options))  # type: ignore[arg-type]  # keyword arguments by name are loose
        return made[-1]

    yield make
    for engine in made:
        engine.stop()


@pytest.fixture(params=ENGINES)
def engine_name(request: pytest.FixtureRequest) -> str:
    """Run the test once on each kind of engine."""
    name = str(request.param)
    require_engine(name)
    return name


@pytest.fixture
def spawn(engine_name: str, tmp_path: Path) -> Iterator[Spawn]:
    """Yield a spawner of throw-away engines of the kind under test."""
    with ExitStack() as stack:

        def run(*extra: str, port: bool = False, durable: bool = True) -> RunningEngine:
            return stack.enter_context(spawn_engine(engine_name, tmp_path, extra=extra, port=port, durable=durable))

        yield run
