"""Start-up refuses an engine that would lose or un-revoke quietly, and says how to mend it."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from quash_service.engine.checks import CLOCK_TOLERANCE_MS, EngineFacts, check_engine, wall_clock_ms
from quash_service.engine.connect import connect, memory
from quash_service.engine.durability import Durability
from quash_service.engine.embedded import EmbeddedEngine
from quash_service.engine.errors import EngineRefused
from tests.engines import RunningEngine, free_port

Spawn = Callable[..., RunningEngine]


async def facts_of(url: str, durability: Durability = Durability.FSYNC) -> EngineFacts:
    async with connect(url, timeout_s=5) as client:
        return await check_engine(client, durability)


async def refusal_of(url: str, durability: Durability = Durability.FSYNC) -> EngineRefused:
    with pytest.raises(EngineRefused) as refused:
        await facts_of(url, durability)
    return refused.value


async def test_a_durable_primary_is_taken(spawn: Spawn, engine_name: str) -> None:
    found = await facts_of(spawn().url)
    assert (found.family, found.fsync) == (engine_name, True)
    assert found.version[0].isdigit()
    assert found.version != "7.2.4", "the version that Valkey feigns"
    assert abs(found.clock_ahead_ms) < CLOCK_TOLERANCE_MS


async def test_the_embedded_engine_passes_its_own_checks(data_dir: Path) -> None:
    engine = EmbeddedEngine(data_dir)
    url = await asyncio.to_thread(engine.start)
    try:
        assert (await facts_of(url)).fsync
    finally:
        await asyncio.to_thread(engine.stop)


async def test_the_memory_imitation_is_taken_as_what_it_is() -> None:
    async with memory() as client:
        found = await check_engine(client, Durability.MEMORY, memory=True)
    assert found == EngineFacts("memory", "", fsync=False, clock_ahead_ms=0)


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu", "volatile-ttl", "volatile-lru", "allkeys-random"])
async def test_an_evicting_policy_is_refused(spawn: Spawn, policy: str) -> None:
    refused = await refusal_of(spawn("--maxmemory-policy", policy).url)
    assert refused.code == "engine_evicts"
    assert policy in str(refused)
    assert "CONFIG SET maxmemory-policy noeviction" in str(refused)


async def test_a_replica_is_refused(spawn: Spawn) -> None:
    refused = await refusal_of(spawn("--replicaof", f"127.0.0.1 {free_port()}").url)
    assert refused.code == "engine_replica"
    assert "at the primary" in str(refused)


async def test_cluster_mode_is_refused(spawn: Spawn) -> None:
    engine = spawn("--cluster-enabled", "yes", "--cluster-port", str(free_port()), port=True)
    refused = await refusal_of(engine.url)
    assert refused.code == "engine_cluster"


async def test_an_engine_without_the_needed_commands_is_refused(spawn: Spawn) -> None:
    refused = await refusal_of(spawn("--rename-command", "XTRIM", "").url)
    assert refused.code == "engine_too_old"
    assert "Redis 6.2 or newer, or Valkey 7.2" in str(refused)


@pytest.mark.parametrize(
    ("option", "value", "harm"),
    [
        ("appendonly", "no", "nothing is written to disk"),
        ("appendfsync", "everysec", "crash of the machine"),
        ("no-appendfsync-on-rewrite", "yes", "being rewritten"),
    ],
)
async def test_less_than_the_asked_durability_is_refused(spawn: Spawn, option: str, value: str, harm: str) -> None:
    engine = spawn(f"--{option}", value)
    refused = await refusal_of(engine.url)
    assert refused.code == "engine_not_durable"
    assert f"{option} is {value}, so " in str(refused)
    assert harm in str(refused)
    assert f"CONFIG SET {option} " in str(refused)
    assert "QUASH_DURABILITY=memory" in str(refused)
    assert not (await facts_of(engine.url, Durability.MEMORY)).fsync


async def test_durability_that_cannot_be_proven_is_refused_unless_the_risk_is_accepted(spawn: Spawn) -> None:
    engine = spawn("--rename-command", "CONFIG", "")
    refused = await refusal_of(engine.url)
    assert refused.code == "engine_durability_unprovable"
    assert "QUASH_DURABILITY=memory" in str(refused)
    assert not (await facts_of(engine.url, Durability.MEMORY)).fsync


@pytest.mark.parametrize("ahead", [True, False])
async def test_a_clock_that_differs_is_refused(spawn: Spawn, *, ahead: bool) -> None:
    difference = CLOCK_TOLERANCE_MS + 3_000
    shift = -difference if ahead else difference
    async with connect(spawn().url, timeout_s=5) as client:
        with pytest.raises(EngineRefused, match="ahead of" if ahead else "behind") as refused:
            await check_engine(client, Durability.FSYNC, now_ms=lambda: wall_clock_ms() + shift)
    assert refused.value.code == "engine_clock"
    assert "NTP" in str(refused.value)


async def test_a_slow_answer_is_not_taken_for_a_wrong_clock(spawn: Spawn) -> None:
    readings = iter([wall_clock_ms() - 9_000, wall_clock_ms()])
    async with connect(spawn().url, timeout_s=5) as client:
        found = await check_engine(client, Durability.FSYNC, now_ms=lambda: next(readings))
    assert found.clock_ahead_ms > CLOCK_TOLERANCE_MS


@pytest.mark.parametrize("port", [False, True])
@pytest.mark.parametrize("credentials", ["", ":wr0ng@", "nobody:wr0ng@"])
async def test_wrong_credentials_are_refused_and_never_shown(spawn: Spawn, credentials: str, *, port: bool) -> None:
    engine = spawn("--requirepass", "r1ght", port=port)
    refused = await refusal_of(engine.url.replace("://", f"://{credentials}"))
    assert refused.code == "engine_auth"
    assert "wr0ng" not in f"{refused}{refused.__cause__!r}"


async def test_a_password_for_an_engine_that_wants_none_is_refused(spawn: Spawn) -> None:
    refused = await refusal_of(spawn().url.replace("unix://", "unix://:wr0ng@"))
    assert refused.code == "engine_auth"
    assert "or wants none" in str(refused)


@pytest.mark.parametrize("port", [False, True])
async def test_a_database_that_is_not_there_is_refused(spawn: Spawn, *, port: bool) -> None:
    url = spawn(port=port).url
    refused = await refusal_of(url.removesuffix("/0") + "/99" if port else url + "?db=99")
    assert refused.code == "engine_database"


@pytest.mark.parametrize(
    ("rule", "named"),
    [("-info", "INFO"), ("-xtrim", "XTRIM"), ("-eval", "EVAL"), ("resetkeys ~other:*", "XTRIM on quash:{0}:probe")],
)
async def test_a_user_who_may_not_do_what_is_needed_is_refused(spawn: Spawn, rule: str, named: str) -> None:
    engine = spawn()
    await add_user(engine, *f"~quash:* +@all {rule}".split())
    refused = await refusal_of(engine.url.replace("unix://", "unix://limited:pw@"))
    assert refused.code == "engine_forbids"
    assert f"may not run {named}" in str(refused)


async def test_the_rights_that_a_refusal_names_are_enough(spawn: Spawn) -> None:
    engine = spawn()
    await add_user(engine, "-@all", "-info")
    limited = engine.url.replace("unix://", "unix://limited:pw@")
    _, _, rights = str(await refusal_of(limited)).partition("the commands ")
    await add_user(engine, *[word for word in rights.split() if word[0] in "+~&"])
    assert (await facts_of(limited)).fsync


async def add_user(engine: RunningEngine, *rules: str) -> None:
    async with connect(engine.url) as client:
        await client.execute_command("ACL", "SETUSER", "limited", "reset", "on", ">pw", *rules)  # type: ignore[no-untyped-call]  # redis-py leaves it untyped


async def test_an_engine_that_is_away_is_no_refusal(spawn: Spawn) -> None:
    engine = spawn()
    engine.kill()
    with pytest.raises(redis.ConnectionError):
        await facts_of(engine.url)
