"""Issuers and callers, all routes for all of them: nobody reads or changes anything of another's."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from quash.ids import user_tag
from quash.keyspace import metadata_key, user_key
from tests.hostile import parties
from tests.hostile.parties import ISSUERS, ONE, TWO, Belongings, belongings, changed, snapshot, unknown
from tests.http.support import ISSUER, Service, fresh, unopened

pytestmark = pytest.mark.asyncio(loop_scope="module")

Request = tuple[str, str, dict[str, Any]]
Name = Callable[[Belongings], Request]


def form(path: str, **fields: str) -> Request:
    return "POST", path, {"data": fields}


def body(path: str, **members: object) -> Request:
    return "POST", path, {"json": members}


def jti(it: Belongings) -> Request:
    claims = it.claims
    return body("/revoke", iss=it.iss, sub=it.sub, jti=claims["jti"], exp=claims["exp"])


REQUESTS: dict[str, Name] = {
    "introspect a token": lambda it: form("/introspect", token=it.access),
    "introspect a refresh token": lambda it: form("/introspect", token=it.refresh),
    "a batch of both": lambda it: body("/introspect/batch", tokens=[it.access, it.refresh]),
    "list a user's sessions": lambda it: ("GET", "/sessions", {"params": {"iss": it.iss, "sub": it.sub}}),
    "show a session": lambda it: ("GET", f"/sessions/{it.sid}", {}),
    "step a session up": lambda it: body(f"/sessions/{it.sid}/step-up", acr="mfa"),
    "open a session": lambda it: body("/sessions", iss=it.iss, sub=it.sub),
    "refresh": lambda it: form("/token", grant_type="refresh_token", refresh_token=it.refresh),
    "revoke a token by form": lambda it: form("/revoke", token=it.access),
    "revoke a refresh token by form": lambda it: form("/revoke", token=it.refresh),
    "revoke a token": lambda it: body("/revoke", token=it.access),
    "revoke a refresh token": lambda it: body("/revoke", token=it.refresh),
    "revoke a session": lambda it: body("/revoke", session_id=it.sid),
    "revoke a jti": jti,
    "revoke a user's access": lambda it: body("/revoke", iss=it.iss, sub=it.sub, access_only=True),
    "revoke a user": lambda it: body("/revoke", iss=it.iss, sub=it.sub),
    "end a session": lambda it: ("DELETE", f"/sessions/{it.sid}", {}),
    "end all of a user": lambda it: ("DELETE", "/sessions", {"params": {"iss": it.iss, "sub": it.sub}}),
    "revoke a kid": lambda it: body("/revoke", iss=it.iss, kid=it.kid),
    "revoke a thumbprint": lambda it: body("/revoke", iss=it.iss, thumbprint=it.thumbprint),
    "revoke an issuer": lambda it: body("/revoke", issuer=it.iss),
}
"""Every way to name something of somebody's; what ends most comes last."""

CALLERS: dict[str, tuple[tuple[str, ...], list[str] | None]] = {
    "A": (("introspect", "introspect:claims", "revoke", "sessions"), [ONE]),
    "B": (("introspect", "introspect:claims", "revoke", "sessions"), [TWO]),
    "C": (("introspect",), None),
    "D": (("admin",), [ONE]),
}
NOT_THEIRS = [
    (caller, issuer)
    for caller, (_, allowed) in CALLERS.items()
    for issuer in ISSUERS
    if allowed is not None and issuer not in allowed
]


@pytest.fixture(scope="module")
def options(folder: Path) -> dict[str, Any]:
    return {"issuers": parties.table(folder)}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def callers(service: Service) -> dict[str, httpx.AsyncClient]:
    return {
        name: await service.caller(*scopes, name=f"caller-{name}", issuers=allowed)
        for name, (scopes, allowed) in CALLERS.items()
    }


@pytest_asyncio.fixture(loop_scope="module")
async def theirs(service: Service, callers: dict[str, httpx.AsyncClient]) -> dict[str, Belongings]:
    """The belongings of a user of each issuer, all of one name, and all known to be good."""
    by = {ONE: callers["A"], TWO: callers["B"], ISSUER: service.client}
    sub = fresh()
    every = {issuer: await belongings(service, issuer, sub, by[issuer]) for issuer in ISSUERS}
    for it in every.values():
        await assert_whole(service, it)
    return every


async def assert_whole(service: Service, it: Belongings) -> None:
    assert await service.is_active(it.access)
    assert await service.is_active(it.refresh)
    listed = await service.client.get("/sessions", params={"iss": it.iss, "sub": it.sub})
    assert [one["session_id"] for one in listed.json()["sessions"]] == [it.sid]


async def send(client: httpx.AsyncClient, request: Request) -> httpx.Response:
    method, path, rest = request
    return await client.request(method, path, **rest)


async def test_every_route_that_needs_a_caller_is_among_the_requests(service: Service) -> None:
    listed = service.app.openapi()["paths"]
    guarded = {
        (method.upper(), path)
        for path, operations in listed.items()
        for method, operation in operations.items()
        if operation.get("security")
    }
    it = unknown(service, "nobody")
    named = {(method, path.replace(it.sid, "{sid}")) for method, path, _ in (name(it) for name in REQUESTS.values())}
    assert named == guarded - {("GET", "/forward-auth")}  # its token is the end user's own, and it has no caller


@pytest.mark.parametrize(("caller", "issuer"), NOT_THEIRS)
async def test_what_is_anothers_is_as_unknown_as_what_never_was_and_stays_as_it_is(
    service: Service,
    callers: dict[str, httpx.AsyncClient],
    theirs: dict[str, Belongings],
    caller: str,
    issuer: str,
) -> None:
    """The owner's tokens are in the cache of verified ones by now, which must not tell either."""
    never, it = unknown(service, theirs[issuer].sub), theirs[issuer]
    before = await snapshot(service.redis)
    for name, request in REQUESTS.items():
        answer = await send(callers[caller], request(it))
        reference = await send(callers[caller], request(never))
        assert it.told_of(answer) == never.told_of(reference), name
        assert answer.status_code < 500, name
    # Presenting another's refresh token is audited as one that is not known, at most once a minute.
    for key in changed(before, await snapshot(service.redis)):
        assert key.endswith(b":a") or b":q:" in key, key
    assert {entry["kind"] for entry in await service.audited(it.sid)} == {"absent"}
    for one in theirs.values():
        await assert_whole(service, one)


async def test_a_caller_that_may_only_ask_changes_nothing_of_anybodys(
    service: Service, callers: dict[str, httpx.AsyncClient], theirs: dict[str, Belongings]
) -> None:
    before = await snapshot(service.redis)
    for it in theirs.values():
        never = unknown(service, it.sub)
        for name, request in REQUESTS.items():
            answer = await send(callers["C"], request(it))
            if "introspect" in name or "batch" in name:
                assert answer.status_code == 200
            else:
                assert answer.status_code == 403, name
                assert it.told_of(answer) == never.told_of(await send(callers["C"], request(never)))
    assert list(changed(before, await snapshot(service.redis))) == []


async def test_a_session_is_its_openers_and_an_admins_also_within_an_issuer(
    service: Service, callers: dict[str, httpx.AsyncClient]
) -> None:
    other = await service.caller("sessions", issuers=[ONE])
    it, never = await belongings(service, ONE, fresh(), callers["A"]), unknown(service, "nobody")
    before = await service.user_fields(it.sub, ONE)
    for name in ("refresh", "step a session up"):
        answer, reference = await send(other, REQUESTS[name](it)), await send(other, REQUESTS[name](never))
        assert it.told_of(answer) == never.told_of(reference)
    assert await service.user_fields(it.sub, ONE) == before
    assert (await send(callers["D"], REQUESTS["refresh"](it))).status_code == 200


async def test_sessions_of_another_issuer_cannot_be_kept(
    service: Service, callers: dict[str, httpx.AsyncClient], theirs: dict[str, Belongings]
) -> None:
    keep = [theirs[TWO].sid, theirs[ISSUER].sid, unopened(theirs[ONE].sub, ONE)]
    answer = await callers["A"].post("/revoke", json={"iss": ONE, "sub": theirs[ONE].sub, "keep": keep})
    assert answer.json()["kept"] == []
    for issuer in (TWO, ISSUER):
        await assert_whole(service, theirs[issuer])


async def test_what_the_owners_do_to_their_own_works_and_touches_nobody_of_the_same_name(
    service: Service, callers: dict[str, httpx.AsyncClient], theirs: dict[str, Belongings]
) -> None:
    """The last test here: it ends with the revocation of the issuer's key and of the issuer."""
    before = await snapshot(service.redis)
    never = unknown(service, theirs[ONE].sub)
    for name, request in REQUESTS.items():
        it = await belongings(service, ONE, fresh(), callers["A"]) if "revoke a" in name else theirs[ONE]
        answer = await send(callers["D"], request(it))
        assert answer.status_code in {200, 201}, (name, answer.text)
        assert it.told_of(answer) != never.told_of(await send(callers["D"], request(never))) or "by form" in name
    after = await snapshot(service.redis)
    others = [key for issuer in (TWO, ISSUER) for key in _keys_of(theirs[issuer])]
    assert {key: before[key] for key in others} == {key: after[key] for key in others}
    for issuer in (TWO, ISSUER):
        await assert_whole(service, theirs[issuer])
    assert await service.reason(theirs[ONE].access) == "key_revoked"


def _keys_of(it: Belongings) -> list[bytes]:
    return [user_key(user_tag(it.iss, it.sub)).encode(), metadata_key(it.sid).encode()]
