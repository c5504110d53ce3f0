"""Keyrings for tests, and what is in their file."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from quash_service.tokens.keyring import FILE, Keyring
from quash_service.tokens.life import Terms
from quash_service.tokens.refresh import RefreshSecrets
from quash_service.tokens.signer import Signer

ISSUER = "https://quash.test"
ALGORITHMS = ("ES256", "RS256", "EdDSA")
DAY = 86_400
START = 1_900_000_000
TERMS = Terms(rotate_s=90 * DAY, retire_s=3720)


class Time:
    """A clock that stands still until it is moved; call it for the time in epoch seconds."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        return self.now


def ring(
    folder: Path,
    algorithm: str = "ES256",
    now_s: Callable[[], int] = lambda: START,
    *,
    tends: bool = True,
    external: Signer | None = None,
) -> Keyring:
    made = Keyring(folder, issuer=ISSUER, algorithm=algorithm, now_s=now_s, terms=TERMS, tends=tends, external=external)
    made.load()
    return made


def refresh_secrets(
    folder: Path,
    now_s: Callable[[], int] = lambda: START,
    random_bytes: Callable[[int], bytes] = os.urandom,
) -> RefreshSecrets:
    """Secrets that are old after 90 days; a session lives for 30 days without being refreshed."""
    made = RefreshSecrets(folder, random_bytes=random_bytes, now_s=now_s, rotate_s=90 * DAY, longest_s=30 * DAY)
    made.load()
    return made


def stored(folder: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((folder / FILE).read_text())["keys"]
    return rows


def states(folder: Path) -> list[str]:
    return [row["state"] for row in stored(folder)]


def tag_of(keys: Keyring, kid: str) -> str:
    [tag] = [key.tag for key in keys.keys if key.kid == kid]
    return tag


def published(keys: Keyring) -> list[str]:
    members: Any = keys.jwks["keys"]
    return [jwk["kid"] for jwk in members]


def kid_in(folder: Path, state: str) -> str:
    [kid] = [row["jwk"]["kid"] for row in stored(folder) if row["state"] == state]
    return str(kid)
