"""Wishes to switch protocols, which Java's own HTTP client sends with a first request, are ignored."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.engines import RunningEngine
from tests.http.serving import served
from tests.service import ADMIN, running_app

pytestmark = pytest.mark.asyncio(loop_scope="module")

FORM = "application/x-www-form-urlencoded"
SMUGGLED = b"DELETE /sessions?sub=bob HTTP/1.1\r\nHost: x\r\n\r\n"
WISHES = (
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n",
    b"Connection: keep-alive, upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n",
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def port(folder: Path, engine: RunningEngine) -> AsyncIterator[int]:
    async with running_app(folder, engine.url) as running, served(running.app) as number:
        yield number


async def exchange(port: int, *pieces: bytes) -> list[tuple[int, bytes]]:
    """Send the pieces one by one, then a request that ends the connection; return status and body of each answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in (*pieces, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"):
        writer.write(piece)
        await asyncio.sleep(0.05)
    async with asyncio.timeout(20):
        raw = await reader.read()
    writer.close()
    answers = []
    for answer in raw.split(b"HTTP/1.1 ")[1:]:
        head, _, body = answer.partition(b"\r\n\r\n")
        answers.append((int(head[:3]), body))
    return answers


def posted(body: bytes, wish: bytes, *, chunked: bool = False) -> tuple[bytes, bytes]:
    """Return the head and the body of an introspection."""
    length = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(body)
    head = b"POST /introspect HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\n%s%s\r\n\r\n" % (FORM.encode(), wish, length)
    return head, b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if chunked else body


@pytest.mark.parametrize("wish", WISHES)
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("whole", [False, True])
async def test_the_body_is_read_as_a_body(port: int, wish: bytes, chunked: bool, whole: bool) -> None:
    head, body = posted(f"token=junk&client_id=admin&client_secret={ADMIN}".encode(), wish, chunked=chunked)
    sent = (head + body,) if whole else (head, body)
    (status, document), last = await exchange(port, *sent)
    assert (status, json.loads(document)) == (200, {"active": False})
    assert last[0] == 200


@pytest.mark.parametrize("wish", WISHES)
async def test_a_body_never_becomes_a_request(port: int, wish: bytes) -> None:
    """Behind a proxy that passes the wish on, an end user would choose what the proxy's connection asks next."""
    answered = await exchange(port, *posted(SMUGGLED, wish))
    assert [status for status, _ in answered] == [401, 200]


@pytest.mark.parametrize("wish", WISHES)
async def test_without_a_body_it_is_answered_as_ever(port: int, wish: bytes) -> None:
    asked = b"GET /forward-auth HTTP/1.1\r\nHost: x\r\n" + wish + b"\r\n"
    answered = await exchange(port, asked, asked)
    assert [status for status, _ in answered] == [401, 401, 200]


async def test_many_wishes_at_once_are_as_many_answers(port: int) -> None:
    asked = b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + WISHES[0] + b"\r\n"
    answered = await exchange(port, asked * 1_500)
    assert [status for status, _ in answered] == [200] * 1_501


@pytest.mark.parametrize("target", [b"x:80", b"/healthz"])
async def test_connect_is_refused(port: int, target: bytes) -> None:
    answered = await exchange(port, b"CONNECT " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert [status for status, _ in answered] == [400]


async def test_a_last_request_stays_the_last(port: int) -> None:
    wish = b"Connection: close, Upgrade\r\nUpgrade: h2c\r\n"
    for asked in (
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + wish + b"\r\n",
        b"GET /healthz HTTP/1.0\r\n" + wish + b"\r\n",
    ):
        assert [status for status, _ in await exchange(port, asked)] == [200]


async def test_a_large_head_is_refused_whatever_it_wishes(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 40_000 + b"\r\n" + WISHES[0] + b"\r\n")
    async with asyncio.timeout(20):
        assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
    writer.close()
