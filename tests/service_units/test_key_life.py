"""The life of our signing keys by an injected clock: next, active, retired, gone; and what commands leave alone."""

import json
from pathlib import Path

import pytest

from quash_service.tokens.files import write_private
from quash_service.tokens.keyring import FILE, Rotated, TooEarly
from quash_service.tokens.life import PUBLISH_S
from tests.service_units.processes import at_once
from tests.service_units.rings import DAY, START, TERMS, Time, kid_in, published, ring, states, stored, tag_of


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.mark.parametrize(("passed", "rotated"), [(90 * DAY - 1, False), (90 * DAY, True), (900 * DAY, True)])
async def test_the_next_key_follows_when_the_active_one_is_old_enough(
    tmp_path: Path, time: Time, passed: int, rotated: bool
) -> None:
    keys = ring(tmp_path, now_s=time)
    active, waiting = published(keys)
    time.now += passed
    assert await keys.tend() == (waiting if rotated else None)
    assert states(tmp_path) == (["retired", "active", "next"] if rotated else ["active", "next"])
    assert keys.signer().kid == (waiting if rotated else active)
    assert published(keys)[:2] == [active, waiting]


async def test_a_next_key_is_published_for_a_day_before_it_signs_by_itself(tmp_path: Path, time: Time) -> None:
    keys = ring(tmp_path, now_s=time)
    time.now += 90 * DAY - 10
    keys.revoke(tag_of(keys, kid_in(tmp_path, "next")))
    active = keys.signer().kid
    time.now += PUBLISH_S - 1
    assert await keys.tend() is None
    time.now += 1
    assert await keys.tend() == keys.signer().kid != active


@pytest.mark.parametrize(("passed", "there"), [(TERMS.retire_s - 1, True), (TERMS.retire_s, False)])
async def test_a_retired_key_verifies_until_no_token_of_it_can_be_alive_and_is_then_dropped(
    tmp_path: Path, time: Time, passed: int, there: bool
) -> None:
    keys = ring(tmp_path, now_s=time)
    old = keys.signer().kid
    keys.rotate(force=True)
    time.now += passed
    await keys.tend()
    assert states(tmp_path) == [*(["retired"] if there else []), "active", "next"]
    assert (old in published(keys), old in {key.kid for key in keys.keys}) == (there, there)


async def test_a_revoked_key_is_never_dropped(tmp_path: Path, time: Time) -> None:
    keys = ring(tmp_path, now_s=time)
    old = keys.signer().kid
    keys.revoke(tag_of(keys, old))
    time.now += 10_000 * DAY
    await keys.tend()
    assert old in {key.kid for key in keys.keys}
    assert list(keys.revoked()) == [tag_of(keys, old)]


def test_asking_for_a_rotation_waits_for_the_day_of_publication_unless_forced(tmp_path: Path, time: Time) -> None:
    keys = ring(tmp_path, now_s=time)
    waiting = kid_in(tmp_path, "next")
    time.now += PUBLISH_S - 1
    assert keys.rotate(force=False) == TooEarly(START + PUBLISH_S)
    assert states(tmp_path) == ["active", "next"]
    time.now += 1
    assert keys.rotate(force=False) == Rotated(waiting)
    assert keys.rotate(force=True) == Rotated(kid_in(tmp_path, "active"))
    assert states(tmp_path) == ["retired", "retired", "active", "next"]


async def test_another_algorithm_is_published_first_and_signs_after_a_day(tmp_path: Path, time: Time) -> None:
    ring(tmp_path, now_s=time)
    time.now += 10
    keys = ring(tmp_path, "EdDSA", now_s=time)
    assert [(row["state"], row["jwk"]["alg"]) for row in stored(tmp_path)] == [("active", "ES256"), ("next", "EdDSA")]
    time.now += PUBLISH_S - 1
    assert await keys.tend() is None
    time.now += 1
    assert await keys.tend() == keys.signer().kid
    assert keys.signer().alg == "EdDSA"
    assert [row["jwk"]["alg"] for row in stored(tmp_path)] == ["ES256", "EdDSA", "EdDSA"]


async def test_a_command_changes_nothing_that_it_was_not_asked_to(tmp_path: Path, time: Time) -> None:
    ring(tmp_path, now_s=time)
    before = (tmp_path / FILE).read_text()
    time.now += 900 * DAY
    command = ring(tmp_path, "EdDSA", now_s=time, tends=False)
    assert await command.tend() is None
    assert (tmp_path / FILE).read_text() == before


def test_a_command_makes_keys_as_the_service_would(tmp_path: Path) -> None:
    """It may not know the service's settings, so it goes by the keys that there are."""
    ring(tmp_path, "EdDSA")
    ring(tmp_path, "ES256", tends=False).rotate(force=True)
    assert {row["jwk"]["alg"] for row in stored(tmp_path)} == {"EdDSA"}


def test_the_first_command_makes_the_keys_if_no_service_did(tmp_path: Path) -> None:
    ring(tmp_path, tends=False)
    assert states(tmp_path) == ["active", "next"]


async def test_a_next_key_that_is_missing_is_made_by_the_service_alone(tmp_path: Path, time: Time) -> None:
    keys = ring(tmp_path, now_s=time)
    write_private(tmp_path / FILE, json.dumps({"keys": stored(tmp_path)[:1]}))
    ring(tmp_path, now_s=time, tends=False)
    assert states(tmp_path) == ["active"]
    await keys.tend()
    assert states(tmp_path) == ["active", "next"]


async def test_one_worker_rotates_and_the_other_sees_it(tmp_path: Path, time: Time) -> None:
    here, there = ring(tmp_path, now_s=time), ring(tmp_path, now_s=time)
    time.now += 90 * DAY
    kid = await here.tend()
    assert there.signer().kid == kid
    assert await there.tend() is None
    assert states(tmp_path) == ["retired", "active", "next"]


def tend_in(folder: str) -> list[str]:
    """One of several processes that find a rotation due at once: returns what it publishes afterwards."""
    import asyncio

    keys = ring(Path(folder), now_s=lambda: START + 90 * DAY)
    asyncio.run(keys.tend())
    return published(keys)


def test_processes_that_find_a_rotation_due_at_once_rotate_once(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    ring(folder)
    first, *others = at_once("tests.service_units.test_key_life", "tend_in", *[[str(folder)]] * 3, cwd=tmp_path)
    assert states(folder) == ["retired", "active", "next"]
    assert others == [first, first]


async def test_a_rotation_that_could_not_be_written_is_done_later_and_nothing_signs_unpublished(
    tmp_path: Path, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = ring(tmp_path, now_s=time)
    active = keys.signer().kid
    time.now += 90 * DAY

    def full(path: Path, text: str) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr("quash_service.tokens.keyring.write_private", full)
        with pytest.raises(OSError, match="no space"):
            await keys.tend()
        assert keys.signer().kid == active
    assert await keys.tend() == keys.signer().kid != active


def test_what_a_crash_left_half_written_is_not_read(tmp_path: Path) -> None:
    keys = ring(tmp_path)
    (tmp_path / f".{FILE}.new").write_text('{"keys": [')
    assert ring(tmp_path).jwks == keys.jwks
    assert keys.rotate(force=True) == Rotated(keys.signer().kid)


async def test_a_clock_that_was_ahead_makes_nothing_due(tmp_path: Path, time: Time) -> None:
    keys = ring(tmp_path, now_s=time)
    keys.rotate(force=True)
    time.now -= 1_000 * DAY
    assert await keys.tend() is None
    assert states(tmp_path) == ["retired", "active", "next"]


def test_it_says_when_each_state_ends(tmp_path: Path, time: Time) -> None:
    keys = ring(tmp_path, now_s=time)
    old = keys.signer().kid
    keys.rotate(force=True)
    keys.revoke(tag_of(keys, kid_in(tmp_path, "next")))
    ends = {one.state: keys.changes_at(one) for one in keys.stored}
    due = START + 90 * DAY
    assert ends == {"retired": START + TERMS.retire_s, "active": due, "revoked": None, "next": due}
    assert old == kid_in(tmp_path, "retired")


async def test_a_shared_secret_signs_and_is_never_published(tmp_path: Path) -> None:
    keys = ring(tmp_path, "HS256")
    rows = stored(tmp_path)
    assert [(row["jwk"]["kty"], row["jwk"]["alg"]) for row in rows] == [("oct", "HS256")] * 2
    assert all(len(row["jwk"]["k"]) == 43 for row in rows)  # 32 bytes
    assert keys.jwks == {"keys": []}
    assert keys.signer().jwk == {}
    assert not [key for key in keys.keys if key.weak]
    [active, _] = keys.keys
    assert active.verifies(b"input", await keys.signer().sign(b"input"))
    shown = f"{keys.signer()!r} {keys.keys!r} {keys.stored!r}"
    assert not [row for row in rows if row["jwk"]["k"] in shown]
