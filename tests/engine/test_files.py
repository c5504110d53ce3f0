"""Where the engine's files are, and what is done about paths that are too long or not ours."""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from quash_service.engine.connect import connect_blocking
from quash_service.engine.embedded import EmbeddedEngine
from quash_service.engine.errors import EngineRefused
from quash_service.engine.files import SOCKET_PATH_LIMIT, EngineFiles

Embed = Callable[..., EmbeddedEngine]


@pytest.fixture
def short_temp(monkeypatch: pytest.MonkeyPatch, data_dir: Path) -> Path:
    """Make the temp directory one of the test's own."""
    path = data_dir.parent / "t"
    path.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(path))
    return path


def deep(data_dir: Path) -> Path:
    return data_dir / ("d" * 60) / ("e" * 60)


@pytest.mark.parametrize("name", ["plain", "with space", "per%cent", "que?stion#mark", "ünïcode", "quo'te\"s"])
def test_any_name_of_a_data_directory_works(data_dir: Path, name: str) -> None:
    engine = EmbeddedEngine(data_dir / name)
    try:
        with connect_blocking(engine.start()) as client:
            assert client.ping()
    finally:
        engine.stop()


def test_a_path_too_long_for_a_socket_gets_one_in_a_private_temp_directory(data_dir: Path, short_temp: Path) -> None:
    engine = EmbeddedEngine(deep(data_dir))
    try:
        url = engine.start()
        assert url.startswith(f"unix://{short_temp}/quash-")
        (private,) = short_temp.iterdir()
        assert private.stat().st_mode & 0o777 == 0o700
        with connect_blocking(url) as client:
            assert client.ping()
    finally:
        engine.stop()


def test_another_temp_directory_still_finds_the_running_engine(
    data_dir: Path, short_temp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = EmbeddedEngine(deep(data_dir)), EmbeddedEngine(deep(data_dir))
    try:
        url = one.start()
        monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
        assert two.start() == url
        assert two.pid == one.pid
    finally:
        two.stop()
        one.stop()


@pytest.mark.parametrize("obstacle", ["link", "open"])
def test_a_temp_directory_that_others_may_enter_is_refused(data_dir: Path, short_temp: Path, obstacle: str) -> None:
    files = EngineFiles.under(deep(data_dir))
    private = files.socket().parent
    shutil.rmtree(private)
    if obstacle == "link":
        private.symlink_to(data_dir)
    else:
        private.mkdir()
        private.chmod(0o755)
    with pytest.raises(EngineRefused, match="only you may enter") as refused:
        EmbeddedEngine(deep(data_dir)).start()
    assert refused.value.code == "socket_directory_unsafe"


def test_the_longest_near_socket_path_is_used_as_it_is(data_dir: Path) -> None:
    room = SOCKET_PATH_LIMIT - len(os.fsencode(data_dir / "x" / "engine" / "engine.sock")) + 1
    engine = EmbeddedEngine(data_dir / ("x" * room))
    try:
        url = engine.start()
        assert url == f"unix://{data_dir}/{'x' * room}/engine/engine.sock"
        assert len(url.removeprefix("unix://")) == SOCKET_PATH_LIMIT
    finally:
        engine.stop()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": [1]}', '{"family": "valkey", "version": [1, 2, "x"]}'])
def test_a_damaged_record_is_refused_not_guessed(data_dir: Path, text: str) -> None:
    files = EngineFiles.under(data_dir)
    (files.root / "engine.json").write_text(text)
    with pytest.raises(EngineRefused, match="is damaged") as refused:
        files.read()
    assert refused.value.code == "engine_record_unreadable"


def test_a_missing_log_is_an_empty_tail(data_dir: Path) -> None:
    assert EngineFiles.under(data_dir).log_tail() == ""
