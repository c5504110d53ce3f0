"""Requests that do not arrive: cut off in time, with a 408 where somebody may read it, and nothing is kept open."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest
import pytest_asyncio

from quash_service.cli.protocol import HEAD_S, REST_S, BoundedProtocol
from quash_service.http.bodies import BODY_S
from quash_service.http.edge import Edge
from tests.engines import RunningEngine
from tests.http.serving import served
from tests.service import running_app

pytestmark = pytest.mark.asyncio(loop_scope="module")

SHORT_S = 0.3
FORM = b"POST /introspect HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
JSON = b"POST /sessions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
GOOD = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


class Hasty(BoundedProtocol):
    head_s = SHORT_S
    rest_s = 2 * SHORT_S


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def port(folder: Path, engine: RunningEngine) -> AsyncIterator[int]:
    """The production application with short patience, behind production's protocol with as little."""
    async with running_app(folder, engine.url) as running:
        (middleware,) = (one for one in running.app.user_middleware if cast("object", one.cls) is Edge)
        middleware.kwargs["body_s"] = SHORT_S
        async with served(running.app, Hasty, timeout_keep_alive=1) as number:
            yield number


async def exchange(port: int, *pieces: bytes, pause_s: float = 0) -> list[Answer]:
    """Send the pieces, then wait until the service closes; return what it answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    reading = asyncio.ensure_future(everything_from(reader))
    try:
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(pause_s)
        async with asyncio.timeout(20):
            return answers(await reading)
    finally:
        reading.cancel()
        writer.close()


async def everything_from(reader: asyncio.StreamReader) -> bytes:
    """Read to the end; a reset is one too: what was still being sent after the answer is answered with it."""
    pieces = []
    with contextlib.suppress(ConnectionResetError):
        while piece := await reader.read(65_536):
            pieces.append(piece)
    return b"".join(pieces)


def answers(raw: bytes) -> list[Answer]:
    found = []
    while raw:
        head, _, rest = raw.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        length = int(headers.get("content-length", 0))
        found.append(Answer(int(first.split(" ")[1]), headers, rest[:length]))
        raw = rest[length:]
    return found


async def test_what_is_allowed_is_ten_seconds_each() -> None:
    assert (HEAD_S, BODY_S, REST_S) == (10, 10, 12)
    assert (BoundedProtocol.head_s, BoundedProtocol.rest_s) == (HEAD_S, REST_S)


@pytest.mark.parametrize(
    "unfinished",
    [
        FORM + b"Content-Length: 100\r\n\r\n",
        FORM + b"Content-Length: 100\r\n\r\ntoken=t",
        FORM + b"Transfer-Encoding: chunked\r\n\r\n5\r\ntoken\r\n",
        FORM + b"Expect: 100-continue\r\nContent-Length: 100\r\n\r\n",
    ],
)
async def test_a_body_that_does_not_arrive_is_408_and_the_connection_ends(port: int, unfinished: bytes) -> None:
    *_, answer = await exchange(port, unfinished)
    assert (answer.status, json.loads(answer.body)["error"]) == (408, "request_timeout")
    assert answer.headers["connection"] == "close"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-request-id"]


async def test_so_is_one_that_trickles_in(port: int) -> None:
    trickle = [b"t"] * 12
    answer, *_ = await exchange(port, FORM + b"Content-Length: 100\r\n\r\n", *trickle, pause_s=SHORT_S / 6)
    assert answer.status == 408


async def test_a_json_body_is_refused_as_a_problem(port: int) -> None:
    """FastAPI reads the body before it asks who calls."""
    (answer,) = await exchange(port, JSON + b"Content-Length: 100\r\n\r\n{")
    assert (answer.status, json.loads(answer.body)["code"]) == (408, "request_timeout")


@pytest.mark.parametrize(
    "head", [b"G", b"GET /healthz HT", b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: aaa", GOOD[:-2]]
)
async def test_a_head_that_does_not_arrive_is_408_with_a_request_id(port: int, head: bytes) -> None:
    (answer,) = await exchange(port, head)
    assert (answer.status, json.loads(answer.body)["code"]) == (408, "request_timeout")
    assert re.fullmatch(r"[A-Za-z0-9_-]{12}", answer.headers["x-request-id"])
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_head_that_trickles_in_gets_no_more_time(port: int) -> None:
    pieces = [GOOD[at : at + 1] for at in range(len(GOOD) - 2)]
    (answer,) = await exchange(port, *pieces, pause_s=SHORT_S / 6)
    assert answer.status == 408


async def test_a_second_request_on_a_connection_has_its_own_time_and_no_more(port: int) -> None:
    good, late = await exchange(port, GOOD + GOOD[:10])
    assert (good.status, late.status) == (200, 408)
    good, late = await exchange(port, GOOD, GOOD[:10], pause_s=2 * SHORT_S)
    assert (good.status, late.status) == (200, 408)


async def test_what_trickles_in_behind_an_answer_is_cut_off(port: int) -> None:
    """Answered without having been read: too large, or of nobody."""
    head = FORM + b"Content-Length: 3000000\r\n\r\n"
    (answer,) = await exchange(port, head, *[b"t"] * 8, pause_s=SHORT_S / 3)
    assert answer.status == 413


@pytest.mark.parametrize("nothing", [b"", b"\r\n"])
async def test_a_connection_that_asks_for_nothing_is_closed(port: int, nothing: bytes) -> None:
    assert [one.status for one in await exchange(port, nothing)] in ([], [408])


@pytest.mark.parametrize(
    "junk", [b"\x16\x03\x01\x02\x00\x01\x00", b"GET / HTTP/9.9\r\n\r\n", b"no http at all\r\n\r\n"]
)
async def test_what_is_no_http_is_refused_in_the_format_of_all_errors(port: int, junk: bytes) -> None:
    (answer,) = await exchange(port, junk)
    assert (answer.status, json.loads(answer.body)["code"]) == (400, "invalid_request")
    assert answer.headers["x-request-id"]


async def test_whoever_is_in_time_is_served_however_many_requests_there_are(port: int) -> None:
    """On one connection, in pieces, for longer than any one request may take."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    piece: Callable[[int], bytes] = lambda at: (FORM + b"Content-Length: 7\r\n\r\ntoken=t")[at : at + 40]  # noqa: E731 - one line tells it best
    for _ in range(4):
        for at in range(0, len(FORM) + 30, 40):
            writer.write(piece(at))
            await asyncio.sleep(SHORT_S / 12)
        (answer,) = answers(await reader.readuntil(b"}"))
        assert answer.status == 401
    writer.close()
    await writer.wait_closed()
