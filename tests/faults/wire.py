"""HTTP/1.1 over plain sockets, so that a test knows exactly what was sent, what came back, and what did not."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

# Below the server's own five seconds: a connection that it closed by itself is never written to.
_IDLE_S = 3.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


class Unanswered(Exception):
    """No whole answer came: `refused` at connect, or cut after it had `begun`, or neither."""

    def __init__(self, *, refused: bool = False, begun: bool = False) -> None:
        super().__init__("refused" if refused else "cut" if begun else "unanswered")
        self.refused = refused
        self.begun = begun


class Connection:
    """One connection, for one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._used_at = time.monotonic()
        self._last = False

    @property
    def fresh(self) -> bool:
        """Whether it may carry another request."""
        return not (self._last or self._reader.at_eof()) and time.monotonic() - self._used_at < _IDLE_S

    async def send(self, request: bytes) -> None:
        """Write a request, or a part of one."""
        self._writer.write(request)
        try:
            await self._writer.drain()
        except OSError as error:
            raise Unanswered from error

    async def begins(self) -> None:
        """Wait for the first byte of an answer that will not be read."""
        await self._reader.read(1)

    async def receive(self) -> Answer:
        """Read one answer. Raises Unanswered."""
        begun = False
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
            begun = True
            status, headers = _parse_head(head)
            body = await self._reader.readexactly(int(headers.get("content-length", "0")))
        except asyncio.IncompleteReadError as error:
            raise Unanswered(begun=begun or bool(error.partial)) from error
        except OSError as error:
            raise Unanswered(begun=begun) from error
        self._used_at = time.monotonic()
        self._last = headers.get("connection") == "close"
        return Answer(status, headers, body)

    def abort(self) -> None:
        """Hang up at once, without a farewell."""
        self._writer.transport.abort()

    async def close(self) -> None:
        """Hang up in good order."""
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()


class Wire:
    """A bounded number of kept-alive connections to one server: `async with Wire(url) as wire`."""

    def __init__(self, url: str, *, connections: int = 64) -> None:
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "", parts.port or 80
        self._room = asyncio.Semaphore(connections)
        self._idle: list[Connection] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for connection in self._idle:
            await connection.close()

    async def ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        """Send a request and read its answer. Raises Unanswered."""
        async with self.connection() as connection:
            await connection.send(self.request(method, path, headers, body))
            return await connection.receive()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lend a connection; it is kept for the next one unless the block fails. Raises Unanswered."""
        async with self._room:
            connection = await self._connected()
            try:
                yield connection
            except BaseException:
                connection.abort()
                raise
            self._idle.append(connection)

    async def connect(self) -> Connection:
        """Open a connection of one's own. Raises Unanswered."""
        try:
            return Connection(*await asyncio.open_connection(self.host, self.port))
        except OSError as error:
            raise Unanswered(refused=True) from error

    def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
        """Return a request as it is written."""
        lines = [f"{method} {path} HTTP/1.1", f"host: {self.host}:{self.port}", f"content-length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode() + body

    async def _connected(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.fresh:
                return connection
            await connection.close()
        return await self.connect()


def _parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    first, *rest = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    pairs = (line.split(":", 1) for line in rest)
    return int(first.split(" ")[1]), {name.lower(): value.strip() for name, value in pairs}
