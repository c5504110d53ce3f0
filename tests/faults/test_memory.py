"""`quash serve --memory`: the whole tour on the imitation that a trial runs on."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faults.api import Api, is_dead, sessions_path, talking
from tests.servers import serve

ADMIN = "a-trial-secret-of-at-least-32-characters"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    with serve(tmp_path, "--memory", env={"QUASH_ADMIN_SECRET": ADMIN}) as server:
        async with talking(server.url, ADMIN) as speaking:
            yield speaking
        assert server.stop() == 0
        assert not _files(server.data_dir / "engine")


def _files(place: Path) -> list[Path]:
    return list(place.rglob("*"))


async def test_the_whole_tour(api: Api) -> None:
    await _refreshing(api)
    await _logging_out(api)
    await _signing_out_everywhere(api)
    await _stepping_up(api)
    await _reading(api)


async def _refreshing(api: Api) -> None:
    first = await api.opened("ann", user_agent="phone", scope="orders:read")
    second = await api.refreshed(first.refresh, user_agent="phone")
    retried = await api.refreshed(first.refresh, user_agent="phone")
    assert retried.refresh == second.refresh
    third = await api.refreshed(second.refresh, user_agent="phone")
    assert is_dead(await api.refresh(first.refresh, user_agent="thief"))
    assert await api.verdicts([third.access, third.refresh]) == ["session_revoked", "session_revoked"]


async def _logging_out(api: Api) -> None:
    ann, ben = await api.opened("ann"), await api.opened("ben")
    assert (await api.form("/revoke", token=ann.refresh)).status == 200
    assert (await api.revoke(token=ben.access, cause="compromised")).document["found"] is True
    verdicts = await api.verdicts([ann.access, ann.refresh, ben.access, ben.refresh])
    assert verdicts == ["session_revoked", "session_revoked", "token_revoked", "active"]
    assert (await api.introspect(ann.access)).document == {"active": False}
    assert (await api.get("/sessions?sub=ben")).document["sessions"][0]["session_id"] == ben.sid


async def _signing_out_everywhere(api: Api) -> None:
    here, there = await api.opened("cid"), await api.opened("cid")
    answer = await api.delete(f"/sessions?sub=cid&keep={here.sid}&cause=password_change")
    assert answer.document["kept"] == [here.sid]
    assert await api.verdicts([here.access, there.access]) == ["version_superseded"] * 2
    assert is_dead(await api.refresh(there.refresh))
    after = await api.refreshed(here.refresh)
    assert (await api.introspect(after.access)).document["sub"] == "cid"


async def _stepping_up(api: Api) -> None:
    dan = await api.opened("dan")
    answer = await api.json(f"{sessions_path(dan.sid)}/step-up", {"acr": "urn:mfa"})
    stepped = answer.document["access_token"]
    assert (await api.introspect(stepped)).document["acr"] == "urn:mfa"
    auth = {"authorization": f"Bearer {stepped}"}
    assert (await api.wire.ask("GET", "/forward-auth?acr=urn:mfa", auth)).status == 200


async def _reading(api: Api) -> None:
    public = ("/healthz", "/readyz", "/metrics", "/docs", "/openapi.json", "/.well-known/jwks.json")
    for path in (*public, "/.well-known/oauth-authorization-server"):
        assert (await api.wire.ask("GET", path, {})).status == 200, path
