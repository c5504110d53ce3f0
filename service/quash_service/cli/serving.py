"""Running uvicorn: one process, or workers under a parent that holds the engine until the last of them is gone."""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType

from starlette.types import ASGIApp
from uvicorn import Config, Server
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from quash_service.bootstrap import admin_digest, make_private
from quash_service.logs import get_logger
from quash_service.settings import Settings

from .common import Unreachable, announcer, refusals
from .findings import Level, file_findings
from .listen import bind, check_tls, url_of
from .scratch import scratch
from .startup import Startup

DRAIN_S = 10
"""How long requests in flight may take after SIGTERM."""
KEEP_ALIVE_S = 75
"""Longer than proxies keep an idle connection (60 s), so that it is never we who close one they just reuse."""
WORKER_START_S = 30.0

log = get_logger()


class _OneServer(Server):
    """Says once that it is ready."""

    def __init__(self, config: Config, url: str) -> None:
        super().__init__(config)
        self._url = url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say where."""
        await super().startup(sockets)
        log.info("ready", url=self._url, workers=1)


class _Workers(Multiprocess):
    """uvicorn's supervisor. Says once that all workers are ready, and when it replaced one."""

    def __init__(self, config: Config, sockets: list[socket.socket], url: str) -> None:
        super().__init__(config, sockets)
        self._url = url
        self.ready = False

    def init_processes(self) -> None:
        """Start all workers and wait for them."""
        super().init_processes()
        self.ready = all(one.wait_until_ready(WORKER_START_S) for one in self.processes)
        if self.ready:
            log.info("ready", url=self._url, workers=len(self.processes))

    def keep_subprocess_alive(self) -> None:
        """Replace workers that died."""
        before = [one.pid for one in self.processes]
        if self.ready:
            self._replace_failed()
        super().keep_subprocess_alive()
        for old, new in zip(before, self.processes, strict=True):
            if old != new.pid:
                log.error("worker_replaced", died=old, started=new.pid)

    def _replace_failed(self) -> None:
        """Try again what could not start while the engine was away: uvicorn would end the other workers too."""
        for at, one in enumerate(self.processes):
            if one.exitcode == STARTUP_FAILURE:
                one.join()
                self.processes[at] = Process(self.config, self.sockets)
                self.processes[at].start()

    def terminate_all(self) -> None:
        """Let the workers drain; this process's copy of the socket would go on taking connections for nobody."""
        for listener in self.sockets:
            listener.close()
        super().terminate_all()


def serve_one(settings: Settings, *, in_memory: bool) -> None:
    """Serve from this process until SIGTERM. Raises ``Stop``."""
    with _listening(settings) as listener:
        from quash_service.app import create_app

        app = Startup(create_app(settings, in_memory=in_memory))
        server = _OneServer(_config(app, settings, workers=1), url_of(settings, listener))
        _absorb_signals()
        try:
            server.run(sockets=[listener])
            log.info("stopped")
        except SystemExit:
            with refusals():
                if app.failure is not None:
                    raise app.failure from None
            raise


def serve_many(settings: Settings) -> None:
    """Serve from worker processes until SIGTERM. Raises ``Stop``."""
    with ExitStack() as stack:
        # Files of dead processes are counted too, so the directory has to be new; set before the first import.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(stack.enter_context(scratch("quash-workers-")))
        listener = stack.enter_context(_listening(settings))
        _exit_on_signals()
        _hold_engine(settings, stack)
        asyncio.run(_preflight(settings))
        config = _config("quash_service.cli.worker:app", settings, workers=settings.workers)
        supervisor = _Workers(config, [listener], url_of(settings, listener))
        supervisor.run()
        if not supervisor.ready and any(one.exitcode == STARTUP_FAILURE for one in supervisor.processes):
            raise Unreachable("a worker did not start; the log says why")
    log.info("stopped")


@contextmanager
def _listening(settings: Settings) -> Iterator[socket.socket]:
    """Bind, prepare directories and the admin's secret, and turn refusals into sentences."""
    check_tls(settings)
    with bind(settings.host, settings.port) as listener, refusals():
        for folder in (settings.data_dir, settings.keys_folder):
            make_private(folder)
        _warn_of_open_files(settings)
        admin_digest(settings, random_bytes=os.urandom, announce=announcer(settings))
        yield listener


def _warn_of_open_files(settings: Settings) -> None:
    for one in file_findings(settings):
        if one.level is Level.PROBLEM:
            log.warning("open_to_others", seen=one.seen, mend=one.mend)


def _config(app: ASGIApp | str, settings: Settings, *, workers: int) -> Config:
    return Config(
        app,
        factory=isinstance(app, str),
        workers=workers,
        http="quash_service.cli.protocol:BoundedProtocol",
        loop="uvloop",
        ws="none",
        lifespan="on",
        interface="asgi3",
        log_config=None,
        log_level=max(logging.WARNING, logging.getLevelNamesMapping()[settings.log_level.upper()]),
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=DRAIN_S,
        timeout_keep_alive=KEEP_ALIVE_S,
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
    )


def _absorb_signals() -> None:
    """Let uvicorn's drain be the whole answer: it raises the signal again when it is done."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)


def _exit_on_signals() -> None:
    """Until the supervisor takes over, a signal unwinds what was started."""

    def leave(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise SystemExit(0)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, leave)


def _hold_engine(settings: Settings, stack: ExitStack) -> None:
    """Use the embedded engine for as long as there are workers, so that the last of them does not end it."""
    from quash_service.engine import EmbeddedEngine

    if settings.redis_url is None:
        engine = EmbeddedEngine(settings.data_dir, log=lambda line: log.info("engine", line=line))
        engine.start()
        stack.callback(engine.stop)


async def _preflight(settings: Settings) -> None:
    """Refuse once, in the parent, what every worker would refuse; then their start finds all made."""
    from quash_service.running import running

    async with running(settings):
        pass
