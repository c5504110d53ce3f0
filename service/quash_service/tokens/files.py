"""Secret files: private, replaced whole, changed by one process at a time."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, making the folder (0700) first. Raises ``OSError``."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def write_private(path: Path, text: str) -> None:
    """Replace a file (0600) so that a reader sees the old or the new one whole, also after a crash."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_json(path: Path) -> Any:  # noqa: ANN401 - the caller knows its document
    """Return a JSON file's document, ``None`` when there is no such file. Raises ``ValueError``."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return None
    return json.loads(text)


class Watched:
    """Tells when a file was replaced since the last look, at the cost of one ``stat``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None

    def changed(self) -> bool:
        """Tell whether the file is another one than at the last call."""
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            return False
        now = (stat.st_ino, stat.st_mtime_ns)
        before, self._seen = self._seen, now
        return before != now
