"""The files of an embedded engine: where they are, and what is remembered between starts."""

import fcntl
import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from quash_service.engine.binary import EngineVersion
from quash_service.engine.errors import EngineRefused

# sun_path holds 107 bytes and a final zero on Linux, 103 on macOS: the smaller one everywhere.
SOCKET_PATH_LIMIT = 103


@dataclass(frozen=True, slots=True)
class Record:
    """What `engine.json` remembers: who wrote the data last, as which process, on which socket."""

    version: EngineVersion
    pid: int
    socket: Path


@dataclass(frozen=True, slots=True)
class EngineFiles:
    """All paths of one embedded engine, in `engine/` under the data directory."""

    root: Path

    @classmethod
    def under(cls, data_dir: Path) -> "EngineFiles":
        """Make the directories (0700) and return their paths."""
        files = cls(data_dir.resolve() / "engine")
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        files.root.mkdir(mode=0o700, exist_ok=True)
        return files

    @property
    def start_lock(self) -> Path:
        """Held exclusively by whoever starts or stops the engine, while it does."""
        return self.root / "start.lock"

    @property
    def users_lock(self) -> Path:
        """Held shared by every user; who gets it exclusively is the last one."""
        return self.root / "users.lock"

    @property
    def alive_lock(self) -> Path:
        """Held by the engine process itself, which inherits it: free means that it is dead."""
        return self.root / "alive.lock"

    @property
    def log(self) -> Path:
        """The engine's own log."""
        return self.root / "engine.log"

    def socket(self) -> Path:
        """Choose the path of the unix socket, in a short private directory if the data directory is too deep."""
        near = self.root / "engine.sock"
        if len(os.fsencode(near)) <= SOCKET_PATH_LIMIT:
            return near
        name = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:16]
        return _private_directory(Path(tempfile.gettempdir()) / f"quash-{name}") / "engine.sock"

    def read(self) -> Record | None:
        """Return what the last start remembered; None on the first one.

        Raises EngineRefused (`engine_record_unreadable`) if the file is damaged.
        """
        path = self.root / "engine.json"
        try:
            stored = json.loads(path.read_text())
            major, minor, patch = stored["version"]
            version = EngineVersion(str(stored["family"]), (int(major), int(minor), int(patch)))
            return Record(version, int(stored["pid"]), Path(stored["socket"]))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise EngineRefused(
                "engine_record_unreadable",
                f"{path} is damaged, so it is not known which engine wrote the data beside it: restore that file "
                "from a backup, or remove it if you are sure that the installed engine is at least as new",
            ) from error

    def write(self, record: Record) -> None:
        """Remember `record`, replacing the file in one step so that a crash leaves the old or the new one."""
        stored = {
            "family": record.version.family,
            "version": record.version.version,
            "pid": record.pid,
            "socket": str(record.socket),
        }
        path, draft = self.root / "engine.json", self.root / "engine.json.new"
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(stored, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)

    def log_tail(self, lines: int = 5) -> str:
        """Return the last lines of the engine's log, for a refusal."""
        try:
            return " | ".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""


def open_lock(path: Path) -> int:
    """Open a lock file (0600) and return its descriptor, which child processes do not inherit."""
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def try_lock(descriptor: int, operation: int) -> bool:
    """Take `operation` (LOCK_SH or LOCK_EX) without waiting; say whether it was free."""
    try:
        fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock file `path` exclusively, waiting for it."""
    descriptor = open_lock(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Say whether another process holds the lock file `path` exclusively."""
    descriptor = open_lock(path)
    try:
        return not try_lock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _private_directory(path: Path) -> Path:
    # The temp directory is shared: another user may have been here first, to read what we send.
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise EngineRefused(
            "socket_directory_unsafe",
            f"{path} is needed for the engine's socket but is not a directory that only you may enter: "
            "remove it, or choose a data directory with a shorter path (QUASH_DATA_DIR)",
        )
    return path
