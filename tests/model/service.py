"""The real application behind plain calls, for a state machine, which cannot await."""

import asyncio
import contextlib
import json
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from quash.ids import partition
from quash.keyspace import audit_key
from quash_service.store import listing
from tests.model.values import NUMBERS
from tests.service import App, SteeredClock, running_app

SECRETS = "ab"
"""The ids of two refresh secrets, so that they can be rotated."""

PATIENCE_S = 30.0


class Twice:
    """An engine's client that can send every script twice: the first reply was lost on its way."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.on = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def evalsha(self, *bound: Any) -> Any:
        """Run a script by its hash, a second time with the same arguments when a reply is lost."""
        reply = await self._client.evalsha(*bound)
        return await self._client.evalsha(*bound) if self.on else reply

    async def eval(self, *bound: Any) -> Any:
        """Run a script by its source, as a client does when the engine does not know it yet."""
        reply = await self._client.eval(*bound)
        return await self._client.eval(*bound) if self.on else reply


class Served:
    """The application, running on an engine in a loop of its own. Use as a context."""

    def __init__(self, folder: Path, url: str) -> None:
        self._folder, self._url = folder, url
        self._secrets = folder / "data" / "keys" / "refresh-secrets.json"
        self._stack = contextlib.AsyncExitStack()
        self.clock = SteeredClock()
        self._patch = pytest.MonkeyPatch()
        self._drawn = 0

    def __enter__(self) -> Self:
        self._secrets.parent.mkdir(parents=True, mode=0o700)
        self._write_secrets("ab")
        self._loop = asyncio.Runner()
        self._loop.__enter__()
        self.app: App = self._run(self._stack.enter_async_context(self._running()))
        self._be_patient()
        self.app.app.state.services = replace(self.app.services, random_bytes=self._bytes)
        runner = self.app.services.store.runner
        self._twice = runner.client = Twice(runner.client)
        return self

    def __exit__(self, *raised: object) -> None:
        self._patch.undo()
        self._run(self._stack.aclose())
        self._loop.close()

    @property
    def now(self) -> int:
        """The held clock, epoch ms."""
        return self.clock.now_ms()

    def begin(self) -> None:
        """Begin an example as every other: on a full second, and with the same session ids to come."""
        self.clock.advance(3000 - self.now % 1000)
        self._drawn = 0

    def call(self, method: str, path: str, *, lost: bool = False, **request: Any) -> httpx.Response:
        """Send a request as the admin; with ``lost`` the engine's first reply to each script is lost."""
        self._twice.on = lost
        response: httpx.Response = self._run(self.app.client.request(method, path, **request))
        self._twice.on = False
        return response

    def rotations(self) -> dict[tuple[str, str], float]:
        """Return how often each outcome and detail was counted so far."""
        samples = next(iter(self.app.services.metrics.rotations.collect())).samples
        counted = [one for one in samples if one.name.endswith("_total")]
        return {(one.labels["outcome"], one.labels["detail"]): one.value for one in counted}

    def last_audit(self, sid: str) -> dict[str, str]:
        """Return the last audit entry of a session's partition."""
        entries = self._run(self.app.services.client.xrevrange(audit_key(partition(sid)), count=1))
        return {name.decode(): value.decode(errors="replace") for name, value in entries[0][1].items()}

    def use_secret(self, newest: str) -> None:
        """Make one of the refresh secrets the newest, as an operator's rotation does."""
        self._write_secrets(newest + SECRETS.replace(newest, ""))
        self.app.services.secrets.refresh()

    def refresh_token(self, sid: str, generation: int, secret: str) -> str:
        """Make a refresh token of good mac, as whoever holds a leaked secret can."""
        return self.app.services.secrets.build(sid, generation, secret)

    def _running(self) -> contextlib.AbstractAsyncContextManager[App]:
        return running_app(
            self._folder,
            self._url,
            clock=self.clock,
            opens_per_minute=100_000,
            log_level="error",
            **{name: getattr(NUMBERS, name) for name in NUMBERS.__slots__},
        )

    def _bytes(self, count: int) -> bytes:
        # What is drawn decides which of two sessions used at once is evicted, so a repeated example must draw the same.
        self._drawn += 1
        return sha256(str(self._drawn).encode()).digest()[:count]

    def _be_patient(self) -> None:
        """Never take a machine that is busy with other tests for an engine that is down."""
        services = self.app.services
        self._patch.setattr(services.store.runner, "_timeout_s", PATIENCE_S)
        self._patch.setattr(services.judge._state, "_timeout_s", PATIENCE_S)
        self._patch.setattr(services.callers, "_timeout_s", PATIENCE_S)
        self._patch.setattr(listing, "TIMEOUT_S", PATIENCE_S)
        pool: Any = services.client.connection_pool
        pool.connection_kwargs["socket_timeout"] = PATIENCE_S
        self._run(pool.disconnect())
        pool.reset()

    def _write_secrets(self, order: str) -> None:
        rows = [{"id": one, "secret": b64encode(one.encode() * 32).decode()} for one in order]
        fresh = self._secrets.with_suffix(".fresh")
        fresh.touch(mode=0o600)
        fresh.write_text(json.dumps({"secrets": rows}))
        fresh.replace(self._secrets)

    def _run(self, waited: Any) -> Any:
        return self._loop.run(waited)
