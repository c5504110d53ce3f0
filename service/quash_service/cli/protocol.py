"""The HTTP/1.1 protocol with a bound on a request's head, which neither httptools nor uvicorn has."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 32 * 1024
"""Request line and headers: a token of 16 KiB and as much again for all the rest."""


LAST_REQUEST_S = 0.1
"""How long a connection without a request may still bring one when the service ends."""


class BoundedProtocol(HttpToolsProtocol):
    """Answers 400 to a request whose head is over 32 KiB, before it is kept in memory."""

    _head_bytes = 0
    _in_head = True
    _draining = False

    def data_received(self, data: bytes) -> None:
        """Count what arrives while a head is incomplete."""
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The request's headers are too large.")

    def on_headers_complete(self) -> None:
        """Refuse a large head that came in one piece: an error here is answered 400."""
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD_BYTES:
            raise ValueError("the request's headers are too large")
        self._in_head = False
        super().on_headers_complete()
        if self._draining:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """Begin to count again for the next request of the connection."""
        self._in_head = True
        self._head_bytes = 0
        super().on_message_complete()

    def shutdown(self) -> None:
        """Begin to drain: a request that is on its way is still read and answered, closing now would cut it."""
        self._draining = True
        if self.cycle is not None:
            self.cycle.keep_alive = False
        self.loop.call_later(LAST_REQUEST_S, super().shutdown)
