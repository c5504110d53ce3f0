"""The life of a signing key: next → active → retired, and revoked. Pure functions over all keys of the file.

A next key is published before it signs, so that caches of the JWKS know it in time. A retired one
stays published and verifies until no token signed by it can be alive, then it is dropped. A revoked
one stays in the file for ever, unpublished, so that its tokens are refused with their true reason.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

NEXT, ACTIVE, RETIRED, REVOKED = "next", "active", "retired", "revoked"
PUBLISH_S = 86_400
"""How long a key is published before it signs: a day, which no cache of a JWKS should outlast."""

Jwk = Mapping[str, object]
Make = Callable[[], Jwk]
"""Makes a private JWK."""


@dataclass(frozen=True, slots=True)
class StoredKey:
    """One key of ours: its state, since when (epoch s), and its private JWK.

    Of an ``external`` key, which signs elsewhere, only the public JWK is here.
    """

    state: str
    since: int
    jwk: Jwk
    external: bool = False

    @property
    def kid(self) -> str:
        """The key's id."""
        return str(self.jwk["kid"])

    @property
    def alg(self) -> str:
        """The one algorithm that it signs with."""
        return str(self.jwk["alg"])

    def __repr__(self) -> str:
        return f"StoredKey(state={self.state!r}, kid={self.kid!r})"


Keys = tuple[StoredKey, ...]


@dataclass(frozen=True, slots=True)
class Terms:
    """How long keys live, in seconds.

    ``rotate_s`` after which an active key is followed by the next, ``retire_s`` within which every
    token of a retired one has expired.
    """

    rotate_s: int
    retire_s: int


def find(keys: Keys, state: str) -> StoredKey | None:
    """Return the first key of a state."""
    return next((one for one in keys if one.state == state), None)


def is_external(keys: Keys) -> bool:
    """Tell whether an external key signs, or did until it was revoked: then no keys are made here."""
    active = find(keys, ACTIVE)
    if active is not None:
        return active.external
    return find(keys, NEXT) is None and any(one.external and one.state == REVOKED for one in keys)


def complete(keys: Keys, now_s: int, make: Make) -> Keys:
    """Promote the next key where none is active, and make what is missing of an active and a next one."""
    if is_external(keys):
        return keys
    following = find(keys, NEXT)
    if find(keys, ACTIVE) is None and following is not None:
        keys = _changed(keys, following, ACTIVE, now_s)
    elif find(keys, ACTIVE) is None:
        keys = (*keys, StoredKey(ACTIVE, now_s, make()))
    if find(keys, NEXT) is None:
        keys = (*keys, StoredKey(NEXT, now_s, make()))
    return keys


def rotate(keys: Keys, now_s: int, make: Make) -> Keys:
    """Let the next key sign from now on; the active one retires, and a new next one is made."""
    active = find(keys, ACTIVE)
    if active is not None and not active.external:
        keys = _changed(keys, active, RETIRED, now_s)
    return complete(keys, now_s, make)


def ready_at(keys: Keys) -> int | None:
    """Return when the next key was published long enough to sign (epoch s); ``None`` without one."""
    following = find(keys, NEXT)
    return None if following is None else following.since + PUBLISH_S


def rotates_at(keys: Keys, terms: Terms) -> int | None:
    """Return when the next key becomes active by itself (epoch s).

    A next key of another algorithm was made because that one is wanted now, so it does not wait for
    the active one's age.
    """
    active, following = find(keys, ACTIVE), find(keys, NEXT)
    if active is None or following is None:
        return None
    ready = following.since + PUBLISH_S
    return ready if following.alg != active.alg else max(ready, active.since + terms.rotate_s)


def changes_at(keys: Keys, one: StoredKey, terms: Terms) -> int | None:
    """Return when a key's state ends by itself (epoch s), ``None`` if never."""
    if one.state == RETIRED:
        return one.since + terms.retire_s
    return None if one.state == REVOKED else rotates_at(keys, terms)


def is_due(keys: Keys, now_s: int, terms: Terms) -> bool:
    """Tell whether ``tended`` would change something."""
    wanting_one = not is_external(keys) and (find(keys, ACTIVE) is None or find(keys, NEXT) is None)
    return wanting_one or _rotation_due(keys, now_s, terms) or len(_kept(keys, now_s, terms)) < len(keys)


def tended(keys: Keys, now_s: int, terms: Terms, make: Make) -> Keys:
    """Do what is due: drop retired keys whose tokens have all expired, rotate, make what is missing."""
    keys = _kept(keys, now_s, terms)
    return rotate(keys, now_s, make) if _rotation_due(keys, now_s, terms) else complete(keys, now_s, make)


def revoked(keys: Keys, kids: frozenset[str], now_s: int) -> Keys:
    """Mark keys as revoked."""
    return tuple(
        replace(one, state=REVOKED, since=now_s) if one.kid in kids and one.state != REVOKED else one for one in keys
    )


def wanting(keys: Keys, algorithm: str, now_s: int, make: Make) -> Keys:
    """Return keys whose next one is of ``algorithm``; a next one of another never signed, so it just goes."""
    following = find(keys, NEXT)
    if following is None or following.alg == algorithm:
        return keys
    return tuple(StoredKey(NEXT, now_s, make()) if one is following else one for one in keys)


def signed_outside(keys: Keys, jwk: Jwk, now_s: int) -> Keys:
    """Let an external key sign from now on: our active key retires, and no next one waits here.

    Raises ``ValueError`` for a key that was revoked.
    """
    kid = str(jwk["kid"])
    same = next((one for one in keys if one.kid == kid), None)
    if same is not None and same.state == REVOKED:
        raise ValueError(f"the external signer's key {kid} was revoked: give it another one")
    if same is not None and (same.state, same.external) == (ACTIVE, True):
        return keys
    active = find(keys, ACTIVE)
    keys = _changed(keys, active, RETIRED, now_s) if active is not None else keys
    others = tuple(one for one in keys if one.state != NEXT and one.kid != kid)
    return (*others, StoredKey(ACTIVE, now_s, jwk, external=True))


def signed_here(keys: Keys, now_s: int, make: Make) -> Keys:
    """Let a key of this folder sign again after an external one, which retires."""
    if not is_external(keys):
        return complete(keys, now_s, make)
    active = find(keys, ACTIVE)
    keys = _changed(keys, active, RETIRED, now_s) if active is not None else keys
    return complete((*keys, StoredKey(ACTIVE, now_s, make())), now_s, make)


def _changed(keys: Keys, one: StoredKey, state: str, now_s: int) -> Keys:
    return tuple(replace(each, state=state, since=now_s) if each is one else each for each in keys)


def _rotation_due(keys: Keys, now_s: int, terms: Terms) -> bool:
    at = rotates_at(keys, terms)
    return at is not None and at <= now_s


def _kept(keys: Keys, now_s: int, terms: Terms) -> Keys:
    return tuple(one for one in keys if one.state != RETIRED or now_s < one.since + terms.retire_s)
