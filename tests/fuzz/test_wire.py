"""Bytes on the wire, before any route: whatever is sent, the answer is HTTP and the next caller is served."""

import asyncio
import re
from collections.abc import AsyncIterator
from random import Random
from time import monotonic

import pytest
import pytest_asyncio

from quash_service.cli.protocol import BoundedProtocol
from tests.fuzz.mutations import mutated
from tests.fuzz.requests import HEADERS
from tests.http.serving import served
from tests.http.support import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")

SOAK_CONNECTIONS = 5_000
CHUNKED = (
    b"POST /sessions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    b'5\r\n{"sub\r\n6\r\n":"a"}\r\n0\r\n\r\n'
)
# None states a request id: joined with a token it would be one, and request ids are logged.
REQUESTS = (
    b"GET /healthz HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n",
    b"GET /forward-auth?max_age=5&scope=a%20b HTTP/1.1\r\nHost: x\r\nAuthorization: " + HEADERS[3] + b"\r\n\r\n",
    b"POST /introspect HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nAuthorization: "
    + HEADERS[0]
    + b"\r\nContent-Length: 7\r\n\r\ntoken=t",
    CHUNKED,
    b"DELETE /sessions/%2e%2e?cause=x HTTP/1.0\r\nConnection: keep-alive, Upgrade\r\nUpgrade: h2c\r\n\r\n",
)
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


class Hasty(BoundedProtocol):
    head_s = rest_s = 0.05


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def port(service: Service) -> AsyncIterator[int]:
    async with served(service.app, Hasty, timeout_keep_alive=1) as number:
        yield number


async def talk(port: int, sent: bytes) -> bytes:
    """Send it and stop sending; return all that is answered until the service closes or has nothing to add."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent)
        async with asyncio.timeout(10):
            return await reader.read(65_536)
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def still_served(port: int, random: Random) -> None:
    """Whatever was sent, it was answered with no 500 and in HTTP; and a plain request afterwards is served."""
    sent = mutated(random, REQUESTS)
    answer = await talk(port, sent)
    statuses = {int(status) for status in STATUS.findall(answer)}
    assert 500 not in statuses, sent
    assert not answer or answer.startswith(b"HTTP/1.1 "), sent


async def test_whatever_is_on_the_wire_is_answered_in_http(port: int) -> None:
    random = Random()
    for _ in range(300):
        await still_served(port, random)
    assert (await talk(port, REQUESTS[0])).startswith(b"HTTP/1.1 200 ")


@pytest.mark.soak
async def test_so_are_thousands_of_connections(port: int, capsys: pytest.CaptureFixture[str]) -> None:
    began, random = monotonic(), Random(20_261_124)
    for _ in range(SOAK_CONNECTIONS):
        await still_served(port, random)
    assert (await talk(port, REQUESTS[0])).startswith(b"HTTP/1.1 200 ")
    with capsys.disabled():
        print(f"\n{SOAK_CONNECTIONS:,} connections in {monotonic() - began:.0f} s")  # noqa: T201 - asked for
