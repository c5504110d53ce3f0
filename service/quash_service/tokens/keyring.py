"""Our signing keys in their file, read by all workers and hosts of a state; ``life`` says what becomes of them."""

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jwt.exceptions import PyJWTError

from quash.errors import Unavailable
from quash.keys import Key, key_from_jwk

from . import life
from .files import Watched, locked, read_json, refused, write_private
from .life import ACTIVE, RETIRED, REVOKED, Jwk, Keys, Make, StoredKey, Terms
from .signer import SHARED, LocalSigner, Signer, check_external, new_key

FILE = "signing-keys.json"


@dataclass(frozen=True, slots=True)
class Rotated:
    """The next key signs now; this is its ``kid``."""

    kid: str


@dataclass(frozen=True, slots=True)
class TooEarly:
    """The next key was not published long enough; it may sign from ``ready_at`` (epoch s)."""

    ready_at: int


@dataclass(frozen=True, slots=True)
class SignedElsewhere:
    """An external signer signs: it is rotated by starting the service with another one."""


class Keyring:
    """The signing keys in a folder, shared by all workers and hosts of a state.

    Parameters: ``algorithm`` for keys that must be made, ``now_s`` the time in epoch seconds,
    ``tends`` whether this process serves and so does what ``terms`` say is due (a command may run
    with other settings than the service, so it leaves alone what it was not asked to change),
    ``external`` a signer whose key is not in the folder.
    """

    def __init__(
        self,
        folder: Path,
        *,
        issuer: str,
        algorithm: str,
        now_s: Callable[[], int],
        terms: Terms,
        tends: bool,
        external: Signer | None = None,
    ) -> None:
        self._folder = folder
        self._issuer = issuer
        self._algorithm = algorithm
        self._now_s = now_s
        self._terms = terms
        self._tends = tends
        self._external = external
        self._watched = Watched(folder / FILE)
        self._local: dict[str, tuple[Jwk, LocalSigner]] = {}
        self._signer: Signer | None = None
        self.stored: Keys = ()
        self.keys: tuple[Key, ...] = ()
        self.jwks: Mapping[str, object] = {}

    def signer(self) -> Signer:
        """Return the active key's signer; one ``stat`` sees at once that another process promoted a key.

        Raises ``Unavailable`` when the external signer's key was revoked.
        """
        self._follow()
        if self._signer is None:
            raise Unavailable(evidence={"signer": "key_revoked"})
        return self._signer

    def verifying(self) -> tuple[Key, ...]:
        """Return all keys as the file has them by now: another worker may just have signed with a new one."""
        self._follow()
        return self.keys

    def published(self) -> Mapping[str, object]:
        """Return the JWKS as the file has it by now, the same from every worker."""
        self._follow()
        return self.jwks

    def load(self) -> None:
        """Load the keys, making the first two if there are none. Raises ``OSError``, ``ValueError``."""
        if self._external is not None:
            check_external(self._external, self._issuer)
        self._change(self._started)

    def refresh(self) -> bool:
        """Load again what another process changed; tell whether there was anything.

        Raises ``OSError``, ``ValueError``; then the keys that were known before stay.
        """
        return self._watched.follow(lambda: self._take(self._read()))

    async def tend(self) -> str | None:
        """Do what is due by now; return the new active key's ``kid`` if there was a rotation.

        Raises ``OSError``, ``ValueError``.
        """
        self.refresh()
        if not self._tends or not life.is_due(self.stored, self._now_s(), self._terms):
            return None
        # Beside the loop: an RSA key takes a second, and requests are waiting.
        prepared = iter([await asyncio.to_thread(new_key, self._algorithm)])
        before = life.find(self.stored, ACTIVE)

        def edit(keys: Keys, now_s: int, make: Make) -> Keys:
            # Looked at again under the lock: another process may have done it meanwhile.
            return life.tended(keys, now_s, self._terms, lambda: next(prepared, None) or make())

        self._change(edit)
        after = life.find(self.stored, ACTIVE)
        return after.kid if after is not None and before is not None and after.kid != before.kid else None

    def rotate(self, *, force: bool) -> Rotated | TooEarly | SignedElsewhere:
        """Let the next key sign, if it was published long enough or at once by ``force``."""
        outcome: Rotated | TooEarly | SignedElsewhere = SignedElsewhere()

        def edit(keys: Keys, now_s: int, make: Make) -> Keys:
            nonlocal outcome
            keys = life.complete(keys, now_s, make)
            following, ready = life.find(keys, life.NEXT), life.ready_at(keys)
            if following is None or ready is None:
                return keys
            if now_s < ready and not force:
                outcome = TooEarly(ready)
                return keys
            outcome = Rotated(following.kid)
            return life.rotate(keys, now_s, make)

        self._change(edit)
        return outcome

    def revoke(self, tag: str) -> bool:
        """Mark the key ``tag`` revoked and promote the next one if it was active; tell whether it is ours."""
        self.refresh()
        if tag not in {key.tag for key in self.keys}:
            return False
        kids = frozenset(one.kid for one in self.stored if self._public(one).tag == tag)
        self._change(lambda keys, now_s, make: life.complete(life.revoked(keys, kids, now_s), now_s, make))
        return True

    def revoked(self) -> Mapping[str, int]:
        """Return the tags of the keys that were revoked, and since when (epoch s)."""
        return {self._public(one).tag: one.since for one in self.stored if one.state == REVOKED}

    def kid_of(self, tag: str) -> str:
        """Return the ``kid`` of one of our keys. Raises ``StopIteration`` for another's."""
        return next(one.kid for one in self.stored if self._public(one).tag == tag)

    def changes_at(self, one: StoredKey) -> int | None:
        """Return when a key's state ends by itself (epoch s), ``None`` if never."""
        return life.changes_at(self.stored, one, self._terms)

    def _follow(self) -> None:
        with suppress(OSError, ValueError):  # the heartbeat says what is wrong with the file
            self.refresh()

    def _started(self, keys: Keys, now_s: int, make: Make) -> Keys:
        if self._external is not None:
            return life.signed_outside(keys, dict(self._external.jwk), now_s)
        if not self._tends:
            return keys or life.complete(keys, now_s, make)
        return life.wanting(life.signed_here(keys, now_s, make), self._algorithm, now_s, make)

    def _change(self, edit: Callable[[Keys, int, Make], Keys]) -> None:
        with locked(self._folder):
            before = self._read()
            after = edit(before, self._now_s(), lambda: new_key(self._wanted(before)))
            if after != before:
                document = {"keys": [_row(one) for one in after]}
                write_private(self._folder / FILE, json.dumps(document, indent=1))
            self._take(after)
            # Under the lock, so that no other process's change counts as read.
            self._watched.follow(lambda: None)

    def _wanted(self, keys: Keys) -> str:
        newest = life.find(keys, life.NEXT) or life.find(keys, ACTIVE)
        return self._algorithm if self._tends or newest is None else newest.alg

    def _read(self) -> Keys:
        path = self._folder / FILE
        document = read_json(path)
        if document is None:
            return ()
        try:
            keys = tuple(
                StoredKey(row["state"], row["since"], row["jwk"], row.get("external", False))
                for row in document["keys"]
            )
            for one in keys:
                self._public(one)
                self._published(one)
        except (AttributeError, KeyError, TypeError, ValueError, PyJWTError):
            raise refused(path, 'it is not {"keys": [{"state", "since", "jwk"}, …]} with private keys') from None
        return keys

    def _take(self, keys: Keys) -> None:
        self._signer = self._signer_among(keys)
        self.keys = tuple(self._public(one) for one in keys)
        published = [self._published(one) for one in keys if one.state != REVOKED and one.alg != SHARED]
        self.jwks = {"keys": published}
        self.stored = keys
        self._local = {one.kid: self._local[one.kid] for one in keys if one.kid in self._local}

    def _signer_among(self, keys: Keys) -> Signer | None:
        states = {one.kid: one.state for one in keys}
        if self._external is not None:
            return None if states.get(self._external.kid) == REVOKED else self._external
        active = life.find(keys, ACTIVE)
        if active is None and not life.is_external(keys):
            raise refused(self._folder / FILE, "none of its keys is active")
        if active is not None and not active.external:
            return self._signer_of(active)
        # Another process was started with an external signer; ours goes on until it is too, still published.
        return self._signer if self._signer is not None and states.get(self._signer.kid) == RETIRED else None

    def _signer_of(self, one: StoredKey) -> LocalSigner:
        known = self._local.get(one.kid)
        if known is None or known[0] != one.jwk:
            known = self._local[one.kid] = (one.jwk, LocalSigner(one.jwk))
        return known[1]

    def _published(self, one: StoredKey) -> Jwk:
        return one.jwk if one.external else self._signer_of(one).jwk

    def _public(self, one: StoredKey) -> Key:
        return key_from_jwk(one.jwk, issuer=self._issuer, algorithms=frozenset({one.alg}))


def _row(one: StoredKey) -> dict[str, Any]:
    row: dict[str, Any] = {"state": one.state, "since": one.since, "jwk": one.jwk}
    return {**row, "external": True} if one.external else row
