"""First start: the data directory, keys, refresh secrets, and the secret of the caller ``admin``."""

from collections.abc import Callable
from pathlib import Path

from .callers import digest, is_digest, new_secret
from .settings import Settings
from .tokens.files import locked, write_private

ADMIN_DIGEST = "admin.sha256"
ADMIN_SECRET = "admin.secret"  # noqa: S105 - a file's name

Announce = Callable[[str], None]


def make_private(folder: Path) -> None:
    """Make a directory that only its owner may enter."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def keep_in_file(settings: Settings) -> Announce:
    """Return a way to hand over the admin's secret where there is no terminal: ``admin.secret`` (0600)."""
    return lambda secret: write_private(settings.data_dir / ADMIN_SECRET, secret + "\n")


def admin_digest(settings: Settings, *, random_bytes: Callable[[int], bytes], announce: Announce) -> str:
    """Return the SHA-256 of the admin's secret: from the environment, or the keys folder, or a new one.

    A new secret is announced once, and only its digest is kept. Raises ``OSError``, and ``ValueError``
    for a kept digest that is none.
    """
    if settings.admin_secret is not None:
        return digest(settings.admin_secret.get_secret_value())
    path = settings.keys_folder / ADMIN_DIGEST
    with locked(settings.keys_folder):
        if path.exists():
            return _kept(path)
        secret = new_secret(random_bytes)
        announce(secret)
        write_private(path, digest(secret) + "\n")
    return digest(secret)


def _kept(path: Path) -> str:
    text = path.read_bytes().decode("ascii", "replace").strip()
    if not is_digest(text):
        raise ValueError(f"{path} is no SHA-256 in hex: set QUASH_ADMIN_SECRET, or remove the file for a new secret")
    return text
