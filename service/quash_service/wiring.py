"""Everything wired together: from settings and an open client to the parts of a service."""

import os
from collections.abc import Callable

from redis.asyncio import Redis

from quash.keys import Key
from quash.policy import OWN_TYPES, Issuer
from quash.state_redis import RedisState

from . import bootstrap
from .callers import CallerBook
from .clock import Clock
from .judge import Judge
from .logs import get_logger
from .metrics import Metrics
from .published import PublishedKeys
from .services import Services
from .settings import Settings
from .store import Floor, IssuerTable, LifetimeLimits, Limits, Listing, Runner, Store, Trust
from .tokens.keyring import Keyring
from .tokens.life import Terms
from .tokens.mint import Minter
from .tokens.refresh import RefreshSecrets
from .tokens.signer import PUBLIC, Signer

RETIRE_SLACK_S = 60 + 60
"""The greatest leeway of a check, and a minute for hosts that see a changed file late."""

log = get_logger()


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
    policies = _policies(settings, keyring)
    published = PublishedKeys(
        {one.issuer: (one.policy(), one.jwks_uri) for one in settings.issuers if one.jwks_uri is not None},
        now_ms=clock.host_ms,
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
            configured=tuple(policies),
            secrets=secrets.fingerprints,
            trust=_trust(settings),
            dropped=lambda: secrets.dropped,
            revoked_keys=keyring.revoked,
        ),
        lifetimes=LifetimeLimits(runner, {name: policy.max_access_ttl_s for name, policy in policies.items()}),
        judge=Judge(
            RedisState(client, clock.now_ms),
            clock,
            issuers=policies,
            own_keys=keyring.verifying if settings.mint else tuple,
            foreign_keys=_foreign_keys(settings),
            published=published,
            issuer_name=table.name,
            grace_ms=limits.grace_ms,
        ),
        published=published,
        keyring=keyring,
        secrets=secrets,
        minter=_minter(settings, keyring, clock, random_bytes) if settings.mint else None,
        callers=_callers(settings, client, clock, random_bytes, announce or bootstrap.keep_in_file(settings)),
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


def _policies(settings: Settings, keyring: Keyring) -> dict[str, Issuer]:
    """Return what is accepted from each issuer, our own first while minting is on."""
    own = [own_issuer(settings, frozenset(key.alg for key in keyring.keys))] if settings.mint else []
    return {policy.issuer: policy for policy in (*own, *(one.policy() for one in settings.issuers))}


def _callers(
    settings: Settings,
    client: Redis,
    clock: Clock,
    random_bytes: Callable[[int], bytes],
    announce: bootstrap.Announce,
) -> CallerBook:
    admin = bootstrap.admin_digest(settings, random_bytes=random_bytes, announce=announce)
    return CallerBook(client, now_ms=clock.host_ms, admin_digest=admin)


def _foreign_keys(settings: Settings) -> tuple[Key, ...]:
    """Return the keys that lie in files; a weak one is said, and its tokens are refused."""
    keys = tuple(key for one in settings.issuers for key in one.load_keys())
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
