"""Secret files: private, replaced whole, changed by one process at a time."""

import fcntl
import json
import os
from collections.abc import Callable, Iterator
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
    """Replace a file (0600) so that a reader sees the old or the new one whole, also after a crash.

    One process at a time: the caller holds the lock. What a crash left half written is overwritten.
    """
    fresh = path.with_name(f".{path.name}.new")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w") as file:
        os.fchmod(handle, 0o600)  # whatever the umask, and whoever made what a crash left
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
    """Return a JSON file's document, ``None`` when there is no such file.

    Raises ``OSError``, and ``ValueError`` that names the file and shows nothing of it.
    """
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError):
        raise refused(path, "it is not JSON") from None


def refused(path: Path, why: str) -> ValueError:
    """Return the error for a secret file that cannot be used: its name and what is wrong, never its content."""
    return ValueError(f"{path} cannot be used: {why}; mend it, or restore it from a backup")


class Watched:
    """Follows a file that others replace, at the cost of one ``stat`` a look."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None

    def follow(self, read: Callable[[], None]) -> bool:
        """Call ``read`` if the file is another one than that which was read last; tell whether it was.

        What ``read`` raises passes through, and the file counts as unread. An absent file changes nothing.
        """
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            return False
        now = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        if now == self._seen:
            return False
        read()
        self._seen = now
        return True
