"""Counting what a request does: signatures verified, and writes to the engine's connection."""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import pytest
from redis.asyncio.connection import AbstractConnection

from quash.keys import Key


@dataclass(slots=True)
class Calls:
    """How many times a signature was verified, and commands were sent to the engine."""

    verified: int = 0
    sent: int = 0


# A context follows a request into every task that it starts; the heartbeat's is older and never counted.
_counted: ContextVar[Calls | None] = ContextVar("counted", default=None)


@contextlib.contextmanager
def counters() -> Iterator[None]:
    """Count in this process until the end of the block."""
    verifies, send = Key.verifies, AbstractConnection.send_packed_command

    def verify(self: Key, message: bytes, signature: bytes) -> bool:
        if (calls := _counted.get()) is not None:
            calls.verified += 1
        return verifies(self, message, signature)

    async def send_packed(self: AbstractConnection, *args: Any, **kwargs: Any) -> None:
        if (calls := _counted.get()) is not None:
            calls.sent += 1
        await send(self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Key, "verifies", verify)
        patch.setattr(AbstractConnection, "send_packed_command", send_packed)
        yield


@contextlib.contextmanager
def counted() -> Iterator[Calls]:
    """Count what is done inside the block, by it and by what it starts."""
    calls = Calls()
    token = _counted.set(calls)
    try:
        yield calls
    finally:
        _counted.reset(token)
