"""Three issuers whose users, tokens and keys have the same names, and the callers that may act on some of them."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from redis.asyncio import Redis

from quash.keys import thumbprint
from quash.parse import parse
from tests.client.minting import jwk_of, mint
from tests.http.support import ISSUER, STRANGER, Service, claims_of, unopened

ONE, TWO = "https://one.example", "https://two.example"
ISSUERS = (ONE, TWO, ISSUER)
_OWN_HEADERS = {"x-request-id", "content-length"}
JTI = "the-same-everywhere"
_KEYS = {issuer: ec.generate_private_key(ec.SECP256R1()) for issuer in (ONE, TWO, STRANGER)}


def table(folder: Path) -> list[dict[str, Any]]:
    """Write the foreign issuers' key files and return their `[[issuers]]` tables."""
    rows = []
    for at, issuer in enumerate((ONE, TWO)):
        path = folder / f"party-{at}.jwks.json"
        path.write_text(json.dumps({"keys": [jwk_of(_KEYS[issuer], "ES256", kid="k1", alg="ES256")]}))
        rows.append({"issuer": issuer, "keys": path, "algorithms": ["ES256"]})
    return rows


@dataclass(frozen=True)
class Belongings:
    """All that a user of one issuer has: what a caller could name in a request."""

    iss: str
    sub: str
    sid: str
    access: str
    refresh: str
    kid: str
    thumbprint: str

    @property
    def claims(self) -> dict[str, Any]:
        """What the access token says."""
        return claims_of(self.access)

    def told_of(self, answer: httpx.Response) -> tuple[object, ...]:
        """Return all of an answer but the request's id and the names that the caller itself sent."""
        text = answer.text
        for name, word in ((self.refresh, "REFRESH"), (self.access, "ACCESS"), (self.sid, "SID"), (self.iss, "ISS")):
            text = text.replace(name, word)
        headers = {
            name: value for name, value in answer.headers.items() if name not in {"x-request-id", "content-length"}
        }
        return answer.status_code, headers, text


async def belongings(service: Service, iss: str, sub: str, by: httpx.AsyncClient) -> Belongings:
    """Log a user in, as a caller that may, and return what it has."""
    opened = await service.open(sub, by=by, iss=iss)
    access = opened.get("access_token") or _issued(service, iss, sub)
    kid = str(parse(access).kid)
    jwk = jwk_of(_KEYS[iss], "ES256") if iss in _KEYS else await _published(service, kid)
    refresh = str(opened["refresh_token"])
    return Belongings(iss, sub, opened["session_id"], access, refresh, kid, thumbprint(jwk))


def unknown(service: Service, sub: str) -> Belongings:
    """Return what a user of an issuer that nobody configured could have: each well-formed, none known."""
    sid = unopened(sub, STRANGER)
    refresh = service.parts.secrets.build(sid, 0, service.parts.secrets.newest)
    return Belongings(STRANGER, sub, sid, _issued(service, STRANGER, sub), refresh, "k1", "x" * 43)


async def _published(service: Service, kid: str) -> dict[str, Any]:
    keys = (await service.http().get("/.well-known/jwks.json")).json()["keys"]
    return dict(next(key for key in keys if key["kid"] == kid))


def _issued(service: Service, iss: str, sub: str) -> str:
    payload = {"iss": iss, "sub": sub, "iat": service.now, "exp": service.now + 600, "jti": JTI}
    return mint(payload, key=_KEYS[iss])


async def snapshot(redis: Redis) -> Mapping[bytes, object]:
    """Return the whole state: every key, its value and its end."""
    keys: list[Any] = sorted(await redis.keys())
    pipe: Any = redis.pipeline(transaction=False)
    for key in keys:
        pipe.dump(key).pexpiretime(key)
    values = iter(await pipe.execute())
    return {key: (next(values), next(values)) for key in keys}


def changed(before: Mapping[bytes, object], after: Mapping[bytes, object]) -> Iterator[bytes]:
    """Yield the keys that are not what they were."""
    for key in sorted(before.keys() | after.keys()):
        if before.get(key) != after.get(key):
            yield key
