"""Refresh tokens: ``qrt_<sid>.<generation>.<mac>``, opaque to everyone else.

The mac part is one character that names a secret, then base64url(HMAC-SHA256(secret,
"quash-rt" sid generation)). Nothing secret is stored in the state, so a stolen dump of it mints
nothing; junk is refused without looking into it.
"""

import hmac
import json
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from re import compile as pattern

from .files import Watched, locked, read_json, refused, write_private

FILE = "refresh-secrets.json"
PREFIX = "qrt_"
_SECRET_BYTES = 32
_ID = pattern(r"[A-Za-z0-9]")
_FORM = pattern(r"qrt_([A-Za-z0-9_-]{38})\.(0|[1-9][0-9]{0,8})\.([A-Za-z0-9])([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token of good mac, taken apart."""

    sid: str
    generation: int
    secret: str


@dataclass(frozen=True, slots=True)
class UnknownSecret:
    """Made with a secret that this host lacks; another host of the state may have it."""

    secret: str


class RefreshSecrets:
    """The secrets of refresh tokens in a folder, the newest first. Its repr shows none of them."""

    def __init__(self, folder: Path, *, random_bytes: Callable[[int], bytes]) -> None:
        self._folder = folder
        self._random_bytes = random_bytes
        self._watched = Watched(folder / FILE)
        self._secrets: dict[str, bytes] = {}

    def load(self) -> None:
        """Load the secrets, making the first if there is none. Raises ``OSError``, ``ValueError``."""
        with locked(self._folder):
            if read_json(self._folder / FILE) is None:
                secret = b64encode(self._random_bytes(_SECRET_BYTES)).decode()
                write_private(self._folder / FILE, json.dumps({"secrets": [{"id": "a", "secret": secret}]}))
        self.refresh()

    def refresh(self) -> bool:
        """Load again what another process changed; tell whether there was anything.

        Raises ``OSError``, ``ValueError``; then what was known before stays.
        """
        return self._watched.follow(self._read)

    def _read(self) -> None:
        path = self._folder / FILE
        document = read_json(path)
        try:
            rows = [(str(row["id"]), b64decode(row["secret"], validate=True)) for row in document["secrets"]]
        except (KeyError, TypeError, ValueError):
            raise refused(path, 'it is not {"secrets": [{"id", "secret"}, …]}') from None
        if not rows or len(dict(rows)) < len(rows) or not all(_ID.fullmatch(name) for name, _ in rows):
            raise refused(path, "each secret needs an id of its own, one letter or digit")
        if any(len(secret) < _SECRET_BYTES for _, secret in rows):
            raise refused(path, f"a secret is shorter than {_SECRET_BYTES} bytes")
        self._secrets = dict(rows)

    @property
    def newest(self) -> str:
        """The id of the secret for new tokens."""
        return next(iter(self._secrets))

    def fingerprints(self) -> Mapping[str, str]:
        """Return id → fingerprint, by which hosts see whether they have the same secrets."""
        return {
            name: sha256(b"quash-rt-fingerprint" + secret).hexdigest()[:16] for name, secret in self._secrets.items()
        }

    def build(self, sid: str, generation: int, secret: str) -> str:
        """Return the token of a generation. Raises ``KeyError`` for a secret that is not here."""
        return f"{PREFIX}{sid}.{generation}.{secret}{self._mac(sid, str(generation), secret)}"

    def parse(self, token: str) -> RefreshToken | UnknownSecret | None:
        """Take a token apart; ``None`` for junk. Compares the canonical text in constant time."""
        match = _FORM.fullmatch(token)
        if match is None:
            return None
        sid, generation, secret, mac = match.groups()
        if not self._has(secret):
            return UnknownSecret(secret)
        if not hmac.compare_digest(mac, self._mac(sid, generation, secret)):
            return None
        return RefreshToken(sid, int(generation), secret)

    def _has(self, secret: str) -> bool:
        """Look into the file too: another process may have made the secret a moment ago."""
        if secret not in self._secrets:
            with suppress(OSError, ValueError):  # the heartbeat says what is wrong with the file
                self.refresh()
        return secret in self._secrets

    def _mac(self, sid: str, generation: str, secret: str) -> str:
        mac = hmac.digest(self._secrets[secret], f"quash-rt{sid}{generation}".encode(), "sha256")
        return urlsafe_b64encode(mac)[:43].decode()
