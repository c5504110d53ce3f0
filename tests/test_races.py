"""Races over real HTTP: two worker processes, one embedded engine, many callers at once."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.faults.api import Api, Tokens, generation_of, is_dead, sessions_path, talking, tokens_of
from tests.faults.wire import Answer
from tests.servers import RunningServer, serve

REVOCATIONS = ("session", "user", "form", "delete")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    quiet = {"QUASH_LOG_LEVEL": "warning", "QUASH_OPENS_PER_MINUTE": "1000"}
    with serve(tmp_path_factory.mktemp("races"), workers=2, env=quiet) as running:
        assert len(running.worker_pids()) == 2
        yield running


@pytest.fixture
async def api(server: RunningServer) -> AsyncIterator[Api]:
    async with talking(server.url, server.admin_secret) as speaking:
        yield speaking


async def test_a_thousand_refreshes_of_one_token_give_one_successor_and_no_logout(api: Api) -> None:
    first = await api.opened("tabs")
    answers = await asyncio.gather(*(api.refresh(first.refresh, user_agent="tab") for _ in range(1_000)))
    after = [tokens_of(answer) for answer in answers]
    assert {tokens.refresh for tokens in after} != {first.refresh}
    assert len({tokens.refresh for tokens in after}) == 1
    assert set(await api.verdicts(tokens.access for tokens in after)) == {"active"}
    successor = await api.refreshed(after[0].refresh, user_agent="tab")
    assert (successor.sid, successor.generation) == (first.sid, 2)
    assert (await api.get(sessions_path(first.sid))).status == 200


@pytest.mark.parametrize("kind", REVOCATIONS)
@pytest.mark.parametrize("first", ["revoking", "refreshing", "either"])
async def test_revoking_against_refreshing_leaves_no_live_token(api: Api, kind: str, first: str) -> None:
    dice = random.Random(f"{kind} {first}")
    for at in range(20):
        race = _Race(api, await api.opened(f"{kind}-{first}-{at}"))
        await race.run(f"{kind}-{first}-{at}", kind, first, dice.uniform(0, 0.015))
    again = await api.opened(f"{kind}-{first}-0")
    assert await api.verdicts([again.access, again.refresh]) == ["active", "active"]


class _Race:
    """One session that is refreshed, every time by two callers at once, until it is revoked."""

    def __init__(self, api: Api, tokens: Tokens) -> None:
        self._api = api
        self._tokens = tokens
        self._seen = [tokens.access, tokens.refresh]
        self._rotated = asyncio.Event()

    async def run(self, sub: str, kind: str, first: str, pause_s: float) -> None:
        refreshing = asyncio.create_task(self._refresh(pause_s if first == "revoking" else 0))
        if first == "refreshing":
            await self._rotated.wait()
        else:
            await asyncio.sleep(pause_s if first == "either" else 0)
        acknowledged = await _revoke(self._api, kind, sub, self._tokens)
        assert acknowledged.status == 200
        # At once, while answers to older requests may still be under way, and when all have arrived.
        await self._none_is_good()
        await refreshing
        await self._none_is_good()
        refused = [await self._api.refresh(token) for token in self._seen if token.startswith("qrt_")]
        assert all(is_dead(answer) for answer in refused)

    async def _refresh(self, after_s: float) -> None:
        await asyncio.sleep(after_s)
        while True:
            answers = await asyncio.gather(*(self._api.refresh(self._tokens.refresh) for _ in range(2)))
            good = [tokens_of(answer) for answer in answers if not is_dead(answer)]
            self._seen += [token for one in good for token in (one.access, one.refresh)]
            assert len({one.refresh for one in good}) <= 1
            if len(good) < len(answers):
                return
            self._tokens = good[0]
            self._rotated.set()

    async def _none_is_good(self) -> None:
        verdicts = await self._api.verdicts(self._seen)
        assert set(verdicts) <= {"session_revoked", "session_superseded", "version_superseded"}, verdicts


async def _revoke(api: Api, kind: str, sub: str, tokens: Tokens) -> Answer:
    match kind:
        case "session":
            return await api.revoke(session_id=tokens.sid, cause="admin")
        case "user":
            return await api.revoke(sub=sub, cause="password_change")
        case "delete":
            return await api.delete(sessions_path(tokens.sid))
        case _:
            return await api.form("/revoke", token=tokens.refresh)


@pytest.mark.parametrize("stated", ["if_version", "auth_time", "nothing"])
async def test_a_login_that_races_revoke_all_is_refused_or_dies_with_the_rest(api: Api, stated: str) -> None:
    for at in range(15):
        sub = f"login-{stated}-{at}"
        version = (await api.opened(sub)).version
        known = {"if_version": {"if_version": version}, "auth_time": {"auth_time": int(time.time())}, "nothing": {}}
        logins = [api.open(sub, **known[stated]) for _ in range(6)]
        answers = await asyncio.gather(*logins[:3], api.revoke(sub=sub), *logins[3:])
        (bumped,) = [one.document["version"] for one in answers if one.status == 200]
        opened = [tokens_of(one) for one in answers if one.status == 201]
        refused = [one.document["code"] for one in answers if one.status not in (200, 201)]
        assert set(refused) <= {"authentication_superseded"}
        after = [tokens for tokens in opened if tokens.version >= bumped]
        assert not after or stated == "nothing"
        before = [tokens for tokens in opened if tokens.version < bumped]
        assert set(await api.verdicts(tokens.access for tokens in before)) <= {"version_superseded"}
        assert set(await api.verdicts(tokens.refresh for tokens in before)) <= {"session_superseded"}
        assert set(await api.verdicts(tokens.access for tokens in after)) <= {"active"}


async def test_ten_thousand_rotations_with_resends_lose_nothing(api: Api) -> None:
    ends = await asyncio.gather(*(_rotate(api, f"long-{at}", 1_000) for at in range(10)))
    assert [tokens.generation for tokens in ends] == [1_000] * 10
    assert await api.verdicts(tokens.refresh for tokens in ends) == ["active"] * 10


async def _rotate(api: Api, sub: str, count: int) -> Tokens:
    dice = random.Random(sub)
    tokens = await api.opened(sub)
    for generation in range(1, count + 1):
        resend = dice.choices((_once, _both_under_way, _again_after_reading, _after_a_lost_answer), (6, 2, 1, 1))[0]
        answers = [tokens_of(answer) for answer in await resend(api, tokens.refresh)]
        assert len({one.refresh for one in answers}) == 1
        tokens = answers[0]
        assert generation_of(tokens.refresh) == generation
    return tokens


async def _once(api: Api, token: str) -> list[Answer]:
    return [await api.refresh(token)]


async def _both_under_way(api: Api, token: str) -> list[Answer]:
    return list(await asyncio.gather(api.refresh(token), api.refresh(token)))


async def _again_after_reading(api: Api, token: str) -> list[Answer]:
    return [await api.refresh(token), await api.refresh(token)]


async def _after_a_lost_answer(api: Api, token: str) -> list[Answer]:
    """The answer was on its way when the connection broke."""
    await api.lose_refresh(token)
    return [await api.refresh(token)]
