"""An engine whose memory is full: revoking works, opening and refreshing are refused before they change anything."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from quash.ids import user_tag
from quash.keyspace import user_key
from quash.reasons import Cause
from quash_service.engine import connect
from quash_service.store import StateFull
from tests.engines import ENGINES, require_engine, spawn_engine
from tests.service import SteeredClock
from tests.store.stage import ACTOR, ADMIN, ISSUER, PATIENCE_S, Stage


@pytest.fixture(params=ENGINES)
async def full(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Stage, list[str]]]:
    require_engine(request.param)
    with spawn_engine(request.param, tmp_path, extra=["--maxmemory-policy", "noeviction"]) as engine:
        stage = Stage(connect(engine.url, timeout_s=PATIENCE_S), SteeredClock())
        await stage.begin()
        sids = [await stage.open() for _ in range(2)]
        await stage.client.config_set("maxmemory", "1mb")
        yield stage, sids
        await stage.client.aclose()


async def test_everything_can_be_taken_back(full: tuple[Stage, list[str]]) -> None:
    stage, (first, _) = full
    assert await stage.store.revoke_session(ADMIN, first, Cause.LOGOUT)
    for exact in (True, False):
        await stage.store.revoke_token(
            ACTOR, iss=ISSUER, sub="bob", jti="t", exp=stage.now() // 1000 + 60, exact=exact, cause=Cause.LOGOUT
        )
    assert (await stage.store.revoke_user(ADMIN, iss=ISSUER, sub="bob", cause=Cause.ADMIN)).found
    await stage.store.revoke_user(ADMIN, iss=ISSUER, sub="nobody yet", cause=Cause.ADMIN)
    await stage.store.revoke_key(ADMIN, iss=ISSUER, tag="k" * 16, kid="kid", cause=Cause.COMPROMISED)
    await stage.store.revoke_issuer(ADMIN, iss=ISSUER, before_ms=stage.now(), cause=Cause.ADMIN)


async def test_opening_and_refreshing_are_refused_and_leave_nothing_behind(full: tuple[Stage, list[str]]) -> None:
    stage, (first, _) = full
    before = await stage.session(first)
    with pytest.raises(StateFull):
        await stage.open("somebody new")
    with pytest.raises(StateFull):
        await stage.rotate(first, 0)
    assert not await stage.client.exists(user_key(user_tag(ISSUER, "somebody new")))
    assert await stage.session(first) == before


async def test_a_reused_token_still_kills_its_session(full: tuple[Stage, list[str]]) -> None:
    stage, (first, _) = full
    await stage.client.config_set("maxmemory", "0")
    await stage.rotate(first, 0)
    await stage.rotate(first, 1)
    await stage.client.config_set("maxmemory", "1mb")
    assert type(await stage.rotate(first, 0)).__name__ == "Reused"
