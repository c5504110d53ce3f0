"""Reading the state from Redis: all checks of one tick of the event loop share one pipeline.

A check joins only a pipeline that is not yet written, so every answer was read after its check
began. Nothing is remembered from one tick to the next but the parsed form of ``g``'s revocations.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from redis.asyncio import Redis
from redis.exceptions import RedisError

from .errors import Unavailable
from .keyspace import Global, Limit, global_key, read_number, unpack_limits, unpack_revoked
from .reader import Question, State, decide, needs_bucket

Asked = TypeVar("Asked")
Told = TypeVar("Told")


class RedisState:
    """Answers questions from one Redis primary.

    Parameters: ``client`` without response decoding, ``now_ms`` the primary's clock in epoch ms,
    ``timeout_s`` the longest that one answer may take. Raises ``Unavailable`` whenever the state
    could not be read whole: unreachable, too slow, or not born.
    """

    def __init__(self, client: Redis, now_ms: Callable[[], int], *, timeout_s: float = 0.5) -> None:
        self._client = client
        self._now_ms = now_ms
        self._timeout_s = timeout_s
        self._waiting: list[tuple[Question, asyncio.Future[State]]] = []
        self._reading: list[tuple[tuple[str, tuple[str, ...]], asyncio.Future[list[bytes | None]]]] = []
        self._ticks: set[asyncio.Task[None]] = set()
        self._packed: list[bytes | None] = [None, None]
        self._known: tuple[dict[str, int], dict[str, int], dict[str, Limit]] = ({}, {}, {})

    async def ask(self, asked: Question) -> State:
        """Return the state for one question. Raises ``Unavailable``."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._start_tick)
        answer: asyncio.Future[State] = loop.create_future()
        self._waiting.append((asked, answer))
        return await answer

    async def fields(self, key: str, names: tuple[str, ...]) -> list[bytes | None]:
        """Return fields of a hash, such as a session's metadata; those of one tick share a pipeline too.

        Raises ``Unavailable``.
        """
        loop = asyncio.get_running_loop()
        if not self._reading:
            loop.call_soon(self._start_reading)
        answer: asyncio.Future[list[bytes | None]] = loop.create_future()
        self._reading.append(((key, names), answer))
        return await answer

    def _start_tick(self) -> None:
        batch, self._waiting = self._waiting, []
        self._keep(self._answer(batch, self._read))

    def _start_reading(self) -> None:
        batch, self._reading = self._reading, []
        self._keep(self._answer(batch, self._read_fields))

    def _keep(self, tick: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(tick)
        self._ticks.add(task)
        task.add_done_callback(self._ticks.discard)

    async def _answer(
        self,
        batch: list[tuple[Asked, asyncio.Future[Told]]],
        read: Callable[[list[Asked]], Awaitable[list[Told | Unavailable]]],
    ) -> None:
        answers: list[Told | Unavailable]
        try:
            async with asyncio.timeout(self._timeout_s):
                answers = await read([asked for asked, _ in batch])
        except (RedisError, OSError, TimeoutError) as error:
            answers = [unreadable(error) for _ in batch]
        for answer, (_, waiting) in zip(answers, batch, strict=True):
            if waiting.done():  # its caller hung up
                continue
            if isinstance(answer, Unavailable):
                waiting.set_exception(answer)
            else:
                waiting.set_result(answer)

    async def _read_fields(self, asked: list[tuple[str, tuple[str, ...]]]) -> list[list[bytes | None] | Unavailable]:
        pipe: Any = self._client.pipeline(transaction=False)
        for key, names in asked:
            pipe.hmget(key, names)
        answers: list[list[bytes | None] | Unavailable] = await pipe.execute()
        return answers

    async def _read(self, asked: list[Question]) -> list[State | Unavailable]:
        """Read the facts of every partition that is asked about, then each question's own fields.

        One read of any `g` would do for revoked keys and issuers, which stand in all of them. But a
        partition can be lost alone, and only its own `g` knows when it was born again.
        """
        partitions = {one.partition for one in asked}
        pipe: Any = self._client.pipeline(transaction=False)
        for part in partitions:
            pipe.hmget(global_key(part), ("born", "since", "r", "l"))
        for one in asked:
            pipe.hmget(one.key, one.fields)
        replies = await pipe.execute()
        facts = {part: self._shared(fields) for part, fields in zip(partitions, replies, strict=False)}
        answers = replies[len(partitions) :]
        hits = await self._read_buckets(asked, answers)
        return [_decided(facts[one.partition], answers[at], in_bucket=at in hits) for at, one in enumerate(asked)]

    async def _read_buckets(self, asked: list[Question], answers: list[list[bytes | None]]) -> set[int]:
        now_ms = self._now_ms()
        wanted = [at for at, one in enumerate(asked) if needs_bucket(one, answers[at], now_ms)]
        if not wanted:
            return set()
        pipe: Any = self._client.pipeline(transaction=False)
        for at in wanted:
            pipe.hexists(asked[at].bucket, asked[at].jti16)
        found = await pipe.execute()
        return {at for at, hit in zip(wanted, found, strict=True) if hit}

    def _shared(self, fields: list[bytes | None]) -> Global | Unavailable:
        born, since, *packed = fields
        try:
            # Born is rounded down to its second; nothing is served before that second is over.
            if born is None or since is None or self._now_ms() < read_number(born) + 1000:
                return _unborn()
            if packed != self._packed:
                revoked, limits = packed
                self._known = (*unpack_revoked(revoked or b""), unpack_limits(limits or b""))
                self._packed = packed
            return Global(read_number(born), read_number(since), *self._known)
        except Unavailable as error:
            return error


def _decided(shared: Global | Unavailable, answer: list[bytes | None], *, in_bucket: bool) -> State | Unavailable:
    """Decide one question; a damaged record is that question's alone."""
    if isinstance(shared, Unavailable):
        return shared
    try:
        return decide(shared, answer, in_bucket=in_bucket)
    except Unavailable as error:
        return error


def _unborn() -> Unavailable:
    return Unavailable(
        "the state is new or was lost and is being made again; try again shortly", evidence={"state": "unborn"}
    )


def unreadable(error: BaseException) -> Unavailable:
    """Return the ``Unavailable`` for an engine's failure, naming its kind but not its address."""
    return Unavailable(evidence={"engine": type(error).__name__})
