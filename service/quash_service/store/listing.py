"""Reading sessions: a user's list, one session, and what a refresh token's session says now."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from redis.exceptions import RedisError

from quash.errors import Unavailable
from quash.ids import SESSION_ID_LENGTH, issuer_tag, partition, session_tag, user_tag
from quash.keyspace import (
    Global,
    Record,
    Tombstone,
    global_key,
    metadata_key,
    read_number,
    unpack_revoked,
    unpack_session,
    unpack_version,
    user_key,
)
from quash.state_redis import unreadable
from quash_service.rotation import EXPIRED, STORE_REBORN, read_fields

from .runner import Actor, IssuerTable, Runner

TIMEOUT_S = 0.4
"""The longest that each of the two reads of a listing may take: together they stay under a second."""


@dataclass(frozen=True, slots=True)
class SessionView:
    """A session as listed: its record and metadata; ``ended`` is why it is over, or ``None``."""

    sid: str
    record: Record
    version: int
    fields: Mapping[str, str]
    ended: str | None


def session_end(record: Record, version: int, cause: str, shared: Global, *, iss: str, now_ms: int) -> str | None:
    """Return why a session is over, ``None`` while it lives: in the order of the scripts' ``session_end``.

    ``cause`` is that of the user's last bump to ``version``.
    """
    if record.version < version:
        return cause
    if record.opened < shared.born + 1000:
        return STORE_REBORN
    instant = shared.issuers.get(issuer_tag(iss))
    if instant is not None and record.opened <= instant:
        return "issuer_revoked"
    return EXPIRED if now_ms >= min(record.idle_end, record.absolute_end) else None


class Listing:
    """Reads sessions. Every method raises ``Unavailable``."""

    def __init__(self, runner: Runner, issuers: IssuerTable) -> None:
        self._runner = runner
        self._issuers = issuers

    async def sessions(self, actor: Actor, iss: str, sub: str) -> list[SessionView]:
        """Return a user's live sessions, the most recently used first."""
        if not actor.may_act_on(iss):
            return []
        tag = user_tag(iss, sub)
        shared, stored = await self._read_user(tag)
        names = [name for name in stored if len(name) == SESSION_ID_LENGTH]
        metadata = await self._read_metadata([name.decode() for name in names])
        version = stored.get(b"v")
        views = [
            self._view(name.decode(), unpack_session(stored[name]), version, fields, shared)
            for name, fields in zip(names, metadata, strict=True)
        ]
        live = [view for view in views if view is not None and view.ended is None]
        return sorted(live, key=lambda view: view.record.rotated, reverse=True)

    async def session(self, actor: Actor, sid: str) -> SessionView | None:
        """Return one session that is on record, ended or not, or ``None``."""
        shared, stored = await self._read_user(session_tag(sid))
        packed = stored.get(sid.encode())
        if packed is None:
            return None
        (fields,) = await self._read_metadata([sid])
        view = self._view(sid, unpack_session(packed), stored.get(b"v"), fields, shared)
        if view is None or not actor.may_act_on(view.fields.get("iss", "")):
            return None
        return view

    def _view(
        self,
        sid: str,
        session: Record | Tombstone,
        version: bytes | None,
        fields: Mapping[str, str],
        shared: Global,
    ) -> SessionView | None:
        if isinstance(session, Tombstone) or not fields:
            return None
        number, cause = unpack_version(version)
        return SessionView(
            sid,
            session,
            number,
            fields,
            session_end(session, number, cause.value, shared, iss=fields.get("iss", ""), now_ms=self._runner.now_ms()),
        )

    async def _read_user(self, tag: str) -> tuple[Global, dict[bytes, bytes]]:
        pipe = self._runner.client.pipeline(transaction=False)
        pipe.hmget(global_key(partition(tag)), ("born", "since", "r"))
        pipe.hgetall(user_key(tag))
        (born, since, packed), stored = await self._execute(pipe)
        if born is None or since is None or self._runner.now_ms() < read_number(born) + 1000:
            raise Unavailable(evidence={"state": "unborn"})
        return Global(read_number(born), read_number(since), *unpack_revoked(packed or b"")), stored

    async def _read_metadata(self, sids: list[str]) -> list[dict[str, str]]:
        pipe = self._runner.client.pipeline(transaction=False)
        for sid in sids:
            pipe.hgetall(metadata_key(sid))
        answers = await self._execute(pipe)
        return [read_fields(answer) if answer else {} for answer in answers]

    async def _execute(self, pipe: Any) -> list[Any]:  # noqa: ANN401 - redis-py's pipelines are untyped
        try:
            async with asyncio.timeout(TIMEOUT_S):
                answers: list[Any] = await pipe.execute()
        except (RedisError, OSError, TimeoutError) as error:
            raise unreadable(error) from error
        return answers
