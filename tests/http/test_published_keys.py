"""Issuers that publish their keys: fetched once for all who wait, never a flood, and never "unknown" unasked."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from tests.client.minting import ISSUER, claims, jwk_of, mint, private_key
from tests.client.test_jwks_http import serving
from tests.engines import RunningEngine, spawn_valkey
from tests.service import App, SteeredClock, running_app

RS = "RS256"


class Publisher:
    """An issuer's web server: what it publishes, how often it was asked, and whether it answers at all."""

    def __init__(self) -> None:
        self.keys = [self.public("ES256", "k1")]
        self.asked = 0
        self.up = True
        self.go = threading.Event()
        self.go.set()

    def public(self, alg: str, kid: str) -> dict[str, Any]:
        jwk = jwk_of(private_key(alg), alg, kid=kid)
        return {name: value for name, value in jwk.items() if name not in {"d", "p", "q", "dp", "dq", "qi"}}

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.asked += 1
        self.go.wait(5)
        content = json.dumps({"keys": self.keys}).encode()
        request.send_response(200 if self.up else 503)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    folder: Path = tmp_path_factory.mktemp("engine")
    with spawn_valkey(folder) as running:
        yield running


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The hosts of one state share their secrets."""
    return tmp_path_factory.mktemp("keys")


@pytest.fixture
def publisher() -> Publisher:
    return Publisher()


@pytest.fixture
async def app(keys: Path, tmp_path: Path, engine: RunningEngine, publisher: Publisher) -> AsyncIterator[App]:
    with serving(publisher.answer) as url:
        issuer = {"issuer": ISSUER, "jwks_uri": url + "/jwks", "algorithms": ["ES256", RS], "max_access_ttl_s": 3600}
        async with running_app(tmp_path, engine.url, keys_dir=keys, issuers=[issuer]) as running:
            advance(running, 5_000)  # tokens of the second of the birth are refused
            yield running


def advance(app: App, ms: int) -> None:
    assert isinstance(app.clock, SteeredClock)
    app.clock.advance(ms)


def token(app: App, alg: str = "ES256", kid: str = "k1", **changes: object) -> str:
    now_s = app.clock.now_ms() // 1000
    return mint(claims(iat=now_s, exp=now_s + 600, **changes), alg, kid=kid)


async def judged(app: App, *tokens: str) -> list[str]:
    answer = await app.client.post("/introspect/batch", json={"tokens": list(tokens)})
    if answer.status_code != 200:
        return [str(answer.status_code)]
    return [one.get("reason", one["verdict"]) for one in answer.json()["results"]]


async def test_a_token_is_verified_with_the_published_key_and_fetched_once_for_all_who_wait(
    app: App, publisher: Publisher
) -> None:
    publisher.go.clear()
    asking = [asyncio.ensure_future(judged(app, token(app, jti=f"t{n}"))) for n in range(20)]
    await asyncio.sleep(0.2)
    publisher.go.set()
    assert [await one for one in asking] == [["active"]] * 20
    assert publisher.asked == 1


async def test_a_flood_of_unknown_kids_makes_one_fetch_in_30_s(app: App, publisher: Publisher) -> None:
    assert await judged(app, token(app)) == ["active"]
    advance(app, 30_000)
    flood = [token(app, kid=f"x{n}") for n in range(100)]
    assert set(await judged(app, *flood)) == {"unknown_key"}
    assert publisher.asked == 2
    advance(app, 29_999)
    assert set(await judged(app, *flood)) == {"unknown_key"}
    assert publisher.asked == 2


async def test_a_key_that_the_issuer_begins_to_use_is_found(app: App, publisher: Publisher) -> None:
    assert await judged(app, token(app)) == ["active"]
    publisher.keys.append(publisher.public(RS, "k2"))
    advance(app, 30_000)
    assert await judged(app, token(app, RS, "k2")) == ["active"]


async def test_a_key_that_is_no_longer_published_dies_with_its_cached_tokens(app: App, publisher: Publisher) -> None:
    raw = token(app)
    assert await judged(app, raw) == ["active"]
    publisher.keys = [publisher.public(RS, "k2")]
    advance(app, 300_000)
    assert await judged(app, token(app, RS, "k2")) == ["active"]
    assert await judged(app, raw) == ["unknown_key"]


async def test_an_issuer_that_cannot_be_reached_is_unavailable_never_unknown(app: App, publisher: Publisher) -> None:
    publisher.up = False
    assert await judged(app, token(app)) == ["503"]
    one = await app.client.post("/introspect", data={"token": token(app)})
    assert (one.status_code, one.headers["retry-after"]) == (503, "1")
    form = await app.client.post("/revoke", data={"token": token(app)})
    assert form.status_code == 503
    assert publisher.asked == 1
    publisher.up = True
    advance(app, 5_000)
    assert await judged(app, token(app)) == ["active"]


async def test_known_keys_stay_in_use_while_the_issuer_is_away_and_unknown_ones_are_unavailable(
    app: App, publisher: Publisher
) -> None:
    assert await judged(app, token(app)) == ["active"]
    publisher.up = False
    advance(app, 1_800_000)
    assert await judged(app, token(app), token(app, kid="x")) == ["active", "unavailable"]
    advance(app, 2_100_000)
    assert await judged(app, token(app)) == ["503"]


async def test_a_token_that_the_policy_refuses_is_worth_no_fetch(app: App, publisher: Publisher) -> None:
    assert await judged(app, token(app, "EdDSA", "k9")) == ["algorithm_not_allowed"]
    limited = token(app, iss="https://nobody.example")
    assert await judged(app, limited) == ["unknown_issuer"]
    assert publisher.asked == 0


async def test_a_published_set_with_a_symmetric_key_is_refused_whole(app: App, publisher: Publisher) -> None:
    publisher.keys.append({"kty": "oct", "k": "c2VjcmV0" * 8, "kid": "h", "alg": "HS256"})
    assert await judged(app, token(app)) == ["503"]


async def test_a_published_key_can_be_revoked_by_its_kid_and_by_its_thumbprint(app: App, publisher: Publisher) -> None:
    raw = token(app)
    assert await judged(app, raw) == ["active"]
    answer = await app.client.post("/revoke", json={"kid": "k1", "iss": ISSUER, "cause": "compromised"})
    assert answer.json()["found"]
    assert await judged(app, raw) == ["key_revoked"]
    again = await app.client.post("/revoke", json={"thumbprint": answer.json()["thumbprint"], "iss": ISSUER})
    assert again.json()["found"]
