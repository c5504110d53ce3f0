"""The running service: its heart, its keys, and the instant from which older tokens are trusted."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from quash.errors import Unavailable
from quash.keyspace import global_key
from quash.policy import Ask
from quash_service import running as module
from quash_service.clock import Clock
from quash_service.running import running
from quash_service.services import Services
from quash_service.settings import Settings, load_settings
from quash_service.store import Actor, Floor
from quash_service.wiring import limits_of, own_issuer
from tests.client.minting import ISSUER, claims, jwk_of, mint, private_key
from tests.engines import RunningEngine
from tests.service import SteeredClock

ADMIN = Actor("admin", admin=True, issuers=None, request_id="r")
SECRET = "a-secret-of-at-least-32-characters-for-the-admin"


def configured(engine: RunningEngine, jwk: dict[str, Any] | None = None, **flags: object) -> Settings:
    """A service with a foreign issuer, on an engine that was emptied."""
    keys = [jwk or jwk_of(private_key("ES256"), "ES256", kid="k1", alg="ES256")]
    Path("keys.json").write_text(json.dumps({"keys": keys}))
    issuers = [{"issuer": ISSUER, "keys": "keys.json", "algorithms": [keys[0]["alg"]]}]
    shared = {"redis_url": engine.url, "durability": "memory", "admin_secret": SECRET, "issuers": issuers}
    return load_settings(**{**shared, **flags})


def events(logs: Any, *names: str) -> list[str]:
    return [entry["event"] for entry in logs if entry["event"] in names]


class Heart:
    """What `_beat` needs of the services: pulses that end as the test says."""

    def __init__(self, *pulses: Exception | None) -> None:
        self._pulses = iter(pulses)

    async def pulse(self) -> None:
        try:
            outcome = next(self._pulses)
        except StopIteration:
            raise asyncio.CancelledError from None
        if outcome is not None:
            raise outcome


async def test_a_failing_heart_says_so_once_and_once_that_it_recovered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEARTBEAT_S", 0)
    lost, full = Unavailable(evidence={"engine": "ConnectionError"}), ValueError("x.json cannot be used")
    heart: Any = Heart(None, lost, lost, lost, None, None, full, None, lost)
    with capture_logs() as logs, pytest.raises(asyncio.CancelledError):
        await module._beat(heart, asyncio.Event())
    failed, recovered = "heartbeat_failed", "heartbeat_recovered"
    assert [entry["event"] for entry in logs] == [failed, recovered, failed, recovered, failed]
    assert "ConnectionError" in logs[0]["kind"]
    assert (logs[2]["kind"], logs[2]["detail"]) == ("ValueError", "x.json cannot be used")


async def test_a_heart_stops_when_asked_also_if_its_client_swallows_the_stop_as_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "HEARTBEAT_S", 0)
    stop = asyncio.Event()

    class Swallowing:
        async def pulse(self) -> None:
            stop.set()
            raise TimeoutError

    swallowing: Any = Swallowing()
    await asyncio.wait_for(module._beat(swallowing, stop), 5)


async def test_a_broken_key_file_is_reported_while_the_state_is_kept_whole(client: Any, engine: RunningEngine) -> None:
    async with running(configured(engine), clock=SteeredClock()) as services:
        file = services.settings.keys_folder / "signing-keys.json"
        good = file.read_text()
        file.write_text("{")
        await client.flushall()
        with pytest.raises(ValueError, match=r"signing-keys\.json cannot be used"):
            await services.pulse()
        assert (await services.floor.pulse()).born == 0
        file.write_text(good)
        await services.pulse()


async def test_a_refresh_secret_that_is_added_is_registered_with_the_state(client: Any, engine: RunningEngine) -> None:
    async with running(configured(engine), clock=SteeredClock()) as services:
        file = services.settings.keys_folder / "refresh-secrets.json"
        rows = json.loads(file.read_text())["secrets"]
        fresh = {"id": "b", "secret": "QUFB" * 11}
        file.write_text(json.dumps({"secrets": [fresh, *rows]}))
        await services.pulse()
        await services.pulse()
        assert services.floor.known_secrets == {"a", "b"}
        assert services.secrets.newest == "b"


async def test_a_revoked_key_of_ours_leaves_the_judges_keys_published_and_its_tokens_known(
    client: Any, engine: RunningEngine
) -> None:
    async with running(configured(engine), clock=SteeredClock()) as services:
        kid = services.keyring.signer().kid
        key = services.judge.find_key(services.settings.issuer, kid=kid, thumbprint=None)
        assert key is not None
        services.keyring.revoke(key.tag)
        await services.pulse()
        assert services.judge.find_key(services.settings.issuer, kid=kid, thumbprint=None) == key
        assert services.keyring.signer().kid != kid


async def foreign_verdict(services: Services, issued_at: int) -> str | None:
    raw = mint(claims(iat=issued_at, exp=issued_at + 3600))
    return (await services.judge.judge(ADMIN, raw, Ask())).reason


async def test_older_tokens_are_trusted_from_the_given_instant_when_a_state_is_born(
    client: Any, engine: RunningEngine
) -> None:
    now = Clock().now_ms() // 1000
    with capture_logs() as logs:
        async with running(configured(engine, trust_tokens_since=now - 1000), clock=SteeredClock()) as services:
            assert await foreign_verdict(services, now - 999) is None
            assert await foreign_verdict(services, now - 1000) == "store_reborn"
        # A second start, and further workers, find it in force.
        async with running(configured(engine, trust_tokens_since=now - 1000), clock=SteeredClock()):
            pass
    assert events(logs, "state_born", "trust_tokens_since_ignored", "older_tokens_refused") == ["state_born"]


async def test_an_instant_older_than_the_longest_life_is_ignored_loudly(client: Any, engine: RunningEngine) -> None:
    now = Clock().now_ms() // 1000
    with capture_logs() as logs:
        async with running(configured(engine, trust_tokens_since=now - 3700), clock=SteeredClock()) as services:
            assert await foreign_verdict(services, now - 100) == "store_reborn"
    wanted = ["state_born", "older_tokens_refused", "trust_tokens_since_ignored"]
    assert events(logs, *wanted) == wanted
    assert [entry["log_level"] for entry in logs if entry["event"] == wanted[-1]] == ["error"]


async def test_an_instant_given_to_a_state_that_was_born_before_is_ignored_loudly(
    client: Any, engine: RunningEngine
) -> None:
    now = Clock().now_ms() // 1000
    async with running(configured(engine), clock=SteeredClock()):
        pass
    with capture_logs() as logs:
        async with running(configured(engine, trust_tokens_since=now - 100), clock=SteeredClock()) as services:
            assert await foreign_verdict(services, now - 50) == "store_reborn"
            await services.pulse()
    assert events(logs, "state_born", "trust_tokens_since_ignored") == ["trust_tokens_since_ignored"]


async def test_a_birth_without_foreign_issuers_has_nobody_to_warn(client: Any, engine: RunningEngine) -> None:
    with capture_logs() as logs:
        async with running(configured(engine, issuers=()), clock=SteeredClock()):
            pass
    assert events(logs, "state_born", "older_tokens_refused") == ["state_born"]


async def test_a_weak_key_is_named_at_the_start(client: Any, engine: RunningEngine) -> None:
    settings = configured(engine, {"kty": "oct", "k": "c2hvcnQ", "kid": "h", "alg": "HS256"})
    with capture_logs() as logs:
        async with running(settings, clock=SteeredClock()):
            pass
    [entry] = [entry for entry in logs if entry["event"] == "weak_key"]
    assert (entry["issuer"], entry["kid"]) == (ISSUER, "h")
    assert "c2hvcnQ" not in str(logs)


async def test_a_repr_of_the_services_shows_no_secret(client: Any, engine: RunningEngine) -> None:
    async with running(configured(engine), clock=SteeredClock()) as services:
        shown = repr(services)
        folder = services.settings.keys_folder
        secrets = [row["jwk"]["d"] for row in json.loads((folder / "signing-keys.json").read_text())["keys"]]
        secrets += [row["secret"] for row in json.loads((folder / "refresh-secrets.json").read_text())["secrets"]]
        assert not [secret for secret in (SECRET, *secrets) if secret in shown]


def test_the_scripts_numbers_are_the_settings_in_ms() -> None:
    limits = limits_of(load_settings(grace_s=7, max_sessions=3, opens_per_minute=9, audit_days=2), 2_000)
    assert (limits.grace_ms, limits.idle_ms, limits.absolute_ms) == (7_000, 2_592_000_000, 7_776_000_000)
    assert (limits.max_sessions, limits.max_opens, limits.audit_ms) == (3, 9, 172_800_000)
    assert (limits.horizon_ms, limits.tolerance_ms) == (3_660_000, 2_000)


def test_our_own_tokens_must_embed_sid_and_ver_and_be_access_tokens() -> None:
    policy = own_issuer(load_settings())
    assert policy.embeds == {"sid", "ver"}
    assert policy.types == {"at+jwt"}
    assert policy.algorithms == {"ES256", "RS256", "EdDSA"}


async def test_a_partition_lost_while_a_start_waits_does_not_hold_it_up_for_ever(
    client: Any, engine: RunningEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = Floor.ready
    calls = 0

    async def losing(floor: Floor) -> bool:
        nonlocal calls
        calls += 1
        if calls == 1:
            await client.delete(global_key(7))
        return await ready(floor)

    monkeypatch.setattr(Floor, "ready", losing)
    async with asyncio.timeout(10):
        async with running(configured(engine), clock=SteeredClock()) as services:
            assert await ready(services.floor)
    assert calls > 1
