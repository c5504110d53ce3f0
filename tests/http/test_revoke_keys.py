"""`POST /revoke` of keys and issuers: what stands in every partition and never ages out."""

from pathlib import Path
from typing import Any

import pytest

from quash.keyspace import ALL_PARTITIONS, global_key, unpack_revoked
from tests.http import issuers
from tests.http.issuers import issued
from tests.http.support import ISSUER, STRANGER, Service, fresh, problem

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def options(folder: Path) -> dict[str, Any]:
    return {"issuers": issuers.table(folder)}


async def published(service: Service) -> list[str]:
    """Return the key ids in our JWKS, in its order."""
    answer = await service.http().get("/.well-known/jwks.json")
    return [key["kid"] for key in answer.json()["keys"]]


def active_kid(service: Service) -> str:
    return service.parts.keyring.signer().kid


async def revoked_everywhere(service: Service) -> tuple[set[str], dict[str, int]]:
    """Return the revoked keys and issuers, which every partition must agree on."""
    stored: set[Any] = {await service.redis.hget(global_key(part), "r") for part in ALL_PARTITIONS}
    (packed,) = stored
    keys, instants = unpack_revoked(packed or b"")
    return set(keys), instants


async def test_revoking_the_active_key_promotes_the_next_and_drops_it_from_the_jwks(service: Service) -> None:
    session, old, before = await service.open(), active_kid(service), await published(service)
    forged = service.own_token({"sub": fresh(), "iat": service.now - 60})
    document = await service.revoke(kid=old, cause="compromised")
    assert document == {
        "revoked": "key",
        "iss": ISSUER,
        "kid": old,
        "thumbprint": old,
        "found": True,
        "at": service.now,
    }
    after = await published(service)
    assert old in before
    assert old not in after
    assert active_kid(service) in before  # the next one was published before it signs
    assert len(after) == len(before)  # and there is a new next one
    assert await service.reason(session["access_token"]) == "key_revoked"
    assert await service.reason(forged) == "key_revoked"
    again = await service.refreshed(session["refresh_token"])
    assert await service.is_active(again["access_token"])


async def test_a_key_can_be_revoked_by_its_thumbprint_too(service: Service) -> None:
    old = active_kid(service)
    session = await service.open()
    assert (await service.revoke(thumbprint=old, iss=ISSUER))["kid"] == old
    assert await service.reason(session["access_token"]) == "key_revoked"


async def test_revoking_a_key_again_changes_nothing(service: Service) -> None:
    old = active_kid(service)
    await service.revoke(kid=old)
    before = (await published(service), active_kid(service), await revoked_everywhere(service))
    assert (await service.revoke(kid=old))["found"] is True
    assert (await published(service), active_kid(service), await revoked_everywhere(service)) == before


async def test_revoking_the_next_key_keeps_the_active_one(service: Service) -> None:
    active = active_kid(service)
    (following,) = (kid for kid in await published(service) if kid != active)
    await service.revoke(kid=following)
    assert active_kid(service) == active
    assert following not in await published(service)
    assert len(await published(service)) == 2


async def test_a_key_of_another_issuer_goes_alone(service: Service) -> None:
    service.advance(2)
    await service.revoke(iss=issuers.ES, kid="k1")
    assert await service.reason(issued(issuers.ES, service.now)) == "key_revoked"
    # The same key and the same kid under another issuer are another key.
    assert await service.is_active(issued(issuers.NO_JTI, service.now))


async def test_a_cached_verification_does_not_outlive_its_key(service: Service) -> None:
    service.advance(2)
    token = issued(issuers.HS, service.now)
    assert await service.is_active(token)
    await service.revoke(iss=issuers.HS, kid="k1")
    assert not await service.is_active(token)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"kid": "nobody's"}, "key_unknown"),
        ({"kid": "k1"}, "key_unknown"),
        ({"kid": "k1", "iss": STRANGER}, "unknown_issuer"),
        ({"issuer": STRANGER}, "unknown_issuer"),
        ({"thumbprint": "short"}, "invalid_body"),
        ({"iss": ISSUER}, "invalid_body"),
    ],
)
async def test_what_is_not_configured_is_said_to_be_unknown(service: Service, body: dict[str, Any], code: str) -> None:
    assert problem(await service.client.post("/revoke", json=body)) == (422, code)


async def test_a_revoked_issuer_loses_what_it_issued_up_to_then_and_nothing_later(service: Service) -> None:
    service.advance(2)
    at = service.now
    document = await service.revoke(issuer=issuers.NO_JTI, cause="compromised")
    assert (document["revoked"], document["iss"], document["before"]) == ("issuer", issuers.NO_JTI, at)
    assert await service.reason(issued(issuers.NO_JTI, at)) == "issuer_revoked"
    service.advance(1)
    assert await service.is_active(issued(issuers.NO_JTI, at + 1))


async def test_before_is_the_last_second_that_goes(service: Service) -> None:
    service.advance(10)
    before = service.now - 5
    await service.revoke(issuer=issuers.NO_JTI, before=before)
    assert await service.reason(issued(issuers.NO_JTI, before)) == "issuer_revoked"
    assert await service.is_active(issued(issuers.NO_JTI, before + 1))


async def test_an_issuers_instant_only_grows(service: Service) -> None:
    service.advance(10)
    now = service.now
    await service.revoke(issuer=issuers.NO_JTI, before=now)
    await service.revoke(issuer=issuers.NO_JTI, before=now - 8)
    assert await service.reason(issued(issuers.NO_JTI, now)) == "issuer_revoked"


async def test_before_lies_at_most_at_now(service: Service) -> None:
    body = {"issuer": issuers.NO_JTI, "before": service.now + 1}
    assert problem(await service.client.post("/revoke", json=body)) == (422, "instant_out_of_range")


async def test_our_own_issuer_ends_its_sessions_opened_up_to_then(service: Service) -> None:
    session = await service.open()
    await service.revoke(issuer=ISSUER)
    assert await service.reason(session["access_token"]) == "issuer_revoked"
    assert await service.reason(session["refresh_token"]) == "issuer_revoked"
    assert (await service.client.get(f"/sessions/{session['session_id']}")).status_code == 404
    service.advance(1)
    assert await service.is_active((await service.open())["access_token"])


async def test_keys_and_issuers_stand_in_every_partition(service: Service) -> None:
    await service.revoke(iss=issuers.ES, kid="k1")
    await service.revoke(issuer=issuers.HS)
    keys, instants = await revoked_everywhere(service)
    assert keys
    assert instants
    await service.redis.delete(global_key(7))
    await service.parts.pulse()
    service.advance(2)
    assert await revoked_everywhere(service) == (keys, instants)
