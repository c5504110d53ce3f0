"""Several programs on one data directory share one engine, whoever of them dies and in whatever moment."""

import fcntl
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from quash_service.engine import process
from quash_service.engine.connect import connect_blocking
from quash_service.engine.embedded import EmbeddedEngine
from quash_service.engine.errors import EngineRefused
from quash_service.engine.files import EngineFiles, exclusive, open_lock
from quash_service.engine.process import exists
from tests.engine.processes import another_service, eventually, read_pid

Embed = Callable[..., EmbeddedEngine]


def test_an_engine_left_by_a_killed_service_is_adopted(embed: Embed, data_dir: Path) -> None:
    with another_service(data_dir) as child:
        left = read_pid(child)
        child.kill()
    assert exists(left)
    engine = embed()
    engine.start()
    assert engine.pid == left
    assert engine.alive()
    engine.stop()
    eventually(lambda: not engine.alive())
    with pytest.raises(redis.ConnectionError), connect_blocking(f"unix://{data_dir}/engine/engine.sock") as client:
        client.ping()


def test_starters_at_the_same_moment_share_one_engine_and_the_last_ends_it(data_dir: Path) -> None:
    with another_service(data_dir) as one, another_service(data_dir) as two, another_service(data_dir) as three:
        pids = {read_pid(child) for child in (one, two, three)}
        assert len(pids) == 1
        one.communicate()
        two.communicate()
        assert exists(pids.pop())
        files = EngineFiles.under(data_dir)
        assert process.ask(files.root / "engine.sock") is not None
        three.communicate()
    assert process.ask(files.root / "engine.sock") is None


def test_an_engine_that_another_user_started_again_is_adopted(embed: Embed) -> None:
    one, two = embed(), embed()
    one.start()
    two.start()
    assert one.pid == two.pid
    assert one.pid is not None
    os.kill(one.pid, signal.SIGKILL)
    eventually(two.ensure)
    assert one.ensure()
    assert one.pid == two.pid
    one.stop()
    assert two.alive()


def test_a_second_engine_is_never_started_beside_one_that_hangs(embed: Embed) -> None:
    engine = embed()
    engine.start()
    assert engine.pid is not None
    os.kill(engine.pid, signal.SIGSTOP)
    try:
        with pytest.raises(EngineRefused, match=f"process {engine.pid} holds the data") as refused:
            embed(patience_s=0.1).start()
    finally:
        os.kill(engine.pid, signal.SIGCONT)
    assert refused.value.code == "engine_silent"


def test_a_lock_held_by_nobody_known_is_never_overrun(embed: Embed, data_dir: Path) -> None:
    lock = open_lock(EngineFiles.under(data_dir).alive_lock)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        with pytest.raises(EngineRefused, match="a process holds the data") as refused:
            embed(patience_s=0.1).start()
    finally:
        os.close(lock)
    assert refused.value.code == "engine_silent"


def test_starting_waits_for_another_start_or_stop(embed: Embed, data_dir: Path) -> None:
    engine = embed()
    starter = threading.Thread(target=engine.start)
    with exclusive(EngineFiles.under(data_dir).start_lock):
        starter.start()
        assert engine.pid is None
    starter.join()
    assert engine.alive()


@pytest.mark.parametrize("moment_s", [0.0, 0.15, 0.2, 0.25, 0.3, 0.35])
def test_a_starter_killed_at_any_moment_of_its_start_is_no_obstacle(
    embed: Embed, data_dir: Path, moment_s: float
) -> None:
    with another_service(data_dir) as child:
        threading.Event().wait(moment_s)
        child.kill()
    engine = embed()
    with connect_blocking(engine.start()) as client:
        assert client.ping()
        assert client.info("server")["process_id"] == engine.pid
    engine.stop()
    assert not engine.alive()
