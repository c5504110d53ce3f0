"""Refresh tokens of sessions that are over, of other secrets, and junk."""

import json
from base64 import b64encode
from typing import Any

import pytest

from quash.ids import partition
from quash.keyspace import FLOOR, global_key, metadata_key
from quash.reasons import Cause
from quash_service.tokens.refresh import FILE
from tests.http.presenting import GRACE_S, accepted_as, audited_kinds, refused_as
from tests.http.support import ISSUER, Service, fresh, oauth_error

pytestmark = pytest.mark.asyncio(loop_scope="module")

IDLE_S, ABSOLUTE_S = 1000, 2500


@pytest.fixture(scope="module")
def options() -> dict[str, Any]:
    return {"idle_ttl_s": IDLE_S, "absolute_ttl_s": ABSOLUTE_S}


@pytest.mark.parametrize("cause", list(Cause))
async def test_a_revoked_session_is_ended_with_the_cause_of_its_revocation(service: Service, cause: Cause) -> None:
    session = await service.open()
    await service.revoke(session_id=session["session_id"], cause=cause.value)
    assert await refused_as(service, session["refresh_token"]) == ("ended", cause.value)
    assert await audited_kinds(service, session["session_id"]) == ["session_revoked", "ended"]


@pytest.mark.parametrize("cause", list(Cause))
async def test_a_session_below_its_users_version_is_ended_with_the_bumps_cause(service: Service, cause: Cause) -> None:
    session = await service.open(sub := fresh())
    await service.revoke(sub=sub, cause=cause.value)
    assert await refused_as(service, session["refresh_token"]) == ("ended", cause.value)


async def test_a_revoked_issuer_ends_the_sessions_opened_up_to_then(service: Service) -> None:
    session = await service.open()
    await service.revoke(issuer=ISSUER, before=service.now, cause="compromised")
    assert await refused_as(service, session["refresh_token"]) == ("ended", "compromised")
    service.advance(1)
    later = await service.open()
    assert (await accepted_as(service, later["refresh_token"]))[0] == "rotated"


async def test_a_session_of_before_the_state_was_born_is_ended(service: Service) -> None:
    session = await service.open()
    shared = global_key(partition(session["session_id"]))
    service.advance(2)
    await service.redis.hset(shared, "born", str(service.now * 1000))
    service.advance(1)
    assert await refused_as(service, session["refresh_token"]) == ("ended", "store_reborn")


async def test_an_unused_session_expires_at_the_end_of_its_idle_time(service: Service) -> None:
    session = await service.open()
    service.advance(IDLE_S - 1)
    name, successor = await accepted_as(service, session["refresh_token"])
    assert name == "rotated"
    service.advance(IDLE_S)
    assert await refused_as(service, successor) == ("ended", "expired")


async def test_a_retry_does_not_restart_the_idle_clock(service: Service) -> None:
    session = await service.open()
    first = await service.refreshed(session["refresh_token"])
    service.advance(GRACE_S)
    again = await service.refreshed(session["refresh_token"])
    assert again["refresh_expires_in"] == first["refresh_expires_in"] - GRACE_S
    service.advance(IDLE_S - GRACE_S)
    assert await refused_as(service, first["refresh_token"]) == ("ended", "expired")


async def test_no_session_lives_beyond_its_absolute_end_however_often_it_is_refreshed(service: Service) -> None:
    token, ends_at = (await service.open())["refresh_token"], service.now + ABSOLUTE_S
    for _ in range(3):
        service.advance(ABSOLUTE_S // 3 - 1)
        answer = await service.refreshed(token)
        token = answer["refresh_token"]
        left = ends_at - service.now
        assert answer["refresh_expires_in"] == min(IDLE_S, left)
        assert answer["expires_in"] == min(600, left)
    service.advance(ends_at - service.now)
    assert await refused_as(service, token) == ("ended", "expired")


async def test_an_ended_session_is_never_taken_for_theft(service: Service) -> None:
    session = await service.open()
    token = session["refresh_token"]
    for _ in range(2):
        token = (await service.refreshed(token))["refresh_token"]
    await service.client.post("/revoke", data={"token": token})
    for presented in (session["refresh_token"], token):
        assert await refused_as(service, presented, user_agent="somebody else's") == ("ended", "logout")
    assert await audited_kinds(service, session["session_id"]) == ["session_revoked", "ended"]


async def test_metadata_that_is_missing_refuses_and_ends_the_session(service: Service) -> None:
    session = await service.open()
    await service.redis.delete(metadata_key(session["session_id"]))
    assert await service.introspect(session["refresh_token"]) == {"active": False}
    assert await service.is_active(session["access_token"])
    assert await refused_as(service, session["refresh_token"]) == ("ended", "other")
    (entry,) = await service.audited(session["session_id"])
    assert (entry["kind"], entry["detail"]) == ("session_revoked", "metadata missing")
    assert await service.reason(session["access_token"]) == "session_revoked"


async def test_a_step_up_of_a_session_without_metadata_ends_it_too(service: Service) -> None:
    session = await service.open()
    sid = session["session_id"]
    await service.redis.delete(metadata_key(sid))
    assert (await service.client.post(f"/sessions/{sid}/step-up", json={})).status_code == 409
    assert await service.reason(session["access_token"]) == "session_revoked"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda token: token[:4],
        lambda token: token[:-1],
        lambda token: token + "A",
        lambda token: token[:-4] + ("AAAA" if token[-4:] != "AAAA" else "BBBB"),
        lambda token: token.replace(".0.", ".00."),
        lambda token: token.replace(".0.", ".1."),
        lambda token: token.replace(".0.", ".-1."),
        lambda token: token.replace("qrt_", "QRT_"),
        lambda token: token + "\n",
        lambda token: f" {token}",
    ],
)
async def test_junk_is_refused_and_harms_nobody(service: Service, spoil: Any) -> None:
    session = await service.open()
    assert await refused_as(service, spoil(session["refresh_token"])) == ("junk", "")
    assert await audited_kinds(service, session["session_id"]) == []
    assert (await accepted_as(service, session["refresh_token"]))[0] == "rotated"


async def test_loose_tail_bits_of_the_mac_are_junk(service: Service) -> None:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    token = (await service.open())["refresh_token"]
    loose = letters[letters.index(token[-1]) ^ 1]
    assert await refused_as(service, token[:-1] + loose) == ("junk", "")


async def test_a_new_secret_signs_from_the_next_rotation_on_and_kills_nobody(service: Service) -> None:
    session = await service.open()
    path = service.parts.settings.keys_folder / FILE
    rows = json.loads(path.read_text())["secrets"]
    path.write_text(json.dumps({"secrets": [{"id": "b", "secret": b64encode(bytes(32)).decode()}, *rows]}))
    assert service.parts.secrets.refresh()
    sid, old = session["session_id"], session["refresh_token"]
    # Whoever holds another secret cannot make a token for a generation that it did not sign.
    assert await refused_as(service, service.parts.secrets.build(sid, 0, "b")) == ("junk", "")
    _, successor = await accepted_as(service, old)
    assert successor.split(".")[2][0] == "b"
    assert await accepted_as(service, old) == ("retried", successor)
    assert await refused_as(service, service.parts.secrets.build(sid, 0, "b")) == ("junk", "")
    assert (await accepted_as(service, successor))[0] == "rotated"


async def test_a_secret_that_only_another_host_has_is_unavailable_and_not_invalid(service: Service) -> None:
    token = (await service.open())["refresh_token"]
    head, mac = token[:-44], token[-43:]
    await service.redis.hset(FLOOR, "secret:z", "another host's")
    await service.parts.pulse()
    for path, data in (
        ("/token", {"grant_type": "refresh_token", "refresh_token": f"{head}z{mac}"}),
        ("/introspect", {"token": f"{head}z{mac}"}),
        ("/revoke", {"token": f"{head}z{mac}"}),
    ):
        answer = await service.client.post(path, data=data)
        assert oauth_error(answer) == (503, "temporarily_unavailable")
        assert answer.headers["retry-after"] == "1"
    assert await refused_as(service, f"{head}y{mac}") == ("junk", "")
    await service.redis.hdel(FLOOR, "secret:z")
