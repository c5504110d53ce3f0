"""Keyrings for tests, and what is in their file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from quash_service.tokens.keyring import FILE, Keyring

ISSUER = "https://quash.test"
ALGORITHMS = ("ES256", "RS256", "EdDSA")


def ring(folder: Path, algorithm: str = "ES256", now_s: Callable[[], int] = lambda: 1_900_000_000) -> Keyring:
    made = Keyring(folder, issuer=ISSUER, algorithm=algorithm, now_s=now_s)
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


def retire(folder: Path) -> str:
    """Do by hand what a rotation will do: the active key retires, the next one is active."""
    rows = stored(folder)
    kid = kid_in(folder, "active")
    for row in rows:
        row["state"] = {"active": "retired", "next": "active"}.get(row["state"], row["state"])
    (folder / FILE).write_text(json.dumps({"keys": rows}))
    return kid
