"""Refresh tokens: ``qrt_<sid>.<generation>.<mac>``, opaque to everyone else.

The mac part is one character that names a secret, then base64url(HMAC-SHA256(secret,
"quash-rt" sid generation)). Nothing secret is stored in the state, so a stolen dump of it mints
nothing; junk is refused without looking into it.
"""

import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from re import compile as pattern

from . import secret_life
from .files import Watched, locked, read_json, refused, write_private
from .secret_life import Secrets

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
    """The secrets of refresh tokens in a folder, the newest first. Its repr shows none of them.

    Parameters: ``now_s`` the time in epoch seconds, ``rotate_s`` the age at which ``tend`` makes a
    new secret, ``longest_s`` how long a session can live without being refreshed.
    """

    def __init__(
        self,
        folder: Path,
        *,
        random_bytes: Callable[[int], bytes],
        now_s: Callable[[], int],
        rotate_s: int,
        longest_s: int,
    ) -> None:
        self._folder = folder
        self._random_bytes = random_bytes
        self._now_s = now_s
        self._rotate_s = rotate_s
        self._longest_s = longest_s
        self._watched = Watched(folder / FILE)
        self._stored = Secrets()
        self._secrets: dict[str, bytes] = {}

    def load(self) -> None:
        """Load the secrets, making the first if there is none. Raises ``OSError``, ``ValueError``."""
        self._change(lambda secrets: secrets)
        self.refresh()

    def refresh(self) -> bool:
        """Load again what another process changed; tell whether there was anything.

        Raises ``OSError``, ``ValueError``; then what was known before stays.
        """
        return self._watched.follow(lambda: self._take(self._read()))

    def tend(self) -> bool:
        """Make a new secret if the newest is old, drop those whose last token is dead; tell whether any was due.

        The next ``refresh`` takes it over. Raises ``OSError``, ``ValueError``.
        """
        if self._tended(self._stored) == self._stored:
            return False
        self._change(self._tended)
        return True

    def rotate(self) -> str:
        """Make a new secret, whatever the newest one's age, and return its id. Raises as ``tend``."""
        self._change(self._added)
        self.refresh()
        return self._stored.held[0].id

    def drop(self, name: str) -> bool:
        """Forget a secret at once, and with it every session whose token was made with it; tell if it was here.

        Works also before ``load``, and for a secret that only the state knows. Raises as ``tend``.
        """
        found = False

        def edit(secrets: Secrets) -> Secrets:
            nonlocal found
            found = name in {one.id for one in secrets.held}
            return secret_life.without(secrets, frozenset({name}))

        self._change(edit)
        self.refresh()
        return found

    def _tended(self, secrets: Secrets) -> Secrets:
        now_s = self._now_s()
        if secret_life.is_old(secrets, now_s, self._rotate_s):
            secrets = self._added(secrets)
        lapsed = secret_life.lapsed(secrets, now_s, self._longest_s)
        return secret_life.without(secrets, lapsed) if lapsed else secrets

    def _added(self, secrets: Secrets) -> Secrets:
        return secret_life.added(secrets, self._random_bytes(secret_life.SECRET_BYTES), self._now_s())

    def _change(self, edit: Callable[[Secrets], Secrets]) -> None:
        with locked(self._folder):
            before = self._read()
            after = edit(before)
            if not after.held:
                after = self._added(after)
            if after != before:
                write_private(self._folder / FILE, json.dumps(secret_life.document(after), indent=1))

    def _read(self) -> Secrets:
        path = self._folder / FILE
        document = read_json(path)
        if document is None:
            return Secrets()
        try:
            return secret_life.read(document)
        except ValueError as error:
            raise refused(path, str(error)) from None

    def _take(self, secrets: Secrets) -> None:
        self._stored = secrets
        self._secrets = {one.id: one.secret for one in secrets.held}

    @property
    def newest(self) -> str:
        """The id of the secret for new tokens, by the file as it is now: one that was dropped makes none."""
        self._follow()
        return secret_life.making(self._stored, self._now_s()).id

    @property
    def dropped(self) -> tuple[str, ...]:
        """The ids that no host of the state needs to have any more."""
        return self._stored.dropped

    def listed(self) -> list[tuple[str, int | None, int | None]]:
        """Return each secret's id, since when it is there and when it goes by itself (epoch s; ``None``: unknown)."""
        return [
            (one.id, one.since or None, secret_life.lapses_at(self._stored, one.id, self._longest_s))
            for one in self._stored.held
        ]

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
        self._follow()
        if secret not in self._secrets:
            return None if secret in self._stored.dropped else UnknownSecret(secret)
        if not hmac.compare_digest(mac, self._mac(sid, generation, secret)):
            return None
        return RefreshToken(sid, int(generation), secret)

    def _follow(self) -> None:
        """One ``stat``: another process may have made a secret, or dropped one, a moment ago."""
        with suppress(OSError, ValueError):  # the heartbeat says what is wrong with the file
            self.refresh()

    def _mac(self, sid: str, generation: str, secret: str) -> str:
        mac = hmac.digest(self._secrets[secret], f"quash-rt{sid}{generation}".encode(), "sha256")
        return urlsafe_b64encode(mac)[:43].decode()
