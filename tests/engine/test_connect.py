"""Clients fail soon, recover by themselves, and wait in line rather than fail under load."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import redis

from quash_service.engine.connect import MAX_CONNECTIONS, connect, connect_blocking, memory
from tests.certificates import self_signed
from tests.engines import RunningEngine, free_port

Spawn = Callable[..., RunningEngine]


@pytest.mark.parametrize("port", [False, True])
async def test_both_clients_speak_bytes_over_tcp_and_unix_sockets(spawn: Spawn, *, port: bool) -> None:
    engine = spawn(port=port)
    async with connect(engine.url) as client:
        assert await client.set("a", "1")
        assert await client.get("a") == b"1"
    with connect_blocking(engine.url) as blocking:
        assert blocking.get("a") == b"1"


async def test_the_database_and_the_password_of_the_url_are_used(spawn: Spawn) -> None:
    engine = spawn("--requirepass", "p/s s")
    async with connect(engine.url.replace("unix://", "unix://:p%2Fs%20s@") + "?db=3") as client:
        await client.set("a", "1")
        assert (await client.info("keyspace")).keys() == {"db3"}
    async with connect(engine.url) as client:
        with pytest.raises(redis.AuthenticationError):
            await client.get("a")


async def test_nothing_is_connected_before_the_first_command() -> None:
    async with connect("redis://nowhere.invalid"):
        pass


async def test_an_engine_that_hangs_is_given_up_after_the_timeout_without_asking_twice(spawn: Spawn) -> None:
    engine = spawn()
    async with connect(engine.url, timeout_s=0.2) as client:
        await client.set("n", "0")
        engine.pause()
        async with asyncio.timeout(10):
            with pytest.raises(redis.TimeoutError):
                await client.incr("n")
        engine.resume()
        assert await client.get("n") in {b"0", b"1"}, "the command may have run, but only once"


def test_the_blocking_client_gives_up_too(spawn: Spawn) -> None:
    engine = spawn()
    with connect_blocking(engine.url, timeout_s=0.2) as client:
        client.ping()
        engine.pause()
        with pytest.raises(redis.TimeoutError):
            client.ping()
        engine.resume()


@pytest.mark.parametrize("port", [False, True])
async def test_an_engine_that_is_gone_is_an_error_and_one_that_returns_is_used_again(
    spawn: Spawn, *, port: bool
) -> None:
    engine = spawn(port=port)
    async with connect(engine.url) as client:
        await asyncio.gather(*(client.ping() for _ in range(8)))
        engine.kill()
        async with asyncio.timeout(10):
            with pytest.raises(redis.ConnectionError):
                await client.ping()
        engine.restart()
        assert await asyncio.gather(*(client.ping() for _ in range(8))) == [True] * 8


async def test_a_restart_between_two_commands_is_not_noticed(spawn: Spawn) -> None:
    engine = spawn(port=True)
    async with connect(engine.url) as client:
        await asyncio.gather(*(client.ping() for _ in range(8)))
        engine.restart()
        assert await asyncio.gather(*(client.ping() for _ in range(8))) == [True] * 8


async def test_more_callers_than_connections_wait_in_line(spawn: Spawn) -> None:
    engine = spawn()
    async with connect(engine.url, timeout_s=20) as client:
        answers = await asyncio.gather(*(client.incr("n") for _ in range(MAX_CONNECTIONS * 8)))
        connected = (await client.info("clients"))["connected_clients"]
    assert sorted(answers) == list(range(1, MAX_CONNECTIONS * 8 + 1))
    assert connected <= MAX_CONNECTIONS


async def test_each_memory_client_is_a_world_of_its_own_that_runs_lua() -> None:
    async with memory() as one, memory() as two:
        await one.set("a", "1")
        assert await one.eval("return redis.call('GET', KEYS[1])", 1, "a") == b"1"
        assert await two.get("a") is None


@asynccontextmanager
async def tls_in_front_of(engine: RunningEngine, certificate: Path, key: Path) -> AsyncIterator[int]:
    """Relay TLS to the engine's unix socket, as a managed engine's front does; yield the port."""

    async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
        target.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind_reader, behind_writer = await asyncio.open_unix_connection(engine.url.removeprefix("unix://"))
        await asyncio.gather(copy(reader, behind_writer), copy(behind_reader, writer), return_exceptions=True)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    port = free_port()
    async with await asyncio.start_server(relay, "127.0.0.1", port, ssl=context):
        yield port


async def test_tls_is_verified(spawn: Spawn, tmp_path: Path) -> None:
    engine = spawn()
    certificate, key = self_signed(tmp_path)
    async with tls_in_front_of(engine, certificate, key) as port:
        async with connect(f"rediss://127.0.0.1:{port}?ssl_ca_certs={certificate}", timeout_s=5) as client:
            assert await client.ping()
        async with connect(f"rediss://127.0.0.1:{port}", timeout_s=5) as client:
            with pytest.raises(redis.ConnectionError):
                await client.ping()
        async with connect(f"rediss://localhost:{port}?ssl_ca_certs={certificate}", timeout_s=5) as client:
            with pytest.raises(redis.ConnectionError):
                await client.ping()
