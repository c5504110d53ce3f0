"""Open clients to the engine, each with its time limits stated.

redis-py would wait 5 s and resend ten times. Here a command that gets no answer in `timeout_s` has failed, and
only a broken connection is tried once more: scripts are idempotent, but a slow engine is not helped by asking twice.
RESP2: with hiredis both protocols measured the same (20 HMGETs in a pipeline: 310 µs), and RESP2 needs no HELLO,
which some proxies in front of managed engines lack.
"""

from typing import TYPE_CHECKING, Any

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

from quash_service.engine.url import EngineUrl, parse_url

if TYPE_CHECKING:
    from redis.asyncio import Redis as AsyncRedis

# More connections than this gain nothing (the engine runs one command at a time); further ones wait in line.
MAX_CONNECTIONS = 32
# An idle connection is asked this often (s) whether it is still there: firewalls forget silent ones.
_HEALTH_CHECK_S = 15
_BACKOFF = {"base": 0.01, "cap": 0.05}


def connect(url: str, *, timeout_s: float = 0.5) -> "AsyncRedis":
    """Return a client for asyncio; nothing is connected before the first command.

    `timeout_s` (seconds) bounds each of: waiting for a free connection, connecting, waiting for an answer. Who must
    answer in a given time puts his own limit around the whole command: these add up, and a silent engine on a
    unix socket with a password is asked twice.
    Raises EngineRefused (`engine_url`, `engine_url_unsupported`).
    """
    target = parse_url(url)
    classes = {
        "redis": redis.asyncio.Connection,
        "rediss": redis.asyncio.SSLConnection,
        "unix": redis.asyncio.UnixDomainSocketConnection,
    }
    retry = AsyncRetry(ExponentialWithJitterBackoff(**_BACKOFF), 1, (RedisConnectionError,))
    pool = redis.asyncio.BlockingConnectionPool(
        max_connections=MAX_CONNECTIONS,
        timeout=timeout_s,
        connection_class=classes[target.scheme],
        retry=retry,
        **_options(target, timeout_s),
    )
    return redis.asyncio.Redis.from_pool(pool)


def connect_blocking(url: str, *, timeout_s: float = 2.0) -> "redis.Redis":
    """Return a blocking client, for the command line; otherwise as `connect`."""
    target = parse_url(url)
    classes = {
        "redis": redis.Connection,
        "rediss": redis.SSLConnection,
        "unix": redis.UnixDomainSocketConnection,
    }
    retry = Retry(ExponentialWithJitterBackoff(**_BACKOFF), 1, (RedisConnectionError,))
    pool = redis.BlockingConnectionPool(  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
        max_connections=MAX_CONNECTIONS,
        timeout=timeout_s,
        connection_class=classes[target.scheme],
        retry=retry,
        **_options(target, timeout_s),
    )
    return redis.Redis.from_pool(pool)


def memory() -> "AsyncRedis":
    """Return a client of a fresh in-process imitation (`--memory`): a throw-away trial that keeps nothing."""
    from fakeredis import FakeAsyncRedis, FakeServer  # noqa: PLC0415 - only a trial in memory needs it

    return FakeAsyncRedis(server=FakeServer(), protocol=2)


def _options(target: EngineUrl, timeout_s: float) -> dict[str, Any]:
    place = {"path": target.place} if target.scheme == "unix" else {"host": target.host, "port": target.port}
    return {
        **place,
        **dict(target.options),
        "db": target.db,
        "username": target.username,
        "password": target.password,
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "health_check_interval": _HEALTH_CHECK_S,
        "decode_responses": False,
        "protocol": 2,
        # No CLIENT SETINFO: two more commands for each new connection, and some access lists forbid them.
        "driver_info": None,
    }
