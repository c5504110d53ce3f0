"""What a benchmark starts and ends: servers on one core, load on the other."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SERVER_CORE, LOAD_CORE = "0", "1"
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Server:
    """A server under test."""

    name: str
    url: str
    pid: int

    def cpu_s(self) -> float:
        """Return the processor seconds that it has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS


def free_port() -> int:
    """Return a loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(
    name: str, command: Sequence[str], *, port: int, env: Mapping[str, str], path: str = "/"
) -> Iterator[Server]:
    """Run a server on its core until the end of the block; it is there once `path` answers."""
    child = subprocess.Popen(
        ["taskset", "-c", SERVER_CORE, sys.executable, *command],
        env={**os.environ, **env},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        _await(url + path, child)
        yield Server(name, url, child.pid)
    finally:
        child.terminate()
        child.wait(timeout=30)


def _await(url: str, child: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(url, timeout=1):  # noqa: S310 - our own loopback server
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            if child.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"the server behind {url} did not start") from None
            time.sleep(0.05)
