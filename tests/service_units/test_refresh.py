"""Refresh tokens: one canonical text for each, and nothing but the secret's holder can make it."""

import hmac
import json
import stat
import string
from base64 import b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from quash_service.tokens.refresh import FILE, RefreshSecrets, RefreshToken, UnknownSecret
from tests.service_units.rings import refresh_secrets

SID = "abcdefghABCDEFGH0123456789-_abcdefghAB"
OLD, NEW = bytes(range(32)), bytes(range(32, 64))
ALPHABET = string.ascii_letters + string.digits + "-_"
# What the token of SID, generation 7 and OLD has always been: live tokens of users depend on it.
FROZEN = "qrt_abcdefghABCDEFGH0123456789-_abcdefghAB.7.aD2vkXAAw6P6f7QxOrHe7DZNziIrybDXyikDfAWD4yu4"


def write(folder: Path, *secrets: tuple[str, bytes]) -> None:
    rows = [{"id": name, "secret": b64encode(secret).decode()} for name, secret in secrets]
    fresh = folder / "fresh"
    fresh.write_text(json.dumps({"secrets": rows}))
    fresh.replace(folder / FILE)


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> RefreshSecrets:
    folder = tmp_path_factory.mktemp("keys")
    write(folder, ("b", NEW), ("a", OLD))
    return refresh_secrets(folder)


def by_hand(sid: str, generation: int, name: str, key: bytes) -> str:
    """The format of the design, built without the code under test."""
    mac = hmac.new(key, b"quash-rt" + sid.encode() + str(generation).encode(), sha256).digest()
    return f"qrt_{sid}.{generation}.{name}{urlsafe_b64encode(mac).decode().rstrip('=')}"


def test_the_format_is_frozen(secrets: RefreshSecrets) -> None:
    assert secrets.build(SID, 7, "a") == FROZEN == by_hand(SID, 7, "a", OLD)


@pytest.mark.parametrize("generation", [0, 1, 9, 10, 999_999_999])
@pytest.mark.parametrize(("name", "key"), [("a", OLD), ("b", NEW)])
def test_what_is_built_is_what_the_design_says_and_comes_apart_again(
    secrets: RefreshSecrets, generation: int, name: str, key: bytes
) -> None:
    token = secrets.build(SID, generation, name)
    assert token == by_hand(SID, generation, name, key)
    assert secrets.parse(token) == RefreshToken(SID, generation, name)


@pytest.mark.parametrize("at", range(len(FROZEN)))
def test_any_single_character_changed_makes_junk(secrets: RefreshSecrets, at: int) -> None:
    others = set(ALPHABET + ".~ \n") - {FROZEN[at]}
    good = {
        other for other in others if isinstance(secrets.parse(FROZEN[:at] + other + FROZEN[at + 1 :]), RefreshToken)
    }
    assert good == set()


def test_loose_bits_in_the_last_character_make_junk(secrets: RefreshSecrets) -> None:
    """43 characters hold 258 bits, so that three other last characters decode to the same mac."""
    mac = urlsafe_b64decode(FROZEN[-43:] + "=")
    twins = [FROZEN[:-1] + last for last in ALPHABET if urlsafe_b64decode(FROZEN[-43:-1] + last + "=") == mac]
    assert len(twins) == 4
    assert [token for token in twins if secrets.parse(token) is not None] == [FROZEN]


@pytest.mark.parametrize(
    "change",
    [
        lambda token: token.replace(".7.", ".07."),
        lambda token: token.replace(".7.", ".+7."),
        lambda token: token.replace(".7.", ".7_0."),
        lambda token: token.replace(".7.", ".\u0667."),  # a digit of another script
        lambda token: token.replace(".7.", ".-7."),
        lambda token: token.replace(".7.", ".7777777777."),
        lambda token: token.replace(".7.", ".."),
        lambda token: token + "=",
        lambda token: token + "\n",
        lambda token: " " + token,
        lambda token: token + "A",
        lambda token: token[:-1],
        lambda token: token.upper(),
        lambda token: token.removeprefix("qrt_"),
        lambda token: token.replace("-", "+"),
        lambda token: token[:0],
    ],
)
def test_another_way_to_write_it_is_junk(secrets: RefreshSecrets, change: Any) -> None:
    assert secrets.parse(change(FROZEN)) is None


def test_a_generation_and_its_session_cannot_be_shifted_into_each_other(secrets: RefreshSecrets) -> None:
    token = secrets.build(SID[:-1] + "1", 2, "a")
    assert secrets.parse(token.replace("1.2.", "2.12.")) is None


def test_a_secret_of_another_host_is_told_apart_from_junk(secrets: RefreshSecrets) -> None:
    assert secrets.parse(by_hand(SID, 7, "z", OLD)) == UnknownSecret("z")


def test_the_name_of_another_secret_makes_junk(secrets: RefreshSecrets) -> None:
    assert secrets.parse(by_hand(SID, 7, "b", OLD)) is None


def test_a_secret_that_is_not_here_builds_nothing(secrets: RefreshSecrets) -> None:
    with pytest.raises(KeyError):
        secrets.build(SID, 7, "z")


def test_macs_are_compared_in_constant_time(secrets: RefreshSecrets, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[str, str]] = []

    def compare(left: str, right: str) -> bool:
        compared.append((left, right))
        return False

    monkeypatch.setattr("quash_service.tokens.refresh.hmac.compare_digest", compare)
    assert secrets.parse(FROZEN) is None
    assert compared == [(FROZEN[-43:], FROZEN[-43:])]


def _near(token: str) -> Iterator[str]:
    yield from (token, token + token, token[::-1], token.replace(".", ".."))


@given(st.one_of(st.text(), st.text(alphabet=ALPHABET + "."), st.sampled_from(list(_near(FROZEN))), st.binary()))
@example("qrt_" + "A" * 38 + ".0.a" + "A" * 43)
@example("qrt_" + "A" * 38 + ".0.\ud800" + "A" * 43)
def test_no_text_makes_it_raise_and_only_what_was_built_is_good(secrets: RefreshSecrets, text: str | bytes) -> None:
    raw = text if isinstance(text, str) else text.decode("latin-1")
    parsed = secrets.parse(raw)
    assert not isinstance(parsed, RefreshToken) or raw == secrets.build(parsed.sid, parsed.generation, parsed.secret)


@given(st.text(ALPHABET, min_size=38, max_size=38), st.integers(0, 999_999_999), st.sampled_from("ab"))
def test_every_token_that_is_built_comes_apart_again(
    secrets: RefreshSecrets, sid: str, generation: int, name: str
) -> None:
    assert secrets.parse(secrets.build(sid, generation, name)) == RefreshToken(sid, generation, name)


def test_the_first_start_makes_one_private_secret_of_256_random_bits(tmp_path: Path) -> None:
    made = refresh_secrets(tmp_path / "keys", random_bytes=lambda count: b"\x07" * count)
    assert stat.S_IMODE((tmp_path / "keys" / FILE).stat().st_mode) == 0o600
    assert made.build(SID, 0, made.newest) == by_hand(SID, 0, "a", b"\x07" * 32)
    again = refresh_secrets(tmp_path / "keys")
    assert again.fingerprints() == made.fingerprints()


def test_new_tokens_use_the_newest_secret_and_old_ones_stay_good(tmp_path: Path) -> None:
    write(tmp_path, ("a", OLD))
    secrets = refresh_secrets(tmp_path)
    token = secrets.build(SID, 1, secrets.newest)
    write(tmp_path, ("b", NEW), ("a", OLD))
    assert (secrets.refresh(), secrets.refresh()) == (True, False)
    assert secrets.newest == "b"
    assert secrets.parse(token) == RefreshToken(SID, 1, "a")


def test_a_secret_that_another_process_just_added_is_known_at_the_first_token(tmp_path: Path) -> None:
    write(tmp_path, ("a", OLD))
    secrets = refresh_secrets(tmp_path)
    write(tmp_path, ("b", NEW), ("a", OLD))
    assert secrets.parse(by_hand(SID, 1, "b", NEW)) == RefreshToken(SID, 1, "b")


def test_a_secret_that_was_dropped_is_unknown(tmp_path: Path) -> None:
    write(tmp_path, ("b", NEW), ("a", OLD))
    secrets = refresh_secrets(tmp_path)
    write(tmp_path, ("b", NEW))
    assert secrets.parse(FROZEN) == UnknownSecret("a")


def test_fingerprints_tell_secrets_apart_and_show_nothing_of_them(secrets: RefreshSecrets) -> None:
    prints = secrets.fingerprints()
    assert list(prints) == ["b", "a"]
    assert len(set(prints.values())) == 2
    for name, key in (("a", OLD), ("b", NEW)):
        assert len(prints[name]) == 16
        assert prints[name] not in (key.hex(), sha256(key).hexdigest()[:16], hmac.digest(key, b"", "sha256").hex()[:16])


def test_a_repr_shows_no_secret(secrets: RefreshSecrets) -> None:
    shown = repr(secrets) + repr(secrets.parse(FROZEN))
    assert not [key for key in (OLD, NEW) if key.hex() in shown or b64encode(key).decode() in shown]
    assert FROZEN[-43:] not in shown


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "it is not JSON"),
        ("[]", "it is not {"),
        ("{}", "it is not {"),
        ('{"secrets": 3}', "it is not {"),
        ('{"secrets": [{"id": "a"}]}', "it is not {"),
        ('{"secrets": [{"id": "a", "secret": "hunter2!"}]}', "it is not {"),
        ('{"secrets": [{"id": "a", "secret": 3}]}', "it is not {"),
        ('{"secrets": []}', "each secret needs an id of its own"),
        ('{"secrets": [{"id": "", "secret": ""}]}', "each secret needs an id of its own"),
        ('{"secrets": [{"id": "ab", "secret": ""}]}', "each secret needs an id of its own"),
        ('{"secrets": [{"id": "a", "secret": ""}, {"id": "a", "secret": ""}]}', "each secret needs an id of its own"),
        ('{"secrets": [{"id": "a", "secret": ""}]}', "a secret is shorter than 32 bytes"),
    ],
)
def test_a_broken_file_is_named_and_neither_shown_nor_replaced(tmp_path: Path, content: str, why: str) -> None:
    (tmp_path / FILE).write_text(content)
    with pytest.raises(ValueError, match=r"refresh-secrets\.json cannot be used: ") as error:
        refresh_secrets(tmp_path)
    assert why in str(error.value)
    assert "hunter2" not in str(error.value)
    assert (tmp_path / FILE).read_text() == content


def test_a_file_that_breaks_later_leaves_the_secrets_that_were_known(tmp_path: Path) -> None:
    write(tmp_path, ("a", OLD))
    secrets = refresh_secrets(tmp_path)
    (tmp_path / FILE).write_text("{")
    for _ in range(2):
        with pytest.raises(ValueError, match="cannot be used"):
            secrets.refresh()
    assert secrets.parse(FROZEN) == RefreshToken(SID, 7, "a")
    assert secrets.parse(by_hand(SID, 7, "z", NEW)) == UnknownSecret("z")
