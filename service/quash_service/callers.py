"""Callers: the programs that may call the API. Names, scopes, issuers, and hashes of their secrets."""

import asyncio
import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from re import compile as pattern
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from quash.keyspace import CALLERS
from quash.state_redis import unreadable

from .logs import get_logger

SCOPES = ("introspect", "introspect:claims", "revoke", "sessions", "admin")
ADMIN = "admin"
MAX_AGE_MS = 5_000
"""How long a removed caller may still be let in, and the state's callers be unreadable."""

_NAME = pattern(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_DIGEST = pattern(r"[0-9a-f]{64}")

log = get_logger()


def is_caller_name(name: str) -> bool:
    """Tell whether a caller can have this name: 1–64 letters, digits, ``_`` and ``-``."""
    return _NAME.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class Caller:
    """One caller. ``issuers`` is ``None`` for all; ``digest`` is the SHA-256 of its secret, in hex."""

    name: str
    digest: str
    scopes: frozenset[str]
    issuers: frozenset[str] | None

    def __repr__(self) -> str:
        return f"Caller(name={self.name!r}, scopes={sorted(self.scopes)})"

    def has(self, scope: str) -> bool:
        """Tell whether the caller has a scope; ``admin`` includes every other."""
        return scope in self.scopes or ADMIN in self.scopes

    def to_json(self) -> str:
        """Return the caller as it is stored."""
        issuers = None if self.issuers is None else sorted(self.issuers)
        return json.dumps({"secret": self.digest, "scopes": sorted(self.scopes), "issuers": issuers})

    @classmethod
    def from_json(cls, name: str, text: bytes) -> "Caller":
        """Read a caller as it is stored. Raises ``ValueError`` for what is no caller."""
        match json.loads(text):
            case {"secret": str(secret), "scopes": [*scopes], "issuers": [*_] | None as issuers} if is_digest(secret):
                return cls(name, secret, _texts(scopes), None if issuers is None else _texts(issuers))
        raise ValueError("not a caller's record")


def _texts(items: list[object]) -> frozenset[str]:
    texts = frozenset(item for item in items if isinstance(item, str))
    if len(texts) < len(items):
        raise ValueError("not a list of different strings")
    return texts


def is_digest(text: str) -> bool:
    """Tell whether a text is a SHA-256 in hex."""
    return _DIGEST.fullmatch(text) is not None


def digest(secret: str) -> str:
    """Return the hex SHA-256 of a secret: enough for one of 256 random bits."""
    return sha256(secret.encode()).hexdigest()


def new_secret(random_bytes: Callable[[int], bytes]) -> str:
    """Return a fresh secret: 256 random bits in base64url."""
    return urlsafe_b64encode(random_bytes(32)).rstrip(b"=").decode()


class CallerBook:
    """The callers on record, cached for at most 5 s.

    Parameters: ``admin_digest`` is what the caller ``admin`` always has, whatever the state says,
    ``timeout_s`` the longest that looking may take, waiting for a free connection included.
    Raises ``Unavailable`` when the callers could not be read: never taken for "unknown".
    """

    def __init__(self, client: Redis, *, now_ms: Callable[[], int], admin_digest: str, timeout_s: float = 0.5) -> None:
        self._client: Any = client
        self._timeout_s = timeout_s
        self._now_ms = now_ms
        self._admin = Caller(ADMIN, admin_digest, frozenset({ADMIN}), None)
        self._callers: dict[str, Caller] = {}
        self._read_at: int | None = None
        self._flight: asyncio.Task[None] | None = None
        self._broken: set[str] = set()

    async def authenticate(self, name: str, secret: str) -> Caller | None:
        """Return the caller of this name and secret. An unknown name costs what a known one does."""
        caller = (await self._fresh()).get(name)
        expected = caller.digest if caller is not None else "0" * 64
        matches = hmac.compare_digest(expected, digest(secret))
        return caller if matches else None

    async def all(self) -> list[Caller]:
        """Return the callers as they are on record now, by name."""
        self._read_at = None
        callers = await self._fresh()
        return [callers[name] for name in sorted(callers)]

    async def add(self, caller: Caller) -> None:
        """Put a caller on record, replacing one of the same name."""
        await self._call("hset", CALLERS, caller.name, caller.to_json())

    async def remove(self, name: str) -> bool:
        """Remove a caller; tell whether there was one. It is refused everywhere within 5 s."""
        return bool(await self._call("hdel", CALLERS, name))

    async def _fresh(self) -> dict[str, Caller]:
        if not self._is_fresh():
            if self._flight is None:  # one reads for all who wait, and fails for all of them at once
                self._flight = asyncio.get_running_loop().create_task(self._load())
                self._flight.add_done_callback(self._landed)
            await asyncio.shield(self._flight)
        return self._callers

    async def _load(self) -> None:
        now = self._now_ms()
        stored = await self._call("hgetall", CALLERS)
        self._callers = {**self._read(stored), ADMIN: self._admin}
        self._read_at = now

    def _landed(self, flight: "asyncio.Task[None]") -> None:
        self._flight = None
        if not flight.cancelled():
            flight.exception()  # looked at, also when all who waited hung up

    def _is_fresh(self) -> bool:
        return self._read_at is not None and 0 <= self._now_ms() - self._read_at < MAX_AGE_MS

    def _read(self, stored: Mapping[bytes, bytes]) -> dict[str, Caller]:
        """Read the records; one that is broken locks out its own caller only, and is said once."""
        callers: dict[str, Caller] = {}
        broken: set[str] = set()
        for raw, text in stored.items():
            name = raw.decode(errors="replace")
            try:
                callers[name] = Caller.from_json(name, text)
            except (ValueError, RecursionError):
                broken.add(name)
        for name in sorted(broken - self._broken):
            log.error("caller_unreadable", caller=name, mend="quash caller remove, then add")
        self._broken = broken
        return callers

    async def _call(self, command: str, *arguments: str) -> Any:  # noqa: ANN401 - redis-py's answers vary
        self._read_at = None if command != "hgetall" else self._read_at
        try:
            async with asyncio.timeout(self._timeout_s):
                return await getattr(self._client, command)(*arguments)
        except (RedisError, OSError, TimeoutError) as error:
            raise unreadable(error) from error
