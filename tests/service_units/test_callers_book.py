"""The callers on record: who is let in, for how long after a removal, and what a broken record can do."""

import asyncio
import hmac
import json
import os
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from quash.errors import Unavailable
from quash.keyspace import CALLERS
from quash_service.callers import ADMIN, SCOPES, Caller, CallerBook, digest, is_caller_name, new_secret
from quash_service.engine import connect
from tests.engines import spawn_valkey

SECRET, ADMIN_SECRET = "the-secret-of-web", "the-secret-of-admin"
WEB = Caller("web", digest(SECRET), frozenset({"introspect", "revoke"}), frozenset({"https://auth.example"}))


class Time:
    """The injected clock."""

    ms = 1_000_000


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def book(client: Redis, time: Time) -> CallerBook:
    return CallerBook(client, now_ms=lambda: time.ms, admin_digest=digest(ADMIN_SECRET))


async def test_a_caller_is_let_in_with_its_secret_and_nothing_else(book: CallerBook) -> None:
    await book.add(WEB)
    assert await book.authenticate("web", SECRET) == WEB
    for name, secret in (("web", SECRET + "x"), ("web", ""), ("web", WEB.digest), ("Web", SECRET), ("", SECRET)):
        assert await book.authenticate(name, secret) is None


async def test_an_unknown_name_costs_what_a_known_one_does(book: CallerBook, monkeypatch: pytest.MonkeyPatch) -> None:
    await book.add(WEB)
    compared: list[tuple[int, int]] = []

    def compare(left: str, right: str) -> bool:
        compared.append((len(left), len(right)))
        return left == right

    monkeypatch.setattr(hmac, "compare_digest", compare)
    assert await book.authenticate("web", "wrong") is None
    assert await book.authenticate("nobody", "wrong") is None
    assert compared == [(64, 64), (64, 64)]


async def test_no_secret_opens_an_unknown_name(book: CallerBook) -> None:
    for secret in ("", "0" * 64, ADMIN_SECRET):
        assert await book.authenticate("nobody", secret) is None


async def test_a_removed_caller_is_let_in_for_at_most_five_seconds_elsewhere(
    client: Redis, book: CallerBook, time: Time
) -> None:
    there = CallerBook(client, now_ms=lambda: time.ms, admin_digest="0" * 64)
    await book.add(WEB)
    assert await there.authenticate("web", SECRET) == WEB
    assert await book.remove("web")
    assert await book.authenticate("web", SECRET) is None
    time.ms += 4_999
    assert await there.authenticate("web", SECRET) == WEB
    time.ms += 1
    assert await there.authenticate("web", SECRET) is None


async def test_a_clock_that_was_set_back_makes_the_callers_no_staler(
    client: Redis, book: CallerBook, time: Time
) -> None:
    there = CallerBook(client, now_ms=lambda: time.ms, admin_digest="0" * 64)
    await book.add(WEB)
    await there.authenticate("web", SECRET)
    await book.remove("web")
    time.ms -= 1
    assert await there.authenticate("web", SECRET) is None


async def test_a_new_caller_is_known_at_once_where_it_was_added_and_listed_everywhere(
    client: Redis, book: CallerBook, time: Time
) -> None:
    there = CallerBook(client, now_ms=lambda: time.ms, admin_digest="0" * 64)
    assert [one.name for one in await there.all()] == [ADMIN]
    assert await book.authenticate("web", SECRET) is None
    await book.add(WEB)
    assert await book.authenticate("web", SECRET) == WEB
    assert [one.name for one in await there.all()] == [ADMIN, "web"]


async def test_removing_the_unknown_finds_nothing(book: CallerBook) -> None:
    assert not await book.remove("web")


async def test_unreadable_callers_are_unavailable_and_never_unknown(tmp_path: Path, time: Time) -> None:
    (tmp_path / "engine").mkdir()
    with spawn_valkey(tmp_path / "engine") as engine:
        client = connect(engine.url)
        book = CallerBook(client, now_ms=lambda: time.ms, admin_digest=digest(ADMIN_SECRET))
        await book.add(WEB)
        await book.authenticate("web", SECRET)
        engine.kill()
        time.ms += 4_999
        assert await book.authenticate("web", SECRET) == WEB
        time.ms += 1
        for name, secret in (("web", SECRET), ("nobody", SECRET), (ADMIN, ADMIN_SECRET)):
            with pytest.raises(Unavailable):
                await book.authenticate(name, secret)
        with pytest.raises(Unavailable):
            await book.all()
        await client.aclose()


async def test_admin_is_always_what_this_host_says(client: Redis, book: CallerBook) -> None:
    forged = Caller(ADMIN, digest("forged"), frozenset(), frozenset())
    await book.add(forged)
    assert await book.authenticate(ADMIN, "forged") is None
    admin = await book.authenticate(ADMIN, ADMIN_SECRET)
    assert admin is not None
    assert (admin.scopes, admin.issuers) == (frozenset({"admin"}), None)
    await book.remove(ADMIN)
    assert await book.authenticate(ADMIN, ADMIN_SECRET) == admin


GOOD = json.loads(WEB.to_json())


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"{",
        b"\xff\xff",
        b"3",
        b"[]",
        b"{}",
        *(
            json.dumps({**GOOD, **change}).encode()
            for change in (
                {"secret": None},
                {"secret": ""},
                {"secret": "é" * 64},
                {"secret": "A" * 64},
                {"scopes": "admin"},
                {"scopes": [3]},
                {"scopes": [["admin"]]},
                {"issuers": "https://auth.example"},
                {"issuers": [None]},
                {"issuers": 0},
            )
        ),
        json.dumps({name: value for name, value in GOOD.items() if name != "issuers"}).encode(),
    ],
)
async def test_a_broken_record_locks_out_its_own_caller_only_and_is_said_once(
    client: Any, book: CallerBook, time: Time, record: bytes
) -> None:
    await book.add(WEB)
    await client.hset(CALLERS, "broken", record)
    with capture_logs() as logs:
        for _ in range(3):
            assert await book.authenticate("web", SECRET) == WEB
            assert await book.authenticate("broken", SECRET) is None
            assert [one.name for one in await book.all()] == [ADMIN, "web"]
            time.ms += 10_000
    assert [(entry["event"], entry["caller"], entry["log_level"]) for entry in logs] == [
        ("caller_unreadable", "broken", "error")
    ]
    assert GOOD["secret"] not in str(logs)


async def test_a_record_that_was_mended_and_broke_again_is_said_again(client: Any, book: CallerBook) -> None:
    with capture_logs() as logs:
        for record in (b"{", WEB.to_json(), b"{"):
            await client.hset(CALLERS, b"\xffodd", record)
            await book.all()
    assert len(logs) == 2


@pytest.mark.parametrize("issuers", [None, frozenset[str](), frozenset({"a", "b"})])
def test_a_caller_is_stored_whole_and_without_its_name(issuers: frozenset[str] | None) -> None:
    caller = Caller("web", digest("x"), frozenset({"revoke", "admin"}), issuers)
    text = caller.to_json()
    assert Caller.from_json("web", text.encode()) == caller
    assert "web" not in text


def test_the_stored_form_is_frozen() -> None:
    assert json.loads(WEB.to_json()) == {
        "secret": sha256(SECRET.encode()).hexdigest(),
        "scopes": ["introspect", "revoke"],
        "issuers": ["https://auth.example"],
    }


def test_admin_includes_every_scope_and_others_only_their_own() -> None:
    admin = Caller("a", "", frozenset({"admin"}), None)
    assert [scope for scope in SCOPES if admin.has(scope)] == list(SCOPES)
    assert [scope for scope in SCOPES if WEB.has(scope)] == ["introspect", "revoke"]


@pytest.mark.parametrize("name", ["a", "A-b_9", "9", "x" * 64])
def test_names_of_letters_and_digits_are_good(name: str) -> None:
    assert is_caller_name(name)


@pytest.mark.parametrize("name", ["", "-a", "_a", "a.b", "a b", "a:b", "a/b", "é", "a\n", "x" * 65])
def test_names_that_would_not_fit_into_a_header_or_a_url_are_not(name: str) -> None:
    assert not is_caller_name(name)


def test_a_secret_has_256_random_bits_in_one_word() -> None:
    asked: list[int] = []

    def random_bytes(count: int) -> bytes:
        asked.append(count)
        return b"\xff" * count

    assert new_secret(random_bytes) == "_" * 42 + "8"
    assert asked == [32]
    assert new_secret(os.urandom) != new_secret(os.urandom)


def test_a_repr_shows_no_digest() -> None:
    assert repr(WEB) == "Caller(name='web', scopes=['introspect', 'revoke'])"


async def test_one_reads_for_all_who_wait(client: Any, book: CallerBook) -> None:
    await book.add(WEB)
    await client.config_resetstat()
    callers = await asyncio.gather(*(book.authenticate("web", SECRET) for _ in range(50)))
    assert callers == [WEB] * 50
    assert (await client.info("commandstats"))["cmdstat_hgetall"]["calls"] == 1
