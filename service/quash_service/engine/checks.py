"""Look at the engine before trusting it: refuse what would lose or un-revoke tokens quietly (DESIGN §5, §10).

Commands are tried rather than versions compared: Valkey calls itself redis_version 7.2.4, whatever it can do.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redis.exceptions import (
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    NoPermissionError,
    RedisError,
    ResponseError,
)

from quash_service.engine.durability import Durability
from quash_service.engine.errors import EngineRefused

if TYPE_CHECKING:
    from redis.asyncio import Redis

# Hosts that differ more would disagree about what has expired (DESIGN §5, §11.2).
CLOCK_TOLERANCE_MS = 2_000
# A key of our own prefix that never exists, in the slot of the other keys without a user.
_PROBE_KEY = "quash:{0}:probe"
# What must be set for `fsync`, and what each of them loses otherwise.
_FSYNC_NEEDS = (
    ("appendonly", "yes", "nothing is written to disk before it is acknowledged"),
    ("appendfsync", "always", "a crash of the machine loses acknowledged revocations"),
    ("no-appendfsync-on-rewrite", "no", "nothing reaches the disk while the file is being rewritten"),
)
_Info = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What was found: `family` ("valkey", "redis" or "memory"), its version, and how far its clock is ahead of ours.

    `fsync` is True when it was proven that writes are on disk before they are acknowledged.
    """

    family: str
    version: str
    fsync: bool
    clock_ahead_ms: int


def wall_clock_ms() -> int:
    """Return this host's time in ms since the epoch."""
    return time.time_ns() // 1_000_000


async def check_engine(
    client: "Redis",
    durability: Durability,
    *,
    memory: bool = False,
    now_ms: Callable[[], int] = wall_clock_ms,
) -> EngineFacts:
    """Return what the engine is, or refuse it; `memory` says that it is the in-process imitation, which keeps nothing.

    Raises EngineRefused (`engine_auth`, `engine_database`, `engine_forbids`, `engine_cluster`, `engine_replica`,
    `engine_evicts`, `engine_too_old`, `engine_not_durable`, `engine_durability_unprovable`, `engine_clock`), and
    redis-py's ConnectionError or TimeoutError when it cannot be reached or still loads: that may pass by waiting.
    """
    if memory:
        return EngineFacts("memory", "", fsync=False, clock_ahead_ms=0)
    info = await _info(client)
    _refuse_role(info)
    _refuse_eviction(info)
    await _probe_commands(client)
    proven = await _check_durability(client, durability)
    ahead = await _check_clock(client, now_ms)
    family = "valkey" if "valkey_version" in info else "redis"
    return EngineFacts(family, str(info.get(f"{family}_version", "")), fsync=proven, clock_ahead_ms=ahead)


async def _info(client: "Redis") -> _Info:
    try:
        found: _Info = await client.info()
    except RedisError as error:
        # Over a unix socket redis-py wraps what the handshake was told into a ConnectionError.
        told = error.__cause__ if isinstance(error.__cause__, RedisError) else error
        refusal = _first_refusal(told)
        if refusal is None:
            raise
        raise refusal from error
    return found


def _first_refusal(told: RedisError) -> EngineRefused | None:
    if isinstance(told, (AuthenticationError, AuthenticationWrongNumberOfArgsError)):
        return EngineRefused(
            "engine_auth",
            "the engine does not accept the user and password of QUASH_REDIS_URL, or wants none: correct them "
            "(redis://user:password@host), percent-encoded",
        )
    if isinstance(told, NoPermissionError):
        return _forbids("INFO")
    if isinstance(told, ResponseError) and "DB index" in str(told):
        return EngineRefused("engine_database", "the engine has no database of the number in QUASH_REDIS_URL: use 0")
    return None


def _refuse_role(info: _Info) -> None:
    if int(info.get("cluster_enabled", 0)):
        raise EngineRefused(
            "engine_cluster",
            "the engine runs in cluster mode, which this version of Quash does not support: "
            "give it a single primary (cluster-enabled no)",
        )
    if info.get("role") != "master":
        raise EngineRefused(
            "engine_replica",
            "the engine is a replica: it may be behind, so a token that was revoked could still look good. "
            "Point QUASH_REDIS_URL at the primary",
        )


def _refuse_eviction(info: _Info) -> None:
    policy = info.get("maxmemory_policy")
    if policy != "noeviction":
        raise EngineRefused(
            "engine_evicts",
            f"the engine's maxmemory-policy is {policy}: when memory is short it would drop revocations, "
            "and revoked tokens would be good again. Set it to noeviction (CONFIG SET maxmemory-policy noeviction, "
            "and in its configuration file) or give Quash an engine of its own",
        )


async def _probe_commands(client: "Redis") -> None:
    """Try what the scripts need; `XTRIM MINID` came with Redis 6.2, as did the last of the others."""
    try:
        await client.xtrim(_PROBE_KEY, minid="0", approximate=False)
    except NoPermissionError as error:
        raise _forbids(f"XTRIM on {_PROBE_KEY}") from error
    except ResponseError as error:
        raise EngineRefused(
            "engine_too_old",
            "the engine does not know XTRIM … MINID: use Redis 6.2 or newer, or Valkey 7.2 or newer",
        ) from error
    try:
        await client.eval("return 1", 0)
    except ResponseError as error:
        raise _forbids("EVAL") from error


async def _check_durability(client: "Redis", durability: Durability) -> bool:
    try:
        # One pattern for all three: before Redis 7, CONFIG GET takes a single argument.
        found = await client.config_get("*append*")
    except ResponseError as error:
        # Managed engines take CONFIG away (NOPERM, or an unknown command).
        if durability is Durability.MEMORY:
            return False
        raise EngineRefused(
            "engine_durability_unprovable",
            "the engine does not let Quash read its configuration (CONFIG GET), so it cannot be proven that an "
            f"acknowledged revocation is on disk. Allow that, or set QUASH_DURABILITY=memory to accept that "
            f"{Durability.MEMORY.promise}",
        ) from error
    for name, needed, otherwise in _FSYNC_NEEDS:
        if found.get(name) != needed:
            if durability is Durability.MEMORY:
                return False
            raise EngineRefused(
                "engine_not_durable",
                f"the engine's {name} is {found.get(name, 'unknown')}, so {otherwise}. Set it to {needed} (CONFIG SET "
                f"{name} {needed}, and in its configuration file), or set QUASH_DURABILITY=memory to accept that "
                f"{Durability.MEMORY.promise}",
            )
    return True


async def _check_clock(client: "Redis", now_ms: Callable[[], int]) -> int:
    before = now_ms()
    seconds, micros = await client.time()
    after = now_ms()
    ahead = seconds * 1_000 + micros // 1_000 - (before + after) // 2
    # The answer was made at some moment between the two readings: only what exceeds that doubt is a difference.
    if abs(ahead) - (after - before) // 2 > CLOCK_TOLERANCE_MS:
        raise EngineRefused(
            "engine_clock",
            f"the engine's clock is {abs(ahead) / 1_000:.1f} s {'ahead of' if ahead > 0 else 'behind'} this host's; "
            f"at most {CLOCK_TOLERANCE_MS // 1_000} s are safe. Set both by NTP (chrony, systemd-timesyncd)",
        )
    return ahead


def _forbids(what: str) -> EngineRefused:
    return EngineRefused(
        "engine_forbids",
        f"the user of QUASH_REDIS_URL may not run {what}: allow it the commands +@read +@write +@scripting +@stream "
        "+@connection +info +time +config|get on the keys ~quash:* and the channels &quash:*",
    )
