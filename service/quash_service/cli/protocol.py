"""The HTTP/1.1 protocol with bounds on what a request's head and body may take, which uvicorn does not have."""

from asyncio import TimerHandle
from base64 import urlsafe_b64encode
from secrets import token_bytes
from typing import Any

from httptools import HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from quash_service.http.bodies import BODY_S
from quash_service.http.problems import Problem

MAX_HEAD_BYTES = 32 * 1024
"""Request line and headers: a token of 16 KiB and as much again for all the rest."""

HEAD_S = 10.0
"""How long a request's head may take to arrive."""

REST_S = BODY_S + 2.0
"""How long a body may take, also one that was answered before it was read; later than the edge, which says why."""

LAST_REQUEST_S = 0.1
"""How long a connection without a request may still bring one when the service ends."""


class _Parser(HttpRequestParser):
    """Ignores every wish to switch protocols, as RFC 9110 §7.8 allows.

    httptools reads no body of such a request and takes it for the connection's next request: whoever wrote
    the body would speak to us as the proxy that sent it.
    """

    def __init__(self, protocol: "BoundedProtocol") -> None:
        super().__init__(protocol)
        # As uvicorn has it: what follows a request that ends the connection is not looked at.
        self.set_dangerous_leniencies(lenient_data_after_close=True)
        self._protocol = protocol

    def feed_data(self, data: Any) -> None:  # noqa: ANN401 - anything that holds bytes
        """Read on after each head that asked, as if it had not."""
        left = self.fed(data)
        while left is not None:
            head = self._protocol.plain_head()
            parser = self._protocol.parser = _Parser(self._protocol)
            left = parser.fed(head + left)

    def fed(self, data: Any) -> bytes | None:  # noqa: ANN401 - as above
        """Read, and return what was left unread behind a head that asked to switch."""
        try:
            super().feed_data(data)
        except HttpParserUpgrade as upgrade:
            (offset,) = upgrade.args
            return bytes(data[offset:])
        return None


class BoundedProtocol(HttpToolsProtocol):
    """Refuses a request whose head is over 32 KiB (400) or slow (408), and cuts off a body that never ends.

    Both answers come before any route, so they are made here; they have a request id like all others.
    """

    head_s = HEAD_S
    rest_s = REST_S
    _head_bytes = 0
    _in_head = True
    _draining = False
    _requests = 0
    _awaited: tuple[int, bool] | None = None
    _patience: TimerHandle | None = None

    def connection_made(self, transport: object) -> None:
        """Wait for a first request no longer than for a further one."""
        self.parser = _Parser(self)
        super().connection_made(transport)  # type: ignore[arg-type]  # asyncio's own signature is wider
        self.access_log = False  # an address may hold a token; the edge logs requests by their route
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._wait_for(None)
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what arrives while a head is incomplete, and wait no longer than allowed for what is missing."""
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The request's headers are too large.")
        is_whole = self._in_head and not self._head_bytes  # then nothing is awaited, and no timer was made for it
        self._wait_for(None if is_whole or self.transport.is_closing() else (self._requests, self._in_head))

    def plain_head(self) -> bytes:
        """Return the head that was just read, without its wish for another protocol."""
        first = b" ".join((self.parser.get_method(), self.url, b"HTTP/" + self.parser.get_http_version().encode()))
        kept = (name + b": " + value for name, value in self.headers if name != b"upgrade")
        return b"\r\n".join((first, *kept, b"", b""))

    def on_message_begin(self) -> None:
        """Count the head of a request that came right behind another."""
        super().on_message_begin()
        self._head_bytes = max(self._head_bytes, 1)

    def on_headers_complete(self) -> None:
        """Refuse a large head that came in one piece: an error here is answered 400."""
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD_BYTES:
            raise ValueError("the request's headers are too large")
        if self.parser.get_method() == b"CONNECT":
            raise ValueError("this is no proxy")  # to the parser every CONNECT is a switch
        if self.parser.should_upgrade():
            return  # the same request comes again, without that
        self._in_head = False
        super().on_headers_complete()
        if self._draining:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """Begin to count again for the next request of the connection."""
        if self.parser.should_upgrade():
            return
        self._in_head = True
        self._head_bytes = 0
        self._requests += 1
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, or too large, in the format of all errors."""
        self._refuse(Problem("invalid_request", msg))

    def shutdown(self) -> None:
        """Begin to drain: a request that is on its way is still read and answered, closing now would cut it."""
        self._draining = True
        if self.cycle is not None:
            self.cycle.keep_alive = False
        self.loop.call_later(LAST_REQUEST_S, super().shutdown)

    def _wait_for(self, awaited: tuple[int, bool] | None) -> None:
        """Wait for the head or the rest of a request; more of what is awaited already gives no more time."""
        if awaited == self._awaited:
            return
        self._awaited = awaited
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        if awaited is not None:
            self._patience = self.loop.call_later(self.head_s if self._in_head else self.rest_s, self._cut)

    def _cut(self) -> None:
        """Close; with an answer if it is a head that is late and no other answer is under way."""
        if self.transport.is_closing():
            return
        idle = self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr]  # None at first
        if self._in_head and idle:
            self._refuse(Problem("request_timeout"))
        else:
            self.transport.close()

    def _refuse(self, problem: Problem) -> None:
        answer = problem.as_problem()
        rid = urlsafe_b64encode(token_bytes(9))
        headers = [*answer.raw_headers, (b"x-request-id", rid), (b"connection", b"close")]
        lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
        self.transport.write(STATUS_LINE[answer.status_code] + lines + b"\r\n" + bytes(answer.body))
        self.transport.close()
