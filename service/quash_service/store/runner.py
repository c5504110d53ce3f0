"""Running one script on the engine, and what can go wrong with that."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError, ResponseError

from quash.errors import Unavailable
from quash.ids import issuer_tag
from quash.keyspace import audit_key, feed_key, global_key
from quash.state_redis import unreadable

from .scripts import Argument, load


class StateFull(Exception):
    """The engine's memory is full: revoking still works, opening does not."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The numbers that scripts get as arguments; times in ms.

    ``tolerance_ms`` is how far a host's clock may be from the primary's; ``horizon_ms`` how long a
    revocation can matter: the longest access token's lifetime, and the feed's length.
    """

    horizon_ms: int
    audit_ms: int
    grace_ms: int
    idle_ms: int
    absolute_ms: int
    max_sessions: int
    max_opens: int
    tolerance_ms: int
    audit_cap: int = 10_000


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: a caller's name, whether it has ``admin``, the issuers it may act on, the request.

    ``issuers`` is ``None`` for all. It is the first parameter of everything that changes state.
    """

    name: str
    admin: bool
    issuers: frozenset[str] | None
    request_id: str

    def may_act_on(self, issuer: str) -> bool:
        """Tell whether this caller may act on ``issuer``; elsewhere it is told of the unknown."""
        return self.issuers is None or issuer in self.issuers


class IssuerTable:
    """The index that each configured issuer has in this state, as registered on its floor."""

    def __init__(self) -> None:
        self.index: dict[str, int] = {}

    def packed(self, actor: Actor) -> bytes:
        """Return the issuers that the actor may act on, an index byte and a 16-byte tag for each."""
        allowed = (name for name in self.index if actor.may_act_on(name))
        return b"".join(bytes((self.index[name],)) + issuer_tag(name).encode() for name in allowed)

    def name(self, index: int) -> str | None:
        """Return the issuer with an index, ``None`` when it is not configured here."""
        return next((name for name, at in self.index.items() if at == index), None)


class Runner:
    """Runs scripts. Every one is atomic and idempotent, so a lost reply may be resent.

    Parameters: ``now_ms`` the primary's clock, ``random_bytes`` a source of n random bytes,
    ``timeout_s`` the longest that one script may take before the state counts as unavailable.
    """

    def __init__(
        self,
        client: Redis,
        limits: Limits,
        *,
        now_ms: Callable[[], int],
        random_bytes: Callable[[int], bytes],
        timeout_s: float = 0.8,
    ) -> None:
        self.client: Any = client
        self.limits = limits
        self.now_ms = now_ms
        self.random_bytes = random_bytes
        self._timeout_s = timeout_s

    async def run(
        self,
        name: str,
        part: int,
        keys: Mapping[str, str],
        arguments: Mapping[str, Argument],
        actor: Actor | None = None,
    ) -> list[bytes]:
        """Run the script ``name`` in a partition and return its reply.

        Raises ``Unavailable`` when the engine did not answer, does not know when it was born, or
        disagrees about the time; ``StateFull`` when its memory is full.
        """
        script = load(name)
        shared = {"g": global_key(part), "f": feed_key(part), "a": audit_key(part)}
        bound = script.bind(
            {**{key: value for key, value in shared.items() if key in script.keys}, **keys},
            {**self._common(actor), **arguments},
        )
        try:
            async with asyncio.timeout(self._timeout_s):
                reply = await self._evaluate(script.sha, script.source, len(script.keys), bound)
        except (RedisError, OSError, TimeoutError) as error:
            if isinstance(error, ResponseError) and str(error).startswith(("OOM", "command not allowed when used")):
                raise StateFull from error
            raise unreadable(error) from error
        if reply[0] in (b"unborn", b"clock"):
            raise Unavailable(evidence={"state": reply[0].decode()})
        return reply

    async def _evaluate(self, sha: str, source: str, count: int, bound: list[str | bytes | int]) -> list[bytes]:
        try:
            reply: list[bytes] = await self.client.evalsha(sha, count, *bound)
        except NoScriptError:
            reply = await self.client.eval(source, count, *bound)
        return reply

    def _common(self, actor: Actor | None) -> dict[str, Argument]:
        return {
            "now_arg": self.now_ms(),
            "tolerance": self.limits.tolerance_ms,
            "nonce": self.random_bytes(8),
            "horizon": self.limits.horizon_ms,
            "audit_ms": self.limits.audit_ms,
            "audit_cap": self.limits.audit_cap,
            "by": actor.name if actor else "",
            "rid": actor.request_id if actor else "",
        }
