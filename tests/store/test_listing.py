"""Why a session is over, as a listing says it: in the order in which the scripts decide."""

from dataclasses import replace

import pytest

from quash.ids import issuer_tag
from quash.keyspace import Global, metadata_key
from quash.reasons import Cause
from quash_service.store import session_end
from tests.client.test_verdict import RECORD
from tests.store.stage import ACTOR, ADMIN, ISSUER, Stage

NOW = RECORD.idle_end - 1
ALIVE = {"record": RECORD, "version": RECORD.version, "born": 0, "issuers": {}, "now_ms": NOW}


@pytest.mark.parametrize(
    ("changes", "end"),
    [
        ({}, None),
        ({"version": RECORD.version + 1, "born": NOW}, "admin"),
        ({"born": RECORD.opened - 999, "issuers": {issuer_tag(ISSUER): NOW}}, "store_reborn"),
        ({"born": RECORD.opened - 1_000}, None),
        ({"issuers": {issuer_tag(ISSUER): RECORD.opened}, "now_ms": NOW + 1}, "issuer_revoked"),
        ({"issuers": {issuer_tag(ISSUER): RECORD.opened - 1, issuer_tag("other"): NOW}}, None),
        ({"now_ms": NOW + 1}, "expired"),
        ({"record": replace(RECORD, absolute_end=NOW)}, "expired"),
    ],
)
def test_the_first_end_that_applies_is_told(changes: dict[str, object], end: str | None) -> None:
    case: dict[str, object] = {**ALIVE, **changes}
    shared = Global(case["born"], 0, {}, case["issuers"])  # type: ignore[arg-type]  # keyword arguments by name are loose
    told = session_end(
        case["record"],  # type: ignore[arg-type]  # keyword arguments by name are loose
        case["version"],  # type: ignore[arg-type]  # keyword arguments by name are loose
        "admin",
        shared,
        iss=ISSUER,
        now_ms=case["now_ms"],  # type: ignore[arg-type]  # keyword arguments by name are loose
    )
    assert told == end


async def test_a_session_without_metadata_is_not_listed(stage: Stage) -> None:
    sid = await stage.open()
    await stage.client.delete(metadata_key(sid))
    assert await stage.listing.sessions(ACTOR, ISSUER, "bob") == []
    assert await stage.listing.session(ACTOR, sid) is None


async def test_a_superseded_session_is_shown_with_the_bumps_cause(stage: Stage) -> None:
    sid = await stage.open()
    await stage.store.revoke_user(ADMIN, iss=ISSUER, sub="bob", cause=Cause.PASSWORD_CHANGE)
    view = await stage.listing.session(ACTOR, sid)
    assert view is not None
    assert view.ended == "password_change"
