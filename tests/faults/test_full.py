"""The engine's memory is full: everything can be taken back, nothing can be opened, nothing is half written."""

from collections.abc import Iterator
from contextlib import contextmanager

import redis

from tests.engines import RunningEngine
from tests.faults.api import Api, is_dead, sessions_path
from tests.faults.wire import Answer


@contextmanager
def full(engine: RunningEngine) -> Iterator["redis.Redis"]:
    """Let the engine have no memory left until the end of the block."""
    with redis.Redis.from_url(engine.url) as client:
        client.config_set("maxmemory", "1")
        yield client
        client.config_set("maxmemory", "0")


def contents(client: "redis.Redis") -> dict[object, object]:
    return {key: client.dump(key) for key in client.scan_iter()}


async def test_opening_and_refreshing_fail_in_clear_words_and_write_nothing(api: Api, engine: RunningEngine) -> None:
    ann = await api.opened("ann")
    with full(engine) as client:
        before = contents(client)
        for sub in ("ann", "somebody-new"):
            _refused(await api.open(sub), "code", "state_full")
        _refused(await api.refresh(ann.refresh), "error", "temporarily_unavailable")
        assert contents(client) == before
        assert await api.verdicts([ann.access, ann.refresh]) == ["active", "active"]
    again = await api.refreshed(ann.refresh)
    assert again.generation == 1
    assert (await api.open("somebody-new")).status == 201


def _refused(answer: Answer, name: str, code: str) -> None:
    document = answer.document
    assert (answer.status, document[name]) == (503, code)
    assert "memory is full" in document.get("detail", document.get("error_description"))
    assert answer.headers["retry-after"].isdigit()


async def test_everything_can_be_taken_back_twice(api: Api, engine: RunningEngine) -> None:
    ann, ben, cid, dan, eve = [await api.opened(sub) for sub in ("ann", "ben", "cid", "dan", "eve")]
    with full(engine):
        for _ in range(2):
            answers = [
                await api.revoke(token=ann.access),
                await api.revoke(session_id=ben.sid),
                await api.revoke(sub="cid"),
                await api.form("/revoke", token=dan.refresh),
                await api.delete(sessions_path(dan.sid)),
                await api.revoke(sub="eve", access_only=True),
            ]
            assert [answer.status for answer in answers] == [200] * 6
        gone = [ann.access, ben.access, ben.refresh, cid.access, cid.refresh, dan.access, eve.access]
        reasons = ["token_revoked", "session_revoked", "session_revoked", "version_superseded", "session_superseded"]
        assert await api.verdicts(gone) == [*reasons, "session_revoked", "version_superseded"]
        assert await api.verdicts([ann.refresh, eve.refresh]) == ["active", "active"]
    for dead in (ben, cid, dan):
        assert is_dead(await api.refresh(dead.refresh))
    assert (await api.refreshed(eve.refresh)).generation == 1


async def test_an_ended_session_is_told_so(api: Api, engine: RunningEngine) -> None:
    ben = await api.opened("ben")
    await api.revoke(session_id=ben.sid)
    with full(engine):
        assert is_dead(await api.refresh(ben.refresh))


async def test_a_stolen_token_still_ends_its_session(api: Api, engine: RunningEngine) -> None:
    first = await api.opened("ann", user_agent="phone")
    second = await api.refreshed(first.refresh, user_agent="phone")
    with full(engine):
        assert is_dead(await api.refresh(first.refresh, user_agent="thief"))
        assert await api.verdicts([second.refresh, second.access]) == ["session_revoked", "session_revoked"]


async def test_keys_and_issuers_can_be_taken_back(api: Api, engine: RunningEngine) -> None:
    ann = await api.opened("ann")
    key = (await api.get("/.well-known/jwks.json")).document["keys"][0]["kid"]
    with full(engine):
        for _ in range(2):
            assert (await api.revoke(kid=key, iss="http://127.0.0.1:8400")).status in (200, 422)
            assert (await api.revoke(issuer="http://127.0.0.1:8400")).status == 200
        assert set(await api.verdicts([ann.access, ann.refresh])) <= {"key_revoked", "unknown_key", "issuer_revoked"}
