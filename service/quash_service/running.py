"""A running service: its engine started or reached and checked, its state joined, its heart beating."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable

from redis.asyncio import Redis
from redis.exceptions import RedisError

from quash.errors import Unavailable

from . import bootstrap
from .clock import Clock
from .engine import EmbeddedEngine, EngineRefused, Supervisor, check_engine, connect, memory, safe_url
from .logs import get_logger
from .services import Services
from .settings import Settings
from .tokens.signer import Signer
from .wiring import build

HEARTBEAT_S = 1.0
PATIENCE_S = 10.0
"""How long a start waits for an engine that does not answer yet."""

log = get_logger()


@contextlib.asynccontextmanager
async def running(
    settings: Settings,
    *,
    in_memory: bool = False,
    clock: Clock | None = None,
    random_bytes: Callable[[int], bytes] = os.urandom,
    announce: bootstrap.Announce | None = None,
    serving: bool = False,
    signer: Signer | None = None,
) -> AsyncIterator[Services]:
    """Start or reach the engine, check it, join the state and beat until the end of the block.

    Parameters: ``serving`` tells a service from a command, ``signer`` is one whose key lives elsewhere.
    Raises ``EngineRefused`` and ``FloorRefused``, whose messages say how to mend it.
    """
    bootstrap.make_private(settings.data_dir)
    async with contextlib.AsyncExitStack() as stack:
        client = await _client(settings, stack, in_memory=in_memory)
        await _checked(client, settings, in_memory=in_memory)
        services = build(
            settings,
            client,
            clock=clock or Clock(),
            random_bytes=random_bytes,
            announce=announce,
            serving=serving,
            signer=signer,
        )
        await services.floor.join()
        first = await services.pulse()
        if not first.born:
            services.say_trust(first)
        stop = asyncio.Event()
        # Beating already: what is lost while a start waits is made again, or it would wait for ever.
        beat = asyncio.get_running_loop().create_task(_beat(services, stop))
        try:
            while not await services.floor.ready():  # noqa: ASYNC110 - the rest of the second of a birth
                await asyncio.sleep(0.05)
            await services.lifetimes.publish()
            yield services
        finally:
            stop.set()
            await beat
            await services.published.aclose()


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
                raise _unreachable(settings, error) from error
            await asyncio.sleep(0.1)
        else:
            return


def _unreachable(settings: Settings, error: Exception) -> EngineRefused:
    kind = type(error).__name__
    if settings.redis_url is None:
        said = f"the engine does not answer ({kind}): see engine/engine.log in {settings.data_dir.absolute()}"
    else:
        url = safe_url(settings.redis_url.get_secret_value())
        said = f"the engine at {url} does not answer ({kind}): check QUASH_REDIS_URL and that it runs"
    return EngineRefused("engine_unreachable", said)


async def _beat(services: Services, stop: asyncio.Event) -> None:
    """Beat once a second until told to stop; a failure is said once, and so is its end.

    Stopped by asking, not by cancelling: a client library that meets a cancellation in the middle
    of breaking off a connection may swallow it, and the beat would go on for ever.
    """
    failing = False
    while not await _told(stop, HEARTBEAT_S):
        try:
            await services.pulse()
        except Exception as error:  # noqa: BLE001 - a heart that stops at an error beats no more
            kind = error.evidence if isinstance(error, Unavailable) else type(error).__name__
            if not failing:
                log.error("heartbeat_failed", kind=str(kind), detail=str(error))  # noqa: TRY400 - the kind tells
            failing = True
        else:
            if failing:
                log.info("heartbeat_recovered")
            failing = False


async def _told(stop: asyncio.Event, seconds: float) -> bool:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
    return stop.is_set()
