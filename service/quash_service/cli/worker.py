"""One worker process of several. Its settings come from the environment, where the parent put the flags."""

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading

from starlette.types import ASGIApp, Receive, Scope, Send

from quash_service.logs import configure, get_logger
from quash_service.settings import load_settings

from .startup import Startup


def app() -> ASGIApp:
    """Return the application of a worker (uvicorn's factory)."""
    settings = load_settings()
    configure(settings.log_level)
    _leave_with_parent()
    from quash_service.app import create_app

    return _Spoken(Startup(create_app(settings)))


class _Spoken:
    """Logs what stopped the start: a worker has nobody else who would say it."""

    def __init__(self, app: Startup) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        finally:
            if scope["type"] == "lifespan" and self._app.failure is not None:
                get_logger().error("worker_did_not_start", why=str(self._app.failure))


def _leave_with_parent() -> None:
    """Drain when the parent is gone: an orphan would keep the port, and the next start would fail."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="quash-parent-watch", daemon=True).start()
