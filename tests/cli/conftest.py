"""A running service for the tests of one file, and directories for commands without one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import RunningServer, end_engine, serve


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Yield a service that the file's tests share."""
    with serve(tmp_path_factory.mktemp("service")) as running:
        yield running


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    """Yield a data directory that does not exist yet; an engine left in it is ended."""
    place = tmp_path / "data"
    yield place
    if place.exists():
        end_engine(place)
