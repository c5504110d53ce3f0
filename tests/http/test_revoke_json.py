"""`POST /revoke` as JSON: sessions, users and single tokens."""

from typing import Any

import pytest

from quash.reasons import Cause
from tests.http.support import ISSUER, Service, claims_of, fresh, problem, unopened

pytestmark = pytest.mark.asyncio(loop_scope="module")

ONE_OF_EACH: dict[str, dict[str, Any]] = {
    "token": {"token": "t"},
    "session": {"session_id": "s"},
    "jti": {"jti": "j", "sub": "nobody", "exp": 1},
    "user": {"sub": "nobody"},
    "key": {"kid": "k"},
    "issuer": {"issuer": ISSUER, "before": 1},
}


async def refused(service: Service, body: object) -> tuple[int, str]:
    return problem(await service.client.post("/revoke", json=body))


@pytest.mark.parametrize("first", ONE_OF_EACH)
@pytest.mark.parametrize("second", ONE_OF_EACH)
async def test_exactly_one_kind_of_thing_is_named(service: Service, first: str, second: str) -> None:
    body = {**ONE_OF_EACH[first], **ONE_OF_EACH[second]}
    if first == second or {first, second} == {"jti", "user"}:  # a jti comes with its sub
        return
    assert await refused(service, body) == (422, "invalid_body")


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        "sub",
        {"cause": "logout"},
        {"sub": ""},
        {"sub": 7},
        {"sub": "x" * 256},
        {"sub": "a\nb"},
        {"sub": "a", "keep": [1]},
        {"sub": "a", "acess_only": True},
        {"sub": "a", "cause": "because"},
        {"sub": "a", "exp": 1},
        {"jti": "j"},
        {"jti": "j", "sub": "a"},
        {"jti": "j", "exp": 1},
        {"jti": "j", "sub": "a", "exp": "1"},
        {"jti": "j", "sub": "a", "exp": 1.5},
        {"jti": "j", "sub": "a", "exp": True},
        {"jti": "j", "sub": "a", "exp": -1},
        {"session_id": "s", "keep": ["s"]},
        {"issuer": ISSUER, "sub": "a"},
        {"kid": "k", "access_only": True},
    ],
)
async def test_a_slip_in_the_body_is_422_and_revokes_nothing(service: Service, body: object) -> None:
    assert await refused(service, body) == (422, "invalid_body")


async def test_a_session_is_ended_at_once_and_again_is_the_same(service: Service) -> None:
    session = await service.open(sub := fresh())
    sid = session["session_id"]
    expected = {"revoked": "session", "session_id": sid, "found": True, "at": service.now}
    assert await service.revoke(session_id=sid, cause="detection") == expected
    before = await service.user_fields(sub)
    assert await service.revoke(session_id=sid, cause="logout") == expected
    assert await service.user_fields(sub) == before  # the first cause stays
    assert [entry["cause"] for entry in await service.audited(sid)] == ["detection"]


@pytest.mark.parametrize("sid", [unopened("nobody"), "s", "x" * 255, "ü"])
async def test_an_unknown_session_is_not_found(service: Service, sid: str) -> None:
    assert (await service.revoke(session_id=sid))["found"] is False


async def test_a_token_by_json_says_what_it_was(service: Service) -> None:
    session = await service.open(sub := fresh())
    token = claims_of(session["access_token"])
    document = await service.revoke(token=session["access_token"])
    assert document == {
        "revoked": "token",
        "iss": ISSUER,
        "sub": sub,
        "jti": token["jti"],
        "exp": token["exp"],
        "found": True,
        "at": service.now,
    }
    assert (await service.revoke(token=session["refresh_token"]))["revoked"] == "session"
    assert (await service.revoke(token="junk"))["found"] is False


@pytest.mark.parametrize("later_s", [0, 1, 59, 60, 3000])
async def test_a_jti_is_revoked_by_an_upper_bound_of_its_expiry(service: Service, later_s: int) -> None:
    session = await service.open(sub := fresh())
    other = await service.refreshed(session["refresh_token"])
    token = claims_of(session["access_token"])
    document = await service.revoke(jti=token["jti"], sub=sub, exp=token["exp"] + later_s)
    assert (document["revoked"], document["found"]) == ("token", True)
    assert await service.reason(session["access_token"]) == "token_revoked"
    assert await service.is_active(other["access_token"])
    service.advance(token["exp"] - service.now - 1)
    assert await service.reason(session["access_token"]) == "token_revoked"


async def test_milliseconds_instead_of_seconds_are_422(service: Service) -> None:
    body: dict[str, Any] = {"jti": "j", "sub": (sub := fresh()), "exp": (service.now + 600) * 1000}
    assert await refused(service, body) == (422, "instant_out_of_range")
    assert await service.user_fields(sub) == {}
    body = {"issuer": ISSUER, "before": service.now * 1000}
    assert await refused(service, body) == (422, "instant_out_of_range")


async def test_the_latest_expiry_that_any_check_accepts_is_taken(service: Service) -> None:
    latest = service.now + service.parts.settings.longest_access_ttl_s
    assert (await service.revoke(jti="j", sub=fresh(), exp=latest))["found"]
    assert await refused(service, {"jti": "j", "sub": "a", "exp": latest + 61}) == (422, "instant_out_of_range")


async def test_a_user_is_revoked_whole(service: Service) -> None:
    sessions = [await service.open(sub := "u-whole"), await service.open(sub)]
    version = service.now * 1000
    assert await service.revoke(sub=sub, cause="account_disabled") == {
        "revoked": "user",
        "iss": ISSUER,
        "sub": sub,
        "version": version,
        "kept": [],
        "found": True,
        "at": service.now,
    }
    for session in sessions:
        assert await service.reason(session["access_token"]) == "version_superseded"
        assert await service.reason(session["refresh_token"]) == "session_superseded"
    assert [entry["cause"] for entry in await service.audited(sub)] == ["account_disabled"]


async def test_a_user_nobody_knows_is_revoked_too_and_said_to_be_unknown(service: Service) -> None:
    document = await service.revoke(sub=(sub := fresh()))
    assert (document["found"], document["version"]) == (False, service.now * 1000)
    assert await service.reason(service.own_token({"sub": sub})) == "version_superseded"


async def test_versions_only_grow_also_within_one_ms(service: Service) -> None:
    sub = fresh()
    versions = [(await service.revoke(sub=sub))["version"] for _ in range(5)]
    assert versions == sorted(set(versions))


async def test_a_login_after_the_bump_is_of_the_new_version(service: Service) -> None:
    version = (await service.revoke(sub=(sub := fresh())))["version"]
    session = await service.open(sub)
    assert (session["version"], claims_of(session["access_token"])["ver"]) == (version, version)
    assert await service.is_active(session["access_token"])


async def test_a_kept_session_loses_its_access_tokens_and_refreshes_at_once(service: Service) -> None:
    kept, other = await service.open(sub := fresh()), await service.open(sub)
    document = await service.revoke(sub=sub, keep=[kept["session_id"]], cause="password_change")
    assert document["kept"] == [kept["session_id"]]
    assert await service.reason(kept["access_token"]) == "version_superseded"
    again = await service.refreshed(kept["refresh_token"])
    assert again["version"] == document["version"]
    assert await service.is_active(again["access_token"])
    assert not await service.is_active(other["refresh_token"])


async def test_what_cannot_be_kept_is_ignored_and_the_revocation_still_happens(service: Service) -> None:
    alive, dead = await service.open(sub := fresh()), await service.open(sub)
    superseded = await service.open(other := fresh())
    await service.revoke(session_id=dead["session_id"])
    await service.revoke(sub=other)
    for keep in (superseded["session_id"], dead["session_id"], unopened(sub), "nonsense", "v", "o", ""):
        document = await service.revoke(sub=sub, keep=[keep])
        assert document["kept"] == []
    assert not await service.is_active(alive["refresh_token"])
    assert (await service.revoke(sub=other, keep=[superseded["session_id"]]))["kept"] == []
    assert not await service.is_active(superseded["refresh_token"])
    assert not await service.is_active(dead["refresh_token"])


async def test_one_session_to_keep_may_be_named_as_itself(service: Service) -> None:
    sid = (await service.open(sub := fresh()))["session_id"]
    assert (await service.revoke(sub=sub, keep=sid))["kept"] == [sid]
    assert (await service.revoke(sub=sub, keep=[sid, sid]))["kept"] == [sid]


async def test_access_only_ends_access_tokens_and_the_next_refresh_is_good(service: Service) -> None:
    sessions = [await service.open(sub := fresh(), claims={"role": "old"}), await service.open(sub)]
    ended = await service.open(sub)
    await service.revoke(session_id=ended["session_id"])
    document = await service.revoke(sub=sub, access_only=True, cause="permissions_changed")
    assert sorted(document["kept"]) == sorted(one["session_id"] for one in sessions)
    for session in sessions:
        assert await service.reason(session["access_token"]) == "version_superseded"
        again = await service.refreshed(session["refresh_token"], claims='{"role": "new"}')
        assert (await service.introspect(again["access_token"]))["role"] == "new"
    assert not await service.is_active(ended["refresh_token"])


@pytest.mark.parametrize("cause", [None, *Cause])
async def test_every_cause_can_be_stated_and_is_audited_and_counted(service: Service, cause: Cause | None) -> None:
    name = (cause or Cause.OTHER).value
    stated: dict[str, Any] = {"cause": name} if cause else {}
    before = service.counted("quash_revocations", kind="user", cause=name)
    await service.revoke(sub=(sub := fresh()), **stated)
    assert [entry["cause"] for entry in await service.audited(sub)] == [name]
    assert service.counted("quash_revocations", kind="user", cause=name) == before + 1


async def test_the_audit_says_who_revoked_and_in_which_request(service: Service) -> None:
    by = await service.caller("revoke", name="helpdesk")
    answer = await by.post("/revoke", json={"sub": (sub := fresh())})
    (entry,) = await service.audited(sub)
    assert (entry["by"], entry["rid"]) == ("helpdesk", answer.headers["x-request-id"])
    assert entry["at"] == str(service.now * 1000)
