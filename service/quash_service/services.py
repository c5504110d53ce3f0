"""Everything wired together: what the HTTP face and the command line work with."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from redis.asyncio import Redis
from redis.exceptions import RedisError

from quash.errors import Unavailable
from quash.keys import Key
from quash.policy import OWN_TYPES, Issuer
from quash.state_redis import RedisState

from . import bootstrap
from .callers import CallerBook
from .clock import Clock
from .engine import EmbeddedEngine, EngineRefused, Supervisor, check_engine, connect, memory, safe_url
from .judge import Judge
from .logs import get_logger
from .metrics import Metrics
from .settings import Settings
from .store import Floor, IssuerTable, Limits, Listing, Pulse, Runner, Store, Trust
from .tokens.keyring import Keyring
from .tokens.mint import Minter
from .tokens.refresh import RefreshSecrets

HEARTBEAT_S = 1.0
PATIENCE_S = 10.0
"""How long a start waits for an engine that does not answer yet."""

log = get_logger()


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of a running service. ``minter`` is ``None`` with minting off."""

    settings: Settings
    clock: Clock
    client: Redis
    store: Store
    listing: Listing
    floor: Floor
    judge: Judge
    keyring: Keyring
    secrets: RefreshSecrets
    minter: Minter | None
    callers: CallerBook
    metrics: Metrics
    random_bytes: Callable[[int], bytes]

    async def pulse(self) -> Pulse:
        """Do what is due every second: follow the clock, mend the floor, take over changed keys.

        Raises ``Unavailable`` when the engine does not answer, ``FloorRefused``.
        """
        pulse = await self.floor.pulse()
        if pulse.born:
            self.metrics.births.inc(pulse.born)
            log.warning("state_born", partitions=pulse.born, older_tokens_trusted=pulse.trusted)
            if self.settings.issuers and not pulse.trusted:
                log.warning("older_tokens_refused", mend="QUASH_TRUST_TOKENS_SINCE, see docs, if no revocation is lost")
            self.say_trust(pulse)
        # Last, so that a broken file of keys leaves the state well kept.
        self.keyring.refresh()
        self.judge.reload_keys()
        if self.secrets.refresh():
            await self.floor.join()
        return pulse

    def say_trust(self, pulse: Pulse) -> None:
        """Say it loudly when the setting for trusting older tokens is not what judges them."""
        if self.settings.trust_tokens_since is not None and not pulse.trusted:
            why = "it counts only when a state is born, and only if not older than the longest max_access_ttl_s"
            log.error("trust_tokens_since_ignored", why=why)


def own_issuer(settings: Settings) -> Issuer:
    """Return what is accepted from our own issuer."""
    return Issuer(
        issuer=settings.issuer,
        algorithms=frozenset({"ES256", "RS256", "EdDSA"}),
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
) -> Services:
    """Wire the parts on an open client. Raises ``KeysRefused``, ``OSError``, ``ValueError``."""
    keyring = Keyring(
        settings.keys_folder,
        issuer=settings.issuer,
        algorithm=settings.algorithm,
        now_s=lambda: clock.now_ms() // 1000,
    )
    keyring.load()
    secrets = RefreshSecrets(settings.keys_folder, random_bytes=random_bytes)
    secrets.load()
    limits = limits_of(settings, clock.tolerance_ms)
    runner = Runner(client, limits, now_ms=clock.now_ms, random_bytes=random_bytes)
    table = IssuerTable()
    policies = tuple(one.policy() for one in settings.issuers)
    if settings.mint:
        policies = (own_issuer(settings), *policies)
    foreign = tuple(key for one in settings.issuers for key in _foreign_keys(one.load_keys()))
    return Services(
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
        ),
        judge=Judge(
            RedisState(client, clock.now_ms),
            clock,
            issuers={policy.issuer: policy for policy in policies},
            own_keys=lambda: keyring.keys if settings.mint else (),
            foreign_keys=foreign,
            issuer_name=table.name,
            grace_ms=limits.grace_ms,
        ),
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


@contextlib.asynccontextmanager
async def running(
    settings: Settings,
    *,
    in_memory: bool = False,
    clock: Clock | None = None,
    random_bytes: Callable[[int], bytes] = os.urandom,
    announce: bootstrap.Announce | None = None,
) -> AsyncIterator[Services]:
    """Start or reach the engine, check it, join the state and beat until the end of the block.

    Raises ``EngineRefused`` and ``FloorRefused``, whose messages say how to mend it.
    """
    bootstrap.make_private(settings.data_dir)
    async with contextlib.AsyncExitStack() as stack:
        client = await _client(settings, stack, in_memory=in_memory)
        await _checked(client, settings, in_memory=in_memory)
        services = build(settings, client, clock=clock or Clock(), random_bytes=random_bytes, announce=announce)
        await services.floor.join()
        first = await services.pulse()
        if not first.born:
            services.say_trust(first)
        while not await services.floor.ready():  # noqa: ASYNC110 - the rest of the second of a birth
            await asyncio.sleep(0.05)
        beat = asyncio.get_running_loop().create_task(_beat(services))
        try:
            yield services
        finally:
            beat.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await beat


async def _client(settings: Settings, stack: contextlib.AsyncExitStack, *, in_memory: bool) -> Redis:
    if in_memory:
        client = memory()
    elif settings.redis_url is not None:
        client = connect(settings.redis_url.get_secret_value())
        log.info("engine", url=safe_url(settings.redis_url.get_secret_value()), durability=settings.durability.value)
    else:
        engine = EmbeddedEngine(settings.data_dir, log=lambda line: log.info("engine", line=line))
        client = connect(await asyncio.to_thread(engine.start))
        stack.push_async_callback(asyncio.to_thread, engine.stop)
        supervisor = Supervisor(engine, log=lambda line: log.warning("engine", line=line))
        supervisor.start()
        stack.push_async_callback(asyncio.to_thread, supervisor.stop)
    stack.push_async_callback(client.aclose)
    return client


async def _checked(client: Redis, settings: Settings, *, in_memory: bool) -> None:
    """Check the engine, waiting for one that does not answer yet."""
    loop = asyncio.get_running_loop()
    give_up = loop.time() + PATIENCE_S
    while True:
        try:
            await check_engine(client, settings.durability, memory=in_memory)
        except (RedisError, OSError) as error:
            if loop.time() > give_up:
                message = f"the engine does not answer ({type(error).__name__}): check QUASH_REDIS_URL and that it runs"
                raise EngineRefused("engine_unreachable", message) from error
            await asyncio.sleep(0.1)
        else:
            return


async def _beat(services: Services) -> None:
    """Beat once a second; a failure is said once, and so is its end."""
    failing = False
    while True:
        await asyncio.sleep(HEARTBEAT_S)
        try:
            await services.pulse()
        except Exception as error:  # noqa: BLE001 - a heart that stops at an error beats no more
            kind = error.evidence if isinstance(error, Unavailable) else type(error).__name__
            if not failing:
                log.error("heartbeat_failed", kind=str(kind), detail=str(error))  # noqa: TRY400 - the kind tells, not the trace
            failing = True
        else:
            if failing:
                log.info("heartbeat_recovered")
            failing = False
