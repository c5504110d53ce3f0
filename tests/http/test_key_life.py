"""The life of keys and refresh secrets, as those see it who hold tokens."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from quash.keyspace import ALL_PARTITIONS, FLOOR, global_key
from quash_service.engine import connect
from quash_service.tokens.signer import LocalSigner, new_key
from tests.engines import RunningEngine
from tests.http.support import ISSUER, Service, claims_of, oauth_error, problem
from tests.service import running_app

DAY = 86_400


@pytest.fixture
async def life(tmp_path: Path, engine: RunningEngine) -> AsyncIterator[Service]:
    """A service of its own on an emptied engine: tests move its clock by months."""
    async with anew(tmp_path, engine) as running:
        yield running


@asynccontextmanager
async def anew(folder: Path, engine: RunningEngine, *, again: bool = False, **settings: Any) -> AsyncIterator[Service]:
    """Start a service on an emptied engine, or (`again`) another one on the same state and keys."""
    if not again:
        client = connect(engine.url)
        await client.flushall()
        await client.aclose()
    async with running_app(folder, engine.url, **settings) as app, Service(app) as service:
        yield service


async def published(service: Service) -> list[dict[str, Any]]:
    keys: list[dict[str, Any]] = (await service.client.get("/.well-known/jwks.json")).json()["keys"]
    return keys


def kid_of(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


async def test_a_rotation_is_one_that_nobody_notices(life: Service) -> None:
    session = await life.open()
    active, waiting = await published(life)
    life.advance(89 * DAY)
    fresh = await life.open()
    life.advance(DAY)
    latest = (await life.open())["access_token"]  # signed in the second in which the rotation is due
    await life.parts.pulse()
    assert [jwk["kid"] for jwk in await published(life)][:2] == [active["kid"], waiting["kid"]]
    successor = (await life.open())["access_token"]
    assert (kid_of(latest), kid_of(successor)) == (active["kid"], waiting["kid"])
    assert [await life.reason(one) for one in (latest, successor)] == ["active", "active"]
    assert kid_of((await life.refreshed(fresh["refresh_token"]))["access_token"]) == waiting["kid"]
    assert oauth_error(await life.refresh(session["refresh_token"])) == (400, "invalid_grant")  # its idle end passed
    life.advance(599)
    assert await life.reason(latest) == "active"
    life.advance(3600)
    await life.parts.pulse()
    assert active["kid"] not in [jwk["kid"] for jwk in await published(life)]


async def test_a_token_that_a_thief_signs_with_a_key_of_the_past_is_of_an_unknown_key(life: Service) -> None:
    token = life.own_token()
    life.parts.keyring.rotate(force=True)
    life.advance(3600 + 120)
    await life.parts.pulse()
    assert await life.reason(token) == "unknown_key"


async def test_the_algorithm_changes_in_an_orderly_way(tmp_path: Path, engine: RunningEngine) -> None:
    async with anew(tmp_path, engine) as before:
        old = (await before.open())["access_token"]
    async with anew(tmp_path, engine, again=True, algorithm="EdDSA") as service:
        assert [jwk["alg"] for jwk in await published(service)] == ["ES256", "EdDSA"]
        assert jwt.get_unverified_header((await service.open())["access_token"])["alg"] == "ES256"
        assert await service.reason(old) == "active"
        service.advance(DAY)
        await service.parts.pulse()
        token = (await service.open())["access_token"]
        assert jwt.get_unverified_header(token)["alg"] == "EdDSA"
        assert await service.reason(token) == "active"


@pytest.mark.parametrize("algorithm", ["RS256", "EdDSA", "HS256"])
async def test_every_algorithm_mints_what_is_active_here(tmp_path: Path, engine: RunningEngine, algorithm: str) -> None:
    async with anew(tmp_path, engine, algorithm=algorithm) as service:
        session = await service.open()
        assert jwt.get_unverified_header(session["access_token"])["alg"] == algorithm
        assert await service.reason(session["access_token"]) == "active"
        refreshed = await service.refreshed(session["refresh_token"])
        assert await service.reason(refreshed["access_token"]) == "active"
        assert len(await published(service)) == (0 if algorithm == "HS256" else 2)


async def test_a_shared_secret_is_revoked_like_any_key_and_stays_good_when_the_algorithm_changes(
    tmp_path: Path, engine: RunningEngine
) -> None:
    async with anew(tmp_path, engine, algorithm="HS256") as service:
        token = (await service.open())["access_token"]
    async with anew(tmp_path, engine, again=True) as service:
        assert await service.reason(token) == "active"
        assert [jwk["alg"] for jwk in await published(service)] == ["ES256"]
        answer = await service.revoke(kid=kid_of(token))
        assert answer["found"] is True
        assert await service.reason(token) == "key_revoked"


async def test_a_public_key_is_nobodys_shared_secret(tmp_path: Path, engine: RunningEngine) -> None:
    """Key confusion (RFC 8725 §2.1): HS256 is allowed here, and yet no published key is taken for a secret."""
    async with anew(tmp_path, engine, algorithm="RS256"):
        pass
    async with anew(tmp_path, engine, again=True, algorithm="HS256") as service:
        jwk = next(one for one in await published(service) if one["alg"] == "RS256")
        public: Any = jwt.PyJWK(jwk).key
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        forged = []
        for form in (PublicFormat.SubjectPublicKeyInfo, PublicFormat.PKCS1):
            for encoding in (Encoding.PEM, Encoding.DER):
                secret = public.public_bytes(encoding, form)
                payload = claims_of((await service.open())["access_token"])
                header = {"alg": "HS256", "kid": jwk["kid"], "typ": "at+jwt"}
                forged.append(_hs256(header, payload, secret))
        assert {await service.reason(one) for one in forged} == {"algorithm_not_allowed"}


def _hs256(header: dict[str, Any], payload: dict[str, Any], secret: bytes) -> str:
    import hmac

    from tests.client.minting import b64

    signed = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(payload).encode())}"
    return f"{signed}.{b64(hmac.digest(secret, signed.encode(), 'sha256'))}"


async def test_a_service_that_uses_no_shared_secret_allows_none(life: Service) -> None:
    payload = claims_of((await life.open())["access_token"])
    assert await life.reason(_hs256({"alg": "HS256", "typ": "at+jwt"}, payload, b"x" * 32)) == "algorithm_not_allowed"


async def test_a_state_that_forgot_everything_is_told_of_revoked_keys_again(life: Service) -> None:
    kid = life.parts.keyring.signer().kid
    stolen = life.own_token()
    await life.revoke(kid=kid)
    assert await life.reason(stolen) == "key_revoked"
    await life.redis.flushall()
    await life.parts.pulse()
    life.advance(60)
    assert await life.reason(stolen) == "key_revoked"
    assert await life.reason(life.own_token()) == "session_unknown"


async def test_a_revocation_that_was_cut_short_after_the_file_had_it_is_finished_by_the_heart(life: Service) -> None:
    token = (await life.open())["access_token"]
    key = life.parts.judge.find_key(ISSUER, kid=kid_of(token), thumbprint=None)
    assert key is not None
    life.parts.keyring.revoke(key.tag)
    await life.parts.pulse()
    assert await life.reason(token) == "key_revoked"
    packed = [await life.redis.hget(global_key(part), "r") for part in ALL_PARTITIONS]
    assert all(key.tag.encode() in (one or b"") for one in packed)


async def test_a_new_refresh_secret_is_used_when_all_know_it_and_old_tokens_stay_good(life: Service) -> None:
    old = (await life.open())["refresh_token"]
    life.parts.secrets.rotate()
    await life.parts.pulse()
    assert life.parts.floor.known_secrets == {"a", "b"}
    assert secret_of((await life.open())["refresh_token"]) == "a"
    life.advance(10)
    new = (await life.refreshed(old))["refresh_token"]
    assert (secret_of(old), secret_of(new)) == ("a", "b")
    assert (await life.refreshed(old))["refresh_token"] == new  # a retry
    life.advance(31)
    await life.refreshed(new)


def secret_of(token: str) -> str:
    return token.rsplit(".", 1)[1][0]


async def test_a_secret_that_is_dropped_takes_its_sessions_with_it_and_no_others(life: Service) -> None:
    old = await life.open()
    life.parts.secrets.rotate()
    life.advance(10)
    new = await life.open()
    moved = await life.open()
    life.parts.secrets.drop("a")
    await life.parts.pulse()
    assert oauth_error(await life.refresh(old["refresh_token"])) == (400, "invalid_grant")
    assert await life.reason(old["refresh_token"]) != "active"
    assert await life.reason(old["access_token"]) == "active"  # until it expires, or the session is revoked
    for one in (new, moved):
        await life.refreshed(one["refresh_token"])
    floor: Any = await life.redis.hgetall(FLOOR)
    assert [name for name in floor if name.startswith(b"secret:")] == [b"secret:b"]


async def test_a_retry_whose_successor_was_made_with_a_dropped_secret_is_junk(life: Service) -> None:
    first = await life.open()
    life.parts.secrets.rotate()
    life.advance(10)
    await life.refreshed(first["refresh_token"])
    life.parts.secrets.drop("b")
    await life.parts.pulse()
    assert oauth_error(await life.refresh(first["refresh_token"])) == (400, "invalid_grant")


async def test_a_host_that_starts_after_a_drop_is_not_refused(tmp_path: Path, engine: RunningEngine) -> None:
    async with anew(tmp_path, engine) as service:
        service.parts.secrets.rotate()
        service.parts.secrets.drop("a")
        # It crashed before the floor heard of it.
    async with anew(tmp_path, engine, again=True) as service:
        await service.open()


async def test_a_host_that_joined_late_with_a_dropped_secret_is_mended_by_the_next_heartbeat(life: Service) -> None:
    life.parts.secrets.drop("a")
    await life.parts.pulse()
    await life.redis.hset(FLOOR, "secret:a", "0" * 16)
    await life.parts.pulse()
    assert life.parts.floor.known_secrets == {"b"}
    assert not await life.redis.hexists(FLOOR, "secret:a")


async def test_while_an_external_signer_is_silent_no_refresh_token_is_used_up(
    life: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await life.open()
    minter = life.parts.minter
    assert minter is not None
    working = minter._signer

    class Silent(LocalSigner):
        async def sign(self, signing_input: bytes) -> bytes:
            raise ConnectionRefusedError

    monkeypatch.setattr(minter, "_signer", lambda: Silent(new_key("ES256")))
    assert problem(await life.client.post("/sessions", json={"sub": "carol"})) == (503, "unavailable")
    for _ in range(2):
        answer = await life.refresh(session["refresh_token"])
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        life.advance(60)
    monkeypatch.setattr(minter, "_signer", working)
    await life.refreshed(session["refresh_token"])


async def test_the_jwks_may_be_cached_for_less_than_a_next_key_is_published(life: Service) -> None:
    answer: httpx.Response = await life.client.get("/.well-known/jwks.json")
    assert answer.headers["cache-control"] == "public, max-age=300"
