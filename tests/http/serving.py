"""An application on a real loopback port, in this event loop."""

import contextlib
import socket
from asyncio import Protocol, create_task, sleep
from collections.abc import AsyncIterator, Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from quash_service.cli.protocol import BoundedProtocol


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the test run's signals alone."""
        yield


@contextlib.asynccontextmanager
async def served(app: ASGIApp, protocol: type[Protocol] = BoundedProtocol, **config: Any) -> AsyncIterator[int]:
    """Serve an application whose lifespan runs already, with production's protocol; yield the port."""
    with contextlib.closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        options = {"http": protocol, "lifespan": "off", "ws": "none", "log_config": None, **config}
        server = _Server(uvicorn.Config(app, **options))
        running = create_task(server.serve(sockets=[listener]))
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await sleep(0.01)
        try:
            yield int(listener.getsockname()[1])
        finally:
            server.should_exit = True
            await running
