"""Our signing keys: the next one, the active one, the retired ones, and those that were revoked.

``signing-keys.json`` holds them in that life's order. The next key is published before it signs,
so that caches of the JWKS know it in time. Revoked keys stay in the file, unpublished, so that
their tokens are refused with their true reason.
"""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms
from jwt.exceptions import PyJWTError

from quash.keys import Key, key_from_jwk, thumbprint

from .files import Watched, locked, read_json, refused, write_private
from .signer import LocalSigner

_NEW: dict[str, Callable[[], Any]] = {
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "RS256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=3072),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}
FILE = "signing-keys.json"
NEXT, ACTIVE, RETIRED, REVOKED = "next", "active", "retired", "revoked"


@dataclass(frozen=True, slots=True)
class StoredKey:
    """One key of ours: its state, since when (epoch s), and its private JWK."""

    state: str
    since: int
    jwk: Mapping[str, object]

    def __repr__(self) -> str:
        return f"StoredKey(state={self.state!r}, kid={self.jwk['kid']!r})"


def new_key(algorithm: str) -> Mapping[str, object]:
    """Return a fresh private JWK; its ``kid`` is the RFC 7638 thumbprint."""
    jwk = get_default_algorithms()[algorithm].to_jwk(_NEW[algorithm](), as_dict=True)
    return {**jwk, "kid": thumbprint(jwk), "alg": algorithm, "use": "sig"}


class Keyring:
    """The signing keys in a folder, shared by all workers and hosts of a state.

    Parameters: ``algorithm`` for keys that must be made, ``now_s`` the time in epoch seconds.
    """

    def __init__(self, folder: Path, *, issuer: str, algorithm: str, now_s: Callable[[], int]) -> None:
        self._folder = folder
        self._issuer = issuer
        self._algorithm = algorithm
        self._now_s = now_s
        self._watched = Watched(folder / FILE)
        self._stored: tuple[StoredKey, ...] = ()
        self._signer: LocalSigner
        self.keys: tuple[Key, ...] = ()
        self.jwks: Mapping[str, object] = {}

    def signer(self) -> LocalSigner:
        """Return the active key's signer; one ``stat`` sees at once that another process promoted a key."""
        with suppress(OSError, ValueError):  # the heartbeat says what is wrong with the file
            self.refresh()
        return self._signer

    def load(self) -> None:
        """Load the keys, making the first two if there are none. Raises ``OSError``, ``ValueError``."""
        self._change(lambda stored: stored)

    def refresh(self) -> bool:
        """Load again what another process changed; tell whether there was anything.

        Raises ``OSError``, ``ValueError``; then the keys that were known before stay.
        """
        return self._watched.follow(lambda: self._take(self._read()))

    def revoke(self, tag: str) -> bool:
        """Mark the key ``tag`` revoked and promote the next one if it was active; tell whether it is ours."""
        self.refresh()
        if tag not in {key.tag for key in self.keys}:
            return False
        revoked = {str(one.jwk["kid"]) for one in self._stored if self._public(one).tag == tag}

        def mark(stored: tuple[StoredKey, ...]) -> tuple[StoredKey, ...]:
            return tuple(
                replace(one, state=REVOKED, since=self._now_s())
                if one.jwk["kid"] in revoked and one.state != REVOKED
                else one
                for one in stored
            )

        self._change(mark)
        return True

    def _change(self, edit: Callable[[tuple[StoredKey, ...]], tuple[StoredKey, ...]]) -> None:
        with locked(self._folder):
            before = self._read()
            after = self._complete(edit(before))
            if after != before:
                rows = [{"state": one.state, "since": one.since, "jwk": one.jwk} for one in after]
                write_private(self._folder / FILE, json.dumps({"keys": rows}, indent=1))
            self._take(after)
            # Under the lock, so that no other process's change counts as read.
            self._watched.follow(lambda: None)

    def _complete(self, stored: tuple[StoredKey, ...]) -> tuple[StoredKey, ...]:
        """Promote the next key where none is active, and make a new next one where there is none."""
        now = self._now_s()
        states = [one.state for one in stored]
        if ACTIVE not in states and NEXT in states:
            at = states.index(NEXT)
            stored = (*stored[:at], replace(stored[at], state=ACTIVE, since=now), *stored[at + 1 :])
        elif ACTIVE not in states:
            stored = (*stored, StoredKey(ACTIVE, now, new_key(self._algorithm)))
        if not any(one.state == NEXT for one in stored):
            stored = (*stored, StoredKey(NEXT, now, new_key(self._algorithm)))
        return stored

    def _read(self) -> tuple[StoredKey, ...]:
        path = self._folder / FILE
        document = read_json(path)
        if document is None:
            return ()
        try:
            stored = tuple(StoredKey(row["state"], row["since"], row["jwk"]) for row in document["keys"])
            for one in stored:
                self._public(one)
                LocalSigner(one.jwk)
        except (AttributeError, KeyError, TypeError, ValueError, PyJWTError):
            raise refused(path, 'it is not {"keys": [{"state", "since", "jwk"}, …]} with private keys') from None
        return stored

    def _take(self, stored: tuple[StoredKey, ...]) -> None:
        active = next((one for one in stored if one.state == ACTIVE), None)
        if active is None:
            raise refused(self._folder / FILE, "none of its keys is active")
        self._signer = LocalSigner(active.jwk)
        self.keys = tuple(self._public(one) for one in stored)
        published = [LocalSigner(one.jwk).jwk for one in stored if one.state != REVOKED]
        self.jwks = {"keys": published}
        self._stored = stored

    def _public(self, one: StoredKey) -> Key:
        return key_from_jwk(one.jwk, issuer=self._issuer, algorithms=frozenset({str(one.jwk["alg"])}))
