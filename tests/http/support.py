"""What the contract tests speak to: the application, its clock, and the state behind it."""

import json
from base64 import b64encode
from collections.abc import Mapping
from contextlib import AsyncExitStack
from hashlib import sha256
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import jwt
from redis.asyncio import Redis

from quash.ids import new_session_id, partition, session_tag, user_tag
from quash.keyspace import audit_key, user_key
from quash.parse import parse
from quash_service.callers import Caller, digest
from quash_service.tokens.keyring import FILE
from tests.client.minting import mint
from tests.service import App, SteeredClock

ISSUER = "http://127.0.0.1:8400"
STRANGER = "https://stranger.example"
"""An issuer that nobody configured."""

SECRET = "the-secret-of-every-caller-but-the-admin"
IDENTITY = frozenset(
    f"x-auth-{name}"
    for name in ("subject", "issuer", "session", "token-id", "client", "scope", "acr", "auth-time", "expires-at")
)
"""The headers by which forward auth says who calls."""

_numbers = count(1)


def fresh(word: str = "user") -> str:
    """Return a name that no other test of this process uses."""
    return f"{word}-{next(_numbers)}"


class Service:
    """A running application as tests use it: `client` is the admin's."""

    def __init__(self, app: App) -> None:
        self.app = app.app
        self.parts = app.services
        self.client = app.client
        self.http = app.http
        self.store = app.services.store
        self.redis: Redis = app.services.client
        self._clock = app.clock
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    @property
    def now(self) -> int:
        """The time in epoch seconds."""
        return self._clock.now_ms() // 1000

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        assert isinstance(self._clock, SteeredClock)
        self._clock.advance(round(seconds * 1000))

    async def caller(self, *scopes: str, name: str = "", issuers: list[str] | None = None) -> httpx.AsyncClient:
        """Put a caller on record and return its client."""
        name = name or fresh("caller")
        allowed = None if issuers is None else frozenset(issuers)
        await self.parts.callers.add(Caller(name, digest(SECRET), frozenset(scopes), allowed))
        return await self._stack.enter_async_context(self.http(auth=(name, SECRET)))

    async def open(self, sub: str = "", *, by: httpx.AsyncClient | None = None, **body: Any) -> dict[str, Any]:
        """Open a session and return the answer; `sub` is a new user unless stated."""
        answer = await (by or self.client).post("/sessions", json={"sub": sub or fresh(), **body})
        assert answer.status_code == 201, answer.text
        return document(answer)

    async def refresh(self, token: str, *, by: httpx.AsyncClient | None = None, **form: Any) -> httpx.Response:
        """Present a refresh token."""
        form = {"grant_type": "refresh_token", "refresh_token": token, **form}
        return await (by or self.client).post("/token", data=form)

    async def refreshed(self, token: str, *, by: httpx.AsyncClient | None = None, **form: Any) -> dict[str, Any]:
        """Refresh, which has to work."""
        answer = await self.refresh(token, by=by, **form)
        assert answer.status_code == 200, answer.text
        return document(answer)

    async def introspect(self, token: str, *, by: httpx.AsyncClient | None = None, **form: Any) -> dict[str, Any]:
        """Introspect, which has to be answered."""
        answer = await (by or self.client).post("/introspect", data={"token": token, **form})
        assert answer.status_code == 200, answer.text
        return document(answer)

    async def is_active(self, token: str) -> bool:
        return bool((await self.introspect(token))["active"])

    async def reason(self, token: str, *, by: httpx.AsyncClient | None = None) -> str:
        """Return the batch route's reason, or `active`."""
        answer = await (by or self.client).post("/introspect/batch", json={"tokens": [token]})
        assert answer.status_code == 200, answer.text
        (result,) = answer.json()["results"]
        return str(result.get("reason", result["verdict"]))

    async def revoke(self, *, by: httpx.AsyncClient | None = None, **body: Any) -> dict[str, Any]:
        """Revoke by JSON, which has to work."""
        answer = await (by or self.client).post("/revoke", json=body)
        assert answer.status_code == 200, answer.text
        return document(answer)

    def own_token(self, changes: Mapping[str, object] | None = None, **header: object) -> str:
        """Sign a token with our own active key, as only this service or a thief of its key can."""
        jwk = next(row for row in _stored_keys(self.parts.settings.keys_folder) if row["state"] == "active")["jwk"]
        sub = str((changes or {}).get("sub", fresh()))
        payload = {
            "iss": ISSUER,
            "sub": sub,
            "aud": ISSUER,
            "exp": self.now + 600,
            "iat": self.now,
            "jti": fresh("jti"),
            "sid": unopened(sub),
            "ver": 0,
            **(changes or {}),
        }
        present = {name: value for name, value in payload.items() if value is not ...}
        return mint(present, key=_private(jwk), **{"kid": jwk["kid"], "typ": "at+jwt", **header})

    async def audited(self, name: str) -> list[dict[str, str]]:
        """Return the audit entries of a session, or of a user of ours, oldest first."""
        sid = name if len(name) == 38 else ""
        part = partition(session_tag(sid) if sid else user_tag(ISSUER, name))
        rows: Any = await self.redis.xrange(audit_key(part))
        entries = [{key.decode(): value.decode() for key, value in fields.items()} for _, fields in rows]
        return [entry for entry in entries if (entry.get("sid") == sid if sid else entry.get("sub") == name)]

    def counted(self, name: str, **labels: str) -> float:
        """Return a counter's value."""
        return self.parts.metrics.registry.get_sample_value(f"{name}_total", labels) or 0.0

    async def user_fields(self, sub: str, iss: str = ISSUER) -> dict[bytes, bytes]:
        """Return all fields of a user's hash."""
        fields: Any = await self.redis.hgetall(user_key(user_tag(iss, sub)))
        return dict(fields)


def unopened(sub: str, iss: str = ISSUER) -> str:
    """Return the id of a session that the user could have and has not; in every process the same, for tests' names."""
    return new_session_id(user_tag(iss, sub), lambda length: sha256(fresh().encode()).digest()[:length])


def document(answer: httpx.Response) -> dict[str, Any]:
    """Return a JSON object that was answered."""
    found = answer.json()
    assert isinstance(found, dict)
    return found


def problem(answer: httpx.Response) -> tuple[int, str]:
    """Return the status and code of a problem document (RFC 9457)."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    found = document(answer)
    assert set(found) == {"type", "title", "status", "code", "detail"}
    assert found["status"] == answer.status_code
    return answer.status_code, str(found["code"])


def oauth_error(answer: httpx.Response) -> tuple[int, str]:
    """Return the status and code of an OAuth error (RFC 6749 §5.2)."""
    assert answer.headers["content-type"] == "application/json", answer.text
    found = document(answer)
    assert set(found) == {"error", "error_description"}
    return answer.status_code, str(found["error"])


def claims_of(token: str) -> dict[str, Any]:
    """Return a token's payload, unverified."""
    return dict(parse(token).payload)


def basic(name: str, secret: str) -> dict[str, str]:
    """Return a Basic header of exactly these two, without any encoding of them."""
    return {"authorization": "Basic " + b64encode(f"{name}:{secret}".encode()).decode()}


def _stored_keys(folder: Path) -> list[dict[str, Any]]:
    rows = json.loads((folder / FILE).read_text())["keys"]
    assert isinstance(rows, list)
    return rows


def _private(jwk: Mapping[str, Any]) -> Any:
    return jwt.get_algorithm_by_name(str(jwk["alg"])).from_jwk(dict(jwk))
