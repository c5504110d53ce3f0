"""A store on a real engine with a held clock: the stage that the store's tests play on."""

import os
from dataclasses import dataclass, field
from typing import Any

from quash.ids import new_session_id, partition, user_tag
from quash.keyspace import audit_key, feed_key, global_key, unpack_session, user_key
from quash_service.rotation import Rotation
from quash_service.store import Actor, Floor, IssuerTable, Limits, Listing, Opened, Presented, Runner, Store, Trust
from tests.service import SteeredClock

ISSUER = "https://auth.example"
OTHER = "https://other.example"
ACTOR = Actor("web", admin=False, issuers=None, request_id="r1")
ADMIN = Actor("root", admin=True, issuers=None, request_id="r2")
GRACE, IDLE, ABSOLUTE, HORIZON = 10_000, 300_000, 1_000_000, 120_000
PATIENCE_S = 20
"""How long a script may take here: a busy machine is not what the store's tests are about."""
LIMITS = Limits(
    horizon_ms=HORIZON,
    audit_ms=86_400_000,
    grace_ms=GRACE,
    idle_ms=IDLE,
    absolute_ms=ABSOLUTE,
    max_sessions=3,
    max_opens=1_000,
    tolerance_ms=10**12,
)


@dataclass
class Stage:
    """Everything of a store, and shortcuts that keep a test to its claim."""

    client: Any
    clock: SteeredClock
    limits: Limits = LIMITS
    trust: Trust | None = None
    secrets: dict[str, str] = field(default_factory=lambda: {"a": "fingerprint-a", "b": "fingerprint-b"})

    def __post_init__(self) -> None:
        self.runner = Runner(
            self.client, self.limits, now_ms=self.clock.now_ms, random_bytes=os.urandom, timeout_s=PATIENCE_S
        )
        self.issuers = IssuerTable()
        self.store = Store(self.runner, self.issuers)
        self.listing = Listing(self.runner, self.issuers)
        self.floor = Floor(
            self.runner,
            self.clock,
            self.issuers,
            configured=(ISSUER, OTHER),
            secrets=lambda: self.secrets,
            trust=self.trust,
        )

    async def begin(self) -> None:
        """Empty the engine, join, be born, and let a minute pass: the second of the birth and some room."""
        await self.client.flushall()
        self.clock.hold()
        await self.floor.join()
        await self.floor.pulse()
        self.clock.advance(60_000)

    def now(self) -> int:
        return self.clock.now_ms()

    async def open(self, sub: str = "bob", *, actor: Actor = ACTOR, agent: str = "ua", iss: str = ISSUER) -> str:
        """Open a session that must open; return its id."""
        sid = new_session_id(user_tag(iss, sub), os.urandom)
        done = await self.open_as(sid, sub, actor=actor, agent=agent, iss=iss)
        assert isinstance(done, Opened)
        return sid

    async def open_as(
        self,
        sid: str,
        sub: str = "bob",
        *,
        actor: Actor = ACTOR,
        agent: str = "ua",
        iss: str = ISSUER,
        auth_time: int | None = None,
        if_version: int | None = None,
    ) -> Any:
        fields = {"iss": iss, "sub": sub, "caller": actor.name, "scope": "read write", "agent": agent, "net": "net-1"}
        return await self.store.open(
            actor, sid, issuer=iss, secret="a", fields=fields, auth_time=auth_time, if_version=if_version
        )

    async def rotate(
        self,
        sid: str,
        generation: int,
        *,
        agent: str = "ua",
        net: str = "net-1",
        secret: str = "a",
        newest: str = "a",
        actor: Actor = ACTOR,
        scope: str = "",
        session_scope: str | None = None,
        claims: str | None = None,
    ) -> Rotation:
        presented = Presented(sid, generation, secret, agent, net, "198.51.100.7")
        return await self.store.rotate(
            actor, presented, newest=newest, scope=scope, session_scope=session_scope, claims=claims
        )

    async def user(self, sub: str = "bob", iss: str = ISSUER) -> dict[bytes, bytes]:
        """The user's hash as stored."""
        stored: dict[bytes, bytes] = await self.client.hgetall(user_key(user_tag(iss, sub)))
        return stored

    async def session(self, sid: str) -> Any:
        """The session's field, unpacked."""
        return unpack_session(await self.client.hget(user_key(sid[:16]), sid))

    async def facts(self, sub: str = "bob") -> dict[bytes, bytes]:
        """The `g` of the user's partition."""
        facts: dict[bytes, bytes] = await self.client.hgetall(global_key(partition(user_tag(ISSUER, sub))))
        return facts

    async def feed(self, sub: str = "bob") -> list[tuple[str, dict[bytes, bytes]]]:
        """The feed of the user's partition."""
        entries = await self.client.xrange(feed_key(partition(user_tag(ISSUER, sub))))
        return [(entry_id.decode(), fields) for entry_id, fields in entries]

    async def audit(self, sub: str = "bob") -> list[dict[str, str]]:
        """The audit of the user's partition."""
        entries = await self.client.xrange(audit_key(partition(user_tag(ISSUER, sub))))
        return [{name.decode(): value.decode() for name, value in fields.items()} for _, fields in entries]
