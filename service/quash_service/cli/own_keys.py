"""What `quash doctor` sees of our own signing keys and refresh secrets."""

import os
from collections.abc import Iterator

from quash_service.clock import Clock
from quash_service.settings import Settings
from quash_service.tokens import life
from quash_service.tokens.life import Keys, StoredKey
from quash_service.tokens.signer import SHARED
from quash_service.wiring import keyring_of, secrets_of

from .findings import Finding, Level

_DAY_S = 86_400
_LATE = "run the service, which rotates by itself, with the same settings as this command; or `quash key rotate`"


def own_key_findings(settings: Settings, clock: Clock) -> Iterator[Finding]:
    """Look at the files as they are; nothing is made or changed."""
    keyring = keyring_of(settings, clock, tends=False)
    secrets = secrets_of(settings, clock, os.urandom)
    try:
        keyring.refresh()
        secrets.refresh()
    except (OSError, ValueError) as error:
        yield Finding(Level.PROBLEM, "signing keys", str(error), "restore the keys directory from a backup")
        return
    now_s = clock.now_ms() // 1000
    oldest_s = now_s - (settings.key_rotate_days + 1) * _DAY_S
    if keyring.stored and settings.mint:
        yield from _signing(keyring.stored, now_s, oldest_s)
    for name, since, _ in secrets.listed()[:1]:
        seen = f"{len(secrets.listed())}; the newest, {name}, {_age(since, now_s)}"
        late = since is not None and since < oldest_s
        yield Finding(Level.WARNING if late else Level.OK, "refresh secrets", seen, _SECRET_LATE if late else "")


_SECRET_LATE = _LATE.replace("key rotate", "key rotate --refresh-secret")


def _signing(keys: Keys, now_s: int, oldest_s: int) -> Iterator[Finding]:
    active = life.find(keys, life.ACTIVE)
    if active is None:
        mend = "start the service with an external signer whose key is another one, or with none"
        yield Finding(Level.PROBLEM, "signing key", "the external signer's key was revoked: nothing is minted", mend)
        return
    yield _active(active, now_s, oldest_s)
    if active.alg == SHARED:
        yield Finding(
            Level.WARNING,
            "algorithm",
            "HS256: one shared secret signs and verifies, so it is not published and only this service can verify",
            "QUASH_ALGORITHM=ES256, unless everybody who checks tokens asks this service",
        )
    following = life.find(keys, life.NEXT)
    if following is not None:
        yield Finding(Level.OK, "next key", f"{following.kid} ({following.alg}), {_age(following.since, now_s)}")
    elif not active.external:
        yield Finding(
            Level.WARNING,
            "next key",
            "none waits: a rotation, or revoking the active key, would surprise verifiers",
            "start the service, which makes one",
        )


def _active(active: StoredKey, now_s: int, oldest_s: int) -> Finding:
    place = "external signer's key" if active.external else "key"
    seen = f"{place} {active.kid} ({active.alg}), {_age(active.since, now_s)}"
    if active.since >= oldest_s:
        return Finding(Level.OK, "signing key", seen)
    mend = "start the service with a signer that has a new key" if active.external else _LATE
    return Finding(Level.WARNING, "signing key", f"{seen}: older than QUASH_KEY_ROTATE_DAYS", mend)


def _age(since: int | None, now_s: int) -> str:
    return "of unknown age" if since is None else f"{max(0, now_s - since) // _DAY_S} days old"
