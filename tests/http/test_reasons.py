"""Every published reason can be had over HTTP, and only the batch route and forward auth say it."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from quash.reasons import INSUFFICIENT, Reason
from tests.client.minting import compact
from tests.http import issuers
from tests.http.issuers import issued
from tests.http.support import ISSUER, STRANGER, Service, fresh, unopened

pytestmark = pytest.mark.asyncio(loop_scope="module")

IDLE_S = 300


@pytest.fixture(scope="module")
def options(folder: Path) -> dict[str, Any]:
    return {"issuers": issuers.table(folder), "idle_ttl_s": IDLE_S}


async def no_token(service: Service) -> str:
    return "no-token"


async def unsigned(service: Service) -> str:
    return compact({"alg": "none"}, {"iss": ISSUER})


async def of_a_small_rsa_key(service: Service) -> str:
    return issued(issuers.WEAK_RSA, service.now)


async def of_a_stranger(service: Service) -> str:
    return service.own_token({"iss": STRANGER})


async def of_no_published_key(service: Service) -> str:
    return service.own_token(kid="nobody's")


async def signed_as_another(service: Service) -> str:
    one, other = service.own_token(), service.own_token()
    return one.rpartition(".")[0] + "." + other.rpartition(".")[2]


async def without_jti(service: Service) -> str:
    return service.own_token({"jti": ...})


async def at_its_exp(service: Service) -> str:
    return service.own_token({"exp": service.now})


async def before_its_nbf(service: Service) -> str:
    return service.own_token({"nbf": service.now + 1})


async def of_the_day_after(service: Service) -> str:
    return service.own_token({"iat": service.now + 2, "exp": service.now + 60})


async def for_somebody_else(service: Service) -> str:
    return issued(issuers.FOR_ORDERS, service.now, aud="mail")


async def of_another_type(service: Service) -> str:
    return service.own_token(typ="JWT")


async def for_too_long(service: Service) -> str:
    return service.own_token({"exp": service.now + 3601})


async def of_a_revoked_key(service: Service) -> str:
    await service.revoke(iss=issuers.HS, kid="k1")
    return issued(issuers.HS, service.now)


async def of_a_revoked_issuer(service: Service) -> str:
    await service.revoke(issuer=issuers.ES)
    return issued(issuers.ES, service.now)


async def of_before_the_state(service: Service) -> str:
    token = (await service.open())["access_token"]
    await service.redis.flushall()
    await service.parts.pulse()
    service.advance(2)
    return str(token)


async def taken_back(service: Service) -> str:
    token = (await service.open())["access_token"]
    await service.revoke(token=token)
    return str(token)


async def of_before_the_bump(service: Service) -> str:
    session = await service.open(sub := fresh())
    await service.revoke(sub=sub)
    return str(session["access_token"])


async def with_a_stolen_sid(service: Service) -> str:
    return service.own_token({"sid": (await service.open())["session_id"]})


async def of_an_ended_session(service: Service) -> str:
    session = await service.open()
    await service.revoke(session_id=session["session_id"])
    return str(session["access_token"])


async def of_an_idle_session(service: Service) -> str:
    session = await service.open()
    service.advance(IDLE_S)
    return str(session["access_token"])


async def of_a_session_never_opened(service: Service) -> str:
    return service.own_token({"sub": "eve", "sid": unopened("eve")})


async def of_a_session_left_behind(service: Service) -> str:
    session = await service.open(sub := fresh())
    version = (await service.revoke(sub=sub))["version"]
    return service.own_token({"sub": sub, "sid": session["session_id"], "ver": version})


CASES: dict[Reason, Callable[[Service], Awaitable[str]]] = {
    Reason.MALFORMED: no_token,
    Reason.ALGORITHM_NOT_ALLOWED: unsigned,
    Reason.WEAK_KEY: of_a_small_rsa_key,
    Reason.UNKNOWN_ISSUER: of_a_stranger,
    Reason.UNKNOWN_KEY: of_no_published_key,
    Reason.BAD_SIGNATURE: signed_as_another,
    Reason.MISSING_CLAIM: without_jti,
    Reason.EXPIRED: at_its_exp,
    Reason.NOT_YET_VALID: before_its_nbf,
    Reason.ISSUED_IN_FUTURE: of_the_day_after,
    Reason.WRONG_AUDIENCE: for_somebody_else,
    Reason.WRONG_TYPE: of_another_type,
    Reason.LIFETIME_TOO_LONG: for_too_long,
    Reason.KEY_REVOKED: of_a_revoked_key,
    Reason.ISSUER_REVOKED: of_a_revoked_issuer,
    Reason.STORE_REBORN: of_before_the_state,
    Reason.TOKEN_REVOKED: taken_back,
    Reason.VERSION_SUPERSEDED: of_before_the_bump,
    Reason.SESSION_MISMATCH: with_a_stolen_sid,
    Reason.SESSION_REVOKED: of_an_ended_session,
    Reason.SESSION_EXPIRED: of_an_idle_session,
    Reason.SESSION_UNKNOWN: of_a_session_never_opened,
    Reason.SESSION_SUPERSEDED: of_a_session_left_behind,
}

NOT_ENOUGH: dict[Reason, tuple[dict[str, str], int]] = {
    Reason.INSUFFICIENT_SCOPE: ({"scope": "account:delete"}, 403),
    Reason.REAUTHENTICATION_REQUIRED: ({"acr": "mfa"}, 401),
}


async def test_every_published_reason_has_a_case_here() -> None:
    assert set(CASES) | set(NOT_ENOUGH) == set(Reason)
    assert set(NOT_ENOUGH) == INSUFFICIENT


@pytest.mark.parametrize("reason", CASES)
async def test_the_batch_route_says_the_reason_and_introspection_does_not(service: Service, reason: Reason) -> None:
    token = await CASES[reason](service)
    answer = await service.client.post("/introspect/batch", json={"tokens": [token]})
    assert answer.json() == {"results": [{"active": False, "verdict": "revoked", "reason": reason.value}]}
    assert await service.introspect(token) == {"active": False}


@pytest.mark.parametrize("reason", CASES)
async def test_every_verdict_is_counted_by_its_reason(service: Service, reason: Reason) -> None:
    token = await CASES[reason](service)
    before = service.counted("quash_verdicts", reason=reason.value)
    await service.introspect(token)
    await service.reason(token)
    assert service.counted("quash_verdicts", reason=reason.value) == before + 2


@pytest.mark.parametrize("reason", NOT_ENOUGH)
async def test_forward_auth_says_what_an_active_token_lacks(service: Service, reason: Reason) -> None:
    query, status = NOT_ENOUGH[reason]
    token = (await service.open())["access_token"]
    before = service.counted("quash_verdicts", reason=reason.value)
    answer = await service.http().get("/forward-auth", params=query, headers={"authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json()["reason"]) == (status, reason.value)
    assert service.counted("quash_verdicts", reason=reason.value) == before + 1
    assert await service.is_active(token)


async def test_an_active_token_has_no_reason_at_all(service: Service) -> None:
    token = (await service.open())["access_token"]
    answer = await service.client.post("/introspect/batch", json={"tokens": [token]})
    assert answer.json() == {"results": [{"active": True, "verdict": "active"}]}
