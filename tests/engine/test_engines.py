"""The helper of all other tests: it keeps its URL, and says what is missing."""

import shutil
from pathlib import Path

import pytest
import redis

from quash_service.engine.connect import connect_blocking
from tests.engines import ENGINES, engine_names, require_engine, spawn_valkey


def test_a_durable_engine_keeps_its_url_and_data_over_kill_and_restart(tmp_path: Path) -> None:
    with spawn_valkey(tmp_path, durable=True) as engine, connect_blocking(engine.url) as client:
        client.set("a", "1")
        first, url = engine.pid, engine.url
        engine.kill()
        with pytest.raises(redis.ConnectionError):
            client.ping()
        engine.restart()
        assert (engine.url, client.get("a")) == (url, b"1")
        assert engine.pid != first


def test_a_bad_option_fails_with_the_engines_words(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="no-such-option"):
        spawn_valkey(tmp_path, extra=("--no-such-option", "1"))


def test_a_missing_engine_skips_unless_all_are_promised(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    assert engine_names() == [ENGINES[0]]
    monkeypatch.delenv("QUASH_TEST_ENGINES", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no redis-server"):
        require_engine("redis")
    monkeypatch.setenv("QUASH_TEST_ENGINES", "all")
    with pytest.raises(pytest.fail.Exception, match="promises it"):
        require_engine("redis")
