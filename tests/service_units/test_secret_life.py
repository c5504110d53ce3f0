"""The life of refresh secrets by an injected clock."""

import json
from pathlib import Path

import pytest

from quash_service.tokens.refresh import FILE, RefreshToken
from quash_service.tokens.secret_life import MAX_HELD, SPREAD_S
from tests.service_units.processes import at_once
from tests.service_units.rings import DAY, START, Time, refresh_secrets

SID = "abcdefghABCDEFGH0123456789-_abcdefghAB"
LAST = SPREAD_S + 30 * DAY + 65
"""When the last token of a secret that was followed by another one is dead, after that."""


@pytest.fixture
def time() -> Time:
    return Time()


def ids(folder: Path) -> list[str]:
    return [row["id"] for row in json.loads((folder / FILE).read_text())["secrets"]]


@pytest.mark.parametrize(("passed", "made"), [(90 * DAY - 1, False), (90 * DAY, True)])
def test_a_secret_that_is_old_is_followed_by_another(tmp_path: Path, time: Time, passed: int, made: bool) -> None:
    secrets = refresh_secrets(tmp_path, time)
    time.now += passed
    assert secrets.tend() is made
    assert ids(tmp_path) == (["b", "a"] if made else ["a"])


def test_a_new_secret_makes_tokens_only_when_every_host_has_seen_it(tmp_path: Path, time: Time) -> None:
    secrets = refresh_secrets(tmp_path, time)
    assert secrets.newest == "a"
    assert secrets.rotate() == "b"
    time.now += SPREAD_S - 1
    assert secrets.newest == "a"
    time.now += 1
    assert secrets.newest == "b"
    assert set(secrets.fingerprints()) == {"a", "b"}


@pytest.mark.parametrize(("passed", "there"), [(LAST - 1, True), (LAST, False)])
def test_an_old_secret_verifies_until_the_last_session_made_with_it_cannot_be_alive(
    tmp_path: Path, time: Time, passed: int, there: bool
) -> None:
    secrets = refresh_secrets(tmp_path, time)
    token = secrets.build(SID, 3, "a")
    secrets.rotate()
    time.now += passed
    assert secrets.tend() is not there
    assert secrets.parse(token) == (RefreshToken(SID, 3, "a") if there else None)
    assert secrets.dropped == (() if there else ("a",))


def test_a_secret_of_unknown_age_is_neither_followed_nor_is_the_one_before_it_dropped(
    tmp_path: Path, time: Time
) -> None:
    refresh_secrets(tmp_path, time).rotate()
    rows = json.loads((tmp_path / FILE).read_text())["secrets"]
    (tmp_path / FILE).write_text(json.dumps({"secrets": [{"id": r["id"], "secret": r["secret"]} for r in rows]}))
    secrets = refresh_secrets(tmp_path, time)
    time.now += 10_000 * DAY
    assert not secrets.tend()
    assert secrets.listed() == [("b", None, None), ("a", None, None)]


def test_what_a_dropped_secret_made_is_junk_at_once_to_every_process(tmp_path: Path, time: Time) -> None:
    here, there = refresh_secrets(tmp_path, time), refresh_secrets(tmp_path, time)
    token = here.build(SID, 3, "a")
    assert there.drop("a")
    assert here.parse(token) is None
    assert ids(tmp_path) == ["b"]
    assert (here.newest, here.dropped) == ("b", ("a",))


def test_dropping_the_newest_lets_the_one_before_make_tokens(tmp_path: Path, time: Time) -> None:
    secrets = refresh_secrets(tmp_path, time)
    secrets.rotate()
    time.now += SPREAD_S
    secrets.drop("b")
    assert secrets.newest == "a"


def test_a_secret_that_only_the_state_knows_can_be_given_up(tmp_path: Path, time: Time) -> None:
    secrets = refresh_secrets(tmp_path, time)
    assert not secrets.drop("z")
    assert secrets.dropped == ("z",)
    assert ids(tmp_path) == ["a"]


def test_ids_go_round_and_one_that_comes_back_is_not_dropped_any_more(tmp_path: Path, time: Time) -> None:
    secrets = refresh_secrets(tmp_path, time)
    made = [secrets.rotate() for _ in range(3)]
    assert made == ["b", "c", "d"]
    for name in ("a", "b", "c"):
        secrets.drop(name)
    made = [secrets.rotate() for _ in range(58)]
    assert len({*made, "a", "b", "c", "d"}) == 62
    assert secrets.rotate() == "a"
    assert secrets.dropped == ("b", "c")


def test_so_many_secrets_are_held_that_no_more_are_made_by_themselves(tmp_path: Path) -> None:
    time = Time()
    secrets = refresh_secrets(tmp_path, time)
    secrets._longest_s = 100_000 * DAY
    for _ in range(MAX_HELD + 5):
        time.now += 90 * DAY
        secrets.tend()
        secrets.refresh()
    assert len(ids(tmp_path)) == MAX_HELD


def rotate_in(folder: str) -> str:
    return refresh_secrets(Path(folder)).rotate()


def test_processes_that_rotate_at_once_make_different_secrets(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    refresh_secrets(folder)
    at_once("tests.service_units.test_secret_life", "rotate_in", *[[str(folder)]] * 3, cwd=tmp_path)
    assert ids(folder) == ["d", "c", "b", "a"]


def test_a_file_that_lists_a_held_secret_as_dropped_still_has_it(tmp_path: Path) -> None:
    refresh_secrets(tmp_path)
    document = json.loads((tmp_path / FILE).read_text())
    (tmp_path / FILE).write_text(json.dumps({**document, "dropped": ["a", "q"]}))
    secrets = refresh_secrets(tmp_path)
    assert (secrets.newest, secrets.dropped) == ("a", ("q",))


def test_it_says_when_a_secret_goes(tmp_path: Path) -> None:
    secrets = refresh_secrets(tmp_path)
    secrets.rotate()
    assert secrets.listed() == [("b", START, None), ("a", START, START + LAST)]
