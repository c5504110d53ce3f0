"""Throw-away real engines for tests: `with spawn_valkey(tmp_path) as engine: … engine.url …`.

They are fast (nothing is written to disk) unless `durable=True`, and speak on a unix socket unless `port=True`.
QUASH_TEST_ENGINES=all makes a missing engine a failure; otherwise the test is skipped, saying so.
"""

import atexit
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from quash_service.engine.binary import find_binary

ENGINES = ("valkey", "redis")
_READY_S = 20.0


class RunningEngine:
    """A server process of this test run. `url` stays the same over `restart`."""

    def __init__(self, binary: Path, directory: Path, options: Sequence[str], *, port: bool) -> None:
        self._directory = directory
        # pytest's directories are often too long for a socket's path.
        self._sockets = Path(tempfile.mkdtemp(prefix="q-", dir="/tmp"))
        place, self.url = self._place(port=port)
        self._command = [str(binary), *place, "--dir", str(directory), *options]
        self._child = self._run()
        atexit.register(self.stop)

    @property
    def pid(self) -> int:
        return self._child.pid

    def stop(self) -> None:
        """End it in good order and remove its socket."""
        self.resume()
        self._child.terminate()
        self._gone()
        shutil.rmtree(self._sockets, ignore_errors=True)

    def kill(self) -> None:
        """Kill -9, as a crash would."""
        if self._child.poll() is None:
            self._child.kill()
        self._gone()

    def restart(self) -> None:
        """Start it again on the same data and the same URL, after `kill` or instead of it."""
        self.kill()
        self._sockets.mkdir(exist_ok=True)
        self._child = self._run()

    def pause(self) -> None:
        """Freeze it: connections are accepted by the kernel, and nobody answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """End a pause."""
        self._signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _place(self, *, port: bool) -> tuple[list[str], str]:
        if not port:
            path = self._sockets / "e.sock"
            return ["--port", "0", "--unixsocket", str(path)], f"unix://{path}"
        number = str(free_port())
        return ["--port", number, "--bind", "127.0.0.1"], f"redis://127.0.0.1:{number}/0"

    def _run(self) -> "subprocess.Popen[bytes]":
        with (self._directory / "engine.out").open("ab") as output:
            child = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        self._await(child)
        return child

    def _await(self, child: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + _READY_S
        client = redis.Redis.from_url(self.url, socket_timeout=1, retry=Retry(NoBackoff(), 0))
        with client:
            while not _answers(client):
                if child.poll() is not None or time.monotonic() > deadline:
                    child.kill()
                    child.wait()
                    said = (self._directory / "engine.out").read_text(errors="replace")[-2000:]
                    raise AssertionError(f"the engine did not start: {said}")
                time.sleep(0.01)

    def _signal(self, number: signal.Signals) -> None:
        if self._child.poll() is None:
            os.kill(self._child.pid, number)

    def _gone(self) -> None:
        # SIGKILL ends a paused process too.
        try:
            self._child.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()


def spawn_valkey(
    tmp_path: Path, *, extra: Sequence[str] = (), port: bool = False, durable: bool = False
) -> RunningEngine:
    """Start the Valkey that Quash installs, with `extra` options such as `("--requirepass", "x")`."""
    require_engine("valkey")
    return _spawn(find_binary().path, tmp_path, extra, port=port, durable=durable)


def spawn_redis(
    tmp_path: Path, *, extra: Sequence[str] = (), port: bool = False, durable: bool = False
) -> RunningEngine:
    """Start the `redis-server` of the system."""
    require_engine("redis")
    return _spawn(Path(shutil.which("redis-server") or ""), tmp_path, extra, port=port, durable=durable)


def spawn_engine(
    name: str, tmp_path: Path, *, extra: Sequence[str] = (), port: bool = False, durable: bool = False
) -> RunningEngine:
    """Start the engine called `name`, for tests that run on each of `ENGINES`."""
    spawn = {"valkey": spawn_valkey, "redis": spawn_redis}[name]
    return spawn(tmp_path, extra=extra, port=port, durable=durable)


def engine_names() -> list[str]:
    """Return which of `ENGINES` are on this machine."""
    present = {"valkey": find_binary().version.family == "valkey", "redis": shutil.which("redis-server") is not None}
    return [name for name in ENGINES if present[name]]


def require_engine(name: str) -> None:
    """Skip the test if the engine is missing; fail it where all engines are promised."""
    if name in engine_names():
        return
    words = f"no {name}-server on this machine"
    if os.environ.get("QUASH_TEST_ENGINES") == "all":
        pytest.fail(f"{words}, and QUASH_TEST_ENGINES=all promises it")
    pytest.skip(words)


def free_port() -> int:
    """Return a port of the loopback interface that was free a moment ago."""
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _spawn(binary: Path, tmp_path: Path, extra: Sequence[str], *, port: bool, durable: bool) -> RunningEngine:
    directory = Path(tempfile.mkdtemp(prefix="engine-", dir=tmp_path))
    written = ["--appendonly", "yes", "--appendfsync", "always"] if durable else ["--appendonly", "no"]
    return RunningEngine(binary, directory, ["--save", "", *written, *extra], port=port)


def _answers(client: "redis.Redis") -> bool:
    try:
        client.ping()
    except redis.AuthenticationError:
        return True
    except (redis.RedisError, OSError):
        return False
    return True
