"""The service's verbs as one caller, the admin, says them over a `Wire`."""

import json
from base64 import b64encode
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from tests.faults.wire import Answer, Wire

JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}
_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Tokens:
    """What opening and refreshing hand out."""

    sid: str
    version: int
    refresh: str
    access: str

    @property
    def generation(self) -> int:
        return generation_of(self.refresh)


class Api:
    """Speaks for the caller `admin`. Every verb raises Unanswered when no whole answer came."""

    def __init__(self, wire: Wire, secret: str) -> None:
        self.wire = wire
        self.auth = {"authorization": f"Basic {b64encode(f'admin:{secret}'.encode()).decode()}"}

    async def form(self, path: str, **fields: str) -> Answer:
        """Post a form."""
        return await self.wire.ask("POST", path, self.auth | FORM, urlencode(fields).encode())

    async def json(self, path: str, body: object) -> Answer:
        """Post JSON."""
        return await self.wire.ask("POST", path, self.auth | JSON, json.dumps(body).encode())

    async def get(self, path: str) -> Answer:
        """Get a resource as the admin."""
        return await self.wire.ask("GET", path, self.auth)

    async def delete(self, path: str) -> Answer:
        """Delete a resource as the admin."""
        return await self.wire.ask("DELETE", path, self.auth)

    async def open(self, sub: str, **body: object) -> Answer:
        """Open a session."""
        return await self.json("/sessions", {"sub": sub, **body})

    async def opened(self, sub: str, **body: object) -> Tokens:
        """Open a session; it must work."""
        return tokens_of(await self.open(sub, **body))

    async def refresh(self, token: str, **fields: str) -> Answer:
        """Present a refresh token."""
        return await self.form("/token", grant_type="refresh_token", refresh_token=token, **fields)

    async def refreshed(self, token: str, **fields: str) -> Tokens:
        """Present a refresh token; it must be good."""
        return tokens_of(await self.refresh(token, **fields))

    async def lose_refresh(self, token: str) -> None:
        """Present a refresh token and hang up when the answer arrives, without reading it."""
        body = urlencode({"grant_type": "refresh_token", "refresh_token": token}).encode()
        connection = await self.wire.connect()
        try:
            await connection.send(self.wire.request("POST", "/token", self.auth | FORM, body))
            await connection.begins()
        finally:
            connection.abort()

    async def introspect(self, token: str) -> Answer:
        """Ask about one token."""
        return await self.form("/introspect", token=token)

    async def revoke(self, **selector: object) -> Answer:
        """Take back what a JSON selector names."""
        return await self.json("/revoke", selector)

    async def verdicts(self, tokens: Iterable[str]) -> list[str]:
        """Return "active" or the reason, for each token in order; none may be unavailable."""
        every, found = list(tokens), list[str]()
        for at in range(0, len(every), _BATCH):
            answer = await self.json("/introspect/batch", {"tokens": every[at : at + _BATCH]})
            assert answer.status == 200, answer
            found += [verdict_of(one) for one in answer.document["results"]]
        return found


def verdict_of(result: dict[str, Any]) -> str:
    """Return "active" or the reason of one result of a batch, which must agree with itself."""
    assert result["active"] is (result["verdict"] == "active"), result
    return str(result.get("reason", result["verdict"]))


def tokens_of(answer: Answer) -> Tokens:
    """Read what opening or refreshing handed out."""
    assert answer.status in (200, 201), (answer.status, answer.body)
    document = answer.document
    return Tokens(document["session_id"], document["version"], document["refresh_token"], document["access_token"])


def generation_of(refresh: str) -> int:
    """Return the generation that a refresh token names."""
    return int(refresh.split(".")[1])


def is_dead(answer: Answer) -> bool:
    """Tell whether a refresh was refused for good."""
    return answer.status == 400 and answer.document["error"] == "invalid_grant"


def sessions_path(sid: str) -> str:
    """Return the path of one session."""
    return f"/sessions/{quote(sid, safe='')}"


@asynccontextmanager
async def talking(url: str, secret: str, *, connections: int = 64) -> AsyncIterator[Api]:
    """Speak to a server until the end of the block."""
    async with Wire(url, connections=connections) as wire:
        yield Api(wire, secret)
