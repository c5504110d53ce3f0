"""Everything wired together: what the HTTP face and the command line work with."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field

from redis.asyncio import Redis

from quash.keys import Key
from quash.policy import OWN_TYPES, Issuer
from quash.reasons import Cause
from quash.state_redis import RedisState

from . import bootstrap
from .callers import CallerBook
from .clock import Clock
from .judge import Judge
from .logs import get_logger
from .metrics import Metrics
from .published import PublishedKeys
from .settings import Settings
from .store import Actor, Floor, IssuerTable, LifetimeLimits, Limits, Listing, Pulse, Runner, Store, Trust
from .tokens.keyring import Keyring
from .tokens.life import Terms
from .tokens.mint import Minter
from .tokens.refresh import RefreshSecrets
from .tokens.signer import PUBLIC, Signer

RETIRE_SLACK_S = 60 + 60
"""The greatest leeway of a check, and a minute for hosts that see a changed file late."""
HEART = Actor("quash", admin=True, issuers=None, request_id="")
"""Who acts when nobody asked."""

log = get_logger()


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of a running service. ``minter`` is ``None`` with minting off.

    ``serving`` tells a service, which tends keys and secrets, from a command, which leaves them alone.
    """

    serving: bool
    settings: Settings
    clock: Clock
    client: Redis
    store: Store
    listing: Listing
    floor: Floor
    lifetimes: LifetimeLimits
    judge: Judge
    published: PublishedKeys
    keyring: Keyring
    secrets: RefreshSecrets
    minter: Minter | None
    callers: CallerBook
    metrics: Metrics
    random_bytes: Callable[[int], bytes]
    batches: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def pulse(self) -> Pulse:
        """Do what is due every second: follow the clock, mend the floor, take over changed keys.

        Raises ``Unavailable`` when the engine does not answer, ``FloorRefused``.
        """
        pulse = await self.floor.pulse()
        if pulse.born:
            self.lifetimes.due = True
            self.metrics.births.inc(pulse.born)
            log.warning("state_born", partitions=pulse.born, older_tokens_trusted=pulse.trusted)
            if self.settings.issuers and not pulse.trusted:
                log.warning("older_tokens_refused", mend="QUASH_TRUST_TOKENS_SINCE, see docs, if no revocation is lost")
            self.say_trust(pulse)
        # Not in the second of a birth, which may be that of one partition alone.
        if self.lifetimes.due and not pulse.born and await self.floor.ready():
            await self.lifetimes.publish()
        # Last, so that a broken file of keys leaves the state well kept.
        await self._keep_keys(pulse)
        return pulse

    async def _keep_keys(self, pulse: Pulse) -> None:
        """Do what is due in the life of keys and secrets, and take over what others did."""
        kid = await self.keyring.tend()
        if kid is not None:
            log.info("signing_key_rotated", kid=kid)
        if self.serving and self.secrets.tend():
            log.info("refresh_secrets_changed")
        self.judge.reload_keys()
        if self.secrets.refresh():
            await self.floor.join()
        if self.serving and not pulse.born:
            # A revocation that was cut short after our file had it: the state must have it too.
            for tag in self.keyring.revoked().keys() - pulse.revoked_keys:
                await self.store.revoke_key(
                    HEART, iss=self.settings.issuer, tag=tag, kid=self.keyring.kid_of(tag), cause=Cause.COMPROMISED
                )

    def say_trust(self, pulse: Pulse) -> None:
        """Say it loudly when the setting for trusting older tokens is not what judges them."""
        if self.settings.trust_tokens_since is not None and not pulse.trusted:
            why = "it counts only when a state is born, and only if not older than the longest max_access_ttl_s"
            log.error("trust_tokens_since_ignored", why=why)


def own_issuer(settings: Settings, held: frozenset[str] = frozenset()) -> Issuer:
    """Return what is accepted from our own issuer; ``held`` are the algorithms of the keys that there are.

    A shared secret's is among them only where it is used.
    """
    return Issuer(
        issuer=settings.issuer,
        algorithms=frozenset({*PUBLIC, settings.algorithm}) | held,
        max_access_ttl_s=settings.max_access_ttl_s,
        embeds=frozenset({"sid", "ver"}),
        types=OWN_TYPES,
    )


def limits_of(settings: Settings, tolerance_ms: int) -> Limits:
    """Return the scripts' numbers. The horizon is the longest access token's life and a minute."""
    return Limits(
        horizon_ms=(settings.longest_access_ttl_s + 60) * 1000,
        audit_ms=settings.audit_days * 86_400_000,
        grace_ms=settings.grace_s * 1000,
        idle_ms=settings.idle_ttl_s * 1000,
        absolute_ms=settings.absolute_ttl_s * 1000,
        max_sessions=settings.max_sessions,
        max_opens=settings.opens_per_minute,
        tolerance_ms=tolerance_ms,
    )


def build(
    settings: Settings,
    client: Redis,
    *,
    clock: Clock,
    random_bytes: Callable[[int], bytes] = os.urandom,
    announce: bootstrap.Announce | None = None,
    serving: bool = False,
    signer: Signer | None = None,
) -> Services:
    """Wire the parts on an open client. Raises ``KeysRefused``, ``OSError``, ``ValueError``."""
    keyring = keyring_of(settings, clock, tends=serving and settings.mint, signer=signer)
    keyring.load()
    secrets = secrets_of(settings, clock, random_bytes)
    secrets.load()
    limits = limits_of(settings, clock.tolerance_ms)
    runner = Runner(client, limits, now_ms=clock.now_ms, random_bytes=random_bytes)
    table = IssuerTable()
    policies = tuple(one.policy() for one in settings.issuers)
    if settings.mint:
        policies = (own_issuer(settings, frozenset(key.alg for key in keyring.keys)), *policies)
    foreign = tuple(key for one in settings.issuers for key in _foreign_keys(one.load_keys()))
    published = PublishedKeys(
        {one.issuer: (one.policy(), one.jwks_uri) for one in settings.issuers if one.jwks_uri is not None},
        now_ms=clock.host_ms,
    )
    judge = Judge(
        RedisState(client, clock.now_ms),
        clock,
        issuers={policy.issuer: policy for policy in policies},
        own_keys=keyring.verifying if settings.mint else tuple,
        foreign_keys=foreign,
        published=published,
        issuer_name=table.name,
        grace_ms=limits.grace_ms,
    )
    return Services(
        serving=serving,
        settings=settings,
        clock=clock,
        client=client,
        store=Store(runner, table),
        listing=Listing(runner, table),
        floor=Floor(
            runner,
            clock,
            table,
            configured=tuple(policy.issuer for policy in policies),
            secrets=secrets.fingerprints,
            trust=_trust(settings),
            dropped=lambda: secrets.dropped,
            revoked_keys=keyring.revoked,
        ),
        lifetimes=LifetimeLimits(runner, {policy.issuer: policy.max_access_ttl_s for policy in policies}),
        judge=judge,
        published=published,
        keyring=keyring,
        secrets=secrets,
        minter=_minter(settings, keyring, clock, random_bytes) if settings.mint else None,
        callers=CallerBook(
            client,
            now_ms=clock.host_ms,
            admin_digest=bootstrap.admin_digest(
                settings, random_bytes=random_bytes, announce=announce or bootstrap.keep_in_file(settings)
            ),
        ),
        metrics=Metrics(),
        random_bytes=random_bytes,
    )


def keyring_of(settings: Settings, clock: Clock, *, tends: bool, signer: Signer | None = None) -> Keyring:
    """Return the keyring that settings describe, not loaded yet."""
    return Keyring(
        settings.keys_folder,
        issuer=settings.issuer,
        algorithm=settings.algorithm,
        now_s=lambda: clock.now_ms() // 1000,
        terms=Terms(settings.key_rotate_days * 86_400, settings.max_access_ttl_s + RETIRE_SLACK_S),
        tends=tends,
        external=signer,
    )


def secrets_of(settings: Settings, clock: Clock, random_bytes: Callable[[int], bytes]) -> RefreshSecrets:
    """Return the refresh secrets that settings describe, not loaded yet."""
    return RefreshSecrets(
        settings.keys_folder,
        random_bytes=random_bytes,
        now_s=lambda: clock.now_ms() // 1000,
        rotate_s=settings.key_rotate_days * 86_400,
        longest_s=max(settings.idle_ttl_s, settings.absolute_ttl_s),
    )


def _foreign_keys(keys: tuple[Key, ...]) -> tuple[Key, ...]:
    for key in keys:
        if key.weak:
            log.warning("weak_key", issuer=key.issuer, kid=key.kid, effect="its tokens are refused")
    return keys


def _trust(settings: Settings) -> Trust | None:
    if settings.trust_tokens_since is None:
        return None
    return Trust(settings.trust_tokens_since * 1000, settings.longest_access_ttl_s * 1000)


def _minter(settings: Settings, keyring: Keyring, clock: Clock, random_bytes: Callable[[int], bytes]) -> Minter:
    return Minter(
        keyring.signer,
        issuer=settings.issuer,
        audience=settings.audience or settings.issuer,
        access_ttl_s=settings.access_ttl_s,
        now_ms=clock.now_ms,
        random_bytes=random_bytes,
    )
