"""Every route that takes a token, and what each says of one that is not good."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from tests.http.support import IDENTITY, Service, document

Refused = Callable[[Service, str, str], Awaitable[None]]


async def introspect(service: Service, token: str, _: str) -> None:
    answer = await service.client.post("/introspect", data={"token": token})
    assert (answer.status_code, answer.json()) == (200, {"active": False})


async def batch(service: Service, token: str, reason: str) -> None:
    answer = await service.client.post("/introspect/batch", json={"tokens": [token]})
    refused = {"active": False, "verdict": "revoked", "reason": reason}
    assert (answer.status_code, answer.json()) == (200, {"results": [refused]})


async def forward_auth(service: Service, token: str, reason: str) -> None:
    answer = await bearer(service, token)
    assert (answer.status_code, answer.json()) == (401, {"active": False, "reason": reason})
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert {answer.headers[name] for name in IDENTITY} == {""}


async def revoke_form(service: Service, token: str, _: str) -> None:
    """RFC 7009 §2.2: an invalid token is answered like one that was revoked."""
    answer = await service.client.post("/revoke", data={"token": token})
    assert (answer.status_code, answer.json()) == (200, {})


async def revoke_json(service: Service, token: str, _: str) -> None:
    answer = await service.client.post("/revoke", json={"token": token})
    if len(token) > 16 * 1024:
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_body")
    else:
        assert answer.status_code == 200
        assert document(answer) == {"revoked": "token", "found": False, "at": service.now}


async def refresh(service: Service, token: str, _: str) -> None:
    answer = await service.refresh(token)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


JUDGING: dict[str, Refused] = {"introspect": introspect, "batch": batch, "forward-auth": forward_auth}
REVOKING: dict[str, Refused] = {"revoke form": revoke_form, "revoke JSON": revoke_json}
REFRESHING: dict[str, Refused] = {"token": refresh}


async def bearer(service: Service, token: str, **query: Any) -> httpx.Response:
    """Ask forward auth about the token of an end user's request, in whatever characters."""
    header = b"Bearer " + token.encode("utf-8", "surrogatepass")
    return await service.http().get("/forward-auth", params=query, headers=[(b"authorization", header)])
