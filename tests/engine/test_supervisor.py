"""While the service runs, a dead engine comes back by itself."""

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

from quash_service.engine.connect import connect_blocking
from quash_service.engine.embedded import EmbeddedEngine, Supervisor

Embed = Callable[..., EmbeddedEngine]


class Lines:
    """A log that a test can wait on."""

    def __init__(self) -> None:
        self.all: list[str] = []
        self._came = threading.Condition()

    def __call__(self, line: str) -> None:
        with self._came:
            self.all.append(line)
            self._came.notify_all()

    def wait_for(self, words: str) -> None:
        with self._came:
            assert self._came.wait_for(lambda: any(words in line for line in self.all), timeout=20)


def test_a_killed_engine_is_started_again_with_its_data(embed: Embed) -> None:
    engine, lines = embed(), Lines()
    url = engine.start()
    supervisor = Supervisor(engine, log=lines, every_s=0.02)
    supervisor.start()
    with connect_blocking(url) as client:
        client.set("a", "1")
    first = engine.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    lines.wait_for("started again")
    supervisor.stop()
    assert engine.pid != first
    with connect_blocking(url) as client:
        assert client.get("a") == b"1"


def test_a_stopped_supervisor_starts_nothing(embed: Embed) -> None:
    engine, lines = embed(), Lines()
    engine.start()
    supervisor = Supervisor(engine, log=lines, every_s=0.01)
    supervisor.start()
    supervisor.stop()
    engine.stop()
    assert not engine.alive()
    assert lines.all == []


def test_an_engine_that_cannot_start_is_tried_until_it_can(embed: Embed, data_dir: Path) -> None:
    engine, lines = embed(), Lines()
    engine.start()
    record = data_dir / "engine" / "engine.json"
    remembered = record.read_text()
    supervisor = Supervisor(engine, log=lines, every_s=0.02)
    record.write_text("{")
    assert engine.pid is not None
    os.kill(engine.pid, signal.SIGKILL)
    supervisor.start()
    lines.wait_for("does not start")
    record.write_text(remembered)
    lines.wait_for("started again")
    supervisor.stop()
    assert engine.alive()
