"""The judge's own part: what it remembers, when it forgets, and that its refusals repeat no token."""

import asyncio
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from quash.errors import QuashError, TokenInvalid, Unavailable
from quash.keys import Key, key_from_jwk
from quash.policy import Ask, Issuer
from quash.state_redis import RedisState
from quash_service.clock import Clock
from quash_service.engine import connect
from quash_service.judge import Judge
from quash_service.published import PublishedKeys
from quash_service.store import Actor
from tests.client.minting import ISSUER, b64, claims, compact, jwk_of, mint, private_key

ADMIN = Actor("admin", admin=True, issuers=None, request_id="r")
LIMITED = Actor("web", admin=False, issuers=frozenset({"https://other.example"}), request_id="r")
POLICY = Issuer(issuer=ISSUER, algorithms=frozenset({"ES256", "RS256"}))
NOW_MS = 1_900_000_100_000


def key(alg: str, kid: str) -> Key:
    return key_from_jwk(jwk_of(private_key(alg), alg, kid=kid), issuer=ISSUER, algorithms=frozenset({alg}))


@pytest.fixture
def nowhere(tmp_path: Path) -> Redis:
    """A client of an engine that is not there: what needs no state must not notice."""
    return connect(f"unix://{tmp_path}/nowhere.sock")


def judge(client: Redis, own: list[Key], *foreign: Key, now_ms: Callable[[], int] = lambda: NOW_MS) -> Judge:
    clock = Clock(now_ms)
    return Judge(
        RedisState(client, clock.now_ms),
        clock,
        issuers={ISSUER: POLICY},
        own_keys=lambda: tuple(own),
        foreign_keys=foreign,
        published=PublishedKeys({}, now_ms=clock.now_ms),
        issuer_name=lambda _: ISSUER,
        grace_ms=30_000,
    )


def reason(judge: Judge, raw: str, actor: Actor = ADMIN) -> str | None:
    try:
        asyncio.run(judge.verify(actor, raw))
    except TokenInvalid as error:
        return error.code
    return None


def test_verified_tokens_of_a_key_are_forgotten_when_the_key_goes(nowhere: Redis) -> None:
    own = [key("ES256", "k1")]
    judging = judge(nowhere, own)
    raw = mint(claims())
    assert reason(judging, raw) is None
    own.clear()
    # Keys are taken over once a second, with the heartbeat.
    assert reason(judging, raw) is None
    judging.reload_keys()
    assert reason(judging, raw) == "unknown_key"


def test_verified_tokens_of_the_keys_that_stay_are_kept(nowhere: Redis) -> None:
    own = [key("ES256", "k1"), key("RS256", "k2")]
    judging = judge(nowhere, own)
    mine, theirs = mint(claims()), mint(claims(), "RS256", kid="k2")
    assert (reason(judging, mine), reason(judging, theirs)) == (None, None)
    assert len(judging._cache) == 2
    own.pop()
    judging.reload_keys()
    assert len(judging._cache) == 1
    assert (reason(judging, mine), reason(judging, theirs)) == (None, "unknown_key")


def test_a_key_that_comes_back_verifies_again(nowhere: Redis) -> None:
    own = [key("ES256", "k1")]
    judging = judge(nowhere, own)
    raw = mint(claims())
    own.clear()
    judging.reload_keys()
    own.append(key("ES256", "k1"))
    judging.reload_keys()
    assert reason(judging, raw) is None


def test_a_foreign_key_needs_no_reload(nowhere: Redis) -> None:
    assert reason(judge(nowhere, [], key("ES256", "k1")), mint(claims())) is None


def test_a_remembered_token_is_still_unknown_to_a_caller_of_other_issuers(nowhere: Redis) -> None:
    judging = judge(nowhere, [key("ES256", "k1")])
    raw = mint(claims())
    assert reason(judging, raw, LIMITED) == "unknown_issuer"
    assert reason(judging, raw) is None
    assert reason(judging, raw, LIMITED) == "unknown_issuer"


async def test_what_no_state_can_mend_is_refused_without_reading_it(nowhere: Redis) -> None:
    judging = judge(nowhere, [key("ES256", "k1")])
    assert (await judging.judge(ADMIN, mint(claims(exp=1_900_000_050)), Ask())).reason == "expired"
    assert (await judging.judge(ADMIN, "junk", Ask())).reason == "malformed"
    with pytest.raises(Unavailable):
        await judging.judge(ADMIN, mint(claims()), Ask())


async def test_a_remembered_token_still_expires(nowhere: Redis) -> None:
    now = NOW_MS
    judging = judge(nowhere, [key("ES256", "k1")], now_ms=lambda: now)
    raw = mint(claims())
    with pytest.raises(Unavailable):
        await judging.judge(ADMIN, raw, Ask())
    now += 600_000
    assert (await judging.judge(ADMIN, raw, Ask())).reason == "expired"


def test_keys_are_found_by_kid_or_thumbprint_and_only_of_their_issuer(nowhere: Redis) -> None:
    wanted = key("ES256", "k1")
    judging = judge(nowhere, [wanted], key("RS256", "k2"))
    assert judging.find_key(ISSUER, kid="k1", thumbprint=None) == wanted
    assert judging.find_key(ISSUER, kid=None, thumbprint=wanted.thumbprint) == wanted
    assert judging.find_key("https://other.example", kid="k1", thumbprint=None) is None
    assert judging.find_key(ISSUER, kid="k3", thumbprint=None) is None


SECRET = "never-in-a-log-" * 3
GOOD = mint(claims(secret=SECRET))
HEAD, BODY, MAC = GOOD.split(".")
BROKEN = {
    "bad signature": f"{HEAD}.{BODY}.{'A' * len(MAC)}",
    "bad alphabet": f"{HEAD}.{BODY}!.{MAC}",
    "padding": f"{HEAD}.{BODY}=.{MAC}",
    "two parts": f"{HEAD}.{BODY}",
    "not json": f"{HEAD}.{b64(SECRET.encode())}.{MAC}",
    "not utf-8": f"{HEAD}.{b64(SECRET.encode() + bytes([255]))}.{MAC}",
    "duplicate names": compact({"alg": "ES256"}, f'{{"s":"{SECRET}","s":"{SECRET}"}}'),
    "deep": compact({"alg": "ES256"}, f'{{"s":{"[" * 9}"{SECRET}"{"]" * 9}}}'),
    "nan": compact({"alg": "ES256"}, f'{{"s":"{SECRET}","n":NaN}}'),
    "wrong type": mint(claims(sub=[SECRET])),
    "wrong date": mint(claims(exp=SECRET)),
    "unknown key": mint(claims(), kid="other"),
    "none": compact({"alg": "none"}, claims(secret=SECRET)),
    "header": compact({"alg": "ES256", "jku": SECRET}, claims()),
    "huge": GOOD + "A" * 20_000,
}


@contextmanager
def told() -> Iterator[list[str]]:
    """What a log could get to see of an error: its text, its evidence, and the traceback with its causes."""
    seen: list[str] = []
    with pytest.raises(QuashError) as caught:
        yield seen
    error = caught.value
    seen += [str(error), repr(error), repr(dict(error.evidence)), error.challenge, *traceback.format_exception(error)]


@pytest.mark.parametrize("raw", BROKEN.values(), ids=BROKEN.keys())
def test_no_refusal_repeats_the_token_or_what_is_in_it(nowhere: Redis, raw: str) -> None:
    with told() as seen:
        asyncio.run(judge(nowhere, [key("ES256", "k1")]).verify(ADMIN, raw))
    everything = "\n".join(seen)
    parts = [part for part in raw.split(".") if len(part) > 30]
    assert not [part for part in (*parts, SECRET) if part[:30] in everything]
