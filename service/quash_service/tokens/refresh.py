"""Refresh tokens: ``qrt_<sid>.<generation>.<mac>``, opaque to everyone else.

The mac part is one character that names a secret, then base64url(HMAC-SHA256(secret,
"quash-rt" sid generation)). Nothing secret is stored in the state, so a stolen dump of it mints
nothing; junk is refused without looking into it.
"""

import hmac
import json
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from re import compile as pattern

from .files import Watched, locked, read_json, write_private

FILE = "refresh-secrets.json"
PREFIX = "qrt_"
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
                secret = b64encode(self._random_bytes(32)).decode()
                write_private(self._folder / FILE, json.dumps({"secrets": [{"id": "a", "secret": secret}]}))
        self.refresh()

    def refresh(self) -> bool:
        """Load again what another process changed; tell whether there was anything."""
        if not self._watched.changed():
            return False
        rows = read_json(self._folder / FILE)["secrets"]
        self._secrets = {row["id"]: b64decode(row["secret"]) for row in rows}
        return True

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
        if secret not in self._secrets:
            return UnknownSecret(secret)
        if not hmac.compare_digest(mac, self._mac(sid, generation, secret)):
            return None
        return RefreshToken(sid, int(generation), secret)

    def _mac(self, sid: str, generation: str, secret: str) -> str:
        mac = hmac.digest(self._secrets[secret], f"quash-rt{sid}{generation}".encode(), "sha256")
        return urlsafe_b64encode(mac)[:43].decode()
