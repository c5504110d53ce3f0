"""A real Valkey in the data directory, run by the service itself (DESIGN §10).

Several programs may use one engine: the service and a command line beside it. Each holds `users.lock` shared;
whoever stops and gets it exclusively was the last one and ends the engine. A service killed with -9 leaves its
engine running, with every acknowledged write on disk; the next start adopts it.
"""

import contextlib
import fcntl
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from quash_service.engine.binary import Binary, find_binary
from quash_service.engine.errors import EngineRefused
from quash_service.engine.files import EngineFiles, Record, exclusive, is_held, open_lock, try_lock
from quash_service.engine.process import Answer, ask, exists, signal_engine, spawn

Log = Callable[[str], None]

_POLL_S = 0.01
_PROGRESS_S = 1.0
_SLOWEST_S = 2.0
_log_line: Log = logging.getLogger("quash.engine").info


class EmbeddedEngine:
    """One user of the engine in `data_dir`; all methods block and may be called from any thread.

    `log` gets a line for a person now and then, `patience_s` is how long a silent engine is waited for
    (a loading one is waited for without end).
    """

    def __init__(self, data_dir: Path, *, log: Log = _log_line, patience_s: float = 30.0) -> None:
        """Remember where; nothing is touched before `start`."""
        self._data_dir = data_dir
        self._log = log
        self._patience_s = patience_s
        self._membership: int | None = None
        self._pid: int | None = None
        self._one_at_a_time = threading.RLock()

    @property
    def pid(self) -> int | None:
        """The engine's process id, None before `start` and after `stop`."""
        return self._pid

    def start(self) -> str:
        """Adopt the living engine of this data directory or spawn one, and return its `unix://` URL once it is ready.

        Raises EngineRefused (`engine_missing`, `engine_older`, `engine_died`, `engine_silent`,
        `engine_record_unreadable`, `socket_directory_unsafe`).
        """
        files = EngineFiles.under(self._data_dir)
        with self._one_at_a_time, exclusive(files.start_lock):
            joined = self._membership is None
            self._join(files)
            try:
                record = self._adopt(files) or self._spawn(files)
            except BaseException:
                if joined:
                    self._leave()
                raise
            self._pid = record.pid
        return f"unix://{quote(str(record.socket))}"

    def alive(self) -> bool:
        """Say whether the engine's process is there (not whether it answers)."""
        held = is_held(EngineFiles.under(self._data_dir).alive_lock)
        return held and self._pid is not None and exists(self._pid)

    def ensure(self) -> bool:
        """Start the engine again if it died between `start` and `stop`; say whether that was needed."""
        with self._one_at_a_time:
            if self._membership is None or self.alive():
                return False
            self.start()
            return True

    def stop(self) -> None:
        """Leave the engine, and end it if nobody else uses it; it has written everything when this returns."""
        files = EngineFiles.under(self._data_dir)
        with self._one_at_a_time, exclusive(files.start_lock):
            if self._membership is None:
                return
            if try_lock(self._membership, fcntl.LOCK_EX):
                self._end(files)
            self._leave()

    def _join(self, files: EngineFiles) -> None:
        if self._membership is None:
            self._membership = open_lock(files.users_lock)
            fcntl.flock(self._membership, fcntl.LOCK_SH)

    def _leave(self) -> None:
        if self._membership is not None:
            os.close(self._membership)
        self._membership = self._pid = None

    def _adopt(self, files: EngineFiles) -> Record | None:
        record = files.read()
        if record is None or not is_held(files.alive_lock):
            return None
        answer = self._wait(files, record)
        if answer is None:
            return None
        found = Record(record.version, answer.pid, record.socket)
        files.write(found)
        self._log(f"sharing the engine that already runs here ({record.version}, process {answer.pid})")
        return found

    def _spawn(self, files: EngineFiles) -> Record:
        binary, before = find_binary(), files.read()
        if before is not None and not binary.version.reads(before.version):
            raise EngineRefused(
                "engine_older",
                f"the data in {files.root} was written by {before.version} and {binary.version} ({binary.path}) "
                f"may not read it: install {before.version} or a newer {before.version.family}, or choose another "
                "QUASH_DATA_DIR",
            )
        socket = files.socket()
        # Remembered before it can write anything; its process id follows.
        files.write(Record(binary.version, 0, socket))
        record = Record(binary.version, self._run(binary, files, socket), socket)
        files.write(record)
        if self._wait(files, record) is None:
            raise EngineRefused(
                "engine_died",
                f"the embedded engine ({binary.path}) ended while it started. The end of {files.log}: "
                f"{files.log_tail() or '(empty)'}",
            )
        self._log(f"started the embedded engine ({binary.version}, process {record.pid})")
        return record

    def _run(self, binary: Binary, files: EngineFiles, socket: Path) -> int:
        """Spawn the engine and return its process id, trying again while somebody looks at the lock."""
        deadline = time.monotonic() + self._patience_s
        while (pid := spawn(binary, files, socket)) is None:
            if time.monotonic() > deadline:
                raise _silent(files, Record(binary.version, 0, socket))
            time.sleep(_POLL_S)
        return pid

    def _wait(self, files: EngineFiles, record: Record) -> Answer | None:
        """Wait until the engine has read its data; None if it is dead."""
        deadline = time.monotonic() + self._patience_s
        spoken = time.monotonic()
        while is_held(files.alive_lock):
            answer = ask(record.socket)
            if answer is not None and _same(answer.directory, files.root):
                if answer.loaded is None:
                    return answer
                deadline = time.monotonic() + self._patience_s
                if time.monotonic() - spoken > _PROGRESS_S:
                    spoken = time.monotonic()
                    self._log(f"the embedded engine reads its data: {answer.loaded}")
            elif record.pid and not exists(record.pid):
                # Killed while a child of it was rewriting the AOF: that child still holds the lock, for nothing.
                signal_engine(record.pid, signal.SIGKILL)
            elif time.monotonic() > deadline:
                raise _silent(files, record)
            time.sleep(_POLL_S)
        return None

    def _end(self, files: EngineFiles) -> None:
        record = files.read()
        if record is None or not record.pid or not is_held(files.alive_lock):
            return
        signal_engine(record.pid, signal.SIGTERM)
        deadline = time.monotonic() + self._patience_s
        while is_held(files.alive_lock):
            if time.monotonic() > deadline or not exists(record.pid):
                # Safe: what it acknowledged is on disk.
                signal_engine(record.pid, signal.SIGKILL)
            time.sleep(_POLL_S)


class Supervisor:
    """A thread that starts the engine again when it died, while the service runs."""

    def __init__(self, engine: EmbeddedEngine, *, log: Log = _log_line, every_s: float = 0.2) -> None:
        """Watch `engine`, which was started, every `every_s` seconds."""
        self._engine = engine
        self._log = log
        self._every_s = every_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="quash-engine-supervisor", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it; to be called before the engine is stopped."""
        self._stopping.set()
        self._thread.join()

    def _watch(self) -> None:
        pause_s = self._every_s
        while not self._stopping.wait(pause_s):
            try:
                if self._engine.ensure():
                    self._log("the embedded engine had died and was started again")
                pause_s = self._every_s
            except (EngineRefused, OSError) as error:
                # Slower, so that the log stays readable while somebody mends it.
                pause_s = min(pause_s * 2, _SLOWEST_S)
                self._log(f"the embedded engine died and does not start: {error}")


def _same(one: Path, other: Path) -> bool:
    with contextlib.suppress(OSError):
        return one.samefile(other)
    return False


def _silent(files: EngineFiles, record: Record) -> EngineRefused:
    who = f"process {record.pid}" if record.pid else "a process"
    return EngineRefused(
        "engine_silent",
        f"{who} holds the data in {files.root} but does not answer on {record.socket}: "
        "look at it, and if it hangs end it with kill -9 and start again; no acknowledged write is lost by that",
    )
