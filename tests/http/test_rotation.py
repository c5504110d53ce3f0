"""Refreshing: each row of the rotation table as the caller, the metric and the audit see it."""

from typing import Any

import pytest

from quash.ids import partition
from quash.keyspace import global_key
from tests.http.presenting import (
    ELSEWHERE,
    GRACE_S,
    PHONE,
    TABLET,
    accepted_as,
    audited_kinds,
    outcome,
    refused_as,
)
from tests.http.support import Service, oauth_error, unopened

pytestmark = pytest.mark.asyncio(loop_scope="module")


def of_generation(service: Service, session: dict[str, Any], generation: int) -> str:
    """Return a token of good mac that only a state which lost writes would not expect."""
    return service.parts.secrets.build(session["session_id"], generation, service.parts.secrets.newest)


async def rewritten(service: Service, sid: str) -> None:
    """Say that the partition's history was seen rewritten, as a lossy failover does it."""
    await service.redis.hset(global_key(partition(sid)), "rewritten", str(service.now * 1000))


async def test_the_current_token_is_rotated_into_its_successor(service: Service) -> None:
    session = await service.open(scope="read")
    name, detail, answer = await outcome(service, session["refresh_token"])
    assert (name, detail, answer.status_code) == ("rotated", "", 200)
    assert set(answer.json()) == {
        *("session_id", "version", "refresh_token", "refresh_expires_in"),
        *("access_token", "token_type", "expires_in", "scope"),
    }
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["refresh_token"].split(".")[1] == "1"
    assert await service.is_active(answer.json()["access_token"])


async def test_a_retry_gets_the_same_successor_byte_for_byte_with_a_fresh_access_token(service: Service) -> None:
    session = await service.open()
    first = await service.refreshed(session["refresh_token"])
    service.advance(GRACE_S)
    name, _, again = await outcome(service, session["refresh_token"])
    assert name == "retried"
    assert again.json()["refresh_token"] == first["refresh_token"]
    assert again.json()["access_token"] != first["access_token"]
    assert await audited_kinds(service, session["session_id"]) == ["retried"]


async def test_retries_never_extend_the_grace(service: Service) -> None:
    session = await service.open()
    await service.refreshed(session["refresh_token"])
    for _ in range(2):
        service.advance(GRACE_S // 2)
        assert (await accepted_as(service, session["refresh_token"]))[0] == "retried"
    service.advance(1)
    assert await refused_as(service, session["refresh_token"]) == ("reused", "concurrent_retry")


async def test_retries_are_audited_once_a_minute(service: Service) -> None:
    session = await service.open()
    await service.refreshed(session["refresh_token"])
    for _ in range(3):
        await service.refreshed(session["refresh_token"])
    assert await audited_kinds(service, session["session_id"]) == ["retried"]


async def test_a_used_successor_closes_the_grace_of_what_came_before(service: Service) -> None:
    session = await service.open()
    successor = (await service.refreshed(session["refresh_token"]))["refresh_token"]
    await service.refreshed(successor)
    assert await refused_as(service, session["refresh_token"]) == ("reused", "stale_copy")


async def test_the_successor_of_a_retry_can_be_refreshed(service: Service) -> None:
    session = await service.open()
    await service.refreshed(session["refresh_token"])
    _, successor = await accepted_as(service, session["refresh_token"])
    assert (await accepted_as(service, successor))[0] == "rotated"


@pytest.mark.parametrize("present", [PHONE, ELSEWHERE, TABLET])
async def test_the_current_token_is_rotated_whoever_presents_it(service: Service, present: dict[str, Any]) -> None:
    session = await service.open(**PHONE)
    assert (await accepted_as(service, session["refresh_token"], **present))[0] == "rotated"


async def test_a_changed_network_alone_is_not_reuse(service: Service) -> None:
    session = await service.open(**PHONE)
    await service.refreshed(session["refresh_token"], **PHONE)
    assert (await accepted_as(service, session["refresh_token"], **ELSEWHERE))[0] == "retried"


async def test_no_agent_ever_stated_counts_as_the_same(service: Service) -> None:
    session = await service.open()
    await service.refreshed(session["refresh_token"])
    assert (await accepted_as(service, session["refresh_token"]))[0] == "retried"


@pytest.mark.parametrize(("first", "second"), [({}, PHONE), (PHONE, {})])
async def test_an_agent_stated_on_one_side_only_is_another_agent(
    service: Service, first: dict[str, Any], second: dict[str, Any]
) -> None:
    session = await service.open(**first)
    await service.refreshed(session["refresh_token"], **first)
    assert await refused_as(service, session["refresh_token"], **second) == ("reused", "likely_theft")


@pytest.mark.parametrize(
    ("after_s", "rotations", "present", "classified"),
    [
        (GRACE_S + 1, 1, PHONE, "concurrent_retry"),
        (2 * GRACE_S, 1, PHONE, "concurrent_retry"),
        (2 * GRACE_S + 1, 1, PHONE, "lost_response"),
        (0, 2, PHONE, "stale_copy"),
        (0, 2, ELSEWHERE, "stale_copy"),
        (0, 1, TABLET, "likely_theft"),
        (GRACE_S + 1, 1, ELSEWHERE, "likely_theft"),
        (0, 2, TABLET, "likely_theft"),
    ],
)
async def test_reuse_ends_the_session_and_is_told_apart_for_the_audit(
    service: Service, after_s: int, rotations: int, present: dict[str, Any], classified: str
) -> None:
    session = await service.open(**PHONE)
    token, access = session["refresh_token"], session["access_token"]
    for _ in range(rotations):
        token = (await service.refreshed(token, **PHONE))["refresh_token"]
    service.advance(after_s)
    assert await refused_as(service, session["refresh_token"], **present) == ("reused", classified)
    (entry,) = await service.audited(session["session_id"])
    assert (entry["kind"], entry["class"], entry["cause"]) == ("reused", classified, "reuse")
    assert (entry["generation"], entry["stored"]) == ("0", str(rotations))
    assert (entry["ip"], entry["agent"]) == (present["ip"], present["user_agent"])
    assert (entry["last_ip"], entry["last_agent"]) == (PHONE["ip"], PHONE["user_agent"])
    assert await refused_as(service, token, **PHONE) == ("ended", "reuse")
    assert not await service.is_active(access)


async def test_a_stolen_token_cannot_hide_behind_a_scope_that_the_session_lacks(service: Service) -> None:
    session = await service.open(scope="read")
    successor = await service.refreshed(session["refresh_token"])
    service.advance(GRACE_S + 1)
    assert await refused_as(service, session["refresh_token"], scope="write") == ("reused", "concurrent_retry")
    assert await refused_as(service, successor["refresh_token"]) == ("ended", "reuse")


@pytest.mark.parametrize("ahead", [1, 8])
async def test_a_token_of_the_future_heals_a_state_that_lost_writes(service: Service, ahead: int) -> None:
    session = await service.open(**PHONE)
    await rewritten(service, session["session_id"])
    name, successor = await accepted_as(service, of_generation(service, session, ahead), **PHONE)
    assert (name, successor.split(".")[1]) == ("healed", str(ahead + 1))
    (entry,) = await service.audited(session["session_id"])
    assert (entry["kind"], entry["generation"], entry["stored"]) == ("healed", str(ahead), "0")
    assert (await accepted_as(service, successor, **PHONE))[0] == "rotated"


@pytest.mark.parametrize(
    ("seen", "ahead", "present", "classified"),
    [
        (False, 1, PHONE, "stale_copy"),
        (True, 9, PHONE, "stale_copy"),
        (True, 1, TABLET, "likely_theft"),
    ],
)
async def test_otherwise_a_token_of_the_future_is_reuse(
    service: Service, seen: bool, ahead: int, present: dict[str, Any], classified: str
) -> None:
    session = await service.open(**PHONE)
    shared = global_key(partition(session["session_id"]))
    await service.redis.hdel(shared, "rewritten")
    if seen:
        await rewritten(service, session["session_id"])
    token = of_generation(service, session, ahead)
    assert await refused_as(service, token, **present) == ("reused", classified)


async def test_healing_ends_one_idle_period_after_the_history_was_rewritten(service: Service) -> None:
    session = await service.open()
    shared = global_key(partition(session["session_id"]))
    long_ago = service.now - service.parts.settings.idle_ttl_s - 1
    await service.redis.hset(shared, "rewritten", str(long_ago * 1000))
    assert (await refused_as(service, of_generation(service, session, 1)))[0] == "reused"


async def test_a_session_that_nobody_opened_is_absent(service: Service) -> None:
    sid = unopened("nobody")
    token = service.parts.secrets.build(sid, 0, service.parts.secrets.newest)
    for _ in range(2):
        assert await refused_as(service, token, **PHONE) == ("absent", "")
    (entry,) = await service.audited(sid)
    assert (entry["kind"], entry["agent"], entry["ip"]) == ("absent", PHONE["user_agent"], PHONE["ip"])


async def test_more_scope_than_the_session_has_is_refused_and_nothing_is_rotated(service: Service) -> None:
    session = await service.open(scope="read write")
    name, _, answer = await outcome(service, session["refresh_token"], scope="read delete")
    assert (name, oauth_error(answer)) == ("scope_exceeded", (400, "invalid_scope"))
    name, successor = await accepted_as(service, session["refresh_token"], scope="read")
    assert (name, successor.split(".")[1]) == ("rotated", "1")


async def test_a_clock_that_went_back_holds_no_grace_open(service: Service) -> None:
    for back_s, expected in ((2, "retried"), (2.001, "reused")):
        service.advance(60)
        session = await service.open()
        await service.refreshed(session["refresh_token"])
        service.advance(-back_s)
        name, _, _ = await outcome(service, session["refresh_token"])
        assert name == expected
