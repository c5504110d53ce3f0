"""How tokens are judged: what each issuer's policy demands, and which rule decides."""

from pathlib import Path
from typing import Any

import pytest

from tests.http import issuers
from tests.http.issuers import issued
from tests.http.support import Service, fresh, unopened

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def options(folder: Path) -> dict[str, Any]:
    return {"issuers": issuers.table(folder)}


async def test_a_short_hmac_key_is_as_weak_as_a_small_rsa_key(service: Service) -> None:
    assert await service.reason(issued(issuers.SHORT_HS, service.now)) == "weak_key"


async def test_only_an_issuer_marked_so_may_leave_out_jti(service: Service) -> None:
    service.advance(2)
    assert await service.reason(issued(issuers.NO_JTI, service.now, jti=...)) == "active"
    assert await service.reason(issued(issuers.FOR_ORDERS, service.now, jti=..., aud="orders")) == "missing_claim"


async def test_a_foreign_sid_and_ver_are_ignored_where_the_issuer_does_not_embed_them(service: Service) -> None:
    service.advance(2)
    odd = issued(issuers.NO_JTI, service.now, sid=["not", "ours"], ver=True)
    assert await service.reason(odd) == "active"
    assert not {"sid", "ver"} & set(await service.introspect(odd))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sid": ...}, "missing_claim"),
        ({"sid": 7}, "malformed"),
        ({"sid": unopened("bob", issuers.ES)}, "session_mismatch"),
        ({"sid": unopened("bob", issuers.EMBEDS_SID)}, "session_unknown"),
    ],
)
async def test_where_an_issuer_embeds_sid_it_is_required_and_judged(
    service: Service, changes: dict[str, Any], reason: str
) -> None:
    service.advance(2)
    assert await service.reason(issued(issuers.EMBEDS_SID, service.now, **changes)) == reason


@pytest.mark.parametrize("ver", [-1, True, "1", 1.5])
async def test_a_version_is_an_integer_of_at_least_0(service: Service, ver: object) -> None:
    assert await service.reason(service.own_token({"ver": ver})) == "malformed"
    assert await service.reason(service.own_token({"ver": ...})) == "missing_claim"


async def test_a_token_without_a_version_is_refused_inside_its_issuers_skew_of_a_bump(service: Service) -> None:
    service.advance(2)
    sub = fresh()
    bumped_at = service.now
    await service.revoke(iss=issuers.NO_JTI, sub=sub)
    assert await service.reason(issued(issuers.NO_JTI, bumped_at + 1, sub=sub)) == "version_superseded"
    service.advance(2)
    assert await service.reason(issued(issuers.NO_JTI, bumped_at + 2, sub=sub)) == "active"


async def test_a_kid_may_be_absent_only_where_the_issuer_has_one_key(service: Service) -> None:
    service.advance(2)
    assert await service.reason(issued(issuers.NO_JTI, service.now, kid=...)) == "active"
    assert await service.reason(service.own_token(kid=...)) == "unknown_key"


async def test_the_first_rule_that_hits_decides(service: Service) -> None:
    session = await service.open(sub := fresh())
    await service.revoke(token=session["access_token"])
    await service.revoke(session_id=session["session_id"])
    assert await service.reason(session["access_token"]) == "token_revoked"
    await service.revoke(sub=sub)
    assert await service.reason(session["access_token"]) == "token_revoked"
    service.advance(600)
    assert await service.reason(session["access_token"]) == "expired"
