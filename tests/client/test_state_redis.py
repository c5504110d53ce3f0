"""Reading the state: one pipeline per tick, nothing remembered, unavailable whenever it could not look."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from quash.errors import Unavailable
from quash.ids import jti_id, user_tag
from quash.keyspace import Global, bucket_key, global_key, user_key
from quash.reader import Question, question
from quash.state_redis import RedisState
from quash_service.engine import connect
from tests.client.test_verdict import TAG, claims
from tests.engines import RunningEngine, spawn_valkey

NOW = 10_000_000
G = global_key(question(claims()).partition)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    folder: Path = tmp_path_factory.mktemp("engine")
    with spawn_valkey(folder) as running:
        yield running


@pytest.fixture
async def client(engine: RunningEngine) -> AsyncIterator[Any]:
    client = connect(engine.url, timeout_s=0.2)
    await client.flushall()
    await client.hset(G, mapping={"born": NOW - 1_000, "since": NOW - 1_000})
    yield client
    await client.aclose()


async def pipelines(client: Any) -> int:
    """How many pipelines were written: each begins with one read of a `g`."""
    stats = await client.info("commandstats")
    return int(stats["cmdstat_hmget"]["calls"])


async def test_checks_of_one_tick_share_one_pipeline_with_one_read_of_g(client: Any) -> None:
    state = RedisState(client, lambda: NOW)
    await client.config_resetstat()
    answers = await asyncio.gather(*(state.ask(question(claims())) for _ in range(50)))
    assert {answer.version for answer in answers} == {0}
    assert await pipelines(client) == 51


async def test_a_check_never_joins_a_pipeline_that_was_written_before_it_began(client: Any) -> None:
    """A revocation acknowledged before a check is seen by it, however many checks are under way."""
    state = RedisState(client, lambda: NOW)
    for version in range(1, 200):
        early = asyncio.ensure_future(state.ask(question(claims())))
        await asyncio.sleep(0)
        await client.hset(user_key(TAG), "v", f"{version}l")
        late = await state.ask(question(claims()))
        assert late.version == version
        assert (await early).version in {version - 1, version}


async def test_a_single_revocation_is_read_from_its_bucket_only_when_one_may_count(client: Any) -> None:
    state = RedisState(client, lambda: NOW)
    token = claims(jti16=jti_id("iss", "t"))
    await client.hset(bucket_key(TAG, jti_id("iss", "t"), token.exp), jti_id("iss", "t"), "")
    assert not (await state.ask(question(token))).jti_revoked
    await client.hset(user_key(TAG), "j", token.exp)
    other = claims(jti16=jti_id("iss", "u"))
    first, second, third = await asyncio.gather(*(state.ask(question(one)) for one in (other, token, other)))
    assert (first.jti_revoked, second.jti_revoked, third.jti_revoked) == (False, True, False)


async def test_revoked_keys_are_seen_at_once_and_parsed_once(client: Any) -> None:
    state = RedisState(client, lambda: NOW)
    assert (await state.ask(question(claims()))).shared == Global(NOW - 1_000, NOW - 1_000, {}, {})
    await client.hset(G, "r", b"k" + b"x" * 16 + (7).to_bytes(6, "big") + b"c")
    first = (await state.ask(question(claims()))).shared
    second = (await state.ask(question(claims()))).shared
    assert first.keys == {"x" * 16: 7}
    assert first.keys is second.keys


@pytest.mark.parametrize("facts", [{}, {"born": NOW - 999, "since": 0}, {"born": 1}])
async def test_a_state_that_is_not_born_or_of_this_second_is_unavailable(client: Any, facts: dict[str, int]) -> None:
    await client.delete(G)
    if facts:
        await client.hset(G, mapping=facts)
    with pytest.raises(Unavailable):
        await RedisState(client, lambda: NOW).ask(question(claims()))


async def test_an_engine_that_hangs_or_is_gone_is_unavailable_and_comes_back_by_itself(tmp_path: Path) -> None:
    with spawn_valkey(tmp_path) as engine:
        client = connect(engine.url, timeout_s=0.2)
        await client.hset(G, mapping={"born": NOW - 1_000, "since": NOW - 1_000})
        state = RedisState(client, lambda: NOW, timeout_s=0.2)
        engine.pause()
        checks = [state.ask(question(claims())) for _ in range(20)]
        for outcome in await asyncio.gather(*checks, return_exceptions=True):
            assert isinstance(outcome, Unavailable)
        with pytest.raises(Unavailable):
            await state.fields("quash:{mm}:m:x", ("iss",))
        engine.resume()
        assert (await state.ask(question(claims()))).version == 0
        engine.kill()
        with pytest.raises(Unavailable) as gone:
            await state.ask(question(claims()))
        assert set(gone.value.evidence) == {"engine"}
        await client.aclose()


async def test_callers_that_hang_up_take_nobody_with_them(client: Any) -> None:
    users = [user_tag("iss", str(number)) for number in range(50)]
    await client.hset(G, "x", "y")
    for number, tag in enumerate(users):
        await client.hset(user_key(tag), "v", f"{number + 1}l")
    state = RedisState(client, lambda: NOW)
    questions = [
        Question(question(claims()).partition, user_key(tag), ("v", "j", "-", b"!"), None, None) for tag in users
    ]
    for _ in range(20):
        tasks = [asyncio.ensure_future(state.ask(one)) for one in questions]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.sleep(0)
        for task in tasks[1::4]:
            task.cancel()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        for number, answer in enumerate(answers):
            assert isinstance(answer, asyncio.CancelledError) or answer.version == number + 1  # type: ignore[union-attr]  # a State when not cancelled


async def test_single_fields_are_read_as_they_are(client: Any) -> None:
    await client.hset("quash:{mm}:m:x", "iss", "me")
    assert await RedisState(client, lambda: NOW).fields("quash:{mm}:m:x", ("iss", "sub")) == [b"me", None]


async def test_fields_asked_for_in_one_tick_share_one_pipeline(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        await client.hset(f"quash:{{mm}}:m:{number}", "iss", str(number))
    state = RedisState(client, lambda: NOW)
    written: list[object] = []
    pipeline = client.pipeline

    def counted(**options: object) -> object:
        written.append(options)
        return pipeline(**options)

    monkeypatch.setattr(client, "pipeline", counted)
    answers = await asyncio.gather(*(state.fields(f"quash:{{mm}}:m:{number}", ("iss",)) for number in range(20)))
    assert answers == [[str(number).encode()] for number in range(20)]
    assert len(written) == 1
