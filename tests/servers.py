"""The real service for tests: `with serve(tmp_path) as server: … server.url … server.admin_secret …`.

It is started as a user would start it, on a free loopback port, with its embedded engine under `tmp_path`.
Only what was started here is ended here, by process id.
"""

import json
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from quash_service.engine.embedded import EmbeddedEngine
from quash_service.engine.files import EngineFiles, is_held
from quash_service.engine.process import exists
from tests.engines import free_port

READY_S = 30.0
COMMAND = (sys.executable, "-m", "quash_service")


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this process's environment without any setting of Quash, and with `extra`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("QUASH_", "PROMETHEUS_"))}
    return {**kept, **(extra or {})}


def is_ready(url: str) -> bool:
    """Ask /readyz of a service once."""
    context = ssl._create_unverified_context() if url.startswith("https") else None  # noqa: S323 - a test's own
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=2, context=context) as answer:  # noqa: S310 - http
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


class RunningServer:
    """A `quash serve` of this test run. `url` and `data_dir` stay the same over `restart`."""

    def __init__(self, tmp_path: Path, args: Sequence[str], env: Mapping[str, str], workers: int, port: int) -> None:
        self.data_dir = tmp_path / "data"
        self._log = tmp_path / "service.log"
        self._cwd = tmp_path
        self._env = clean_environment({"QUASH_DATA_DIR": str(self.data_dir), **env})
        self.port = port
        self.url = f"{'https' if '--tls-cert' in args else 'http'}://127.0.0.1:{self.port}"
        self._command = [*COMMAND, "serve", "--port", str(self.port), "--workers", str(workers), *args]
        self._child = self._run()

    @property
    def pid(self) -> int:
        """The process that was started: the service itself, or the parent of its workers."""
        return self._child.pid

    @property
    def admin_secret(self) -> str:
        """The secret of the caller `admin`."""
        return self._env.get("QUASH_ADMIN_SECRET") or (self.data_dir / "admin.secret").read_text().strip()

    @property
    def engine_pid(self) -> int:
        """The process of the embedded engine."""
        return int(json.loads((self.data_dir / "engine" / "engine.json").read_text())["pid"])

    def worker_pids(self) -> list[int]:
        """Return the worker processes, empty with a single process."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        pids = [int(pid) for pid in children.read_text().split()] if children.exists() else []
        return [pid for pid in pids if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]

    def logs(self) -> str:
        """Return all that the service wrote to standard output and error, over restarts."""
        return self._log.read_text(errors="replace")

    def stop(self) -> int:
        """End it in good order (SIGTERM) and return its exit code."""
        self.terminate()
        return self.wait()

    def terminate(self) -> None:
        """Send SIGTERM and do not wait."""
        if self._child.poll() is None:
            self._child.terminate()

    def wait(self) -> int:
        """Wait for the end and return the exit code."""
        return self._child.wait(timeout=READY_S)

    def kill(self) -> None:
        """Kill -9 the started process, as a crash would; the embedded engine of a single process lives on.

        Returns when orphaned workers, which see that by themselves and end the engine, are gone too.
        """
        workers = self.worker_pids()
        if self._child.poll() is None:
            self._child.kill()
        self._child.wait()
        deadline = time.monotonic() + READY_S
        while any(exists(pid) for pid in workers):
            assert time.monotonic() < deadline, f"orphaned workers stay: {workers}"
            time.sleep(0.02)

    def kill_engine(self) -> None:
        """Kill -9 the embedded engine."""
        os.kill(self.engine_pid, signal.SIGKILL)

    def restart(self) -> None:
        """Start it again on the same data and port, after `stop` or `kill`, and wait until it is ready."""
        self._child = self._run()
        self.wait_ready()

    def wait_ready(self) -> None:
        """Wait until /readyz says so; fail with the log if the process ends first."""
        deadline = time.monotonic() + READY_S
        while not self.ready():
            if self._child.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"the service did not start: {self.logs()[-4000:]}")
            time.sleep(0.02)

    def ready(self) -> bool:
        """Ask /readyz once."""
        return is_ready(self.url)

    def __enter__(self) -> Self:
        try:
            self.wait_ready()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _run(self) -> "subprocess.Popen[bytes]":
        with self._log.open("ab") as output:
            return subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._cwd,
                env=self._env,
                start_new_session=True,
            )

    def _end(self) -> None:
        try:
            self.stop()
        finally:
            self.kill()
            if (self.data_dir / "engine" / "engine.json").exists():
                end_engine(self.data_dir)


def serve(
    tmp_path: Path, *args: str, env: Mapping[str, str] | None = None, workers: int = 1, port: int | None = None
) -> RunningServer:
    """Start `quash serve` with further `args` and settings, on a free port; entering the block waits for /readyz."""
    return RunningServer(tmp_path, args, env or {}, workers, port or free_port())


def end_engine(data_dir: Path) -> None:
    """End the embedded engine that a killed service left behind, if it did."""
    if is_held(EngineFiles.under(data_dir).alive_lock):
        engine = EmbeddedEngine(data_dir)
        engine.start()
        engine.stop()
