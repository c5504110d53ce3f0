"""The production application in this process, on a real engine, with a clock that tests steer."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from quash_service.app import create_app
from quash_service.clock import Clock, system_ms
from quash_service.services import Services
from quash_service.settings import load_settings

ADMIN = "the-admin-secret-of-every-test-0123456789"


class SteeredClock(Clock):
    """Runs until it is held, then moves only when told to; scripts take its word, whatever the engine's clock says."""

    tolerance_ms = 10**12

    def __init__(self) -> None:
        self._held: int | None = None
        super().__init__(lambda: system_ms() if self._held is None else self._held)

    def hold(self) -> None:
        """Stand still, at the beginning of a second."""
        self._held = (system_ms() // 1000 + 1) * 1000

    def advance(self, ms: int) -> None:
        """Let ms pass."""
        assert self._held is not None
        self._held += ms

    def follow(self, primary_ms: int, measured_at_ms: int) -> None:
        """Stay where the test put it."""


class App:
    """A running service: `client` speaks as the admin, `as_caller` as another caller."""

    def __init__(self, app: FastAPI, clock: Clock) -> None:
        self.app = app
        self.clock = clock
        self.client = self.http(auth=("admin", ADMIN))

    @property
    def services(self) -> Services:
        services: Services = self.app.state.services
        return services

    def http(self, **options: Any) -> httpx.AsyncClient:
        """A client that speaks to the application as a network would."""
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://quash.test", **options)


@asynccontextmanager
async def running_app(
    tmp_path: Path, redis_url: str | None, *, clock: Clock | None = None, **settings: object
) -> AsyncIterator[App]:
    """The production application on the engine at `redis_url`; on its own embedded one when that is None."""
    chosen = load_settings(
        **{
            "data_dir": tmp_path / "data",
            "admin_secret": ADMIN,
            "redis_url": redis_url,
            "durability": "fsync" if redis_url is None else "memory",
            **settings,
        }
    )
    steered = clock or SteeredClock()
    app = create_app(chosen, clock=steered)
    async with app.router.lifespan_context(app):
        running = App(app, steered)
        if isinstance(steered, SteeredClock):
            steered.hold()
        async with running.client:
            yield running
